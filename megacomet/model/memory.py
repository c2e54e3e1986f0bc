"""The message store in the manager's memory: one log, its retention, gaps, mailboxes and idempotency keys.

What it may take is bounded by `max_bytes`, which counts the overhead of Python objects too. Who gives way to whom:

    history of channels      gives way to everything, the oldest first; gaps are told
    written mailbox messages give way to mailboxes and keys, in the order in which they were written; gaps are told
    what waits in mailboxes  never gives way; together with the written at most half of the bound, then `store-full`
    keys                     never give way within their window; without room for its key a publication is refused

A channel message for which there is no room goes through the feed unkept: live delivery goes on when the store is full.

Nothing survives the process: the next one has another epoch. The feed runs inside `append`, and `append` is not to be
called from the feed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from typing import Final

from zope.interface import implementer

from megacomet.errors import Refused
from megacomet.model.gaps import Gaps
from megacomet.model.history import History
from megacomet.model.idempotency import Keys
from megacomet.model.idempotency import cost as key_cost
from megacomet.model.listing import Listing, Span
from megacomet.model.mailboxes import Mailboxes
from megacomet.model.message import Appended, Message, Publication
from megacomet.model.position import OLDEST, Since
from megacomet.model.retention import MESSAGE_BYTES, WRITTEN, Kept, Row, Shelf, by_offset, full_cost
from megacomet.model.store import Held, IMessageStore, Missed, Past, PastMessage, Retention
from megacomet.names import MAILBOX_NAMESPACE, is_mailbox, namespace_of

#: Messages and keys that one `expire` drops: about 5 ms. What is left makes each `append` drop a few, and waits for the
#: next call. Until then it is counted, but no reader gets it.
EXPIRED_A_CALL: Final = 4000
EXPIRED_AN_APPEND: Final = 3


@implementer(IMessageStore)
class MemoryStore:
    """An ordered log of messages in memory.

    Args:
        epoch: of this log, see the interface.
        retention: gives the retention of a namespace; asked with every message.
        max_bytes: all that is kept, with its overhead in memory.
        key_window_s: how long an idempotency key is known, seconds. 300: longer than a publisher's retries last.
    """

    def __init__(
        self,
        epoch: bytes,
        retention: Callable[[bytes], Retention],
        max_bytes: int,
        key_window_s: float = 300.0,
    ) -> None:
        self.epoch = epoch
        self.head = 0
        self.refused: Counter[str] = Counter()
        self._retention = retention
        self._max_bytes = max_bytes
        self._gaps = Gaps()
        self._history = History(self._gaps)
        self._mailboxes = Mailboxes(self._gaps)
        self._keys = Keys(key_window_s)
        self._takers: list[Callable[[Message, bool, object], None]] = []
        self._behind = False

    def feed(self, take: Callable[[Message, bool, object], None]) -> None:
        """See `IMessageStore.feed`."""
        self._takers.append(take)

    def unfeed(self, take: Callable[[Message, bool, object], None]) -> None:
        """See `IMessageStore.unfeed`."""
        self._takers.remove(take)

    # -- writing

    def append(
        self,
        publication: Publication,
        now: float,
        done: Callable[[Appended | Refused], None],
        note: object = None,
    ) -> None:
        """See `IMessageStore.append`."""
        key = publication.key
        if key is not None:
            first = self._keys.recall(key, now)
            if first is not None:
                done(first)
                return
        if self._behind:
            self._behind = not self._work_off(now, EXPIRED_AN_APPEND)
        outcome = self._place(publication, 0 if key is None else key_cost(key), now)
        if isinstance(outcome, Refused):
            self.refused[outcome.code] += 1
            done(outcome)
            return
        offset = self.head = self.head + 1
        if key is not None:
            self._keys.remember(key, offset, outcome, now)
        message = Message(offset, publication.channel, publication.data)
        for take in self._takers:
            take(message, outcome, note)
        done(Appended(offset, outcome))

    def _place(self, publication: Publication, key_bytes: int, now: float) -> bool | Refused:
        """Keep the publication as the log's next message, with room for its key; return whether it is kept."""
        channel = publication.channel
        namespace = namespace_of(channel)
        retention = self._retention(namespace)
        ttl_s = retention.ttl_s if publication.ttl_s is None else publication.ttl_s
        wanted = ttl_s > 0 and retention.ttl_s > 0 and retention.messages > 0
        shelf: Shelf = self._history
        if wanted and namespace == MAILBOX_NAMESPACE:
            shelf = self._mailboxes
            refused = self._room_in_mailboxes(channel, publication.data, retention, key_bytes, now)
            if refused is not None:
                return refused
        elif key_bytes and not self._room_for_key(key_bytes, now):
            return Refused("store-full", "the idempotency keys and what waits in mailboxes fill the store")
        elif not wanted:
            return False
        elif not self._room_in_history(channel, publication.data, retention, key_bytes, now):
            shelf.lose(channel, self.head + 1)
            return False
        shelf.keep(self.head + 1, channel, publication.data, ttl_s, ttl_s < retention.ttl_s, now)
        return True

    def _room_in_history(self, channel: bytes, data: bytes, retention: Retention, key_bytes: int, now: float) -> bool:
        """Drop history for one more message of the channel; False, and nothing is dropped, when that cannot do."""
        history = self._history
        row = history.row(channel, now)
        most = self._max_bytes - self._mailboxes.bytes - self._keys.bytes - key_bytes
        alone, full = MESSAGE_BYTES + len(data), full_cost(channel, data)
        if full > most or (retention.data_bytes and len(data) > retention.data_bytes):
            return False
        if row is not None:
            history.trim(row, data, retention, now)
        if history.bytes + full <= most:
            return True
        # What is dropped may be the last of this very channel; then the new message needs a row as well.
        while history.bytes + (alone if row is not None and row.messages else history.cost(channel, data)) > most:
            history.drop_oldest(now)
        return True

    def _room_in_mailboxes(
        self, channel: bytes, data: bytes, retention: Retention, key_bytes: int, now: float
    ) -> Refused | None:
        """Drop what gives way to one more message in the mailbox; return why that cannot do, and drop nothing then."""
        mailboxes = self._mailboxes
        row = mailboxes.row(channel, now)
        if mailboxes.full(row, data, retention):
            return Refused("mailbox-full", "what waits in the mailbox fills it")
        full = full_cost(channel, data)
        ample = mailboxes.bytes + full <= self._max_bytes // 2 and self._bytes() + full + key_bytes <= self._max_bytes
        if not ample and not self._mailbox_fits(channel, data, key_bytes):
            self._behind = not self._work_off(now, EXPIRED_A_CALL)
            if not self._mailbox_fits(channel, data, key_bytes):
                return Refused("store-full", "what waits in mailboxes fills its part of the store")
        if row is not None:
            mailboxes.trim(row, data, retention, now)
        if ample:
            return None
        while mailboxes.bytes + mailboxes.cost(channel, data) > self._max_bytes // 2:
            mailboxes.drop_oldest(now)
        while self._bytes() + mailboxes.cost(channel, data) + key_bytes > self._max_bytes:
            self._give_way(now)
        return None

    def _mailbox_fits(self, channel: bytes, data: bytes, key_bytes: int) -> bool:
        """Tell whether one more message fits beside what never gives way."""
        open_bytes = self._mailboxes.open_bytes + self._mailboxes.open_cost(channel, data)
        return open_bytes <= self._max_bytes // 2 and open_bytes + self._keys.bytes + key_bytes <= self._max_bytes

    def _room_for_key(self, key_bytes: int, now: float) -> bool:
        """Drop what gives way to one more key; False, and nothing is dropped, when that cannot do."""
        if self._mailboxes.open_bytes + self._keys.bytes + key_bytes > self._max_bytes:
            self._behind = not self._work_off(now, EXPIRED_A_CALL)
            if self._mailboxes.open_bytes + self._keys.bytes + key_bytes > self._max_bytes:
                return False
        while self._bytes() + key_bytes > self._max_bytes:
            self._give_way(now)
        return True

    def _give_way(self, now: float) -> None:
        if not self._history.drop_oldest(now):
            self._mailboxes.drop_oldest(now)

    def _bytes(self) -> int:
        return self._history.bytes + self._mailboxes.bytes + self._keys.bytes

    def answered(self, key: bytes, status: str) -> None:
        """See `IMessageStore.answered`."""
        self._keys.answered(key, status)

    # -- reading

    def read(
        self,
        channels: Sequence[bytes],
        since: Since,
        limit: int,
        max_bytes: int,
        now: float,
        done: Callable[[Missed], None],
    ) -> None:
        """See `IMessageStore.read`. The bytes of `max_bytes` are those of the data."""
        start, told_from = self._start(since)
        found: list[Kept] = []
        gaps = []
        for channel in dict.fromkeys(channels):
            row = self._row(channel, now)
            if self._is_gap(channel, row, told_from):
                gaps.append(channel)
            if row is not None:
                if start and is_mailbox(channel):
                    found += self._mailboxes.overdue(row, start)
                found += row.after(start, limit + 1)
        found.sort(key=by_offset)
        messages = [Message(kept.offset, _row_of(kept).channel, kept.data) for kept in _cut(found, limit, max_bytes)]
        done(Missed(messages, self.head, gaps, len(messages) < len(found), told_from < 0))

    def _start(self, since: Since) -> tuple[int, int]:
        """Return after which offset messages are given, and above which one a loss is a gap (-1: it always is)."""
        if since == OLDEST:
            return 0, self.head
        if since.epoch != self.epoch or not 0 <= since.offset <= self.head:
            return 0, -1
        return since.offset, since.offset

    def _row(self, channel: bytes, now: float) -> Row | None:
        return (self._mailboxes if is_mailbox(channel) else self._history).row(channel, now)

    def _is_gap(self, channel: bytes, row: Row | None, told_from: int) -> bool:
        return told_from < (self._gaps.lost(channel) if row is None else row.lost)

    # -- looking and clearing

    def held(self, channel: bytes, now: float) -> Held:
        """See `IMessageStore.held`."""
        row = self._row(channel, now)
        return Held(0, 0) if row is None else Held(len(row.messages), row.waiting + row.claimed)

    def history(
        self,
        channel: bytes,
        since: Since | None,
        limit: int,
        max_bytes: int,
        now: float,
        done: Callable[[Past], None],
        *,
        before: int | None = None,
        newest_first: bool = False,
    ) -> None:
        """See `IMessageStore.history`."""
        row = self._row(channel, now)
        start, told_from = self._start(since or OLDEST)
        kept: Iterable[Kept] = ()
        if row is not None:
            kept = row.between(start, before, newest_first=newest_first)
        if since is None and is_mailbox(channel):
            kept = (kept for kept in kept if kept.claims != WRITTEN)
        found = list(islice(kept, limit + 1))
        given = _cut(found, limit, max_bytes)
        messages = [PastMessage(kept.offset, kept.data, kept.published) for kept in given]
        done(Past(messages, self.head, self._is_gap(channel, row, told_from), len(given) < len(found)))

    def clear(self, channel: bytes, last: int, most: int, now: float) -> int:
        """See `IMessageStore.clear`."""
        shelf = self._mailboxes if is_mailbox(channel) else self._history
        row = shelf.row(channel, now)
        return 0 if row is None else shelf.clear(row, last, most, now)

    def withdraw(self, channel: bytes, offset: int, now: float) -> bool:
        """See `IMessageStore.withdraw`."""
        row = self._history.row(channel, now)
        kept = None if row is None else row.find(offset)
        if row is None or kept is None:
            return False
        self._history.withdraw(row, kept, now)
        return True

    def listing(self, span: Span, limit: int) -> Listing:
        """See `IMessageStore.listing`."""
        shelves = (self._history, self._mailboxes) if span.has_mailboxes else (self._history,)
        return Listing(span, limit, chain.from_iterable(shelf.rows.parts() for shelf in shelves))

    # -- mailboxes

    def acknowledge(self, channel: bytes, since: Since) -> None:
        """See `IMessageStore.acknowledge`."""
        if since.epoch == self.epoch and since.offset <= self.head:
            self._mailboxes.acknowledge(channel, since.offset)

    def waiting(self, channel: bytes, now: float) -> list[Message]:
        """See `IMessageStore.waiting`."""
        return self._mailboxes.waiting(channel, now)

    def in_flight(self, channel: bytes) -> bool:
        """See `IMessageStore.in_flight`."""
        return self._mailboxes.in_flight(channel)

    def claim(self, channel: bytes, offset: int) -> None:
        """See `IMessageStore.claim`."""
        self._mailboxes.claim(channel, offset)

    def written(self, channel: bytes, offset: int) -> None:
        """See `IMessageStore.written`."""
        self._mailboxes.written(channel, offset)

    def returned(self, channel: bytes, offset: int, doubtful: bool = False) -> None:
        """See `IMessageStore.returned`."""
        self._mailboxes.returned(channel, offset, doubtful)

    # -- time

    def expire(self, now: float) -> None:
        """See `IMessageStore.expire`; to be called each second. Does a bounded amount of work."""
        self._behind = not self._work_off(now, EXPIRED_A_CALL)

    def _work_off(self, now: float, most: int) -> bool:
        """Drop about so many messages and keys that are past their time; tell whether that was all."""
        done = self._history.expire(now, most)
        done = self._mailboxes.expire(now, most) and done
        return self._keys.expire(now, most) and done

    @property
    def repeats(self) -> int:
        """How many publications were answered as the first with their key."""
        return self._keys.repeats

    @property
    def returns(self) -> int:
        """How many claims of messages of mailboxes ended without their having been written."""
        return self._mailboxes.returns

    @property
    def max_bytes(self) -> int:
        """What all that is kept may take."""
        return self._max_bytes

    def counts(self) -> dict[str, int]:
        """See `IMessageStore.counts`."""
        return {
            "messages": self._history.messages + self._mailboxes.messages,
            "bytes": self._bytes(),
            "channels": len(self._history.rows) + len(self._mailboxes.rows),
            "waiting": self._mailboxes.open,
        }


def _row_of(kept: Kept) -> Row:
    assert kept.row is not None
    return kept.row


def _cut(found: list[Kept], limit: int, max_bytes: int) -> list[Kept]:
    """Return the first messages within the bounds, one at least when there is one."""
    size = 0
    for n, kept in enumerate(found):
        size += len(kept.data)
        if n and (n >= limit or size > max_bytes):
            return found[:n]
    return found
