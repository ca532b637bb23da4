"""What one remote API is like: how to start, observe, cancel and find a task. Pure code, no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

from .callback import Callback
from .error import ConfigurationError, RemoteError, TaskWatchError, TokenError, TransportError
from .flow import Flow, nothing
from .phase import Observation
from .settings import Settings

Options = Mapping[str, Any]
"""Plain JSON: how one watch wants its readings understood. Each system documents its own keys."""


class Effect(StrEnum):
    """What a cancel has done, in words that follow the ref."""

    CANCELLED = "was cancelled"
    ENDED = "had ended already"
    UNKNOWN = "is not known to the remote any more, so nothing was cancelled"


class System(Protocol):
    """One remote. Instances are built from a connection's settings and hold nothing that belongs to one task."""

    name: str
    noun: str
    """What a ref names, for messages: ``notification``, ``execution``."""
    can_cancel: bool
    keeps_marker: bool
    """Whether a start can carry a marker that :meth:`find` looks up later."""
    reads_alone: bool
    """Whether one ref is read for less than many; where not, each read is worth waiting for the others."""

    def check_ref(self, ref: str) -> str:
        """The ref as it is sent, or :class:`ConfigurationError` before any request."""

    def doubt(self, ref: str) -> str:
        """Why a ref is likely to be a mistake, although the remote may know it; empty where it has the usual form."""

    def id_space(self, settings: Settings) -> str:
        """Where the refs and markers of this connection mean anything, in words for people.

        Two connections with the same one may differ in their credentials. Nothing is rejoined or cancelled elsewhere
        than where it was started, as the same ref may be somebody else's there.
        """

    def is_own(self, seen: Observation, options: Options) -> bool:
        """Whether a reading may be that of our start: False where it carries another marker."""

    def observe(self, ref: str) -> Flow[Observation]:
        """Read one ref. An unknown ref is :func:`~.phase.absent`, not an error."""

    def selector(self, options: Options) -> str:
        """What one request can ask for instead of an id; watches with equal selectors are read together.

        Empty where this watch needs single reads.
        """

    def observe_many(self, selector: str, refs: Sequence[str]) -> Flow[Mapping[str, Observation]]:
        """Read many refs in few calls; refs that are missing in the answer need a single read."""

    def understand(self, seen: Observation, options: Options) -> Observation:
        """The reading as one watch wants it understood (its own success statuses, for example)."""

    def cancel(self, ref: str, options: Options | None = None) -> Flow[Effect]:
        """End the task at the remote, and say whether it was: a task that has ended, or is unknown, is left as it is.

        :param options: those of the watch; how much is cancelled with the task may depend on them.
        """

    def find(self, marker: str) -> Flow[str | None]:
        """The ref of the task that was started with this marker."""

    def successor(self, seen: Observation, options: Options) -> Flow[str | None]:
        """The ref that took over from an ended one (a restart), where the options ask to follow it."""

    def explain(self, seen: Observation, options: Options) -> Flow[str]:
        """Why a task ended badly, in the remote's words; empty where it has nothing to add."""

    def read_callback(self, content: object, names: Mapping[str, str]) -> Callback:
        """What the payload of a callback says; whatever it is, it is read without an error.

        :param names: this system's own names, and those that a template of the user has for them.
        """

    def page(self, ref: str) -> Mapping[str, str]:
        """The names that a connection's ``ui_url`` template may use for this ref."""

    def was_refused(self, error: TaskWatchError) -> bool:
        """Whether a start that ended in this error surely did nothing, so that it may be sent again.

        An interim reply (1xx) never says so: the final one is still to come.
        """

    def probe(self) -> Flow[str]:
        """A cheap authenticated read for the connection test; returns what it proved, in words."""


_MAY_BE_DONE = (303, 408)
"""A redirect to a result, and the server's own timeout."""


