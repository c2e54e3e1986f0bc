"""Each message once and in order, whatever connections repeat, and however channels come and go."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.client.feed import REMEMBERED, Feed, Seen
from megacomet.client.items import Gap, Item, Message
from megacomet.client.objects import Gone, Lost, Position
from megacomet.client.shelf import MOST_HELD, MOST_HELD_BYTES, Shelf


def message(n: int, channel: str = "a") -> Message:
    """A message with a position."""
    return Message(channel, f"e-{n}", n)


class World:
    """A feed and its shelf."""

    def __init__(self, since: str = "e-0") -> None:
        self.shelf = Shelf(since)
        self.feed = Feed(since, self.shelf)

    def come(self, *numbers: int, channel: str = "a") -> None:
        """Messages come."""
        for n in numbers:
            self.feed.message(message(n, channel), 10)

    def taken(self) -> list[Item]:
        """Take everything that is there."""
        return list(iter(self.shelf.take, None))

    def numbers(self) -> list[int]:
        """The same, of messages only."""
        return [item.data for item in self.taken() if isinstance(item, Message)]


@pytest.fixture
def world() -> World:
    """A feed that begins at e-0."""
    return World()


def test_the_cursor_is_what_came_last(world: World) -> None:
    """Where to come back to is the last id or position, taken or not, and may go back: a mailbox has older ones."""
    world.come(5)
    assert world.feed.cursor == "e-5"
    world.feed.position("e-9")
    assert world.feed.cursor == "e-9"
    world.come(3, channel="@sue")
    world.feed.position("e-9")
    assert (world.feed.cursor, world.shelf.position) == ("e-9", "e-0")
    assert world.numbers() == [5, 3]
    assert world.shelf.position == "e-9"


def test_repeated(world: World) -> None:
    """What was told is not told again, by its id."""
    world.come(1, 2, 1, 2, 3)
    assert world.numbers() == [1, 2, 3]


def test_remembered() -> None:
    """At least so many ids are remembered, and at most twice as many."""
    seen = Seen()
    for n in range(3 * REMEMBERED):
        assert seen.is_new(str(n))
    assert not any(seen.is_new(str(n)) for n in range(2 * REMEMBERED, 3 * REMEMBERED))
    assert seen.is_new("0")


def test_a_long_overlap(world: World) -> None:
    """A busy channel while another connection is opened: however much that one repeats, nothing is told twice."""
    many = range(1, 4 * REMEMBERED)
    world.come(0)
    world.feed.overlap()
    world.come(*many)
    world.feed.switched()
    world.feed.position("e-0")
    world.come(*many, 5 * REMEMBERED)
    assert world.numbers() == [0, *many, 5 * REMEMBERED]


def test_a_position_that_is_empty(world: World) -> None:
    """It takes nothing back: where the client would come back to is where it was."""
    world.feed.position("e-9")
    world.feed.position("")
    assert world.feed.cursor == "e-9"


def test_the_position_does_not_go_back_in_an_overlap(world: World) -> None:
    """What a program would resume from stays behind what it has taken, while the new connection repeats."""
    world.feed.overlap()
    world.come(1, 2)
    assert world.numbers() == [1, 2]
    world.feed.switched()
    world.feed.position("e-0")
    assert (world.shelf.position, world.feed.cursor) == ("e-2", "e-0")
    world.come(1, 2)
    assert (world.numbers(), world.shelf.position) == ([], "e-2")
    world.feed.position("e-7")
    world.feed.position("e-8")
    assert world.shelf.position == "e-8"


def test_an_overlap_that_came_to_nothing(world: World) -> None:
    """The other connection did not open: as before."""
    world.feed.overlap()
    world.come(1)
    world.feed.stayed()
    world.feed.position("e-4")
    world.taken()
    assert world.shelf.position == "e-4"


def test_gaps(world: World) -> None:
    """A gap is told in its place, with its position."""
    world.come(1)
    world.feed.gap(Lost("a", "e-5"))
    world.come(6)
    world.feed.gap(Gone(("a", "*"), "e-8"))
    assert world.taken() == [message(1), Gap(("a",), "e-5"), message(6), Gap(("a", "*"), "e-8")]
    assert (world.feed.cursor, world.shelf.position) == ("e-8", "e-8")


def test_a_gap_without_a_position(world: World) -> None:
    """Of a poll's gap with messages behind it: who has taken the gap only, resumes before the messages."""
    world.feed.gap(Gone(("a",), ""))
    world.come(6)
    world.feed.position("e-6")
    assert (world.shelf.take(), world.shelf.position) == (Gap(("a",), ""), "e-0")
    assert (world.numbers(), world.shelf.position) == ([6], "e-6")


