"""How a file is answered: whole or zipped, or that the client has it already (RFC 9110, 12.5.3 and 13.1.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from megacomet.console.files import File
from megacomet.console.origins import Fields
from megacomet.wire.tags import is_known

#: For what has its hash in its address, and for what has not.
FOR_EVER: Final = b"public, max-age=31536000, immutable"
ASK_FIRST: Final = b"no-cache"


@attrs.frozen
class Reply:
    """An answer.

    Attributes:
        status: of it.
        body: its bytes.
        content_type: of them.
        lines: more header lines, each with its CRLF.
        cache_control: the value of Cache-Control.
    """

    status: int
    body: bytes = b""
    content_type: bytes = b"application/json"
    lines: bytes = b""
    cache_control: bytes = b"no-store"


def file_reply(file: File, fields: Fields, cache_control: bytes) -> Reply:
    """Return the answer for a file.

    Args:
        file: that was asked for.
        fields: headers of the request, by lower-case name.
        cache_control: how long it may be kept.
    """
    zipped = file.zipped if takes_gzip(fields.get(b"accept-encoding", ())) else None
    tag = f'"{file.tag}"' if zipped is None else f'"{file.tag}-gzip"'
    lines = b"ETag: %b\r\n" % tag.encode()
    if file.zipped is not None:
        lines += b"Vary: Accept-Encoding\r\n"
    if is_known(tag.encode(), fields.get(b"if-none-match", ())):
        return Reply(304, b"", file.content_type, lines, cache_control)
    if zipped is None:
        return Reply(200, file.body, file.content_type, lines, cache_control)
    return Reply(200, zipped, file.content_type, lines + b"Content-Encoding: gzip\r\n", cache_control)


def takes_gzip(accepted: Iterable[bytes]) -> bool:
    """Tell whether a client takes gzip, by its headers Accept-Encoding; what cannot be read counts as no."""
    weights: dict[bytes, float] = {}
    for item in b",".join(accepted).lower().split(b","):
        coding, _, parameter = item.partition(b";")
        name, _, value = parameter.strip().partition(b"=")
        try:
            weights[coding.strip()] = float(value) if name.strip() == b"q" else 1.0
        except ValueError:
            weights[coding.strip()] = 0.0
    return weights.get(b"gzip", weights.get(b"*", 0.0)) > 0
