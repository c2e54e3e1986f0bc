"""Server-sent events: the standard's rules, whatever the pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.client.event_stream import Event, EventStream
from megacomet.client.objects import MOST_BYTES, Garbage
from tests.event_stream import EventStream as Reference


def read(data: bytes, size: int) -> list[Event]:
    """Read a stream in pieces of a size."""
    stream = EventStream()
    return [event for i in range(0, len(data), size) for event in stream.receive(data[i : i + size])]


@pytest.mark.parametrize(
    ("data", "events"),
    [
        ("data: a\n\n", [("message", "", "a")]),
        ("\ufeffdata: a\n\n", [("message", "", "a")]),
        ("data: a\r\ndata: b\r\n\r\n", [("message", "", "a\nb")]),
        ("data: a\rdata:b\r\r", [("message", "", "a\nb")]),
        ("data:  a\n\n", [("message", "", " a")]),
        ("data\n\n", [("message", "", "")]),
        ("id: 7\ndata: a\n\ndata: b\n\n", [("message", "7", "a"), ("message", "7", "b")]),
        ("id: 7\n\ndata: b\n\n", [("message", "7", "b")]),
        ("id: 7\0\ndata: b\n\n", [("message", "", "b")]),
        ("id: 7\ndata: a\n\nid\ndata: b\n\n", [("message", "7", "a"), ("message", "", "b")]),
        ("event: gap\ndata: {}\n\ndata: a\n\n", [("gap", "", "{}"), ("message", "", "a")]),
        ("event: gap\n\ndata: a\n\n", [("message", "", "a")]),
        (": ping\n\n", []),
        ("other: a\ndata: b\n\n", [("message", "", "b")]),
        ("data: a\n", []),
        ("data: \u2028\x85\x0b\n\n", [("message", "", "\u2028\x85\x0b")]),
        ("data: \u00e4\U0001f600\n\n", [("message", "", "\u00e4\U0001f600")]),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 10_000])
def test_events(data: str, events: list[tuple[str, str, str]], size: int) -> None:
    """Line ends of all three kinds, a mark of byte order, characters that are split."""
    assert read(data.encode(), size) == events


@given(st.text("adi:tevn \r\n\ufeff\0\u00e4", max_size=80), st.integers(1, 9))
def test_as_the_standard(text: str, size: int) -> None:
    """What a reader that was written from the standard reads, this one reads."""
    data = (text + "\n\n").encode()
    reference = Reference(data + b"x")  # it holds a last CR back until it sees what follows
    assert read(data, size) == [Event(event.type, event.last_id, event.data) for event in reference.events]


@pytest.mark.parametrize(
    ("data", "retry_ms"), [(b"retry: 3000\n", 3000), (b"retry: 1\nretry: x\nretry: -5\n", 1), (b"retry\n", None)]
)
def test_retry(data: bytes, retry_ms: int | None) -> None:
    """The time to come back after; nonsense says nothing."""
    stream = EventStream()
    assert list(stream.receive(data)) == []
    assert stream.retry_ms == retry_ms


def test_a_large_event() -> None:
    """A message of 1 MB in small pieces is one event."""
    data = b"data: " + b"x" * 1_000_000 + b"\n\n"
    assert [len(event.data) for event in read(data, 1460)] == [1_000_000]


@pytest.mark.parametrize("piece", [b"x", b"data: x\n"])
def test_what_never_ends(piece: bytes) -> None:
    """An event without an end does not fill the memory."""
    stream = EventStream()
    million = piece * (1_000_000 // len(piece))
    for _ in range(MOST_BYTES // 1_000_000):
        assert list(stream.receive(million)) == []
    with pytest.raises(Garbage):
        list(stream.receive(million))
