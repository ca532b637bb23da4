"""What counts as a reply: bytes of a remote, what they come to under both drivers, and why that is right.

RFC numbers without a name are of RFC 9112 (HTTP/1.1); SEM is RFC 9110 (its semantics).
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_taskwatch.core.reply import Flaw

JSON = b'{"n": 1}'
LENGTH = b"Content-Length: 8\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
PLAIN = OK + LENGTH + b"\r\n" + JSON
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"4\r\n" + JSON[:4] + b"\r\n4\r\n" + JSON[4:] + b"\r\n0\r\n"
PACKED = gzip.compress(JSON, mtime=0)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One reply.

    :param sent: what the remote answers with.
    :param why: the reason for what it comes to.
    :param body: what is received, where it is a reply.
    :param flaw: what is wrong, where it is none.
    :param is_reused: whether the next request may use the same connection.
    :param is_closed: whether the remote closes the connection after it, as the end of the reply.
    :param headers: some that the reply has.
    """

    sent: bytes
    why: str
    status: int = 200
    body: bytes = JSON
    flaw: Flaw | None = None
    is_reused: bool = False
    is_closed: bool = False
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()


def good(sent: bytes, why: str, **others: object) -> Row:
    """A reply after which the connection is as good as before."""
    return Row(sent=sent, why=why, is_reused=True, **others)  # type: ignore[arg-type]


def last(sent: bytes, why: str, **others: object) -> Row:
    """A reply after which nothing may be asked over the connection."""
    return Row(sent=sent, why=why, **others)  # type: ignore[arg-type]


def bad(flaw: Flaw, sent: bytes, why: str, **others: object) -> Row:
    """No reply."""
    return Row(sent=sent, why=why, flaw=flaw, **others)  # type: ignore[arg-type]


def headed(*lines: bytes) -> bytes:
    """A good reply with these header lines."""
    return OK + LENGTH + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + JSON


def of_length(*values: bytes) -> bytes:
    return OK + b"".join(b"Content-Length: " + value + b"\r\n" for value in values) + b"\r\n" + JSON


def packed(coding: bytes, body: bytes) -> bytes:
    return OK + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (coding, len(body)) + body


def chunked(chunks: bytes) -> bytes:
    return CHUNKED + chunks


def raw_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


HTTP, WHOLE, UNPACKED = Flaw.NOT_HTTP, Flaw.NOT_WHOLE, Flaw.NOT_UNPACKED

INTERIM: Mapping[str, Row] = {
    "100": good(b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN, "SEM 15.2: interim replies are read past"),
    "102": good(b"HTTP/1.1 102 Processing\r\n\r\n" + PLAIN, "SEM 15.2: also those that were added later"),
    "103": good(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + PLAIN, "SEM 15.2: with their headers"),
    "199": good(b"HTTP/1.1 199 Whatever\r\n\r\n" + PLAIN, "SEM 15.2: also unknown ones"),
    "one of each": good(
        b"".join(b"HTTP/1.1 %d x\r\n\r\n" % status for status in (100, 102, 103, 103, 150)) + PLAIN,
        "there may be several",
    ),
    "with a length": good(
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n" + PLAIN,
        "6.3: an interim reply has no body, whatever it says",
    ),
    "before a refusal": good(
        b"HTTP/1.1 102 x\r\n\r\nHTTP/1.1 404 No\r\n" + LENGTH + b"\r\n" + JSON, "the final one counts", status=404
    ),
    "100 times 100": good(b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + PLAIN, "a slow server tells that it is alive"),
    "1,000 times 100": bad(HTTP, b"HTTP/1.1 100 Continue\r\n\r\n" * 1000 + PLAIN, "without a bound they cost time"),
    "and the end": bad(
        Flaw.NOT_REPLIED, b"HTTP/1.1 103 Early Hints\r\n\r\n", "the final reply never came", is_closed=True
    ),
    "and half of a reply": bad(
        WHOLE, b"HTTP/1.1 102 x\r\n\r\nHTTP/1.1 200 OK\r\n", "the final reply was cut off", is_closed=True
    ),
    "101": bad(
        Flaw.SWITCHED,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n" + PLAIN,
        "SEM 15.2.2: final; what follows is another protocol",
    ),
}

