"""Owns when which client drops its connection on purpose, and how. No sockets, no clock.

Each client does so after a random time with the same mean; over all of them that is one sequence of moments, each for a
client at random, so no client needs a timer.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Final

import attrs

#: A client that is to drop in the middle of bytes reads so many of them at most before.
_LONGEST_PIECE_BYTES: Final = 400
#: Of the clients that drop so many stay away for long, where any do: a hundred times `--switch`, and all would be away.
_AWAY_SHARE: Final = 0.01
#: Who is picked and is not there is picked again so often: with half of them there one moment in a million is left out.
_PICKS: Final = 20


@attrs.frozen
class Drop:
    """How a connection is dropped.

    Attributes:
        reset: by a reset, else by a plain close.
        rests: the client comes back after a rest, else at once.
        away: it stays away for so long that it comes back with an old position.
    """

    reset: bool
    rests: bool
    away: bool = False


class Switching:
    """The drops of `count` clients."""

    def __init__(self, count: int, mean_s: float, seed: int, away: bool = False) -> None:
        """Begin to decide.

        Args:
            mean_s: of a client.
            away: whether some stay away for long.
        """
        self._count = count
        self._away = away
        self._mean_s = mean_s / count
        self.chance = random.Random(seed)
        self._next_at: float | None = None
        #: clients that drop when the next bytes come
        self.leaving: set[int] = set()
        #: how often it was done
        self.switches = 0

    def begin(self, now: float) -> None:
        """Have the first moment come."""
        self._next_at = now + self.chance.expovariate(1 / self._mean_s)

    def halt(self) -> None:
        """Have no client drop any more."""
        self._next_at = None
        self.leaving.clear()

    def due(self, now: float, is_there: Callable[[int], bool]) -> Iterator[int]:
        """Give the clients whose moment has come, each of which is there when it is given.

        Args:
            is_there: whether a client has a connection to drop, and is not about to.
        """
        while self._next_at is not None and self._next_at <= now:
            self._next_at += self.chance.expovariate(1 / self._mean_s)
            picked = (self.chance.randrange(self._count) for _ in range(_PICKS))
            found = next(filter(is_there, picked), None)
            if found is not None:
                yield found

    def delay_s(self, now: float) -> float:
        """Return the seconds until the next moment."""
        return 3600.0 if self._next_at is None else max(0.0, self._next_at - now)

    def waits_for_bytes(self) -> bool:
        """Decide whether a client drops in the middle of the next bytes instead of now."""
        return self.chance.random() < 0.5

    def piece_bytes(self) -> int:
        """Decide how much such a client still reads."""
        return self.chance.randint(1, _LONGEST_PIECE_BYTES)

    def drop(self) -> Drop:
        """Decide how a client drops now."""
        self.switches += 1
        away = self._away and self.chance.random() < _AWAY_SHARE
        return Drop(reset=self.chance.random() < 0.5, rests=self.chance.random() < 0.5, away=away)
