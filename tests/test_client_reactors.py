"""The reactor that the client takes: the program's own, or one on the loop of asyncio that runs."""

from __future__ import annotations

import asyncio
import gc
import socket
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHostnameResolver, IReactorTime
from zope.interface.verify import verifyObject

from megacomet.client.reactors import LoopResolver, _by_loop, running_reactor


def test_a_program_of_twisted() -> None:
    """Where no loop runs it is the one that is installed."""
    from twisted.internet import reactor

    assert running_reactor() is reactor


def test_a_program_of_asyncio() -> None:
    """A loop has one reactor, whose calls it makes; another loop has another, and none is kept longer than its loop."""
    made = []

    async def main() -> None:
        one = running_reactor()
        assert verifyObject(IReactorTime, one)
        assert running_reactor() is one
        assert one.running
        waiting: Deferred[str] = Deferred()
        one.callLater(0, waiting.callback, "called")
        assert await waiting.asFuture(asyncio.get_running_loop()) == "called"
        made.append(id(one))

    for _ in range(2):
        asyncio.run(main())
    gc.collect()
    assert len(made) == 2
    assert len(_by_loop) == 0


class Receiver:
    """Is told what a name stands for."""

    def __init__(self) -> None:
        self.addresses: list[Any] = []
        self.begun: Any = None
        self.is_complete = False

    def resolutionBegan(self, resolutionInProgress: Any) -> None:
        self.begun = resolutionInProgress

    def addressResolved(self, address: Any) -> None:
        self.addresses.append(address)

    def resolutionComplete(self) -> None:
        self.is_complete = True


class Names:
    """A loop's name server."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.create_task = asyncio.get_running_loop().create_task

    async def getaddrinfo(self, name: str, port: int, **hints: int) -> Any:
        await asyncio.sleep(0)
        if isinstance(self._answer, Exception):
            raise self._answer
        return [(family, hints["type"], 6, "", (host, port, *more)) for family, host, *more in self._answer]


@pytest.mark.parametrize(
    ("answer", "kinds", "addresses"),
    [
        (
            [(socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1", 0, 0)],
            None,
            [IPv4Address("TCP", "192.0.2.1", 80), IPv6Address("TCP", "2001:db8::1", 80)],
        ),
        (
            [(socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1", 0, 0)],
            [IPv6Address],
            [IPv6Address("TCP", "2001:db8::1", 80)],
        ),
        (socket.gaierror("no such name"), None, []),
        (UnicodeError("too long"), None, []),
    ],
)
def test_names(answer: Any, kinds: Any, addresses: Any) -> None:
    """They are looked up by asyncio; one that is none has no address."""

    async def main() -> Receiver:
        receiver, resolver = Receiver(), LoopResolver(Names(answer))
        assert verifyObject(IHostnameResolver, resolver)
        resolver.resolveHostName(receiver, "a.example", 80, kinds)
        await receiver.begun.task
        return receiver

    receiver = asyncio.run(main())
    assert (receiver.addresses, receiver.is_complete, receiver.begun.name) == (addresses, True, "a.example")


def test_names_given_up() -> None:
    """Who does not wait any more is told nothing."""

    async def main() -> Receiver:
        receiver = Receiver()
        LoopResolver(Names([(socket.AF_INET, "192.0.2.1")])).resolveHostName(receiver, "a.example", 80)
        await asyncio.sleep(0)
        receiver.begun.cancel()
        await asyncio.wait([receiver.begun.task])
        return receiver

    receiver = asyncio.run(main())
    assert (receiver.addresses, receiver.is_complete) == ([], False)
