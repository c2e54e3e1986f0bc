"""What a process feels of itself, once a second: how late its event loop is, and how much of a processor it takes."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Final

#: The share of a processor is told over so many seconds: one alone jumps with every burst.
SECONDS: Final = 5


class Pulse:
    """Felt with a timer that the process has anyway."""

    def __init__(self) -> None:
        self._born = 0.0
        #: when, what was used by then, and how late that was
        self._felt: deque[tuple[float, float, float]] = deque()

    def feel(self, now: float, cpu_s: float, after_s: float) -> None:
        """A second has passed, or several in which nothing happened.

        Args:
            now: seconds, monotonic.
            cpu_s: what the process has taken of processors until now, seconds.
            after_s: so long after the call before it this one was to come.
        """
        felt, late_s = self._felt, 0.0
        if felt:
            late_s = max(0.0, now - felt[-1][0] - after_s)
        else:
            self._born = now
        felt.append((now, cpu_s, late_s))
        while len(felt) > 2 and felt[1][0] <= now - SECONDS:
            felt.popleft()

    def counts(self) -> dict[str, float]:
        """Return the figures.

        `lag_s` is the longest of the last `SECONDS`: so late a second began, and so long an event waited for its turn.
        """
        (first, cpu_before, _), (last, cpu, _) = self._felt[0], self._felt[-1]
        share = (cpu - cpu_before) / (last - first) if last > first else 0.0
        return {
            "uptime_s": round(last - self._born, 3),
            "lag_s": round(max((late_s for _, _, late_s in islice(self._felt, 1, None)), default=0.0), 6),
            "cpu_s": round(cpu, 3),
            "cpu_share": round(share, 4),
        }