class SystemDefaults:
    """What most systems answer: no cancel, no marker, one ref per request, nothing to add."""

    name = ""
    noun = "task"
    can_cancel = False
    keeps_marker = False
    reads_alone = True

    def check_ref(self, ref: str) -> str:
        return safe_ref(ref, self.noun)

    def doubt(self, ref: str) -> str:
        return ""

    def id_space(self, settings: Settings) -> str:
        return address(settings.base_url)

    def is_own(self, seen: Observation, options: Options) -> bool:
        return True

    def selector(self, options: Options) -> str:
        return ""

    def observe_many(self, selector: str, refs: Sequence[str]) -> Flow[Mapping[str, Observation]]:
        raise NotImplementedError(f"{self.name} reads one {self.noun} per request")

    def understand(self, seen: Observation, options: Options) -> Observation:
        return seen

    def cancel(self, ref: str, options: Options | None = None) -> Flow[Effect]:
        raise NotImplementedError(f"{self.name} cannot cancel a {self.noun}")

    def find(self, marker: str) -> Flow[str | None]:
        raise NotImplementedError(f"{self.name} keeps no marker of a start")

    def successor(self, seen: Observation, options: Options) -> Flow[str | None]:
        return nothing(None)

    def explain(self, seen: Observation, options: Options) -> Flow[str]:
        return nothing("")

    def read_callback(self, content: object, names: Mapping[str, str]) -> Callback:
        return Callback()

    def page(self, ref: str) -> Mapping[str, str]:
        return {"ref": ref}

    def was_refused(self, error: TaskWatchError) -> bool:
        if isinstance(error, RemoteError):
            return 200 <= error.status < 500 and error.status not in _MAY_BE_DONE
        if isinstance(error, TransportError):
            return not error.sent
        return isinstance(error, (TokenError, ConfigurationError))


_LIKE_A_UUID = re.compile(r"[0-9A-Za-z]+(-[0-9A-Za-z]+){4}")


def has_moved(started_at: str, is_at: str) -> bool:
    """Whether two id spaces are known and differ."""
    return "" not in (started_at, is_at) and started_at != is_at


def doubt_unless_uuid(ref: str, noun: str) -> str:
    """See :meth:`System.doubt`, for remotes whose ids are UUIDs as a rule; their groups may be of any length."""
    if _LIKE_A_UUID.fullmatch(ref):
        return ""
    return f"{ref} does not look like a {noun} id, which is a UUID such as 6992a41d-a953-4ded-ae99-41d2f4d32ecb"


_PORTS = {"http": 80, "https": 443}


def address(url: str) -> str:
    """A base URL without what makes no difference: a default port, the case of its host, the spelling of its path."""
    parts = urlsplit(url)
    host = _host((parts.hostname or "").rstrip("."))
    port = "" if parts.port in (None, _PORTS.get(parts.scheme)) else f":{parts.port}"
    path = "/".join(quote(unquote(one), safe="") for one in parts.path.rstrip("/").split("/"))
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{path}"


def _host(name: str) -> str:
    """A host in its one spelling: an address of IPv6 in short, a name in ASCII."""
    try:
        return ip_address(name).compressed
    except ValueError:
        pass
    try:
        return name if _DEVIATIONS & set(name) else name.encode("idna").decode()
    except UnicodeError:
        return name


_DEVIATIONS = frozenset("\u00df\u1e9e\u03c2\u200c\u200d")
"""What Python's IDNA 2003 takes for other letters, or for none, and makes another host's name of."""


REF_CHARACTERS = 500

_QUOTES = ('"', "'")
_UNSAFE = frozenset("/?#\\%\"'`“”„‘’‚«»")  # noqa: RUF001 - what editors and chats make of quotation marks


def unquoted(text: str) -> str:
    """``text`` without surrounding blanks and quotation marks; the template filter ``tojson`` puts some around it."""
    text = text.strip()
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in _QUOTES
    return text[1:-1].strip() if is_quoted else text


def safe_ref(ref: object, noun: str) -> str:
    """``ref`` :func:`unquoted`, or an error where it could change the address that is asked."""
    text = unquoted(ref) if isinstance(ref, str) else ""
    if not text:
        found = "empty" if ref is None or isinstance(ref, str) else f"{ref!r:.80}, which is no text"
        raise ConfigurationError(f"the {noun} id is {found}; give the id that the start returned")
    if len(text) > REF_CHARACTERS:
        raise ConfigurationError(f"{text[:80]!r}... is not a {noun} id: it has {len(text)} characters")
    if _UNSAFE & set(text) or text == "." or ".." in text or not text.isprintable() or any(c.isspace() for c in text):
        raise ConfigurationError(
            f"{text[:80]!r} is not a {noun} id: it must not be '.' or hold blanks, '/', '?', '#', '%', '\\', '..' "
            "or quotation marks"
        )
    return text
