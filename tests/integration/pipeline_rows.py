"""Several requests on one connection, pushes and batches among others, as rows; and clients that leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tests.integration.batch_rows import CHUNKED, LAST, LINE, chunk, chunks
from tests.integration.head_rows import CLOSE, GOOD, PATHS, PUSH, SMUGGLED
from tests.integration.push_rows import HEARD, push
from tests.integration.ways import KEYS, Row, request


def _pipelines() -> Iterator[Row]:
    """Several requests in one write."""
    batch, healthz = request("/api/batch", LINE), request("/healthz", None, method="GET", key=None)
    stats = request("/api/workers/none", None, method="GET", key=KEYS["read"])
    poll = request("/comet/poll?channel=p&timeout=0", None, method="GET", key=None)
    bad, refused = request("/api/push", b"{"), request("/api/batch", LINE, key=KEYS["read"])
    slow = request("/api/push?receipt=1", push(channel=HEARD))
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
        ("300 pushes", [GOOD] * 300, [200] * 300, 300),
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
    yield Row("push, nonsense", GOOD + b"nonsense\r\n\r\n", [200, 400], 1, stays=False, differs="unreadable")
    last = request("/api/push", PUSH, CLOSE)
    yield Row("push, the last one, push", GOOD + last + SMUGGLED, [200, 200], 2, stays=False)


class Leaving(NamedTuple):
    """A client that ends its side, and what is published nevertheless.

    Attributes:
        name: for people.
        sent: before it.
        heard: the data of what is published.
    """

    name: str
    sent: bytes
    heard: Sequence[int]


def _heard(data: int) -> bytes:
    return push(channel=HEARD, data=data)


def leaving() -> Iterator[Leaving]:
    """Return the clients that leave in the middle of a request: of a batch the lines that came whole are published."""
    for path in PATHS:
        whole, head = request(path, _heard(1)), request(path, None, "Transfer-Encoding: chunked")
        for name, sent in (
            ("nothing", b""),
            ("half a head", whole[:20]),
            ("a head", whole[: -len(_heard(1))]),
            ("half a body", whole[:-3]),
            ("half a chunk", head + chunk(_heard(1))[:-9]),
            ("a chunk, and no last one", head + chunk(_heard(1))),
            ("half of the last chunk", head + chunk(_heard(1)) + LAST[:-1]),
        ):
            yield Leaving(f"{path}, {name}", sent, [])
    yield Leaving(
        "a push, and half of one", request("/api/push", _heard(1)) + request("/api/push", _heard(2))[:-1], [1]
    )
    lines = b"\n".join(map(_heard, range(3)))
    yield Leaving("in the third line", request("/api/batch", lines + b"\n")[:-1], [0, 1])
    yield Leaving("in the third line, chunked", CHUNKED + chunk(lines), [0, 1])
    yield Leaving("behind the third line, chunked", CHUNKED + chunk(lines + b"\n"), [0, 1, 2])
    bad = CHUNKED + chunk(lines + b"\n") + b"zz\r\n"
    yield Leaving("behind a bad chunk", bad, [0, 1, 2])
    many = b"\n".join(map(_heard, range(1000)))
    yield Leaving("in the thousandth line", request("/api/batch", many + b"\n")[:-1], range(999))


ROWS: Final = [*_pipelines()]
LEAVING: Final = [*leaving()]
