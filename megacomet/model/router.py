"""The manager's rules: every message gets its position, and goes to the workers that have a listener.

Theory of operation. A publication goes into the store; what the store's feed brings, in the log's order, goes to the
links of the workers that the directory names. Everything for a worker is one ordered stream, so a join's page, made
in one instant, stands exactly between what is in it and what comes live.

A message of a mailbox is claimed for each worker that it is handed to, and waits again when all have returned it. Two
rules keep its order: while a message of a mailbox is on its way, nobody who asks from now on is let in (the request is
*deferred* until all have reported); and while messages wait, later ones wait behind them, one is handed out at a time.

It knows links by their `send` only; time is an argument, in seconds of a monotonic clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import attrs

from megacomet.errors import Refused
from megacomet.model.directory import Directory
from megacomet.model.message import Appended, Message, Publication, Published
from megacomet.model.polls import ANSWER_BYTES
from megacomet.model.position import parse_since
from megacomet.model.receipts import Counting, Outcome, Receipt, Token
from megacomet.model.replies import Replies
from megacomet.model.rollouts import Rollouts
from megacomet.model.store import IMessageStore, Missed
from megacomet.model.ways import ILink, tell_all
from megacomet.names import EVERYONE, is_mailbox
from megacomet.wire import frames
from megacomet.wire.cutoff import CutOff

#: The directory forgets a dead worker's entries in so many buckets a call of `expire`.
SWEEP_BUCKETS = 1024


@attrs.frozen
class Join:
    """A request to join that waits for messages of its mailbox to be settled."""

    link: ILink
    number: int
    limit: int
    channels: list[bytes]


class Router:
    """Who publishes, who listens, and the store in between.

    Attributes:
        published: messages that went through the log since the start, by status.
        rollouts: told how far workers are with messages that are paced.
    """

    def __init__(self, store: IMessageStore, directory: Directory) -> None:
        self._store = store
        self._directory = directory
        self._links: dict[int, ILink] = {}
        self._slots: dict[ILink, int] = {}
        self._deferred: dict[bytes, list[ILink | Join]] = {}
        self._unread: dict[ILink, deque[frames.Frame]] = {}
        self._status: dict[int, str] = {}
        self._counting = Counting()
        self.rollouts = Rollouts()
        self._now = 0.0
        self._replies = Replies(store, self.publish)
        self.published = dict.fromkeys(("sent", "queued", "unheard"), 0)
        store.feed(self._feed)

    @property
    def epoch(self) -> bytes:
        """The log's epoch."""
        return self._store.epoch

    @property
    def head(self) -> int:
        """The offset of the last message that was handed out."""
        return self._store.head

    # -- publishing

    def publish(
        self,
        publication: Publication,
        now: float,
        done: Callable[[Published | Refused], None],
        receipt: Receipt | None = None,
    ) -> None:
        """Publish to one channel.

        Args:
            publication: what and where to.
            now: seconds.
            done: called once, when the message is safe and handed out, or refused.
            receipt: counts the connections written to; nothing is reported of what is refused or repeated. That of a
                `Rollout` has the message paced.
        """

        def appended(outcome: Appended | Refused) -> None:
            if isinstance(outcome, Refused):
                done(outcome)
            elif outcome.repeated:
                done(Published(outcome.offset, outcome.status, repeated=True))
            else:
                status = self._status.pop(outcome.offset)
                if publication.key is not None:
                    self._store.answered(publication.key, status)
                done(Published(outcome.offset, status))

        self._now = now
        self._store.append(publication, now, appended, receipt)

    def _feed(self, message: Message, kept: bool, receipt: object) -> None:
        """Hand a message of the log to the workers that have a listener."""
        assert receipt is None or isinstance(receipt, Receipt)
        slots = self._listening(message.channel, kept)
        for slot in slots:
            self._hand(self._links[slot], message, kept, receipt)
        if receipt is not None:
            receipt.reported(0)
        status = self._status[message.offset] = "sent" if slots else "queued" if kept else "unheard"
        self.published[status] += 1

    def _listening(self, channel: bytes, kept: bool) -> list[int]:
        """Return the slots that a new message goes to."""
        if channel == EVERYONE:
            return [slot for slot, link in self._links.items() if link.listening]
        slots = self._directory.slots(channel)
        if not slots:
            return slots
        slots = [slot for slot in slots if slot in self._links]
        # What waits goes first: the new one is among it when it is kept.
        if slots and is_mailbox(channel) and len(self._store.waiting(channel, self._now)) > kept:
            if not self._store.in_flight(channel):
                self._hand_oldest(channel)
            return []
        return slots

    def _hand(self, link: ILink, message: Message, kept: bool, receipt: Receipt | None) -> None:
        claims = kept and is_mailbox(message.channel)
        if claims:
            self._store.claim(message.channel, message.offset)
        if receipt is not None:
            receipt.handed()
        token = Token(message.channel, message.offset if claims else 0, receipt) if claims or receipt else None
        flags = 0 if receipt is None else receipt.flags
        link.send(
            frames.encode(
                frames.MESSAGE, flags=flags, offset=message.offset, channel=message.channel, data=message.data
            ),
            token,
        )

    def cut_off(self, mailbox: bytes, cut: CutOff, done: Callable[[int], None]) -> None:
        """End the connections of a client, wherever they are; `done` is told how many there were.

        Every worker is told: the client may be kept out, and comes to any of them.
        """
        flags = frames.RECONNECT if cut.reconnect else 0
        record = frames.encode(frames.CUT_OFF, flags=flags, number=cut.code, offset=cut.block_s, channel=mailbox)
        tell_all(self._links.values(), record, done)

    def pause(self, offset: int, done: Callable[[int], None]) -> None:
        """Have a message that is paced go to nobody for now; `done` is called when all workers know."""
        tell_all(self._links.values(), frames.encode(frames.PACE, offset=offset), done)

    def withdraw(self, channel: bytes, offset: int, now: float, done: Callable[[int], None]) -> None:
        """Take back a message that is paced; `done` is called when it is written to nobody any more."""
        self._store.withdraw(channel, offset, now)
        record = frames.encode(frames.PACE, flags=frames.WITHDRAWN, offset=offset)
        tell_all(self._links.values(), record, done)

    # -- workers

    def listeners(self, channel: bytes) -> set[ILink]:
        """Return the links of the workers that may have a listener, also of those that are still to be let in."""
        slots = self._links if channel == EVERYONE else self._directory.slots(channel)
        to_be_let_in = {r.link if isinstance(r, Join) else r for r in self._deferred.get(channel, ())}
        return {self._links[slot] for slot in slots if slot in self._links} | to_be_let_in

    def attach(self, link: ILink) -> None:
        """A worker's link stands; nothing listens there until it says so."""
        slot = self._directory.take_slot()
        self._links[slot] = link
        self._slots[link] = slot

    def detach(self, link: ILink, unanswered: Iterable[Token], now: float) -> None:
        """A worker's link is lost; what it had not answered may or may not have been written."""
        slot = self._slots.pop(link)
        del self._links[slot]
        self._unread.pop(link, None)
        self._counting.lost(link)
        self.rollouts.lost(link)
        self._directory.drop(slot)
        for channel in list(self._deferred):
            self._forget_deferred(channel, link)
        for token in unanswered:
            if token.receipt is not None:
                token.receipt.reported(0)
            if token.offset:
                self._store.returned(token.channel, token.offset, doubtful=True)
                self._resolve(token.channel, now)

    def received(self, link: ILink, blob: bytes, now: float) -> None:
        """Take the records of a worker: who listens, who listens no more, who joins.

        Raises:
            ValueError: the worker does not speak this protocol.
        """
        self._now = now
        slot = self._slots[link]
        for frame in frames.decode(blob):
            if frame.kind == frames.WANT:
                self._want(link, slot, frame.channel)
            elif frame.kind == frames.LEAVE:
                self._directory.remove(frame.channel, slot)
                if frame.channel in self._deferred:
                    self._forget_deferred(frame.channel, link)
            elif frame.kind == frames.JOIN:
                self._join(link, frame)
            elif frame.kind == frames.HISTORY:
                self._replies.history(self._sender(link), frame, now)
            elif frame.kind == frames.PUBLISH:
                self._replies.publish(self._sender(link), frame, now)
            elif frame.kind == frames.COUNTED:
                self._counting.counted(link, frame.offset, frame.number)
            elif frame.kind == frames.PROGRESS:
                self.rollouts.told(link, frame)
            else:
                raise ValueError(f"a worker sent a record of kind {frame.kind}")

    def _sender(self, link: ILink) -> Callable[[bytes], None]:
        """Return what sends a record to a worker as long as its link stands."""

        def send(record: bytes) -> None:
            if link in self._slots:
                link.send(record, None)

        return send

    def _want(self, link: ILink, slot: int, channel: bytes) -> None:
        if is_mailbox(channel) and self._store.in_flight(channel):
            self._deferred.setdefault(channel, []).append(link)
            return
        self._directory.add(channel, slot)
        if is_mailbox(channel):
            self._hand_oldest(channel)

    def _hand_oldest(self, channel: bytes) -> None:
        """Hand the oldest message that waits in a mailbox to all that listen; the next goes when it is settled."""
        waiting = self._store.waiting(channel, self._now)
        if waiting:
            for slot in self._directory.slots(channel):
                if slot in self._links:
                    self._hand(self._links[slot], waiting[0], True, None)

    def settled(self, link: ILink, token: Token, outcome: Outcome, now: float) -> None:
        """A worker has reported on a record.

        Args:
            link: the worker's.
            token: of the record.
            outcome: what it reported.
            now: seconds.
        """
        self._now = now
        if outcome.later and token.receipt is not None:
            self._counting.later(link, outcome.later, token.receipt)
        elif token.receipt is not None:
            token.receipt.reported(outcome.connections)
        if not token.offset:
            return
        if outcome.written:
            self._store.written(token.channel, token.offset)
        else:
            self._store.returned(token.channel, token.offset)
        self._resolve(token.channel, now, hand=outcome.written)

    def _resolve(self, channel: bytes, now: float, *, hand: bool = False) -> None:
        """Nothing of a mailbox may be on its way any more: let in who had to wait, hand out the next."""
        self._now = now
        while not self._store.in_flight(channel):
            if channel not in self._deferred:
                if hand:
                    self._hand_oldest(channel)
                return
            self._let_in(channel)

    def _let_in(self, channel: bytes) -> None:
        """Grant the oldest deferred request, and with a plain one all plain ones behind it."""
        deferred = self._deferred.pop(channel)
        rest: list[ILink | Join] = []
        if isinstance(deferred[0], Join):
            rest = deferred[1:]
            self._join_from_now(deferred[0])
        else:
            for request in deferred:
                if isinstance(request, Join):
                    rest.append(request)
                else:
                    self._directory.add(channel, self._slots[request])
            self._hand_oldest(channel)
        if rest:
            self._deferred[channel] = rest + self._deferred.get(channel, [])

    def _forget_deferred(self, channel: bytes, link: ILink) -> None:
        """A worker that left, or died, is not let in by what it asked for before."""
        rest = [r for r in self._deferred[channel] if (r.link if isinstance(r, Join) else r) is not link]
        if rest:
            self._deferred[channel] = rest
        else:
            del self._deferred[channel]

    # -- joins

    def _join(self, link: ILink, frame: frames.Frame) -> None:
        channels = frames.decode_names(frame.data)
        if parse_since(frame.channel) is None:
            self._join_from_now(Join(link, frame.number, frame.offset, channels))
            return
        self._enter(link, channels)
        self._unread.setdefault(link, deque()).append(frame)
        self.read_on(link, self._now)

    def read_on(self, link: ILink, now: float) -> None:
        """Read what those missed who come back, in their order, as long as the link has room.

        While a join waits here its connection is given nothing else: what is published meanwhile will be in its page.
        """
        self._now = now
        unread = self._unread.get(link)
        while unread and link.has_room:
            self._read(link, unread.popleft(), now)

    def _read(self, link: ILink, frame: frames.Frame, now: float) -> None:
        channels = frames.decode_names(frame.data)
        since = parse_since(frame.channel)
        assert since is not None
        for channel in channels:
            if is_mailbox(channel):
                self._store.acknowledge(channel, since)

        def done(missed: Missed) -> None:
            # What was asked for is in doubt as a whole; that `*` is too says more only where nothing was asked for.
            if missed.is_foreign and channels:
                missed = attrs.evolve(missed, gaps=channels)
            if link in self._slots:
                self._page(link, frame.number, missed)

        # Every connection hears the channel of everyone, so what it missed of it is in its first page.
        everyone = [] if frame.flags & frames.LATE else [EVERYONE]
        self._store.read([*channels, *everyone], since, frame.offset, ANSWER_BYTES, now, done)

    def _join_from_now(self, join: Join) -> None:
        """Channels start now; mailboxes give what waits, unless some of it is on its way to somebody."""
        mailboxes = [c for c in join.channels if is_mailbox(c)]
        for channel in mailboxes:
            if self._store.in_flight(channel):
                self._deferred.setdefault(channel, []).append(join)
                return
        self._enter(join.link, join.channels)
        waiting = sorted(m for channel in mailboxes for m in self._store.waiting(channel, self._now))
        taken, total = 0, 0
        for message in waiting:
            total += len(message.data)
            if taken and (taken >= join.limit or total > ANSWER_BYTES):
                break
            taken += 1
        self._page(join.link, join.number, Missed(waiting[:taken], self._store.head, [], taken < len(waiting)))

    def _enter(self, link: ILink, channels: Iterable[bytes]) -> None:
        slot = self._slots[link]
        for channel in channels:
            self._directory.add(channel, slot)

    def _page(self, link: ILink, number: int, missed: Missed) -> None:
        for m in missed.messages:
            token = None
            if is_mailbox(m.channel):
                self._store.claim(m.channel, m.offset)
                token = Token(m.channel, m.offset, None)
            page = frames.encode(frames.PAGE, number=number, offset=m.offset, channel=m.channel, data=m.data)
            link.send(page, token)
        flags, gaps = frames.MORE if missed.more else 0, frames.encode_names(missed.gaps)
        link.send(frames.encode(frames.PAGE_END, flags=flags, number=number, offset=missed.head, data=gaps), None)

    # -- time

    def expire(self, now: float) -> None:
        """Once a second: drop what is past its time, forget more of the workers that died."""
        self._now = now
        self._store.expire(now)
        self._directory.sweep(SWEEP_BUCKETS)
