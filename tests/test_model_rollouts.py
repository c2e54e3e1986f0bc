"""Messages at a pace, as the manager counts them over its workers."""

from __future__ import annotations

import pytest

from megacomet.model.receipts import Token
from megacomet.model.rollouts import Rollout, Rollouts
from megacomet.wire import frames
from megacomet.wire.frames import Progress


class Link:
    """A link that keeps what is sent."""

    listening = has_room = True

    def __init__(self) -> None:
        self.sent: list[frames.Frame] = []

    def send(self, record: bytes, token: Token | None) -> None:
        self.sent += frames.decode(record)

    def paces(self) -> list[int]:
        """Return the rates that it was told since the last time."""
        sent, self.sent = self.sent, []
        assert {frame.kind for frame in sent} <= {frames.PACE}
        return [frame.number for frame in sent]


class Manager:
    """Two links, and a message that was handed to both."""

    def __init__(self, *begun: Progress) -> None:
        self.changes = 0
        self.links = [Link(), Link()]
        self.rollout = Rollout(self.changed)
        self.rollouts = Rollouts()
        for _ in self.links:
            self.rollout.receipt.handed()
        self.rollout.receipt.reported(0)
        self.rollouts.begin(7, self.rollout)
        for n, progress in enumerate(begun):
            self.tell(n, *progress)
            self.rollout.receipt.reported(0)

    def changed(self) -> None:
        self.changes += 1

    def tell(self, n: int, connections: int, written: int, left: int) -> None:
        record = frames.encode_progress(7, Progress(connections, written, left))
        [frame] = frames.decode(record)
        self.rollouts.told(self.links[n], frame)

    @property
    def figures(self) -> tuple[int, int, int, int]:
        one = self.rollout
        return one.connections, one.written, one.lost, one.left


def test_it_begins_when_all_have_it() -> None:
    """Before every worker has said to how many it is due, nothing is over, and nobody is told of a change."""
    manager = Manager()
    manager.tell(0, 0, 0, 0)
    assert (manager.rollout.is_begun, manager.rollout.is_over, manager.changes) == (False, False, 0)
    manager.tell(1, 5, 0, 5)
    manager.rollout.receipt.reported(0)
    assert not manager.rollout.is_begun
    manager.rollout.receipt.reported(0)
    assert (manager.rollout.is_begun, manager.rollout.is_over, manager.changes) == (True, False, 1)
    assert manager.rollout.receipt.flags == frames.PACED


def test_nobody_has_it() -> None:
    """What is handed to no worker has begun, and is over."""
    changes: list[int] = []
    rollout = Rollout(lambda: changes.append(1))
    rollout.receipt.reported(0)
    assert (rollout.is_over, changes) == (True, [1])


def test_the_last_word_counts() -> None:
    """What workers say is how they stand: said twice it counts once."""
    manager = Manager(Progress(10, 0, 10), Progress(6, 0, 6))
    for _ in range(2):
        manager.tell(0, 10, 4, 5)
    assert manager.figures == (16, 4, 1, 11)
    manager.tell(1, 6, 6, 0)
    manager.tell(0, 10, 9, 0)
    assert manager.figures == (16, 15, 1, 0)
    assert (manager.rollout.is_over, manager.changes) == (True, 3)


def test_a_lost_link() -> None:
    """What was left there is lost; what it had written is not, and a link without it changes nothing."""
    manager = Manager(Progress(10, 0, 10), Progress(6, 0, 6))
    manager.tell(0, 10, 4, 6)
    manager.rollouts.lost(manager.links[0])
    assert (manager.figures, manager.changes) == ((16, 4, 6, 6), 2)
    manager.rollouts.lost(manager.links[0])
    manager.rollouts.lost(Link())
    assert manager.changes == 2


def test_the_rate_is_divided_by_what_is_left() -> None:
    """Each has its part of it, and never nothing; who is done has none, and all have none in a pause."""
    manager = Manager(Progress(300, 0, 300), Progress(100, 0, 100))
    first, second = manager.links
    manager.rollout.pace(1000)
    assert (first.paces(), second.paces()) == ([750_000], [250_000])
    manager.tell(1, 100, 100, 0)
    manager.rollout.pace(1000)
    assert (first.paces(), second.paces()) == ([1_000_000], [])
    manager.rollout.pace(0)
    assert (first.paces(), second.paces()) == ([0], [])


def test_one_among_a_million() -> None:
    """A worker with hardly any gets on, however slowly."""
    manager = Manager(Progress(1_000_000, 0, 1_000_000), Progress(1, 0, 1))
    manager.rollout.pace(1)
    assert [link.paces() for link in manager.links] == [[999], [1]]
    manager.rollout.pace(1_000_000)
    assert manager.links[0].paces()[0] < 2**32


def test_of_what_nobody_wants_to_know() -> None:
    """A word on a message that is over is passed over; what is no word is an error."""
    manager = Manager(Progress(1, 0, 1), Progress(0, 0, 0))
    manager.rollouts.end(7)
    manager.tell(0, 1, 1, 0)
    manager.rollouts.lost(manager.links[0])
    manager.rollout.pace(5)
    assert (manager.figures, manager.links[0].paces()) == ((1, 0, 0, 1), [])
    [frame] = frames.decode(frames.encode(frames.PROGRESS, offset=7, data=b"x"))
    with pytest.raises(ValueError, match="two numbers"):
        manager.rollouts.told(manager.links[0], frame)
