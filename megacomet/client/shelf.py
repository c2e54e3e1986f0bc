"""What has come and was not taken yet: bounded, and with the position that whoever takes has reached.

Knows no connection: it says when one is to be left unread.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from megacomet.client.items import Item, Message

#: What is held for a program that is slow; beyond, the connection is not read.
MOST_HELD: Final = 256
MOST_HELD_BYTES: Final = 1_000_000


class Shelf:
    """Items in their order.

    Attributes:
        position: what was taken is complete up to it; what was given at the beginning, until then.
    """

    def __init__(self, position: str) -> None:
        self.position = position
        self._items: deque[tuple[Item, int, str]] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_full(self) -> bool:
        """Whether nothing more is to be read."""
        return len(self._items) >= MOST_HELD or self._bytes >= MOST_HELD_BYTES

    @property
    def has_room(self) -> bool:
        """Whether it is worth reading again: there is room for many, not for one only."""
        return len(self._items) <= MOST_HELD // 4 and self._bytes <= MOST_HELD_BYTES // 4

    def put(self, item: Item, size: int, position: str) -> None:
        """Add an item.

        Args:
            item: to be taken.
            size: its bytes.
            position: that whoever takes it has reached; "": the same as before.
        """
        self._items.append((item, size, position))
        self._bytes += size

    def stand(self, position: str) -> None:
        """Note that everything that was put is complete up to a position."""
        if self._items:
            item, size, _ = self._items[-1]
            self._items[-1] = (item, size, position)
        else:
            self.position = position

    def drop(self, channel: str) -> None:
        """Forget the messages of a channel; the positions behind them stay."""
        kept: deque[tuple[Item, int, str]] = deque()
        for item, size, position in self._items:
            if not isinstance(item, Message) or item.channel != channel:
                kept.append((item, size, position))
                continue
            self._bytes -= size
            if not position:
                continue
            if kept:
                kept[-1] = (*kept[-1][:2], position)
            else:
                self.position = position
        self._items = kept

    def take(self) -> Item | None:
        """Return the oldest item; None: there is none."""
        if not self._items:
            return None
        item, size, position = self._items.popleft()
        self._bytes -= size
        if position:
            self.position = position
        return item
