"""The shelf of mailboxes: messages that wait for one client until they were written to a connection of it.

Theory of operation. A message *waits* until a worker has it on its way (`claim`). Then either some worker reports that
it was written, and it waits no more, or all of them return it, and it waits again in its old place. A worker that died
before its report returns it *in doubt*: it waits again, for readers without a position, while a reader that says that
it stands behind it (`acknowledge`) ends the doubt. What was written stays until its time is over, for readers with a
position, and may be dropped when room is needed. What is *open* (waits or is claimed) is never dropped before its time.

A message that ran out or was dropped while it was on its way is gone: reports on it change nothing.
"""

from __future__ import annotations

from megacomet.model.gaps import Gaps
from megacomet.model.message import Message
from megacomet.model.retention import DOUBTFUL, MESSAGE_BYTES, WRITTEN, Kept, Row, Shelf, full_cost, row_cost
from megacomet.model.store import Retention


class Mailboxes(Shelf):
    """Rows of mailboxes; written messages may be dropped, in the order in which they were written.

    Attributes:
        open: messages that wait or are claimed.
        open_bytes: what cannot be given up: these messages and their rows, with their overhead.
        returns: claims that ended without a report that the message was written.
    """

    def __init__(self, gaps: Gaps) -> None:
        super().__init__(gaps)
        self.open = 0
        self.open_bytes = 0
        self.returns = 0

    def full(self, row: Row | None, data: bytes, retention: Retention) -> bool:
        """Tell whether the mailbox has no room for one more message beside what is open in it."""
        most_bytes = retention.data_bytes
        open_messages, open_bytes = (row.waiting + row.claimed, row.open_bytes) if row else (0, 0)
        return open_messages >= retention.messages or bool(most_bytes and open_bytes + len(data) > most_bytes)

    def open_cost(self, channel: bytes, data: bytes) -> int:
        """Return by how much `open_bytes` grows with one more message."""
        row = self.rows.get(channel)
        return MESSAGE_BYTES + len(data) if row and row.waiting + row.claimed else full_cost(channel, data)

    def trim(self, row: Row, data: bytes, retention: Retention, now: float) -> None:
        """Drop written messages of the mailbox, the oldest first, until one more is within its bounds."""
        excess = len(row.messages) + 1 - retention.messages
        excess_bytes = row.data_bytes + len(data) - retention.data_bytes if retention.data_bytes else 0
        if excess <= 0 and excess_bytes <= 0:
            return
        for kept in [kept for kept in row.messages if kept.claims == WRITTEN]:
            if excess <= 0 and excess_bytes <= 0:
                break
            excess -= 1
            excess_bytes -= len(kept.data)
            self.drop(row, kept, now)

    def keep(self, offset: int, channel: bytes, data: bytes, ttl_s: float, excused: bool, now: float) -> Kept:
        kept = super().keep(offset, channel, data, ttl_s, excused, now)
        row = kept.row
        assert row is not None
        self.open += 1
        self.open_bytes += MESSAGE_BYTES + len(data) if row.waiting + row.claimed else full_cost(channel, data)
        row.waiting += 1
        row.open_bytes += len(data)
        return kept

    def waiting(self, channel: bytes, now: float) -> list[Message]:
        """Return what waits in the mailbox and is not claimed, the oldest first."""
        row = self.row(channel, now)
        if row is None or not row.waiting:
            return []
        name = row.channel
        return [Message(kept.offset, name, kept.data) for kept in row.messages if not kept.claims]

    def overdue(self, row: Row, offset: int) -> list[Kept]:
        """Return what waits up to the offset and was surely never written."""
        overdue: list[Kept] = []
        if row.waiting:
            for kept in row.messages:
                if kept.offset > offset:
                    break
                if not kept.claims and not kept.flags & DOUBTFUL:
                    overdue.append(kept)
        return overdue

    def in_flight(self, channel: bytes) -> bool:
        """Tell whether a message of the mailbox is claimed, not written yet, and not returned by all."""
        row = self.rows.get(channel)
        return row is not None and row.claimed > 0

    def claim(self, channel: bytes, offset: int) -> None:
        """One more worker has the message on its way."""
        if found := self._open(channel, offset):
            row, kept = found
            if not kept.claims:
                row.waiting -= 1
                row.claimed += 1
            kept.claims += 1

    def written(self, channel: bytes, offset: int) -> None:
        """The message was written to a connection: it waits no more."""
        if found := self._open(channel, offset):
            row, kept = found
            self._end(row, kept)
            kept.claims = WRITTEN
            self.age.add(kept)

    def returned(self, channel: bytes, offset: int, doubtful: bool) -> None:
        """A claim ended without a report that the message was written."""
        found = self._open(channel, offset)
        if found is None or not found[1].claims:
            return
        row, kept = found
        self.returns += 1
        if doubtful:
            kept.flags |= DOUBTFUL
        kept.claims -= 1
        if not kept.claims:
            row.claimed -= 1
            row.waiting += 1

    def acknowledge(self, channel: bytes, offset: int) -> None:
        """A reader stands at the offset: what waits up to there only in doubt was written."""
        row = self.rows.get(channel)
        if row is None or not row.waiting:
            return
        for kept in row.messages:
            if kept.offset > offset:
                break
            if not kept.claims and kept.flags & DOUBTFUL:
                self.written(channel, kept.offset)

    def _open(self, channel: bytes, offset: int) -> tuple[Row, Kept] | None:
        """Return the message, and its row, when it waits or is claimed."""
        row = self.rows.get(channel)
        if row is None or not row.waiting + row.claimed:
            return None
        kept = row.find(offset)
        return None if kept is None or kept.claims == WRITTEN else (row, kept)

    def _end(self, row: Row, kept: Kept) -> None:
        """The message is open no more."""
        if kept.claims:
            row.claimed -= 1
        else:
            row.waiting -= 1
        row.open_bytes -= len(kept.data)
        self.open -= 1
        self.open_bytes -= MESSAGE_BYTES + len(kept.data)
        if not row.waiting + row.claimed:
            self.open_bytes -= row_cost(row.channel)

    def _account_drop(self, row: Row, kept: Kept, now: float) -> None:
        was_written = kept.claims == WRITTEN
        if not was_written:
            self._end(row, kept)
        super()._account_drop(row, kept, now)
        if was_written:
            self.age.dropped()
