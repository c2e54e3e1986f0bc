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

    def __init__(
        self,
        clock: IReactorTime,
        beat: Callable[[float], None],
        rest_s: Callable[[], float],
        woken: Callable[[float], None],
    ) -> None:
        """
        Args:
            clock: for delayed calls.
            beat: called each second, with how many seconds after the call before it this one was to come.
            rest_s: asked behind it how many seconds pass until the next one.
            woken: called when a rest ends before its time, with how many seconds ago the last beat would have been that
                was left out; it must not raise.
        """
        self.rests = False
        self._clock = clock
        self._beat = beat
        self._rest_s = rest_s
        self._woken = woken
        self._after_s = BEAT_S
        self._call: IDelayedCall | None = None
        self._is_over = False

    def start(self) -> None:
        """Begin with a beat now."""
        self._next(may_rest=False)

    def stop(self) -> None:
        """Beat no more."""
        self._is_over, self.rests = True, False
        if self._call is not None and self._call.active():
            self._call.cancel()

    def wake(self) -> None:
        """Something is about to happen: a worker that rests goes on with its seconds.

        They are those that it would have without the rest. If one began now, who comes now had to wait for the end of
        the next one always, and who was there before was due sooner.
        """
        if self.rests:
            assert self._call is not None
            left_s = self._call.getTime() - self._clock.seconds()
            pause_s = left_s % BEAT_S or BEAT_S
            self._call.cancel()
            self._after_s -= left_s - pause_s
            self._wait(pause_s)
            self._woken(BEAT_S - pause_s)

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
                self._wait(pause_s)

    def _wait(self, pause_s: float) -> None:
        self.rests = pause_s > BEAT_S
        self._call = self._clock.callLater(pause_s, self._next, may_rest=True)
