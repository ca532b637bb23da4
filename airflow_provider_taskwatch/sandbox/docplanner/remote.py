"""Docplanner integration API v3 as an emulator: tokens, a queue of notifications, pushes, and a calendar.

https://integrations.docplanner.com/ and the vendor's PHP client. Unknown, and therefore ours: the paths of confirm
and unlink, the refusal of a token request, and every word of a refusal but those of an empty queue, a 401 and a 403.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from typing import Annotated, Any
from urllib.parse import urlencode

from airflow_provider_taskwatch.core.wire import Call, Reply
from airflow_provider_taskwatch.sandbox.answer import header, json_reply, number, value
from airflow_provider_taskwatch.sandbox.post import Post
from airflow_provider_taskwatch.sandbox.remote import Answered, Remote, Route, Visit
from airflow_provider_taskwatch.sandbox.rule import DEFAULT
from airflow_provider_taskwatch.sandbox.setting import COUNT, OneOf
from airflow_provider_taskwatch.sandbox.token import CLIENT_ID, CLIENT_SECRET, FORM, TokenSettings

from .calendar import Calendar, Done, Place, Refusal
from .guard import Guard, GuardSettings
from .notification import VOCABULARY, Notification, invented, moment, place
from .push import Pushes, PushSettings
from .queue import Queue

BASE = "/api/v3/integration"
SCOPE = "integration"
MAX_LIMIT = 100
ERRORS = "application/vnd.error+docplanner+json"
DATA = "application/vnd.docplanner+json; charset=UTF-8"


@dataclass(kw_only=True)
class DocplannerSettings(PushSettings, GuardSettings, TokenSettings):
    """The settings of the emulated Docplanner, besides those of pushes and of the gateway.

    :param empty_answer: the reply for an empty queue: ``404``, ``204``, ``200-empty`` or ``200-list``.
    :param pull_member: the member of a pull's answer that holds the notifications; the real one is ``notifications``.
    :param echo_seconds: how long after an action its notification comes.
    :param silent: names of notifications that no action causes.
    """

    token_lifetime: float = 3600
    empty_answer: Annotated[str, OneOf(EMPTY)] = "404"
    pull_member: str = "notifications"
    echo_seconds: float = 1.0
    silent: list[str] = field(default_factory=list)


EMPTY: Mapping[str, Reply] = {
    "404": json_reply(404, {"errors": [], "message": "No notifications found"}, content_type=ERRORS),
    "204": Reply(status=204),
    "200-empty": Reply(status=200, headers={"content-type": DATA}),
    "200-list": json_reply(200, {"notifications": [], "remaining": 0}, content_type=DATA),
}

_VOCABULARY = {
    400: "Validation error",
    403: "You are not allowed to use this method",
    404: "Not found",
    429: "Too many requests",
    500: "Internal server error",
    503: "Service unavailable",
}

EVENT_KEYS: Mapping[str, Any] = {
    "name": str,
    "data": dict[str, Any] | None,
    "count": Annotated[int, COUNT],
    "created_at": str,
    "delay": float,
}
"""The fields of an event to emit."""


class Docplanner(Remote[Notification]):
    """One client of Docplanner. All callers with its secret share the queue. It pushes if an address is set.

    Rules do not apply: there are no tasks. Its book holds the notifications that are being pushed, and the buried ones.
    """

    name = "docplanner"
    title = "Docplanner integration API v3"
    vocabulary = VOCABULARY
    settings_type = DocplannerSettings
    event_keys = EVENT_KEYS
    token_paths = frozenset({"/oauth/v2/token"})

    def reset(self) -> None:
        Remote.reset(self)
        self.queue = Queue()
        self.pushes = Pushes(self.settings)
        self.guard = Guard(self.settings)
        self.calendar = Calendar()
        self._last_ref = 0

    def answer(self, call: Call, now: float) -> Answered:
        """Answer one call, unless the gateway does."""
        turned_away = self.guard.turn_away(call, now)
        if turned_away is not None:
            return Answered(reply=turned_away)
        allowance = None if self.is_token(call) else self.guard.count(call, now)
        if allowance is None:
            return Remote.answer(self, call, now)
        counters = allowance.headers
        if allowance.is_exceeded:
            wait = {"retry-after": str(int(allowance.until - now) + 1)} if self.settings.rate_limit_told else {}
            return Answered(reply=_with(self.refuse(429), counters | wait))
        answered = Remote.answer(self, call, now)
        return replace(answered, reply=_with(answered.reply, counters))

    def authenticate(self, visit: Visit) -> Reply | None:
        grant = self.tokens.find(visit.call, visit.now)
        if grant is None:
            return self.refuse(401)
        visit.user = grant.client_id
        return None

    def refuse(self, status: int, message: str = "", errors: Iterable[str] = ()) -> Reply:
        if status == 401:  # the one without ``errors``
            text = message or "Authentication credentials could not be found."
            return json_reply(401, {"message": text}, content_type="application/json")
        content = {"errors": list(errors), "message": message or _VOCABULARY.get(status, "Refused")}
        return json_reply(status, content, content_type=ERRORS)

    def connection(self, url: str) -> dict[str, Any]:
        return {
            "conn_type": "docplanner",
            "host": f"{url}/docplanner{BASE}",
            "login": CLIENT_ID,
            "password": CLIENT_SECRET,
            "extra": {"token_url": f"{url}/docplanner/oauth/v2/token"},
        }

    def secrets(self) -> set[str]:
        return super().secrets() | set(self.settings.push_headers.values())

    def tasks(self) -> list[Notification]:
        """None: notifications are no tasks, and actions end at once."""
        return []

    def emit(self, events: Iterable[Mapping[str, Any]], now: float) -> int:
        """Emit notifications; return how many.

        :param events: mappings with ``name`` (any; ``slot-booked``), ``data`` (invented, and different each time, where
            there are none), ``count`` (1), ``created_at`` (as it is shown, at any time), ``delay`` (0 seconds).
        """
        emitted = 0
        for event in events:
            for _ in range(event.get("count", 1)):
                at = now + event.get("delay", 0.0)
                self._tell(event.get("name", "slot-booked"), event.get("data"), at, event.get("created_at", ""))
                emitted += 1
        return emitted

    def due(self, now: float) -> list[Post]:
        return self.pushes.due(now)

    def next_due(self) -> float | None:
        return self.pushes.next_due()

    def answered(self, post: Post, answer: int | None, now: float) -> None:
        if post.is_copy:
            return
        one = self.book[post.ref]
        if self.pushes.answered(post.ref, answer, now):
            self._tell(*self.calendar.approve(one.name, one.data, now), now)

    def issue_token(self, visit: Visit) -> Reply:
        """As form fields, urlencoded or multipart, or a Basic header; for the scope ``integration`` only."""
        call = _urlencoded(visit.call)
        if call.form().get("scope", SCOPE) != SCOPE:
            return self.tokens.refuse(400, "invalid_scope", "An unsupported scope was requested.")
        reply = self.tokens.issue(call, visit.now)
        return json_reply(reply.status, {**reply.json(), "scope": None}) if reply.is_ok else reply

    def pull(self, visit: Visit) -> Reply:
        """``GET /notifications``"""
        taken = self.queue.take(1, visit.now)
        return _data(200, taken[0].content) if taken else EMPTY[self.settings.empty_answer]

    def pull_many(self, visit: Visit) -> Reply:
        """``GET /notifications/multiple``"""
        limit = number(visit.call, "limit", 0) if value(visit.call, "limit") else 1
        if not 1 <= limit <= MAX_LIMIT:
            return self.refuse(400, errors=[f"limit: This value should be between 1 and {MAX_LIMIT}."])
        taken = self.queue.take(limit, visit.now)
        if not taken:
            return EMPTY[self.settings.empty_answer]
        pulled = {self.settings.pull_member: [one.content for one in taken]}
        return _data(200, {**pulled, "remaining": self.queue.remaining(visit.now)})

    def release_notifications(self, visit: Visit) -> Reply:
        """``POST /notifications/release``"""
        if not self.pushes.may_be_released:
            return self.refuse(403)
        seconds = self.pushes.release(visit.now)
        if seconds:
            return _with(self.refuse(429), {"retry-after": str(int(seconds) + 1)})
        return Reply(status=204)

    def facilities(self, visit: Visit) -> Reply:
        return _data(200, _page([place()["facility"]], 1, MAX_LIMIT))

    def book_slot(self, visit: Visit) -> Reply:
        start = visit.names["start"]
        return self._done(visit, self.calendar.book(_place(visit), start, _fields(visit.call), visit.now))

    def move(self, visit: Visit) -> Reply:
        wanted = self.calendar.move(_place(visit), visit.names["booking"], _fields(visit.call), visit.now)
        return self._done(visit, wanted)

    def cancel(self, visit: Visit) -> Reply:
        done = self.calendar.cancel(_place(visit), visit.names["booking"], visit.now)
        if not isinstance(done, Refusal):
            self.cancelled.append(visit.names["booking"])
        return self._done(visit, done)

    def confirm(self, visit: Visit) -> Reply:
        return self._done(visit, self.calendar.confirm(_place(visit), visit.names["booking"]))

    def mark(self, visit: Visit) -> Reply:
        presence = "PRESENT" if visit.call.method == "POST" else "ABSENT"
        return self._done(visit, self.calendar.mark(_place(visit), visit.names["booking"], presence))

    def show_booking(self, visit: Visit) -> Reply:
        found = self.calendar.visit(_place(visit), visit.names["booking"])
        return self.refuse(404, "The booking was not found") if found is None else _data(200, found)

    def show_bookings(self, visit: Visit) -> Reply:
        """``GET A/bookings?start&end``"""
        start, end = value(visit.call, "start"), value(visit.call, "end")
        if not (start and end):
            return self.refuse(400, errors=["start and end: These values should not be blank."])
        found = self.calendar.visits(_place(visit), start, end)
        return _data(200, _page(found, number(visit.call, "page", 1), number(visit.call, "limit", MAX_LIMIT)))

    def add_break(self, visit: Visit) -> Reply:
        return self._done(visit, self.calendar.add_break(_place(visit), _fields(visit.call)))

    def move_break(self, visit: Visit) -> Reply:
        wanted = self.calendar.move_break(_place(visit), visit.names["break"], _fields(visit.call))
        return self._done(visit, wanted)

    def remove_break(self, visit: Visit) -> Reply:
        return self._done(visit, self.calendar.remove_break(_place(visit), visit.names["break"]))

    def replace_slots(self, visit: Visit) -> Reply:
        return self._done(visit, self.calendar.replace_slots(_place(visit), visit.now))

    def unlink(self, visit: Visit) -> Reply:
        return self._done(visit, self.calendar.unlink(_place(visit)))

    routes = (
        Route("POST", "/oauth/v2/token", issue_token, is_open=True),
        Route("GET", f"{BASE}/notifications", pull),
        Route("GET", f"{BASE}/notifications/multiple", pull_many),
        Route("POST", f"{BASE}/notifications/release", release_notifications),
        Route("GET", f"{BASE}/facilities", facilities),
        *(
            Route(method, f"{BASE}/facilities/{{facility}}/doctors/{{doctor}}/addresses/{{address}}{path}", answer)
            for method, path, answer in (
                ("POST", "/slots/{start}/book", book_slot),
                ("PUT", "/slots", replace_slots),
                ("GET", "/bookings", show_bookings),
                ("GET", "/bookings/{booking}", show_booking),
                ("PUT", "/bookings/{booking}", confirm),
                ("DELETE", "/bookings/{booking}", cancel),
                ("POST", "/bookings/{booking}/move", move),
                ("POST|DELETE", "/bookings/{booking}/presence/patient", mark),
                ("POST", "/breaks", add_break),
                ("PATCH", "/breaks/{break}", move_break),
                ("DELETE", "/breaks/{break}", remove_break),
                ("DELETE", "", unlink),
            )
        ),
    )

    def _done(self, visit: Visit, done: Done) -> Reply:
        """The answer to an action; its notification follows."""
        if isinstance(done, Refusal):
            return self.refuse(done.status, done.message, done.errors)
        self.started += 1
        if done.name and done.name not in self.settings.silent:
            data = {**place(*_place(visit)), **done.data}
            self._tell(done.name, data, visit.now + self.settings.echo_seconds)
        where = visit.call.path.partition("/bookings")[0].partition("/breaks")[0]
        location = {"location": f"{where}{done.location}"} if done.location else {}
        return (
            Reply(status=done.status, headers=location)
            if done.content is None
            else _data(done.status, done.content, location)
        )

    def _tell(self, name: str, data: Mapping[str, Any] | None, at: float, shown_at: str = "") -> None:
        """Queue a notification, or push it."""
        self._last_ref = ref = self._last_ref + 1
        one = Notification(
            ref=str(ref),
            name=name,
            rule=DEFAULT,
            created_at=at,
            begins_at=at,
            data=invented(name, ref, at) if data is None else data,
            shown_at=shown_at or moment(at),
        )
        if self.settings.push_url:
            self.book[one.ref] = one
            self.pushes.put(one)
        else:
            self.queue.put(one)


def _place(visit: Visit) -> Place:
    return visit.names["facility"], visit.names["doctor"], visit.names["address"]


def _fields(call: Call) -> dict[str, Any]:
    """The JSON object in a body; ``ValueError`` where it is none."""
    content = json.loads(call.body or b"{}")
    if not isinstance(content, dict):
        raise ValueError("The body must be a JSON object.")
    return content


def _data(status: int, content: object, headers: Mapping[str, str] | None = None) -> Reply:
    return json_reply(status, content, headers, content_type=DATA)


def _page(items: list[Any], page: int, limit: int) -> dict[str, Any]:
    pages = -(-len(items) // limit)
    return {
        "page": page,
        "limit": limit,
        "pages": pages,
        "total": len(items),
        "_items": items[(page - 1) * limit : page * limit],
    }


def _with(reply: Reply, headers: Mapping[str, str]) -> Reply:
    return replace(reply, headers={**reply.headers, **headers})


def _urlencoded(call: Call) -> Call:
    """The call with multipart form fields, as the vendor's PHP client sends them, in the other spelling."""
    kind = header(call, "content-type")
    if not kind.lower().startswith("multipart/form-data"):
        return call
    message = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + (call.body or b""))
    parts = [one for one in message.walk() if not one.is_multipart()]
    fields = {str(one.get_param("name", header="content-disposition")): one.get_payload() for one in parts}
    headers = {name: text for name, text in call.headers.items() if name.lower() != "content-type"}
    return replace(call, headers={**headers, "content-type": FORM}, body=urlencode(fields).encode())
