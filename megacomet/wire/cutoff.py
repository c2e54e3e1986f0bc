"""`POST /api/clients/{id}/disconnect`: what it asks for, and the close codes that a WebSocket is told.

Owns the rule which code means "come back" (the wire contract, section 6).
"""

from __future__ import annotations

from typing import Annotated, Final

import attrs
import msgspec
from msgspec import Meta

from megacomet.errors import PeerError
from megacomet.wire.bodies import decode_body
from megacomet.wire.described import Whole

#: A client is kept out for so long at most, seconds: a week.
MOST_BLOCK_S: Final = 7 * 24 * 3600
RECONNECT: Final = 3011
CUT_OFF: Final = 3503
#: The application's own codes: up to the second the client comes back, from there on it does not.
_OWN: Final = range(4000, 5000)
_OWN_FINAL: Final = 4500

REASONS: Final = {RECONNECT: b"reconnect asked for", CUT_OFF: b"cut off by an operator"}


class CutOffBody(msgspec.Struct, forbid_unknown_fields=True):
    """How a client is cut off.

    Attributes:
        reconnect: whether it is to come back.
        block_s: without `reconnect`, for so many seconds it is turned away.
        code: what its WebSockets are closed with; `null`: the usual one.
    """

    reconnect: bool = True
    block_s: Annotated[Whole, Meta(extra_json_schema={"minimum": 0, "maximum": MOST_BLOCK_S})] = 0
    code: Annotated[Whole, Meta(extra_json_schema={"minimum": _OWN.start, "maximum": _OWN.stop - 1})] | None = None


#: What the type cannot say of `CutOffBody`.
CUT_OFF_RULES: Final[dict[str, object]] = {
    "if": {"properties": {"reconnect": {"const": False}}, "required": ["reconnect"]},
    "then": {"properties": {"code": {"minimum": _OWN_FINAL}}},
    "else": {"properties": {"code": {"exclusiveMaximum": _OWN_FINAL}, "block_s": {"const": 0}}},
    "examples": [{"reconnect": False, "block_s": 600}],
}

_decode: Final = msgspec.json.Decoder(CutOffBody).decode


@attrs.frozen
class CutOff:
    """How a client is cut off.

    Attributes:
        reconnect: whether it may come back at once.
        block_s: else, for how many seconds it is turned away.
        code: what its WebSockets are closed with.
    """

    reconnect: bool
    block_s: int
    code: int


def decode_cut_off(body: bytes) -> CutOff:
    """Decode the body of the request; an empty one asks for what is usual.

    Raises:
        PeerError: `bad-json` or `bad-fields`.
    """
    fields = decode_body(_decode, body)
    if not 0 <= fields.block_s <= MOST_BLOCK_S:
        raise PeerError("bad-fields", f"block_s is 0 to {MOST_BLOCK_S} seconds", "/block_s")
    if fields.reconnect and fields.block_s:
        raise PeerError("bad-fields", "who is to come back is not kept out: say reconnect false", "/block_s")
    code = fields.code
    if code is None:
        code = RECONNECT if fields.reconnect else CUT_OFF
    elif int(code) not in _OWN or (code < _OWN_FINAL) != fields.reconnect:
        raise PeerError("bad-fields", "a code is 4000-4499 with reconnect, 4500-4999 without", "/code")
    return CutOff(fields.reconnect, int(fields.block_s), int(code))
