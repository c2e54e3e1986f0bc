"""Many pushes of one sender, published in order: a slice a turn, and none while there is no room."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from twisted.python.failure import Failure

from megacomet.publishing.pushing import SLICE, IPushing

Item = TypeVar("Item")


class Pace(Generic[Item]):
    """What waits to be published, and the turns that it has.

    Attributes:
        items: that wait.
        is_waiting: whether the next of them has to, for its turn, for room or for the one before it.
    """

    def __init__(
        self,
        pushing: IPushing,
        publish: Callable[[Item], bool],
        worked: Callable[[], None],
        failed: Callable[[Failure], None],
        may_go_on: Callable[[], bool] = lambda: True,
    ) -> None:
        """
        Args:
            pushing: says what a turn has, and when there is room.
            publish: publishes one; unless it returns True, `handed` is to be called before the next one has its turn.
            worked: called when as many were published as could be by now.
            failed: takes an error of ours; nothing is published after it.
            may_go_on: tells whether the next one may be published; when it says so again, call `work`.
        """
        self.items: deque[Item] = deque()
        self._pushing = pushing
        self._publish = publish
        self._worked = worked
        self._failed = failed
        self._may_go_on = may_go_on
        self._waits_for_room = self._waits_for_turn = self._waits_for_one = False
        self._working = self._broken = False
        self._left = 0  # publications, of this turn

    @property
    def is_waiting(self) -> bool:
        return self._waits_for_room or self._waits_for_turn or self._waits_for_one or not self._may_go_on()

    def put(self, items: Iterable[Item]) -> None:
        """Publish these as well; after an error of ours they are not kept either."""
        if not self._broken:
            self.items.extend(items)
            self.work()

    def spend(self, publications: int) -> None:
        """The one that is being published is to so many targets, and takes as much of the turn."""
        self._left -= publications - 1

    def handed(self) -> None:
        """The one that was published last cannot be overtaken any more."""
        self._waits_for_one = False
        self.work()

    def work(self) -> None:
        """Publish what is there, as far as a turn goes."""
        if self._working or self._broken:
            return  # what is awaited may be there at once: then this runs already
        self._working = True
        try:
            self._publish_some()
        except Exception:
            self._broken = True
            self.items.clear()
            self._failed(Failure())
            return
        self._working = False
        self._worked()

    def _publish_some(self) -> None:
        items, pressure, publish, may_go_on = self.items, self._pushing.pressure, self._publish, self._may_go_on
        if self.is_waiting:
            return
        self._left = max(SLICE // (self._pushing.batches + 1), 1)
        while self._left > 0:
            if not items or not may_go_on():
                return
            self._left -= 1
            if pressure.full():
                self._waits_for_room = True
                pressure.wait().addCallback(self._room)
                if self._waits_for_room:
                    return
            self._waits_for_one = True
            if publish(items.popleft()):
                self._waits_for_one = False
            elif self._waits_for_one:
                return
        if items and may_go_on():
            self._waits_for_turn = True
            self._pushing.batches += 1
            self._pushing.reactor.callLater(0, self._turn)

    def _room(self, _: None) -> None:
        self._waits_for_room = False
        self.work()

    def _turn(self) -> None:
        self._waits_for_turn = False
        self._pushing.batches -= 1
        self.work()
