"""``taskwatch profile``: lists, shows and checks profiles, and tries one on a recorded exchange."""

from __future__ import annotations

import json
import sys
import warnings
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_taskwatch.core.error import ConfigurationError

from .console import exit_on_error, fail, say

if TYPE_CHECKING:
    from airflow_provider_taskwatch.systems.rest.profile import Profile


def profile(args: Namespace) -> None:
    """Exit with 1 where a profile is not valid, or does not read a recording to its end."""
    with exit_on_error():
        if args.schema:
            _print_schema()
        elif args.action == "list":
            _list()
        elif not args.profile:
            fail(
                f"which profile? taskwatch profile {args.action} NAME, or a path; `taskwatch profile list` has names", 2
            )
        elif args.action == "show":
            _show(args.profile)
        elif args.action == "check":
            _check(args.profile)
        elif not args.exchange:
            fail("which recording? taskwatch profile try PROFILE FILE, a HAR or a VCR cassette", 2)
        else:
            _try(args.profile, Path(args.exchange))


def _print_schema() -> None:
    from airflow_provider_taskwatch.systems.rest.profile import Profile

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic leaves out a default that is an expression, and says so
        schema = Profile.model_json_schema(by_alias=True)
    print(json.dumps(schema, indent=2))


def _list() -> None:
    from airflow_provider_taskwatch.config.profile import find_profile

    for name in _names():
        try:
            found = find_profile(name).profile
        except ConfigurationError as error:
            say("red", name, str(error))
            continue
        checked = f"checked against: {found.source.checked}" if found.source else ""
        say("bold", name, "; ".join(filter(None, (found.noun, found.title, checked))))


def _names() -> list[str]:
    """The names of the presets, and of the profiles in the installation's folder."""
    from airflow_provider_taskwatch.config.profile import SUFFIXES, preset_names, profiles_folder

    folder = profiles_folder()
    own = (path.stem for path in folder.iterdir() if path.suffix in SUFFIXES) if folder and folder.is_dir() else ()
    return sorted({*preset_names(), *own})


def _show(name: str) -> None:
    """Print a file as it is, to copy from; a profile that changes another one as what becomes of it."""
    from airflow_provider_taskwatch.config.profile import find_profile

    found = find_profile(name)
    path = Path(found.where)
    print(path.read_text(encoding="utf-8") if path.is_file() else json.dumps(found.content, indent=2), end="\n")


def _check(name: str) -> None:
    from airflow_provider_taskwatch.config.profile import find_profile

    found = find_profile(name)
    say("green", "OK", f"{found.where}: {found.profile.title or found.profile.name or name}")
    for head, text in facts(found.profile):
        say("", f"    {head:<12}", text)
    for text in _gaps(found.profile):
        say("yellow", "!!", text)


def facts(profile: Profile) -> Iterator[tuple[str, str]]:
    """What a profile can do: pairs of a subject and a text."""
    from airflow_provider_taskwatch.systems.rest.rules import input_names, needed_inputs

    used, needed = input_names(profile), needed_inputs(profile)
    shown = (f"{name}{'' if name in needed else ' (optional)'}" for name in sorted(used))
    yield "inputs", ", ".join(shown) or "none"
    yield "start", _start_of(profile)
    if len(profile.stages) > 1:
        yield "stages", ", then ".join(name or "the first one" for name in profile.stages)
    cancelled = [name or "the first stage" for name, stage in profile.stages.items() if stage.cancel is not None]
    yield "cancel", f"yes, in {', '.join(cancelled)}" if cancelled else "no"
    yield "found", "by its marker" if profile.find else "by the id that we choose" if profile.keeps_marker else "no"
    yield "listed", "yes, many at once" if profile.many else "no, each task is polled by itself"
    yield "result", "ref, status and message" if profile.result is None else "as the profile says"
    yield "probe", profile.probe.path.source if profile.probe else "none: the connection test asks for /"


def _start_of(profile: Profile) -> str:
    start = profile.start
    if start is None:
        return "none: its tasks can only be waited for"
    if start.replay:
        return "is sent again after a lost reply: a repeat names the same task"
    return "is looked up after a lost reply" if profile.keeps_marker else "a person decides after a lost reply"


def _gaps(profile: Profile) -> Iterator[str]:
    """What is no error, and makes a profile less useful."""
    from airflow_provider_taskwatch.systems.rest.rules import input_names

    if missing := sorted(input_names(profile) - set(profile.inputs)):
        yield f"inputs: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not described"
    if unused := sorted(set(profile.inputs) - input_names(profile)):
        yield f"inputs: {', '.join(unused)} {'is' if len(unused) == 1 else 'are'} described, and no request uses it"
    for name, stage in profile.stages.items():
        reached = {one.phase for one in stage.poll.acceptors} | set(stage.poll.phases) - {"otherwise"}
        if bare := sorted(reached - set(stage.poll.examples)):
            yield f"poll.examples of {name or 'the first stage'}: none for {', '.join(bare)}"


def _try(name: str, exchange: Path) -> None:
    from airflow_provider_taskwatch.config.profile import find_profile

    from .exchange import load_exchange
    from .rehearsal import Rehearsal

    found, recorded = find_profile(name), load_exchange(exchange)
    if not recorded:
        raise ConfigurationError(f"{exchange} has no request with a reply")
    rehearsal = Rehearsal(profile=found.profile, recorded=recorded)
    for colour, text in rehearsal.run():
        say(colour, text)
    if not rehearsal.is_good:
        say("red", f"FAILED: {name} does not read this recording to its end")
        sys.exit(1)
    say("green", f"OK: {name} reads this recording to its end")
