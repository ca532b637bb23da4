"""The one reader of replies: however the bytes are cut, whatever they are."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_taskwatch.core.reply import (
    MAX_HEAD_BYTES,
    MAX_INTERIM_REPLIES,
    BrokenReplyError,
    Flaw,
    ReplyReader,
)
from airflow_provider_taskwatch.core.wire import MAX_REPLY_BYTES
from tests.drive.contract import CHUNKED, CHUNKS, JSON, LENGTH, OK, PACKED, PLAIN, ROWS, packed
from tests.rows import each_row

NOW = 1792566000.0
KINDS = [PLAIN, CHUNKED + CHUNKS + b"\r\n", packed(b"gzip", PACKED), b"HTTP/1.1 103 x\r\n\r\n" + PLAIN]
WORDS = [b"HTTP/1.1 ", b"200", b"103", b" OK", b"\r\n", b"\n", b"\r", b": ", b"Content-Length", b"0", b"8", b";", b"a"]
WORDS += [b"Transfer-Encoding", b"chunked", b"Content-Encoding", b"gzip", b"deflate", b"\0", b"\xff", b" ", b",", JSON]


def outcome(pieces, method="GET"):
    """What comes of these pieces and the end of the connection: a reply, or a flaw."""
    reader = ReplyReader(method, lambda: NOW)
    try:
        for piece in pieces:
            reader.feed(piece)
        reader.end()
    except BrokenReplyError as broken:
        return broken.flaw
    return reader.reply


@each_row("row", ROWS.values(), ids=ROWS)
def test_a_reply_that_comes_byte_by_byte_is_the_same(row):
    if len(row.sent) < 20_000:
        pieces = [bytes([one]) for one in row.sent]
        assert outcome(pieces, row.method) == outcome([row.sent], row.method)


@given(st.sampled_from(KINDS), st.lists(st.integers(0, 200), max_size=6))
def test_a_reply_is_the_same_for_any_two_pieces(sent, cuts):
    places = [0, *sorted(min(cut, len(sent)) for cut in cuts), len(sent)]
    assert outcome(sent[start:end] for start, end in itertools.pairwise(places)).body == JSON


@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_any_pieces_are_a_reply_or_have_a_flaw(pieces):
    sent = b"".join(pieces)
    whole = outcome([sent])
    assert whole is not None
    assert outcome([bytes([one]) for one in sent]) == whole


@given(st.binary(max_size=300))
def test_any_bytes_after_a_head_are_a_reply_or_have_a_flaw(body):
    for head in (
        OK + b"\r\n",
        CHUNKED,
        OK + b"Content-Encoding: gzip\r\n\r\n",
        OK + b"Content-Encoding: deflate\r\n\r\n",
    ):
        assert outcome([head + body]) is not None


@given(st.sampled_from(KINDS), st.integers(0, 200), st.integers(0, 255))
def test_a_reply_with_one_wrong_byte_is_a_reply_or_has_a_flaw(sent, place, byte):
    place = min(place, len(sent) - 1)
    assert outcome([sent[:place] + bytes([byte]) + sent[place + 1 :]]) is not None


@each_row("sent", KINDS, ids=["plain", "chunks", "gzip", "interim"])
def test_a_part_of_a_reply_is_not_a_reply(sent):
    flaws = {outcome([sent[:end]]) for end in range(1, len(sent) - 3)}
    assert flaws <= {Flaw.NOT_WHOLE, Flaw.NOT_REPLIED, Flaw.NOT_UNPACKED}


def test_a_reply_is_stamped_when_it_is_whole():
    assert outcome([PLAIN]).received_at == NOW


def test_a_reply_that_is_too_long_has_a_beginning():
    reader = ReplyReader("GET", lambda: NOW)
    with pytest.raises(BrokenReplyError) as caught:
        reader.feed(OK + b"\r\n" + b"x" * (MAX_REPLY_BYTES + 5))
    beginning = caught.value.beginning
    assert (caught.value.flaw, beginning.status, len(beginning.body)) == (Flaw.TOO_LONG, 200, MAX_REPLY_BYTES)


def test_bytes_after_a_reply_end_its_connection():
    reader = ReplyReader("GET", lambda: NOW)
    reader.feed(OK + LENGTH + b"\r\n" + JSON)
    assert reader.is_reusable
    reader.feed(b"HTTP/1.1 200 OK\r\n")
    assert (reader.is_reusable, reader.reply.body) == (False, JSON)


def test_endless_framing_is_not_a_reply():
    assert outcome([CHUNKED, *[b"1;" + b"x" * 10_000 + b"\r\n \r\n"] * 1000]) is Flaw.NOT_HTTP


@each_row(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * (MAX_INTERIM_REPLIES + 1),
        b"\r\n".join([b""] * 3) + b"HTTP/1.1 103 x\r\n\r\n" * MAX_INTERIM_REPLIES,
    ],
)
def test_a_head_has_a_limit_in_one_piece_too(data):
    with pytest.raises(BrokenReplyError) as caught:
        ReplyReader("GET", lambda: 0.0).feed(data)
    assert caught.value.flaw is Flaw.NOT_HTTP
