"""What a worker tells the manager of each box: the messages that nobody took, and how many took those that count.

A box is answered when it was worked off, in the order of the boxes. Two things keep an answer back: a fan-out whose
publisher wants to know how many it was written to, and a page that goes on in the next box: what it has of a mailbox
is written, or not, only then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import attrs

from megacomet.wire import frames


@attrs.define(eq=False)
class Result:
    """Of one box.

    Attributes:
        number: of the box.
        unwritten: messages of mailboxes that were written to nobody yet: index of the record -> channel.
        counts: connections written to, of the messages that ask for it, by record.
        awaited: fan-outs among them that go on.
        pages: numbers of the joins whose page has begun in this box and not ended.
        ending: numbers of those whose page is complete, and is an answer that is written before the box is over.
        is_over: whether the box was worked off, but for these.
    """

    number: int
    unwritten: dict[int, bytes] = attrs.field(factory=dict)
    counts: dict[int, int] = attrs.field(factory=dict)
    awaited: int = 0
    pages: set[int] = attrs.field(factory=set)
    ending: list[int] = attrs.field(factory=list)
    is_over: bool = False

    def written(self, record: int) -> None:
        """A message of the box was written to a connection."""
        self.unwritten.pop(record, None)
        if record in self.counts:
            self.counts[record] += 1

    def records(self, is_absent: Callable[[bytes], bool]) -> bytes:
        """Return what the manager is told."""
        receipts = [frames.encode(frames.RECEIPT, number=n, offset=count) for n, count in self.counts.items()]
        returned = [
            frames.encode(frames.RETURNED, flags=frames.ABSENT if is_absent(channel) else 0, number=n)
            for n, channel in self.unwritten.items()
        ]
        return b"".join(receipts + returned)


#: Of what is told to nobody.
NO_RESULT = Result(0)


class Results:
    """Of the boxes that have come and are not answered yet."""

    def __init__(self) -> None:
        self._open: deque[Result] = deque()

    def begin(self, number: int) -> Result:
        """A box is being worked off."""
        result = Result(number)
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
        for join in result.ending:
            self.page_ended(join)

    def take(self) -> Iterable[Result]:
        """Yield those that are complete, in order; they are told then."""
        while self._open and self._open[0].is_over and not self._open[0].awaited and not self._open[0].pages:
            yield self._open.popleft()

    def clear(self) -> None:
        """The link is lost: nobody is to be told."""
        self._open.clear()
