"""Bodies with a length and in chunks: where they end, what is refused, and that the cuts change nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, Protocol

import pytest
from httptools import HttpParserError, HttpRequestParser
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.fuzz_transfer import Read, twisted
from megacomet.errors import BadBody
from megacomet.wire.http import parse_head
from megacomet.wire.transfer import MAX_EXTENSION_BYTES, MAX_TRAILER_BYTES, ChunkedBody, SizedBody, body_of
from tests.chunked import (
    BAD,
    BAD_END,
    BAD_SIZE,
    BAD_TRAILER,
    BODY,
    CHUNK,
    END,
    GOOD,
    LONG_EXTENSIONS,
    LONG_SIZE,
    LONG_TRAILERS,
    SIZE,
    Bad,
)

BEHIND: Final = [b"", b"\r\n", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"0\r\n\r\n", b"\0\xff"]


class Body(Protocol):
    """What is tested."""

    rest: bytes | None

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes."""


def read(body: Body, pieces: Iterable[bytes]) -> Read:
    """Feed the pieces; what comes behind the end of the body is not fed, as on a connection."""
    found = b""
    rest = body.rest
    for piece in pieces:
        if rest is not None:
            rest += piece
            continue
        try:
            new = body.feed(piece)
        except BadBody as e:
            return Read(found + b"".join(e.pieces), None, e.detail)
        assert all(new)
        found += b"".join(new)
        rest = body.rest
    return Read(found, rest)


def bytewise(data: bytes) -> list[bytes]:
    return [data[n : n + 1] for n in range(len(data))]


def cut(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """Cut into pieces of these sizes, and one more."""
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


def check(make: Callable[[], Body], data: bytes, wanted: Read, sizes: Sequence[int] = ()) -> None:
    """Hold what is made of some bytes against what is wanted: whole, byte by byte, and in pieces of these sizes.

    Raises:
        AssertionError: it is something else.
    """
    for pieces in ([data], bytewise(data), cut(data, sizes)):
        assert read(make(), pieces) == wanted


# ------------------------------------------------------------------------------------------------ bodies with a length


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("size", [1, 2, 24])
def test_a_body_with_a_length(size: int, behind: bytes) -> None:
    """It has so many bytes, and what is behind them is not its own, wherever the pieces are cut."""
    body = BODY[:size]
    for first in range(len(body + behind)):
        check(lambda: SizedBody(size), body + behind, Read(body, behind), [first])


def test_a_body_of_no_length() -> None:
    """It is complete before anything has come."""
    assert SizedBody(0).rest == b""


def test_a_body_that_is_not_complete() -> None:
    """It goes on, whether something has come or not."""
    body = SizedBody(3)
    assert body.feed(b"") == []
    assert body.feed(b"ab") == [b"ab"]
    assert body.rest is None


@given(st.binary(min_size=1, max_size=60), st.binary(max_size=20), st.lists(st.integers(0, 20)))
def test_any_body_with_a_length(body: bytes, behind: bytes, sizes: list[int]) -> None:
    """Whatever the bytes and however they are cut."""
    check(lambda: SizedBody(len(body)), body + behind, Read(body, behind), sizes)


# ------------------------------------------------------------------------------------------------ bodies in chunks


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD.keys())
def test_good_bodies(data: bytes, behind: bytes) -> None:
    """They are taken, without their extensions and trailers, and what is behind them is not their own."""
    check(ChunkedBody, data + behind, Read(BODY, behind))


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_bad_bodies(bad: Bad, behind: bytes) -> None:
    """They are refused, each with its reason, and what came before the fault is told."""
    check(ChunkedBody, bad.data + behind, Read(bad.before, None, bad.detail))


@pytest.mark.parametrize("data", [*GOOD.values(), *(bad.data for bad in BAD.values())], ids=[*GOOD, *BAD])
def test_every_cut(data: bytes) -> None:
    """A cut anywhere changes nothing."""
    data += b"\r\nGET"
    whole = read(ChunkedBody(), [data])
    for first in range(min(len(data), 600)):
        assert read(ChunkedBody(), [data[:first], data[first:]]) == whole
        assert read(ChunkedBody(), [data[:-first], data[-first:]]) == whole


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD.keys())
def test_every_beginning(data: bytes) -> None:
    """A body is complete with its last byte, and neither sooner nor refused."""
    body = ChunkedBody()
    for byte in bytewise(data):
        assert body.rest is None
        body.feed(byte)
    assert body.rest == b""


