"""Messages that are paced, as the manager sees them: how far each worker is, and how fast it may go on.

Theory of operation. Such a message is published as any other, with the receipt of a `Rollout`. Each worker that it was
handed to says to how many connections it is due there, and from then on how many it was written to and how many are
left (`spreading`). What it says is a state, not a difference: the last word of each link counts, and nothing counts
twice. When a link is lost, what was left there is lost too, as far as this message goes: who is still connected to that
worker, or comes back to another, reads it from the log.

The rate of a message is divided among the workers by what is left at each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from megacomet.model.receipts import Receipt
from megacomet.model.ways import ILink
from megacomet.wire import frames

_NOTHING: Final = frames.Progress(0, 0, 0)


class _Handed(Receipt):
    """Has a message paced, and knows when all workers have it."""

    __slots__ = ()

    flags = frames.PACED


class Rollout:
    """One message that is paced.

    Attributes:
        receipt: to be published with it.
        offset: of the message, 0 while it is not known.
        is_begun: whether all workers have it.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        """`changed` is called when all workers have it, and when one is done with it, or gone."""
        self.receipt: Receipt = _Handed(self._all_have_it)
        self.offset = 0
        self.is_begun = False
        self._parts: dict[ILink | None, frames.Progress] = {}
        self._changed = changed

    def _all_have_it(self, _: int) -> None:
        self.is_begun = True
        self._changed()

    @property
    def connections(self) -> int:
        """How many it was due to at its beginning, as far as it is known."""
        return sum(part.connections for part in self._parts.values())

    @property
    def written(self) -> int:
        """How many it was written to."""
        return sum(part.written for part in self._parts.values())

    @property
    def left(self) -> int:
        """How many it is still due to."""
        return sum(part.left for part in self._parts.values())

    @property
    def lost(self) -> int:
        """How many were gone before their turn."""
        return self.connections - self.written - self.left

    @property
    def is_over(self) -> bool:
        """Whether all workers are done with it."""
        return self.is_begun and not self.left

    def told(self, link: ILink, progress: frames.Progress) -> None:
        """A worker says how far it is."""
        self._parts[link] = progress
        if not progress.left and self.is_begun:
            self._changed()

    def link_lost(self, link: ILink) -> None:
        """A worker will say nothing more."""
        part = self._parts.get(link, _NOTHING)
        if part.left:
            self._parts[link] = part._replace(left=0)
            self._changed()

    def pace(self, per_s: int) -> None:
        """Have the workers go on at so many connections a second together; 0: pause."""
        left = self.left
        for link, part in self._parts.items():
            if link is not None and part.left:
                number = max(1, per_s * frames.PACE_S * part.left // left) if per_s else 0
                link.send(frames.encode(frames.PACE, number=number, offset=self.offset), None)

    def close(self) -> None:
        """It is over: keep the figures, and no links."""
        self._parts = {None: frames.Progress(self.connections, self.written, self.left)}


class Rollouts:
    """Those of a router that are not over."""

    def __init__(self) -> None:
        self._of: dict[int, Rollout] = {}

    def begin(self, offset: int, rollout: Rollout) -> None:
        """A message that was published with this one's receipt has that offset."""
        rollout.offset = offset
        self._of[offset] = rollout

    def end(self, offset: int) -> None:
        """Nobody wants to know of a message any more."""
        self._of.pop(offset).close()

    def told(self, link: ILink, frame: frames.Frame) -> None:
        """A worker sent a PROGRESS record; of one that nobody wants to know of it says nothing new.

        Raises:
            ValueError: it is none.
        """
        progress = frames.decode_progress(frame)
        rollout = self._of.get(frame.offset)
        if rollout is not None:
            rollout.told(link, progress)

    def lost(self, link: ILink) -> None:
        """A link is lost."""
        for rollout in tuple(self._of.values()):
            rollout.link_lost(link)
