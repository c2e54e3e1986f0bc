"""`/api/broadcasts`: what is asked for, and what is told of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from megacomet.errors import BadName, PeerError
from megacomet.names import CHANNEL_MAX_BYTES, DOTS, EVERYONE, NAME_PATTERN, check_channel, is_mailbox
from megacomet.wire.answers import as_json
from megacomet.wire.described import Channel, Count, Position, Seconds, Time, Whole
from megacomet.wire.jsonbytes import compact
from megacomet.wire.push import Ttl, decode_fields, refuse_repeats, ttl_of

#: Connections that it is written to a second, unless the request says, and at most.
PER_S: Final = 10_000
MOST_PER_S: Final = 1_000_000

STATES: Final = ("running", "paused", "cancelled", "done")
State = Annotated[str, Meta(extra_json_schema={"enum": list(STATES)})]
_Target = Annotated[
    str,
    Meta(
        description="A channel that is no mailbox; `*` is the channel of everyone.",
        examples=["news"],
        extra_json_schema={
            "minLength": 1,
            "maxLength": CHANNEL_MAX_BYTES,
            "pattern": NAME_PATTERN.replace("^", "^(?!@)", 1),
            "not": {"enum": [dots.decode() for dots in DOTS]},
        },
    ),
]
_PerS = Annotated[Whole, Meta(extra_json_schema={"minimum": 1, "maximum": MOST_PER_S, "default": PER_S})]


class BroadcastBody(msgspec.Struct, forbid_unknown_fields=True):
    """A broadcast, to one of `channel` and `everyone`.

    Attributes:
        data: any JSON value; it travels as it was sent, without line breaks.
        channel: the target; no mailbox.
        everyone: true: the target is the channel `*`.
        ttl: seconds that it is kept, 0: live only; absent: as its namespace says.
        per_s: connections that it is written to a second.
    """

    data: msgspec.Raw
    channel: _Target | UnsetType = UNSET
    everyone: bool | UnsetType = UNSET
    ttl: Ttl | UnsetType = UNSET
    per_s: _PerS | UnsetType = UNSET


#: What the type cannot say of `BroadcastBody`.
BROADCAST_RULES: Final[dict[str, object]] = {
    "oneOf": [
        {"required": ["channel"]},
        {"required": ["everyone"], "properties": {"everyone": {"const": True}}},
    ],
    "examples": [{"everyone": True, "data": {"text": "hello"}, "per_s": 5000}],
}

_decode: Final = msgspec.json.Decoder(BroadcastBody).decode


class Order(msgspec.Struct, frozen=True):
    """What a request for a broadcast asks for.

    Attributes:
        channel: the target.
        data: checked JSON without line breaks.
        ttl_s: seconds, 0 live only; None: as long as the namespace says.
        per_s: connections a second.
    """

    channel: bytes
    data: bytes
    ttl_s: float | None = None
    per_s: int = PER_S


def decode_broadcast(body: bytes, max_data_bytes: int) -> Order:
    """Decode the body of `POST /api/broadcasts`.

    Args:
        body: of the request.
        max_data_bytes: the most that `data` may have.

    Raises:
        PeerError: `bad-json`, `bad-fields` or `too-large`, with the pointer of the field at fault.
    """
    fields = decode_fields(_decode, body)
    raw = bytes(fields.data)
    data = compact(raw, max_data_bytes)
    refuse_repeats(body, raw, fields)
    per_s = PER_S if fields.per_s is UNSET else fields.per_s
    if not 1 <= per_s <= MOST_PER_S:
        raise PeerError("bad-fields", f"per_s is a whole number from 1 to {MOST_PER_S}", "/per_s")
    ttl_s = None if fields.ttl is UNSET else ttl_of(fields.ttl)
    return Order(_target(fields), data, ttl_s, int(per_s))


def _target(fields: BroadcastBody) -> bytes:
    if (fields.channel is UNSET) == (fields.everyone is not True):
        pointer = "" if fields.channel is UNSET else "/everyone"
        raise PeerError("bad-fields", "exactly one of channel and everyone (true) is named", pointer)
    if fields.channel is UNSET:
        return EVERYONE
    try:
        channel = check_channel(fields.channel.encode())
    except BadName as e:
        raise PeerError("bad-fields", e.detail, "/channel") from None
    if is_mailbox(channel):
        raise PeerError("bad-fields", "a broadcast goes to a channel; to a mailbox a message is pushed", "/channel")
    return channel


class Broadcast(msgspec.Struct, frozen=True, kw_only=True):
    """A broadcast as it stands.

    Attributes:
        id: the position of its message.
        channel: that it goes to; `*`: to everyone.
        state: `running`, `paused`, `cancelled` or `done`.
        per_s: connections that it is written to a second.
        connections: that it was due to at its beginning.
        written: connections that it was written to.
        lost: connections that were gone before their turn; when it was cancelled, who is in neither never had one.
        started: when it was published.
        ended: when it was over; `null`: it is not.
        by: the name of the key that it was asked for with.
        bytes: of its data.
    """

    id: Position
    channel: Channel
    state: State
    per_s: Count
    connections: Count
    written: Count
    lost: Count
    started: Time
    ended: Time | None
    by: str
    bytes: Count


class BroadcastList(msgspec.Struct, frozen=True):
    """The last broadcasts.

    Attributes:
        broadcasts: the newest first.
    """

    broadcasts: Sequence[Broadcast]


class BroadcastEstimate(msgspec.Struct, frozen=True):
    """What a broadcast would be.

    Attributes:
        connections: that it would be due to.
        seconds: that it would take.
        bytes: of its data.
    """

    connections: Count
    seconds: Seconds
    bytes: Count


def broadcast_json(broadcast: Broadcast) -> bytes:
    """Return the body that tells of one."""
    return as_json(broadcast)


def broadcasts_json(broadcasts: Sequence[Broadcast]) -> bytes:
    """Return the body that lists some, the newest first."""
    return as_json(BroadcastList(broadcasts))


def estimate_json(order: Order, connections: int) -> bytes:
    """Return the body that says what a broadcast would be."""
    return as_json(BroadcastEstimate(connections, connections / order.per_s, len(order.data)))
