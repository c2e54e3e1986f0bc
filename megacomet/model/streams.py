"""Streams, which stay when they were given something; and the pages that they wait for: when they begin, when they
subscribe to more, and after a lost link.

    (new) --park--> opening --page--> live  <--page-- late   <--subscribe-- live
                                      live  <--page-- again  <--link lost-- live, late

A live stream is a frozen row; in the other states a `Session` stands in its place. *Opening* and *again* it is given
nothing, for all of it will be in the page. *Late*, on its way to more channels from a position, what comes for those
that it hears waits until the page is there and is put in order with it: a position in the middle would speak for
channels of which the older messages are still to come. A page that was cut off is asked on from where it ends.
"""

from __future__ import annotations

from typing import Protocol

from megacomet.model.announcements import Announcements
from megacomet.model.entries import Entry, Page, make_page
from megacomet.model.frozen import channels_of, freeze_stream, is_frozen_stream
from megacomet.model.position import format_position
from megacomet.model.row_keys import IRowKeys
from megacomet.model.session import Session
from megacomet.wire import frames

#: Messages in one page of a stream; what is more comes in the next one.
PAGE_MESSAGES = 1000
#: A stream for which more than that had to wait for a page is given up: it comes back and resumes.
MOST_HELD = 10_000


class IPages(Protocol):
    """Writes pages; see `hub.IAnswers`."""

    def page(self, fd: int, session: Session, page: Page) -> bool: ...
    def give_up(self, fd: int) -> None:
        """Too much had to wait for the page of a stream: end the connection."""


class Streams:
    """The streams of a worker."""

    def __init__(self, keys: IRowKeys, told: Announcements, pages: IPages, page_messages: int) -> None:
        self._keys = keys
        self._told = told
        self._pages = pages
        self._page_messages = page_messages

    def thaw(self, fd: int) -> Session:
        """Put a session in the place of a live stream."""
        session = Session(self.channels_of(fd), None, limit=self._page_messages, is_stream=True, is_open=True)
        self._told.put(fd, session)
        return session

    def is_live(self, fd: int) -> bool:
        """Tell whether a row is a stream that waits for nothing."""
        return is_frozen_stream(self._keys[fd])

    def stood_at(self, fd: int) -> bytes:
        """Return where a stream stands that waits for its page after a lost link; b"" for others.

        One that catches up with late channels is told no position before it has them: it would speak for these too.
        """
        key = self._keys[fd]
        return key.since if isinstance(key, Session) and key.is_open and not key.late else b""

    def channels_of(self, fd: int) -> tuple[bytes, ...]:
        """Return the channels of a live stream."""
        return channels_of(self._keys[fd])

    def subscribe(self, fd: int, channels: tuple[bytes, ...], since: bytes, token: object) -> None:
        """Let a live stream, to which nothing is due, hear more channels; a page tells when it does.

        Args:
            channels: such as it does not hear yet, at least one.
            since: from where; b"" from now.
            token: comes back in the session of that page.
        """
        session = self.thaw(fd)
        session.late, session.late_since, session.token = channels, since, token
        session.held = [] if since else None
        for channel in channels:
            self._told.listen(channel, fd)
        self._told.join(fd, session)

    def unsubscribe(self, fd: int, channels: tuple[bytes, ...]) -> None:
        """Let a live stream, to which nothing is due, hear some of its channels no more."""
        here = self.channels_of(fd)
        self._told.put(fd, freeze_stream(tuple(c for c in here if c not in channels)))
        for channel in channels:
            if channel in here:
                self._told.unlisten(channel, fd)

    def hold(self, fd: int, session: Session, entry: Entry) -> None:
        """Have a message wait for the page of late channels."""
        assert session.held is not None
        session.held.append(entry)
        if len(session.held) > MOST_HELD:
            self._pages.give_up(fd)

    def ended(self, fd: int, session: Session, end: frames.Frame, epoch: bytes) -> list[Entry]:
        """The page of a stream is complete: write it, and go on to what is next.

        Returns:
            The messages of the page, when it was written.
        """
        missed, session.missed, session.join = session.missed or [], None, 0
        is_cut = bool(end.flags & frames.MORE) and bool(missed)
        at = missed[-1].offset if is_cut else end.offset
        entries, is_late = missed, session.joins_late
        if is_late and session.held:
            entries = sorted(missed + [e for e in session.held if e.offset <= at], key=lambda e: e.offset)
            session.held = [e for e in session.held if e.offset > at]
        since = session.late_since if is_late else session.since
        page = make_page(epoch, since, frames.decode_names(end.data), entries, at)
        if session.late:
            page = self._say_when_it_is_over(session, page, format_position(epoch, at), is_over=is_late and not is_cut)
        if not self._pages.page(fd, session, page):
            return []
        session.is_open = True
        if is_cut:
            self._join_on(fd, session, format_position(epoch, at), is_late)
        elif session.late and not is_late:
            session.since = b""
            self._told.join(fd, session)
        else:
            self._told.put(fd, freeze_stream(session.channels + session.late))
        return missed

    @staticmethod
    def _say_when_it_is_over(session: Session, page: Page, at: bytes, *, is_over: bool) -> Page:
        """Have a position at the end of a catch-up, and none before: it tells the client that one position holds again.

        When nothing was missed the answer to the request says it, if there is one.
        """
        if not is_over or not session.late_since:
            return page._replace(last=b"")
        is_said = session.token is not None and not page.entries and not page.gaps
        return page._replace(last=b"" if is_said else at)

    def _join_on(self, fd: int, session: Session, since: bytes, is_late: bool) -> None:
        if is_late:
            session.late_since, session.held, session.token = since, session.held or [], None
        else:
            session.since = since
        self._told.join(fd, session)
