"""What a process feels of itself, once a second: how late its event loop is, and how much of a processor it takes."""

from __future__ import annotations

from collections import deque
from typing import Final

#: The share of a processor is told over so many seconds: one alone jumps with every burst.
SECONDS: Final = 5


class Pulse:
    """Felt with a timer that the process has anyway."""

    def __init__(self, period_s: float) -> None:
        """Begin; `feel` is to be called every `period_s`."""
        self._born = 0.0
        self._period_s = period_s
        self._felt: deque[tuple[float, float]] = deque(maxlen=SECONDS + 1)
        self._lags: deque[float] = deque(maxlen=SECONDS)

    def feel(self, now: float, cpu_s: float) -> None:
        """A second has passed.

        Args:
            now: seconds, monotonic.
            cpu_s: what the process has taken of processors until now, seconds.
        """
        if self._felt:
            self._lags.append(max(0.0, now - self._felt[-1][0] - self._period_s))
        else:
            self._born = now
        self._felt.append((now, cpu_s))

    def counts(self) -> dict[str, float]:
        """Return the figures.

        `lag_s` is the longest of the last `SECONDS`: so late a second began, and so long an event waited for its turn.
        """
        (first, cpu_before), (last, cpu) = self._felt[0], self._felt[-1]
        share = (cpu - cpu_before) / (last - first) if last > first else 0.0
        return {
            "uptime_s": round(last - self._born, 3),
            "lag_s": round(max(self._lags, default=0.0), 6),
            "cpu_s": round(cpu, 3),
            "cpu_share": round(share, 4),
        }