@pytest.mark.parametrize(
    "data", [b"x", b"\r", b"\n", b" ", b"\0", b"-", b"1x", b"1\n", b"1\r\r", b"1 ", b"1;\0", b"1\r\nab", b"1\r\na\n"]
)
def test_what_cannot_become_a_chunk_is_refused_at_once(data: bytes) -> None:
    """Nobody waits for the end of a line that is wrong already."""
    assert read(ChunkedBody(), [data]).fault
    assert read(ChunkedBody(), bytewise(data)).fault


def test_sizes_up_to_the_greatest() -> None:
    """The bound is exact: 63 bits."""
    body = ChunkedBody()
    assert body.feed(b"7fffffffffffffff\r\nabc") == [b"abc"]
    assert read(ChunkedBody(), [b"8000000000000000\r\nabc"]) == Read(b"", None, LONG_SIZE)


def test_nothing_is_fed_behind_the_end() -> None:
    """A body that is complete or malformed takes nothing more: who feeds it makes a mistake."""
    sized, chunked, bad = SizedBody(1), ChunkedBody(), ChunkedBody()
    sized.feed(b"a")
    chunked.feed(END)
    with pytest.raises(BadBody) as caught:
        bad.feed(b"x")
    assert caught.value.code == "bad-request"
    for body in (sized, chunked, bad, SizedBody(0)):
        for data in (b"", CHUNK + END):
            with pytest.raises(ValueError, match="is complete"):
                body.feed(data)


# ------------------------------------------------------------------------------------------------ their cost


def test_large_pieces_are_not_copied() -> None:
    """What lies in the middle of a body comes out as the object that was put in."""
    data = b"x" * 65_536
    for body in (SizedBody(2**40), ChunkedBody()):
        body.feed(b"10000000000\r\n")
        for _ in range(3):
            assert body.feed(data)[0] is data


@pytest.mark.parametrize(
    ("line", "most"),
    [
        (b"0" * 16 + b";" + b"x" * MAX_EXTENSION_BYTES + b"\r\n", MAX_EXTENSION_BYTES + 20),
        (SIZE + b"\r\n" + BODY + b"\r\n", 6),
        (b"0\r\n" + b"T: x\r\n" * 1000, 6),
        (b"0\r\nT: " + b"x" * 8000 + b"\r\n", MAX_TRAILER_BYTES),
    ],
)
def test_what_trickles_is_kept_up_to_its_line(line: bytes, most: int) -> None:
    """Of what comes byte by byte no more is kept than the line that it belongs to: so the cost of a byte is bounded."""
    body = ChunkedBody()
    for byte in bytewise(line):
        body.feed(byte)
        assert len(body._kept) <= most


# ------------------------------------------------------------------------------------------------ all bodies

TOKENS: Final = st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=8).map(str.encode)
TEXTS: Final = st.text([*'ab ;:,=\t"\\', "\xe4", "\xff"], max_size=12).map(lambda text: text.encode("latin-1"))


class Chunked(NamedTuple):
    """A body and how it is sent."""

    body: bytes
    data: bytes


@st.composite
def chunked_bodies(draw: st.DrawFn) -> Chunked:
    """Any pieces, as chunks with any extensions, and any trailers."""
    body, data = b"", b""
    for piece in draw(st.lists(st.binary(min_size=1, max_size=40), max_size=8)):
        body += piece
        digits = draw(st.sampled_from([b"%x", b"%X", b"%04x", b"%016X"])) % len(piece)
        data += digits + draw(EXTENSIONS) + b"\r\n" + piece + b"\r\n"
    data += b"0" * draw(st.integers(1, 16)) + draw(EXTENSIONS) + b"\r\n"
    for name, value in draw(st.lists(st.tuples(TOKENS, TEXTS), max_size=3)):
        data += name + b":" + value + b"\r\n"
    return Chunked(body, data + b"\r\n")


