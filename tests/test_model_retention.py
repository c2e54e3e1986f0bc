"""Rows, the wheel, the order of age, and the shelf that puts them together."""

from __future__ import annotations

from collections import deque
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.model.gaps import Gaps
from megacomet.model.history import History
from megacomet.model.retention import HORIZON_S, LONG_ROW, Age, Kept, Row, Wheel, row_cost
from megacomet.model.store import Retention

T0 = 1000.0


def row_with(*deadlines: float) -> Row:
    """Return a row with messages 10, 20, 30... that run out at these times."""
    row = Row(b"a", 0)
    for offset, deadline in enumerate(deadlines, 1):
        row.add(Kept(10 * offset, b"12", deadline, 0, row))
        row.soonest = min(row.soonest, deadline)
    return row


def offsets(messages: object) -> list[int]:
    """Return the offsets of messages."""
    return [kept.offset for kept in messages]


# -- rows


@pytest.mark.parametrize("count", [1, 3, LONG_ROW, LONG_ROW + 1, 3 * LONG_ROW])
def test_a_row_is_read_from_any_place(count: int) -> None:
    """Whatever its length, a row finds what stands after an offset, and a message by its own."""
    row = row_with(*[5.0] * count)
    assert isinstance(row.messages, list if count <= LONG_ROW else deque)
    every = list(range(10, 10 * count + 1, 10))
    for offset in (0, 9, 10, 15, 10 * count - 1, 10 * count, 10 * count + 1):
        after = [o for o in every if o > offset]
        assert offsets(row.after(offset, count)) == after
        assert offsets(row.after(offset, 2)) == after[:2]
        found = row.find(offset)
        assert (found.offset if found else None) == (offset if offset in every else None)
    assert row.data_bytes == 2 * count


@given(st.lists(st.integers(1, 20), min_size=1, max_size=30), st.integers(0, 21))
def test_a_row_lets_go_exactly_what_ran_out(deadlines: list[int], now: int) -> None:
    """In order or not, and it knows when to look again."""
    row = row_with(*map(float, deadlines))
    gone = row.take_run_out(now)
    assert offsets(gone) == [10 * i for i, d in enumerate(deadlines, 1) if d <= now]
    left = [d for d in deadlines if d > now]
    assert [kept.deadline for kept in row.messages] == left
    assert row.soonest == min(left, default=inf)
    assert row.data_bytes == 2 * len(left)


