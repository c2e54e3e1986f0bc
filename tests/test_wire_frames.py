"""The records that travel inside the boxes of the link."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.wire import frames
from megacomet.wire.frames import HEADER_BYTES, Frame, decode, decode_names, encode, encode_names

FRAMES = st.builds(
    Frame,
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    st.binary(max_size=300),
    st.binary(max_size=1000),
)


def encoded(frame: Frame) -> bytes:
    kind, flags, number, offset, channel, data = frame
    return encode(kind, flags=flags, number=number, offset=offset, channel=channel, data=data)


def test_record_as_it_stands_on_the_link() -> None:
    """The layout is fixed: manager and workers of one version speak it."""
    record = encode(frames.MESSAGE, flags=frames.WANTS_RECEIPT, number=2, offset=3, channel=b"@sue", data=b'"hi"')
    assert record == (
        b"\x01\x01" + b"\0\0\0\x02" + b"\0\0\0\0\0\0\0\x03" + b"\0\x04" + b"\0\0\0\x04" + b"@sue" + b'"hi"'
    )
    assert HEADER_BYTES == 20


def test_kinds_are_distinct() -> None:
    """No two kinds of record share a number."""
    kinds = [frames.MESSAGE, frames.PAGE, frames.PAGE_END, frames.WANT, frames.LEAVE, frames.JOIN]
    kinds += [frames.RETURNED, frames.RECEIPT, frames.PACE, frames.PROGRESS, frames.COUNTED, frames.CUT_OFF]
    assert len(set(kinds)) == len(kinds)


@given(st.integers(0, 2**64 - 1), st.tuples(*[st.integers(0, 2**32 - 1)] * 3))
def test_progress_survives(offset: int, counts: tuple[int, int, int]) -> None:
    """How a message at a pace stands at a worker."""
    [frame] = decode(frames.encode_progress(offset, frames.Progress(*counts)))
    assert (frame.kind, frame.offset, frames.decode_progress(frame)) == (frames.PROGRESS, offset, counts)


@pytest.mark.parametrize("size", [0, 7, 9])
def test_progress_has_two_numbers(size: int) -> None:
    """Anything else is an error."""
    with pytest.raises(ValueError, match="two numbers"):
        frames.decode_progress(Frame(frames.PROGRESS, 0, 1, 2, b"", bytes(size)))


@given(st.lists(FRAMES, max_size=5))
def test_records_survive(records: list[Frame]) -> None:
    """Any records, one after the other, come out as they went in."""
    assert list(decode(b"".join(map(encoded, records)))) == records


@given(st.lists(FRAMES, min_size=1, max_size=3), st.data())
def test_cut_off_records_are_refused(records: list[Frame], data: st.DataObject) -> None:
    """A value that ends within a record is an error, after the records before it."""
    blob = b"".join(map(encoded, records))
    last = len(encoded(records[-1]))
    cut = data.draw(st.integers(1, last - 1))
    reader = decode(blob[: len(blob) - cut])
    assert [next(reader) for _ in records[:-1]] == records[:-1]
    with pytest.raises(ValueError, match="cut off"):
        next(reader)


@given(st.binary(max_size=100))
def test_any_bytes_decode_or_are_refused(blob: bytes) -> None:
    """Bytes that are no records raise ValueError and nothing else; those that are encode to the same bytes."""
    try:
        records = list(decode(blob))
    except ValueError:
        return
    assert b"".join(map(encoded, records)) == blob


def test_names_as_they_stand_on_the_link() -> None:
    """A name is its length and its bytes."""
    assert encode_names([b"a", b"", b"news"]) == b"\x01a\x00\x04news"
    assert decode_names(b"") == []


@given(st.lists(st.binary(max_size=255)))
def test_names_survive(names: list[bytes]) -> None:
    """Any names of up to 255 bytes come out as they went in."""
    assert decode_names(encode_names(names)) == names
    assert decode_names(encode_names(iter(names))) == names


@given(st.lists(st.binary(min_size=1, max_size=255), min_size=1), st.data())
def test_cut_off_names_are_refused(names: list[bytes], data: st.DataObject) -> None:
    """A list that ends within a name is an error."""
    with pytest.raises(ValueError, match="cut off"):
        decode_names(encode_names(names)[: -data.draw(st.integers(1, len(names[-1])))])


def test_names_that_are_too_long_are_refused() -> None:
    """A name of 256 bytes has no place in a list."""
    with pytest.raises(ValueError, match="256"):
        encode_names([b"x" * 256])
