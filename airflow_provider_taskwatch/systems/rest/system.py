"""Any REST API with tasks, as a profile describes it.

The options of a wait hold the part of the profile that it needs, and the inputs that its requests use; see
:func:`options_of`. So one poller serves the tasks of many profiles over one connection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow_provider_taskwatch.core.error import (
    ConfigurationError,
    NotFoundError,
    RemoteError,
    ReplyError,
    TaskWatchError,
)
from airflow_provider_taskwatch.core.flow import PATIENT, Flow, Retry, ask, nothing, probe_any, unreadable
from airflow_provider_taskwatch.core.phase import Observation, Phase, absent
from airflow_provider_taskwatch.core.record import Started
from airflow_provider_taskwatch.core.settings import Settings
from airflow_provider_taskwatch.core.system import Effect, Options, System, SystemDefaults
from airflow_provider_taskwatch.core.text import shown_ref
from airflow_provider_taskwatch.core.wire import Call, Reply, get

from .document import Document
from .expression import Expression
from .listing import batches, fits, read_list
from .profile import Cancel, Profile, Result, Stage, hash_of, watched_part
from .reader import read_profile
from .reading import first_value, read_observation, result_of
from .reference import checked_ref, linked, plausible_ref, ref_in, split_stage, with_stage
from .request import call_of, sent_request, start_call, values_of
from .rules import input_names, roots_of
from .template import filled_texts

_BODY = Expression("body")

MAX_PROFILES = 500
"""Parsed profiles that a connection keeps."""


def from_settings(settings: Settings) -> System:
    """The remote behind a general connection."""
    return RestRemote(settings)


def options_of(content: Mapping[str, Any], profile: Profile, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a wait: plain JSON, what a trigger carries.

    :param content: of the profile.
    """
    watched = watched_part(content)
    used = input_names(profile.poll, profile.cancel, profile.then, profile.result, profile.many)
    return {"profile": watched, "hash": hash_of(watched), "inputs": {name: inputs[name] for name in used & set(inputs)}}


class RestRemote(SystemDefaults):
    """A connection to a REST API. What its tasks are is in the options of each wait."""

    name = "rest"

    def __init__(self, settings: Settings) -> None:
        self.base_url = settings.base_url
        self.secrets: Mapping[str, str] = settings.own.get("secrets") or {}
        self._profiles: dict[str, Profile] = {}

    def for_wait(self, options: Options) -> System:
        try:
            profile = self._profile(options["hash"], options["profile"])
            return RestTasks(profile, options["inputs"], self, options["hash"])
        except KeyError:
            raise ConfigurationError(
                "a task of a general connection needs a profile: use RestTaskOperator or RestTaskSensor with profile=, "
                "or set the connection's extra 'profile'"
            ) from None

    def tasks(self, profile: Profile, inputs: Mapping[str, Any]) -> RestTasks:
        """The tasks of a whole profile, which can be started, too."""
        return RestTasks(profile, inputs, self)

    def _profile(self, known_as: str, content: Mapping[str, Any]) -> Profile:
        profile = self._profiles.get(known_as)
        if profile is None:
            if len(self._profiles) >= MAX_PROFILES:
                self._profiles.clear()
            profile = self._profiles[known_as] = read_profile(content, "the profile of the task")
        return profile

    def observe(self, ref: str) -> Flow[Observation]:
        raise ConfigurationError(f"{shown_ref(ref)} cannot be read without a profile; give the profile of the task")

    def check_ref(self, ref: str) -> str:
        """Any text that may be an id, a name or a link; the profile that knows better is not known here."""
        return plausible_ref(ref)

    def probe(self) -> Flow[str]:
        return probe_any()


