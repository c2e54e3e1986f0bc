"""Small bodies of requests: from bytes to fields, or to the error that is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from megacomet.errors import PeerError
from megacomet.wire.jsonbytes import check_utf8

Fields = TypeVar("Fields")


def decode_body(decode: Callable[[bytes], Fields], body: bytes) -> Fields:
    """Decode a body; an empty one is an object without fields.

    Args:
        decode: of a `msgspec.json.Decoder`, whose type has the fields.
        body: as it came.

    Raises:
        PeerError: `bad-json` or `bad-fields`.
    """
    try:
        check_utf8(body)
        return decode(body or b"{}")
    except msgspec.ValidationError as e:
        raise PeerError("bad-fields", str(e)) from None
    except (msgspec.DecodeError, RecursionError) as e:
        raise PeerError("bad-json", str(e)) from None
