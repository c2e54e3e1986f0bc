"""Connections that workers hand over: adopted into the web site, and given back when they ask for something else.

There is one public port, so a request for the API reaches a worker first, which sends the descriptor and what it has
read of it. The manager serves the connection as long as its requests are its own. Owns the descriptors in between, and
the one place (`detach`) that takes a connection away from its Twisted transport alive.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from megacomet.link import LinkRefused

#: Descriptors that connections never take from the manager: the link to each worker, its listeners, files, `--admin`.
SPARE_DESCRIPTORS: Final = 2000

_FAMILIES: Final = frozenset({socket.AF_INET, socket.AF_INET6, socket.AF_UNIX})
#: What the manager serves, as whole first segments of the path.
OWN_SEGMENTS: Final = frozenset({b"api", b"console", b"metrics"})


class Busy(LinkRefused):
    """Raised when a connection is not adopted; the worker answers it with 503."""


class IChannel(Protocol):
    """A connection of the web site: `megacomet.api.channel.Channel`."""

    transport: Any
    home: Any

    def dataReceived(self, data: bytes) -> None:
        """Take the next bytes."""

    def depart(self) -> bytes:
        """Let go of the transport; return what was read and not dealt with."""


class ISite(Protocol):
    """The web site: `megacomet.api.site.Site`."""

    def buildProtocol(self, addr: IAddress | None) -> IChannel:
        """Make the channel of a connection."""


def is_own(target: bytes) -> bool:
    """Tell whether the manager serves a path (origin form, not decoded)."""
    return target[1:].partition(b"/")[0] in OWN_SEGMENTS


def highest_descriptor(limit: int) -> int:
    """Return the highest number that an adopted connection may have.

    Args:
        limit: the process's limit of open descriptors; of a small one half is kept free.
    """
    return limit - min(SPARE_DESCRIPTORS, limit // 2) - 1


class Adoption:
    """Adopts connections.

    Attributes:
        held: how many connections there are at the moment.
        adopted, given_back: how many there were, since the start.
    """

    def __init__(self, reactor: Any, site: ISite, highest: int) -> None:
        """
        Args:
            reactor: an `IReactorSocket` and `IReactorTime`.
            site: makes the channels.
            highest: no connection is adopted under a greater number (`highest_descriptor`). The system gives the
                lowest free number, so what lies above is free for everything else.
        """
        self.reactor = reactor
        self.site = site
        self._highest = highest
        self.held = 0
        self.adopted = 0
        self.given_back = 0

    def adopt(self, fd: int, head: bytes, peer: bytes, give_back: Callable[[int, bytes], Deferred[Any]]) -> None:
        """Serve a connection from now on.

        Args:
            fd: a connected stream socket of any family. It is this function's from now on, also when it raises.
            head: what was read from it already; it begins with a request head.
            peer: the client's address as `host:port` or `[host]:port`, b"" to ask the socket.
            give_back: called with descriptor and unread bytes when the connection asks for what is not served here.
                The descriptor stays open until its Deferred fires, and is closed then, whatever it fires with.

        Raises:
            Busy: too many are open, or the descriptor is none that can be served.
        """
        try:
            sock = socket.socket(fileno=fd)
        except OSError as e:
            os.close(fd)
            raise Busy(f"the descriptor is no socket: {e}") from None
        home = Home(self, _address(peer), give_back)
        with sock:
            if sock.family not in _FAMILIES or sock.type != socket.SOCK_STREAM:
                raise Busy("only stream sockets can be adopted")
            try:
                sock.getpeername()
            except OSError:
                return  # the client is gone already
            number = self.reactor.adoptStreamConnection(fd, sock.family, home).fileno()
        if number > self._highest:
            os.close(home.let_go()[0])
            raise Busy(f"the manager holds {self.held} connections and keeps its last descriptors free")
        self.adopted += 1
        home.read(head)


class Home:
    """One adopted connection: makes its channel, and takes it back.

    While it waits for the last bytes to be written it is the transport's pull producer.
    """

    _log = Logger()

    def __init__(
        self, adoption: Adoption, peer: IAddress | None, give_back: Callable[[int, bytes], Deferred[Any]]
    ) -> None:
        self._adoption = adoption
        self.peer = peer
        self._give_back = give_back
        self._channel: IChannel
        self._first = True
        self._call: IDelayedCall | None = None

    def buildProtocol(self, addr: IAddress | None) -> IChannel:
        """Make the channel, for the reactor."""
        self._channel = self._adoption.site.buildProtocol(addr)
        self._channel.home = self
        self._adoption.held += 1
        return self._channel

    def read(self, head: bytes) -> None:
        """Give the channel what the worker has read, as the transport would: an error closes the connection."""
        try:
            self._channel.dataReceived(head)
        except Exception:
            self._log.failure("a connection that a worker handed over failed")
            self._channel.transport.abortConnection()

    def is_foreign(self, target: bytes) -> bool:
        """Tell whether the connection has to go back for this request.

        The first is never foreign: the worker has decided that, and it would only send it again.
        """
        first, self._first = self._first, False
        return not first and not is_own(target)

    def take_back(self) -> None:
        """Take the connection back as soon as all answers are written, and nobody is in the middle of using it."""
        transport = self._channel.transport
        transport.pauseProducing()
        transport.unregisterProducer()
        transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """All is written, or nothing was to be; called from within the transport, so that nothing is done here."""
        if self._call is None:
            self._call = self._adoption.reactor.callLater(0, self._leave)

    def stopProducing(self) -> None:
        """The connection is gone; `lost` follows."""

    def lost(self) -> None:
        """The connection is gone."""
        self._adoption.held -= 1
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _leave(self) -> None:
        self._call = None
        if is_writing(self._channel.transport):
            return  # `resumeProducing` comes again
        descriptor, unread = self.let_go()
        self._adoption.given_back += 1
        # The link queues the number: it may be closed, and used for another client, only when it was sent.
        done = maybeDeferred(self._give_back, descriptor, unread)
        done.addErrback(self._failed)
        done.addBoth(lambda _: os.close(descriptor))

    def let_go(self) -> tuple[int, bytes]:
        """Take the connection out of the site; return the descriptor, still open, and what was read of it."""
        self._adoption.held -= 1
        unread = self._channel.depart()
        transport = self._channel.transport
        transport.unregisterProducer()
        return detach(transport), unread

    def _failed(self, reason: Failure) -> None:
        # The worker is gone, or full: the client finds its connection closed, and comes again.
        self._log.debug("a connection could not be given back: {reason}", reason=reason.getErrorMessage())


def is_writing(transport: Any) -> bool:
    """Tell whether bytes of a transport still wait to be written."""
    return bool(transport.dataBuffer or transport._tempDataBuffer)


def detach(transport: Any) -> int:
    """Take a connection away from its transport (`twisted.internet.tcp.Server` or `unix.Server`), alive.

    Nothing may wait to be written, and the call must not come from within the transport. It reaches into Twisted: the
    transport is left as after `connectionLost`, but the socket is neither shut down nor closed and the protocol is not
    told. `tests/test_manager_adoption.py` pins it.

    Returns:
        the descriptor; whoever calls closes it.
    """
    transport.stopReading()
    transport.stopWriting()
    transport.connected = 0
    transport.disconnected = 1
    descriptor: int = transport.socket.detach()
    del transport.protocol
    return descriptor


def _address(peer: bytes) -> IAddress | None:
    """Return a client's address as it was told; None when it was not, or makes no sense."""
    host, colon, port = peer.decode("ascii", "replace").rpartition(":")
    if not colon or not port.isdigit():
        return None
    if host.startswith("[") and host.endswith("]"):
        return IPv6Address("TCP", host[1:-1], int(port))
    return IPv4Address("TCP", host, int(port))
