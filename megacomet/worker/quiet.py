"""When a beat of a worker may be left out: in a second in which nothing happened in it.

With a million connections that wait there are 54 workers, which mostly wait too. What each of them says a second, and
what the manager does with it, is most of what an idle server takes of a processor.
"""

from __future__ import annotations

from typing import Final

from megacomet.link import SILENCE_BEATS

#: So many beats are left out one after another at most: each end still hears the other twice before it would take it
#: for dead.
MOST: Final = SILENCE_BEATS // 2 - 1


class Quiet:
    """Whether something has happened since the last beat."""

    def __init__(self) -> None:
        self._told: object = None
        self._left_out = 0

    def disturb(self) -> None:
        """Something has happened."""
        self._told = None

    def may_pass(self, stirred: object) -> bool:
        """A beat is due: tell whether it may be left out, else it counts as said.

        Args:
            stirred: equal to what it was at the last beat while nothing has happened; None: something has.
        """
        if stirred is not None and stirred == self._told and self._left_out < MOST:
            self._left_out += 1
            return True
        self._told, self._left_out = stirred, 0
        return False
