"""WebSocket frames: every rule of RFC 6455, section 5, whole, byte by byte and between other bytes."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.wire.deflate import compress
from megacomet.wire.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Close,
    Event,
    FrameReader,
    Message,
    Ping,
    Pong,
    Violation,
    close_frame,
    close_payload,
    frame,
    masked_frame,
    read_frames,
)

MASK = b"\x37\xfa\x21\x3d"
LIMIT = 1000
HELLO = Message(TEXT, b"Hello")
TEXT_HELLO = bytes.fromhex("818537fa213d7f9f4d5158")


def sent(opcode: int, payload: bytes = b"", *, fin: bool = True, compressed: bool = False) -> bytes:
    return masked_frame(opcode, payload, MASK, fin=fin, compressed=compressed)


def told(events: Iterable[Event]) -> list[tuple[object, ...]]:
    """The events with their types, since a Ping and a Pong of the same payload are equal as tuples."""
    return [(type(event).__name__, *event) for event in events]


def reader(*, deflate: bool = False, masked: bool = True) -> FrameReader:
    return FrameReader(max_message_bytes=LIMIT, deflate=deflate, masked=masked)


def in_pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def read_all(pieces: Iterable[bytes], *, deflate: bool = False, masked: bool = True) -> list[tuple[object, ...]]:
    """What one reader makes of pieces."""
    one = reader(deflate=deflate, masked=masked)
    return told([event for piece in pieces for event in one.receive(piece)])


def parked(pieces: Iterable[bytes], *, deflate: bool = False) -> list[tuple[object, ...]]:
    """What a connection makes of pieces that has a reader only while something is pending."""
    events: list[Event] = []
    pending: FrameReader | None = None
    for piece in pieces:
        if pending is None:
            found, pending = read_frames(piece, max_message_bytes=LIMIT, deflate=deflate)
        else:
            found = pending.receive(piece)
            pending = None if pending.idle else pending
        events += found
    return told(events)


def read_in_every_way(data: bytes, *, deflate: bool = False) -> list[tuple[object, ...]]:
    """The events of data, which must be the same however they arrive."""
    events = read_all([data], deflate=deflate)
    for size in (1, 2, 3, 7, len(data) or 1):
        assert read_all(in_pieces(data, size), deflate=deflate) == events
        assert parked(in_pieces(data, size), deflate=deflate) == events
    return events


# ------------------------------------------------------------------------------------------------ what is written


@pytest.mark.parametrize(
    ("written", "wire"),
    [
        (frame(TEXT, b"Hello"), "810548656c6c6f"),
        (sent(TEXT, b"Hello"), "818537fa213d7f9f4d5158"),
        (frame(PING, b"Hello"), "890548656c6c6f"),
        (sent(PONG, b"Hello"), "8a8537fa213d7f9f4d5158"),
        (frame(BINARY, bytes(256)), "827e0100" + "00" * 256),
        (frame(BINARY, bytes(65536)), "827f0000000000010000" + "00" * 65536),
        (frame(TEXT, bytes(125)), "817d" + "00" * 125),
        (frame(TEXT, bytes(126)), "817e007e" + "00" * 126),
        (frame(TEXT, bytes(65535)), "817effff" + "00" * 65535),
        (frame(TEXT, bytes.fromhex("f248cdc9c90700"), compressed=True), "c107f248cdc9c90700"),
        (frame(CLOSE, b""), "8800"),
        (close_frame(3001, b"shutdown"), "880a0bb9" + b"shutdown".hex()),
        (close_frame(1000), "880203e8"),
        (masked_frame(TEXT, b"Hel", bytes(4), fin=False), "018300000000" + b"Hel".hex()),
        (masked_frame(TEXT, bytes(126), bytes(4)), "81fe007e00000000" + "00" * 126),
        (masked_frame(TEXT, bytes(65536), bytes(4), compressed=True), "c1ff000000000001000000000000" + "00" * 65536),
    ],
)
def test_frames_as_in_the_rfc(written: bytes, wire: str) -> None:
    """Lengths are as short as they can be; the examples are those of RFC 6455, 5.7 and RFC 7692, 7.2.3.1."""
    assert written.hex() == wire


@pytest.mark.parametrize(
    ("reason", "cut"),
    [
        (b"x" * 123, b"x" * 123),
        (b"x" * 124, b"x" * 123),
        ("ä".encode() * 62, "ä".encode() * 61),
        (b"x" + "ä".encode() * 62, b"x" + "ä".encode() * 61),
        ("😀".encode() * 31, "😀".encode() * 30),
        (b"x" * 120 + "😀".encode(), b"x" * 120),
        (b"\x80" * 200, b""),
    ],
)
def test_reasons_are_cut_between_characters(reason: bytes, cut: bytes) -> None:
    """A close frame fits into a control frame, and its reason stays UTF-8."""
    assert close_payload(1000, reason) == b"\x03\xe8" + cut
    assert len(close_frame(1000, reason)) == 4 + len(cut)


# ------------------------------------------------------------------------------------------------- what is accepted

SEQUENCES: dict[str, tuple[bytes, list[Event]]] = {
    "nothing": (b"", []),
    "RFC 6455, 5.7: a text": (TEXT_HELLO, [HELLO]),
    "RFC 6455, 5.7: a text in fragments": (sent(TEXT, b"Hel", fin=False) + sent(CONTINUATION, b"lo"), [HELLO]),
    "RFC 6455, 5.7: ping and pong": (sent(PING, b"Hello") + sent(PONG, b"Hello"), [Ping(b"Hello"), Pong(b"Hello")]),
    "RFC 6455, 5.7: 256 bytes": (sent(BINARY, bytes(256)), [Message(BINARY, bytes(256))]),
    "empty ones": (
        sent(TEXT) + sent(BINARY) + sent(PING) + sent(PONG),
        [Message(TEXT, b""), Message(BINARY, b""), Ping(b""), Pong(b"")],
    ),
    "the longest": (
        sent(PING, bytes(125)) + sent(TEXT, bytes(125)) + sent(TEXT, bytes(126)) + sent(TEXT, bytes(LIMIT)),
        [Ping(bytes(125)), *(Message(TEXT, bytes(n)) for n in (125, 126, LIMIT))],
    ),
    "control frames in between": (
        sent(TEXT, b"a", fin=False)
        + sent(PING, b"1")
        + sent(CONTINUATION, b"b", fin=False)
        + sent(PONG, b"2") * 2
        + sent(CONTINUATION, b"c")
        + TEXT_HELLO,
        [Ping(b"1"), Pong(b"2"), Pong(b"2"), Message(TEXT, b"abc"), HELLO],
    ),
    "empty fragments": (
        sent(TEXT, fin=False)
        + sent(CONTINUATION, fin=False)
        + sent(CONTINUATION, b"x", fin=False)
        + sent(CONTINUATION),
        [Message(TEXT, b"x")],
    ),
    "characters cut by fragments": (
        sent(TEXT, b"\xce\xba\xe1", fin=False)
        + sent(CONTINUATION, b"\xbd", fin=False)
        + sent(CONTINUATION, b"\xb9\xf0\x9f", fin=False)
        + sent(CONTINUATION, b"\x98\x80"),
        [Message(TEXT, b"\xce\xba\xe1\xbd\xb9\xf0\x9f\x98\x80")],
    ),
    "binary is not text": (sent(BINARY, b"\xff\xfe"), [Message(BINARY, b"\xff\xfe")]),
    "fragments up to the limit": (
        sent(TEXT, bytes(LIMIT // 2), fin=False) + sent(CONTINUATION, bytes(LIMIT // 2)),
        [Message(TEXT, bytes(LIMIT))],
    ),
    "close without a code": (sent(CLOSE), [Close(None, b"")]),
    "close within a message": (sent(TEXT, b"x", fin=False) + sent(CLOSE, b"\x03\xe8ok"), [Close(1000, b"ok")]),
    "nothing after a close": (TEXT_HELLO + sent(CLOSE) + TEXT_HELLO + b"\xff\xff", [HELLO, Close(None, b"")]),
    "the longest reason": (sent(CLOSE, b"\x0f\xa0" + b"x" * 123), [Close(4000, b"x" * 123)]),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_what_is_accepted(name: str) -> None:
    """The same events come of the same bytes however they arrive."""
    data, events = SEQUENCES[name]
    assert read_in_every_way(data) == told(events)
    assert read_in_every_way(data, deflate=True) == told(events)


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999])
def test_close_codes(code: int) -> None:
    """The codes of IANA's registry, of libraries and of applications are taken."""
    assert read_in_every_way(sent(CLOSE, close_payload(code, b"why"))) == told([Close(code, b"why")])


