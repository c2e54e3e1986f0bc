"""Finding the reactor: the program's own, or one on the loop of asyncio that runs.

A loop of asyncio gets a reactor of its own when the program has none that runs on it, so that a program of asyncio
needs to know nothing of Twisted, and may have one loop after the other. It is installed nowhere.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver
from zope.interface import implementer

_REACTOR: Final = "twisted.internet.reactor"
_ADDRESSES: Final = {socket.AF_INET: IPv4Address, socket.AF_INET6: IPv6Address}

#: Who uses a reactor keeps it; the loop is kept by nobody here.
_by_loop: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, ref[Any]]] = WeakKeyDictionary()


def running_reactor() -> Any:
    """Return the reactor of the program; while a loop of asyncio runs, one on that loop."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        from twisted.internet import reactor

        return reactor
    installed = sys.modules.get(_REACTOR)
    if installed is not None and getattr(installed, "_asyncioEventloop", None) is loop:
        return installed
    known = _by_loop.get(loop)
    found = known() if known is not None else None
    if found is None:
        found = _reactor_on(loop)
        _by_loop[loop] = ref(found)
    return found


def _reactor_on(loop: asyncio.AbstractEventLoop) -> Any:
    made: Any = AsyncioSelectorReactor(loop)
    made.installNameResolver(LoopResolver(loop))
    made.startRunning(installSignalHandlers=False)
    return made


@implementer(IHostResolution)
class _Resolution:
    """A name that is looked up."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.task: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()


@implementer(IHostnameResolver)
class LoopResolver:
    """Looks names up by asyncio: the threads of a reactor that nobody stops would keep the program from ending."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        resolution.task = self._loop.create_task(
            self._resolve(resolutionReceiver, hostName, portNumber, tuple(addressTypes or _ADDRESSES.values()))
        )
        return resolution

    async def _resolve(
        self, receiver: IResolutionReceiver, name: str, port: int, kinds: Sequence[type[IAddress]]
    ) -> None:
        try:
            found = await self._loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            found = []  # whoever waits is told that there is no address
        for family, _, _, _, (host, at, *_) in found:
            kind = _ADDRESSES.get(socket.AddressFamily(family))
            if kind in kinds and kind is not None:
                receiver.addressResolved(kind("TCP", str(host), int(at)))
        receiver.resolutionComplete()
