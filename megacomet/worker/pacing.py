"""The time of messages that are paced: given out in small pieces, so that they go evenly, while there are any.

There is one timer for all of them, and none while there is nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from megacomet.forking import IReactor
from megacomet.model.spreading import Spreading

#: Between two pieces, seconds.
STEP_S: Final = 0.05
#: The manager is told so often how they stand, seconds; while all of them pause nothing else happens.
REPORT_S: Final = 1.0


class Pacing:
    """Gives out the time."""

    _log = Logger()

    def __init__(
        self, spreading: Spreading, reactor: IReactor, clock: Callable[[], float], touch: Callable[[], None]
    ) -> None:
        """
        Args:
            spreading: what is paced.
            reactor: for the timer.
            clock: seconds, monotonic.
            touch: called when there may be something to do, or to tell.
        """
        self._spreading = spreading
        self._reactor = reactor
        self._clock = clock
        self._touch = touch
        self._call: IDelayedCall | None = None
        self._every_s = REPORT_S
        self._stepped = self._reported = 0.0

    def look(self) -> None:
        """Something may have begun, or may go on."""
        if not self._spreading.is_paced:
            return
        if self._call is None:
            self._stepped = self._reported = self._clock()
            self._wait()
        elif self._every_s != STEP_S and self._spreading.is_running:
            self._stepped = self._clock()  # a pause is no time that has passed
            self._call.cancel()
            self._wait()

    def _wait(self) -> None:
        self._every_s = STEP_S if self._spreading.is_running else REPORT_S
        self._call = self._reactor.callLater(self._every_s, self._step)

    def _step(self) -> None:
        self._call = None
        try:
            now = self._clock()
            self._spreading.grant(now - self._stepped)
            self._stepped = now
            if now - self._reported >= REPORT_S:
                self._reported = now
                self._spreading.report()
        except Exception:
            self._log.failure("a step of what is paced failed")
        if self._spreading.is_paced:
            self._wait()
        self._touch()
