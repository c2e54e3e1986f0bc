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

from megacomet.api.push import SLICE, Outcome, Publisher, audit_everyone
from megacomet.errors import PeerError
from megacomet.model.keys import Identity
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
        audit: Callable[..., None],
    ) -> None:
        """
        Args:
            publisher: publishes the lines.
            identity: whose batch it is.
            max_line_bytes: of a line.
            hold: stops (True) and resumes (False) the reading of the body.
            failed: takes an error of ours; nothing is published or answered after it.
            audit: `Request.audit`.
        """
        self._publisher = publisher
        self._identity = identity
        self._max_line_bytes = max_line_bytes
        self._cut = BatchLines(max_line_bytes)
        self._lines: deque[BatchLine] = deque()
        self._count = BatchCount()
        self._in_flight = 0
        self._waits_for_room = self._waits_for_turn = self._waits_for_line = False
        self._working = self._broken = self._held = False
        self._hold = hold
        self._failed = failed
        self._audit = audit
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

    @property
    def _waits(self) -> bool:
        """Whether the next line has to wait; what it waits for calls `_work` again."""
        return self._waits_for_room or self._waits_for_turn or self._waits_for_line or self._in_flight >= MAX_IN_FLIGHT

    def _work(self) -> None:
        """Publish what is there, as far as a turn goes; answer at the end of it all."""
        if self._working or self._broken:
            return  # what is awaited may be there at once: then this runs already
        self._working = True
        try:
            self._publish_some()
        except Exception:
            self._broken = True
            self._lines.clear()
            self._hold(False)
            self._failed(Failure())
            return
        self._working = False
        if self._held != self._waits:
            self._held = not self._held
            self._hold(self._held)
        if self._answer is not None and not (self._lines or self._in_flight or self._waits):
            answer, self._answer = self._answer, None
            answer.callback(self._summary())

    def _publish_some(self) -> None:
        for _ in range(max(SLICE // (self._publisher.batches + 1), 1)):
            if not self._lines or self._waits:
                return
            if self._publisher.pressure.full():
                self._waits_for_room = True
                self._publisher.pressure.wait().addCallback(self._room)
            else:
                self._publish(self._lines.popleft())
        if self._lines and not self._waits:
            self._waits_for_turn = True
            self._publisher.batches += 1
            self._publisher.reactor.callLater(0, self._turn)

    def _room(self, _: None) -> None:
        self._waits_for_room = False
        self._work()

    def _turn(self) -> None:
        self._waits_for_turn = False
        self._publisher.batches -= 1
        self._work()

    def _handed(self) -> None:
        self._waits_for_line = False
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
        # A line to many targets may take several turns; the next one may not overtake it.
        self._waits_for_line = True
        done = partial(self._done, line.number, push.everyone)
        if self._publisher.publish(push, self._identity, done, handed=self._handed):
            self._waits_for_line = False

    def _done(self, line: int, everyone: bool, outcome: Outcome) -> None:
        if everyone:
            audit_everyone(self._audit, outcome)
        count = self._count
        if not outcome.accepted and outcome.refusal is not None:
            count.fail(line, outcome.refusal)
        else:
            for result in outcome.results:
                if result.status != "refused":
                    count.count(result)
            if outcome.refusal is not None and len(count.errors) < MAX_BATCH_ERRORS:
                count.errors.append((line, outcome.refusal.code, "refused for some of the targets"))
        self._in_flight -= 1
        self._work()

    def _summary(self) -> tuple[int, bytes]:
        count = self._count
        status = 422 if count.lines and count.failed == count.lines else 200
        return status, batch_answer(count, self._publisher.position())
