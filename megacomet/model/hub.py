"""The worker's rules: which connection gets which message, in which order, and what the manager is told of it.

Theory of operation. A connection that waits is a row: a plain mailbox poll is its channel's name, another poll or a
live stream a few bytes more (`frozen`), and while it is asked what it missed, a `Session`. The manager's boxes are
worked off one after the other. The first pass reads all records and notes for each row what it gets: messages for few
rows one by one, those for many as fan-outs (`due`, `spreading`). The second pass writes to the few, in slices; fan-outs
go on between boxes. From the first pass on the head is the box's: who tells a row its position first gives it its due.

A session is *joining* until its page has come: live messages pass it by, because they are in the page. What the page
says comes through the same ordered stream, so there is no in-between. A stream that subscribes to more from a position
waits with what it already hears until the page is there (`streams`).

A message of a mailbox that finds nobody is returned, and waits in the manager again. From then on later ones of that
mailbox must not overtake it: the channel is *held* for plain polls until what comes was sent by a manager that knew (it
says which box's answer it had read last); until then they are returned as well.

It knows no descriptors' meaning, no sockets and no clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from megacomet.model.announcements import Announcements
from megacomet.model.answers import Box, IAnswers, cut_off_of
from megacomet.model.due import WINDOW, Due
from megacomet.model.entries import Entry, entry_of
from megacomet.model.frozen import channels_of, freeze_poll, is_frozen_stream, is_name, thawed
from megacomet.model.polls import Polls
from megacomet.model.position import format_position
from megacomet.model.requests import Requests
from megacomet.model.results import Result, Results
from megacomet.model.row_keys import IRowKeys
from megacomet.model.session import Session
from megacomet.model.spreading import Spreading
from megacomet.model.streams import PAGE_MESSAGES, Streams
from megacomet.model.subscriptions import Subscriptions
from megacomet.names import EVERYONE
from megacomet.wire import frames

#: A message to more rows than that is a fan-out; what it costs beside its writes (a byte a row) is paid back by then.
FEW = 64
#: So many fan-outs may be under way; then the next box waits. Each holds a byte a row.
MOST_FANOUTS = 64


class Hub:
    """The listeners of one worker.

    Attributes:
        keys: one row a descriptor; shared with the parking lot.
        epoch: of the manager's log.
        listeners: who hears what.
        head: everything up to it that concerns this worker was handed to its connections, or is due to them.
        streams: those of the listeners that stay when they were given something.
        spreading: messages to many.
        requests, results: what they ask of the manager beside what they missed, and what it is told of its boxes.
    """

    def __init__(
        self,
        keys: IRowKeys,
        answers: IAnswers,
        *,
        few: int = FEW,
        window: int = WINDOW,
        page_messages: int = PAGE_MESSAGES,
    ) -> None:
        """Begin without listeners; the numbers are those of the constants with their names."""
        self.keys = keys
        self._few = few
        self.epoch = b""
        self.head = 0
        self._answers = answers
        self.listeners = Subscriptions(keys)
        self._told = Announcements(keys, self.listeners)
        self.requests = Requests(answers)
        self.streams = Streams(keys, self._told, answers, page_messages)
        self._held: dict[bytes, int] = {}
        self._boxes: deque[Box] = deque()
        self._box: Box | None = None
        self._before = 0
        self._due = Due()
        self._records: Iterator[tuple[int, frames.Frame]] = iter(())
        self._rows: Iterator[int] | None = None
        self._polls = Polls(answers)
        self.results = Results()
        self._result = Result(0)
        self.spreading = Spreading(
            *(keys, self._due, self._told, self._polls, self.results, answers),
            give=lambda fd, given: self._give(fd, given, False),
            answer=self._answer,
            window=window,
        )

    # -- rows come and go

    def park_mailbox(self, fd: int, channel: bytes) -> None:
        """Let a plain poll wait for the next message of its mailbox; what waits there comes as a message too."""
        self.keys[fd] = channel
        self._told.listen(channel, fd)

    def park_session(self, fd: int, session: Session) -> None:
        """Let a session wait: a poll is answered from the page of its join, or live after it; a stream begins so."""
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
        self._due.leave(fd)
        if is_frozen_stream(key):
            self.requests.forget(fd)
        elif isinstance(key, Session):
            self._polls.forget(fd)
            if key.join:
                self._told.give_up(key.join)
                self.results.page_ended(key.join)
        for channel in channels_of(key):
            self._told.unlisten(channel, fd)

    def expire(self, fd: int) -> None:
        """The poll's time is over: it gets what is at hand, else an empty answer."""
        if self._due.is_any(fd):
            self._answer(fd)
        elif (key := self.keys[fd]) is not None:
            stands_at = self._due.stands_at(fd, self.head) if self._due.paced else self.head
            self.leave(fd)
            self._polls.answer_empty(fd, thawed(key, self.epoch), self.epoch, stands_at)

    def waiting(self) -> list[int]:
        """Return the descriptors of all rows that wait."""
        return [fd for fd, key in enumerate(self.keys) if key is not None]

    @property
    def channels(self) -> int:
        """How many channels have a listener here."""
        return len(self.listeners)

    def position(self, fd: int, *, whole: bool = False) -> bytes:
        """Write to a live stream what is due to it, and return where it stands then.

        Args:
            fd: the row.
            whole: whether that is to be all; else what is paced goes on waiting, and the position is one before it.

        Returns:
            b"" when it is no live stream (any more): there is no position that may be told.
        """
        is_due = self._due.is_any(fd) or (whole and self._due.is_paced(fd))
        if self.streams.is_live(fd) and (not is_due or self._answer(fd, whole=whole)) and self.streams.is_live(fd):
            return format_position(self.epoch, self._due.stands_at(fd, self.head) if self._due.paced else self.head)
        return b""

    # -- what the manager is told

    def outgoing(self) -> list[bytes]:
        """Return the records for the manager that were gathered since the last call."""
        return self._told.outgoing() + self.requests.outgoing() + self.results.outgoing()

    def linked(self, epoch: bytes, head: int) -> list[bytes]:
        """A link to a manager stands: return the records that tell it everything that listens here."""
        self.epoch, self.head = epoch, head
        return self._told.everything()

    def unlinked(self) -> None:
        """The link is lost: what was not worked off is the manager's again, every session will join anew."""
        for fd, key in enumerate(self.keys):
            if key is None or is_name(key):
                continue
            stands_at = self._due.stands_at(fd, self.head)
            if is_frozen_stream(key):
                self.streams.thaw(fd).since = format_position(self.epoch, stands_at)
            elif isinstance(key, bytes):
                self._told.put(fd, thawed(key, self.epoch, stands_at))
            elif not key.join:
                key.since = format_position(self.epoch, stands_at)
            elif key.joins_late:
                held = min((e.offset - 1 for e in key.held or ()), default=self.head)
                key.since = format_position(self.epoch, min(held, stands_at))
                key.held = key.held and []
        self._boxes.clear()
        self._due.clear()
        self._polls.clear()
        self._held.clear()
        self._told.clear()
        self.results.clear()
        self.spreading.clear()
        self._box = self._rows = None
        self.requests.unlinked()

    # -- what the manager sends

    def received(self, box: Box) -> None:
        """Queue a box; `work` works it off."""
        self._boxes.append(box)

    @property
    def busy(self) -> bool:
        """Whether there is something to work off."""
        due = self._due
        return self._box is not None or bool(self._boxes or due.fanouts or (due.paced and self.spreading.is_allowed))

    @property
    def has_boxes(self) -> bool:
        """Whether there is something to work off beside fan-outs."""
        return self._box is not None or (bool(self._boxes) and len(self._due.fanouts) < MOST_FANOUTS)

    def work(self, out_of_time: Callable[[], bool], may_spread: Callable[[], bool] = lambda: True) -> list[bytes]:
        """Work boxes and fan-outs off, in order, until there is nothing or `out_of_time` says so.

        A box waits for a few rows of a fan-out at most, and the fan-outs never wait for more than a box. What is paced
        waits for all of them.

        Args:
            out_of_time: whether others are to have their turn.
            may_spread: whether it is the turn of fan-outs; asked when there are some.

        Returns:
            The results of the boxes that ended, in order, for their answers. `outgoing` is to be sent before them.
        """
        while self.busy:
            if self._box is None and self._boxes and len(self._due.fanouts) < MOST_FANOUTS:
                self._begin(self._boxes.popleft())
            if self._box is not None:
                if not self._read(out_of_time) or not self._answer_due(out_of_time):
                    break
                self._finish()
            if self._due.fanouts or (self._due.paced and not self._boxes and self.spreading.is_allowed):
                if may_spread():
                    self.spreading.go_on()
                elif not self.has_boxes:
                    break
            if out_of_time():
                break
        return [self._told_of(result) for result in self.results.take()]

    def _told_of(self, result: Result) -> bytes:
        for channel in result.unwritten.values():
            if channel in self.listeners:
                self._told.ask(channel)
        return result.records(lambda channel: channel not in self.listeners)

    def _begin(self, box: Box) -> None:
        self._box, self._before = box, self.head
        self._result = self.results.begin(box.number, box.accepted_s, box.came_s)
        if self._held:
            self._held = {channel: number for channel, number in self._held.items() if number > box.answered}
        self._records = enumerate(frames.decode(box.blob))

    def _read(self, out_of_time: Callable[[], bool]) -> bool:
        """Note what the box brings, and to whom; False when time was over before its end."""
        if self._rows is not None:
            return True
        for index, frame in self._records:
            if frame.kind == frames.MESSAGE:
                self._message(index, frame)
            elif frame.kind == frames.PAGE:
                self._page(index, frame)
            elif frame.kind == frames.PAGE_END:
                self._page_end(frame)
                if out_of_time():
                    return False
            elif frame.kind == frames.CUT_OFF:
                rows = list(self.listeners.of(frame.channel))
                self._result.counts[index] = self._answers.cut_off(rows, cut_off_of(frame), frame.channel)
            elif frame.kind == frames.PACE:
                self.spreading.pace(frame)
            elif not self.requests.replied(index, frame, self.epoch):
                raise ValueError(f"a record of kind {frame.kind} has no business in a box")
        assert self._box is not None
        self.head = max(self.head, self._box.head)
        self._rows = iter(list(self._due.few))
        return True

    def _message(self, index: int, frame: frames.Frame) -> None:
        channel = frame.channel
        entry = entry_of(self.epoch, index, frame, self._result)
        self._result.messages += 1
        self.head = max(self.head, entry.offset)
        if frame.flags & frames.WANTS_RECEIPT:
            self._result.counts[index] = 0
        given = (entry,)  # one object for all that get it
        if channel[:1] == b"@":
            self._result.unwritten[index] = channel
            held = channel in self._held
            taken = False
            for fd in tuple(self.listeners.of(channel)):
                taken |= self._give(fd, given, held)
            if not taken:
                self._held[channel] = self._result.number
            return
        rows = self.listeners.of(channel) if channel != EVERYONE else None
        if frame.flags & frames.PACED:
            self._result.messages -= 1  # how long it takes is no measure of anything
            self.spreading.begin_paced(entry, rows)
        elif rows is None or len(rows) > self._few:
            self.spreading.begin(entry, rows)
        else:
            for fd in tuple(rows):  # one of them may be given up meanwhile
                self._give(fd, given, False)

    def _give(self, fd: int, given: tuple[Entry], held: bool) -> bool:
        key = self.keys[fd]
        if isinstance(key, Session):
            if key.is_joining(given[0].channel):
                return False
            if key.held is not None:
                self._written(given)  # as with a backlog: who drops now resumes from before it
                self.streams.hold(fd, key, given[0])
                return True
            if self._polls.is_cut_off(fd):
                return False
        elif key == given[0].channel and (held or fd in self._due.few):  # a plain poll takes one message
            return False
        self._due.give(fd, given)
        return True

    def _page(self, index: int, frame: frames.Frame) -> None:
        fd = self._told.joining(frame.number)
        if frame.channel[:1] == b"@":
            self._result.unwritten[index] = frame.channel
            if fd is not None:
                self._result.pages.add(frame.number)
        if fd is None:
            return
        session = self.keys[fd]
        assert isinstance(session, Session)
        if session.missed is None:
            session.missed = []
        session.missed.append(entry_of(self.epoch, index, frame, self._result))

    def _page_end(self, frame: frames.Frame) -> None:
        self.head = max(self.head, frame.offset)  # one stream carries pages and messages: all up to it has come
        fd = self._told.joined(frame.number)
        if fd is None:
            return
        session = self.keys[fd]
        assert isinstance(session, Session)
        if session.is_stream:
            if self._due.is_any(fd) and not self._answer(fd):
                return
            self._written(self.streams.ended(fd, session, frame, self.epoch))
        elif (entries := self._polls.paged(fd, session, frame)) is not None:
            self._due.give(fd, entries)
            self._result.ending.append(frame.number)
            return
        elif (key := freeze_poll(session, frame.offset)) is not None:
            self._told.put(fd, key)
        self.results.page_ended(frame.number)

    # -- answers

    def _answer_due(self, out_of_time: Callable[[], bool]) -> bool:
        """Answer what the box brought; False when time was over before the last."""
        assert self._rows is not None
        for fd in self._rows:
            if fd in self._due.few:
                self._answer(fd)
                if out_of_time():
                    return False
        return True

    def _answer(self, fd: int, *, whole: bool = False) -> bool:
        """Write to a row what is due to it, `whole`: what is paced as well; tells whether that worked."""
        key = thawed(self.keys[fd], self.epoch)
        is_stream = is_frozen_stream(key) or (isinstance(key, Session) and key.is_stream)
        entries = self._due.take(fd, whole=whole or not is_stream)  # an answer ends a poll
        if is_stream:
            # What waited in a mailbox may be older than what the connection was told: a position takes that back.
            late = any(entry.offset <= self._before for entry in entries if entry.channel[:1] == b"@")
            position = format_position(self.epoch, self._due.stands_at(fd, self.head)) if late else b""
            is_written = self._answers.write(fd, entries, position)
        else:
            entries, stands_at, gaps = self._polls.choose(fd, key, entries, self.epoch, self.head)
            self.leave(fd)
            is_written = self._polls.answer(fd, key, entries, format_position(self.epoch, stands_at), gaps)
        if is_written:
            self._written(entries)
        return is_written

    @staticmethod
    def _written(entries: Sequence[Entry]) -> None:
        for entry in entries:
            entry.result.written(entry.record)

    def _finish(self) -> None:
        """The box was worked off, but for its fan-outs."""
        self.results.finish(self._result)
        self._held.update(dict.fromkeys(self._result.unwritten.values(), self._result.number))
        self._due.few.clear()
        self._polls.clear()
        self._box = self._rows = None
