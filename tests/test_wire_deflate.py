"""One compressed message in, one out."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.wire.deflate import Inflater, compress

LIMIT = 100_000


def inflated(*parts: bytes, limit: int = LIMIT) -> bytes:
    message, inflater = bytearray(), Inflater()
    for part in parts:
        inflater.inflate(part, message, limit)
    inflater.finish(message, limit)
    return bytes(message)


@given(st.binary(max_size=2000).map(lambda data: data * 3), st.integers(9, 15), st.integers(0, 2000))
def test_round_trip(payload: bytes, bits: int, at: int) -> None:
    """What is compressed with any window is inflated, in one part or in two."""
    data = compress(payload, bits)
    assert inflated(data) == inflated(data[:at], data[at:]) == payload


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("size", [0, 1, 249, 250, 251, 506, 5000, 70_000])
def test_no_block_refers_back_farther_than_agreed(bits: int, size: int) -> None:
    """A receiver with no larger window than it told can inflate what it gets."""
    payload = bytes(i * i % 251 for i in range(size))
    data = compress(payload, bits)
    assert zlib.decompressobj(wbits=-bits).decompress(data + b"\x00\x00\xff\xff") == payload


def test_a_stream_after_another_knows_what_came_before() -> None:
    """A block after one that is marked as the last may refer back to it (RFC 7692, 7.2.1)."""
    first, second = b"Hello, hello, hello", b"Hello, hello, hello!"
    one = zlib.compressobj(wbits=-15)
    two = zlib.compressobj(wbits=-15, zdict=first)
    data = one.compress(first) + one.flush() + two.compress(second) + two.flush(zlib.Z_SYNC_FLUSH)[:-4]
    assert inflated(data) == first + second
    assert inflated(*(data[at : at + 1] for at in range(len(data)))) == first + second


@pytest.mark.parametrize("data", [b"\xff\xff", b"\x4b", compress(b"Hello")[:-2], b"\x03\x00" * 66])
def test_what_is_no_message(data: bytes) -> None:
    """What does not inflate, and what is cut off, is an error."""
    with pytest.raises(zlib.error):
        inflated(data)


def test_the_limit() -> None:
    """One byte over the limit is the most that is inflated."""
    message, inflater = bytearray(b"ab"), Inflater()
    inflater.inflate(compress(bytes(1_000_000)), message, 10)
    assert message == b"ab" + bytes(9)
    assert inflated(compress(bytes(10)), limit=10) == bytes(10)
