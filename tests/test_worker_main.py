"""A whole worker in a time of its own: which seconds it leaves out, and that nobody waits longer for it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from megacomet.worker.rehearsal import TURN_S, Stage

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


def test_a_worker_in_which_nothing_happens_rests(stage: Stage) -> None:
    """It does nothing for seconds, over and over."""
    began, times = stage.now, set()
    while stage.now < began + LONG_S:
        times.add(round(stage.now + next_s(stage)))
        stage.go_on(1)
    assert len(times) <= LONG_S / 5 + 2


@pytest.mark.parametrize("before_s", [0.1, 1.5, 2.8, 4.0])
def test_a_poll_that_comes_in_a_rest(stage: Stage, before_s: float) -> None:
    """It is told in time that there is nothing, whenever it came; and the worker counts seconds from then on."""
    pass_s(stage, before_s)
    with contextlib.ExitStack() as clients:
        client = come(stage, clients, "/comet/poll?channel=news&timeout=2")
        stage.go_on(2)
        assert next_s(stage) <= 1
        assert 2 - 2 * TURN_S <= answered_after_s(stage, client) <= 3 + 3 * TURN_S


def test_a_rest_ends_before_somebody_is_due(stage: Stage) -> None:
    """With clients that wait for long it rests as well, until shortly before the first one has to be told something."""
    with contextlib.ExitStack() as clients:
        client = come(stage, clients, "/comet/poll?channel=news&timeout=12")
        pass_s(stage, CALM_S)
        assert next_s(stage) > 1
        waited_s = CALM_S + answered_after_s(stage, client)
        assert 12 <= waited_s <= 14


def test_whoever_asks_ends_a_rest(stage: Stage) -> None:
    """A request that needs no deadline ends it too: the work of a second is done first, and again a second later."""
    stage.go_on(1)
    assert next_s(stage) > 1
    with contextlib.ExitStack() as clients:
        come(stage, clients, "/healthz")
        stage.go_on(1)
    assert next_s(stage) <= 1
