"""Pushes on the link: those that a worker has decoded, and what became of them.

Owns the values of the boxes that are no commands (`megacomet.link`). A push costs both ends a few microseconds, so
it is no JSON:

    up      number (4) flags (1) ttl (8, a double) identity (8) lengths of key (1), origin (2), targets (4), data (4),
            then these four
    down    boxes worked off (2) head of the log (8), and for each push that something is told of:
            number (4) count (2) length of the refusal (2), the refusal as code, NUL, detail; then for each target
            status and flags (1) connections (4) length of the id (1), and the id
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from megacomet.names import EVERYONE
from megacomet.wire.frames import decode_names, encode_names
from megacomet.wire.push import Push, PushResult

_PUSH: Final = struct.Struct(">IBd8sBHII")
_TOLD: Final = struct.Struct(">IHH")
_VERDICT: Final = struct.Struct(">HQ")
_RESULT: Final = struct.Struct(">BIB")
#: Both at once, of the push that most are: one target, and not refused.
_TOLD_ONE: Final = struct.Struct(">IHHBIB")

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
_PLAIN: Final = {status: number for (status, code), number in _NUMBERS.items() if not code}
_REPEATED: Final = 0x80
_FIRSTS: Final = {number: (*status, False) for status, number in _NUMBERS.items()} | {
    number | _REPEATED: (*status, True) for status, number in _NUMBERS.items()
}
#: Of connections: nobody wanted to know.
_UNKNOWN: Final = 0xFFFF_FFFF
#: A detail is for people; what would not fit is left out.
_MOST_REFUSAL_BYTES: Final = 0xFFFF


class SentPush(msgspec.Struct, frozen=True, gc=False):
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


#: What the manager tells of a push: its number; a result for each target, none when it was refused as a whole; code and
#: detail of why the first that was refused was, None: none was.
ToldPush = tuple[int, list[PushResult], tuple[str, str] | None]


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
    # As `encode_names` does it, for the one target that most have.
    targets = push.targets
    names = bytes((len(targets[0]),)) + targets[0] if len(targets) == 1 else encode_names(targets)
    lengths = (len(key), len(origin), len(names), len(push.data))
    head = _PUSH.pack(number, flags, ttl_s, identity, *lengths)
    return b"%b%b%b%b%b" % (head, key, origin, names, push.data)


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
        # One name has its length before it, and nothing behind it.
        if targets_bytes and blob[targets_at] + 1 == targets_bytes:
            targets: tuple[bytes, ...] = (blob[targets_at + 1 : data_at],)
        else:
            targets = tuple(decode_names(blob[targets_at:data_at]))
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
    for result in results:
        first = _NUMBERS[result.status, result.code] | (_REPEATED if result.repeated else 0)
        counted = _UNKNOWN if result.connections is None else result.connections
        parts.append(_RESULT.pack(first, counted, len(result.id)))
        parts.append(result.id)
    return b"".join(parts)


def encode_told_one(number: int, id_: bytes, status: str, repeated: bool) -> bytes:
    """Pack what became of a push to one target that was not refused."""
    first = _PLAIN[status] | (_REPEATED if repeated else 0)
    return _TOLD_ONE.pack(number, 1, 0, first, _UNKNOWN, len(id_)) + id_


def encode_verdict(boxes: int, head: int, told: bytes) -> bytes:
    """Pack what became of pushes, with the number of boxes that are worked off, and where the log stands."""
    return _VERDICT.pack(boxes, head) + told


def decode_verdict(value: bytes) -> tuple[int, int, bytes]:
    """Unpack what `encode_verdict` has packed.

    Raises:
        ValueError: this is nothing of the kind.
    """
    if len(value) < _VERDICT.size:
        raise ValueError("what became of pushes is cut off")
    boxes, head = _VERDICT.unpack_from(value)
    return boxes, head, value[_VERDICT.size :]


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
            why = blob[at : at + why_bytes]
            at += why_bytes
            targets = targets_of(number)
            results: list[PushResult] = []
            for n in range(count):
                first, connections, id_bytes = _RESULT.unpack_from(blob, at)
                at += _RESULT.size + id_bytes
                if targets:
                    status, code, repeated = _FIRSTS[first]
                    known = None if connections == _UNKNOWN else connections
                    results.append(PushResult(targets[n], blob[at - id_bytes : at], status, repeated, known, code))
            if at > end:
                raise ValueError("what became of a push is cut off")
            if not (count or why):
                raise ValueError("a push was neither published nor refused")
            if targets:
                if count and count != len(targets):
                    raise IndexError
                yield number, results, _read_refusal(why) if why else None
    except struct.error:
        raise ValueError("what became of a push is cut off") from None
    except IndexError:
        raise ValueError("a push has not one result for each target") from None
    except KeyError as e:
        raise ValueError(f"no push has the status {e}") from None


def _read_refusal(why: bytes) -> tuple[str, str]:
    code, _, detail = why.decode("utf-8", "replace").partition("\0")
    return code, detail
