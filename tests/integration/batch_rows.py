"""What `POST /api/batch` can say and get wrong, as rows: its lines, where they are cut, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tests.integration.push_rows import ENVELOPE_BYTES, HEARD, MAX_TARGETS, MESSAGE_BYTES, PASSING, TOO_MUCH, push
from tests.integration.ways import GO, KEYS, Row, request

PATH: Final = "/api/batch"
LINE: Final = b'{"channel":"b","data":1}'
CHUNKED: Final = request(PATH, None, "Transfer-Encoding: chunked")
LAST: Final = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """Return a chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def chunks(data: bytes, size: int) -> bytes:
    """Return a chunked body in chunks of a size."""
    return b"".join(chunk(data[start : start + size]) for start in range(0, len(data), size)) + LAST


def batch(name: str, body: bytes, status: int, published: int = 0, **more: Any) -> Iterator[Row]:
    """Yield the rows of one batch: with a length, and chunked."""
    yield Row(name, request(PATH, body, **more), [status], published)
    head = request(PATH, None, "Transfer-Encoding: chunked", **more)
    yield Row(f"{name}, chunked", head + chunks(body, max(len(body) // 3, 1)), [status], published)


def _lines() -> Iterator[Row]:
    """Where lines begin and end."""
    for name, body, published in (
        ("nothing", b"", 0),
        ("a line break", b"\n", 0),
        ("blanks", b" \r\n\r\n\t\n \n", 0),
        ("one", LINE + b"\n", 1),
        ("one without its end", LINE, 1),
        ("two", LINE + b"\n" + LINE + b"\n", 2),
        ("CRLF", LINE + b"\r\n" + LINE + b"\r\n", 2),
        ("blank lines between", b"\n\r\n" + LINE + b"\n\n\n" + LINE + b"\n\n", 2),
        ("white space around", b"\t " + LINE + b" \t\r\n " + LINE + b" ", 2),
        ("500", (LINE + b"\n") * 500, 500),
    ):
        yield from batch(f"lines: {name}", body, 200, published)
    for name, body in (
        ("CR alone", LINE + b"\r" + LINE),
        ("a record separator", LINE + b"\x1e" + LINE),
        ("a comma", LINE + b"," + LINE),
        ("a list", b"[" + LINE + b"," + LINE + b"]"),
        ("broken over two lines", LINE[:9] + b"\n" + LINE[9:]),
        ("form feed", b"\x0c"),
    ):
        yield from batch(f"lines: {name}", body, 422)
    yield from batch("lines: a data of several lines", LINE[:9] + b"\n" + LINE[9:] + b"\n" + LINE, 200, 1)


def _outcomes() -> Iterator[Row]:
    """What becomes of lines."""
    good = push(channel="b") + b"\n"
    yield from batch("all kinds", good + push(channel=HEARD) + b"\n" + push(client="n", ttl=0), 200, 3)
    yield from batch("several targets", push(channels=["b", "d", HEARD]) + b"\n" + push(clients=["n"], ttl=0), 200, 4)
    yield from batch("many targets", push(clients=[f"n{n}" for n in range(450)], ttl=0) + b"\n" + good, 200, 451)
    yield from batch("too many targets", push(channels=["x"] * (MAX_TARGETS + 1)) + b"\n" + good, 200, 1)
    for name, bad in (
        ("no JSON", b"x"),
        ("no UTF-8", b'{"channel":"b","data":"\xff"}'),
        ("unknown field", push(channel="b", x=1)),
        ("no target", push()),
        ("bad name", push(channel="a b")),
        ("too deep", b'{"channel":"b","data":%b%b}' % (b"[" * 5000, b"]" * 5000)),
        ("data too large", push(channel="b", data="x" * MESSAGE_BYTES)),
        ("to everyone without its scope", push(everyone=True)),
        ("to * without its scope", push(channel="*")),
        ("store full", push(client="s", data="x" * TOO_MUCH)),
    ):
        yield from batch(f"the second: {name}", good + bad + b"\n" + good, 200, 2)
        yield from batch(f"the only one: {name}", bad, 422)
    yield from batch("to everyone", push(everyone=True) + b"\n" + push(channel="*"), 200, 2, key=KEYS["admin"])
    yield from batch("some targets refuse", push(channels=["s", "@s"], data="x" * TOO_MUCH), 200, 1)
    yield from batch("99 bad ones", b"x\n" * 99, 422)
    yield from batch("100 bad ones and a good one", b"x\n" * 100 + good, 200, 1)
    yield from batch("250 bad ones and a good one", b"x\n" * 250 + good, 200, 1)
    yield from batch("250 bad ones", b"\n" + b"[]\r\n" * 250, 422)
    yield from batch("ttl", b"\n".join(push(channel=PASSING, ttl=ttl) for ttl in (0, 1, -1, "1")), 200, 2)
    key = push(channel="b", key="_RUN_b")
    yield Row("a key that is repeated", request(PATH, key + b"\n" + key), [200], 1)
    full = push(client="b_RUN_") + b"\n"
    yield Row("a mailbox that is full", request(PATH, full * 3), [200], 2)
    mixed = push(client="m_RUN_") + b"\n"
    yield Row(
        "a mailbox that is full, before what is no JSON", request(PATH, mixed * 3 + b"{\n" + mixed + b"{"), [200], 2
    )
    only = push(clients=["e_RUN_", "o_RUN_"]) + b"\n"
    yield Row("a mailbox that is full, and no other", request(PATH, only * 2) + request(PATH, only * 2), [200, 422], 4)
    most = ENVELOPE_BYTES + MESSAGE_BYTES
    for name, size in (("as long as may be", most), ("too long", most + 1)):
        sent = request(PATH, b'"' + b"x" * (size - 2) + b'"\n' + LINE)
        yield Row(f"a line {name}", sent, [200], 1)
    yield Row("a line too long, no end", request(PATH, b"x" * (most + 1)), [422])


def _cuts() -> Iterator[Row]:
    """Where the body is cut, in chunks and on the wire."""
    body = '{"channel":"grüße","data":"\U0001f600 ü"}\r\n\n{"channel":"b","data":"€"}'.encode()
    for size in (1, 2, 3, 5, 7, len(body)):
        yield Row(f"chunks of {size}", CHUNKED + chunks(body, size), [200], 2)
        yield Row(f"chunks of {size}, 7 bytes at once", CHUNKED + chunks(body, size), [200], 2, cut=7)
    yield Row("byte by byte", request(PATH, body), [200], 2, cut=1)
    yield Row("byte by byte, chunked", CHUNKED + chunks(body, 4), [200], 2, cut=1)
    bad = '{"channel":"b","data":"ü€\U0001f600'.encode() + b"\xf0\x9f\n" + LINE
    yield Row("no UTF-8, in chunks of 1", CHUNKED + chunks(bad, 1), [200], 1)
    again = b"".join([CHUNKED, chunks(LINE, 9), request(PATH, LINE), request("/api/push", LINE), CHUNKED, LAST])
    yield Row("one behind the other", again, [200] * 4, 3)
    yield Row("one behind the other, byte by byte", again, [200] * 4, 3, cut=1)
    told = request(PATH, None, "Expect: 100-continue", "Transfer-Encoding: chunked")
    yield Row("100-continue", [told, GO, chunks(body, 10)], [100, 200], 2)
    yield Row("100-continue, and not waited for", told + chunks(body, 10), [100, 200], 2)
    yield Row("a chunk, a bad one", CHUNKED + chunk(LINE + b"\n") + b"zz\r\n", [400], None, stays=False)
    yield Row("a chunk too long by one", CHUNKED + b"18\r\n" + LINE + b"\n\r\n" + LAST, [400], stays=False)
    large = b"".join(push(channel="b", ttl=0, data="x" * 3000) + b"\n" for _ in range(400))
    yield Row("a megabyte", request(PATH, large), [200], 400)
    yield Row("a megabyte, chunked", CHUNKED + chunks(large, 10_000), [200], 400)


ROWS: Final = [row for rows in (_lines, _outcomes, _cuts) for row in rows()]
