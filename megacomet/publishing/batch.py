"""`POST /api/batch`: pushes published while their body still arrives.

Owns the pace: lines are published in order, a slice a turn, and the connection is not read while lines wait for their
turn, for room in the store or on a link, or for answers. So a batch of any size takes one
read's worth of memory and one unfinished line.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from megacomet.errors import PeerError
from megacomet.publishing.pace import Pace
from megacomet.publishing.pushing import IPushing, Outcome, Sender, decode
from megacomet.wire.batch import BatchCount, BatchLine, BatchLines, batch_answer, too_long_line

#: Lines given away that are not yet answered; a store that answers at once never has one.
MAX_IN_FLIGHT: Final = 1000
#: With so many left it goes on: what waits is to be published, or all is answered.
_TURNING_POINTS: Final = (MAX_IN_FLIGHT // 2, 0)


class Batch:
    """One batch."""

    def __init__(
        self,
        pushing: IPushing,
        sender: Sender,
        max_line_bytes: int,
        hold: Callable[[bool], None],
        failed: Callable[[Failure], None],
    ) -> None:
        """
        Args:
            pushing: publishes the lines.
            sender: whose batch it is.
            max_line_bytes: of a line.
            hold: stops (True) and resumes (False) the reading of the body.
            failed: takes an error of ours; nothing is published or answered after it.
        """
        self._pushing = pushing
        self._sender = sender
        self._max_line_bytes = max_line_bytes
        self._cut = BatchLines(max_line_bytes)
        self._count = BatchCount()
        self._in_flight = 0
        self._held = False
        self._hold = hold
        self._failed = failed
        self._pace: Pace[BatchLine] = Pace(
            pushing, self._publish, self._worked, self._broken, lambda: self._in_flight < MAX_IN_FLIGHT
        )
        self._position: Deferred[bytes] | None = None

    def feed(self, data: bytes) -> None:
        """Take the next piece of the body."""
        self._pace.put(self._cut.feed(data))

    def end(self) -> Deferred[tuple[int, bytes]]:
        """The body is complete; fires with status and answer when every line is safe, fails with an error of ours."""
        position: Deferred[bytes] = Deferred()
        answer = position.addCallback(self._sum_up)
        self._position = position
        self._pace.put(self._cut.close())
        return answer

    def _worked(self) -> None:
        """Read on or not; answer at the end of it all."""
        is_waiting = self._pace.is_waiting
        if self._held != is_waiting:
            self._held = is_waiting
            self._hold(is_waiting)
        if self._position is not None and not (self._pace.items or self._in_flight or is_waiting):
            position, self._position = self._position, None
            if self._count.published:
                position.callback(self._pushing.position())
            else:
                self._pushing.ask_position(position.callback)

    def _broken(self, failure: Failure) -> None:
        self._hold(False)
        self._failed(failure)

    def _publish(self, line: BatchLine) -> bool:
        self._count.lines += 1
        try:
            if line.body is None:
                raise too_long_line(self._max_line_bytes)
            push = decode(line.body, self._sender, self._pushing.max_data_bytes)
        except PeerError as e:
            self._count.fail(line.number, e)
            return True
        self._in_flight += 1
        self._pace.spend(len(push.targets))
        # A line to many targets may take several turns; the next one may not overtake it.
        return self._pushing.publish(push, self._sender, partial(self._done, line.number), handed=self._pace.handed)

    def _done(self, line: int, outcome: Outcome) -> None:
        count = self._count
        if not outcome.accepted and outcome.refusal is not None:
            count.fail(line, outcome.refusal)
        else:
            for result in outcome.results:
                if result.status != "refused":
                    count.count(result)
            if outcome.refusal is not None:
                count.note(line, outcome.refusal.code, "refused for some of the targets")
        self._in_flight -= 1
        if self._in_flight in _TURNING_POINTS:
            self._pace.work()

    def _sum_up(self, position: bytes) -> tuple[int, bytes]:
        """Return status and answer."""
        count = self._count
        status = 422 if count.lines and count.failed == count.lines else 200
        return status, batch_answer(count, position)
