"""What has come and was not taken: bounds, and the position of whoever takes."""

from __future__ import annotations

from megacomet.client.items import Gap, Message
from megacomet.client.shelf import MOST_HELD, MOST_HELD_BYTES, Shelf


def message(n: int, channel: str = "a") -> Message:
    """A message with a position."""
    return Message(channel, f"e-{n}", n)


def test_in_order() -> None:
    """What was put first is taken first, and the position follows what was taken, not what has come."""
    shelf = Shelf("e-0")
    shelf.put(message(1), 10, "e-1")
    shelf.put(message(2), 10, "e-2")
    assert shelf.position == "e-0"
    assert (shelf.take(), shelf.position) == (message(1), "e-1")
    assert (shelf.take(), shelf.position) == (message(2), "e-2")
    assert (shelf.take(), shelf.position) == (None, "e-2")


def test_positions_in_between() -> None:
    """A position behind what waits is reached with it, and at once where nothing waits."""
    shelf = Shelf("")
    shelf.stand("e-5")
    assert shelf.position == "e-5"
    shelf.put(message(6), 10, "e-6")
    shelf.stand("e-9")
    assert shelf.position == "e-5"
    shelf.take()
    assert shelf.position == "e-9"


def test_without_a_position() -> None:
    """What comes from before leaves the position as it is."""
    shelf = Shelf("e-5")
    shelf.put(message(1), 10, "")
    assert (shelf.take(), shelf.position) == (message(1), "e-5")


def test_full_by_number() -> None:
    """A slow program is not given more than so many messages to hold, and is given more when there is room for many."""
    shelf = Shelf("")
    for n in range(MOST_HELD):
        assert not shelf.is_full
        shelf.put(message(n), 1, f"e-{n}")
    assert shelf.is_full
    while not shelf.has_room:
        assert shelf.take() is not None
    assert (len(shelf), shelf.is_full) == (MOST_HELD // 4, False)


def test_full_by_bytes() -> None:
    """The same by bytes: a message of 1 MB is enough."""
    shelf = Shelf("")
    shelf.put(message(1), MOST_HELD_BYTES, "e-1")
    assert shelf.is_full
    shelf.take()
    assert shelf.has_room


def test_dropping_a_channel() -> None:
    """Messages of a channel that was left are gone, gaps and other channels stay, the position goes on."""
    shelf = Shelf("e-0")
    gap = Gap(("b",), "e-2")
    for n, item in enumerate([message(1, "b"), gap, message(3), message(4, "b"), message(5, "b")], 1):
        shelf.put(item, 10, f"e-{n}")
    shelf.drop("b")
    assert shelf.position == "e-1"
    assert [shelf.take(), shelf.position] == [gap, "e-2"]
    assert [shelf.take(), shelf.position] == [message(3), "e-5"]
    assert (shelf.take(), shelf.has_room) == (None, True)