def test_a_channel_that_was_left(world: World) -> None:
    """What waits of it and what still comes is dropped, gaps too; the position goes on."""
    world.come(1, channel="b")
    world.come(2)
    world.feed.leave("b")
    world.come(3, channel="b")
    world.feed.gap(Lost("b", "e-4"))
    assert (world.numbers(), world.shelf.position) == ([2], "e-4")


def test_catching_up(world: World) -> None:
    """What was missed comes first, then what came live in the meantime, once; other channels go on."""
    world.feed.hold("b")
    world.come(11, channel="b")
    world.come(12)
    assert world.feed.caught([Gone(("b",), "e-3"), message(4, "b"), message(11, "b"), Position("e-11")], 99) == {"b"}
    world.come(13, channel="b")
    world.feed.release("b")
    world.come(14, channel="b")
    assert world.taken() == [
        message(12),
        Gap(("b",), "e-3"),
        message(4, "b"),
        message(11, "b"),
        message(13, "b"),
        message(14, "b"),
    ]


def test_the_position_while_catching_up(world: World) -> None:
    """Who stops in the middle does not lose what waits: the position stays until all of it is told."""
    world.come(10)
    world.feed.hold("b")
    world.come(11, channel="b")
    world.come(12)
    world.feed.position("e-20")
    assert (world.numbers(), world.shelf.position, world.feed.cursor) == ([10, 12], "e-10", "e-20")
    world.feed.release("b")
    assert (world.numbers(), world.shelf.position) == ([11], "e-20")


def test_caught_up(world: World) -> None:
    """What was missed is complete where it reaches what waits, of each channel by itself; and where it ends."""
    for channel in ("b", "c"):
        world.feed.hold(channel)
    world.come(11, channel="b")
    assert world.feed.caught([message(4, "b"), message(5, "c"), Position("e-5")], 10) == set()
    assert world.feed.caught([message(11, "b"), message(12, "c"), Position("e-12")], 10) == {"b"}
    assert world.feed.caught([Gone(("c",), "e-12"), Position("e-12")], 10) is None


def test_leaving_while_catching_up(world: World) -> None:
    """A channel that is left before it was caught up is forgotten."""
    world.feed.hold("b")
    world.come(11, channel="b")
    world.feed.leave("b")
    world.feed.caught([message(4, "b"), Position("e-4")], 10)
    world.feed.release("b")
    assert (world.numbers(), world.shelf.position) == ([], "e-11")


@pytest.mark.parametrize("size", [10, MOST_HELD_BYTES])
def test_what_waits_is_bounded(world: World, size: int) -> None:
    """Many live messages behind a slow catching up count as what is held, and so do large ones."""
    world.feed.hold("b")
    for n in range(1, MOST_HELD + 2) if size < MOST_HELD_BYTES else range(1, 3):
        assert not world.feed.is_full
        world.feed.message(message(n, "b"), size)
    assert world.feed.is_full
    assert not world.feed.has_room
    world.feed.release("b")
    world.taken()
    assert world.feed.has_room


@given(st.lists(st.sampled_from(["publish", "break", "beside", "switch", "fail", "take"]), max_size=60), st.data())
def test_nothing_lost_nothing_twice(steps: Sequence[str], data: st.DataObject) -> None:
    """Connections break, overlap and repeat as they like: the program has each message once, in order; and who resumes
    from its position at any time misses none."""
    world, log, taken = World(), 0, []
    at, beside = 0, -1  # where the connection and the one beside it stand

    def bring(to: int) -> None:
        nonlocal at
        world.come(*range(at + 1, to + 1))
        at = to

    for step in [*steps, "all"]:
        if step == "publish":
            log += 1
        elif step == "break":
            if beside >= 0:
                world.feed.stayed()
            at, beside = int(world.feed.cursor.partition("-")[2]), -1
            world.feed.position(f"e-{at}")
        elif step == "beside" and beside < 0:
            world.feed.overlap()
            beside = int(world.feed.cursor.partition("-")[2])
        elif step == "switch" and beside >= 0:
            world.feed.switched()
            world.feed.position(f"e-{beside}")
            at, beside = beside, -1
        elif step == "fail" and beside >= 0:
            world.feed.stayed()
            beside = -1
        elif step == "take":
            taken += world.numbers()
        bring(log if step == "all" else data.draw(st.integers(min(at, log), log)))
        assert int(world.shelf.position.partition("-")[2]) <= (taken[-1] if taken else 0)
    assert taken + world.numbers() == list(range(1, log + 1))
