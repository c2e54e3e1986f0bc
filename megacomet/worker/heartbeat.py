"""What a worker does each second, and more rarely while nothing happens in it.

With a million connections that wait there are 54 workers, which mostly wait too. By the time that a second is over,
what it takes is in no cache of the processor any more; that is most of what an idle server costs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from megacomet.link import BEAT_S, SILENCE_BEATS

#: A worker rests so long at most, seconds: it and its manager hear each other twice before one would take the other for
#: dead.
MOST_REST_S: Final = SILENCE_BEATS // 2


class Heartbeat:
    """Calls what is to be done each second.

    Attributes:
        rests: whether the next call is further away than a second: whoever does something then calls `wake` first.
    """

    def __init__(self, clock: IReactorTime, beat: Callable[[float], None], rest_s: Callable[[], float]) -> None:
        """
        Args:
            clock: for delayed calls.
            beat: called each second, with how many seconds ago it was to be called before.
            rest_s: asked behind it how many seconds pass until the next one; not when it was woken.
        """
        self.rests = False
        self._clock = clock
        self._beat = beat
        self._rest_s = rest_s
        self._after_s = BEAT_S
        self._call: IDelayedCall | None = None
        self._is_over = False

    def start(self) -> None:
        """Begin with a beat now."""
        self._next(may_rest=False)

    def stop(self) -> None:
        """Beat no more."""
        self._is_over = True
        if self._call is not None and self._call.active():
            self._call.cancel()

    def wake(self) -> None:
        """Something is about to happen: a worker that rests begins its second now."""
        if self.rests:
            assert self._call is not None
            self._call.cancel()
            self._next(may_rest=False)

    def _next(self, *, may_rest: bool) -> None:
        self.rests = False
        pause_s = BEAT_S
        try:
            self._beat(self._after_s)
            if may_rest:
                pause_s = self._rest_s()
        finally:
            self._after_s = pause_s
            if not self._is_over:
                self.rests = pause_s > BEAT_S
                self._call = self._clock.callLater(pause_s, self._next, may_rest=True)
