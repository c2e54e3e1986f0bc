"""Where a server is called."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.web.client import URI

from megacomet.addresses import Address
from megacomet.client.places import Endpoints, endpoint_to, place_of


@pytest.mark.parametrize(
    ("url", "http", "websocket", "host"),
    [
        ("http://a.example", "http://a.example:80/x", "ws://a.example:80/x", "a.example:80"),
        ("http://a.example:8080/", "http://a.example:8080/x", "ws://a.example:8080/x", "a.example:8080"),
        ("https://a.example/push/", "https://a.example:443/push/x", "wss://a.example:443/push/x", "a.example:443"),
        ("http://[::1]:8080/a/b", "http://[::1]:8080/a/b/x", "ws://[::1]:8080/a/b/x", "[::1]:8080"),
        ("http://0.0.0.0:8080", "http://127.0.0.1:8080/x", "ws://127.0.0.1:8080/x", "127.0.0.1:8080"),
        ("unix:/run/m.sock", "http://localhost/x", "ws://localhost/x", "localhost"),
    ],
)
def test_urls(url: str, http: str, websocket: str, host: str) -> None:
    """What is asked for, behind the path that the place has."""
    place = place_of(url)
    assert (place.url("/x"), place.websocket_url("/x"), place.host_header) == (http, websocket, host)


@pytest.mark.parametrize(
    "url",
    [
        *("", "a.example", "ftp://a.example", "http://", "http://a:b@c", "http://a/b?c", "http://a/b#c"),
        *("http://a/b c", "http://a/\u00e4", "http://a:0", "http://a:99999", "unix:", "ws://a.example"),
    ],
)
def test_bad_urls(url: str) -> None:
    """What is no address is told where it is given."""
    with pytest.raises(ValueError, match="http"):
        place_of(url)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        (Address("http", "192.0.2.1", 80), TCP4ClientEndpoint),
        (Address("http", "::1", 80), TCP6ClientEndpoint),
        (Address("http", "a.example", 80), HostnameEndpoint),
        (Address("unix", path="/run/m.sock"), UNIXClientEndpoint),
    ],
)
def test_endpoints(address: Address, kind: type) -> None:
    """Numbers are not looked up."""
    assert isinstance(endpoint_to(MemoryReactorClock(), address), kind)


def test_endpoints_of_requests() -> None:
    """A UNIX socket is asked whatever the URL says; else whatever it redirects to."""
    reactor = MemoryReactorClock()
    uri = URI.fromBytes(b"http://[::1]:81/x")
    assert isinstance(Endpoints(reactor, place_of("unix:/a")).endpointForURI(uri), UNIXClientEndpoint)
    assert isinstance(Endpoints(reactor, place_of("http://a.example")).endpointForURI(uri), TCP6ClientEndpoint)


def test_tls() -> None:
    """The certificate is that of the name."""
    reactor = MemoryReactorClock()
    connected: list[Any] = []
    inner = Protocol()
    endpoint_to(reactor, Address("https", "192.0.2.1", 443)).connect(Factory.forProtocol(lambda: inner)).addCallback(
        connected.append
    )
    assert reactor.tcpClients[0][:2] == ("192.0.2.1", 443)
    outer = reactor.tcpClients[0][2].buildProtocol(None)
    outer.makeConnection(transport := StringTransport())
    reactor.advance(0)
    assert transport.value()[:1] == b"\x16"  # a handshake of TLS
    assert connected == [inner]
    inner.transport.write(b"x")
    assert [call.time for call in reactor.getDelayedCalls()] == [
        0
    ]  # what is gathered goes out with this reactor's turn