EXTENSIONS: Final = st.one_of(
    st.just(b""),
    st.lists(st.one_of(TOKENS, st.tuples(TOKENS, TOKENS).map(b"=".join)), min_size=1, max_size=3).map(
        lambda extensions: b"".join(b";" + each for each in extensions)
    ),
    TEXTS.map(lambda text: b";" + text),
)
CUTS: Final = st.lists(st.integers(0, 60), max_size=12)


@settings(max_examples=300)
@given(chunked_bodies(), st.binary(max_size=20), CUTS)
def test_any_chunked_body(chunked: Chunked, behind: bytes, sizes: list[int]) -> None:
    """Whatever is sent in chunks comes out as it went in, however it is cut, and with what came behind it."""
    check(ChunkedBody, chunked.data + behind, Read(chunked.body, behind), sizes)


class Loses(ChunkedBody):
    """Loses one byte of what is cut in the middle of a chunk."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes."""
        pieces = super().feed(data)
        return [piece for piece in [*pieces[:-1], pieces[-1][:-1]] if piece] if self._left and pieces else pieces


class Repeats(ChunkedBody):
    """Repeats one byte of what is cut in the middle of a chunk."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes."""
        pieces = super().feed(data)
        return [*pieces, pieces[-1][-1:]] if self._left and pieces else pieces


class TakesMore(ChunkedBody):
    """Loses one byte of what comes behind the body."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes."""
        pieces = super().feed(data)
        self.rest = self.rest and self.rest[1:]
        return pieces


@pytest.mark.parametrize("double", [Loses, Repeats, TakesMore])
def test_the_check_can_fail(double: type[ChunkedBody]) -> None:
    """A decoder that loses or repeats a single byte is found out."""
    check(ChunkedBody, CHUNK + END + b"x", Read(BODY, b"x"), [7])
    with pytest.raises(AssertionError):
        check(double, CHUNK + END + b"x", Read(BODY, b"x"), [7])


# ------------------------------------------------------------------------------------------------ what others read


class Parsed:
    """What httptools calls."""

    def __init__(self) -> None:
        self.body = b""
        self.is_complete = False

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        self.body += data

    def on_message_complete(self) -> None:
        """The body is complete."""
        self.is_complete = True


