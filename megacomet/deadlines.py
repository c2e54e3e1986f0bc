"""When a row is due: one byte per row, and no timer object for any of them.

The byte holds the second at which the row is due, modulo 250 and counted from one; 0 is no deadline. Each second
`bytearray.find` visits the rows whose byte says so: a million rows cost about a millisecond. What lies further ahead
than the byte can say is armed as far as it can and armed again on the way; only such rows have an entry in a dict.

It knows rows and seconds, neither sockets nor clocks.
"""

from __future__ import annotations

import math
from typing import Final

#: Distinct seconds that a byte tells apart.
_CYCLE: Final = 250
#: The furthest second ahead of the last visited one that no other second within reach shares its byte with.
_REACH: Final = _CYCLE - 1


class Deadlines:
    """The deadlines of all rows; a row has at most one."""

    def __init__(self, now: float) -> None:
        """Start at `now`, seconds of any clock that does not go back."""
        self._slots = bytearray()
        self._far: dict[int, int] = {}
        #: the second of the last visit, up to which all were visited, and the one that deadlines are counted from
        self._now = self._visited = self._counted = math.floor(now)

    def grow(self, rows: int) -> None:
        """Have room for rows 0 to `rows` - 1."""
        self._slots.extend(bytes(max(0, rows - len(self._slots))))

    def arm(self, row: int, seconds: float) -> None:
        """Set the row's deadline, in place of the one it had.

        The row is due at the first visit that is at least `seconds` after this call, whenever between two visits the
        call was made: so it may be late by the time between two visits, a second mostly, and is never early.
        """
        second = self._counted + math.ceil(seconds) + 1
        if self._far:
            self._far.pop(row, None)
        if second - self._visited > _REACH:
            self._far[row] = second
            second = self._visited + _REACH
        self._slots[row] = second % _CYCLE + 1

    def disarm(self, row: int) -> None:
        """Forget the row's deadline, if it has one."""
        self._slots[row] = 0
        if self._far:
            self._far.pop(row, None)

    def is_armed(self, row: int) -> bool:
        """Tell whether the row has a deadline."""
        return self._slots[row] != 0

    def due(self, now: float, most: int) -> list[int]:
        """Return rows that are due and forget their deadlines, at most `most` of them.

        When as many as `most` come back there may be more: call again with the same `now`. A row that is disarmed or
        armed anew between the calls is not returned.
        """
        self._now = self._counted = max(self._now, math.floor(now))
        # After a long pause every byte stands for a second that has passed: one round visits them all.
        self._visited = max(self._visited, self._now - _CYCLE)
        rows: list[int] = []
        while self._visited < self._now:
            self._visit(self._visited + 1, rows, most)
            if len(rows) == most:
                break
            self._visited += 1
        return rows

    def rest(self, most: int) -> int:
        """Return after how many seconds the next visit may come: `most`, or less when a row is due by then, at least 1.

        Deadlines that are armed before that visit are counted from its second. When it comes earlier, they are not.
        """
        seconds = 1
        while seconds < most and self._slots.find((self._now + seconds) % _CYCLE + 1) < 0:
            seconds += 1
        self._counted = self._now + seconds - 1
        return seconds

    def _visit(self, second: int, rows: list[int], most: int) -> None:
        slots, slot = self._slots, second % _CYCLE + 1
        row = slots.find(slot)
        while row >= 0 and len(rows) < most:
            if self._far and self._far.get(row, 0) > self._now:
                # From the second being visited on, so that the row cannot come round again within this visit.
                slots[row] = min(self._far[row], second + _REACH) % _CYCLE + 1
            else:
                slots[row] = 0
                if self._far:
                    self._far.pop(row, None)
                rows.append(row)
            row = slots.find(slot, row + 1)
