"""How many more connections the machine's memory has room for, from what those that are there have taken."""

from __future__ import annotations

from typing import Final

from megacomet.doctor.costs import SOCKET_BYTES

#: With fewer connections than so many nothing is said: what the processes are made of outweighs what they hold.
ENOUGH: Final = 1000


class Upkeep:
    """What a connection costs.

    Not the mean: of the memory that all processes take, what they took with hardly a connection is no connection's.
    The least that was seen then counts. A manager that was never seen so, since it took over workers that had their
    clients, makes no difference between the two, so that less seems to fit than does.
    """

    def __init__(self) -> None:
        self._bare: int | None = None

    def seen(self, used_bytes: int, connections: int) -> None:
        """Look at the server.

        Args:
            used_bytes: memory of all processes without what the store keeps.
            connections: that they have open.
        """
        if connections < ENOUGH and (self._bare is None or used_bytes < self._bare):
            self._bare = used_bytes

    def fits(self, used_bytes: int, connections: int, available_bytes: int | None) -> int | None:
        """Return how many more fit; None: there are too few to tell, or what is available is not known.

        Args:
            used_bytes, connections: as for `seen`.
            available_bytes: memory that may still be taken.
        """
        if connections < ENOUGH or available_bytes is None:
            return None
        each = max(0, used_bytes - (self._bare or 0)) / connections + SOCKET_BYTES
        return int(available_bytes / each)
