"""Messages on their way to rows: what is due to each, in which order, and to many rows a few at a time.

Theory of operation. A message to few rows is noted with each of them until the box is worked off. A message to a large
channel marks its rows, one byte each, and is then written to some of them at a time, so that others have their turn in
between. Fan-outs go on one after the other, in the order of the log. A row that must get something else before its
turn (a later message to itself, a position) is given all that is due to it first, and its marks are wiped: so each
connection is written in the order of the log over all its channels, and once. Without that rule one position for all
channels would lie (a model run lost ten messages a broadcast).

A message that is *paced* marks its rows as well, and goes to as many of them as it is allowed to, behind everything
else. It must not hold anybody up, nor be driven on by those who only ask where they stand: what such a row is told is a
position before that message. Nothing older than what it was told before can be due to it, since it was due to it from
the moment on in which the head passed it. But what is written to a row takes along whatever is older.

A row that comes after a message was begun is not marked: it has the message from its page, or began after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import compress

import attrs

from megacomet.model.entries import Entry

#: Rows that are written together, before the clock is asked again and others have their turn. With more, less of
#: the time is Python's with cold caches, and a message to a single client waits longer (bench/RESULTS.md).
WINDOW = 128


@attrs.define(eq=False)
class Fanout:
    """One message that is being written to many rows.

    Attributes:
        entry: the message.
        due: by descriptor, 1 where it is still to be written.
        at: rows below it are done.
    """

    entry: Entry
    due: bytearray
    at: int = 0

    def take(self, window: int = WINDOW) -> list[int]:
        """Return the next rows, at most `window`, and wipe their marks; none: it is done."""
        due = self.due
        begin = due.find(1, self.at)
        if begin < 0:
            return []
        end = self.at = begin + window
        taken = due[begin:end]
        due[begin:end] = bytes(len(taken))
        return list(compress(range(begin, end), taken))

    def is_due(self, fd: int) -> bool:
        """Tell whether it is still to be written to a row."""
        return fd < len(self.due) and self.due[fd] != 0

    def wipe(self, fd: int) -> bool:
        """It is not to be written to a row any more; tells whether it was."""
        is_due = self.is_due(fd)
        if is_due:
            self.due[fd] = 0
        return is_due


@attrs.define(eq=False)
class Paced(Fanout):
    """One message that is being written to many rows, and goes on only as it is allowed to.

    The result of its entry is no box's but its own: it counts the rows that it was written to, on whichever way.

    Attributes:
        connections: rows that it was due to at its beginning.
        per_s: rows a second; 0: it pauses.
        allowance: rows that it may be written to by now.
    """

    connections: int = 0
    per_s: float = 0.0
    allowance: float = 0.0

    @property
    def written(self) -> int:
        """Rows that it was written to by now."""
        return self.entry.result.counts[self.entry.record]

    @property
    def left(self) -> int:
        """Rows that it is still due to."""
        return self.due.count(1, self.at)


class Due:
    """What is still to be written to the rows of a worker.

    Attributes:
        few: by descriptor, messages that go to few rows, in order.
        fanouts: those that are under way, oldest first.
        paced: those that go on only as they are allowed to, oldest first.
    """

    def __init__(self) -> None:
        self.few: dict[int, tuple[Entry, ...]] = {}
        self.fanouts: deque[Fanout] = deque()
        self.paced: list[Paced] = []

    def begin(self, fanout: Fanout) -> None:
        """Put a fan-out behind the others; its message is newer than theirs."""
        self.fanouts.append(fanout)

    def give(self, fd: int, given: tuple[Entry, ...]) -> None:
        """Something more is due to a row."""
        there = self.few.get(fd)
        self.few[fd] = given if there is None else there + given

    def leave(self, fd: int) -> None:
        """The row is free: nothing is due to it."""
        self.few.pop(fd, None)
        for fanout in self.fanouts:
            fanout.wipe(fd)
        for paced in self.paced:
            paced.wipe(fd)

    def to(self, fd: int) -> list[Entry]:
        """Return what is due to a row, in order."""
        entries = [fanout.entry for fanout in (*self.fanouts, *self.paced) if fanout.is_due(fd)]
        if not entries:
            return list(self.few.get(fd, ()))
        entries += self.few.get(fd, ())
        entries.sort(key=_offset)
        return entries

    def take(self, fd: int, *, whole: bool = True) -> tuple[Entry, ...]:
        """Return what is due to a row, in order; it is due no more.

        Args:
            fd: the row.
            whole: also what is paced; else only what of that is older than something that is not.
        """
        if not self.fanouts and not self.paced:  # mostly
            return self.few.pop(fd, ())
        entries: list[Entry] = [fanout.entry for fanout in self.fanouts if fanout.wipe(fd)]
        entries += self.few.pop(fd, ())
        newest = max(map(_offset, entries), default=0)
        for paced in self.paced:
            if (whole or paced.entry.offset < newest) and paced.wipe(fd):
                entries.append(paced.entry)
        entries.sort(key=_offset)
        return tuple(entries)

    def stands_at(self, fd: int, head: int) -> int:
        """Return up to where a row has been given everything, when the head is what nothing is due behind."""
        entries = self.to(fd)
        return entries[0].offset - 1 if entries else head

    def is_any(self, fd: int) -> bool:
        """Tell whether something is due to a row that it gets before it is told where it stands."""
        return fd in self.few or (bool(self.fanouts) and any(fanout.is_due(fd) for fanout in self.fanouts))

    def is_paced(self, fd: int) -> bool:
        """Tell whether something is due to a row that is paced."""
        return any(paced.is_due(fd) for paced in self.paced)

    def behind(self, fds: list[int], offset: int) -> list[int]:
        """Return those of the rows to which something is due that is paced and older than a message."""
        older = [paced for paced in self.paced if paced.entry.offset < offset]
        return [fd for fd in fds if any(paced.is_due(fd) for paced in older)] if older else []

    def find_paced(self, offset: int) -> Paced | None:
        """Return the message with an offset, if it is paced and not over."""
        return next((paced for paced in self.paced if paced.entry.offset == offset), None)

    def clear(self) -> None:
        """Forget all."""
        self.few.clear()
        self.fanouts.clear()
        self.paced.clear()


def marks(rows: Iterable[int], size: int) -> bytearray:
    """Return by descriptor 1 for the rows, else 0."""
    marked = bytearray(size)
    for fd in rows:
        marked[fd] = 1
    return marked


def _offset(entry: Entry) -> int:
    return entry.offset
