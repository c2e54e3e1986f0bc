"""The shelf of channels: what was said lately. It is a cache, and the oldest goes first when room is needed."""

from __future__ import annotations

from megacomet.model.retention import Kept, Row, Shelf
from megacomet.model.store import Retention


class History(Shelf):
    """Rows of channels; all their messages may be dropped."""

    def keep(self, offset: int, channel: bytes, data: bytes, ttl_s: float, excused: bool, now: float) -> Kept:
        kept = Shelf.keep(self, offset, channel, data, ttl_s, excused, now)
        self.age.add(kept)
        return kept

    def drop_oldest(self, now: float) -> bool:
        kept = self.age.take()
        if kept is None:
            return False
        row = kept.row
        assert row is not None
        row.remove(kept)
        Shelf._account_drop(self, row, kept, now)
        if not row.messages:
            self._close(row)
        return True

    def trim(self, row: Row, data: bytes, retention: Retention, now: float) -> None:
        """Make room in the row for one more message within the channel's own bounds."""
        messages = row.messages
        while len(messages) >= retention.messages:
            self.drop(row, messages[0], now)
        if retention.data_bytes:
            while messages and row.data_bytes + len(data) > retention.data_bytes:
                self.drop(row, messages[0], now)

    def _account_drop(self, row: Row, kept: Kept, now: float) -> None:
        Shelf._account_drop(self, row, kept, now)
        self.age.dropped()