def test_frames_of_a_server() -> None:
    """A client reads frames that are not masked."""
    data = frame(TEXT, b"Hello") + frame(PING, b"x") + frame(BINARY, bytes(300)) + close_frame(3001, b"shutdown")
    expected = told([HELLO, Ping(b"x"), Message(BINARY, bytes(300)), Close(3001, b"shutdown")])
    for size in (1, 2, 5, len(data)):
        assert read_all(in_pieces(data, size), masked=False) == expected
    assert read_all([TEXT_HELLO], masked=False) == told([Violation(1002, b"a masked frame")])


def test_idle() -> None:
    """A reader is idle when no frame and no message is pending, and never again after the end."""
    data = sent(TEXT, b"ab", fin=False) + sent(PING) + sent(CONTINUATION, b"c") + sent(BINARY, bytes(200)) + sent(PING)
    one = reader()
    assert one.idle
    ends = {len(data) - len(sent(PING)) - len(sent(BINARY, bytes(200))), len(data) - len(sent(PING)), len(data)}
    for at, byte in enumerate(data, 1):
        one.receive(bytes([byte]))
        assert one.idle == (at in ends), at
    one.receive(sent(CLOSE))
    assert not one.idle
    one = reader()
    one.receive(b"\xff")
    assert not one.idle
    assert one.receive(TEXT_HELLO) == []


