"""Where the body of a push or a batch ends, as rows: Content-Length, Transfer-Encoding, Expect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.integration.batch_rows import LAST, chunk, chunks
from tests.integration.head_rows import GOOD, KEEP, PATHS, PUSH, SMUGGLED, broken
from tests.integration.push_rows import ENVELOPE_BYTES, MESSAGE_BYTES, code
from tests.integration.ways import GO, KEYS, Row, request

MOST: Final = ENVELOPE_BYTES + MESSAGE_BYTES


def _lengths() -> Iterator[Row]:
    """Content-Length."""
    for path in PATHS:
        status = 400 if path == "/api/push" else 200
        yield Row(f"{path} without a length", request(path, None) + GOOD, [status, 200], 1)
        yield Row(f"{path} of length 0", request(path, b"") + GOOD, [status, 200], 1)
        zeros = request(path, None, f"Content-Length: {len(PUSH):020}") + PUSH
        yield Row(f"{path} of a length with zeros", zeros, [200], 1)
        for given in (
            ["+5"],
            ["-5"],
            ["5 5"],
            ["0x18"],
            ["5, 5"],
            ["5,5"],
            ["5", "5"],
            ["5", "6"],
            ["24;"],
            [""],
            ["2\x004"],
            ["\xb2"],
            ["9" * 5000],
            ["0" * 21],
            ["1" + "0" * 19],
            ["18446744073709551616"],
        ):
            sent = request(path, None, *[f"Content-Length: {each}" for each in given]) + PUSH + SMUGGLED
            early = given == ["1" + "0" * 19]
            if early and path == "/api/batch":
                continue  # it may be as long as it says
            name = f"{path} of length {given}"[:60]
            yield Row(name, sent, [413], stays=False) if early else broken(name, sent, 400)
        for line in ("Content-Length : 24", "Content-Length\t: 24", " Content-Length: 24", "X: y\n Content-Length: 24"):
            sent = request(path, None, line) + PUSH + SMUGGLED
            yield broken(f"{path} with {line!r}", sent, 400)
        short = request(path, None, "Content-Length: 23") + PUSH + SMUGGLED
        yield Row(
            f"{path} of a length too short",
            short,
            [400 if path == "/api/push" else 422, 400],
            stays=False,
            differs="unreadable",
        )
    over = request("/api/push", None, f"Content-Length: {MOST + 1}")
    yield Row("a body too large", over, [413], stays=False)
    yield Row("a body too large, and it comes", over + b"x" * (MOST + 1), [413], stays=False)
    yield Row("a body too large, 100-continue", _expect(over), [413], stays=False)
    yield Row("a body as large as may be", request("/api/push", b" " * (MOST - len(PUSH)) + PUSH), [200], 1)
    head = request("/api/push", None, "Transfer-Encoding: chunked")
    yield Row("chunks too large", head + chunks(b"x" * (MOST + 1), 500_000) + SMUGGLED, [413], stays=False)
    yield Row("a chunk too large", head + b"fffffffff\r\n" + b"x" * (MOST + 1), [413], stays=False)
    yield Row("chunks as large as may be", head + chunks(b" " * (MOST - len(PUSH)) + PUSH, 500_000), [200], 1)
    longer = request("/api/push", None, f"Content-Length: {len(PUSH) + len(GOOD)}")
    yield Row("a length that takes the next in", longer + PUSH + GOOD + GOOD, [400, 200], 1)


def _expect(head: bytes) -> bytes:
    return head.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")


def _codings() -> Iterator[Row]:
    """Transfer-Encoding."""
    for path in PATHS:
        head = request(path, None, "Transfer-Encoding: chunked")
        for name, body in (
            ("one", chunks(PUSH, 99)),
            ("many", chunks(PUSH, 1)),
            ("extensions", b'C;a=b;c="d e";f\r\n' + PUSH[:12] + b"\r\n0c;\r\n" + PUSH[12:] + b"\r\n0;x\r\n\r\n"),
            ("zeros", b"0000000018\r\n" + PUSH + b"\r\n000\r\n\r\n"),
            ("trailers", chunk(PUSH) + b"0\r\nX: y\r\nContent-Length: 5\r\n\r\n"),
        ):
            yield Row(f"{path} in chunks: {name}", head + body + GOOD, [200, 200], 2)
            yield Row(f"{path} in chunks: {name}, byte by byte", head + body + GOOD, [200, 200], 2, cut=1)
        for name, body in (
            ("no size", b"\r\n"),
            ("no number", b"zz\r\n"),
            ("a sign", b"-1\r\n"),
            ("a plus", b"+18\r\n" + PUSH + b"\r\n" + LAST),
            ("0x", b"0x18\r\n" + PUSH + b"\r\n" + LAST),
            ("an underscore", b"1_8\r\n" + PUSH + b"\r\n" + LAST),
            ("white space behind the size", b"18 \r\n" + PUSH + b"\r\n" + LAST),
            ("white space before the size", b" 18\r\n" + PUSH + b"\r\n" + LAST),
            ("LF", b"18\n" + PUSH + b"\n0\n\n"),
            ("LF behind the data", b"18\r\n" + PUSH + b"\n" + LAST),
            ("too long", b"17\r\n" + PUSH + b"\r\n" + LAST),
            ("too short", b"19\r\n" + PUSH + b"\r\n" + LAST),
            ("a size without an end", b"1" * 1500),
            ("an extension without an end", b"18;" + b"x" * 1500),
            ("a control character in an extension", b"18;\x01\r\n" + PUSH + b"\r\n" + LAST),
            ("LF in an extension", b"18;a\nb\r\n" + PUSH + b"\r\n" + LAST),
            ("NUL for a size", b"\0\r\n"),
        ):
            sent = head + body + SMUGGLED
            yield Row(f"{path}, bad chunks: {name}", sent, [400], stays=False, says=code("bad-request"))
        trailers = chunk(PUSH) + b"0\r\n" + b"X: y\r\n" * 20_000 + b"\r\n"
        yield Row(f"{path}, too many trailers", head + trailers, [400], stays=False)
        old = request(path, None, "Transfer-Encoding: chunked", KEEP, version="1.0") + chunks(PUSH, 9) + SMUGGLED
        yield broken(f"{path} in chunks, 1.0", old, 400)
        for coding, status in (
            ("Chunked", 200),
            ("CHUNKED", 200),
            ("chunked ", 200),
            ("\tchunked", 200),
            ("gzip, chunked", 501),
            ("gzip", 400),
            ("identity", 400),
            ("xchunked", 400),
            ("chunked, chunked", 400),
            ("chunked;q=1", 400),
            ("chunked, identity", 400),
            ("", 400),
            ('"chunked"', 400),
            ("\x0bchunked", 400),
        ):
            sent = request(path, None, f"Transfer-Encoding: {coding}") + chunks(PUSH, 9)
            name = f"{path} as {coding!r}"
            yield Row(name, sent + GOOD, [200, 200], 2) if status == 200 else broken(name, sent + SMUGGLED, status)
        for lines in (
            ["Content-Length: 24", "Transfer-Encoding: chunked"],
            ["Transfer-Encoding: chunked", "Content-Length: 24"],
            ["Transfer-Encoding: identity", "Content-Length: 24"],
            ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
            ["Transfer-Encoding : chunked"],
            ["Transfer-Encoding\t: chunked"],
            [" Transfer-Encoding: chunked"],
            ["Transfer-Encoding:\r\n chunked"],
            ["X: y\n Transfer-Encoding: chunked"],
            ["X: y\rTransfer-Encoding: chunked"],
            ["Transfer_Encoding: chunked", "Transfer-Encoding: x"],
        ):
            sent = request(path, None, *lines) + chunks(PUSH, 9) + SMUGGLED
            yield broken(f"{path} with {lines}", sent, 400)


def _expectations() -> Iterator[Row]:
    """Expect."""
    for path in PATHS:
        head = request(path, None, "Expect: 100-continue", f"Content-Length: {len(PUSH)}")
        yield Row(f"{path} 100-continue", [head, GO, PUSH + GOOD], [100, 200, 200], 2)
        yield Row(f"{path} 100-continue, not waited for", head + PUSH + GOOD, [100, 200, 200], 2)
        yield Row(f"{path} 100-Continue", [head.replace(b"100-c", b"100-C"), GO, PUSH], [100, 200], 1)
        empty = request(path, b"", "Expect: 100-continue")
        yield Row(f"{path} 100-continue, no body", empty, [400 if path == "/api/push" else 200])
        old = request(path, PUSH, "Expect: 100-continue", KEEP, version="1.0")
        yield Row(f"{path} 100-continue, 1.0", old, [200], 1)
        for expectation in ("200-ok", "100-continue, x", ""):
            yield Row(f"{path} {expectation!r} expected", request(path, PUSH, f"Expect: {expectation}"), [200], 1)
        chunked = request(path, None, "Expect: 100-continue", "Transfer-Encoding: chunked")
        yield Row(f"{path} 100-continue, chunked", [chunked, GO, chunks(PUSH, 9)], [100, 200], 1)
        for name, line, key, status in (
            ("no key", "X: y", None, 401),
            ("a wrong key", "X: y", "nobodys", 401),
            ("a wrong type", "Content-Type: a/b", KEYS["push"], 415),
        ):
            refused = request(path, None, "Expect: 100-continue", "Content-Length: 24", line, key=key)
            yield Row(f"{path} 100-continue, {name}", [refused, GO], [status], stays=False)
    refused = request("/api/batch", None, "Expect: 100-continue", "Content-Length: 24", key=KEYS["read"])
    yield Row("/api/batch 100-continue, a wrong scope", [refused, GO], [403], stays=False)


ROWS: Final = [row for rows in (_lengths, _codings, _expectations) for row in rows()]
