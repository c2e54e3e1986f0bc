"""What is told on, of all that comes: each message once, in the order of its channel, with one position for all.

Theory of operation. The newest id or position that came is where the client comes back to (`cursor`). Two connections
overlap while one takes the other's place, and a server may repeat what it cannot know to have arrived: what was told is
known by its id. A channel that is added with a position of its own is caught up by polls; its live messages wait until
that is done (`hold`, `caught`, `release`). Knows no transport and no clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from megacomet.client.items import Gap, Message
from megacomet.client.objects import Gone, Lost, Position
from megacomet.client.shelf import MOST_HELD, MOST_HELD_BYTES, Shelf

#: So many ids are remembered at least, at most twice as many.
REMEMBERED: Final = 2000


class Seen:
    """The ids of what was told, in two generations: the older one goes when the younger is full."""

    def __init__(self) -> None:
        self._young: set[str] = set()
        self._old: set[str] = set()
        self._keeps_all = False

    def is_new(self, id_: str) -> bool:
        """Note an id; tell whether it is a new one."""
        if id_ in self._young or id_ in self._old:
            return False
        self._young.add(id_)
        if len(self._young) >= REMEMBERED and not self._keeps_all:
            self._old, self._young = self._young, set()
        return True

    def keep_all(self, *, keeps: bool) -> None:
        """Forget nothing, as long as what comes may repeat what came in the meantime; or forget as usual."""
        self._keeps_all = keeps


class Feed:
    """Everything that one listening is told.

    Attributes:
        cursor: where to come back to; "" before anything is known.
        shelf: where it is put.
        left: channels that are not heard any more; what still comes of them is dropped.
    """

    def __init__(self, since: str, shelf: Shelf) -> None:
        self.cursor = since
        self.shelf = shelf
        self.left: set[str] = set()
        self._seen = Seen()
        self._may_repeat = False
        self._is_complete = False  # nothing has come since the last position
        self._waiting: dict[str, dict[str, tuple[Message, int]]] = {}  # by channel and id

    @property
    def is_full(self) -> bool:
        """Whether nothing more is to be read."""
        return self.shelf.is_full or self._too_many_wait

    @property
    def has_room(self) -> bool:
        """Whether it is worth reading again."""
        return self.shelf.has_room and not self._too_many_wait

    @property
    def _too_many_wait(self) -> bool:
        if not self._waiting:
            return False
        sizes = [size for waiting in self._waiting.values() for _, size in waiting.values()]
        return len(sizes) > MOST_HELD or sum(sizes) > MOST_HELD_BYTES

    def message(self, message: Message, size: int) -> None:
        """Take a message, of so many bytes."""
        self.cursor = id_ = message.id
        self._is_complete = False
        if self._waiting:
            self._take_beside(message, size)
        elif self._seen.is_new(id_):
            if self._may_repeat:
                self.stayed()
            if message.channel in self.left:
                self.shelf.stand(id_)
            else:
                self.shelf.put(message, size, id_)

    def _take_beside(self, message: Message, size: int) -> None:
        """Take a message while a channel is caught up: the program's position stays before all that waits."""
        if message.channel in self._waiting:
            self._waiting[message.channel].setdefault(message.id, (message, size))
        elif self._seen.is_new(message.id) and message.channel not in self.left:
            self.shelf.put(message, size, "")

    def position(self, position: str) -> None:
        """Take a position; an empty one is none."""
        self.cursor = position or self.cursor
        if self._may_repeat and self._is_complete:
            self.stayed()
        self._is_complete = True
        self._stand()

    def gap(self, lost: Lost | Gone) -> None:
        """Take a gap; without a position of its own the client stands where it stood."""
        channels = (lost.channel,) if isinstance(lost, Lost) else lost.channels
        told = tuple(channel for channel in channels if channel not in self.left)
        if told:
            self.shelf.put(Gap(told, lost.position), 0, "")
        if lost.position:
            self.cursor = lost.position
            self._stand()

    def _stand(self) -> None:
        """Give the program the cursor as its position, unless the cursor is behind what it was told."""
        if self.cursor and not self._may_repeat and not self._waiting:
            self.shelf.stand(self.cursor)

    # -- two connections at once

    def overlap(self) -> None:
        """Prepare for another connection, which begins at the cursor while this one goes on."""
        self._seen.keep_all(keeps=True)

    def switched(self) -> None:
        """Note that the other one has taken its place.

        It may repeat what came while it was opened, until a message is new, or a position follows a position.
        """
        self._may_repeat, self._is_complete = True, False

    def stayed(self) -> None:
        """Note that nothing will be repeated."""
        self._may_repeat = False
        self._seen.keep_all(keeps=False)

    # -- channels with a position of their own

    def hold(self, channel: str) -> None:
        """Let live messages of a channel wait for what was before."""
        self._waiting.setdefault(channel, {})

    def caught(self, values: Iterable[Message | Gone | Position], size: int) -> set[str] | None:
        """Take what was missed of channels that are held; return those of which it has reached what waits.

        They are complete, while a busy channel always has more to be fetched. None: nothing more came, all are.

        Args:
            values: of one answer.
            size: its bytes.
        """
        reached: set[str] = set()
        is_all = True
        for value in values:
            if isinstance(value, Message):
                is_all = False
                if value.id in self._waiting.get(value.channel, ()):
                    reached.add(value.channel)
                if self._seen.is_new(value.id) and value.channel not in self.left:
                    self.shelf.put(value, size, "")
                    size = 0
            elif isinstance(value, Gone):
                self.shelf.put(Gap(value.channels, value.position), 0, "")
        return None if is_all else reached

    def leave(self, channel: str) -> None:
        """Drop what is there of a channel, and what comes of it."""
        self.left.add(channel)
        self._waiting.pop(channel, None)
        self.shelf.drop(channel)
        self._stand()

    def release(self, channel: str) -> None:
        """Tell what has waited of a channel, but for what was caught up already."""
        for message, size in self._waiting.pop(channel, {}).values():
            if self._seen.is_new(message.id) and channel not in self.left:
                self.shelf.put(message, size, "")
        self._stand()
