"""The session's cookie on the wire (RFC 6265): found among those of others, and set."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

NAME: Final = b"megacomet_session"
#: Of cookies that have our name: a browser may hold several, of other paths and domains. Each costs a signature.
MOST: Final = 8

_SET: Final = b"Set-Cookie: %b=%b; Path=/console; HttpOnly; SameSite=Strict; Max-Age=%d%b\r\n"


def tokens_in(lines: Iterable[bytes]) -> list[bytes]:
    """Return the values of the cookies with our name, in their order, `MOST` at most.

    Args:
        lines: values of all headers Cookie of a request.
    """
    found: list[bytes] = []
    for line in lines:
        for pair in line.split(b";"):
            name, _, value = pair.partition(b"=")
            if name.strip(b" \t") == NAME:
                found.append(value.strip(b' \t"'))
    return found[:MOST]


def set_line(token: bytes, max_age_s: int, is_secure: bool) -> bytes:
    """Return the header that has the browser keep a token; b"" and 0: that has it forget it.

    Args:
        token: of the session.
        max_age_s: how long it is kept.
        is_secure: whether it may be sent under TLS only.
    """
    return _SET % (NAME, token, max_age_s, b"; Secure" if is_secure else b"")
