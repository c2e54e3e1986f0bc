"""Deadlines of rows: never early, at most a second late, each told once, whatever lies between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.deadlines import Deadlines

ROWS = 6
ALL = 100


def made(now: float = 1000.0, rows: int = ROWS) -> Deadlines:
    deadlines = Deadlines(now)
    deadlines.grow(rows)
    return deadlines


@pytest.mark.parametrize("seconds", [1, 2, 10, 75, 247, 248, 249, 250, 251, 499, 500, 501, 900])
def test_due_when_its_time_is_over(seconds: int) -> None:
    """A poll that may wait so long is answered in the second after that, not before, and once."""
    deadlines = made()
    deadlines.arm(3, seconds)
    told = [now for now in range(1001, 1000 + 3 * 900) if deadlines.due(now, ALL) == [3]]
    assert told == [1000 + seconds + 1]
    assert not deadlines.is_armed(3)


@pytest.mark.parametrize("seconds", [0, 0.2, 0.9, 1.1])
def test_a_part_of_a_second_counts_as_one(seconds: float) -> None:
    """Deadlines of less than a second still let a second tick."""
    deadlines = made()
    deadlines.arm(0, seconds)
    assert deadlines.due(1000.99, ALL) == []
    assert deadlines.due(1003, ALL) == [0]


def test_disarmed_is_never_due() -> None:
    """A connection that was answered in time has no deadline left, near or far."""
    deadlines = made()
    for row, seconds in enumerate((1, 10, 300, 900)):
        deadlines.arm(row, seconds)
        deadlines.disarm(row)
    assert [deadlines.due(now, ALL) for now in range(1001, 2500)] == [[]] * 1499


def test_armed_anew_counts_from_anew() -> None:
    """The last word counts: a far deadline in place of a near one, and a near one in place of a far one."""
    deadlines = made()
    deadlines.arm(0, 5)
    deadlines.arm(0, 600)
    deadlines.arm(1, 600)
    deadlines.arm(1, 5)
    told = {row: now for now in range(1001, 2000) for row in deadlines.due(now, ALL)}
    assert told == {0: 1601, 1: 1006}


@pytest.mark.parametrize("pause", [2, 100, 249, 250, 251, 1000, 100_000])
def test_after_a_pause_all_that_is_over_is_due(pause: int) -> None:
    """A process that was stopped for a while serves every row whose time is over, and no other."""
    deadlines = made()
    for row, seconds in enumerate((1, 50, 248, 249, 500, 900)):
        deadlines.arm(row, seconds)
    assert sorted(deadlines.due(1000 + pause, ALL)) == [
        row for row, seconds in enumerate((1, 50, 248, 249, 500, 900)) if seconds < pause
    ]
    if pause < 900:
        left = [row for now in range(1001 + pause, 2000) for row in deadlines.due(now, ALL)]
        assert left == [row for row, seconds in enumerate((1, 50, 248, 249, 500, 900)) if seconds >= pause]


def test_many_are_due_in_slices() -> None:
    """20,000 deadlines in one second come in portions; what was disarmed meanwhile is left out."""
    deadlines = made(rows=20_000)
    for row in range(20_000):
        deadlines.arm(row, 10)
    first = deadlines.due(1011, 512)
    assert first == list(range(512))
    deadlines.disarm(600)
    deadlines.arm(601, 10)
    rest = []
    while portion := deadlines.due(1011, 512):
        rest += portion
    assert rest == [row for row in range(512, 20_000) if row not in (600, 601)]
    assert deadlines.due(1021, 512) == []
    assert deadlines.due(1022, 512) == [601]


def test_a_clock_that_goes_back_does_no_harm() -> None:
    """Time that stands still or goes back makes nothing due."""
    deadlines = made()
    deadlines.arm(0, 2)
    assert [deadlines.due(now, ALL) for now in (1002, 1001, 500, 1002.9)] == [[]] * 4
    assert deadlines.due(1003, ALL) == [0]


def test_a_rest_lasts_until_somebody_is_due() -> None:
    """Who counts seconds may leave out those in which nobody is due, and no others."""
    deadlines = made()
    assert deadlines.rest(5) == 5
    deadlines.arm(0, 2)
    deadlines.due(1005, ALL)  # came when the rest was over: counted from there
    assert deadlines.rest(5) == 2
    assert deadlines.due(1007, ALL) == [0]
    deadlines.arm(1, 600)
    deadlines.arm(2, 1)
    assert deadlines.rest(5) == 2
    assert deadlines.due(1008, ALL) == []
    assert deadlines.rest(5) == 1
    assert deadlines.due(1009, ALL) == [2]
    assert deadlines.rest(5) == 5


def test_what_is_armed_in_a_rest_is_not_early() -> None:
    """Nobody has told the second: it counts from the end of the rest, and from now on when that ends early."""
    deadlines = made()
    deadlines.rest(5)
    deadlines.arm(0, 3)  # perhaps at 1004.9
    assert [now for now in range(1001, 1020) if deadlines.due(now, ALL)] == [1008]
    deadlines.rest(5)
    deadlines.due(1020, ALL)  # woken
    deadlines.arm(0, 3)
    assert [now for now in range(1021, 1040) if deadlines.due(now, ALL)] == [1024]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("arm"), st.integers(0, ROWS - 1), st.integers(0, 900)),
        st.tuples(st.just("disarm"), st.integers(0, ROWS - 1), st.just(0)),
        st.tuples(st.just("pass"), st.integers(1, 3), st.integers(1, 400)),
    ),
    max_size=40,
)


@given(steps)
def test_as_a_dict_of_times_would_say(todo: list[tuple[str, int, int]]) -> None:
    """Whatever is armed, disarmed and slept through, rows are due exactly when a plain dict of times says so."""
    deadlines, now, times = made(), 1000, {}
    for what, one, other in todo:
        if what == "arm":
            deadlines.arm(one, other)
            times[one] = now + other + 1
        elif what == "disarm":
            deadlines.disarm(one)
            times.pop(one, None)
        else:
            now += other
            due: list[int] = []
            while portion := deadlines.due(now, one):
                due += portion
            assert sorted(due) == sorted(row for row, time in times.items() if time <= now)
            times = {row: time for row, time in times.items() if time > now}
        assert [deadlines.is_armed(row) for row in range(ROWS)] == [row in times for row in range(ROWS)]
