"""What a worker tells the manager of each box: the messages that nobody took, and how many took those that count.

A box is answered when it was worked off, in the order of the boxes. A page that goes on in the next box keeps the
answer back: what it has of a mailbox is written, or not, only then. A fan-out does not, for only so many boxes are on
their way at once: to how many it was written, if its publisher wants to know, is told when it is through.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

import attrs

from megacomet.wire import frames


@attrs.define(eq=False)
class Result:
    """Of one box.

    Attributes:
        number: of the box.
        unwritten: messages of mailboxes that were written to nobody yet: index of the record -> channel.
        counts: connections written to, of the messages that ask for it, by record.
        awaited: of these the fan-outs that go on: index of the record -> offset of the message.
        pages: numbers of the joins whose page has begun in this box and not ended.
        ending: numbers of those whose page is complete, and is an answer that is written before the box is over.
        is_over: whether the box was worked off, but for these.
        is_told: whether it was answered.
        accepted_s, came_s: see `megacomet.model.answers.Box`.
        messages: that it has brought and that are no fan-outs; pages do not count.
    """

    number: int
    accepted_s: float = 0.0
    came_s: float = 0.0
    messages: int = 0
    unwritten: dict[int, bytes] = attrs.field(factory=dict)
    counts: dict[int, int] = attrs.field(factory=dict)
    awaited: dict[int, int] = attrs.field(factory=dict)
    pages: set[int] = attrs.field(factory=set)
    ending: list[int] = attrs.field(factory=list)
    is_over: bool = False
    is_told: bool = False

    def written(self, record: int, connections: int = 1) -> None:
        """A message of the box was written to so many connections more."""
        self.unwritten.pop(record, None)
        if record in self.counts:
            self.counts[record] += connections

    def records(self, is_absent: Callable[[bytes], bool]) -> bytes:
        """Return what the manager is told."""
        receipts = [
            frames.encode(frames.RECEIPT, number=n, offset=count)
            for n, count in self.counts.items()
            if n not in self.awaited
        ]
        receipts += [
            frames.encode(frames.RECEIPT, flags=frames.LATER, number=n, offset=offset)
            for n, offset in self.awaited.items()
        ]
        returned = [
            frames.encode(frames.RETURNED, flags=frames.ABSENT if is_absent(channel) else 0, number=n)
            for n, channel in self.unwritten.items()
        ]
        return b"".join(receipts + returned)


#: Of what is told to nobody.
NO_RESULT = Result(0)


class Worked(NamedTuple):
    """Messages that were written, or that nobody has any more for whom they were.

    Attributes:
        result: of their box.
        messages: how many.
        is_fanout: whether it was one to many.
    """

    result: Result
    messages: int
    is_fanout: bool


class Results:
    """Of the boxes that have come and are not answered yet.

    Attributes:
        worked: what was worked off since somebody has emptied it, for who measures how long it took.
    """

    def __init__(self) -> None:
        self.worked: list[Worked] = []
        self._open: deque[Result] = deque()
        self._counted: list[bytes] = []

    def begin(self, number: int, accepted_s: float = 0.0, came_s: float = 0.0) -> Result:
        """A box is being worked off."""
        result = Result(number, accepted_s, came_s)
        self._open.append(result)
        return result

    def page_ended(self, join: int) -> None:
        """A page is complete, or nobody waits for it any more."""
        for result in self._open:
            if result.pages:
                result.pages.discard(join)

    def finish(self, result: Result) -> None:
        """A box was worked off, but for its fan-outs, and for pages that go on in the next one."""
        result.is_over = True
        if result.messages:
            self.worked.append(Worked(result, result.messages, False))
        for join in result.ending:
            self.page_ended(join)

    def take(self) -> Iterable[Result]:
        """Yield those that are complete, in order; they are told then."""
        while self._open and self._open[0].is_over and not self._open[0].pages:
            self._open[0].is_told = True
            yield self._open.popleft()

    @staticmethod
    def await_fanout(result: Result, record: int, offset: int) -> None:
        """A message of the box goes to many; its number comes at the end, if somebody wants to know it."""
        result.messages -= 1
        if record in result.counts:
            result.awaited[record] = offset

    def end_fanout(self, result: Result, record: int) -> None:
        """It was written to all."""
        self.worked.append(Worked(result, 1, True))
        offset = result.awaited.pop(record, None)
        if offset is not None and result.is_told:
            self._counted.append(frames.encode(frames.COUNTED, number=result.counts[record], offset=offset))

    def tell(self, record: bytes) -> None:
        """Have a record told that is in the answer of no box."""
        self._counted.append(record)

    def outgoing(self) -> list[bytes]:
        """Return what is told later than in the answer of its box, gathered since the last call."""
        counted, self._counted = self._counted, []
        return counted

    def clear(self) -> None:
        """The link is lost: nobody is to be told."""
        self._open.clear()
        self._counted.clear()
        self.worked.clear()
