"""RFC 6455 and 7692, rule by rule, against the echo: what a client sends, over one socket each, and what comes back.

The cases are in the style, and mostly in the order, of Autobahn's suite; its numbers stand beside them. Where the
server is to close, nothing is sent behind what is wrong: it has to see it by then.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import pytest

from tests.integration.server import Server
from tests.integration.websockets import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    FrameSocket,
    close,
    deflated,
    frame,
    inflated,
)

HELLO: Final = "Hello-µ@ßöäüàá-UTF-8!!".encode()
KOSME: Final = "κόσμε".encode()
#: The longest message that the echo takes.
MOST_BYTES: Final = 16 * 1024 * 1024
DEFLATE: Final = "Sec-WebSocket-Extensions: permessage-deflate"
PROTOCOL_ERROR: Final = 1002
INVALID: Final = 1007
TOO_BIG: Final = 1009


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server with an echo."""
    state = tmp_path_factory.mktemp("conformance") / "state"
    with Server(state, "--port=0", "--interface=127.0.0.1", "--ws-echo=/echo", workers=1) as server:
        yield server.port


def split(data: bytes, size: int) -> list[bytes]:
    """Cut data into pieces."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def message(opcode: int, *payloads: bytes, reserved: int = 0) -> list[bytes]:
    """Return the frames of a message in fragments."""
    last = len(payloads) - 1
    return [
        frame(CONTINUATION if n else opcode, payload, fin=n == last, reserved=0 if n else reserved)
        for n, payload in enumerate(payloads)
    ]


def text(*payloads: bytes) -> bytes:
    """Return a text in fragments, in one piece."""
    return b"".join(message(TEXT, *payloads))


def reply(client: FrameSocket) -> tuple[list[Frame], int | None]:
    """Read all until the server closes; return the frames before its close frame, and the code of that."""
    *frames, last = client.rest()
    assert last.opcode == CLOSE
    assert last.bits == 8
    return frames, int.from_bytes(last.payload[:2], "big") if last.payload else None


def echoed(*payloads: bytes, opcode: int = TEXT) -> list[Frame]:
    """Return what comes back when these are echoed."""
    return [Frame(opcode, payload) for payload in payloads]


# -- what is answered

PIECEWISE: Final = text(HELLO[:7], HELLO[7:]) + frame(PING, b"p") + frame(BINARY, b"\0\xff")
#: By name: the pieces that are sent, and what comes back; each is followed by a close frame with 1000.
GOOD: Final[dict[str, tuple[list[bytes], list[Frame]]]] = {
    # 1.1, 1.2: sizes, around those where the head changes
    **{
        f"{name} of {size} in pieces of {piece}": (
            split(frame(opcode, b"*" * size), piece),
            [Frame(opcode, b"*" * size)],
        )
        for name, opcode in (("text", TEXT), ("binary", BINARY))
        for size, piece in (
            *((0, 2), (125, 1000), (126, 1000), (127, 1000), (128, 1000), (65_535, 1 << 20), (65_536, 1 << 20)),
            (65_536, 997),
        )
    },
    "with a mask of zeros": ([frame(TEXT, HELLO, mask=b"\0\0\0\0")], echoed(HELLO)),
    # 2: pings and pongs
    "an empty ping": ([frame(PING)], [Frame(PONG, b"")]),
    "a ping with text": ([frame(PING, HELLO)], [Frame(PONG, HELLO)]),
    "a ping with binary": ([frame(PING, b"\0\xff\xfe\xfd")], [Frame(PONG, b"\0\xff\xfe\xfd")]),
    "the longest ping": ([frame(PING, b"\xfe" * 125)], [Frame(PONG, b"\xfe" * 125)]),
    "the longest ping byte by byte": (split(frame(PING, b"\xfe" * 125), 1), [Frame(PONG, b"\xfe" * 125)]),
    "pongs that nobody asked for": ([frame(PONG), frame(PONG, b"x"), frame(PING, b"y")], [Frame(PONG, b"y")]),
    "ten pings": (
        [b"".join(frame(PING, b"%d" % n) for n in range(10))],
        [Frame(PONG, b"%d" % n) for n in range(10)],
    ),
    "ten pings byte by byte": (
        split(b"".join(frame(PING, b"%d" % n) for n in range(10)), 1),
        [Frame(PONG, b"%d" % n) for n in range(10)],
    ),
    # 5: fragments
    "a text in two fragments": (message(TEXT, b"frag", b"ment"), echoed(b"fragment")),
    "fragments in one piece": ([text(b"frag", b"ment")], echoed(b"fragment")),
    "fragments byte by byte": (split(text(b"frag", b"ment"), 1), echoed(b"fragment")),
    "fragments of a binary": (message(BINARY, b"\xff", b"\xfe", b"\xfd"), echoed(b"\xff\xfe\xfd", opcode=BINARY)),
    "empty fragments": (message(TEXT, b"", b"", b""), echoed(b"")),
    "empty fragments around a text": (message(TEXT, b"", HELLO, b""), echoed(HELLO)),
    "a ping between two fragments": (
        [frame(TEXT, b"frag", fin=False), frame(PING, b"p"), frame(CONTINUATION, b"ment")],
        [Frame(PONG, b"p"), *echoed(b"fragment")],
    ),
    "pings and pongs between fragments, in one piece": (
        [
            frame(TEXT, b"a", fin=False) + frame(PING, b"1") + frame(CONTINUATION, b"b", fin=False),
            frame(PONG, b"?") + frame(PING, b"2") + frame(CONTINUATION, b"c") + frame(TEXT, b"d"),
        ],
        [Frame(PONG, b"1"), Frame(PONG, b"2"), *echoed(b"abc", b"d")],
    ),
    **{
        f"everything in pieces of {size}": (
            split(PIECEWISE, size),
            [*echoed(HELLO), Frame(PONG, b"p"), Frame(BINARY, b"\0\xff")],
        )
        for size in (1, 2, 3, 5, 8, 13)
    },
    # 6: characters cut by fragments and by pieces
    "UTF-8 byte by byte": (split(frame(TEXT, KOSME), 1), echoed(KOSME)),
    "UTF-8 in fragments of a byte": (message(TEXT, *split(KOSME, 1)), echoed(KOSME)),
    **{
        f"UTF-8 {name}": ([frame(TEXT, data), *message(TEXT, *split(data, 1))], echoed(data, data))
        for name, data in {
            "NUL": b"\0",
            "U+007F": b"\x7f",
            "U+0080": b"\xc2\x80",
            "U+07FF": b"\xdf\xbf",
            "U+0800": b"\xe0\xa0\x80",
            "U+D7FF": b"\xed\x9f\xbf",
            "U+E000": b"\xee\x80\x80",
            "U+FFFD": b"\xef\xbf\xbd",
            "U+FFFF, no character": b"\xef\xbf\xbf",
            "U+10000": b"\xf0\x90\x80\x80",
            "U+1FFFE, no character": b"\xf0\x9f\xbf\xbe",
            "U+10FFFF": b"\xf4\x8f\xbf\xbf",
        }.items()
    },
    # 9: many and much
    "two hundred messages in one piece": (
        [b"".join(frame(TEXT, b"%d" % n) for n in range(200))],
        echoed(*(b"%d" % n for n in range(200))),
    ),
    "a megabyte in fragments of 256": (message(TEXT, *split(b"*" * (1 << 20), 256)), echoed(b"*" * (1 << 20))),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_answered(port: int, name: str) -> None:
    """What follows the rules is answered as they say, and the connection lives until the client closes it."""
    pieces, expected = GOOD[name]
    with FrameSocket(port, "/echo") as client:
        client.send(*pieces)
        client.send(close(1000))
        assert reply(client) == (expected, 1000)


def test_the_longest_message(port: int) -> None:
    """As long as the limit says."""
    longest = b"\xfe" * MOST_BYTES
    with FrameSocket(port, "/echo") as client:
        client.send(frame(BINARY, longest), close(1000))
        assert reply(client) == (echoed(longest, opcode=BINARY), 1000)


# -- what is refused

INVALID_UTF_8: Final = {
    # 6.4, 6.6 to 6.21: what is wrong is wrong at its first byte that cannot be right
    "a lone continuation": b"\x80",
    "a lead without its continuation": b"\xc3(",
    "a character cut by the end": b"\xce",
    "a longer form of NUL": b"\xc0\x80",
    "a longer form of /": b"\xe0\x80\xaf",
    "a longer form of U+07FF": b"\xe0\x9f\xbf",
    "a longer form of U+FFFF": b"\xf0\x8f\xbf\xbf",
    "a high surrogate": b"\xed\xa0\x80",
    "a low surrogate": b"\xed\xbf\xbf",
    "a pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "U+110000": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "FE": b"\xfe",
    "FF": b"\xff",
}
BOTH_BAD: Final = KOSME + b"\xed\xa0\x80" + b"edited"

#: By name: the pieces that are sent, what comes back before the close, and its code.
BAD: Final[dict[str, tuple[list[bytes], list[Frame], int]]] = {
    "a frame that is not masked": ([frame(TEXT, b"x", mask=None)], [], PROTOCOL_ERROR),
    # 2.5
    "a ping of 126": ([frame(PING, b"x" * 126)], [], PROTOCOL_ERROR),
    # 3: reserved bits, behind a text that is still echoed
    **{
        f"reserved bits {bits} of {name}": (
            [text(b"x") + frame(opcode, b"y", reserved=bits)],
            echoed(b"x"),
            PROTOCOL_ERROR,
        )
        for name, opcode in (("a text", TEXT), ("a binary", BINARY), ("a ping", PING))
        for bits in range(1, 8)
    },
    "reserved bits of a close": ([frame(CLOSE, b"\x03\xe8", reserved=7)], [], PROTOCOL_ERROR),
    # 4: reserved opcodes
    **{
        f"opcode {opcode}{name}": ([text(b"x") + frame(opcode, payload)], echoed(b"x"), PROTOCOL_ERROR)
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
        for name, payload in (("", b""), (" with a payload", b"y"))
    },
    # 5: fragments
    "a ping in fragments": ([frame(PING, b"x", fin=False), frame(CONTINUATION, b"y")], [], PROTOCOL_ERROR),
    "a pong in fragments": ([frame(PONG, b"x", fin=False)], [], PROTOCOL_ERROR),
    "a close in fragments": ([frame(CLOSE, b"\x03\xe8", fin=False)], [], PROTOCOL_ERROR),
    "a continuation of nothing": ([frame(CONTINUATION, b"x")], [], PROTOCOL_ERROR),
    "a continuation that goes on with nothing": ([frame(CONTINUATION, b"x", fin=False)], [], PROTOCOL_ERROR),
    "a continuation after a message": (
        [*message(TEXT, b"a", b"b"), frame(CONTINUATION)],
        echoed(b"ab"),
        PROTOCOL_ERROR,
    ),
    "a text within a text": ([frame(TEXT, b"x", fin=False), frame(TEXT, b"y")], [], PROTOCOL_ERROR),
    "a binary within a text": ([frame(TEXT, b"x", fin=False), frame(BINARY, b"y", fin=False)], [], PROTOCOL_ERROR),
    # 6: text that is not UTF-8
    **{f"UTF-8, {name}": ([frame(TEXT, b"x" + data)], [], INVALID) for name, data in INVALID_UTF_8.items()},
    **{
        f"UTF-8, {name}, in fragments": (message(TEXT, b"x", *split(data, 1)), [], INVALID)
        for name, data in INVALID_UTF_8.items()
    },
    "wrong in the first fragment": ([frame(TEXT, BOTH_BAD, fin=False)], [], INVALID),
    "wrong where two fragments meet": (
        [frame(TEXT, KOSME + b"\xf4", fin=False), frame(CONTINUATION, b"\x90", fin=False)],
        [],
        INVALID,
    ),
    "wrong in the middle of a frame": ([frame(TEXT, BOTH_BAD + b"*" * 100)[: 6 + len(KOSME) + 2]], [], INVALID),
    "wrong in the middle of a frame, byte by byte": (
        split(frame(TEXT, BOTH_BAD + b"*" * 70_000)[: 14 + len(KOSME) + 2], 1),
        [],
        INVALID,
    ),
    "wrong behind a ping": (
        [frame(TEXT, KOSME, fin=False), frame(PING, b"p"), frame(CONTINUATION, b"\xff")],
        [Frame(PONG, b"p")],
        INVALID,
    ),
    # 7: closes
    "a close of one byte": ([frame(CLOSE, b"\x03")], [], PROTOCOL_ERROR),
    "a close of 126": ([close(1000, b"x" * 124)], [], PROTOCOL_ERROR),
    "a reason that is not UTF-8": ([close(1000, BOTH_BAD)], [], INVALID),
    **{
        f"close code {code}": ([close(code)], [], PROTOCOL_ERROR)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)
    },
    # 9: lengths
    "one byte too long": ([frame(BINARY, length=MOST_BYTES + 1)], [], TOO_BIG),
    "one byte too long in fragments": (
        [frame(BINARY, b"x", fin=False), frame(CONTINUATION, length=MOST_BYTES)],
        [],
        TOO_BIG,
    ),
    "a gigabyte, before its mask": ([frame(BINARY, length=1 << 30)[:10]], [], TOO_BIG),
    "a length with its highest bit set": ([frame(BINARY, length=1 << 63)], [], PROTOCOL_ERROR),
    "a short length in two bytes": ([b"\x81\xfe\0\x7d"], [], PROTOCOL_ERROR),
    "a short length in eight bytes": ([b"\x81\xff" + struct.pack(">Q", 65_535)], [], PROTOCOL_ERROR),
    # 12: compressed, where it was not agreed upon
    "a compressed message": ([frame(TEXT, deflated(HELLO), reserved=4)], [], PROTOCOL_ERROR),
    "another protocol": ([b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"], [], PROTOCOL_ERROR),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(port: int, name: str) -> None:
    """What breaks a rule ends the connection with the code for it, at the first byte that shows it."""
    pieces, before, code = BAD[name]
    with FrameSocket(port, "/echo") as client:
        client.send(*pieces)
        assert reply(client) == (before, code)


# -- closing


@pytest.mark.parametrize(
    ("sent", "payload"),
    [
        (frame(CLOSE), b""),
        *((close(code), struct.pack(">H", code)) for code in (*range(1000, 1004), *range(1007, 1015))),
        *((close(code), struct.pack(">H", code)) for code in (3000, 3999, 4000, 4999)),
        (close(1000, HELLO), b"\x03\xe8"),
        (close(1000, b"x" * 123), b"\x03\xe8"),
    ],
)
def test_a_close_is_answered(port: int, sent: bytes, payload: bytes) -> None:
    """With its own code (7.1, 7.3, 7.7); what was asked for before it still comes, what comes behind it is ignored."""
    with FrameSocket(port, "/echo") as client:
        client.send(
            text(b"before") + frame(TEXT, b"half", fin=False) + sent + text(b"behind") + frame(PING) + b"\xff" * 9
        )
        assert list(client.rest()) == [Frame(TEXT, b"before"), Frame(CLOSE, payload)]


# -- compression

OFFERS: Final[dict[str, tuple[str, int]]] = {
    # 12, 13: what is offered, and the window that the server may use then
    "": ("", 15),
    "client_max_window_bits": ("", 15),
    "client_max_window_bits=9": ("", 15),
    "server_no_context_takeover; client_no_context_takeover": ("", 15),
    **{f"server_max_window_bits={n}": (f"; server_max_window_bits={n}", n) for n in range(9, 16)},
    "server_max_window_bits=8, permessage-deflate; server_max_window_bits=10": ("; server_max_window_bits=10", 10),
    "unknown, permessage-deflate": ("", 15),
}


def compressing(port: int, offer: str = "") -> FrameSocket:
    """Return a client with compression."""
    client = FrameSocket(port, "/echo", f"{DEFLATE}; {offer}" if offer else DEFLATE)
    assert f"\r\n{DEFLATE}; server_no_context_takeover; client_no_context_takeover" in client.head
    return client


@pytest.mark.parametrize("offer", OFFERS)
def test_compressed_messages(port: int, offer: str) -> None:
    """Of each size, text and binary, whole and in fragments, in the window that was agreed upon; and others too."""
    agreed, bits = OFFERS[offer]
    letters = b"".join(b"%d, " % (n * n) for n in range(40_000))
    with compressing(port, offer) as client:
        assert client.head.count(f"client_no_context_takeover{agreed}\r\n") == 1
        for size in (0, 1, 16, 64, 256, 1024, 4096, 8192, 16_384, 32_768, 65_536, 131_072):
            payload = letters[:size]
            sent = deflated(payload)
            for opcode in (TEXT, BINARY):
                client.send(frame(opcode, sent, reserved=4))
                client.send(*message(opcode, *split(sent, max(1, len(sent) // 5)), reserved=4))
                client.send(frame(opcode, payload))
                for _ in range(3):
                    came = client.next()
                    assert came is not None
                    assert came.opcode == opcode
                    assert (inflated(came.payload, bits) if came.bits & 4 else came.payload) == payload
                    assert len(came.payload) <= size
        assert came.bits == 8 | 4, "what becomes shorter is compressed"
        client.send(close(1000))
        assert reply(client) == ([], 1000)


@pytest.mark.parametrize(
    "offer", ["server_max_window_bits=8", "server_max_window_bits", "what=ever", "client_max_window_bits=16"]
)
def test_an_offer_that_cannot_be_met(port: int, offer: str) -> None:
    """It fails no handshake: the connection goes on without compression."""
    with FrameSocket(port, "/echo", f"{DEFLATE}; {offer}") as client:
        assert "Sec-WebSocket-Extensions" not in client.head
        client.send(frame(TEXT, deflated(HELLO), reserved=4))
        assert reply(client) == ([], PROTOCOL_ERROR)


GOOD_COMPRESSED: Final[dict[str, tuple[list[bytes], bytes]]] = {
    "without any compression": ([frame(TEXT, b"\x00\x05\x00\xfa\xffHello\x00", reserved=4)], b"Hello"),
    "in two blocks": ([frame(TEXT, bytes.fromhex("f248050000 00ffff cac9c90700"), reserved=4)], b"Hello"),
    "marked as the last block": ([frame(TEXT, bytes.fromhex("f348cdc9c9070000"), reserved=4)], b"Hello"),
    "byte by byte": (split(frame(TEXT, deflated(KOSME), reserved=4), 1), KOSME),
    "an empty fragment first": (message(TEXT, b"", deflated(KOSME), reserved=4), KOSME),
}


@pytest.mark.parametrize("name", GOOD_COMPRESSED)
def test_forms_of_compression(port: int, name: str) -> None:
    """Any deflate data are read, those of RFC 7692's examples among them."""
    pieces, expected = GOOD_COMPRESSED[name]
    with compressing(port) as client:
        client.send(*pieces, close(1000))
        assert reply(client) == (echoed(expected), 1000)


