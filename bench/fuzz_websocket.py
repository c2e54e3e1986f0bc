"""Fuzzing of the WebSocket frames: a million inputs, and not one that breaks what holds for all.

Needs atheris (`make bench` installs it). What holds for all: no bytes raise an exception; they make the same events
wherever they are cut, with a reader that stays and with one that goes when it is idle; no message is longer than the
limit; a close or a violation comes last. The seeds are `bench/corpus/websocket/`; what is found on the way is kept for
one run only.

An input is a byte of flags, a byte that says how the rest is cut, and the rest: the bytes on the wire or, so that the
fuzzer gets past the heads, first bytes, lengths and payloads that frames are made of (`SCRIPT`).
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from bench.figures import Figure, Options
from bench.fuzzing import CORPORA, fuzz, main

if TYPE_CHECKING:
    from megacomet.wire.websocket import Event, FrameReader

CORPUS: Final = CORPORA / "websocket"

#: The flags of an input.
DEFLATE, UNMASKED, LARGE, SCRIPT, COMPRESS = 1, 2, 4, 8, 16
LIMITS: Final = {0: 60, LARGE: 5000}


def run(options: Options) -> list[Figure]:
    """Fuzz in a process of its own."""
    return fuzz("bench.fuzz_websocket", CORPUS, options)


def check(raw: bytes) -> None:
    """Hold one input against what holds for all.

    Raises:
        AssertionError: it does not hold.
    """
    from megacomet.wire.websocket import Close, Message, Violation

    flags, cut, rest = (raw[0], raw[1], raw[2:]) if len(raw) > 1 else (0, 0, raw)
    data = scripted(rest, flags) if flags & SCRIPT else rest
    deflate, masked, limit = bool(flags & DEFLATE), not flags & UNMASKED, LIMITS[flags & LARGE]
    events = staying([data], limit, deflate, masked)
    for event in events:
        assert not isinstance(event, Message) or len(event.payload) <= limit
    assert not any(isinstance(event, Close | Violation) for event in events[:-1])
    assert len(events) <= len(data) // 2 + 1
    for pieces in (in_pieces(data, 1), in_pieces(data, cut % 15 + 2), at_random(data, cut)):
        assert told(staying(pieces, limit, deflate, masked)) == told(events)
        if masked:
            assert told(going(pieces, limit, deflate)) == told(events)


def scripted(rest: bytes, flags: int) -> bytes:
    """Return frames made of first bytes, lengths and payloads."""
    from megacomet.wire.deflate import compress
    from megacomet.wire.websocket import masked_frame

    data, at = b"", 0
    while at + 1 < len(rest):
        first, length = rest[at], rest[at + 1]
        payload = rest[at + 2 : at + 2 + length]
        at += 2 + length
        if flags & COMPRESS and first & 0x40:
            payload = compress(payload * 9)
        frame = masked_frame(first & 0x0F, payload, b"\x37\xfa\x21\x3d" if not flags & UNMASKED else b"\0\0\0\0")
        if flags & UNMASKED:
            long = {126: 4, 127: 10}.get(frame[1] & 0x7F, 2)
            frame = frame[:1] + bytes([frame[1] & 0x7F]) + frame[2:long] + frame[long + 4 :]
        data += bytes([first]) + frame[1:]
    return data


def in_pieces(data: bytes, size: int) -> list[bytes]:
    """Cut at even distances."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def at_random(data: bytes, seed: int) -> list[bytes]:
    """Cut anywhere, the same for the same seed."""
    places = random.Random(seed)
    ends = sorted(places.randrange(len(data) + 1) for _ in range(seed % 7 + 1))
    return [data[begin:end] for begin, end in zip([0, *ends], [*ends, len(data)], strict=True)]


def told(events: Iterable[Event]) -> list[tuple[object, ...]]:
    """Return the events with their types: a Ping and a Pong of the same payload are equal as tuples."""
    return [(type(event).__name__, *event) for event in events]


def staying(pieces: Iterable[bytes], limit: int, deflate: bool, masked: bool) -> list[Event]:
    """Return what one reader makes of the pieces."""
    from megacomet.wire.websocket import FrameReader

    reader = FrameReader(max_message_bytes=limit, deflate=deflate, masked=masked)
    return [event for piece in pieces for event in reader.receive(piece)]


def going(pieces: Iterable[bytes], limit: int, deflate: bool) -> list[Event]:
    """Return what a connection makes of them that has a reader only while something is pending."""
    from megacomet.wire.websocket import read_frames

    events: list[Event] = []
    reader: FrameReader | None = None
    for piece in pieces:
        if reader is None:
            found, reader = read_frames(piece, max_message_bytes=limit, deflate=deflate)
        else:
            found = reader.receive(piece)
            reader = None if reader.idle else reader
        events += found
    return events


if __name__ == "__main__":
    main(sys.argv[1:], check, ["megacomet.wire.deflate", "megacomet.wire.websocket"])
