"""Entity tags: what stands for the bytes of a file, and whether a client has them (RFC 9110, 8.8.3 and 13.1.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

_CHARS: Final = 16


def tag_of(body: bytes) -> str:
    """Return what stands for the bytes, without its quotes."""
    return hashlib.sha256(body).hexdigest()[:_CHARS]


def is_known(tag: bytes, known: Iterable[bytes]) -> bool:
    """Tell whether a client has what a tag stands for; tags are compared weakly.

    Args:
        tag: with its quotes.
        known: the values of its headers If-None-Match.
    """
    tags = {each.strip().removeprefix(b"W/") for each in b",".join(known).split(b",")}
    return tag in tags or b"*" in tags
