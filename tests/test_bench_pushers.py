"""The load client of single pushes asks again when it is answered, and counts what is no good answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from bench.pushers import Pushers, quantile_ms

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REQUESTS = [b"one.", b"two."]


class Peer:
    """A server that gives each request the next answer; the last one over and over. None: it closes."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listening.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections = 0
        self._answers: list[list[bytes] | None] = []

    def serve(self, *answers: list[bytes] | None) -> None:
        self._answers = list(answers)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            while request := connection.recv(4):
                self.requests.append(request)
                answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                if answer is None:
                    return
                for piece in answer:
                    connection.sendall(piece)
                    threading.Event().wait(0.01 if len(answer) > 1 else 0)


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A server that does what the test says."""
    made = Peer()
    yield made
    made.listening.shutdown(socket.SHUT_RDWR)
    made.listening.close()


def pushed(peer: Peer, connections: int, push: Callable[[Pushers], object]) -> Pushers:
    pushers = Pushers(peer.port, REQUESTS, connections)
    push(pushers)
    pushers.finish()
    return pushers


def test_the_requests_take_turns(peer: Peer) -> None:
    """Each answer is followed by the next request; what is under way at the end is waited for and counts."""
    peer.serve([GOOD])
    pushers = pushed(peer, 1, lambda pushers: pushers.push(60, most=4))
    assert len(pushers.took_ns) == len(peer.requests) == 5
    assert peer.requests == [b"one.", b"two."] * 2 + [b"one."]
    assert not pushers.faults.total()


def test_an_answer_in_pieces(peer: Peer) -> None:
    """It is one answer, wherever it is cut."""
    peer.serve([GOOD[:9], GOOD[9:36], GOOD[36:-1], GOOD[-1:]], [GOOD])
    pushers = pushed(peer, 2, lambda pushers: pushers.push(60, most=6))
    assert len(pushers.took_ns) == len(peer.requests) >= 7
    assert not pushers.faults.total()


@pytest.mark.parametrize(
    ("answer", "told", "connections"),
    [
        (
            [b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"],
            "answered HTTP/1.1 429 Too Many Requests",
            1,
        ),
        (None, "closed by the server", 2),
        ([b"HTTP/1.1 200 OK\r\n\r\n"], "an answer without a length", 2),
        ([GOOD * 2], "more than one answer", 2),
    ],
)
def test_faults(peer: Peer, answer: list[bytes] | None, told: str, connections: int) -> None:
    """What is no good answer is a fault, and a connection that is lost is replaced."""
    peer.serve([GOOD], answer, [GOOD])
    pushers = pushed(peer, 1, lambda pushers: pushers.push(60, most=4))
    (fault,) = pushers.faults.keys() - {"no answer"}
    assert told in fault
    assert (pushers.faults.total(), peer.connections) == (1, connections)


def test_a_server_that_closes_after_each_answer(peer: Peer) -> None:
    """When it has said so it is no fault: each request goes over a connection of its own."""
    peer.serve([b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"])
    pushers = pushed(peer, 2, lambda pushers: pushers.push(60, most=6))
    assert not pushers.faults.total()
    assert len(pushers.took_ns) == len(peer.requests) >= 6
    assert peer.connections >= len(peer.requests)


def test_many_faults_end_it(peer: Peer) -> None:
    """A server that closes every connection is not asked for a minute."""
    peer.serve(None)
    pushers = pushed(peer, 1, lambda pushers: pushers.push(60))
    assert pushers.faults.total() >= 1000
    assert not pushers.took_ns


def test_a_rate(peer: Peer) -> None:
    """Requests are due at a steady pace, whoever is free sends them."""
    peer.serve([GOOD])
    pushers = pushed(peer, 3, lambda pushers: pushers.push(0.2, rate=50))
    assert 5 <= len(pushers.took_ns) <= 11
    assert not pushers.faults.total()


def test_who_falls_behind_a_rate(peer: Peer) -> None:
    """A request for which no connection was free counts from when it was due."""
    slow = [GOOD[:5], *[bytes([byte]) for byte in GOOD[5:-1]], GOOD[-1:]]  # some 0.35 s
    peer.serve(slow, [GOOD])
    pushers = pushed(peer, 1, lambda pushers: pushers.push(0.6, rate=100))
    assert pushers.behind > 10
    assert sorted(pushers.took_ns)[-3] > 200_000_000
    assert 20 < len(pushers.took_ns) <= 61


def test_quantiles() -> None:
    """So many do not exceed it."""
    took = [n * 1_000_000 for n in range(1, 101)]
    assert [quantile_ms(took, share) for share in (0.01, 0.5, 0.99, 1)] == [1, 50, 99, 100]
    assert [quantile_ms(took[:1], share) for share in (0, 0.5, 1)] == [1, 1, 1]
    assert quantile_ms([], 0.5) == 0