class RestTasks(SystemDefaults):
    """The tasks of one profile with the inputs of one wait. One is made for each poll, so that is cheap.

    :param inputs: those that the profile's requests use.
    :param remote: the connection.
    :param known_as: the hash of the profile's part that a wait needs.
    """

    name = "rest"

    def __init__(self, profile: Profile, inputs: Mapping[str, Any], remote: RestRemote, known_as: str = "") -> None:
        self.profile = profile
        self.inputs = inputs
        self.remote = remote
        self.noun = profile.noun
        self.can_cancel = profile.can_cancel
        self.keeps_marker = profile.keeps_marker
        self._known_as = known_as

    def for_wait(self, options: Options) -> System:
        return self.remote.for_wait(options) if options else self

    def check_ref(self, ref: str) -> str:
        bare, stage = split_stage(ref)
        return with_stage(checked_ref(bare, self._stage(stage).ref, self.noun, self.remote.base_url), stage)

    def _stage(self, name: str) -> Stage:
        stages = self.profile.stages
        if name not in stages:
            known = ", ".join(filter(None, stages)) or "none"
            raise ConfigurationError(f"the profile has no stage {name!r} after the first one; it has {known}")
        return stages[name]

    def _values(self, ref: str = "", **others: Any) -> dict[str, Any]:
        return values_of(self.inputs, self.remote.secrets, ref=ref, **others)

    # --- the start

    def start(self, start_id: str, marker: str, callback_url: str = "", *, again: bool = False) -> Flow[Started]:
        """Send the start.

        :param again: whether an earlier attempt may have sent it.
        :raises ReplyError: the reply names no task, so one may have been started.
        """
        start = self.profile.start
        if start is None:
            raise ConfigurationError(f"the profile {self.profile.name!r} has no 'start': it can only be waited for")
        values = self._values(start_id=start_id, marker=marker, callback_url=callback_url)
        first, repeat = start_call(start, values, again=again), start_call(start, values, again=True)
        request = sent_request(first, start, values)
        try:
            reply = yield from ask(first, retry=PATIENT, accepted=start.accepted, repeat=repeat)
        except RemoteError as error:
            if error.status != 409 or start.conflict != "adopt":
                raise
            return Started(ref=self.chosen_ref(start_id, marker))
        if reply.status not in start.accepted:
            raise unreadable(first, reply, f"is not one of {', '.join(map(str, start.accepted))}, which mean started")
        started = self._started(first, reply, request)
        return started if started.ended is None else (yield from self._with_result(started, started.ended))

    def _with_result(self, started: Started, ended: Observation) -> Flow[Started]:
        """A start that has shown the end, with the result; without that, the task is waited for by its ref."""
        try:
            return replace(started, ended=(yield from self.complete(ended, {})))
        except TaskWatchError as error:
            if started.ref is None:
                raise ReplyError(f"the task has ended at once, and its result cannot be read: {error}") from error
            return replace(started, ended=None)

    def _started(self, call: Call, reply: Reply, request: Mapping[str, Any]) -> Started:
        assert self.profile.start is not None  # noqa: S101 - for mypy
        document = Document(call, reply, self.inputs, request)
        ended = self._ended(document) if self.profile.start.read else None
        value = first_value(self.profile.ref.source, document)
        if value is None and ended is not None:
            return Started(ref=None, ended=ended, reply=document.body_object, mask=reply.mask)
        ref = ref_in(value, self.profile.ref, self.noun, self.remote.base_url, call.path)
        if ended is not None:
            ended = replace(ended, ref=ref)
        return Started(ref=ref, ended=ended, reply=document.body_object, mask=reply.mask)

    def _ended(self, document: Document) -> Observation | None:
        """The end that the reply to a start shows; None where it shows none."""
        try:
            seen = self._read("", self.profile, document)
        except ReplyError:
            return None
        return seen if seen.phase.is_final else None

    def chosen_ref(self, start_id: str, marker: str) -> str:
        """The ref in our own request."""
        assert self.profile.start is not None  # noqa: S101 - for mypy
        values = self._values(start_id=start_id, marker=marker)
        call = start_call(self.profile.start, values)
        document = Document(call, Reply(status=200), self.inputs, sent_request(call, self.profile.start, values))
        value = first_value(self.profile.ref.source, document)
        return ref_in(value, self.profile.ref, self.noun, self.remote.base_url, call.path)

    # --- polls

    def observe(self, ref: str) -> Flow[Observation]:
        bare, name = split_stage(ref)
        stage = self._stage(name)
        poll = stage.poll
        call = call_of(poll, self._values(bare), path="" if poll.path else bare, is_replayable=True)
        try:
            reply = yield from ask(call, accepted=poll.accepted)
        except NotFoundError:
            return absent(ref)
        return self._read(ref, stage, Document(call, reply, self.inputs))

    def _read(self, ref: str, stage: Stage, document: Document) -> Observation:
        """The observation of a stage, or that the task goes on in the next one."""
        then = stage.then
        if then is not None and (value := first_value(then.ref.source, document)) is not None:
            bare = ref_in(value, then.ref, self.noun, self.remote.base_url, document.path)
            return Observation(
                ref=ref, phase=Phase.PENDING, moved_to=with_stage(bare, then.name), message=f"goes on as {then.name}"
            )
        result = self.profile.result
        seen = read_observation(ref, stage.poll, document, result.select if result else None)
        if result is not None and result.link is not None and seen.phase is Phase.SUCCEEDED:
            return replace(seen, result={"link": first_value(result.link, document)})
        return seen

    def selector(self, options: Options) -> str:
        if self.profile.many is None:
            return ""
        used = input_names(self.profile.many)
        return f"{self._known_as} {json.dumps({name: self.inputs.get(name) for name in sorted(used)})}"

    def observe_many(self, selector: str, refs: Sequence[str]) -> Flow[Mapping[str, Observation]]:
        many = self.profile.many
        assert many is not None  # noqa: S101 - the selector is empty without it
        wanted = [ref for ref in refs if "#" not in ref]
        by_id = "refs" in roots_of(many)
        found: dict[str, Observation] = {}
        for batch in batches(wanted, many.max if by_id else max(1, len(wanted))):
            missing = set(batch)

            def take(listed: str, document: Document, missing: set[str] = missing) -> bool:
                if (ref := self._listed(listed)) in missing:
                    missing.remove(ref)
                    found[ref] = self._read(ref, self.profile, document)
                return not missing

            yield from read_list(many, self._values(refs=list(batch)), self.remote.base_url, take, many.shape)
        gone = {ref: absent(ref) for ref in wanted if ref not in found} if many.absent == "lost" else {}
        if many.ended == "single":
            found = {ref: seen for ref, seen in found.items() if not seen.phase.is_final}
        return {**gone, **found}

    def _listed(self, ref: str) -> str:
        """The ref of an entry in the form in which we keep it; empty where it is none."""
        if self.profile.ref.kind == "id":
            return ref
        try:
            return checked_ref(ref, self.profile.ref, self.noun, self.remote.base_url)
        except ConfigurationError:
            return ""

    def complete(self, seen: Observation, options: Options) -> Flow[Observation]:
        result = self.profile.result
        if result is None or (result.path is None and result.link is None) or seen.phase is not Phase.SUCCEEDED:
            return nothing(seen)
        return self._last_read(seen, result)

    def _last_read(self, seen: Observation, result: Result) -> Flow[Observation]:
        call = self._result_call(seen, result)
        reply = yield from ask(call, retry=Retry(attempts=3))
        document = Document(call, reply, self.inputs)
        return replace(seen, result=result_of(seen.ref, seen.status, seen.message, document, result.select or _BODY))

    def _result_call(self, seen: Observation, result: Result) -> Call:
        """The read of a result. A link to another host is followed without credentials, and only where allowed."""
        bare = split_stage(seen.ref)[0]
        values = self._values(bare)
        headers = filled_texts(result.headers, values)
        if result.path is not None:
            return get(result.path.path(values), headers=headers)
        origin, path = linked(seen.result.get("link"), result.hosts, self.remote.base_url)
        return Call(method="GET", path=path, headers={} if origin else headers, origin=origin)

    # --- cancel and find

    def cancel(self, ref: str, options: Options | None = None) -> Flow[Effect]:
        bare, name = split_stage(ref)
        cancel = self._stage(name).cancel
        if cancel is None:
            raise ConfigurationError(f"the profile has no 'cancel' for {name or 'the first stage'}; {ref} goes on")
        return self._cancel(cancel, bare)

    def _cancel(self, cancel: Cancel, bare: str) -> Flow[Effect]:
        call = call_of(cancel, self._values(bare))
        try:
            yield from ask(call, retry=PATIENT, refused=lambda _: True, accepted=cancel.accepted)
        except RemoteError as error:
            if error.status in cancel.over:
                return Effect.ENDED
            if isinstance(error, NotFoundError):
                return Effect.UNKNOWN
            raise
        return Effect.CANCELLED

    def find(self, marker: str) -> Flow[str | None]:
        find = self.profile.find
        if find is None:
            seen = yield from self.observe(marker)
            return None if seen.phase is Phase.LOST and not seen.status else marker
        values = self._values(marker=marker)
        found: list[str] = []

        def take(ref: str, document: Document) -> bool:
            if fits(find.where, document, values):
                found.append(self.check_ref(ref))
            return bool(found)

        yield from read_list(find, values, self.remote.base_url, take)
        return found[0] if found else None

    def page(self, ref: str) -> Mapping[str, str]:
        inputs = {name: str(value) for name, value in self.inputs.items() if isinstance(value, (str, int))}
        return {**inputs, "ref": split_stage(ref)[0].partition("?")[0]}

    def probe(self) -> Flow[str]:
        probe = self.profile.probe
        if probe is None:
            return self.remote.probe()
        return self._probe(call_of(probe, self._values(), is_replayable=True))

    def _probe(self, call: Call) -> Flow[str]:
        yield from ask(call)
        return f"the credentials are accepted: {call.shown_path} can be read"