def test_reading_without_a_reader() -> None:
    """What is whole leaves no reader; what is not leaves the one that the rest is for."""
    assert read_frames(TEXT_HELLO * 3, max_message_bytes=LIMIT, deflate=False) == ([HELLO] * 3, None)
    assert read_frames(sent(PING, b"x"), max_message_bytes=LIMIT, deflate=False) == ([Ping(b"x")], None)
    events, pending = read_frames(TEXT_HELLO * 2 + TEXT_HELLO[:3], max_message_bytes=LIMIT, deflate=False)
    assert events == [HELLO] * 2
    assert pending is not None
    assert pending.receive(TEXT_HELLO[3:]) == [HELLO]
    assert pending.idle


# --------------------------------------------------------------------------------------------------- what is refused

BAD_TEXTS = [
    b"\x80", b"\xff", b"a\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf0\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80", b"\xf5", b"\xc3(", b"\xe2\x82(", "κόσμε".encode() + b"\xed\xa0\x80edited",
]  # fmt: skip
CUT_TEXTS = [b"\xc3", b"a\xe2\x82", b"\xf0\x9f\x98", "é".encode() + b"\xf0"]

VIOLATIONS: dict[str, tuple[int, bytes]] = {
    "not masked": (1002, frame(TEXT, b"Hello")),
    "a ping that is not masked": (1002, frame(PING, b"")),
    **{f"opcode {n}": (1002, sent(n)) for n in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    **{f"opcode {n} in a message": (1002, sent(TEXT, b"a", fin=False) + sent(n, fin=False)) for n in (3, 7)},
    **{f"reserved bits {bits:#x}": (1002, bytes([0x81 | bits]) + TEXT_HELLO[1:]) for bits in range(0x10, 0x80, 0x10)},
    **{f"reserved bits {bits:#x} on a ping": (1002, bytes([0x89 | bits]) + sent(PING)[1:]) for bits in (16, 32, 64)},
    **{f"control frame {n} in parts": (1002, sent(n, fin=False)) for n in (CLOSE, PING, PONG)},
    **{f"control frame {n} of 126 bytes": (1002, sent(n, bytes(126))) for n in (CLOSE, PING, PONG)},
    "a control frame with a long length": (1002, b"\x89\xfe\x00\x05" + MASK + bytes(5)),
    "a continuation of nothing": (1002, sent(CONTINUATION, b"x")),
    "a continuation after a message": (1002, sent(CONTINUATION, b"x", fin=False)),
    "a text within a text": (1002, sent(TEXT, b"a", fin=False) + sent(TEXT, b"b")),
    "a binary within an empty text": (1002, sent(TEXT, fin=False) + sent(BINARY, b"b", fin=False)),
    "16 bits for 125": (1002, b"\x81\xfe\x00\x7d" + MASK + bytes(125)),
    "16 bits for 0": (1002, b"\x81\xfe\x00\x00" + MASK),
    "64 bits for 126": (1002, b"\x81\xff" + (126).to_bytes(8, "big") + MASK + bytes(126)),
    "64 bits for 65,535": (1002, b"\x82\xff" + (65535).to_bytes(8, "big") + MASK + bytes(65535)),
    "64 bits, the highest set": (1002, b"\x81\xff" + (1 << 63).to_bytes(8, "big") + MASK),
    "64 bits, all set": (1002, b"\x81\xff" + b"\xff" * 8 + MASK),
    "a byte too much": (1009, sent(BINARY, bytes(LIMIT + 1))),
    "a gigabyte": (1009, b"\x81\xff" + (1 << 30).to_bytes(8, "big")),
    "as much as can be said": (1009, b"\x81\xff" + ((1 << 63) - 1).to_bytes(8, "big")),
    "fragments of a byte too much": (1009, sent(TEXT, bytes(LIMIT), fin=False) + sent(CONTINUATION, b"x")),
    **{f"a text {text!r}": (1007, sent(TEXT, text)) for text in BAD_TEXTS + CUT_TEXTS},
    **{f"a text {t!r} in parts": (1007, sent(TEXT, t[:1], fin=False) + sent(CONTINUATION, t[1:])) for t in BAD_TEXTS},
    **{f"a text {t!r}, then none": (1007, sent(TEXT, t, fin=False) + sent(CONTINUATION)) for t in CUT_TEXTS},
    "half a close code": (1002, sent(CLOSE, b"\x03")),
    **{
        f"close code {code}": (1002, sent(CLOSE, close_payload(code)))
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
    **{f"a reason {text!r}": (1007, sent(CLOSE, b"\x03\xe8" + text)) for text in BAD_TEXTS + CUT_TEXTS},
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violations(name: str) -> None:
    """A violation has its code, comes last, and is the same however the bytes arrive and whatever follows."""
    code, data = VIOLATIONS[name]
    one = read_in_every_way(data)
    assert [event[:2] for event in one] == [("Violation", code)]
    assert all(isinstance(event[2], bytes) and len(event[2]) <= 123 for event in one)
    assert read_in_every_way(data + TEXT_HELLO + bytes(20)) == one
    assert read_in_every_way(TEXT_HELLO + sent(PING) + data) == told([HELLO, Ping(b"")]) + one
    reason = one[0][2]
    assert isinstance(reason, bytes)
    assert told(reader(masked=False).receive(close_frame(code, reason))) == told([Close(code, reason)])


@pytest.mark.parametrize(
    ("code", "beginning"),
    [
        (1002, b"\xc1"),
        (1002, b"\x83"),
        (1002, b"\x09"),
        (1002, b"\x80"),
        (1002, b"\x81\x05"),
        (1002, b"\x89\xfe"),
        (1002, sent(TEXT, b"x", fin=False) + b"\x81"),
        (1009, b"\x82\xfe\x03\xe9"),
        (1009, sent(BINARY, bytes(LIMIT), fin=False) + b"\x00\x81"),
        *((1007, masked_frame(TEXT, text[: bad + 1] + bytes(200), MASK)[: 8 + bad + 1]) for text, bad in [
            (b"\x80", 0), (b"ab\xff", 2), (b"\xc0", 0), (b"\xe0\x80", 1), (b"\xed\xa0", 1), (b"\xed\xbf", 1),
            (b"\xf0\x8f", 1), (b"\xf4\x90", 1), (b"\xf5", 0), (b"\xc3(", 1), (b"\xe2\x82(", 2), (b"\xf0\x9f\x98(", 3),
        ]),
        (1007, sent(TEXT, b"\xed", fin=False) + sent(CONTINUATION, b"\xa0" + bytes(100))[:7]),
    ],
)  # fmt: skip
def test_violations_are_found_at_once(code: int, beginning: bytes) -> None:
    """The first byte that makes a violation is the last that is waited for."""
    one = reader()
    assert [event for byte in beginning[:-1] for event in one.receive(bytes([byte]))] == []
    [found] = one.receive(beginning[-1:])
    assert isinstance(found, Violation)
    assert found.code == code


def test_a_large_length_costs_no_memory() -> None:
    """What a head announces is not allocated."""
    tracemalloc.start()
    try:
        one = FrameReader(max_message_bytes=1 << 40, deflate=True)
        assert one.receive(b"\x82\xff" + (1 << 39).to_bytes(8, "big") + MASK + b"x") == []
        assert tracemalloc.get_traced_memory()[1] < 10_000
    finally:
        tracemalloc.stop()


# ----------------------------------------------------------------------------------------------------- compression


def last_block(data: bytes) -> bytes:
    """Data as one stream that ends."""
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(data) + deflate.flush()


def packed(payload: bytes, opcode: int = TEXT) -> bytes:
    return sent(opcode, payload, compressed=True)


def cut(payload: bytes, *at: int) -> bytes:
    """A compressed text in fragments."""
    ends = [0, *at, len(payload)]
    return b"".join(
        sent(0 if begin else TEXT, payload[begin:end], compressed=not begin, fin=end == len(payload))
        for begin, end in pairwise(ends)
    )


COMPRESSED: dict[str, tuple[bytes, bytes]] = {
    "RFC 7692, 7.2.3.1: one block": (packed(bytes.fromhex("f248cdc9c90700")), b"Hello"),
    "RFC 7692, 7.2.3.1: in fragments": (cut(bytes.fromhex("f248cdc9c90700"), 3), b"Hello"),
    "RFC 7692, 7.2.3.3: not compressed": (packed(bytes.fromhex("000500faff48656c6c6f00")), b"Hello"),
    "RFC 7692, 7.2.3.4: BFINAL": (packed(bytes.fromhex("f348cdc9c9070000")), b"Hello"),
    "RFC 7692, 7.2.3.5: two blocks": (packed(bytes.fromhex("f24805000000ffffcac9c90700")), b"Hello"),
    "RFC 7692, 7.2.3.6: empty": (packed(b"\x00"), b""),
    "no byte at all": (packed(b""), b""),
    "no byte in fragments": (sent(TEXT, compressed=True, fin=False) + sent(CONTINUATION), b""),
    "BFINAL without the byte after it": (packed(bytes.fromhex("f348cdc9c90700")), b"Hello"),
    "two streams": (packed(last_block(b"Hel") + last_block(b"lo")), b"Hello"),
    "a stream and a flush": (packed(last_block(b"Hel") + compress(b"lo")), b"Hello"),
    "a byte a fragment": (
        cut(compress("κόσμε".encode()), *range(1, len(compress("κόσμε".encode())))),
        "κόσμε".encode(),
    ),
    "the limit": (packed(compress(b"x" * LIMIT)), b"x" * LIMIT),
    "a small window": (packed(compress(b"ab" * 400, 9)), b"ab" * 400),
}


@pytest.mark.parametrize("name", COMPRESSED)
def test_compressed_messages(name: str) -> None:
    """Compressed messages are inflated, blocks and fragments cut as they may be, plain ones between them."""
    data, text = COMPRESSED[name]
    assert read_in_every_way(data, deflate=True) == told([Message(TEXT, text)])
    both = told([HELLO, Message(TEXT, text), HELLO, Message(TEXT, text), Ping(b"")])
    assert read_in_every_way(TEXT_HELLO + data + TEXT_HELLO + data + sent(PING), deflate=True) == both


def test_what_cannot_be_compressed_may_grow() -> None:
    """A message of the largest size is taken although its compressed form is larger."""
    noise = bytes(byte * byte * 31 % 251 ^ byte % 7 for byte in range(LIMIT))
    stored = zlib.compressobj(level=0, wbits=-15)
    data = stored.compress(noise) + stored.flush(zlib.Z_SYNC_FLUSH)
    assert len(data) > LIMIT
    assert read_in_every_way(packed(data[:-4], BINARY), deflate=True) == told([Message(BINARY, noise)])


COMPRESSED_VIOLATIONS: dict[str, tuple[int, bytes]] = {
    "RSV1 on a continuation": (1002, sent(TEXT, compressed=True, fin=False) + sent(CONTINUATION, compressed=True)),
    "RSV1 on the continuation of a plain text": (1002, sent(TEXT, fin=False) + sent(CONTINUATION, compressed=True)),
    **{f"RSV1 on {n}": (1002, sent(n, compressed=True)) for n in (CONTINUATION, CLOSE, PING, PONG, 3)},
    "RSV2 besides": (1002, b"\xe1" + TEXT_HELLO[1:]),
    "no deflate data": (1007, packed(b"\xff" * 20)),
    "no deflate data, binary": (1007, packed(b"\xff" * 20, BINARY)),
    "a wrong stored length": (1007, packed(b"\x00\x01\x00\x00\x00x")),
    "cut off": (1007, packed(compress(b"Hello, hello, hello" * 9)[:-3])),
    "cut off in a stored block": (1007, packed(b"\x00\xff\x00\x00\xffHel")),
    "too far back": (1007, packed(b"\x4b\x04\xa2\x00")),
    "no UTF-8": (1007, packed(compress(b"Hello\xff"))),
    "a character cut off": (1007, packed(compress(b"Hello\xc3"))),
    "a bomb": (1009, packed(compress(b"x" * 100_000))),
    "a bomb, binary": (1009, packed(compress(bytes(100_000)), BINARY)),
    "a byte too much": (1009, packed(compress(b"x" * (LIMIT + 1)))),
    "a byte too much in a second stream": (1009, packed(last_block(b"x" * LIMIT) + last_block(b"x"))),
    "a bomb in fragments": (1009, cut(compress(b"x" * 100_000), 5, 20, 100)),
    "too much that inflates to nothing": (1009, packed(b"\x00\x00\x00\xff\xff" * 300)),
    "fragments that inflate to nothing": (
        1009,
        sent(TEXT, b"\x00\x00\x00\xff\xff" * 200, compressed=True, fin=False)
        + sent(CONTINUATION, b"\x00\x00\x00\xff\xff" * 100),
    ),
    "streams without end": (1007, packed(b"\x03\x00" * 100)),
}


@pytest.mark.parametrize("name", COMPRESSED_VIOLATIONS)
def test_violations_of_compression(name: str) -> None:
    """What does not inflate, or to too much, ends the connection with its code, however the bytes arrive."""
    code, data = COMPRESSED_VIOLATIONS[name]
    one = read_in_every_way(data, deflate=True)
    assert [event[:2] for event in one] == [("Violation", code)]
    assert read_in_every_way(TEXT_HELLO + data + TEXT_HELLO, deflate=True) == [*told([HELLO]), *one]


def test_a_bomb_is_cut_off() -> None:
    """A message that inflates a thousandfold costs no more than the limit."""
    bomb = packed(compress(bytes(10_000_000)))
    one = FrameReader(max_message_bytes=50_000, deflate=True)
    tracemalloc.start()
    try:
        [event] = one.receive(bomb)
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()
    assert event[0] == 1009


# ------------------------------------------------------------------------------------- any messages, cut anywhere


@st.composite
def conversations(draw: st.DrawFn, *, deflate: bool) -> tuple[bytes, list[Event]]:
    """Messages in any fragments with control frames between them: the bytes of a client, and the events."""
    data, events = b"", []
    control = st.lists(st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125)), max_size=2)
    for opcode, text in draw(st.lists(st.tuples(st.sampled_from([TEXT, BINARY]), st.text(max_size=60)), max_size=5)):
        payload = text.encode("utf-8") if opcode == TEXT else text.encode("utf-16")
        packs = deflate and draw(st.booleans())
        wire = compress(payload, draw(st.integers(9, 15))) if packs else payload
        ends = [0, *sorted(draw(st.lists(st.integers(0, len(wire)), max_size=4))), len(wire)]
        for number, (begin, end) in enumerate(pairwise(ends)):
            final, first = number == len(ends) - 2, number == 0
            mask = draw(st.binary(min_size=4, max_size=4))
            part = wire[begin:end]
            data += masked_frame(opcode if first else 0, part, mask, fin=final, compressed=packs and first)
            if final:
                events.append(Message(opcode, payload))
            for kind, told_with in draw(control):
                data += masked_frame(kind, told_with, mask)
                events.append(Ping(told_with) if kind == PING else Pong(told_with))
    return data, events


def cut_anywhere(data: bytes, at: list[int]) -> list[bytes]:
    ends = [0, *sorted(place % (len(data) + 1) for place in at), len(data)]
    return [data[begin:end] for begin, end in pairwise(ends)]


@pytest.mark.parametrize("deflate", [False, True])
def test_any_messages_cut_anywhere(deflate: bool) -> None:
    """What was sent is what comes out, whatever the fragments and wherever the bytes are cut."""

    @given(conversations(deflate=deflate), st.lists(st.integers(0, 1 << 16), max_size=20))
    def check(conversation: tuple[bytes, list[Event]], at: list[int]) -> None:
        data, events = conversation
        pieces = cut_anywhere(data, at)
        assert parked(pieces, deflate=deflate) == read_all(pieces, deflate=deflate) == told(events)

    check()


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=20), st.booleans(), st.booleans())
def test_any_bytes_cut_anywhere(data: bytes, at: list[int], deflate: bool, masked: bool) -> None:
    """Bytes that nobody should send make the same events wherever they are cut, and never an exception."""
    pieces = cut_anywhere(data, at)
    whole = read_all([data], deflate=deflate, masked=masked)
    assert read_all(pieces, deflate=deflate, masked=masked) == whole
    if masked:
        assert parked(pieces, deflate=deflate) == whole