@pytest.mark.parametrize("count", [5, 2 * LONG_ROW])
def test_a_message_is_removed_from_any_place(count: int) -> None:
    """The first, one in the middle and the last."""
    row = row_with(*[5.0] * count)
    for kept in (row.messages[0], row.messages[count // 2], row.messages[-1]):
        row.remove(kept)
        assert row.find(kept.offset) is None
    assert len(row.messages) == count - 3
    assert row.data_bytes == 2 * (count - 3)


# -- the wheel


def test_a_row_comes_up_in_the_second_after_its_soonest_message() -> None:
    """Never before, so that one look is enough."""
    wheel, row = Wheel(), row_with(T0 + 5.3)
    wheel.arm(row, T0)
    assert wheel.pop(T0 + 5.9) is None
    assert wheel.pop(T0 + 6) is row
    assert wheel.pop(T0 + 99) is None


def test_a_row_is_on_the_wheel_once() -> None:
    """An earlier message brings it forward, a later one leaves it where it is."""
    wheel, row = Wheel(), row_with(T0 + 50)
    wheel.arm(row, T0)
    row.soonest = T0 + 10
    wheel.arm(row, T0)
    row.soonest = T0 + 30
    wheel.arm(row, T0)
    assert wheel.pop(T0 + 10) is row
    assert wheel.pop(T0 + 60) is None


def test_a_row_may_be_taken_off_the_wheel() -> None:
    """A row that is dropped is never looked at again, and taking it off twice is no harm."""
    wheel, row, other = Wheel(), row_with(T0 + 5), row_with(T0 + 5)
    wheel.arm(row, T0)
    wheel.arm(other, T0)
    wheel.disarm(row)
    wheel.disarm(row)
    assert wheel.pop(T0 + 5) is other
    assert wheel.pop(T0 + 5) is None


def test_rows_come_up_from_the_earliest_second_on() -> None:
    """Also when the earliest was armed last, and after an empty time."""
    wheel = Wheel()
    rows = {after: row_with(T0 + after) for after in (7, 3, 5)}
    for row in rows.values():
        wheel.arm(row, T0)
    assert [wheel.pop(T0 + 5) for _ in range(3)] == [rows[3], rows[5], None]
    early = row_with(T0 + 6)
    wheel.arm(early, T0 + 5)
    assert [wheel.pop(T0 + 1e6) for _ in range(3)] == [early, rows[7], None]
    wheel.arm(rows[3], T0)
    assert wheel.pop(T0 + 3) is rows[3]


def test_the_wheel_looks_no_further_than_its_horizon() -> None:
    """The number of its seconds is bounded, so rows that live for weeks are looked at on the way."""
    wheel, row = Wheel(), row_with(T0 + 10 * HORIZON_S)
    wheel.arm(row, T0)
    assert wheel.pop(T0 + HORIZON_S - 1) is None
    assert wheel.pop(T0 + HORIZON_S) is row


# -- age


def test_the_oldest_is_the_first_that_is_still_kept() -> None:
    """Messages that were dropped otherwise are passed over."""
    age, row = Age(), row_with(*[5.0] * 4)
    messages = list(row.messages)
    assert age.oldest() is None
    for kept in messages:
        age.add(kept)
    for gone in (messages[1], messages[0]):
        gone.row = None
        age.dropped()
    assert age.oldest() is messages[2]
    assert len(age) == 2


@given(st.integers(1, 400), st.randoms(use_true_random=False))
def test_what_was_dropped_does_not_pile_up(count: int, random: object) -> None:
    """At least half of what is remembered is kept, or it is little."""
    age, row = Age(), row_with(*[5.0] * count)
    messages = list(row.messages)
    for kept in messages:
        age.add(kept)
    left = list(messages)
    random.shuffle(messages)
    for kept in messages:
        kept.row = None
        left.remove(kept)
        age.dropped()
        assert len(age) == len(left)
        assert len(age._messages) <= 2 * len(left) + 65
        assert age.oldest() is (left[0] if left else None)


# -- the shelf


def test_a_row_that_goes_leaves_what_it_lost_behind() -> None:
    """And the next row of the channel takes it over."""
    gaps = Gaps()
    shelf = History(gaps)
    shelf.keep(1, b"a", b"1", 5, False, T0)
    assert shelf.expire(T0 + 5, 10)
    assert (len(shelf.rows), shelf.bytes, shelf.messages) == (0, 0, 0)
    assert gaps.lost(b"a") == 1
    shelf.keep(2, b"a", b"1", 4, True, T0 + 5)
    row = shelf.row(b"a", T0 + 5)
    assert row is not None
    assert row.lost == 1
    assert shelf.row(b"a", T0 + 9) is None
    assert gaps.lost(b"a") == 1


def test_a_loss_is_remembered_by_the_row_or_by_the_buckets() -> None:
    """Wherever a reader of the channel looks."""
    gaps = Gaps()
    shelf = History(gaps)
    shelf.lose(b"a", 1)
    assert gaps.lost(b"a") == 1
    shelf.keep(2, b"a", b"1", 5, False, T0)
    shelf.lose(b"a", 3)
    assert (shelf.rows[b"a"].lost, gaps.lost(b"a")) == (3, 1)


def test_expiry_stops_when_its_work_is_done() -> None:
    """It tells whether more is left, and does not begin a row beyond its share."""
    shelf = History(Gaps())
    for i in range(10):
        shelf.keep(i + 1, b"%d" % i, b"1", 5, False, T0)
    assert not shelf.expire(T0 + 5, 8)
    assert shelf.messages == 6
    assert shelf.expire(T0 + 5, 100)
    assert shelf.messages == 0


def test_a_trimmed_row_stays_for_the_message_that_it_was_trimmed_for() -> None:
    """A channel that keeps one message does not lose its row with each."""
    shelf = History(Gaps())
    kept = shelf.keep(1, b"a", b"1", 5, False, T0)
    row = kept.row
    assert row is not None
    shelf.trim(row, b"2", Retention(5, 1), T0)
    assert (kept.row, kept.data) == (None, b"")
    assert shelf.bytes == row_cost(b"a")
    assert shelf.keep(2, b"a", b"2", 5, False, T0).row is row
    assert row.lost == 1
