"""The load client of batches sends whole lines over all its connections, and holds the answers against them."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bench.bodies import batch_head, batch_pieces, data_of
from bench.feeders import Feeder, dealt, feed, holders, wrong


def answer(lines: int, **other: int) -> dict[str, Any]:
    counts = {"lines": lines, "sent": 0, "queued": lines, "unheard": 0, "repeated": 0, "failed": 0}
    return {**counts, "errors": [], "position": "a-1", **other}


def test_what_is_wrong() -> None:
    """Each line counts as one message that was taken, and nothing else does."""
    assert wrong(answer(5), 5) == ""
    assert wrong(answer(5, queued=2, sent=1, unheard=2), 5) == ""
    for bad in (answer(4), answer(5, queued=4), answer(5, queued=4, failed=1), answer(5, queued=4, repeated=1)):
        assert wrong(bad, 5).startswith("5 lines were sent")


def test_dealing() -> None:
    """Each holder has as many as the others, as far as there are so many."""
    held = dict.fromkeys(range(9), 70) | dict.fromkeys(range(9, 12), 71)
    assert Counter(held[key] for key in dealt(held, 4)) == {70: 2, 71: 2}
    assert Counter(held[key] for key in dealt(held, 8)) == {70: 5, 71: 3}
    assert len(dealt(held, 50)) == 12


def test_who_holds_a_connection() -> None:
    """It is found by the port of its client."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            taken, _ = listening.accept()
            with taken:
                assert holders(port) == {client.getsockname()[1]: os.getpid()}


class Peer:
    """A server of one connection that reads a batch to its end and answers what it is told to."""

    def __init__(self, answered: Callable[[int], bytes], reads: bool = True) -> None:
        ours, self._theirs = socket.socketpair()
        ours.setblocking(False)
        self.feeder = Feeder(ours, batch_head(80, "k"), batch_pieces(1500, data_of(100)), 1)
        self.lines = 0
        self._answered = answered
        self._reads = reads
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with self._theirs, self._theirs.makefile("rb") as body:
            while body.readline() != b"\r\n":
                pass
            while self._reads and (size := int(body.readline(), 16)):
                self.lines += len(body.read(size).splitlines())
                body.readline()
            self._theirs.sendall(self._answered(self.lines))
            while not self._reads and self._theirs.recv(65536):
                pass

    def end(self) -> None:
        self.feeder.connection.close()
        self._thread.join(30)


def told(body: dict[str, Any], status: bytes = b"200 OK") -> bytes:
    text = json.dumps(body).encode()
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(text), text)


@pytest.fixture
def peers() -> Iterator[list[Peer]]:
    """Servers that are ended."""
    made: list[Peer] = []
    yield made
    for peer in made:
        peer.end()


def test_lines_to_all(peers: list[Peer]) -> None:
    """Each connection sends whole chunks until there are enough lines, and its answer counts all of them."""
    peers += [Peer(lambda lines: told(answer(lines))) for _ in range(3)]
    feed([peer.feeder for peer in peers], 60, 20_000)
    assert [peer.feeder.problem for peer in peers] == [""] * 3
    assert [peer.feeder.lines for peer in peers] == [peer.lines for peer in peers]
    assert [peer.feeder.report["lines"] for peer in peers] == [peer.lines for peer in peers]
    assert 20_000 <= sum(peer.lines for peer in peers) < 25_000


def test_an_end_by_time(peers: list[Peer]) -> None:
    """The body ends behind the chunk that is on its way."""
    peers.append(Peer(lambda lines: told(answer(lines))))
    assert feed([peers[0].feeder], 0.05, 10**9) >= 0.05
    assert peers[0].feeder.problem == ""
    assert peers[0].lines > 0


@pytest.mark.parametrize(
    ("answered", "reads", "problem"),
    [
        (lambda lines: told(answer(lines - 1)), True, "lines were sent, and the answer is"),
        (lambda lines: told({}, b"500 Internal Server Error"), True, "answered b'HTTP/1.1 500"),
        (lambda lines: b"HTTP/1.1 200 OK\r\n\r\n", True, "without a length"),
        (lambda lines: b"", True, "ended without an answer"),
        (lambda lines: told(answer(0)), False, "answered before the end"),
    ],
)
def test_problems(peers: list[Peer], answered: Callable[[int], bytes], reads: bool, problem: str) -> None:
    """An answer that is none, or says something else than what was sent, is told."""
    peers.append(Peer(answered, reads))
    feed([peers[0].feeder], 0.05 if reads else 60, 10**9)
    assert problem in peers[0].feeder.problem
