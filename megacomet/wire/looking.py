"""What the manager asks a worker about its listeners, and what it is told: the values of `link.Look`, as MessagePack.

Names are bytes here, as everywhere below the doors, which is why this is not JSON.
"""

from __future__ import annotations

from typing import Final

import msgspec


class ListChannels(msgspec.Struct, frozen=True, tag=1, array_like=True):
    """Which channels with listeners come next by name? Answered by `Names`.

    Attributes:
        prefix: that they begin with.
        after: a name that they come after, b"" for none.
        limit: how many at most.
    """

    prefix: bytes
    after: bytes
    limit: int


class CountListeners(msgspec.Struct, frozen=True, tag=2, array_like=True):
    """How many connections hear a channel? Answered by an int."""

    channel: bytes


class FindConnections(msgspec.Struct, frozen=True, tag=3, array_like=True):
    """Which connections hear a channel? Answered by a list of `Connection`, which may be cut off.

    Attributes:
        channel: a mailbox, mostly.
        limit: how many at most.
    """

    channel: bytes
    limit: int


class TakeCensus(msgspec.Struct, frozen=True, tag=4, array_like=True):
    """How many channels with listeners are there? Answered by an int, which may be a few too many.

    Whoever asks goes on with `CountBins`; see `megacomet.model.ranking`.

    Attributes:
        prefix: that they begin with.
        modulus: what their bins are reckoned with. It stands for this question in those that follow.
    """

    prefix: bytes
    modulus: int


class CountBins(msgspec.Struct, frozen=True, tag=5, array_like=True):
    """How many connections hear the channels of some bins? Answered by a number for each name; once for each bin.

    Attributes:
        modulus: of the `TakeCensus` that was asked before.
        first: bin.
        end: the bin behind the last.
    """

    modulus: int
    first: int
    end: int


Question = ListChannels | CountListeners | FindConnections | TakeCensus | CountBins


class Names(msgspec.Struct, frozen=True, array_like=True):
    """A page of names.

    Attributes:
        names: in order, each with the number of its listeners; 0 when they have left meanwhile.
        more: whether there are more behind them.
    """

    names: list[tuple[bytes, int]]
    more: bool


class Connection(msgspec.Struct, frozen=True, array_like=True):
    """A connection that waits.

    Attributes:
        transport: poll, sse, stream or ws.
        address: of the peer, "unix" on a UNIX socket, None when it has just gone.
        since: when the poll or the stream began, UNIX seconds; None when the system does not tell.
        channels: that it hears, beside that of everyone.
        backlog_bytes: written to it and not sent yet.
    """

    transport: str
    address: str | None
    since: float | None
    channels: list[bytes]
    backlog_bytes: int


#: Listeners by channel.
Counts = dict[bytes, int]

Answer = Names | int | list[Connection] | Counts

_encode: Final = msgspec.msgpack.Encoder().encode
_decode_question: Final = msgspec.msgpack.Decoder(Question).decode

decode_names: Final = msgspec.msgpack.Decoder(Names).decode
decode_count: Final = msgspec.msgpack.Decoder(int).decode
decode_connections: Final = msgspec.msgpack.Decoder(list[Connection]).decode
decode_counts: Final = msgspec.msgpack.Decoder(Counts).decode


def encode(value: Question | Answer) -> bytes:
    """Encode a question or an answer."""
    return _encode(value)


def decode_question(data: bytes) -> Question:
    """Decode a question.

    Raises:
        ValueError: it is none (msgspec's errors are such).
    """
    question: Question = _decode_question(data)
    return question
