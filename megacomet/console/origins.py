"""Whether a request comes from our own pages: what the browser says of it (Fetch Metadata, the header Origin).

Programs send neither, and are let through: what they cannot have is the session's cookie of somebody else's browser.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from megacomet.errors import PeerError

Fields = Mapping[bytes, Sequence[bytes]]

_OWN_SITES: Final = frozenset({b"same-origin", b"none"})
_ORIGIN: Final = re.compile(rb"(https?)://([^/?#@\s]+)", re.IGNORECASE).fullmatch
_PORTS: Final = {b"http": b":80", b"https": b":443"}


def fields_of(raw: bytes) -> dict[bytes, list[bytes]]:
    """Return all headers of a head that was parsed and found right, by lower-case name."""
    fields: dict[bytes, list[bytes]] = {}
    for line in raw.strip(b"\r\n").split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        fields.setdefault(name.lower(), []).append(value.strip(b" \t"))
    return fields


def check_own_page(fields: Fields, host: bytes) -> None:
    """Check that a request which changes something is not made by a page of somebody else.

    Args:
        fields: the headers, by lower-case name.
        host: that was asked for.

    Raises:
        PeerError: `forbidden`.
    """
    for site in fields.get(b"sec-fetch-site", ()):
        if site not in _OWN_SITES:
            raise PeerError("forbidden", "a page of another origin may not ask for this (Sec-Fetch-Site)")
    for origin in fields.get(b"origin", ()):
        if not _is_of(origin, host):
            raise PeerError(
                "forbidden",
                "the Origin is not of the Host that was asked for; a proxy before this server passes the Host on",
            )


def _is_of(origin: bytes, host: bytes) -> bool:
    found = _ORIGIN(origin)
    if found is None:
        return False
    port = _PORTS[found[1].lower()]
    return found[2].lower().removesuffix(port) == host.lower().removesuffix(port)


def is_under_tls(fields: Fields, is_secure: bool) -> bool:
    """Tell whether the browser speaks TLS, to us or to a proxy before us, as far as the request tells.

    Args:
        fields: the headers.
        is_secure: whether the connection to us is TLS.
    """
    return (
        is_secure
        or any(origin.lower().startswith(b"https:") for origin in fields.get(b"origin", ()))
        or any(proto.partition(b",")[0].strip().lower() == b"https" for proto in fields.get(b"x-forwarded-proto", ()))
    )
