"""How messages look on connections that stay open, to the byte and as their readers understand them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.wire.jsonbytes import check_data, json_string
from megacomet.wire.streams import (
    NDJSON,
    NDJSON_PLAIN,
    SSE,
    SSE_PLAIN,
    SSE_RAW,
    SSE_RAW_PLAIN,
    WS,
    ending,
    gaps,
    is_chunked,
    is_websocket,
    message,
    ping,
    position,
    retry,
    transport,
    ws_deflate,
)
from tests.event_stream import Event, EventStream, chunks, frames

EVENTS = (SSE, SSE_PLAIN, SSE_RAW, SSE_RAW_PLAIN)
LINES = (NDJSON, NDJSON_PLAIN)
DEFLATED = tuple(map(ws_deflate, range(9, 16)))
ALL = (*EVENTS, *LINES, WS, *DEFLATED)

TEXTS = st.text()
CHANNELS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(str.encode)
POSITIONS = st.from_regex(re.compile(r"[0-9a-z]{1,16}-[0-9]{1,19}(\.[0-9]{1,19}){0,2}", re.ASCII), fullmatch=True).map(
    str.encode
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def test_encodings_fit_into_a_byte() -> None:
    """Each encoding is a number of its own, and they are these: rows say them."""
    assert tuple(range(1, 15)) == ALL


@pytest.mark.parametrize("bits", [-15, 0, 8, 16])
def test_windows_that_are_none(bits: int) -> None:
    """A window has 9 to 15 bits."""
    with pytest.raises(ValueError, match="9 to 15"):
        ws_deflate(bits)


@pytest.mark.parametrize(
    ("encoding", "chunked", "name"),
    [
        (SSE, True, "sse"),
        (SSE_PLAIN, False, "sse"),
        (SSE_RAW, True, "sse"),
        (SSE_RAW_PLAIN, False, "sse"),
        (NDJSON, True, "stream"),
        (NDJSON_PLAIN, False, "stream"),
        (WS, False, "ws"),
        *((encoding, False, "ws") for encoding in DEFLATED),
    ],
)
def test_what_an_encoding_is(encoding: int, chunked: bool, name: str) -> None:
    """Each belongs to a transport; only HTTP/1.1 has chunks, and those end with an empty one."""
    assert (is_chunked(encoding), transport(encoding), is_websocket(encoding)) == (chunked, name, name == "ws")
    assert ending(encoding) == (b"0\r\n\r\n" if chunked else b"")


# -- to the byte


MESSAGE = b'id: ab-7\ndata: {"channel":"news","data":{"a":1}}\n\n'
RAW = b'id: ab-7\ndata: {"a":1}\n\n'
MESSAGE_OBJECT = b'{"op":"message","channel":"news","id":"ab-7","data":{"a":1}}'
POSITION = b"event: position\nid: ab-7\ndata: {}\n\n"
POSITION_OBJECT = b'{"op":"position","position":"ab-7"}'
GAP = b'event: gap\nid: ab-7\ndata: {"channels":["news","@sue"]}\n\n'
GAP_OBJECTS = (
    b'{"op":"gap","channel":"news","position":"ab-2"}',
    b'{"op":"gap","channel":"@sue","position":"ab-7"}',
)


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def line_chunks(*objects: bytes) -> bytes:
    return b"".join(chunk(each + b"\n") for each in objects)


def text_frames(*objects: bytes) -> bytes:
    return b"".join(bytes((0x81, len(each))) + each for each in objects)


def say_message(encoding: int) -> bytes:
    return message(encoding, b"news", b"ab-7", b'{"a":1}')


def say_position(encoding: int) -> bytes:
    return position(encoding, b"ab-7")


def say_ping(encoding: int) -> bytes:
    return ping(encoding, b"ab-7")


def say_ping_alone(encoding: int) -> bytes:
    return ping(encoding, b"ab-7", is_told=False)


def say_gaps(encoding: int) -> bytes:
    return gaps(encoding, [b"news", b"@sue"], b"ab-2", b"ab-7")


def say_no_gaps(encoding: int) -> bytes:
    return gaps(encoding, [], b"ab-2", b"ab-7")


def say_retry(encoding: int) -> bytes:
    return retry(encoding, 2500)


@pytest.mark.parametrize(
    ("say", "encoding", "said"),
    [
        (say_message, SSE, chunk(MESSAGE)),
        (say_message, SSE_PLAIN, MESSAGE),
        (say_message, SSE_RAW, chunk(RAW)),
        (say_message, SSE_RAW_PLAIN, RAW),
        (say_message, NDJSON, line_chunks(MESSAGE_OBJECT)),
        (say_message, NDJSON_PLAIN, MESSAGE_OBJECT + b"\n"),
        (say_message, WS, text_frames(MESSAGE_OBJECT)),
        *((say_position, encoding, chunk(POSITION)) for encoding in (SSE, SSE_RAW)),
        *((say_position, encoding, POSITION) for encoding in (SSE_PLAIN, SSE_RAW_PLAIN)),
        (say_position, NDJSON, line_chunks(POSITION_OBJECT)),
        (say_position, NDJSON_PLAIN, POSITION_OBJECT + b"\n"),
        (say_position, WS, text_frames(POSITION_OBJECT)),
        *((say_ping, encoding, chunk(b": ping\n" + POSITION)) for encoding in (SSE, SSE_RAW)),
        *((say_ping, encoding, b": ping\n" + POSITION) for encoding in (SSE_PLAIN, SSE_RAW_PLAIN)),
        (say_ping, NDJSON, line_chunks(POSITION_OBJECT)),
        (say_ping, NDJSON_PLAIN, POSITION_OBJECT + b"\n"),
        (say_ping, WS, b"\x89\0" + text_frames(POSITION_OBJECT)),
        *((say_ping_alone, encoding, say_ping(encoding)) for encoding in (*EVENTS, *LINES)),
        *((say_ping_alone, encoding, b"\x89\0") for encoding in (WS, *DEFLATED)),
        *((say_gaps, encoding, chunk(GAP)) for encoding in (SSE, SSE_RAW)),
        *((say_gaps, encoding, GAP) for encoding in (SSE_PLAIN, SSE_RAW_PLAIN)),
        (say_gaps, NDJSON, line_chunks(*GAP_OBJECTS)),
        (say_gaps, NDJSON_PLAIN, b"\n".join(GAP_OBJECTS) + b"\n"),
        (say_gaps, WS, text_frames(*GAP_OBJECTS)),
        *((say_no_gaps, encoding, b"") for encoding in ALL),
        *((say_retry, encoding, b"c\r\nretry: 2500\n\r\n") for encoding in (SSE, SSE_RAW)),
        *((say_retry, encoding, b"retry: 2500\n") for encoding in (SSE_PLAIN, SSE_RAW_PLAIN)),
        *((say_retry, encoding, b"") for encoding in (*LINES, WS, *DEFLATED)),
    ],
)
def test_to_the_byte(say: Callable[[int], bytes], encoding: int, said: bytes) -> None:
    """What stands on the wire is what the documentation shows."""
    assert say(encoding) == said


@pytest.mark.parametrize("encoding", DEFLATED)
def test_messages_are_compressed_when_that_is_shorter(encoding: int) -> None:
    """A message that repeats itself is compressed; one that would grow goes as it is."""
    long = message(encoding, b"news", b"ab-7", json_string(b"again and " * 100))
    assert len(long) < 120
    assert [each.is_compressed for each in frames(long)] == [True]
    noise = json_string("".join(chr(0x800 + 6121 * n % 50_000) for n in range(30)).encode())
    assert message(encoding, b"c", b"z-1", noise) == message(WS, b"c", b"z-1", noise)


@pytest.mark.parametrize("encoding", DEFLATED)
def test_nothing_else_is_compressed(encoding: int) -> None:
    """What a client is told about itself goes as it is."""
    for say in (say_position, say_ping, say_gaps):
        assert say(encoding) == say(WS)


@pytest.mark.parametrize("size", [125, 126, 127, 65_535, 65_536, 200_000])
def test_frames_of_all_lengths(size: int) -> None:
    """The three ways of writing a length are used where they belong."""
    data = b'"%b"' % (b"x" * (size - len(message(WS, b"c", b"a-1", b'""')) + 2))
    [frame] = frames(message(WS, b"c", b"a-1", data))
    assert (frame.opcode, len(frame.payload)) == (1, size)


# -- as readers understand it


def body(encoding: int, *said: bytes) -> bytes:
    """What HTTP makes of it; each piece that was said is one chunk or more, never a part of one."""
    if not is_chunked(encoding):
        return b"".join(said)
    assert all(chunks(piece).pieces for piece in said)
    whole = chunks(b"".join(said) + ending(encoding))
    assert whole.is_ended
    return b"".join(whole.pieces)


@given(CHANNELS, POSITIONS, VALUES)
def test_events_are_read_back(channel: bytes, where: bytes, value: object) -> None:
    """Whatever was published, an EventSource gets it, with its id, once."""
    for encoding in (SSE, SSE_PLAIN):
        data = check_data(json.dumps(value).encode(), 1_000_000)
        stream = EventStream(body(encoding, message(encoding, channel, where, data)))
        [event] = stream.events
        assert (event.type, event.last_id, stream.last_id) == ("message", where.decode(), where.decode())
        assert json.loads(event.data) == {"channel": channel.decode(), "data": value}


@given(CHANNELS, POSITIONS, st.text(st.sampled_from("ab\r\n \t:\0\x85\u2028\ufeffä😀")) | TEXTS)
def test_raw_texts_are_read_back(channel: bytes, where: bytes, text: str) -> None:
    """A raw text arrives as it was, but for its line ends, which are newlines then; it can say nothing else."""
    for encoding in (SSE_RAW, SSE_RAW_PLAIN):
        for data in (json_string(text.encode()), json.dumps(text).encode()):
            stream = EventStream(body(encoding, message(encoding, channel, where, data)))
            arrives = text.replace("\r\n", "\n").replace("\r", "\n")
            assert stream.events == [Event("message", arrives, where.decode())]
            assert (stream.retry_ms, stream.comments) == (None, [])


@pytest.mark.parametrize(
    ("text", "arrives"),
    [
        ("", ""),
        ("\n", "\n"),
        ("a\rb", "a\nb"),
        ("a\r\nb", "a\nb"),
        ("a\n\rb", "a\n\nb"),
        ("a\n", "a\n"),
        ("\ra", "\na"),
        (" a", " a"),
        ("a\n\nid: x\nevent: gap\ndata: no", "a\n\nid: x\nevent: gap\ndata: no"),
        ("a\r\rretry: 1\r", "a\n\nretry: 1\n"),
        (": not a comment", ": not a comment"),
    ],
)
def test_raw_texts_break_no_framing(text: str, arrives: str) -> None:
    """A text that looks like the framing is a text, and the event behind it is read as well."""
    said = [message(SSE_RAW, b"c", b"a-1", json_string(text.encode())), message(SSE_RAW, b"c", b"a-2", b"2")]
    stream = EventStream(body(SSE_RAW, *said))
    assert stream.events == [Event("message", arrives, "a-1"), Event("message", "2", "a-2")]


@given(
    st.binary()
    | st.lists(st.sampled_from([b"id: a", b"data", b"\n", b"\r", b"\r\n", b": x", b"data: b"])).map(b"".join)
)
def test_the_reader_reads_pieces_as_it_reads_the_whole(stream: bytes) -> None:
    """Our own reader of events, on which these tests lean, does not depend on how the bytes come."""
    # A CR at the end is a line end of which nobody can tell yet; none of our streams ends so.
    whole, pieces = EventStream(stream + b"\n"), EventStream()
    events = [event for each in stream + b"\n" for event in pieces.receive(bytes([each]))]
    assert events == pieces.events == whole.events
    assert (pieces.last_id, pieces.comments, pieces.retry_ms) == (whole.last_id, whole.comments, whole.retry_ms)


@given(VALUES)
def test_raw_values_are_read_back(value: object) -> None:
    """A value that is no text comes as its JSON."""
    data = check_data(json.dumps(value).encode(), 1_000_000)
    [event] = EventStream(message(SSE_RAW_PLAIN, b"c", b"a-1", data)).events
    if isinstance(value, str):
        assert event.data == value.replace("\r\n", "\n").replace("\r", "\n")
    else:
        assert json.loads(event.data) == value


@given(told=st.lists(CHANNELS, min_size=1), before=POSITIONS, where=POSITIONS, ms=st.integers(0, 10**9))
def test_named_events_are_read_back(told: list[bytes], before: bytes, where: bytes, ms: int) -> None:
    """Positions and gaps are events with a name, and move what the client sends as Last-Event-ID."""
    for encoding in EVENTS:
        said = [retry(encoding, ms), position(encoding, before), gaps(encoding, told, before, where)]
        stream = EventStream(body(encoding, *said))
        first, second = stream.events
        assert first == Event("position", "{}", before.decode())
        assert (second.type, second.last_id, stream.retry_ms) == ("gap", where.decode(), ms)
        assert json.loads(second.data) == {"channels": [each.decode() for each in told]}
        alive = EventStream(body(encoding, ping(encoding, where)))
        assert (alive.comments, alive.last_id) == ([": ping"], where.decode())


@given(CHANNELS, POSITIONS, VALUES)
def test_objects_are_read_back(channel: bytes, where: bytes, value: object) -> None:
    """Lines and frames hold the same object, one each."""
    data = check_data(json.dumps(value).encode(), 1_000_000)
    said = {"op": "message", "channel": channel.decode(), "id": where.decode(), "data": value}
    for encoding in LINES:
        text = body(encoding, message(encoding, channel, where, data))
        assert text.endswith(b"\n")
        assert [json.loads(line) for line in text[:-1].split(b"\n")] == [said]
    for bits in (None, 9, 15):
        encoding = WS if bits is None else ws_deflate(bits)
        [frame] = frames(message(encoding, channel, where, data), bits or 15)
        assert (frame.opcode, json.loads(frame.payload)) == (1, said)


@pytest.mark.parametrize("encoding", [NDJSON_PLAIN, WS])
def test_only_the_last_gap_moves_the_client_on(encoding: int) -> None:
    """A client that drops between two notices comes back with its old position, and is told again."""
    said = gaps(encoding, [b"a", b"b", b"c"], b"x-1", b"x-5")
    objects = [frame.payload for frame in frames(said)] if encoding == WS else said.splitlines()
    told = [json.loads(each) for each in objects]
    assert [(each["channel"], each["position"]) for each in told] == [("a", "x-1"), ("b", "x-1"), ("c", "x-5")]


# -- what would break the framing


@pytest.mark.parametrize("encoding", ALL)
@pytest.mark.parametrize("bad", [b"", b"a-1\n", b"a\r-1", b"a\0-1", b'a"-1', b"a\\-1", b"\xff", "ä-1".encode()])
def test_positions_that_would_break_the_framing(encoding: int, bad: bytes) -> None:
    """A position with a line break, NUL, quote or the like is an error of the caller, in every encoding."""
    for say in (
        lambda: message(encoding, b"c", bad, b"1"),
        lambda: position(encoding, bad),
        lambda: ping(encoding, bad),
        lambda: gaps(encoding, [b"c"], bad, b"a-1"),
        lambda: gaps(encoding, [b"c"], b"a-1", bad),
    ):
        with pytest.raises(ValueError, match="framing"):
            say()


@pytest.mark.parametrize("encoding", [SSE, SSE_PLAIN, *LINES, WS, *DEFLATED])
@pytest.mark.parametrize("data", [b"[1,\n2]", b"[1,\r2]"])
def test_data_that_would_break_the_framing(encoding: int, data: bytes) -> None:
    """Data that has not passed the check for line breaks is an error of the caller."""
    with pytest.raises(ValueError, match="line break"):
        message(encoding, b"c", b"a-1", data)
