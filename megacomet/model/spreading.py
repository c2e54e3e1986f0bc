"""Messages to many rows of a worker: marked at once, written to some of them at a time.

A fan-out goes on whenever it is its turn, one behind the other. A message that is paced goes on when there is nothing
else to do, as far as its allowance goes, which grows with the time at a rate that the manager says; before it has said
one, and in a pause, it is written only to rows that get something newer. The manager is told how it stands when it
begins, when it is given another rate, now and then, and when it is over. How they get along, `due` says.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from msgspec.structs import replace

from megacomet.model.announcements import Announcements
from megacomet.model.due import Due, Fanout, Paced, marks
from megacomet.model.entries import Entry
from megacomet.model.polls import Polls
from megacomet.model.results import NO_RESULT, Result, Results
from megacomet.model.row_keys import IRowKeys
from megacomet.model.session import Session
from megacomet.wire import frames

#: Of a rate, what may be made up for at once when the time was given out late, seconds.
ARREARS_S = 0.1


class ISpread(Protocol):
    """Writes to many rows; see `hub.IAnswers`."""

    def spread(self, fds: list[int], entry: Entry) -> tuple[int, list[int]]: ...


class Spreading:
    """The messages to many rows."""

    def __init__(
        self,
        keys: IRowKeys,
        due: Due,
        told: Announcements,
        polls: Polls,
        results: Results,
        answers: ISpread,
        give: Callable[[int, tuple[Entry]], object],
        answer: Callable[[int], object],
        window: int,
    ) -> None:
        """
        Args:
            keys: of all rows.
            due: what is due to them.
            told: knows those that join.
            polls: knows those that are to get no more than their page.
            results: told what is over.
            answers: writes.
            give: has a message due to a row that joins, if it is not in its page.
            answer: writes to a row what is due to it.
            window: rows that are written together.
        """
        self._keys = keys
        self._due = due
        self._told = told
        self._polls = polls
        self._results = results
        self._answers = answers
        self._give = give
        self._answer = answer
        self._window = window
        self._last_told: dict[int, frames.Progress] = {}

    # -- begin

    def begin(self, entry: Entry, rows: Collection[int] | None) -> None:
        """Have a message go to many rows: those given, or all."""
        self._due.begin(Fanout(entry, self._mark(entry, rows)))
        self._results.await_fanout(entry.result, entry.record, entry.offset)

    def begin_paced(self, entry: Entry, rows: Collection[int] | None) -> None:
        """The same, as fast as it will be said. Rows that join are not among those that wait for it."""
        own = replace(entry, record=0, result=Result(0, counts={0: 0}))
        paced = Paced(own, self._mark(replace(entry, result=NO_RESULT), rows))
        paced.connections = paced.left
        self._due.paced.append(paced)
        if paced.left:
            self._tell(paced)
        else:
            self._end(paced)

    def _mark(self, entry: Entry, rows: Collection[int] | None) -> bytearray:
        """Return the marks of a message, once it was given to those who join."""
        due = self._keys.occupied() if rows is None else marks(rows, len(self._keys))
        for fd in tuple(self._told.all_joining()):
            if due[fd]:
                due[fd] = 0
                self._give(fd, (entry,))
        for fd in self._polls.cut_off():
            due[fd] = 0
        return due

    # -- go on

    @property
    def is_allowed(self) -> bool:
        """Whether there is something that is paced and may go on."""
        return any(paced.allowance >= 1 for paced in self._due.paced)

    @property
    def is_paced(self) -> bool:
        """Whether there is something that is paced."""
        return bool(self._due.paced)

    @property
    def is_running(self) -> bool:
        """Whether something of that does not pause."""
        return any(paced.per_s for paced in self._due.paced)

    def go_on(self) -> None:
        """Write the oldest fan-out to some more of its rows; when there is none, something that is paced."""
        if self._due.fanouts:
            fanout = self._due.fanouts[0]
            fds = fanout.take(self._window)
            if fds:
                self._write(fds, fanout.entry)
                return
            self._due.fanouts.popleft()
            self._results.end_fanout(fanout.entry.result, fanout.entry.record)
        else:
            paced = next(paced for paced in self._due.paced if paced.allowance >= 1)
            fds = paced.take(min(self._window, int(paced.allowance)))
            paced.allowance -= len(fds)
            self._write(fds, paced.entry)
            if paced.due.find(1, paced.at) < 0:
                self._end(paced)

    def _write(self, fds: list[int], entry: Entry) -> None:
        behind = self._due.behind(fds, entry.offset) if self._due.paced else []
        if behind:
            late = set(behind)
            fds = [fd for fd in fds if fd not in late]
        connections, polls = self._answers.spread(fds, entry)
        entry.result.written(entry.record, connections)
        for fd in (*behind, *polls):
            self._due.few[fd] = (entry, *self._due.few.pop(fd, ()))
            self._answer(fd)

    # -- the pace

    def grant(self, seconds: float) -> None:
        """So much time has passed: what is paced may go on as far as its rate goes."""
        for paced in self._due.paced:
            most = max(1.0, paced.per_s * ARREARS_S)
            paced.allowance = min(paced.allowance + paced.per_s * seconds, most)

    def pace(self, frame: frames.Frame) -> None:
        """The manager says how fast a message goes from now on, or that it goes to nobody any more."""
        paced = self._due.find_paced(frame.offset)
        if frame.flags & frames.WITHDRAWN:
            self._withdraw(frame.offset)
            if paced is not None:
                self._end(paced)
        elif paced is not None:
            paced.per_s = frame.number / frames.PACE_S
            paced.allowance = min(paced.allowance, paced.per_s)
            self._tell(paced)

    def _withdraw(self, offset: int) -> None:
        """Take a message from those to whom it is to be written behind their page."""
        for fd in self._told.all_joining():
            session = self._keys[fd]
            assert isinstance(session, Session)
            if session.held:
                session.held = [entry for entry in session.held if entry.offset != offset]

    def _end(self, paced: Paced) -> None:
        self._due.paced.remove(paced)
        self._tell(paced)
        del self._last_told[paced.entry.offset]

    def report(self) -> None:
        """Have the manager told how what is paced stands, where that has changed; what has nobody left is over."""
        for paced in tuple(self._due.paced):
            if not paced.left:
                self._end(paced)
            elif self._last_told[paced.entry.offset] != self._progress(paced):
                self._tell(paced)

    @staticmethod
    def _progress(paced: Paced) -> frames.Progress:
        return frames.Progress(paced.connections, paced.written, paced.left)

    def _tell(self, paced: Paced) -> None:
        progress = self._last_told[paced.entry.offset] = self._progress(paced)
        self._results.tell(frames.encode_progress(paced.entry.offset, progress))

    def clear(self) -> None:
        """The link is lost: nobody is to be told."""
        self._last_told.clear()
