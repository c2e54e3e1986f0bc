"""Positions: what clients give as `since`, and what they are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.errors import BadPosition
from megacomet.model.position import OLDEST, Since, format_position, parse_since

EPOCHS = st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=16).map(str.encode)


def test_no_position_means_from_now_on() -> None:
    """An empty `since` counts as absent."""
    assert parse_since(b"") is None


def test_oldest_is_a_word() -> None:
    """`since=oldest` asks for all that is kept."""
    assert parse_since(b"oldest") == OLDEST


@given(EPOCHS, st.integers(0, 10**19 - 1))
def test_what_was_told_is_understood(epoch: bytes, offset: int) -> None:
    """A client that gives back what it was told stands where it stood."""
    assert parse_since(format_position(epoch, offset)) == Since(epoch, offset)


@pytest.mark.parametrize(
    ("text", "since"),
    [
        (b"3kx9-1207", Since(b"3kx9", 1207)),
        (b"0-0", Since(b"0", 0)),
        (b"3kx9-0012", Since(b"3kx9", 12)),
        (b"0123456789abcdef-9999999999999999999", Since(b"0123456789abcdef", 9999999999999999999)),
        (b"3kx9-1.2", Since(b"3kx9", -1)),
        (b"3kx9-12.0.7", Since(b"3kx9", -1)),
    ],
)
def test_positions_of_this_and_of_other_logs(text: bytes, since: Since) -> None:
    """A position of a log with several partitions is well formed, and of another log."""
    assert parse_since(text) == since


@pytest.mark.parametrize(
    "text",
    [
        b"3kx9",
        b"3kx9-",
        b"-12",
        b"12",
        b"3KX9-12",
        b"3kx9-12 ",
        b" 3kx9-12",
        b"3kx9-12\n",
        b"3kx9--12",
        b"3kx9-12.",
        b"3kx9-.12",
        b"3kx9-1a",
        b"3kx9-+1",
        b"Oldest",
        b"oldest ",
        b"0123456789abcdefg-1",
        b"3kx9-12345678901234567890",
        b"3kx9-1.12345678901234567890",
        "3kx9-\u0661".encode(),
        b"\x00",
        b"\xff",
    ],
)
def test_anything_else_is_refused(text: bytes) -> None:
    """A client with a wrong position is told so instead of getting a guess."""
    with pytest.raises(BadPosition) as caught:
        parse_since(text)
    assert caught.value.code == "bad-position"


def test_no_position_of_a_log_is_taken_for_oldest() -> None:
    """The word is told apart from every position by its empty epoch."""
    assert OLDEST.epoch == b""
    assert parse_since(b"0-0") != OLDEST
