"""What can be said and got wrong around a push or a batch, as rows: HTTP itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from megacomet.api.channel import SLICE
from megacomet.api.keys import READ
from megacomet.wire.push import ENVELOPE_BYTES
from tests.integration.batch_rows import CHUNKED, LAST, LINE, chunk, chunks
from tests.integration.push_rows import MESSAGE_BYTES, push
from tests.integration.ways import GO, KEYS, Row, request

PUSH: Final = b'{"channel":"h","data":1}'
GOOD: Final = request("/api/push", PUSH)
PATHS: Final = ("/api/push", "/api/batch")
#: A push that somebody would smuggle in: it is behind what two servers could cut in two ways.
SMUGGLED: Final = request("/api/push", b'{"channel":"smuggled","data":1}')
MOST: Final = ENVELOPE_BYTES + MESSAGE_BYTES
CLOSE: Final = "Connection: close"
KEEP: Final = "Connection: keep-alive"


def _bearer(scope: str) -> str:
    return f"Authorization: Bearer {KEYS[scope]}"


def _targets() -> Iterator[Row]:
    """Methods and paths."""
    for path in PATHS:
        for method in ("GET", "PUT", "OPTIONS", "DELETE", "PATCH"):
            yield Row(f"{method} {path}", request(path, None, method=method), [405])
            yield Row(f"{method} {path} with a body", request(path, PUSH, method=method), [405])
        yield Row(f"HEAD {path}", request(path, None, method="HEAD"), [405], bodiless=True)
        for method in ("post", "FOO", "CONNECT"):
            yield Row(f"{method} {path}", request(path, PUSH, method=method) + SMUGGLED, [405], stays=False)
        yield Row(f"{path} in full", request(f"http://h{path}", PUSH), [200], 1)
        yield Row(f"{path} in full, with a query", request(f"HTTPS://h:80{path}?receipt=1", PUSH), [200], 1)
        yield Row(f"{path} in full, of another host", request(f"http://evil{path}", PUSH), [200], 1)
        yield Row(f"{path} of a user", request(f"http://u@evil{path}", PUSH), [400], stays=False)
        yield Row(f"{path} by ftp", request(f"ftp://h{path}", PUSH), [400], stays=False)
        yield Row(f"{path} with a fragment", request(f"{path}#x", PUSH), [400], stays=False)
        yield Row(f"{path} that is not ASCII", request(f"{path}\xe9", PUSH), [400], stays=False)
        for other in ("/", "/x", ";x=1", "%00", "s"):
            yield Row(f"{path}{other}", request(path + other, PUSH), [404])
    for path in ("/api", "/api/", "/api//push", "/api/./push", "/api/../api/push", "/api/%70ush", "/api/Push"):
        yield Row(path, request(path, PUSH), [404])
        yield Row(f"GET {path}", request(path, None, method="GET"), [404])
    for path in ("/api%2Fpush", "/API/push", "//api/push", "/%61pi/push", "/x/../api/push"):
        # No path of the API, so that it may be a page of the worker's.
        yield Row(path, request(path, None), [405], foreign=[0])


def _authorization() -> Iterator[Row]:
    """Who asks."""
    for path in PATHS:
        for given, status in (
            (f"bearer {KEYS['push']}", 200),
            (f"BEARER {KEYS['push']}", 200),
            (f"Bearer  {KEYS['push']}", 200),
            (f"  Bearer {KEYS['push']}  ", 200),
            (f"Bearer\t{KEYS['push']}", 401),
            (f"Basic {KEYS['push']}", 401),
            (KEYS["push"], 401),
            ("Bearer", 401),
            ("Bearer ", 401),
            ("", 401),
            ("Bearer nobodys", 401),
            (f"Bearer {KEYS['push']}x", 401),
            (f"Bearer {KEYS['push']}, Bearer x", 401),
            (f'Bearer "{KEYS["push"]}"', 401),
            ("Bearer gr\xfc\xdfe", 401),
        ):
            line = f"Authorization: {given}"
            sent = request(path, PUSH, line, key=None) + SMUGGLED
            ok = status == 200
            yield Row(f"{path}, {line}", sent, [200, 200] if ok else [401], 2 * ok, stays=ok)
        nobody = request(path, PUSH, "X-Request-Id: nobodys", key=None)
        yield Row(f"{path} without a key", nobody + SMUGGLED, [401], stays=False)
        yield Row(f"{path} without a key, only its head", nobody[: -len(PUSH)], [401], stays=False)
        yield Row(f"{path} with a key in the address", request(f"{path}?key=a-key-to-push", PUSH, key=None), [401], stays=False)
        yield Row(f"{path} with two keys", request(path, PUSH, _bearer(READ)) + SMUGGLED, [400], stays=False)
        yield Row(f"{path} without a key and of a wrong type", request(path, PUSH, "Content-Type: a/b", key=None), [401], stays=False)
        for key in (None, "nobodys"):
            # Nothing stands in the way, but see STRANGERS.
            yield Row(f"{path} with key {key}, no body", request(path, None, key=key), [401])
            yield Row(f"GET {path} with key {key}", request(path, None, key=key, method="GET"), [401])


def _hosts() -> Iterator[Row]:
    """Host."""
    for path in PATHS:
        yield Row(f"{path} without Host", request(path, PUSH, host=None) + SMUGGLED, [400], stays=False)
        yield Row(f"{path} without Host, in full", request(f"http://h{path}", PUSH, host=None), [400], stays=False)
        yield Row(f"{path} without Host, 1.0", request(path, PUSH, KEEP, host=None, version="1.0"), [200], 1)
        yield Row(f"{path} with two Hosts", request(path, PUSH, "Host: h"), [400], stays=False)
        for host in ("", "evil:99999", "a,evil", "[::1]:80", "h%41", "$(x)"):
            yield Row(f"{path} of Host {host!r}", request(path, PUSH, host=host), [200], 1)
        for host in ("a b", "u@evil", "evil/x", "evil?x", "evil#", "<script>", 'a"b', "gr\xfc\xdf", "a\x01"):
            yield Row(f"{path} of Host {host!r}", request(path, PUSH, host=host) + SMUGGLED, [400], stays=False)


def _ids() -> Iterator[Row]:
    """X-Request-Id."""
    for given in ("my.Id_-7", "x" * 64, "x" * 65, 'a"b', "a b", "", "gr\xfc\xdf"):
        line = f"X-Request-Id: {given}"
        yield Row(f"{line}, good", request("/api/push", PUSH, line), [200], 1)
        yield Row(f"{line}, bad", request("/api/push", b"{", line), [400])
        yield Row(f"{line}, batch", request("/api/batch", PUSH, line), [200], 1)
        yield Row(f"{line}, early", request("/api/batch", PUSH, line, key=KEYS[READ]), [403], stays=False)
    yield Row("X-Request-Id twice", request("/api/push", PUSH, *["X-Request-Id: a"] * 2), [400], stays=False)


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
            status = 413 if path == "/api/push" else 200
            if early and status == 200:
                continue  # a batch may be as long as it says
            yield Row(f"{path} of length {given}"[:60], sent, [status if early else 400], stays=False)
        for line in ("Content-Length : 24", "Content-Length\t: 24", " Content-Length: 24", "X: y\n Content-Length: 24"):
            sent = request(path, None, line) + PUSH + SMUGGLED
            yield Row(f"{path} with {line!r}", sent, [400], stays=False)
        short = request(path, None, "Content-Length: 23") + PUSH + SMUGGLED
        yield Row(f"{path} of a length too short", short, [400 if path == "/api/push" else 422, 400], stays=False)
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
            ("trailers that are none", chunk(PUSH) + b"0\r\nnonsense\r\n\r\n"),
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
            yield Row(f"{path}, bad chunks: {name}", head + body + SMUGGLED, [400], stays=False)
        trailers = chunk(PUSH) + b"0\r\n" + b"X: y\r\n" * 20_000 + b"\r\n"
        yield Row(f"{path}, too many trailers", head + trailers, [400], None, stays=False)
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
            sent = request(path, None, f"Transfer-Encoding: {coding}") + chunks(PUSH, 9) + SMUGGLED
            ok = status == 200
            yield Row(f"{path} as {coding!r}", sent, [200, 200] if ok else [status], 2 * ok, stays=ok)
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
            yield Row(f"{path} with {lines}", sent, [400], stays=False)


def _versions() -> Iterator[Row]:
    """Versions, and whether the connection is kept."""
    for path in PATHS:
        for version, lines, stays in (
            ("1.1", [], True),
            ("1.1", [CLOSE], False),
            ("1.1", ["Connection: x, Close"], False),
            ("1.1", [KEEP], True),
            ("1.1", [KEEP, CLOSE], False),
            ("1.1", ["Connection: Upgrade", "Upgrade: websocket"], True),
            ("1.1", ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAA"], True),
            ("1.0", [], False),
            ("1.0", [KEEP], True),
            ("1.0", ["Connection: Keep-Alive"], True),
            ("1.0", ["Connection: close, keep-alive"], False),
        ):
            for body, status in ((PUSH, 200), (b"{", 400 if path == "/api/push" else 422)):
                sent = request(path, body, *lines, version=version)
                yield Row(f"{path} {version} {lines} {status}", sent, [status], int(status == 200), stays=stays)
            sent = request(path, PUSH, *lines, version=version) + GOOD
            yield Row(f"{path} {version} {lines}, and another", sent, [200, 200][: 1 + stays], 1 + stays, stays=stays)
        chunked = request(path, None, "Transfer-Encoding: chunked", KEEP, version="1.0") + chunks(PUSH, 9) + SMUGGLED
        yield Row(f"{path} 1.0 in chunks", chunked, [400], stays=False)
        for version, status in (("2.0", 505), ("1.2", 505), ("0.9", 505), ("1", 400), ("1.1 ", 400)):
            yield Row(f"{path} {version!r}", request(path, PUSH, version=version) + SMUGGLED, [status], stays=False)


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
    refused = request("/api/batch", None, "Expect: 100-continue", "Content-Length: 24", key=KEYS[READ])
    yield Row("/api/batch 100-continue, a wrong scope", [refused, GO], [403], stays=False)


def _heads() -> Iterator[Row]:
    """Heads that are broken, large, or come in pieces."""
    for path in PATHS:
        whole = request(path, PUSH)
        for cut in (1, 2, 17, len(whole) - len(PUSH) - 1, len(whole) - len(PUSH) + 1):
            yield Row(f"{path}, {cut} bytes at once", whole + GOOD, [200, 200], 2, cut=cut)
        yield Row(f"{path} behind empty lines", b"\r\n\r\n" + whole + b"\r\n" + GOOD, [200, 200], 2)
        fill = 8192 - len(request(path, None, "Content-Length: 24", "X: "))
        for more, status in ((0, 200), (1, 431)):
            sent = request(path, None, "Content-Length: 24", "X: " + "x" * (fill + more)) + PUSH
            yield Row(f"{path}, a head of {8192 + more}", sent, [status], int(not more), stays=not more)
        yield Row(f"{path}, a head without an end", whole[:30] + b"\r\nA: b" * 2000, [431], stays=False)
        yield Row(f"{path}, a target too long", request(f"{path}?{'x' * 9000}", PUSH), [414], stays=False)
        for line in (" folded", "No colon", ": no name", "X: a\0b", "X: a\nY: b", "X y: z", "X\xe9: y"):
            yield Row(f"{path} with {line!r}", request(path, PUSH, line) + SMUGGLED, [400], stays=False)
        yield Row(f"{path} with two spaces", whole.replace(b"POST ", b"POST  ") + SMUGGLED, [400], stays=False)
        yield Row(f"{path} with LF", whole.replace(b"\r\n", b"\n") + SMUGGLED, [400], stays=False)
        for line in ("Origin: http://evil", "Accept: text/html", "Accept: text/event-stream", "Cookie: a=b; c"):
            yield Row(f"{path} with {line!r}", request(path, PUSH, line), [200], 1)
            yield Row(f"{path} with {line!r}, bad", request(path, PUSH, line, key="nobodys"), [401], stays=False)


def _pipelines() -> Iterator[Row]:
    """Several requests in one write."""
    batch, healthz = request("/api/batch", LINE), request("/healthz", None, method="GET", key=None)
    stats = request("/api/workers/none", None, method="GET", key=KEYS[READ])
    poll = request("/comet/poll?channel=p&timeout=0", None, method="GET", key=None)
    bad, refused = request("/api/push", b"{"), request("/api/batch", LINE, key=KEYS[READ])
    slow = request("/api/push?receipt=1", push(channel="heard"))
    many = request("/api/push", push(clients=[f"q{n}" for n in range(450)], ttl=0))
    for name, sent, statuses, published in (
        ("push, push", [GOOD, GOOD], [200, 200], 2),
        ("push, bad, push", [GOOD, bad, GOOD], [200, 400, 200], 2),
        ("push, API", [GOOD, stats], [200, 404], 1),
        ("API, push", [stats, GOOD], [404, 200], 1),
        ("API, push, API, batch", [stats, GOOD, stats, batch], [404, 200, 404, 200], 2),
        ("batch, push", [batch, GOOD], [200, 200], 2),
        ("push, batch, push", [GOOD, batch, GOOD], [200, 200, 200], 3),
        ("receipt, push", [slow, GOOD], [200, 200], 2),
        ("receipt, batch, API", [slow, batch, stats], [200, 200, 404], 2),
        ("many targets, push", [many, GOOD], [200, 200], 451),
        ("chunked, push", [CHUNKED, chunks(LINE, 5), GOOD], [200, 200], 2),
        ("50 pushes", [GOOD] * 50, [200] * 50, 50),
        ("50 pushes and batches", [GOOD, batch] * 25, [200] * 50, 50),
        ("more than a turn has", [GOOD] * (3 * SLICE + 1), [200] * (3 * SLICE + 1), 3 * SLICE + 1),
        ("many receipts", [slow] * 20, [200] * 20, 20),
        ("large ones", [request("/api/push", push(channel="p", ttl=0, data="x" * 30_000))] * 5, [200] * 5, 5),
    ):
        yield Row(f"in one write: {name}", b"".join(sent), statuses, published)
        yield Row(f"one after the other: {name}", sent, statuses, published)
        yield Row(f"99 bytes at once: {name}", b"".join(sent), statuses, published, cut=99)
    yield Row("push, /healthz", GOOD + healthz + GOOD, [200, 200, 200], 2, foreign=[1])
    yield Row("/healthz, push", healthz + GOOD, [200, 200], 1, foreign=[0])
    yield Row("poll, push", poll + GOOD, [200, 200], 1, foreign=[0])
    yield Row("push, poll, batch", GOOD + poll + batch, [200, 200, 200], 2, foreign=[1])
    yield Row("batch, /healthz, API, push", batch + healthz + stats + GOOD, [200, 200, 404, 200], 2, foreign=[1])
    yield Row("push, refused early, push", GOOD + refused + GOOD, [200, 403], 1, stays=False)
    yield Row("push, nonsense", GOOD + b"nonsense\r\n\r\n", [200, 400], 1, stays=False)
    last = request("/api/push", PUSH, CLOSE)
    yield Row("push, the last one, push", GOOD + last + SMUGGLED, [200, 200], 2, stays=False)


def _ends() -> Iterator[Row]:
    """The client ends its side."""
    for path in PATHS:
        whole = request(path, PUSH)
        for name, sent in (
            ("nothing", b""),
            ("half a head", whole[:20]),
            ("a head", whole[: -len(PUSH)]),
            ("half a body", whole[:-3]),
            ("half a chunk", request(path, None, "Transfer-Encoding: chunked") + b"18\r\n" + PUSH[:9]),
            ("a chunk and no end", request(path, None, "Transfer-Encoding: chunked") + chunk(PUSH)),
        ):
            yield Row(f"{path} ends behind {name}", sent, [], shuts=True)
    lines = LINE + b"\n" + LINE + b"\n" + LINE
    yield Row("a batch ends in its third line", request("/api/batch", lines)[:-3], [], 2, shuts=True)
    yield Row("a batch ends in its third line, chunked", CHUNKED + chunk(lines), [], 2, shuts=True)
    yield Row("a push, and half of one", [GOOD, GOOD[:-3]], [200], 1, shuts=True)


ROWS: Final = {
    part.__name__.strip("_"): [*part()]
    for part in (
        _targets,
        _authorization,
        _hosts,
        _ids,
        _lengths,
        _codings,
        _versions,
        _expectations,
        _heads,
        _pipelines,
        _ends,
    )
}