BAD_COMPRESSED: Final[dict[str, tuple[list[bytes], int]]] = {
    "a continuation": (
        [frame(TEXT, deflated(HELLO)[:3], fin=False, reserved=4), frame(CONTINUATION, reserved=4)],
        PROTOCOL_ERROR,
    ),
    "a continuation of what is not": ([frame(TEXT, fin=False), frame(CONTINUATION, reserved=4)], PROTOCOL_ERROR),
    "a ping": ([frame(PING, deflated(b""), reserved=4)], PROTOCOL_ERROR),
    "a close": ([frame(CLOSE, b"\x03\xe8", reserved=4)], PROTOCOL_ERROR),
    "the other bits": ([frame(TEXT, deflated(b""), reserved=6)], PROTOCOL_ERROR),
    "no deflate": ([frame(TEXT, b"\xff" * 20, reserved=4)], INVALID),
    "no deflate, in the middle of a frame": ([frame(TEXT, b"\xff" * 20, reserved=4)[:10]], INVALID),
    "cut off": ([frame(TEXT, deflated(HELLO)[:-4], reserved=4)], INVALID),
    "no UTF-8": ([frame(TEXT, deflated(BOTH_BAD), reserved=4)], INVALID),
    "no UTF-8, in the first fragment": ([frame(TEXT, deflated(BOTH_BAD), fin=False, reserved=4)], INVALID),
    "half a character": ([frame(TEXT, deflated(KOSME[:-1]), reserved=4)], INVALID),
    "too big once inflated": ([frame(BINARY, deflated(bytes(MOST_BYTES + 1)), reserved=4)], TOO_BIG),
    "too big by its head": ([frame(BINARY, reserved=4, length=2 * MOST_BYTES)], TOO_BIG),
}


@pytest.mark.parametrize("name", BAD_COMPRESSED)
def test_what_is_wrong_compressed(port: int, name: str) -> None:
    """The rules hold for what is inside, and where the bit may stand."""
    pieces, code = BAD_COMPRESSED[name]
    with compressing(port) as client:
        client.send(*pieces)
        assert reply(client) == ([], code)


def test_the_longest_compressed_message(port: int) -> None:
    """The limit is that of what is inside: all of it may come in few bytes."""
    payload = bytes(MOST_BYTES)
    with compressing(port) as client:
        client.send(frame(BINARY, deflated(payload), reserved=4), close(1000))
        [came], code = reply(client)
        assert (came.opcode, came.bits, code) == (BINARY, 12, 1000)
        assert inflated(came.payload) == payload
