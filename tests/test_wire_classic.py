"""The binary protocol of the original."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megacomet.names import CLIENT_MAX_BYTES
from megacomet.wire.classic import ClassicEvent, ClassicParser, Dropped, Ignored, Push

MOST = 1000


def push(client: bytes, text: bytes) -> bytes:
    return b"\x02" + client + b"\0" + text + b"\0"


def parse(data: bytes, size: int) -> tuple[list[ClassicEvent], bool, list[ClassicEvent]]:
    parser = ClassicParser(MOST)
    events: list[ClassicEvent] = []
    for at in range(0, len(data), size):
        events += parser.feed(data[at : at + size])
    return events, parser.broken, parser.close()


@pytest.mark.parametrize("size", [1, 2, 5, 100_000])
@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"", []),
        (push(b"sue", b"hello"), [Push(b"sue", b"hello")]),
        (push(b"megacomet", b""), [Push(b"megacomet", b"")]),
        (push("ä/b".encode(), "😀\r\n\x01".encode()), [Push("ä/b".encode(), "😀\r\n\x01".encode())]),
        (
            push(b"a", b"1") + push(b"b", b"\x02") + push(b"a", b"2"),
            [Push(b"a", b"1"), Push(b"b", b"\x02"), Push(b"a", b"2")],
        ),
        (b"\x01\x07" + push(b"a", b"1") + b"\x01\x00\x01\x02", [Ignored(1), Push(b"a", b"1"), Ignored(1), Ignored(1)]),
        (push(b"x" * CLIENT_MAX_BYTES, b"y" * MOST), [Push(b"x" * CLIENT_MAX_BYTES, b"y" * MOST)]),
        (push(b"", b"1") + push(b"a", b"2"), [Dropped("bad-id"), Push(b"a", b"2")]),
        (push(b"..", b"1") + push(b"a", b"2"), [Dropped("bad-id"), Push(b"a", b"2")]),
        (push(b"a b", b"1") + push(b"a", b"2"), [Dropped("bad-id"), Push(b"a", b"2")]),
        (push(b"\xff", b"1") + push(b"a", b"2"), [Dropped("bad-id"), Push(b"a", b"2")]),
        (push(b"x" * (CLIENT_MAX_BYTES + 1), b"1") + push(b"a", b"2"), [Dropped("bad-id"), Push(b"a", b"2")]),
        (push(b"x" * 5000, b"y" * 5000) + push(b"a", b"2"), [Dropped("bad-id"), Push(b"a", b"2")]),
        (push(b"a", b"y" * (MOST + 1)) + push(b"a", b"2"), [Dropped("too-large"), Push(b"a", b"2")]),
        (push(b"a", b"y" * 5000) + push(b"a", b"2"), [Dropped("too-large"), Push(b"a", b"2")]),
        (push(b"a", b"x\xff") + push(b"a", b"2"), [Dropped("bad-text"), Push(b"a", b"2")]),
        (push(b"a", "ä".encode()[:1]), [Dropped("bad-text")]),
    ],
)
def test_commands(data: bytes, events: list[ClassicEvent], size: int) -> None:
    """Pushes come out in order whatever the pieces; a bad one is dropped and the next one is not."""
    assert parse(data, size) == (events, False, [])


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"\x00", []),
        (b"\x03", []),
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n" + push(b"a", b"evil"), []),
        (push(b"a", b"1") + b"\n" + push(b"a", b"2"), [Push(b"a", b"1")]),
        (push(b"a", b"1") + b"\0" + push(b"a", b"2"), [Push(b"a", b"1")]),
        (b"\x01\x01\xff" + push(b"a", b"1"), [Ignored(1)]),
    ],
)
def test_any_other_byte_breaks_the_stream(data: bytes, events: list[ClassicEvent], size: int) -> None:
    """Where a command must begin nothing else is taken, and nothing after it."""
    assert parse(data, size) == (events, True, [])


@pytest.mark.parametrize("cut", range(1, len(push(b"sue", b"hi"))))
def test_end_in_the_middle_of_a_push_is_told(cut: int) -> None:
    """What was complete before the end counts; what was not is dropped and said."""
    whole = push(b"a", b"1")
    assert parse(whole + push(b"sue", b"hi")[:cut], 4) == ([Push(b"a", b"1")], False, [Dropped("cut-off")])
    assert parse(whole + b"\x01", 4) == ([Push(b"a", b"1")], False, [])


def test_what_is_too_long_is_not_kept() -> None:
    """An id or a message that never ends costs no memory beyond its bound."""
    parser = ClassicParser(MOST)
    for opening in (b"\x02", b"\0"):
        parser.feed(opening)
        for _ in range(100):
            assert parser.feed(b"x" * 900) == []
            assert len(parser._kept) <= MOST
    assert parser.feed(b"\0\x02a\0b\0") == [Dropped("bad-id"), Push(b"a", b"b")]


PIECES = st.sampled_from(
    [b"\x02", b"\x01", b"\0", b"sue", b"\xff", b" ", b"x" * 260, b"y" * 1001, b"\x03", push(b"a", b"b"), b"\x01\x05"]
)


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=60), st.lists(PIECES, max_size=12).map(b"".join)), st.lists(st.integers(1, 300)))
def test_events_do_not_depend_on_the_pieces(data: bytes, sizes: list[int]) -> None:
    """Any bytes, cut anywhere, give the same events and the same end, and never an exception."""
    parser = ClassicParser(MOST)
    events: list[ClassicEvent] = []
    at = 0
    for size in [*sizes, len(data) + 1]:
        events += parser.feed(data[at : at + size])
        at += size
    assert (events, parser.broken, parser.close()) == parse(data, 1) == parse(data, len(data) + 1)


@given(
    st.lists(
        st.tuples(
            st.from_regex(rb"[a-z:/-]{1,9}", fullmatch=True),
            st.text(st.characters(codec="utf-8", exclude_characters="\0")),  # without the codec: half surrogates too
        )
    )
)
def test_any_texts_arrive(messages: list[tuple[bytes, str]]) -> None:
    """Whatever an application of old sends, without NULs, comes out as it went in."""
    pushes = [Push(client, text.encode()) for client, text in messages if len(text.encode()) <= MOST]
    assert parse(b"".join(push(p.client, p.text) for p in pushes), 7) == (pushes, False, [])
