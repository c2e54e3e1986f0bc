"""Whether a request that changes something comes from our own pages."""

from __future__ import annotations

import pytest

from megacomet.console.origins import check_own_page, fields_of, is_under_tls
from megacomet.errors import PeerError

HOST = b"comet.example:8080"


def fields(*lines: str) -> dict[bytes, list[bytes]]:
    """Return the headers of a request with these lines."""
    return fields_of("\r\n".join(["POST / HTTP/1.1", *lines, "", ""]).encode("latin-1"))


def test_fields() -> None:
    """All headers of a head, also those that stand twice, with what may stand around them."""
    raw = b"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nA:1\r\na: \t2 \r\nEmpty:\r\nC: d:e\r\n\r\n"
    assert fields_of(raw) == {b"host": [b"h"], b"a": [b"1", b"2"], b"empty": [b""], b"c": [b"d:e"]}
    assert fields_of(b"GET / HTTP/1.0\r\n\r\n") == {}


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("Sec-Fetch-Site: same-origin",),
        ("Sec-Fetch-Site: none",),
        ("Origin: http://comet.example:8080",),
        ("Origin: https://comet.example:8080", "Sec-Fetch-Site: same-origin"),
        ("Origin: HTTP://Comet.Example:8080",),
    ],
)
def test_our_own(lines: tuple[str, ...]) -> None:
    """Our pages and programs are let through."""
    check_own_page(fields(*lines), HOST)


@pytest.mark.parametrize(
    "lines",
    [
        ("Sec-Fetch-Site: cross-site",),
        ("Sec-Fetch-Site: same-site",),
        ("Sec-Fetch-Site: Same-Origin",),
        ("Sec-Fetch-Site:",),
        ("Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"),
        ("Sec-Fetch-Site: same-origin", "Origin: http://evil.example"),
        ("Origin: http://comet.example",),
        ("Origin: http://comet.example:8081",),
        ("Origin: http://comet.example:8080.evil.example",),
        ("Origin: http://evil.example/comet.example:8080",),
        ("Origin: http://comet.example:8080@evil.example",),
        ("Origin: http://evil.example@comet.example:8080",),
        ("Origin: ftp://comet.example:8080",),
        ("Origin: comet.example:8080",),
        ("Origin: null",),
        ("Origin:",),
        ("Origin: http://",),
    ],
)
def test_somebody_else_s(lines: tuple[str, ...]) -> None:
    """Pages of other origins are not, whatever they or their browser say."""
    with pytest.raises(PeerError) as caught:
        check_own_page(fields(*lines), HOST)
    assert caught.value.code == "forbidden"


@pytest.mark.parametrize(
    ("origin", "host", "is_own"),
    [
        ("https://comet.example", "comet.example", True),
        ("https://comet.example", "comet.example:443", True),
        ("https://comet.example:443", "comet.example", True),
        ("http://comet.example", "comet.example:80", True),
        ("https://comet.example", "comet.example:80", False),
        ("http://[::1]:8080", "[::1]:8080", True),
        ("http://[::1]", "[::1]:8080", False),
        ("http://comet.example", "", False),
    ],
)
def test_usual_ports(origin: str, host: str, is_own: bool) -> None:
    """A port that need not be written counts as written."""
    try:
        check_own_page(fields(f"Origin: {origin}"), host.encode())
    except PeerError:
        assert not is_own
    else:
        assert is_own


@pytest.mark.parametrize(
    ("lines", "is_secure", "under_tls"),
    [
        ((), False, False),
        ((), True, True),
        (("Origin: https://comet.example",), False, True),
        (("Origin: http://comet.example",), False, False),
        (("X-Forwarded-Proto: https",), False, True),
        (("X-Forwarded-Proto: HTTPS, http",), False, True),
        (("X-Forwarded-Proto: http, https",), False, False),
        (("X-Forwarded-Proto: httpsx",), False, False),
    ],
)
def test_tls(lines: tuple[str, ...], is_secure: bool, under_tls: bool) -> None:
    """TLS may end at us or at a proxy before us."""
    assert is_under_tls(fields(*lines), is_secure) is under_tls
