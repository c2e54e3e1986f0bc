"""Many pushes of one sender: in order, a slice a turn, and none while there is no room."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import succeed
from twisted.python.failure import Failure

from megacomet.publishing.pace import Pace
from megacomet.publishing.pushing import SLICE
from tests.pushings import FakePushing

#: How one is published: nothing can overtake it then; it said so before it returned; it says so when told to.
AT_ONCE, WITHIN, LATER = "at once", "within", "later"


class Broken(Exception):
    """An error of ours."""


class Line:
    """A pace of numbers.

    Attributes:
        published: in order.
        in_turn: how many since the last turn.
        how: how each is published; `AT_ONCE` unless it is said.
        errors: what failed.
        unhanded: whether the last one can be overtaken.
    """

    def __init__(self, make: Callable[..., Pace[int]] = Pace, pushing: FakePushing | None = None) -> None:
        self.pushing = pushing or FakePushing()
        self.published: list[int] = []
        self.in_turn = 0
        self.how: dict[int, str] = {}
        self.errors: list[Failure] = []
        self.worked = 0
        self.unhanded = False
        self.may = True
        self.count = 0
        self.pace = make(self.pushing, self.publish, self._worked, self.errors.append, lambda: self.may)

    def _worked(self) -> None:
        self.worked += 1

    def publish(self, number: int) -> bool:
        """Publish one."""
        assert not self.unhanded, f"{number} overtakes the one before"
        assert number == len(self.published), f"{number} comes out of its turn"
        assert not self.pushing.pressure.full(), f"{number} has no room"
        self.published.append(number)
        self.in_turn += 1
        how = self.how.get(number, AT_ONCE)
        if how == "broken":
            raise Broken
        if how == WITHIN:
            self.pace.handed()
        self.unhanded = how == LATER
        return how == AT_ONCE

    def put(self, count: int) -> None:
        """Put as many more."""
        self.pace.put(range(self.count, self.count + count))
        self.count += count

    def hand(self) -> None:
        """The last one cannot be overtaken any more."""
        if self.unhanded:
            self.unhanded = False
            self.pace.handed()

    def turn(self) -> None:
        """Let the reactor turn."""
        self.in_turn = 0
        self.pushing.reactor.turn()


def test_at_once() -> None:
    """What there is to publish is published, and nothing waits."""
    line = Line()
    line.put(3)
    assert line.published == [0, 1, 2]
    assert not line.pace.is_waiting
    assert not line.pace.items
    assert line.worked == 1


def test_nothing() -> None:
    """Nothing to publish is no reason to wait."""
    line = Line()
    line.put(0)
    assert (line.published, line.pace.is_waiting, line.worked) == ([], False, 1)


@pytest.mark.parametrize("others", [0, 1, 3, SLICE * 2])
def test_a_slice_a_turn(others: int) -> None:
    """A turn has one slice, of which each that waits for its turn has its part, and never less than one."""
    line = Line()
    line.pushing.batches = others
    part = max(SLICE // (others + 1), 1)
    line.put(part * 3)
    for _ in range(3):
        assert line.in_turn == part
        line.turn()
    assert len(line.published) == part * 3
    assert line.pushing.batches == others


def test_some_take_more_of_a_turn() -> None:
    """Who publishes to several targets says so, and a turn has fewer of them; the largest has one turn all the same."""
    line = Line()
    publish = line.publish

    def spend(number: int) -> bool:
        line.pace.spend(SLICE * 10 if number == 4 else SLICE // 4)
        return publish(number)

    line.pace = Pace(line.pushing, spend, lambda: None, line.errors.append)
    line.put(10)
    taken = []
    for _ in range(4):
        taken.append(line.in_turn)
        line.turn()
    assert taken == [4, 1, 4, 1]


def test_more_comes_while_it_waits_for_its_turn() -> None:
    """Whoever waits for a turn has no other one before it."""
    line = Line()
    line.put(SLICE + 1)
    line.put(SLICE)
    assert line.in_turn == SLICE
    assert line.pace.is_waiting
    line.turn()
    line.turn()
    assert len(line.published) == 2 * SLICE + 1
    assert not line.pace.is_waiting


def test_one_that_can_be_overtaken() -> None:
    """The next one waits until it cannot."""
    line = Line()
    line.how = {1: LATER}
    line.put(3)
    assert line.published == [0, 1]
    assert line.pace.is_waiting
    line.put(1)
    line.turn()
    assert line.published == [0, 1]
    line.hand()
    assert line.published == [0, 1, 2, 3]


def test_handed_within_the_call() -> None:
    """A push that says before it returns that nothing can overtake it stops nothing."""
    line = Line()
    line.how = dict.fromkeys(range(100), WITHIN)
    line.put(100)
    assert len(line.published) == 100
    assert not line.pace.is_waiting


def test_room_at_once() -> None:
    """Room that is there again as soon as somebody asks for it stops nothing."""
    pushing, asked, seen = FakePushing(), count(), list[int]()
    pushing.pressure.full = lambda: next(asked) % 4 == 0  # type: ignore[method-assign]
    pushing.pressure.wait = lambda: succeed(None)  # type: ignore[method-assign]
    pace: Pace[int] = Pace(pushing, lambda number: not seen.append(number), lambda: None, pytest.fail)
    pace.put(range(100))
    assert seen == list(range(100))


def test_no_room() -> None:
    """While there is no room nothing is published; room for a moment is used for a moment."""
    line = Line()
    line.pushing.pressure.is_full = True
    line.put(2)
    assert line.pace.is_waiting
    (waiting,) = line.pushing.pressure.waiting
    line.pushing.pressure.waiting.clear()
    waiting.callback(None)
    assert (line.published, len(line.pushing.pressure.waiting)) == ([], 1)
    line.pushing.pressure.relax()
    assert line.published == [0, 1]


def test_who_may_not_go_on() -> None:
    """Whoever made it may hold it, and lets it go on."""
    line = Line()
    line.may = False
    line.put(2)
    assert (line.published, line.pace.is_waiting) == ([], True)
    line.may = True
    line.pace.work()
    assert (line.published, line.pace.is_waiting) == ([0, 1], False)


@pytest.mark.parametrize("at", [0, 1, SLICE + 1])
def test_an_error_of_ours(at: int) -> None:
    """It is told once, in whichever turn; nothing is published or kept after it."""
    line = Line()
    line.how = {at: "broken"}
    line.put(SLICE + 5)
    line.turn()
    worked = line.worked
    line.put(3)
    line.pace.handed()
    line.pace.work()
    line.turn()
    assert [failure.type for failure in line.errors] == [Broken]
    assert line.published == list(range(at + 1))
    assert (list(line.pace.items), line.worked) == ([], worked)
    assert line.pushing.batches == 0
    assert line.pushing.reactor.getDelayedCalls() == []


# ---------------------------------------------------------------------------------------------------- any behaviour

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(st.sampled_from([AT_ONCE, WITHIN, LATER]), max_size=4)),
        st.tuples(st.just("put"), st.integers(0, SLICE + 50).map(lambda n: [AT_ONCE] * n)),
        st.tuples(st.sampled_from(["turn", "hand", "fill", "relax", "stop", "go on"]), st.just([])),
    ),
    max_size=20,
)


def do(line: Line, action: str, hows: list[str]) -> None:
    """Do one thing to a line."""
    if action == "put":
        line.how.update(enumerate(hows, line.count))
        line.put(len(hows))
    elif action == "turn":
        line.turn()
    elif action == "hand":
        line.hand()
    elif action == "fill":
        line.pushing.pressure.is_full = True
    elif action == "relax":
        line.pushing.pressure.relax()
    else:
        line.may = action == "go on"
        line.pace.work()


def run(actions: list[tuple[str, list[str]]], make: Callable[..., Pace[int]] = Pace) -> None:
    """Do all this to a line, then let it come to its end.

    Raises:
        AssertionError: something was overtaken, lost, or waits for ever, or a slice was too large.
    """
    line = Line(make)
    for action, hows in actions:
        before = len(line.published)
        do(line, action, hows)
        assert len(line.published) - before <= SLICE, "more than a slice"
        assert not line.errors, line.errors
    line.may = True
    line.pushing.pressure.relax()
    line.pace.work()
    for _ in range(len(line.how) + 2):
        line.hand()
        line.turn()
    assert not line.errors, line.errors
    assert len(line.published) == line.count, "somebody waits for ever"
    assert not line.pace.is_waiting
    assert line.pushing.batches == 0
    assert line.pushing.reactor.getDelayedCalls() == []


@given(ACTIONS)
def test_order_is_kept(actions: list[tuple[str, list[str]]]) -> None:
    """Whatever comes when: nothing is overtaken, nothing is lost, nobody waits for ever."""
    run(actions)


class Hasty(Pace[int]):
    """Waits for nobody."""

    def __init__(self, pushing: Any, publish: Callable[[int], bool], *rest: Any) -> None:
        super().__init__(pushing, lambda number: publish(number) or True, *rest)


class Greedy(Pace[int]):
    """Takes the room that there is not."""

    def __init__(self, pushing: FakePushing, *rest: Any) -> None:
        super().__init__(pushing, *rest)
        deaf = FakePushing()
        deaf.reactor = pushing.reactor
        self._pushing = deaf


class Sleepy(Pace[int]):
    """Does not hear that it may go on."""

    def handed(self) -> None:
        pass


@pytest.mark.parametrize("double", [Hasty, Greedy, Sleepy])
def test_the_test_sees(double: Callable[..., Pace[int]]) -> None:
    """One that overtakes, takes room, or waits for ever is caught."""

    def is_caught(actions: list[tuple[str, list[str]]]) -> bool:
        try:
            run(actions, double)
        except AssertionError:
            return True
        return False

    assert find(ACTIONS, is_caught, settings=settings(max_examples=1000, database=None, phases=[Phase.generate]))
