"""Owns who listens to which shared channel: by arithmetic, so that neither side keeps a list.

Client i has the places i * channels, i * channels + 1 …; place p is in room p modulo the number of rooms. So a
client's rooms are different ones, and all rooms have nearly the same number of listeners.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Final

import attrs

#: Of the rooms' names, before what tells several runs apart.
PREFIX: Final = "room:"


@attrs.frozen
class Rooms:
    """The rooms of a run.

    Attributes:
        first, count: indexes of the rooms; count 0: there are none.
        channels: how many of them each client listens to, at most `count`.
        prefix: what stands before a room's index in its name.
    """

    first: int = 0
    count: int = 0
    channels: int = 0
    prefix: str = PREFIX

    def names(self) -> dict[bytes, int]:
        """Return the number of each room, counted from 0, by its name."""
        return {f"{self.prefix}{self.first + n}".encode(): n for n in range(self.count)}

    def room(self, client: int, place: int) -> int:
        """Return the number of a room of a client.

        Args:
            client: its index over all processes.
            place: 0 to `channels` - 1.
        """
        return (client * self.channels + place) % self.count

    def place(self, client: int, room: int) -> int:
        """Return where the room stands among the client's own; `channels` or more: it does not listen to it."""
        return (room - client * self.channels) % self.count

    def of(self, client: int) -> list[bytes]:
        """Return the names of the client's rooms."""
        return [f"{self.prefix}{self.first + self.room(client, n)}".encode() for n in range(self.channels)]

    def listeners(self, clients: range, listens: Callable[[int], bool]) -> array[int]:
        """Return how many of the clients listen to each room.

        Args:
            listens: whether a client, by its index, listens to any.
        """
        counted = array("I", bytes(4 * self.count))
        for client in filter(listens, clients):
            for place in range(self.channels):
                counted[self.room(client, place)] += 1
        return counted


#: Nobody listens to any.
NO_ROOMS: Final = Rooms()