def llhttp(data: bytes) -> Read:
    """What llhttp makes of the bytes. They are fed one by one, since it does not tell where a body has ended."""
    parsed = Parsed()
    parser = HttpRequestParser(parsed)
    parser.feed_data(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    for n, byte in enumerate(bytewise(data)):
        try:
            parser.feed_data(byte)
        except HttpParserError as e:
            return Read(parsed.body, None, str(e))
        if parsed.is_complete:
            return Read(parsed.body, data[n + 1 :])
    return Read(parsed.body)


#: What is refused here although others may take it, and why.
STRICTER: Final = {
    LONG_SIZE: "zeros in front count as well, so that no line is without end; nobody sends them",
    LONG_EXTENSIONS: "a bound of our own, lower than Twisted's 1,024 a line and Node's 16 KB a body",
    LONG_TRAILERS: "a bound of our own, lower than Twisted's 65,536",
    BAD_TRAILER: "Twisted takes whatever stands in a line, and with it what others take for the next request",
}

FRAGMENTS: Final = st.one_of(
    st.sampled_from(
        [b"0", b"1", b"5", b"a", b"F", b"+", b"-", b"0x", b"_", b"0" * 17, b"7" + b"f" * 15, b"8" + b"0" * 15]
    ),
    st.sampled_from([b"\r\n", b"\r", b"\n", b" ", b"\t", b"\0", b"\x7f", b"\xff", b";", b";x=1", b":", b"=", b'"']),
    st.sampled_from([b"hello", b"x" * 300, b"5\r\nhello\r\n", b"3;a=b\r\nabc\r\n", CHUNK]),
    st.sampled_from([END, b"0\r\n", b"T: x\r\n", b"T: " + b"x" * 8180, b"GET / HTTP/1.1\r\n"]),
)


@st.composite
def nearly_chunked(draw: st.DrawFn) -> bytes:
    """A body in chunks with something strange in it, once or twice."""
    data = draw(chunked_bodies()).data
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(FRAGMENTS | st.just(b"")) + data[at + draw(st.integers(0, 2)) :]
    return data + draw(st.sampled_from(BEHIND))


#: Without backslashes, which Twisted forgot among the characters of extensions.
ANYTHING: Final = st.one_of(
    st.lists(FRAGMENTS, max_size=14).map(b"".join), nearly_chunked(), st.binary(max_size=20)
).map(lambda data: data.replace(b"\\", b"/"))


def without_extensions(data: bytes) -> bytes:
    """Return a body that was accepted, with what may have come behind it, as if it had been sent without extensions."""
    kept, at = b"", 0
    while line := re.compile(rb"([0-9A-Fa-f]+)(?:;[^\r]*)?\r\n").match(data, at):
        at = line.end() + int(line[1], 16) + 2
        kept += line[1] + b"\r\n" + data[line.end() : at]
        if not int(line[1], 16):
            break
    return kept + data[at:]


@settings(max_examples=1000)
@given(ANYTHING, CUTS)
def test_others_read_the_same(data: bytes, sizes: list[int]) -> None:
    """What is accepted here, others accept as the same body, with the same next request; what they accept and we do
    not is of the kinds that are listed."""
    ours = read(ChunkedBody(), [data])
    check(ChunkedBody, data, ours, sizes)
    theirs = twisted(data)
    if ours.fault is None:
        assert theirs == ours
    if ours.fault is None and ours.rest is not None:
        # llhttp wants extensions to be of their grammar: what is in them is of no concern to where a body ends.
        strict = llhttp(data)
        assert strict == ours or strict.fault
        assert llhttp(without_extensions(data)) == ours
    if ours.fault is not None:
        for other in (theirs, llhttp(data)):
            assert other.rest is None or ours.fault in STRICTER


@pytest.mark.parametrize(
    ("name", "takes"),
    [
        ("seventeen digits", [twisted, llhttp]),
        ("extension that is too long", [twisted, llhttp]),
        ("trailer that is too long", [twisted, llhttp]),
        ("trailer without a colon", [twisted]),
        ("another request for a trailer", [twisted]),
        ("folded trailer", [twisted]),
        ("trailer with a bare LF", [twisted]),
        ("trailer with a NUL", [twisted]),
    ],
)
def test_where_we_are_stricter(name: str, takes: list[Callable[[bytes], Read]]) -> None:
    """The list says what it means: these bodies others take."""
    bad = BAD[name]
    assert bad.detail in STRICTER
    for other in (twisted, llhttp):
        assert (other(bad.data).rest is not None) == (other in takes)


def test_where_others_are_stricter() -> None:
    """About extensions and trailers, which are dropped here: nothing in them says where a body ends."""
    assert {name for name, data in GOOD.items() if llhttp(data) != Read(BODY, b"")} == {
        "extension of nothing",
        "extension with white space",
        "trailer that a head would not have",
    }
    assert {name for name, data in GOOD.items() if twisted(data) != Read(BODY, b"")} == {"extensions"}
    assert twisted(GOOD["extensions"].replace(b"\\", b"/")) == Read(BODY, b"")


def test_every_reason_is_tried() -> None:
    """The table of bad bodies has all that can be told."""
    assert {bad.detail for bad in BAD.values()} == {*STRICTER, BAD_SIZE, BAD_END}


# ------------------------------------------------------------------------------------------------ by the head


def test_the_head_says_what_follows() -> None:
    """A length, chunks, or nothing."""
    start = b"POST /api/push HTTP/1.1\r\nHost: h\r\n"
    assert body_of(parse_head(start + b"\r\n")).rest == b""
    assert body_of(parse_head(start + b"Content-Length: 0\r\n\r\n")).rest == b""
    assert read(body_of(parse_head(start + b"Content-Length: 3\r\n\r\n")), [b"abcd"]) == Read(b"abc", b"d")
    assert read(body_of(parse_head(start + b"Transfer-Encoding: chunked\r\n\r\n")), [CHUNK + END]) == Read(BODY, b"")
