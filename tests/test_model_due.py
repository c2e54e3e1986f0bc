"""What is due to rows: order, once, and a few at a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from megacomet.model.due import WINDOW, Due, Fanout, Paced, marks
from megacomet.model.entries import Entry
from megacomet.model.results import NO_RESULT, Result


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


def paced(offset: int, *rows: int, size: int = 300) -> Paced:
    own = replace(entry(offset), result=Result(0, counts={0: 0}))
    return Paced(own, marks(rows, size), connections=len(rows))


def test_what_is_paced_waits() -> None:
    """It goes with what is newer, and else only when all is asked for."""
    due = Due()
    due.paced += [paced(2, 3, 4), paced(6, 3)]
    assert (due.is_any(3), due.is_paced(3), due.is_paced(5)) == (False, True, False)
    assert (offsets(due.to(3)), due.stands_at(3, 9), due.stands_at(5, 9)) == ([2, 6], 1, 9)
    assert due.take(3, whole=False) == ()
    due.begin(fanout(4, 3))
    due.give(3, (entry(1),))
    assert due.is_any(3)
    assert offsets(due.take(3, whole=False)) == [1, 2, 4]
    assert (due.is_any(3), due.stands_at(3, 9)) == (False, 5)
    assert offsets(due.take(3)) == [6]
    assert offsets(due.to(4)) == [2]


def test_who_is_behind() -> None:
    """Those rows to which something older is due that is paced."""
    due = Due()
    due.paced += [paced(2, 3, 4), paced(6, 5)]
    assert due.behind([3, 4, 5], 6) == [3, 4]
    assert due.behind([3, 5, 500], 7) == [3, 5]
    assert due.behind([3], 2) == []


def test_what_is_paced_is_found_and_left() -> None:
    """By its offset, until it is over; a row that is free is due nothing of it."""
    due = Due()
    one = paced(2, 3, 4)
    due.paced.append(one)
    assert (due.find_paced(2), due.find_paced(3)) == (one, None)
    due.leave(3)
    due.leave(500)
    assert (one.left, one.written, one.connections) == (1, 0, 2)
    one.entry.result.written(0)
    assert one.written == 1
    due.clear()
    assert due.find_paced(2) is None


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
