"""`POST /api/batch`: pushes published while their body still arrives.

Owns the pace: lines are published in order, a slice a turn, and the connection is not read while lines wait for their
turn, for room in the store or on a link, or for answers. So a batch of any size takes one
read's worth of memory and one unfinished line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from megacomet.api.keys import Identity
from megacomet.api.push import SLICE, Outcome, Publisher
from megacomet.errors import PeerError
from megacomet.wire.push import MAX_BATCH_ERRORS, BatchCount, BatchLine, BatchLines, batch_answer, too_long_line

#: Lines given to the store that are not yet safe; a store that answers at once never has one.
MAX_IN_FLIGHT: Final = 1000


class Batch:
    """One batch."""

    def __init__(
        self,
        publisher: Publisher,
        identity: Identity,
        max_line_bytes: int,
        hold: Callable[[bool], None],
        failed: Callable[[Failure], None],
    ) -> None:
        """
        Args:
            publisher: publishes the lines.
            identity: whose batch it is.
            max_line_bytes: of a line.
            hold: stops (True) and resumes (False) the reading of the body.
            failed: takes an error of ours; nothing is published or answered after it.
        """
        self._publisher = publisher
        self._identity = identity
        self._hold = hold
        self._failed = failed
        self._broken = False
        self._max_line_bytes = max_line_bytes
        self._cut = BatchLines(max_line_bytes)
        self._lines: deque[BatchLine] = deque()
        self._count = BatchCount()
        self._in_flight = 0
        self._resting = False  # somebody will call `_go_on`
        self._held = False
        self._answer: Deferred[tuple[int, bytes]] | None = None

    def feed(self, data: bytes) -> None:
        """Take the next piece of the body."""
        self._lines.extend(self._cut.feed(data))
        self._work()

    def end(self) -> Deferred[tuple[int, bytes]]:
        """The body is complete; fires with status and answer when every line is safe."""
        self._lines.extend(self._cut.close())
        answer: Deferred[tuple[int, bytes]] = Deferred()
        self._answer = answer
        self._work()
        return answer

    def _work(self) -> None:
        """Publish what is there, as far as a turn goes; answer at the end of it all."""
        if self._broken:
            return
        try:
            self._publish_some()
        except Exception:
            self._broken = True
            self._lines.clear()
            self._hold(False)
            self._failed(Failure())
            return
        if self._held != self._resting:
            self._held = self._resting
            self._hold(self._held)
        if self._answer is not None and not (self._lines or self._in_flight or self._resting):
            answer, self._answer = self._answer, None
            answer.callback(self._summary())

    def _publish_some(self) -> None:
        for _ in range(SLICE):
            if self._resting or not self._lines:
                break
            if self._in_flight >= MAX_IN_FLIGHT:
                self._resting = True
            elif self._publisher.pressure.full():
                self._resting = True
                self._publisher.pressure.wait().addCallback(self._go_on)
            else:
                self._publish(self._lines.popleft())
        if self._lines and not self._resting:
            self._resting = True
            self._publisher.reactor.callLater(0, self._go_on)

    def _go_on(self, _: object = None) -> None:
        self._resting = False
        self._work()

    def _publish(self, line: BatchLine) -> None:
        self._count.lines += 1
        try:
            if line.body is None:
                raise too_long_line(self._max_line_bytes)
            push = self._publisher.decode(line.body, self._identity)
        except PeerError as e:
            self._count.fail(line.number, e)
            return
        self._in_flight += 1
        # A line to many targets takes several turns; the next line may not overtake it.
        if not self._publisher.publish(push, self._identity, partial(self._done, line.number), handed=self._go_on):
            self._resting = True

    def _done(self, line: int, outcome: Outcome) -> None:
        if not outcome.accepted and outcome.refusal is not None:
            self._count.fail(line, outcome.refusal)
        else:
            for result in outcome.results:
                if result.status != "refused":
                    self._count.count(result)
            if outcome.refusal is not None and len(self._count.errors) < MAX_BATCH_ERRORS:
                self._count.errors.append((line, outcome.refusal.code, "refused for some of the targets"))
        was_full = self._in_flight >= MAX_IN_FLIGHT
        self._in_flight -= 1
        if was_full and self._resting:
            self._go_on()
        elif self._answer is not None and not self._lines:
            self._work()

    def _summary(self) -> tuple[int, bytes]:
        count = self._count
        status = 422 if count.lines and count.failed == count.lines else 200
        return status, batch_answer(count, self._publisher.position())
