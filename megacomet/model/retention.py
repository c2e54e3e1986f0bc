"""What is kept of each channel, and when it runs out: kept messages, the row of a channel, the wheel, the shelf.

A *shelf* holds rows of one kind (channels' history, mailboxes) and counts their bytes. A *row* holds the messages of
one channel in the order of the log. The *wheel* names the rows to look at in a second, so nothing is searched and no
message has a timer. A row that loses its last message is taken off the shelf; what it lost goes into `Gaps`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, MutableSequence
from itertools import islice
from math import ceil, inf
from operator import attrgetter
from typing import Final

import attrs

from megacomet.model.gaps import Gaps
from megacomet.model.shards import Shards

#: Bytes of process memory that a kept message takes beside its data, and a row beside its channel's name, with the
#: headers of the bytes objects and the places in lists and dicts. Measured by `python -m bench.memory_store`.
MESSAGE_BYTES: Final = 206
ROW_BYTES: Final = 420

#: From so many messages on a row is a deque: taking the first one off a list moves all the others.
LONG_ROW: Final = 256
#: A row is looked at again after so many seconds at the latest, which bounds the number of the wheel's seconds.
HORIZON_S: Final = 3600

#: In `Kept.claims`: the message was written to a connection and waits no more.
WRITTEN: Final = -1
#: In `Kept.flags`: the publisher asked for less time than the namespace gives, so running out leaves no gap.
EXCUSED: Final = 1
#: In `Kept.flags`: a worker died before it reported, so the message may have been written.
DOUBTFUL: Final = 2

by_offset = attrgetter("offset")


@attrs.define(eq=False, weakref_slot=False)
class Kept:
    """A kept message.

    Attributes:
        offset: in the log.
        data: compact JSON; b"" when it is dropped.
        deadline: when it runs out, seconds.
        flags: EXCUSED, DOUBTFUL.
        row: where it is kept, None when it is dropped.
        ttl_s: how long it was to be kept; the object is shared with whoever said so.
        claims: of a mailbox: how many workers have it on its way, 0 when it waits, WRITTEN.
    """

    offset: int
    data: bytes
    deadline: float
    flags: int
    row: Row | None
    ttl_s: float = 0.0
    claims: int = 0

    @property
    def published(self) -> float:
        """When it was published, seconds."""
        return self.deadline - self.ttl_s


@attrs.define(eq=False, weakref_slot=False)
class Row:
    """What is kept of one channel.

    Attributes:
        channel: its name; readers get this very object.
        lost: the highest offset that is no longer kept and no publisher's wish.
        messages: in the order of the log.
        data_bytes: of all their data.
        soonest: no message runs out before, seconds.
        ordered: whether the messages run out in their order.
        due: the wheel's second that has the row, 0 for none.
        waiting: messages of a mailbox that wait and are not claimed.
        claimed: messages of a mailbox that are claimed and not written.
        open_bytes: the data of both.
    """

    channel: bytes
    lost: int
    messages: MutableSequence[Kept] = attrs.Factory(list)
    data_bytes: int = 0
    soonest: float = inf
    ordered: bool = True
    due: int = 0
    waiting: int = 0
    claimed: int = 0
    open_bytes: int = 0

    def add(self, kept: Kept) -> None:
        """Put the newest message at the end."""
        messages = self.messages
        if messages and kept.deadline < messages[-1].deadline:
            self.ordered = False
        messages.append(kept)
        if len(messages) > LONG_ROW and isinstance(messages, list):
            self.messages = deque(messages)
        self.data_bytes += len(kept.data)

    def find(self, offset: int) -> Kept | None:
        """Return the message with the offset."""
        at = bisect_left(self.messages, offset, key=by_offset)
        if at < len(self.messages) and self.messages[at].offset == offset:
            return self.messages[at]
        return None

    def after(self, offset: int, most: int) -> Iterable[Kept]:
        """Return the first messages after the offset."""
        messages = self.messages
        if not messages or messages[-1].offset <= offset:
            return ()
        first = 0 if messages[0].offset > offset else bisect_right(messages, offset, key=by_offset)
        return islice(messages, first, first + most)

    def between(self, offset: int, end: int | None, *, newest_first: bool = False) -> Iterable[Kept]:
        """Return the messages after an offset and before another one; without `end` all after it."""
        messages = self.messages
        first = bisect_right(messages, offset, key=by_offset)
        last = len(messages) if end is None else bisect_left(messages, end, key=by_offset)
        if newest_first:
            return islice(reversed(messages), len(messages) - last, max(len(messages) - last, len(messages) - first))
        return islice(messages, first, max(first, last))

    def remove(self, kept: Kept) -> None:
        """Take one message off."""
        messages = self.messages
        del messages[0 if messages[0] is kept else bisect_left(messages, kept.offset, key=by_offset)]
        self.data_bytes -= len(kept.data)

    def take_run_out(self, now: float) -> list[Kept]:
        """Take off and return what has run out; afterwards `soonest` is exact."""
        messages = self.messages
        gone = []
        if self.ordered:
            while messages and messages[0].deadline <= now:
                gone.append(messages[0])
                del messages[0]
            self.soonest = messages[0].deadline if messages else inf
        else:
            gone = [kept for kept in messages if kept.deadline <= now]
            self.messages = [kept for kept in messages if kept.deadline > now]
            self.soonest = min((kept.deadline for kept in self.messages), default=inf)
            self.ordered = not self.messages
        self.data_bytes -= sum(len(kept.data) for kept in gone)
        return gone


class Wheel:
    """Seconds, and in each the rows to look at then. A row is in one second at most."""

    __slots__ = ("_first", "_seconds")

    def __init__(self) -> None:
        self._seconds: dict[int, set[Row]] = {}
        #: No second before it has rows.
        self._first = 0

    def arm(self, row: Row, now: float) -> None:
        """Have the row come up once its soonest message has run out."""
        soonest = row.soonest
        second = ceil(soonest if soonest < now + HORIZON_S else now + HORIZON_S)
        if row.due:
            if row.due <= second:
                return
            self.disarm(row)
        row.due = second
        rows = self._seconds.get(second)
        if rows is None:
            if second < self._first or not self._seconds:
                self._first = second
            rows = self._seconds[second] = set()
        rows.add(row)

    def disarm(self, row: Row) -> None:
        """Take the row off the wheel."""
        if row.due:
            self._seconds[row.due].discard(row)
            row.due = 0

    def pop(self, now: float) -> Row | None:
        """Take off and return a row that is due; None when there is none."""
        while self._seconds and self._first <= now:
            rows = self._seconds.get(self._first)
            if rows:
                row = rows.pop()
                row.due = 0
                return row
            self._seconds.pop(self._first, None)
            self._first += 1
        return None


class Age:
    """Messages from the oldest to the newest, for dropping the oldest. What was dropped otherwise stays for a while."""

    __slots__ = ("_messages", "_stale")

    def __init__(self) -> None:
        self._messages: deque[Kept] = deque()
        self._stale = 0

    def __len__(self) -> int:
        return len(self._messages) - self._stale

    def add(self, kept: Kept) -> None:
        """Put the newest at the end."""
        self._messages.append(kept)

    def oldest(self) -> Kept | None:
        """Return the oldest message that is still kept."""
        if self._messages and self._messages[0].row is None:
            self._shed()
        return self._messages[0] if self._messages else None

    def take(self) -> Kept | None:
        """Take off and return the oldest message that is still kept."""
        if self.oldest() is None:
            return None
        return self._messages.popleft()

    def dropped(self) -> None:
        """Some message in here was dropped. Half of what is in here is kept at least."""
        self._stale += 1
        if self._messages[0].row is None:
            self._shed()
        if self._stale > 64 and self._stale > len(self._messages) // 2:
            self._messages = deque(kept for kept in self._messages if kept.row is not None)
            self._stale = 0

    def _shed(self) -> None:
        messages = self._messages
        while messages and messages[0].row is None:
            messages.popleft()
            self._stale -= 1


class Shelf:
    """Rows of one kind.

    Attributes:
        bytes: what they take, with the overhead of messages and rows.
        messages: how many are kept.
        rows: by channel.
        age: those that may be dropped when room is needed, the oldest first.
    """

    def __init__(self, gaps: Gaps) -> None:
        self.bytes = 0
        self.messages = 0
        self.rows: Shards[Row] = Shards()
        self.age = Age()
        self._gaps = gaps
        self._wheel = Wheel()

    def row(self, channel: bytes, now: float) -> Row | None:
        """Return the channel's row without what has run out; None when nothing is kept."""
        row = self.rows.get(channel)
        if row is None or row.soonest > now:
            return row
        self._run_out(row, now)
        return self.rows.get(channel)

    def cost(self, channel: bytes, data: bytes) -> int:
        """Return the bytes that one more message of the channel takes."""
        size = MESSAGE_BYTES + len(data)
        return size if channel in self.rows else size + row_cost(channel)

    def keep(self, offset: int, channel: bytes, data: bytes, ttl_s: float, excused: bool, now: float) -> Kept:
        """Keep the newest message of the log."""
        deadline = now + ttl_s
        row = self.rows.get(channel)
        if row is None:
            row = self.rows[channel] = Row(channel, self._gaps.lost(channel))
            self.bytes += row_cost(channel)
        kept = Kept(offset, data, deadline, EXCUSED if excused else 0, row, ttl_s)
        row.add(kept)
        self.bytes += MESSAGE_BYTES + len(data)
        self.messages += 1
        if deadline < row.soonest:
            row.soonest = deadline
            self._wheel.arm(row, now)
        return kept

    def lose(self, channel: bytes, offset: int) -> None:
        """Remember that a message of the channel is not kept although its publisher wished so."""
        row = self.rows.get(channel)
        if row is None:
            self._gaps.note(channel, offset)
        else:
            row.lost = max(row.lost, offset)

    def drop(self, row: Row, kept: Kept, now: float) -> None:
        """Drop a message of the row before or after its time. The row stays, also an empty one."""
        row.remove(kept)
        self._account_drop(row, kept, now)

    def drop_oldest(self, now: float) -> bool:
        """Drop the oldest message of `age`, and its row when it was the last; tell whether there was one."""
        kept = self.age.oldest()
        if kept is None:
            return False
        row = kept.row
        assert row is not None
        self.drop(row, kept, now)
        if not row.messages:
            self._close(row)
        return True

    def clear(self, row: Row, last: int, most: int, now: float) -> int:
        """Drop the row's oldest messages up to an offset, so many at most; return how many there were."""
        count = 0
        while count < most and row.messages and row.messages[0].offset <= last:
            self.drop(row, row.messages[0], now)
            count += 1
        if not row.messages:
            self._close(row)
        return count

    def withdraw(self, row: Row, kept: Kept, now: float) -> None:
        """Drop a message of the row as if it had never been: it leaves no gap."""
        lost = row.lost
        self.drop(row, kept, now)
        row.lost = lost
        if not row.messages:
            self._close(row)

    def expire(self, now: float, most: int) -> bool:
        """Drop what has run out, up to about so many messages and rows; tell whether that was all."""
        while most > 0:
            row = self._wheel.pop(now)
            if row is None:
                return True
            before = self.messages
            self._run_out(row, now)
            most -= 1 + before - self.messages
        return False

    def _run_out(self, row: Row, now: float) -> None:
        for kept in row.take_run_out(now):
            self._account_drop(row, kept, now)
        if row.messages:
            self._wheel.arm(row, now)
        else:
            self._close(row)

    def _close(self, row: Row) -> None:
        """Take an empty row off the shelf."""
        del self.rows[row.channel]
        self.bytes -= row_cost(row.channel)
        self._wheel.disarm(row)
        if row.lost:
            self._gaps.note(row.channel, row.lost)

    def _account_drop(self, row: Row, kept: Kept, now: float) -> None:
        """Account for a message that is out of its row."""
        self.bytes -= MESSAGE_BYTES + len(kept.data)
        self.messages -= 1
        if kept.offset > row.lost and not (kept.flags & EXCUSED and kept.deadline <= now):
            row.lost = kept.offset
        kept.row = None
        kept.data = b""


def row_cost(channel: bytes) -> int:
    """Return what the channel's row takes, bytes."""
    return ROW_BYTES + len(channel)


def full_cost(channel: bytes, data: bytes) -> int:
    """Return what a message takes together with its row, bytes."""
    return ROW_BYTES + len(channel) + MESSAGE_BYTES + len(data)
