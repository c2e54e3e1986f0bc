"""What is due to rows: order, once, and a few at a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.model.due import WINDOW, Due, Fanout, marks
from megacomet.model.entries import Entry
from megacomet.model.results import NO_RESULT


def entry(offset: int) -> Entry:
    return Entry(0, b"a", b"e-%d" % offset, b"1", offset, NO_RESULT)


def fanout(offset: int, *rows: int, size: int = 300) -> Fanout:
    return Fanout(entry(offset), marks(rows, size))


def offsets(entries: list[Entry] | tuple[Entry, ...]) -> list[int]:
    return [each.offset for each in entries]


def test_marks() -> None:
    """A byte a row."""
    assert marks([1, 3], 5) == b"\0\1\0\1\0"
    assert marks([], 0) == b""


@given(st.sets(st.integers(0, 299)), st.integers(1, 100))
def test_a_fanout_takes_each_row_once(rows: set[int], window: int) -> None:
    """In order, within a window, and then it is done."""
    one = fanout(1, *rows)
    taken: list[int] = []
    while fds := one.take(window):
        assert fds[-1] - fds[0] < window
        assert not any(one.is_due(fd) for fd in fds)
        taken += fds
    assert taken == sorted(rows)
    assert one.take(window) == []


def test_a_fanout_does_not_know_rows_that_came_later() -> None:
    """A row beyond its table is not due; one that is marked is."""
    one = fanout(1, 2, size=3)
    assert [one.is_due(fd) for fd in (1, 2, 3, 400)] == [False, True, False, False]
    assert one.take(WINDOW) == [2]


def test_few() -> None:
    """Messages to few rows, in the order in which they were given, taken once."""
    due = Due()
    for n in (1, 2):
        due.give(3, (entry(n),))
    assert (due.is_any(3), due.is_any(4), offsets(due.to(3))) == (True, False, [1, 2])
    assert offsets(due.take(3)) == [1, 2]
    assert (due.take(3), due.is_any(3), due.to(3)) == ((), False, [])


def test_fanouts_and_few() -> None:
    """What is due to a row of both is put in order, and its marks are wiped, others' are not."""
    due = Due()
    due.begin(fanout(2, 3, 4))
    due.begin(fanout(6, 3))
    for n in (1, 4):
        due.give(3, (entry(n),))
    assert offsets(due.to(3)) == [1, 2, 4, 6]
    assert offsets(due.take(3)) == [1, 2, 4, 6]
    assert (due.is_any(3), due.is_any(4)) == (False, True)
    assert [one.take() for one in due.fanouts] == [[4], []]


@pytest.mark.parametrize("fd", [3, 500])
def test_leaving(fd: int) -> None:
    """A row that is free is due nothing, also one that the fan-outs do not know."""
    due = Due()
    due.begin(fanout(2, 3))
    due.give(fd, (entry(4),))
    due.leave(fd)
    due.leave(fd)
    assert (due.is_any(fd), due.to(fd)) == (False, [])


def test_clear() -> None:
    """All is forgotten."""
    due = Due()
    due.begin(fanout(2, 3))
    due.give(4, (entry(4),))
    due.clear()
    assert (due.is_any(3), due.is_any(4), list(due.fanouts)) == (False, False, [])
