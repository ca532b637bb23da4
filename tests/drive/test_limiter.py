"""The limits and holds of the requests of a connection, in virtual time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.error import RemoteError, TokenError
from airflow_provider_taskwatch.core.flow import ask
from airflow_provider_taskwatch.core.wire import Call, Reply, get
from airflow_provider_taskwatch.drive.limiter import Limiter, Passage
from airflow_provider_taskwatch.drive.waiting import WaitingDriver, usual
from airflow_provider_taskwatch.systems.docplanner.system import is_empty, pull, release
from tests.drive.settings import settings_for
from tests.drive.station import Request, Station, http
from tests.drive.virtual import now, run
from tests.rows import each_row

GOOD = Reply(status=200)
BUSY = Reply(status=429, headers={"retry-after": "10"})
DOWN = Reply(status=503)


class Remote:
    """Answers each request after a second, and notes when it came."""

    def __init__(self, limiter: Limiter, answer: Callable[[int], Reply | None] = lambda number: GOOD) -> None:
        self.limiter = limiter
        self.answer = answer
        self.asked_at: list[float] = []
        self.second = asyncio.Event()
        self.most = 0
        self.askers: list[asyncio.Task[None] | None] = []

    async def ask(self, seconds: float = 1.0) -> None:
        async with self.limiter.passage() as passage:
            self.asked_at.append(now())
            if len(self.asked_at) == 2:
                self.second.set()
            number = len(self.asked_at)
            self.askers.append(asyncio.current_task())
            self.most = max(self.most, len(self.askers))
            try:
                await asyncio.sleep(seconds)
            finally:
                self.askers.remove(asyncio.current_task())
            passage.note(self.answer(number))

    async def ask_at_once(self, count: int) -> None:
        await asyncio.gather(*(self.ask() for _ in range(count)))


def new_limiter(concurrency: int = 100, rate: float | None = None) -> Limiter:
    return Limiter(concurrency, rate, clock=now)


def test_concurrency_limits_the_requests_at_a_time() -> None:
    async def work() -> Remote:
        remote = Remote(new_limiter(concurrency=3))
        await remote.ask_at_once(7)
        return remote

    remote = run(work())
    assert (remote.most, remote.asked_at) == (3, [0, 0, 0, 1, 1, 1, 2])


def test_rate_limits_the_requests_a_second() -> None:
    async def work() -> Remote:
        remote = Remote(new_limiter(rate=2))
        await remote.ask_at_once(5)
        await asyncio.sleep(10)
        await remote.ask_at_once(2)
        return remote

    assert run(work()).asked_at == [0, 0.5, 1, 1.5, 2, 13, 13.5]


def test_after_429_one_request_probes_when_the_hold_is_over() -> None:
    async def work() -> Remote:
        remote = Remote(new_limiter(), lambda number: BUSY if number == 1 else GOOD)
        await remote.ask()
        await remote.ask_at_once(20)
        return remote

    first, probe, *others = run(work()).asked_at
    assert (first, 11 <= probe <= 13) == (0, True)
    assert others == [probe + 1] * 19


def test_a_failed_probe_holds_all_requests_again() -> None:
    async def work() -> Remote:
        remote = Remote(new_limiter(), lambda number: BUSY if number <= 3 else GOOD)
        await remote.ask()
        await remote.ask_at_once(5)
        return remote

    asked_at = run(work()).asked_at
    gaps = [later - earlier for earlier, later in pairwise(asked_at)]
    assert all(11 <= gap <= 13 for gap in gaps[:3])
    assert gaps[3:] == [1, 0]


def test_without_retry_after_the_hold_grows_with_each_failure_in_a_row() -> None:
    async def work() -> list[float]:
        limiter = new_limiter()
        holds = []
        for reply in (DOWN, None, Reply(status=429), GOOD, DOWN):
            async with limiter.passage() as passage:
                passage.note(reply)
            holds.append(limiter.held_seconds())
        return holds

    holds = run(work())
    assert [1 <= holds[0] <= 1.2, 2 <= holds[1] <= 2.4, 4 <= holds[2] <= 4.8, 1 <= holds[4] <= 1.2] == [True] * 4
    assert holds[3] == 0


def test_many_failures_at_once_count_as_one() -> None:
    async def work() -> float:
        remote = Remote(new_limiter(), lambda number: DOWN)
        await remote.ask_at_once(16)
        return remote.limiter.held_seconds()

    assert 1 <= run(work()) <= 1.2


def test_a_good_reply_to_an_earlier_request_does_not_end_a_hold() -> None:
    async def work() -> float:
        limiter = new_limiter()
        remote = Remote(limiter, lambda number: BUSY if number == 1 else GOOD)
        await asyncio.gather(remote.ask(seconds=1), remote.ask(seconds=2))
        return limiter.held_seconds()

    assert 9 <= run(work()) <= 11


def test_a_hold_is_never_shortened() -> None:
    async def work() -> float:
        limiter = new_limiter()
        remote = Remote(
            limiter, lambda number: BUSY if number == 1 else Reply(status=429, headers={"retry-after": "1"})
        )
        await asyncio.gather(remote.ask(seconds=1), remote.ask(seconds=1))
        return limiter.held_seconds()

    assert 10 <= run(work()) <= 12


def test_a_used_up_allowance_holds_until_it_is_renewed() -> None:
    async def work() -> float:
        limiter = new_limiter()
        async with limiter.passage() as passage:
            passage.note(Reply(status=200, headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"}))
        return limiter.held_seconds()

    assert 30 <= run(work()) <= 36


def test_a_hold_concerns_requests_that_wait_for_the_rate() -> None:
    async def work() -> Remote:
        remote = Remote(new_limiter(rate=1), lambda number: BUSY if number == 1 else GOOD)
        await remote.ask_at_once(4)
        return remote

    asked_at = run(work()).asked_at
    assert asked_at[0] == 0
    assert min(asked_at[2:]) >= 11


def test_with_a_rate_the_others_follow_the_probe_one_by_one() -> None:
    async def work() -> Remote:
        remote = Remote(new_limiter(rate=1), lambda number: BUSY if number == 1 else GOOD)
        await remote.ask()
        await remote.ask_at_once(4)
        return remote

    asked_at = run(work()).asked_at[1:]
    gaps = [later - earlier for earlier, later in pairwise(asked_at)]
    assert min(gaps) >= 0.999


# --- which requests a reply concerns


async def note(limiter: Limiter, reply: Reply | None, about: str, quota: str = "", *, sent: bool = True) -> None:
    async with limiter.passage(about, quota) as passage:
        passage.note(reply, sent=sent)


LIMITED = Reply(status=429, headers={"retry-after": "3599"})


def seconds_held(limiter: Limiter, *quotas: str) -> list[bool]:
    return [limiter.held_seconds("/other", quota) > 3000 for quota in quotas]


def test_a_429_of_a_quota_holds_no_other_quota() -> None:
    async def work() -> list[bool]:
        limiter = new_limiter()
        await note(limiter, LIMITED, "/release", "release")
        async with asyncio.timeout(1):
            await note(limiter, GOOD, "/pull", "reads")
            await note(limiter, GOOD, "/pull")
        return seconds_held(limiter, "release", "reads", "")

    assert run(work()) == [True, False, False]


def test_a_429_of_the_connection_holds_every_quota() -> None:
    async def work() -> list[bool]:
        limiter = new_limiter()
        await note(limiter, LIMITED, "/tasks")
        return seconds_held(limiter, "release", "reads", "")

    assert run(work()) == [True, True, True]


def test_a_quota_opens_after_one_good_probe() -> None:
    async def work() -> list[float]:
        limiter, times = new_limiter(), []

        async def ask(reply: Reply) -> None:
            async with limiter.passage("/slots", "slots") as passage:
                times.append(now())
                await asyncio.sleep(1.0)
                passage.note(reply)

        await ask(BUSY)
        await asyncio.gather(*(ask(GOOD) for _ in range(3)))
        return times

    first, probe, *others = run(work())
    assert (first, 11 <= probe <= 13.3, others) == (0, True, [probe + 1] * 2)


def test_a_request_that_waits_for_its_ref_occupies_no_slot() -> None:
    async def work() -> float:
        limiter = new_limiter(concurrency=1)
        await note(limiter, Reply(status=503, headers={"retry-after": "100"}), "bad")
        waiting = [asyncio.create_task(note(limiter, GOOD, "bad")) for _ in range(5)]
        await asyncio.sleep(1.0)
        await note(limiter, GOOD, "good")
        await asyncio.gather(*waiting)
        return now()

    assert 100.0 <= run(work()) <= 101.0


def test_a_prober_that_must_wait_for_its_ref_lets_another_probe() -> None:
    async def work() -> float:
        limiter = new_limiter()
        await note(limiter, None, "a", sent=False)
        waiting = asyncio.create_task(note(limiter, GOOD, "bad"))
        await asyncio.sleep(0)
        limiter._subject_gate("bad").hold(limiter.passage("bad"), Reply(status=503, headers={"retry-after": "100"}))
        async with asyncio.timeout(10):
            await note(limiter, GOOD, "good")
        waiting.cancel()
        return now()

    assert run(work()) < 5.0


def test_subjects_that_were_slow_to_fail_share_a_quarter_of_the_slots() -> None:
    async def work() -> Remote:
        limiter = new_limiter(concurrency=8)
        remote = Remote(limiter)

        async def fail(about: str) -> None:
            async with limiter.passage(about) as passage:
                await asyncio.sleep(30.0)
                passage.note(None)

        await asyncio.gather(*(fail(f"slow-{number}") for number in range(8)), note(limiter, GOOD, "good"))
        await note(limiter, GOOD, "good")
        again = [asyncio.create_task(fail(f"slow-{number}")) for number in range(8)]
        await asyncio.sleep(5.0)
        before = now()
        await remote.ask_at_once(6)
        assert now() - before == pytest.approx(1.0)
        for one in again:
            one.cancel()
        return remote

    assert run(work()).most == 6


def test_subjects_that_failed_once_are_forgotten() -> None:
    async def work() -> int:
        limiter = new_limiter()
        for number in range(5000):
            await note(limiter, DOWN, f"ref-{number}")
            await note(limiter, GOOD, "good")
            await asyncio.sleep(0.5)
        return len(limiter._subjects)

    assert run(work()) <= 1001


# --- any replies

ANSWERS = [
    GOOD,
    GOOD,
    GOOD,
    DOWN,
    BUSY,
    LIMITED,
    None,
    Reply(status=503, headers={"retry-after": "30"}),
    Reply(status=200, headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": "2000"}),
]
REQUEST = st.tuples(
    st.floats(0.0, 60.0),  # when it is made
    st.sampled_from(["a", "b", "c", "d"]),
    st.sampled_from(["", "", "", "release"]),
    st.sampled_from(ANSWERS),
    st.booleans(),  # whether a lost one was sent
    st.sampled_from([0.1, 5.0, 31.0]),  # how long it takes
    st.one_of(st.none(), st.floats(0.0, 90.0)),  # after which time it is given up
)


@given(requests=st.lists(REQUEST, max_size=25), concurrency=st.integers(1, 4), rate=st.sampled_from([None, 2.0]))
def test_after_any_replies_all_requests_pass_and_no_limit_is_exceeded(
    requests: list[tuple[float, str, str, Reply | None, bool, float, float | None]],
    concurrency: int,
    rate: float | None,
) -> None:
    under_way, most, starts = 0, 0, list[float]()

    async def ask(
        limiter: Limiter, at: float, about: str, quota: str, reply: Reply | None, sent: bool, takes: float
    ) -> None:
        nonlocal under_way, most
        await asyncio.sleep(at)
        async with limiter.passage(about, quota) as passage:
            under_way += 1
            most = max(most, under_way)
            starts.append(now())
            try:
                await asyncio.sleep(takes)
                passage.note(reply, sent=sent)
            finally:
                under_way -= 1

    async def work() -> None:
        limiter = new_limiter(concurrency, rate)
        tasks = []
        for *request, given_up in requests:
            tasks.append(asyncio.create_task(asyncio.wait_for(ask(limiter, *request), given_up)))
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(one) for one in ends} <= {type(None), TimeoutError}
        for about in ("a", "b", "c", "d"):  # and nothing is left behind
            await ask(limiter, 0.0, about, "release", GOOD, True, 0.1)

    run(work())
    assert most <= concurrency
    if rate:
        assert all(later - earlier >= 0.99 / rate for earlier, later in pairwise(starts))


# --- a token


class NoToken:
    """A credential whose endpoint fails a number of times."""

    is_ready = False

    def __init__(self, *, is_lasting: bool = False, times: int = 100) -> None:
        self.asked = 0
        self._times = times
        self._is_lasting = is_lasting

    def sign(self, call: Call, refused: Call | None = None) -> Call:
        self.asked += 1
        if self.asked > self._times:
            return call
        raise TokenError("no token: the endpoint is down", transient=True, is_lasting=self._is_lasting)


async def test_a_token_endpoint_that_is_down_holds_the_connection(remote: Station) -> None:
    driver = WaitingDriver(settings_for(remote), credential=NoToken())
    with pytest.raises(TokenError):
        await driver.run(ask(get("/")))
    await driver.close()
    assert driver.limiter.held_seconds() > 0.5


async def test_a_token_after_a_failure_opens_all_gates(remote: Station) -> None:
    driver = WaitingDriver(settings_for(remote), credential=(credential := NoToken(times=1)))
    with pytest.raises(TokenError):
        await driver.run(ask(get("/")))
    async with asyncio.timeout(10):
        await driver.run(ask(get("/")))
    await driver.close()
    assert (credential.asked, driver.limiter.held_seconds("a token"), driver.limiter._is_calm) == (2, 0.0, True)


async def test_later_requests_get_the_lasting_failure_of_the_token_at_once(remote: Station) -> None:
    driver = WaitingDriver(settings_for(remote), credential=(credential := NoToken(is_lasting=True)))
    for _ in range(20):
        with pytest.raises(TokenError, match="the endpoint is down"):
            await driver.run(ask(get("/")))
    await driver.close()
    assert credential.asked <= 3


# --- cancellation


@each_row("seconds", [0.0, 0.5, 1.5, 9.0, 12.5])
@each_row("rate", [None, 1.0])
def test_a_request_that_is_cancelled_at_any_moment_leaves_its_slot(seconds: float, rate: float | None) -> None:
    async def work() -> tuple[int, int]:
        remote = Remote(new_limiter(concurrency=2, rate=rate), lambda number: BUSY if number == 1 else GOOD)
        await remote.ask()
        waiting = [asyncio.create_task(remote.ask()) for _ in range(6)]
        await asyncio.sleep(seconds)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        before = len(remote.asked_at)
        remote.most = 0
        async with asyncio.timeout(100):
            await remote.ask_at_once(6)
        return len(remote.asked_at) - before, remote.most

    assert run(work()) == (6, 2)


def test_a_probe_that_is_cancelled_lets_another_probe() -> None:
    async def work() -> Remote:
        remote = Remote(new_limiter(), lambda number: BUSY if number == 1 else GOOD)
        await remote.ask()
        waiting = [asyncio.create_task(remote.ask()) for _ in range(4)]
        await remote.second.wait()
        next(task for task in waiting if task in remote.askers).cancel()
        async with asyncio.timeout(10):
            await asyncio.gather(*waiting, return_exceptions=True)
        return remote

    _, probe, second, *others = run(work()).asked_at
    assert second == pytest.approx(probe, abs=0.2)
    assert others == [second + 1] * 2


def test_a_probe_that_is_cancelled_while_it_waits_for_the_rate_lets_another_probe() -> None:
    async def work() -> int:
        remote = Remote(new_limiter(rate=0.01), lambda number: BUSY if number == 1 else GOOD)
        await remote.ask()
        probe = asyncio.create_task(remote.ask())
        await asyncio.sleep(20)
        probe.cancel()
        async with asyncio.timeout(1000):
            await remote.ask()
        return len(remote.asked_at)

    assert run(work()) == 2


def test_a_probe_without_a_reply_lets_another_probe() -> None:
    async def work() -> int:
        remote = Remote(new_limiter(), lambda number: BUSY if number == 1 else GOOD)
        await remote.ask()
        with pytest.raises(ZeroDivisionError):
            async with remote.limiter.passage():
                raise ZeroDivisionError
        async with asyncio.timeout(10):
            await remote.ask_at_once(2)
        return len(remote.asked_at)

    assert run(work()) == 3


# --- in the driver


async def test_a_429_of_docplanners_release_holds_no_pull(remote: Station) -> None:
    remote.answer = lambda request: (http(429, Retry_After="3599") if "release" in request.target else http(204),)
    driver = WaitingDriver(settings_for(remote))
    with pytest.raises(RemoteError, match="429"):
        await driver.run(release())
    async with asyncio.timeout(10):
        assert is_empty(await driver.run(pull()))
    await driver.close()
    assert driver.limiter.held_seconds("/", "release") > 3000


async def test_the_driver_keeps_the_concurrency_of_its_connection(remote: Station) -> None:
    driver = WaitingDriver(settings_for(remote, concurrency=3), limiter=(limiter := Counting(3)))
    await asyncio.gather(*(driver.run(ask(get("/"))) for _ in range(12)))
    await driver.close()
    assert (limiter.most, len(remote.requests)) == (3, 12)


@pytest.mark.parametrize("answer", [(http(503),), ()], ids=["503", "lost"])
async def test_a_failure_in_the_driver_holds_its_subject(remote: Station, answer: tuple[bytes, ...]) -> None:
    remote.answer = lambda request: answer
    driver = WaitingDriver(settings_for(remote))
    with pytest.raises(Exception, match=r"503|lost"):
        await driver.run(ask(get("/")))
    await driver.close()
    assert driver.limiter.held_seconds("/ ") > 0.5


async def test_the_driver_obeys_retry_after(remote: Station) -> None:
    remote.say(429, Retry_After="7")
    driver = WaitingDriver(settings_for(remote))
    with pytest.raises(RemoteError, match="answered 429"):
        await driver.run(ask(get("/")))
    await driver.close()
    assert 6 < driver.limiter.held_seconds("/ ") <= 8.4


async def test_a_cancelled_request_gives_its_slot_back(remote: Station) -> None:
    asked = threading.Event()

    def answer(request: Request) -> Iterator[bytes]:
        asked.set()
        remote.stopping.wait(10)
        yield b""

    remote.answer = answer
    driver = WaitingDriver(settings_for(remote, concurrency=1))
    stuck = asyncio.create_task(driver.run(ask(get("/"))))
    await asyncio.to_thread(asked.wait, 10)
    stuck.cancel()
    remote.say(200)
    async with asyncio.timeout(10):
        assert (await driver.run(ask(get("/")))).is_ok
    await driver.close()


@pytest.mark.parametrize("sudden", [2.0, 1000.0])
def test_the_usual_latency_ignores_a_moment_in_which_all_replies_are_late(sudden: float) -> None:
    latency = usual(0.0, 0.1)
    for _ in range(64):
        latency = usual(latency, sudden)
    assert latency < 0.12
    for _ in range(60):
        latency = usual(latency, 0.1)
    assert latency == pytest.approx(0.1, rel=0.02)


def test_the_usual_latency_follows_a_slower_remote() -> None:
    latency = 0.1
    for _ in range(1000):
        latency = usual(latency, 0.5)
    assert latency == 0.5


async def test_the_latency_is_that_of_the_remote(remote: Station) -> None:
    driver = WaitingDriver(settings_for(remote))
    await driver.run(ask(get("/")))
    await driver.close()
    assert 0 < driver.latency < 1


class Counting(Limiter):
    """Counts the requests that are inside at a time."""

    most = inside = 0

    async def enter(self, request: Passage) -> None:
        await super().enter(request)
        self.inside += 1
        self.most = max(self.most, self.inside)

    def leave(self, request: Passage) -> None:
        self.inside -= 1
        super().leave(request)
