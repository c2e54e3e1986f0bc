"""The worker's rules: which connection gets which message, in which order, and what the manager is told of it.

Theory of operation. A connection that waits is a row: a plain mailbox poll is its channel's name, everything else a
`Session`. The manager's boxes are worked off one after the other, each in two passes: the first reads all records and
notes for each connection what it gets, the second answers the connections in slices. The head moves on when a box is
worked off, so a position that is told never passes a message that is still on its way to a row.

A session is *joining* until its page has come: live messages pass it by, because they are in the page. What the page
says comes through the same ordered stream, so there is no in-between.

A message of a mailbox that finds nobody is returned, and waits in the manager again. From then on later ones of that
mailbox must not overtake it: the channel is *held* for plain polls until the manager has said (by the number of the
last box whose answer it has read) that it knows; until then they are returned as well.

It knows no descriptors' meaning, no sockets and no clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from megacomet.model.announcements import Announcements
from megacomet.model.position import format_position, parse_since
from megacomet.model.row_keys import IRowKeys
from megacomet.model.session import Session
from megacomet.model.subscriptions import Subscriptions
from megacomet.names import EVERYONE
from megacomet.wire import frames

#: A poll's answer takes no more messages after so many bytes of data (the wire contract, section 5).
ANSWER_BYTES = 1_000_000
#: What `_paged` would say of a row that got no page in this box.
_LIVE: tuple[list[bytes], int] = ([], 0)


class IAnswers(Protocol):
    """Writes answers to connections."""

    def answer(
        self,
        fd: int,
        key: bytes | Session,
        messages: list[tuple[bytes, bytes, bytes]],
        position: bytes,
        gaps: list[bytes],
    ) -> bool:
        """Answer the poll that waits on a descriptor; its row is no longer the hub's.

        Args:
            messages: (channel, id, data) in order; empty when it timed out.
            position: what the connection may resume from; b"" when it was never looked at, so there is none.
            gaps: channels of which something was missed.

        Returns:
            Whether the answer was written, or taken over to be written.
        """


class Entry(NamedTuple):
    """One message on its way to rows: the index of its record in the box and what a connection is given of it."""

    record: int
    channel: bytes
    id: bytes
    data: bytes
    offset: int


class Box(NamedTuple):
    """What came down the link at once."""

    number: int
    head: int
    answered: int
    blob: bytes


class Hub:
    """The listeners of one worker.

    Attributes:
        keys: one row a descriptor; shared with the parking lot.
        epoch: of the manager's log.
        head: everything up to it that concerns this worker was handed to its connections.
    """

    def __init__(self, keys: IRowKeys, answers: IAnswers) -> None:
        self.keys = keys
        self.epoch = b""
        self.head = 0
        self._answers = answers
        self._listeners = Subscriptions(keys)
        self._told = Announcements(keys, self._listeners)
        self._held: dict[bytes, int] = {}
        self._boxes: deque[Box] = deque()
        self._box: Box | None = None
        self._pending: dict[int, tuple[Entry, ...]] = {}
        self._due: Iterator[int] | None = None
        #: joins whose page came in this box: descriptor -> channels with a gap, position if the limit cut it off
        self._paged: dict[int, tuple[list[bytes], int]] = {}
        self._unwritten: dict[int, bytes] = {}
        self._counts: dict[int, int] = {}

    # -- rows come and go

    def park_mailbox(self, fd: int, channel: bytes) -> None:
        """Let a plain poll wait for the next message of its mailbox; what waits there comes as a message too."""
        self.keys[fd] = channel
        self._told.listen(channel, fd)

    def park_session(self, fd: int, session: Session) -> None:
        """Let a session wait; it is answered from the page of its join, or live after it."""
        self.keys[fd] = session
        for channel in session.channels:
            self._told.listen(channel, fd)
        self._told.join(fd, session)

    def leave(self, fd: int) -> None:
        """The connection is gone or was answered: its row is free again. A free row may be left again."""
        key = self.keys[fd]
        if key is None:
            return
        self.keys[fd] = None
        self._pending.pop(fd, None)
        if not isinstance(key, Session):
            self._told.unlisten(key, fd)
            return
        self._paged.pop(fd, None)
        if key.join:
            self._told.give_up(key.join)
        for channel in key.channels:
            self._told.unlisten(channel, fd)

    def expire(self, fd: int) -> None:
        """The poll's time is over: it gets what is at hand, else an empty answer."""
        if fd in self._pending:
            self._answer(fd)
        elif self.keys[fd] is not None:
            self._answer_empty(fd)

    def waiting(self) -> list[int]:
        """Return the descriptors of all rows that wait."""
        return [fd for fd, key in enumerate(self.keys) if key is not None]

    @property
    def channels(self) -> int:
        """How many channels have a listener here."""
        return len(self._listeners)

    # -- what the manager is told

    def outgoing(self) -> list[bytes]:
        """Return the records for the manager that were gathered since the last call."""
        return self._told.outgoing()

    def linked(self, epoch: bytes, head: int) -> list[bytes]:
        """A link to a manager stands: return the records that tell it everything that listens here."""
        self.epoch, self.head = epoch, head
        return self._told.everything()

    def unlinked(self) -> None:
        """The link is lost: what was not worked off is the manager's again, every session will join anew."""
        for key in self.keys:
            if isinstance(key, Session) and not key.join:
                key.since = format_position(self.epoch, max(self.head, key.floor))
        self._boxes.clear()
        self._pending.clear()
        self._unwritten.clear()
        self._counts.clear()
        self._paged.clear()
        self._held.clear()
        self._told.clear()
        self._box = self._due = None

    # -- what the manager sends

    def received(self, box: Box) -> None:
        """Queue a box; `work` works it off."""
        self._boxes.append(box)

    @property
    def busy(self) -> bool:
        """Whether there is something to work off."""
        return self._box is not None or bool(self._boxes)

    def work(self, out_of_time: Callable[[], bool]) -> list[bytes]:
        """Work boxes off, in order, until there is none or `out_of_time` says so.

        Returns:
            The results of the boxes that ended, in order, for their answers. `outgoing` is to be sent before them.
        """
        results = []
        while self.busy:
            if self._box is None:
                self._begin(self._boxes.popleft())
            if not self._answer_due(out_of_time):
                break
            results.append(self._finish())
            if out_of_time():
                break
        return results

    def _begin(self, box: Box) -> None:
        self._box = box
        if self._held:
            self._held = {channel: number for channel, number in self._held.items() if number > box.answered}
        for index, frame in enumerate(frames.decode(box.blob)):
            if frame.kind == frames.MESSAGE:
                self._message(index, frame)
            elif frame.kind == frames.PAGE:
                self._page(index, frame)
            elif frame.kind == frames.PAGE_END:
                self._page_end(frame)
            else:
                raise ValueError(f"a record of kind {frame.kind} has no business in a box")
        self._due = iter(list(self._pending))

    def _message(self, index: int, frame: frames.Frame) -> None:
        channel = frame.channel
        entry = Entry(index, channel, format_position(self.epoch, frame.offset), frame.data, frame.offset)
        if frame.flags & frames.WANTS_RECEIPT:
            self._counts[index] = 0
        given = (entry,)  # one object for all that get it: a broadcast has as many rows as the worker
        if channel[:1] == b"@":
            self._unwritten[index] = channel
            held = channel in self._held
            taken = False
            for fd in self._listeners.of(channel):
                taken |= self._give(fd, given, held)
            if not taken:
                self._hold(channel)
        else:
            for fd in self.waiting() if channel == EVERYONE else self._listeners.of(channel):
                self._give(fd, given, False)

    def _give(self, fd: int, given: tuple[Entry], held: bool) -> bool:
        key = self.keys[fd]
        pending = self._pending.get(fd)
        if not isinstance(key, Session):
            if held or pending is not None:  # a plain poll takes one message
                return False
        elif key.join or self._paged.get(fd, _LIVE)[1]:
            return False
        self._pending[fd] = given if pending is None else pending + given
        return True

    def _hold(self, channel: bytes) -> None:
        assert self._box is not None
        self._held[channel] = self._box.number

    def _page(self, index: int, frame: frames.Frame) -> None:
        if frame.channel[:1] == b"@":
            self._unwritten[index] = frame.channel
        fd = self._told.joining(frame.number)
        if fd is None:
            return
        session = self.keys[fd]
        assert isinstance(session, Session)
        if session.missed is None:
            session.missed = []
        session.missed.append(
            Entry(index, frame.channel, format_position(self.epoch, frame.offset), frame.data, frame.offset)
        )

    def _page_end(self, frame: frames.Frame) -> None:
        fd = self._told.joined(frame.number)
        if fd is None:
            return
        session = self.keys[fd]
        assert isinstance(session, Session)
        session.join, session.floor = 0, frame.offset
        entries, session.missed = tuple(Entry(*e) for e in session.missed or ()), None
        gaps = frames.decode_names(frame.data)
        if entries or gaps or session.immediate:
            more = bool(frame.flags & frames.MORE)
            self._paged[fd] = (gaps, entries[-1].offset if more and entries else 0)
            self._pending[fd] = entries
            session.limit = max(session.limit, len(entries))

    # -- answers

    def _answer_due(self, out_of_time: Callable[[], bool]) -> bool:
        """Answer what the box brought; False when time was over before the last."""
        assert self._due is not None
        for fd in self._due:
            if fd in self._pending:
                self._answer(fd)
                if out_of_time():
                    return False
        return True

    def _answer(self, fd: int) -> None:
        """Answer a row with what the box brought for it."""
        key, entries = self.keys[fd], self._pending[fd]
        assert key is not None
        gaps, position = self._paged.get(fd, _LIVE)
        taken = entries
        if isinstance(key, Session):
            taken = self._within_limits(entries, key.limit)
            if position or len(taken) < len(entries):
                position = max(taken[-1].offset, self._offset_of(key.since))
            position = position or max(key.floor, self.head, taken[-1].offset if taken else 0)
        else:
            position = entries[0].offset
        self.leave(fd)
        messages = [(e.channel, e.id, e.data) for e in taken]
        if self._answers.answer(fd, key, messages, format_position(self.epoch, position), gaps):
            for entry in taken:
                self._unwritten.pop(entry.record, None)
                if entry.record in self._counts:
                    self._counts[entry.record] += 1

    def _offset_of(self, since: bytes) -> int:
        """Return where a reader stood: what waited in its mailbox from before must not take it back."""
        stood = parse_since(since)
        return stood.offset if stood is not None and stood.epoch == self.epoch else 0

    @staticmethod
    def _within_limits(entries: tuple[Entry, ...], limit: int) -> tuple[Entry, ...]:
        total = 0
        for n, entry in enumerate(entries):
            total += len(entry.data)
            if n and (n >= limit or total > ANSWER_BYTES):
                return entries[:n]
        return entries

    def _answer_empty(self, fd: int) -> None:
        key = self.keys[fd]
        assert key is not None
        position = b""  # a plain poll was promised nothing
        if isinstance(key, Session):
            position = key.since if key.join else format_position(self.epoch, max(self.head, key.floor))
        self.leave(fd)
        self._answers.answer(fd, key, [], position, [])

    def _finish(self) -> bytes:
        assert self._box is not None
        records = [frames.encode(frames.RECEIPT, number=index, offset=count) for index, count in self._counts.items()]
        for index, channel in self._unwritten.items():
            self._hold(channel)
            absent = channel not in self._listeners
            records.append(frames.encode(frames.RETURNED, flags=frames.ABSENT if absent else 0, number=index))
            if not absent:
                self._told.ask(channel)
        self.head = max(self.head, self._box.head)
        self._pending.clear()
        self._paged.clear()
        self._unwritten.clear()
        self._counts.clear()
        self._box = self._due = None
        return b"".join(records)
