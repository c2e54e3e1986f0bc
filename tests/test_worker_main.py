"""A whole worker in a time of its own: which seconds it leaves out, and that nobody waits longer for it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from megacomet.worker.rehearsal import TURN_S, TURNS, Stage

#: After so many seconds in which nothing happened it rests, and longer than any rest takes.
CALM_S = 3
LONG_S = 30


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A worker in which nothing happens."""
    with contextlib.closing(Stage()) as stage:
        stage.begin()
        pass_s(stage, CALM_S)
        yield stage


def pass_s(stage: Stage, seconds: float) -> None:
    """Let time pass."""
    stage.go_on(round(seconds / TURN_S))


def next_s(stage: Stage) -> float:
    """Return in how many seconds the worker does something by itself."""
    return min(call.getTime() for call in stage.reactor.getDelayedCalls()) - stage.now


def jump(stage: Stage, seconds: float) -> None:
    """Let time pass at once, and then all happen that is to happen by then."""
    stage.now += seconds
    for _ in range(TURNS):
        stage.now -= TURN_S
        stage.go_on(1)


def rest(stage: Stage) -> None:
    """Let time pass until the worker has just begun to rest."""
    jump(stage, next_s(stage))
    while next_s(stage) <= 1:
        jump(stage, next_s(stage))


def come(stage: Stage, clients: contextlib.ExitStack, target: str) -> socket.socket:
    """Return the connection of a client that has just asked for something."""
    client = clients.enter_context(socket.socket(socket.AF_UNIX))
    client.connect(stage.door.getsockname())
    client.setblocking(False)
    client.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return client


def answered_after_s(stage: Stage, client: socket.socket) -> float:
    """Return how long a client waits for its answer."""
    began = stage.now
    while stage.now < began + LONG_S:
        stage.go_on(1)
        with contextlib.suppress(BlockingIOError):
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
            return stage.now - began
    raise AssertionError("no answer")


def answered_at_s(stage: Stage, client: socket.socket) -> float:
    """Return how long a client waits for its answer, to the moment, and go there."""
    began = stage.now
    while stage.now < began + LONG_S:
        jump(stage, next_s(stage))
        with contextlib.suppress(BlockingIOError):
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
            return stage.now - began
    raise AssertionError("no answer")


def test_a_worker_in_which_nothing_happens_rests(stage: Stage) -> None:
    """It does nothing for seconds, over and over."""
    began, times = stage.now, set()
    while stage.now < began + LONG_S:
        times.add(round(stage.now + next_s(stage)))
        stage.go_on(1)
    assert len(times) <= LONG_S / 5 + 2


@pytest.mark.parametrize("left_s", [0.25, 0.5, 0.95, 1.05, 1.5, 1.95, 2.25, 2.85, 3.15, 3.55, 3.95, 4.05, 4.85])
def test_a_poll_that_comes_in_a_rest(stage: Stage, left_s: float) -> None:
    """It is told that there is nothing as late as without a rest: with the first second that begins after its timeout.

    So it waits for what is left of the second in which it comes, longer than it asked for.
    """
    rest(stage)
    jump(stage, next_s(stage) - left_s)
    with contextlib.ExitStack() as clients:
        client = come(stage, clients, "/comet/poll?channel=news&timeout=2")
        jump(stage, 0)
        assert next_s(stage) == pytest.approx(left_s % 1)
        assert answered_at_s(stage, client) == pytest.approx(2 + left_s % 1)


@pytest.mark.parametrize("busy_s", [0.0, 0.2, 0.4, 0.6, 0.8])
@pytest.mark.parametrize("left_s", [0.25, 0.45, 0.65, 0.85, 1.05])
def test_a_rest_that_ends_early_answers_nobody_too_early(stage: Stage, left_s: float, busy_s: float) -> None:
    """Whoever waits already is not due sooner because somebody else comes, at whatever part of a second that is."""
    jump(stage, next_s(stage) + busy_s)  # its seconds begin so much later from then on
    jump(stage, 0.85)
    with contextlib.ExitStack() as clients:
        waiting = come(stage, clients, "/comet/poll?channel=news&timeout=5")
        jump(stage, 0)
        came = stage.now
        while stage.now + next_s(stage) <= came + 5:
            jump(stage, next_s(stage))
        assert next_s(stage) > left_s, "it rests until it is due"
        jump(stage, next_s(stage) - left_s)
        come(stage, clients, "/healthz")
        jump(stage, 0)
        with pytest.raises(BlockingIOError):
            waiting.recv(1)
        answered_at_s(stage, waiting)
        assert 5 - 1e-6 <= stage.now - came <= 6 + 1e-6


def test_a_rest_ends_before_somebody_is_due(stage: Stage) -> None:
    """With clients that wait for long it rests as well, until shortly before the first one has to be told something."""
    with contextlib.ExitStack() as clients:
        client = come(stage, clients, "/comet/poll?channel=news&timeout=12")
        pass_s(stage, CALM_S)
        assert next_s(stage) > 1
        waited_s = CALM_S + answered_after_s(stage, client)
        assert 12 <= waited_s <= 14


def test_whoever_asks_ends_a_rest(stage: Stage) -> None:
    """A request that needs no deadline ends it too: the next second begins when it would without a rest."""
    stage.go_on(1)
    assert next_s(stage) > 1
    with contextlib.ExitStack() as clients:
        come(stage, clients, "/healthz")
        stage.go_on(1)
    assert next_s(stage) <= 1
