"""How a worker is drained: it takes no new clients, and lets those whom it has go at a set rate.

They are let go as at a stop (`closing.Partings`), so that they come back to the other workers and resume; but nobody is
refused meanwhile: a request that comes on a connection that is still here is answered, as the last one of it.

It goes over the rows with a cursor, a few each time, and again each second for those who could not go yet. There is one
timer for all of them, and none while nobody is left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from megacomet.kinds import ASKING, CLOSES, CROWDED, IDLE, PARKED, SOCKET, STATE, STREAM, WRITING
from megacomet.model.session import Session
from megacomet.parking import ParkingLot
from megacomet.wire.cutoff import REASONS, RECONNECT
from megacomet.wire.websocket import close_frame
from megacomet.worker.closing import SLICE, Partings

#: Between two steps, seconds: short enough for the connections that go to come back evenly.
STEP_S: Final = 0.05
#: Of a rate, what may be made up for at once when a step was late, seconds.
ARREARS_S: Final = 2 * STEP_S
#: Rows that a step looks at: most of a table may be free.
LOOKS: Final = 4096

#: What can be let go. A head that is being received is left: it is complete, or its time over, within `head_timeout_s`.
_HERE: Final = frozenset({IDLE, PARKED, CROWDED, WRITING, STREAM, SOCKET, ASKING})


class Draining:
    """The slow end of all connections, and of nothing else.

    Attributes:
        per_s: connections that are let go a second, 0: it is not drained.
    """

    def __init__(
        self,
        lot: ParkingLot,
        clock: IReactorTime,
        expire: Callable[[int], None],
        farewell: Callable[[int, bytes], None],
        turned: Callable[[], None],
    ) -> None:
        """
        Args:
            lot: the connections, and the doors that they come in by.
            clock: for the steps.
            expire, farewell: see `Partings`.
            turned: called after each step, so that the manager hears who went.
        """
        self.per_s = 0
        self._lot = lot
        self._rows = lot.rows
        self._clock = clock
        self._partings = Partings(lot.rows, expire, farewell, close_frame(RECONNECT, REASONS[RECONNECT]))
        self._turned = turned
        self._call: IDelayedCall | None = None
        self._at = 0
        self._allowance = 0.0
        self._stepped = 0.0
        self._is_first_round = True
        self._gone: Callable[[], None] | None = None

    def begin(self, per_s: int, *, is_succeeded: bool = False, gone: Callable[[], None] | None = None) -> None:
        """Listen no more, and let everybody go.

        Args:
            per_s: at most so many a second.
            is_succeeded: see `accepting.Entrances.close`.
            gone: called once, when nobody is left; None: it goes on.
        """
        self.per_s = per_s  # before the queue is emptied: those who come in now are asked to go as well
        self._gone = gone
        self._lot.stop_listening(is_succeeded=is_succeeded)
        self._at, self._allowance, self._is_first_round = 0, 0.0, True
        self.tick()
        self.look()

    def undo(self) -> None:
        """Let nobody go any more, and listen again."""
        self.halt()
        self._lot.listen_again()

    def halt(self) -> None:
        """Let nobody go any more."""
        self.per_s = 0
        self._gone = None
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def tick(self) -> None:
        """A second has passed: go over the rows again, unless that is under way."""
        if self.per_s and self._call is None and self._rows.open:
            self._stepped = self._clock.seconds()
            self._call = self._clock.callLater(STEP_S, self._step)

    def look(self) -> None:
        """Tell if nobody is left."""
        if self._gone is not None and not self._rows.open:
            gone, self._gone = self._gone, None
            gone()

    def counts(self) -> dict[str, int] | None:
        """Return the rate and how many connections are left, None when it is not drained, or is about to end."""
        return {"per_s": self.per_s, "left": self._rows.open} if self.per_s and self._gone is None else None

    def _step(self) -> None:
        self._call = None
        now = self._clock.seconds()
        arrears = max(1.0, self.per_s * ARREARS_S)
        self._allowance = min(self._allowance + (now - self._stepped) * self.per_s, arrears)
        self._stepped = now
        kinds = self._rows.kinds
        went, end = 0, min(self._at + LOOKS, len(kinds))
        while self._at < end and self._allowance >= 1 and went < SLICE:
            fd = self._at
            self._at += 1
            if self._may_go(fd):
                self._allowance -= 1
                went += 1
                self._partings.end(fd)
        if self._at < len(kinds):
            self._call = self._clock.callLater(0 if self._allowance >= 1 else STEP_S, self._step)
        else:
            self._at, self._is_first_round = 0, False
        if went:
            self._turned()

    def _may_go(self, fd: int) -> bool:
        state = self._rows.kinds[fd] & STATE
        if state not in _HERE:
            return False
        if state == WRITING:
            return not self._rows.kinds[fd] & CLOSES
        key = self._rows.keys[fd]
        if isinstance(key, Session) and key.is_stream and not key.is_open:
            return False  # a stream whose page is under way has not begun: it would be an error
        # What a WebSocket has asked for is answered in a moment; who asks all the time does not stay for that.
        return state != ASKING or not self._is_first_round
