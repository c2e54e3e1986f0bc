"""Pushes on the link: those that a worker has decoded, and what became of them.

Owns the records in the values of `Publish` and `Told` (`megacomet.link`). A push costs both ends a few microseconds, so
it is no JSON:

    up      number (4) flags (1) ttl (8, a double) identity (8) lengths of key (1), origin (2), targets (4), data (4),
            then these four
    down    number (4) count (2) length of the refusal (2), the refusal as code, NUL, detail; then for each target
            status and flags (1) connections (4) length of the id (1), and the id
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from megacomet.names import EVERYONE
from megacomet.wire.frames import decode_names, encode_names
from megacomet.wire.push import Push, PushResult

_PUSH: Final = struct.Struct(">IBd8sBHII")
_TOLD: Final = struct.Struct(">IHH")
_RESULT: Final = struct.Struct(">BIB")

_WANTS_RECEIPT: Final = 1
_SINGLE: Final = 2
_HAS_TTL: Final = 4
_HAS_KEY: Final = 8

#: What a result says in its first byte: the status, and of a refused one the code.
_STATUSES: Final = (
    ("sent", ""),
    ("queued", ""),
    ("unheard", ""),
    ("refused", "mailbox-full"),
    ("refused", "store-full"),
)
_NUMBERS: Final = {status: number for number, status in enumerate(_STATUSES)}
_REPEATED: Final = 0x80
#: Of connections: nobody wanted to know.
_UNKNOWN: Final = 0xFFFF_FFFF
#: A detail is for people; what would not fit is left out.
_MOST_REFUSAL_BYTES: Final = 0xFFFF


class SentPush(NamedTuple):
    """A push as a worker sends it.

    Attributes:
        number: which one, of this worker.
        push: the push.
        identity: 8 bytes that tell the publisher.
        wants_receipt: whether the connections are to be counted.
        origin: of whom to take note, the worker's own form; b"": of nobody.
    """

    number: int
    push: Push
    identity: bytes
    wants_receipt: bool
    origin: bytes


class ToldPush(NamedTuple):
    """What the manager tells of a push.

    Attributes:
        number: which one.
        results: one for each target, none when it was refused as a whole.
        refusal: code and detail of why the first that was refused was, None: none was.
    """

    number: int
    results: list[PushResult]
    refusal: tuple[str, str] | None


def encode_push(number: int, push: Push, identity: bytes, wants_receipt: bool, origin: bytes) -> bytes:
    """Pack one push; the arguments are those of `SentPush`."""
    flags = (_WANTS_RECEIPT if wants_receipt else 0) | (_SINGLE if push.single else 0)
    ttl_s, key = push.ttl_s, push.key
    if ttl_s is None:
        ttl_s = 0.0
    else:
        flags |= _HAS_TTL
    if key is None:
        key = b""
    else:
        flags |= _HAS_KEY
    targets = encode_names(push.targets)
    lengths = (len(key), len(origin), len(targets), len(push.data))
    head = _PUSH.pack(number, flags, ttl_s, identity, *lengths)
    return b"%b%b%b%b%b" % (head, key, origin, targets, push.data)


def decode_pushes(blob: bytes) -> Iterator[SentPush]:
    """Unpack all pushes of a value, in order.

    Raises:
        ValueError: the value ends in the middle of a push.
    """
    at, end = 0, len(blob)
    while at < end:
        if at + _PUSH.size > end:
            raise ValueError("a push is cut off in its header")
        number, flags, ttl_s, identity, key_bytes, origin_bytes, targets_bytes, data_bytes = _PUSH.unpack_from(blob, at)
        key_at = at + _PUSH.size
        origin_at = key_at + key_bytes
        targets_at = origin_at + origin_bytes
        data_at = targets_at + targets_bytes
        at = data_at + data_bytes
        if at > end:
            raise ValueError("a push is cut off in its body")
        names = blob[targets_at:data_at]
        # One name has its length before it, and nothing behind it.
        targets = (names[1:],) if names and names[0] + 1 == targets_bytes else tuple(decode_names(names))
        push = Push(
            targets,
            bool(flags & _SINGLE),
            blob[data_at:at],
            ttl_s if flags & _HAS_TTL else None,
            blob[key_at:origin_at] if flags & _HAS_KEY else None,
            EVERYONE in targets,
        )
        yield SentPush(number, push, identity, bool(flags & _WANTS_RECEIPT), blob[origin_at:targets_at])


def encode_told(number: int, results: Sequence[PushResult], refusal: tuple[str, str] | None) -> bytes:
    """Pack what became of one push; the arguments are those of `ToldPush`."""
    why = b"" if refusal is None else "\0".join(refusal).encode("utf-8", "replace")[:_MOST_REFUSAL_BYTES]
    parts = [_TOLD.pack(number, len(results), len(why)), why]
    for _, id_, status, repeated, connections, code in results:
        first = _NUMBERS[status, code] | (_REPEATED if repeated else 0)
        parts.append(_RESULT.pack(first, _UNKNOWN if connections is None else connections, len(id_)))
        parts.append(id_)
    return b"".join(parts)


def decode_told(blob: bytes, targets_of: Callable[[int], Sequence[bytes]]) -> Iterator[ToldPush]:
    """Unpack what became of pushes.

    Args:
        blob: the value.
        targets_of: returns the targets of a push, by its number; none: it is passed over.

    Raises:
        ValueError: the value ends in the middle of one, or is none, or has not one result for each target.
    """
    at, end = 0, len(blob)
    try:
        while at < end:
            number, count, why_bytes = _TOLD.unpack_from(blob, at)
            at += _TOLD.size
            code, _, detail = blob[at : at + why_bytes].decode("utf-8", "replace").partition("\0")
            at += why_bytes
            results: list[tuple[int, int, bytes]] = []
            for _ in range(count):
                first, connections, id_bytes = _RESULT.unpack_from(blob, at)
                at += _RESULT.size + id_bytes
                results.append((first, connections, blob[at - id_bytes : at]))
            if at > end:
                raise ValueError("what became of a push is cut off")
            if targets := targets_of(number):
                one_each = bool(results) or not code  # who was refused as a whole has none
                told = [_result(channel, *result) for channel, result in zip(targets, results, strict=one_each)]
                yield ToldPush(number, told, (code, detail) if code else None)
    except struct.error:
        raise ValueError("what became of a push is cut off") from None


def _result(channel: bytes, first: int, connections: int, id_: bytes) -> PushResult:
    number = first & ~_REPEATED
    if number >= len(_STATUSES):
        raise ValueError(f"no push has the status {number}")
    status, code = _STATUSES[number]
    known = None if connections == _UNKNOWN else connections
    return PushResult(channel, id_, status, bool(first & _REPEATED), known, code)
