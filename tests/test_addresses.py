"""Addresses of servers: URLs and endpoint strings, taken apart and put together."""

from __future__ import annotations

import pytest

from megacomet.addresses import HTTP, HTTPS, UNIX, Address, address_of_endpoint, address_of_url, parse_endpoint


@pytest.mark.parametrize(
    ("url", "address", "shown"),
    [
        ("http://127.0.0.1:8080", Address(HTTP, "127.0.0.1", 8080), "http://127.0.0.1:8080"),
        ("http://[::1]:8080/", Address(HTTP, "::1", 8080), "http://[::1]:8080"),
        ("HTTPS://Comet.Example", Address(HTTPS, "comet.example", 443), "https://comet.example:443"),
        ("http://localhost", Address(HTTP, "localhost", 80), "http://localhost:80"),
        ("unix:/run/a:b.sock", Address(UNIX, path="/run/a:b.sock"), "unix:/run/a:b.sock"),
    ],
)
def test_urls(url: str, address: Address, shown: str) -> None:
    """What people write is understood, and shown in one form."""
    assert address_of_url(url) == address
    assert str(address) == shown
    assert address_of_url(shown) == address


@pytest.mark.parametrize(
    "url",
    [
        *("", "http://", "http:///x", "127.0.0.1:8080", "ftp://a", "unix:", "unix:a\0b", "http://a b", "http://a\nb"),
        *("http://a:0", "http://a:70000", "http://a:b", "http://[::1", "http://a/comet", "systemd:index=0"),
        *("http://me:secret@a", "http://a?x=1", "http://a#x"),
    ],
)
def test_no_urls(url: str) -> None:
    """What is none is refused, and what it must be is told."""
    with pytest.raises(ValueError, match="http://HOST:PORT, https://HOST:PORT or unix:PATH"):
        address_of_url(url)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("tcp:8081", "http://0.0.0.0:8081"),
        ("tcp:8081:interface=127.0.0.1", "http://127.0.0.1:8081"),
        ("tcp:port=8081", "http://0.0.0.0:8081"),
        (r"tcp6:8081:interface=\:\:1", "http://[::1]:8081"),
        ("tcp6:8081", "http://[::]:8081"),
        ("ssl:443:privateKey=key.pem:certKey=cert.pem", "https://0.0.0.0:443"),
        ("unix:/run/x.sock:mode=660", "unix:/run/x.sock"),
        ("unix:address=/run/x.sock", "unix:/run/x.sock"),
    ],
)
def test_endpoints(text: str, shown: str) -> None:
    """An endpoint string tells where to call."""
    assert str(address_of_endpoint(text)) == shown


@pytest.mark.parametrize("text", ["systemd:domain=INET:index=0", "tcp:0", "tcp:http", "tcp", "tcp:70000", "unix:"])
def test_endpoints_that_do_not_tell(text: str) -> None:
    """Of some endpoints nobody knows the address."""
    assert address_of_endpoint(text) is None


def test_parts_of_an_endpoint() -> None:
    """Words and named parts, with what is escaped."""
    assert parse_endpoint(r"unix:/a\:b:mode=660:x=a=b") == (["unix", "/a:b"], {"mode": "660", "x": "a=b"})


@pytest.mark.parametrize(
    ("address", "called", "is_local"),
    [
        (Address(HTTP, "0.0.0.0", 1), "http://127.0.0.1:1", True),
        (Address(HTTP, "::", 1), "http://[::1]:1", True),
        (Address(HTTP, "", 1), "http://127.0.0.1:1", True),
        (Address(HTTP, "localhost", 1), "http://localhost:1", True),
        (Address(HTTP, "127.1.2.3", 1), "http://127.1.2.3:1", True),
        (Address(HTTP, "127.example.com", 1), "http://127.example.com:1", False),
        (Address(HTTPS, "192.0.2.7", 1), "https://192.0.2.7:1", False),
        (Address(UNIX, path="/x"), "unix:/x", True),
    ],
)
def test_what_is_called(address: Address, called: str, is_local: bool) -> None:
    """All interfaces are called by the loopback; what leaves the machine is known."""
    assert str(address.called) == called
    assert address.called.is_local is is_local