STATUS_LINE: Mapping[str, Row] = {
    "usual": good(PLAIN, "the measure of all others"),
    "no reason phrase": good(PLAIN.replace(b"200 OK", b"200 "), "4: the phrase may be empty"),
    "no blank after the status": good(
        PLAIN.replace(b"200 OK", b"200"), "4: many leave the blank out, and nothing else fits"
    ),
    "two blanks": good(PLAIN.replace(b"1.1 200", b"1.1  200"), "4: a lenient reader may split at blanks"),
    "a phrase in UTF-8": good(PLAIN.replace(b"OK", "größer".encode()), "4: the phrase is of no interest"),
    "a phrase of 8 kB": good(PLAIN.replace(b"OK", b"x" * 8000), "4: the phrase is of no interest"),
    "empty lines before it": good(
        b"\r\n\r\n" + PLAIN, "2.2: left over from an earlier body that was sent with one too many"
    ),
    "HTTP/1.0": last(PLAIN.replace(b"1.1", b"1.0"), "9.3: it ends its connection"),
    "HTTP/1.0, kept": good(
        PLAIN.replace(b"1.1 200 OK\r\n", b"1.0 200 OK\r\nConnection: keep-alive\r\n"),
        "9.3: where it does not say otherwise",
    ),
    "HTTP/1.0, no length": last(
        b"HTTP/1.0 200 OK\r\n\r\n" + JSON, "6.3: the body ends with the connection", is_closed=True
    ),
    "HTTP/1.2": good(PLAIN.replace(b"1.1", b"1.2"), "SEM 2.5: a higher minor version is read like 1.1"),
    "600": good(PLAIN.replace(b"200", b"600"), "SEM 15: like a 5xx", status=600),
    "999": good(PLAIN.replace(b"200", b"999"), "SEM 15: like a 5xx, some say it to robots", status=999),
    "099": bad(HTTP, PLAIN.replace(b"200", b"099"), "SEM 15: no class of statuses"),
    "1000": bad(HTTP, PLAIN.replace(b"200", b"1000"), "4: three digits"),
    "20": bad(HTTP, PLAIN.replace(b"200", b"20"), "4: three digits"),
    "+200": bad(HTTP, PLAIN.replace(b"200", b"+200"), "4: three digits"),
    "words": bad(HTTP, PLAIN.replace(b"200", b"two"), "4: three digits"),
    "HTTP/2": bad(HTTP, PLAIN.replace(b"HTTP/1.1", b"HTTP/2"), "2.3: another protocol"),
    "HTTP/0.9": bad(HTTP, JSON, "no status line: nothing says that it is a reply", is_closed=True),
    "HTTP/2's preface": bad(HTTP, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "another protocol"),
    "HTTP/2's settings": bad(HTTP, b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", "another protocol, known before it ends"),
    "http in lower case": bad(HTTP, PLAIN.replace(b"HTTP", b"http"), "2.3: the name is in upper case"),
    "ICY": bad(HTTP, PLAIN.replace(b"HTTP/1.1", b"ICY"), "another protocol"),
    "SSH": bad(HTTP, b"SSH-2.0-OpenSSH_9.6\r\n", "another protocol, known before it ends"),
    "half": bad(WHOLE, b"HTTP/1.1 20", "cut off", is_closed=True),
    "nothing": bad(Flaw.NOT_REPLIED, b"", "closed without a reply", is_closed=True),
}

LONG = b"X-Policy: " + b"y" * 8180
HEADER: Mapping[str, Row] = {
    "a line of 8,190": good(headed(LONG), "some policies are that long"),
    "a line of 8,191": good(headed(LONG + b"y"), "a limit of one library is not the remote's fault"),
    "a line of 60,000": good(headed(b"X: " + b"y" * 60_000), "64 kB in all are read"),
    "a line of 65,530": good(headed(b"X: " + b"y" * 65_530), "64 kB in all are read"),
    "500 lines": good(headed(*(b"X-%d: %b" % (one, b"y" * 90) for one in range(500))), "64 kB in all are read"),
    "5,000 lines of one name": good(headed(*(b"A: %d" % one for one in range(5000))), "64 kB in all are read"),
    "a line of 100,000": bad(HTTP, headed(b"X: " + b"y" * 100_000), "more than any client needs"),
    "1,000 lines": bad(
        HTTP, headed(*(b"X-%d: %b" % (one, b"y" * 90) for one in range(1000))), "more than any client needs"
    ),
    "folded": good(headed(b"X: a", b"  b", b"\tc"), "5.2: a fold is a blank", headers=(("x", "a b c"),)),
    "folded before it begins": bad(
        HTTP, headed().replace(OK, OK + b" x: y\r\n"), "2.2: it could be part of the status line"
    ),
    "bare LF": good(PLAIN.replace(b"\r\n", b"\n"), "2.2: a recipient may take it for the end of a line"),
    "LF and CRLF": good(PLAIN.replace(b"OK\r\n", b"OK\n"), "2.2: also where both occur"),
    "a lone CR": good(headed(b"X: a\rY: b"), "SEM 5.5: a blank, and no second header", headers=(("x", "a Y: b"),)),
    "NUL": good(headed(b"X: a\0b"), "SEM 5.5: a blank", headers=(("x", "a b"),)),
    "control characters": good(headed(b"X: a\x01\x7fb"), "SEM 5.5: may be kept", headers=(("x", "a\x01\x7fb"),)),
    "VT and FF": good(headed(b"X: a\x0b\x0cb"), "they end no line", headers=(("x", "a\x0b\x0cb"),)),
    "latin-1": good(headed(b"X: gr\xfc\xdfe"), "SEM 5.5: it was the encoding once", headers=(("x", "grüße"),)),
    "UTF-8": good(headed("X: grüße".encode()), "it is what people send now", headers=(("x", "grüße"),)),
    "half a character": good(headed(b"X: \xc3"), "no UTF-8, so latin-1", headers=(("x", "\xc3"),)),
    "NEL": good(headed(b"X: a\x85b"), "it ends no line", headers=(("x", "a\x85b"),)),
    "no value": good(headed(b"X:"), "SEM 5.5: a value may be empty", headers=(("x", ""),)),
    "blanks around": good(headed(b"X: \t a b \t "), "5.1: not part of it", headers=(("x", "a b"),)),
    "twice": good(headed(b"X: a", b"x: b"), "SEM 5.3: a list", headers=(("x", "a, b"),)),
    "the same twice": good(headed(b"X: a", b"X: a"), "a proxy repeats it", headers=(("x", "a"),)),
    "a name with brackets": good(
        headed(b"X[1]: a"), "no token (SEM 5.1), and clear all the same", headers=(("x[1]", "a"),)
    ),
    "a blank in the name": bad(HTTP, headed(b"X y: a"), "SEM 5.1: no name"),
    "a blank before the colon": bad(HTTP, headed(b"X : a"), "5.1: readers differ, and it has been used to smuggle"),
    "no name": bad(HTTP, headed(b": a"), "SEM 5.1: no name"),
    "no colon": bad(HTTP, headed(b"X a"), "5: no header"),
    "an umlaut in the name": bad(HTTP, headed("ü: a".encode()), "SEM 5.1: no name"),
    "a control character in the name": bad(HTTP, headed(b"X\x01: a"), "SEM 5.1: no name"),
    "cut off": bad(WHOLE, OK + b"X: a", "cut off", is_closed=True),
    "no Date": good(PLAIN, "the driver stamps it"),
    "an odd Location": good(
        b"HTTP/1.1 302 x\r\nLocation: http://[\xff\r\n" + LENGTH + b"\r\n" + JSON, "no client follows it", status=302
    ),
    "an odd cookie": good(
        headed(b"Set-Cookie: \xff=;;; Expires=never; Domain=.", b"Set-Cookie: a"), "no client keeps it"
    ),
    "an odd encoding of an address": good(headed(b"Refresh: 0; url=//", b"Alt-Svc: x"), "no client follows it"),
}

LENGTHS: Mapping[str, Row] = {
    "equal ones": good(of_length(b"8", b"8"), "SEM 8.6: the same said twice"),
    "equal ones in one line": good(of_length(b"8, 8"), "SEM 8.6: the same said twice"),
    "equal but for zeros": good(of_length(b"8", b"008"), "SEM 8.6: the same number"),
    "different ones": bad(HTTP, of_length(b"8", b"2"), "6.3: its end is not known"),
    "different ones in one line": bad(HTTP, of_length(b"8, 2"), "6.3: its end is not known"),
    "plus": bad(HTTP, of_length(b"+8"), "SEM 8.6: digits only"),
    "minus": bad(HTTP, of_length(b"-8"), "SEM 8.6: digits only"),
    "a blank inside": bad(HTTP, of_length(b"8 8"), "SEM 8.6: digits only"),
    "hexadecimal": bad(HTTP, of_length(b"0x8"), "SEM 8.6: digits only"),
    "an underscore": bad(HTTP, of_length(b"0_8"), "SEM 8.6: digits only"),
    "other digits": bad(HTTP, of_length("٨".encode()), "SEM 8.6: ASCII"),
    "a fraction": bad(HTTP, of_length(b"8.0"), "SEM 8.6: digits only"),
    "none": bad(HTTP, of_length(b""), "SEM 8.6: digits only"),
    "a comma too many": bad(HTTP, of_length(b"8,"), "SEM 8.6: digits only"),
    "26 digits": bad(WHOLE, of_length(b"9" * 26), "a number like any other, and the body is cut off", is_closed=True),
    "5,000 digits": bad(HTTP, of_length(b"9" * 5000), "no length"),
    "zero": good(OK + b"Content-Length: 0\r\n\r\n", "an empty body", body=b""),
    "no length": last(OK + b"\r\n" + JSON, "6.3: the body ends with the connection", is_closed=True),
    "no length, no body": last(OK + b"\r\n", "6.3: the body ends with the connection", body=b"", is_closed=True),
    "less than it says": bad(WHOLE, of_length(b"99"), "8: cut off", is_closed=True),
    "more than it says": last(PLAIN + b"surplus", "6.3: what follows the end belongs to no request"),
    "a second reply": last(PLAIN + PLAIN.replace(b"1}", b"2}"), "9.2: no request asked for it"),
    "an interim reply after the end": last(PLAIN + b"HTTP/1.1 100 Continue\r\n\r\n", "9.2: no request asked for it"),
    "an empty line after the end": last(PLAIN + b"\r\n", "who says too much once is not asked again here"),
    "close": last(headed(b"Connection: close"), "9.6"),
    "close among others": last(headed(b"Connection: Keep-Alive, CLOSE"), "9.6: the stronger option counts"),
}

WITHOUT_BODY: Mapping[str, Row] = {
    "204": good(b"HTTP/1.1 204 No Content\r\n\r\n", "6.3: it has none", status=204, body=b""),
    "204 with a length of 0": good(
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "6.3: and many say so", status=204, body=b""
    ),
    "204 with a body": last(
        b"HTTP/1.1 204 No Content\r\n" + LENGTH + b"\r\n" + JSON,
        "6.3: it has none, so what comes is not read",
        status=204,
        body=b"",
    ),
    "204 with a body of no length": last(
        b"HTTP/1.1 204 No Content\r\n\r\n" + JSON, "6.3: it has none, so what comes is not read", status=204, body=b""
    ),
    "204 in chunks": last(
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS + b"\r\n",
        "6.3: it has none",
        status=204,
        body=b"",
    ),
    "304": last(
        b"HTTP/1.1 304 Not Modified\r\n\r\n", "no request asked for it, so a body may follow", status=304, body=b""
    ),
    "304 with a body": last(
        b"HTTP/1.1 304 Not Modified\r\n" + LENGTH + b"\r\n" + JSON, "6.3: it has none", status=304, body=b""
    ),
    "205 with a body": good(PLAIN.replace(b"200", b"205"), "6.3 knows no exception", status=205),
    "HEAD": last(OK + LENGTH + b"\r\n", "6.3: the length is of what GET would get", body=b"", method="HEAD"),
    "HEAD with a body": last(PLAIN, "6.3: it has none, and some send one", body=b"", method="HEAD"),
    "HEAD of chunks": last(CHUNKED, "6.3: it has none", body=b"", method="HEAD"),
}

IN_CHUNKS: Mapping[str, Row] = {
    "usual": good(chunked(CHUNKS + b"\r\n"), "7.1"),
    "one byte each": good(chunked(b"".join(b"1\r\n%c\r\n" % one for one in JSON) + b"0\r\n\r\n"), "7.1"),
    "none": good(chunked(b"0\r\n\r\n"), "7.1: an empty body", body=b""),
    "zeros": good(chunked(b"0008\r\n" + JSON + b"\r\n000\r\n\r\n"), "7.1: a number"),
    "upper and lower case": good(
        chunked(b"A\r\n" + JSON + b"  \r\n0a\r\n" + b" " * 10 + b"\r\n0\r\n\r\n"), "7.1", body=JSON + b" " * 12
    ),
    "an extension": good(
        chunked(b'8;a="b;\xff";c\r\n' + JSON + b"\r\n0;d\r\n\r\n"), "7.1.1: unknown ones are read past"
    ),
    "blanks after the size": good(chunked(b"8  \r\n" + JSON + b"\r\n0 \r\n\r\n"), "7.1.1: some fill the field up"),
    "trailers": good(chunked(CHUNKS + b"X-Sum: 5\r\nContent-Length: 99\r\n\r\n"), "7.1.2: they mean nothing to us"),
    "bare LF": good(chunked(CHUNKS + b"\r\n").replace(b"\r\n", b"\n"), "2.2: as in the head"),
    "a missing last line": last(chunked(CHUNKS), "8: whole, once the last chunk has come", is_closed=True),
    "half a trailer": last(chunked(CHUNKS + b"X-Su"), "8: whole, once the last chunk has come", is_closed=True),
    "a missing last chunk": bad(WHOLE, chunked(CHUNKS.removesuffix(b"0\r\n")), "8: cut off", is_closed=True),
    "half a chunk": bad(WHOLE, chunked(b"8\r\n" + JSON[:5]), "8: cut off", is_closed=True),
    "surplus": last(chunked(CHUNKS + b"\r\n" + PLAIN), "what follows the end belongs to no request"),
    "a prefix": bad(HTTP, chunked(b"0x8\r\n" + JSON + b"\r\n0\r\n\r\n"), "7.1: hexadecimal digits only"),
    "plus": bad(HTTP, chunked(b"+8\r\n" + JSON + b"\r\n0\r\n\r\n"), "7.1: hexadecimal digits only"),
    "minus": bad(HTTP, chunked(b"-8\r\n" + JSON + b"\r\n0\r\n\r\n"), "7.1: hexadecimal digits only"),
    "a blank before": bad(HTTP, chunked(b" 8\r\n" + JSON + b"\r\n0\r\n\r\n"), "7.1: hexadecimal digits only"),
    "no size": bad(HTTP, chunked(b"\r\n" + JSON + b"\r\n0\r\n\r\n"), "7.1: hexadecimal digits only"),
    "words": bad(HTTP, chunked(b"eight\r\n" + JSON + b"\r\n0\r\n\r\n"), "7.1: hexadecimal digits only"),
    "17 digits": bad(HTTP, chunked(b"f" * 17 + b"\r\n" + JSON), "more than there can be"),
    "a wrong size": bad(HTTP, chunked(b"7\r\n" + JSON + b"\r\n0\r\n\r\n"), "7.1: a chunk ends where it says"),
    "a line of 100,000": bad(
        HTTP, chunked(b"8;" + b"x" * 100_000 + b"\r\n" + JSON + b"\r\n0\r\n\r\n"), "7.1.1: bounded"
    ),
    "a length, too": last(
        OK + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS + b"\r\n",
        "6.3: the chunks count; the connection is done with",
    ),
    "a wrong length, too": last(
        OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS + b"\r\n", "6.3: the chunks count"
    ),
    "under HTTP/1.0": last(chunked(CHUNKS + b"\r\n").replace(b"1.1", b"1.0"), "6.1: the connection is done with"),
    "identity": good(headed(b"Transfer-Encoding: identity"), "of RFC 2616: no coding at all"),
    "twice": good(
        chunked(CHUNKS + b"\r\n").replace(OK, OK + b"Transfer-Encoding: Chunked\r\n").replace(b"Chunked", b"chunked"),
        "a proxy repeats it",
    ),
    "gzip below": bad(
        HTTP, OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS + b"\r\n", "7.4: no request asked for it"
    ),
    "gzip only": bad(HTTP, OK + b"Transfer-Encoding: gzip\r\n\r\n" + PACKED, "7.4: no request asked for it"),
    "unknown": bad(HTTP, OK + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS, "6.1: its end is not known"),
}

CODINGS: Mapping[str, Row] = {
    "gzip": good(packed(b"gzip", PACKED), "SEM 8.4.1"),
    "x-gzip": good(packed(b"X-GZIP", PACKED), "SEM 8.4.1: its other name"),
    "gzip in chunks": good(
        OK
        + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (PACKED[:1], PACKED[1:9], PACKED[9:]))
        + b"0\r\n\r\n",
        "SEM 8.4.1, over 7.1",
    ),
    "gzip in two members": good(packed(b"gzip", gzip.compress(JSON[:3]) + gzip.compress(JSON[3:])), "RFC 1952 2.2"),
    "gzip and zeros": good(packed(b"gzip", PACKED + bytes(9)), "gzip reads past what follows, too"),
    "gzip until the end": last(OK + b"Content-Encoding: gzip\r\n\r\n" + PACKED, "SEM 8.4.1", is_closed=True),
    "gzip, nothing": good(packed(b"gzip", b""), "an empty body was not packed", body=b""),
    "deflate": good(packed(b"deflate", zlib.compress(JSON)), "SEM 8.4.1"),
    "deflate, raw": good(packed(b"deflate", raw_deflate(JSON)), "SEM 8.4.1: some leave the wrapper out"),
    "two of them": good(packed(b"deflate, gzip", gzip.compress(zlib.compress(JSON))), "SEM 8.4: undone in turn"),
    "identity": good(headed(b"Content-Encoding: identity"), "SEM 12.5.3: no coding at all"),
    "no coding": good(headed(b"Content-Encoding: utf-8"), "a mistake of some servers: the body is as it is"),
    "br": good(packed(b"br", b"\x0b\x03\x80"), "it was not asked for, and is handed on as it is", body=b"\x0b\x03\x80"),
    "zstd": good(packed(b"zstd", b"\x28\xb5"), "it was not asked for, and is handed on as it is", body=b"\x28\xb5"),
    "many": good(packed(b"gzip, " * 99 + b"gzip", PACKED), "no server packs so often", body=PACKED),
    "gzip that is none": bad(UNPACKED, packed(b"gzip", JSON), "it says one thing and is another"),
    "deflate that is none": bad(UNPACKED, packed(b"deflate", b"\xff\xff" + JSON), "it says one thing and is another"),
    "gzip, cut off": bad(UNPACKED, packed(b"gzip", PACKED[:-9]), "a part of the content is missing"),
    "deflate, cut off": bad(UNPACKED, packed(b"deflate", zlib.compress(JSON)[:-5]), "a part of the content is missing"),
    "deflate of a byte": bad(UNPACKED, packed(b"deflate", b"\x78"), "a part of the content is missing"),
    "gzip with a wrong sum": bad(
        UNPACKED, packed(b"gzip", PACKED[:-8] + bytes(8)), "RFC 1952: the sum is there to be checked"
    ),
}

TABLES = {
    "interim": INTERIM,
    "status line": STATUS_LINE,
    "header": HEADER,
    "length": LENGTHS,
    "no body": WITHOUT_BODY,
    "chunks": IN_CHUNKS,
    "coding": CODINGS,
}
ROWS: Mapping[str, Row] = {f"{table}: {name}": row for table, rows in TABLES.items() for name, row in rows.items()}
