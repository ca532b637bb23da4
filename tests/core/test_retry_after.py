from __future__ import annotations

import pytest

from airflow_provider_taskwatch.core.error import RemoteError
from airflow_provider_taskwatch.core.flow import ask
from airflow_provider_taskwatch.core.retry_after import retry_after, said_at
from airflow_provider_taskwatch.core.wire import Reply, get
from tests.play import play
from tests.rows import each_row

READ = get("/x", {"q": 1})
NOW = "Wed, 21 Oct 2026 07:00:00 GMT"


@each_row(
    "value, seconds",
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("86400", 3600.0),
        ("9" * 5000, 3600.0),
        ("Wed, 21 Oct 2026 07:01:30 GMT", 90.0),
        ("Wed, 21 Oct 2026 09:01:30 +0200", 90.0),
        ("Wed, 21 Oct 2026 06:59:00 GMT", 0.0),
        ("Fri, 21 Oct 2050 07:00:00 GMT", 3600.0),
        ("Wed, 21 Oct 2026 07:01:30 -0000", None),
        ("Wednesday, 21-Oct-26 07:01:30 GMT", 90.0),
        ("Wed Oct 21 07:01:30 2026", 90.0),
        ("9.5", 9.5),
        ("0.25", 0.25),
        ("9.", 9.0),
        ("99999.5", 3600.0),
        (".5", None),
        ("9,5", None),
        ("+9", None),
        ("1e3", None),
        ("0x9", None),
        ("nan", None),
        ("inf", None),
        ("-0.5", None),
        ("٩", None),
        ("9 s", None),
        ("Wed, 32 Oct 2026 07:01:30 GMT", None),
        ("Wed, 21 Oct 2026 07:01:30 +99999999999999999999", None),
        ("-5", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_bounded(value, seconds):
    assert retry_after({"retry-after": value, "date": NOW}) == seconds


RECEIVED_AT = 1792566000.0  # what NOW is, too
LATER = "Wed, 21 Oct 2026 07:01:30 GMT"


def test_a_date_without_any_clock_is_ignored():
    assert retry_after({"retry-after": LATER}) is None
    assert retry_after({}) is None


@each_row("date", [{}, {"date": ""}, {"date": "yesterday"}, {"date": "Wed, 99 Oct 2026 07:00:00 GMT"}])
def test_a_date_is_read_against_our_clock_where_the_reply_has_no_date(date):
    assert retry_after({"retry-after": LATER, **date}, RECEIVED_AT) == 90.0
    assert said_at(Reply(status=200, headers=date, received_at=RECEIVED_AT)) == RECEIVED_AT


def test_a_date_is_read_against_the_date_of_the_reply():
    assert retry_after({"retry-after": LATER, "date": NOW}, RECEIVED_AT + 60) == 90.0
    assert said_at(Reply(status=200, headers={"date": NOW}, received_at=0.0)) == RECEIVED_AT


def test_an_error_carries_the_seconds_until_the_date():
    with pytest.raises(RemoteError) as caught:
        play(ask(READ), Reply(status=503, headers={"retry-after": LATER}, received_at=RECEIVED_AT))
    assert caught.value.retry_after == 90.0


@each_row(
    "reset, seconds",
    [
        (str(int(RECEIVED_AT) + 40), 40.0),
        (f"{RECEIVED_AT + 40.5:.1f}", 40.5),
        (str(int(RECEIVED_AT) - 40), 0.0),
        (str(int(RECEIVED_AT) + 9999), 3600.0),
        ("2026-10-21T07:00:40Z", 40.0),
        ("2026-10-21T07:00:40", None),
        (str(int(RECEIVED_AT) * 1000), None),
        ("30", None),
        ("9.5", None),
        ("-5", None),
        ("9" * 5000, None),
        ("soon", None),
    ],
)
def test_the_end_of_a_rate_limit_is_read_in_both_forms(reset, seconds):
    assert retry_after({"x-ratelimit-reset": reset}, RECEIVED_AT) == seconds


def test_the_end_of_a_rate_limit_replaces_a_missing_retry_after():
    headers = {"x-ratelimit-reset": "2026-10-21T09:01:30+02:00", "date": NOW}
    assert retry_after(headers) == 90.0
    assert retry_after({**headers, "retry-after": "7"}) == 7.0
