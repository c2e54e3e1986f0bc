"""Where a server is called: URLs as programs give them, and the endpoints that reach them."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import attrs
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
)
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.ssl import optionsForClientTLS
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from megacomet.addresses import HTTPS, UNIX, Address, address_of_url

#: Longer than a lost SYN takes to be sent again, twice.
CONNECT_S: Final = 10.0


@attrs.frozen
class Place:
    """A server, as it is called.

    Attributes:
        address: what is connected to.
        path: what its paths begin with, without a slash at the end: "" where it stands by itself.
    """

    address: Address
    path: str

    def url(self, path: str) -> str:
        """Return the URL of a path ("/comet/ws?…"), for HTTP."""
        return f"{self._scheme}://{self.host_header}{self.path}{path}"

    def websocket_url(self, path: str) -> str:
        """Return the URL of a path, for a WebSocket."""
        return f"{'wss' if self._scheme == HTTPS else 'ws'}://{self.host_header}{self.path}{path}"

    @property
    def host_header(self) -> str:
        """What the server is called in a request."""
        if self.address.scheme == UNIX:
            return "localhost"
        return str(self.address).partition("://")[2]

    @property
    def _scheme(self) -> str:
        return HTTPS if self.address.scheme == HTTPS else "http"

    def __str__(self) -> str:
        return f"{self.address}{self.path}"


def place_of(url: str) -> Place:
    """Take apart `http://HOST:PORT/PREFIX`, `https://…` or `unix:/PATH`.

    Raises:
        ValueError: it is none of them; the text says what it must be.
    """
    if url.startswith(f"{UNIX}:"):
        return Place(address_of_url(url), "")
    path = urlsplit(url).path
    if not path.isascii() or not path.isprintable() or " " in path:
        raise ValueError("http://HOST:PORT/PATH with a path as it is sent")
    bare = url[: len(url) - len(path)] if path and url.endswith(path) else url
    return Place(address_of_url(bare).called, path.rstrip("/"))


def endpoint_to(reactor: Any, address: Address, timeout_s: float = CONNECT_S) -> IStreamClientEndpoint:
    """Return the endpoint that reaches an address. Numbers are not looked up: that would take a thread."""
    if address.scheme == UNIX:
        return UNIXClientEndpoint(reactor, address.path, timeout=timeout_s)
    host, port = address.host, address.port
    endpoint: IStreamClientEndpoint
    if isIPAddress(host):
        endpoint = TCP4ClientEndpoint(reactor, host, port, timeout=timeout_s)
    elif isIPv6Address(host):
        endpoint = TCP6ClientEndpoint(reactor, host, port, timeout=timeout_s)
    else:
        endpoint = HostnameEndpoint(reactor, host, port, timeout=timeout_s)
    if address.scheme == HTTPS:
        return TlsEndpoint(reactor, optionsForClientTLS(host), endpoint)
    return endpoint


@implementer(IStreamClientEndpoint)
class TlsEndpoint:
    """TLS on top of another endpoint. Twisted's own takes its time from the global reactor, which may not run."""

    def __init__(self, reactor: Any, creator: IOpenSSLClientConnectionCreator, endpoint: IStreamClientEndpoint) -> None:
        self._reactor = reactor
        self._creator = creator
        self._endpoint = endpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect, and give the protocol within TLS."""
        factory = TLSMemoryBIOFactory(self._creator, True, protocolFactory, clock=self._reactor)
        connecting: Deferred[Any] = self._endpoint.connect(factory)
        return connecting.addCallback(lambda protocol: protocol.wrappedProtocol)


@implementer(IAgentEndpointFactory)
class Endpoints:
    """Endpoints for requests by HTTP: the place's own, and whatever it redirects to."""

    def __init__(self, reactor: Any, place: Place) -> None:
        self._reactor = reactor
        self._place = place

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """Return where a URI is asked for."""
        if self._place.address.scheme == UNIX:
            return endpoint_to(self._reactor, self._place.address)
        address = Address(uri.scheme.decode(), uri.host.decode().strip("[]"), uri.port)
        return endpoint_to(self._reactor, address)
