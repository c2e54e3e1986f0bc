"""Owns which clients of one process connect when: at a rate, again after a loss, not too many at once. No sockets."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

#: Connects begun before the events are looked at again.
CONNECTS_A_TURN: Final = 64
#: Handshakes under way at once; more would only overflow the queue of the listener (4,096 by default in the kernel).
CONNECTING_AT_ONCE: Final = 256
#: Wait before a client that failed tries again, so that a dead server is not hammered.
RETRY_S: Final = 0.5
_NEVER_S: Final = 3600.0


class Opening:
    """The order in which `count` clients connect."""

    def __init__(self, count: int, rate: float, clock: Callable[[], float], away_s: float = 0.0) -> None:
        self._count = count
        self._rate = rate
        self._clock = clock
        self._away_s = away_s
        self._unopened = 0
        self._began: float | None = None
        #: to be opened again: at once, and not before a time (in the order of times, since the wait is always the same)
        self._again: deque[int] = deque()
        self._retries: deque[tuple[float, int]] = deque()
        self._absent: deque[tuple[float, int]] = deque()
        #: connects that are under way, told by the owner
        self.connecting = 0
        #: clients that connected again
        self.reconnects = 0

    def at_once(self, client: int) -> None:
        """Have the client connect again with the next turn."""
        self._again.append(client)

    def later(self, client: int) -> None:
        """Have the client connect again after a rest."""
        self._retries.append((self._clock() + RETRY_S, client))

    def much_later(self, client: int) -> None:
        """Have the client connect again when it has been away for long."""
        self._absent.append((self._clock() + self._away_s, client))

    def call_back(self) -> None:
        """Have those that are away for long come now."""
        self._again += (client for _, client in self._absent)
        self._absent.clear()

    def due(self, now: float) -> Iterator[int]:
        """Give the clients that are to connect now."""
        if self._began is None:
            self._began = now
        room = min(CONNECTS_A_TURN, CONNECTING_AT_ONCE - self.connecting)
        for waiting in (self._retries, self._absent):
            while waiting and waiting[0][0] <= now:
                self._again.append(waiting.popleft()[1])
        while room > 0 and self._again:
            self.reconnects += 1
            room -= 1
            yield self._again.popleft()
        last = min(self._wanted(now, self._began), self._unopened + max(room, 0))
        while self._unopened < last:
            self._unopened += 1
            yield self._unopened - 1

    def delay_s(self, now: float) -> float:
        """Return the seconds until a client is due."""
        delay = _NEVER_S
        if self.connecting < CONNECTING_AT_ONCE and self._began is not None:
            if self._unopened < self._wanted(now, self._began) or self._again:
                return 0.0
            if self._unopened < self._count:
                delay = max(0.0, self._began + self._unopened / self._rate - now)
            for waiting in filter(None, (self._retries, self._absent)):
                delay = min(delay, max(0.0, waiting[0][0] - now))
        return delay

    def _wanted(self, now: float, began: float) -> int:
        """Return how many clients should have connected at least once."""
        return min(self._count, int((now - began) * self._rate) + 1) if self._rate else self._count
