"""Streams and the pages that they wait for, without connections: every state and every way out of it."""

from __future__ import annotations

import pytest

from megacomet.model.announcements import Announcements
from megacomet.model.entries import Entry, Page
from megacomet.model.results import NO_RESULT
from megacomet.model.row_keys import RowKeys
from megacomet.model.session import Session
from megacomet.model.streams import MOST_HELD, PAGE_MESSAGES, Streams
from megacomet.model.subscriptions import Subscriptions
from megacomet.wire import frames

FD = 3


class Desk:
    """Streams on rows, and the pages that were written."""

    def __init__(self) -> None:
        self.keys = RowKeys()
        self.keys.grow(8)
        self.told = Announcements(self.keys, Subscriptions(self.keys))
        self.streams = Streams(self.keys, self.told, self, PAGE_MESSAGES)
        self.pages: list[Page] = []
        self.tokens: list[object] = []
        self.given_up: list[int] = []
        self.works = True

    def page(self, fd: int, session: Session, page: Page) -> bool:
        assert fd == FD
        self.pages.append(page)
        self.tokens.append(session.token if session.joins_late else None)
        return self.works

    def give_up(self, fd: int) -> None:
        self.given_up.append(fd)

    @property
    def session(self) -> Session:
        session = self.keys[FD]
        assert isinstance(session, Session)
        return session

    def opening(self, *channels: bytes, since: bytes = b"") -> Session:
        """A stream that waits for its first page."""
        session = Session(channels, "options", since, PAGE_MESSAGES, is_stream=True)
        self.keys[FD] = session
        for channel in channels:
            self.told.listen(channel, FD)
        self.told.join(FD, session)
        return session

    def live(self, *channels: bytes) -> None:
        """A live stream, of which the manager knows."""
        self.opening(*channels)
        self.joins()
        self.ended(at=3)
        self.pages.clear()
        self.tokens.clear()

    def ended(self, *missed: int, at: int, gaps: tuple[bytes, ...] = (), more: bool = False) -> list[Entry]:
        """The page of the stream is complete."""
        session = self.session
        self.told.joined(session.join)
        session.missed = [entry(n, b"b") for n in missed] or None
        record = frames.encode(
            frames.PAGE_END, flags=frames.MORE if more else 0, offset=at, data=frames.encode_names(gaps)
        )
        [frame] = frames.decode(record)
        return self.streams.ended(FD, session, frame, b"e")

    def joins(self) -> list[tuple[bytes, list[bytes], int]]:
        """What is asked of the manager: from where, which channels, and whether it is late."""
        records = frames.decode(b"".join(self.told.outgoing()))
        return [(f.channel, frames.decode_names(f.data), f.flags) for f in records if f.kind == frames.JOIN]

    def said(self) -> list[tuple[bytes, list[int], bytes]]:
        """Where each page begins, its messages, and what is said at its end."""
        return [(page.first, [e.offset for e in page.entries], page.last) for page in self.pages]


def entry(offset: int, channel: bytes = b"a") -> Entry:
    return Entry(0, channel, b"e-%d" % offset, b"1", offset, NO_RESULT)


def test_a_stream_opens() -> None:
    """With its first page it is live."""
    desk = Desk()
    session = desk.opening(b"a", b"b", since=b"e-1")
    assert desk.joins() == [(b"e-1", [b"a", b"b"], 0)]
    assert (desk.streams.is_live(FD), desk.streams.stood_at(FD), session.is_open) == (False, b"", False)
    assert [e.offset for e in desk.ended(2, at=3)] == [2]
    assert desk.said() == [(b"e-1", [2], b"e-3")]
    assert (desk.streams.is_live(FD), desk.streams.channels_of(FD)) == (True, (b"a", b"b"))
    assert (desk.streams.stood_at(FD), desk.joins()) == (b"", [])


def test_a_stream_that_cannot_be_written_to() -> None:
    """Nothing becomes of it, and nothing was written."""
    desk = Desk()
    desk.works = False
    desk.opening(b"a")
    desk.joins()
    assert desk.ended(2, at=3) == []
    assert (desk.streams.is_live(FD), desk.joins()) == (False, [])


def test_a_page_that_was_cut_off() -> None:
    """It is asked on from its last message; an empty one never is cut off."""
    desk = Desk()
    desk.opening(b"a", since=b"oldest")
    desk.joins()
    desk.ended(5, 6, at=9, more=True)
    assert (desk.session.is_open, desk.joins()) == (True, [(b"e-6", [b"a"], 0)])
    desk.ended(at=9, more=True)
    assert desk.said() == [(b"e-4", [5, 6], b""), (b"e-9", [], b"")]
    assert desk.streams.is_live(FD)


def test_after_a_lost_link() -> None:
    """A live stream joins anew from where it stands, and tells it meanwhile."""
    desk = Desk()
    desk.live(b"a")
    session = desk.streams.thaw(FD)
    session.since = b"e-3"
    desk.told.join(FD, session)
    assert (desk.streams.stood_at(FD), desk.joins()) == (b"e-3", [(b"e-3", [b"a"], 0)])
    desk.ended(at=8)
    assert desk.streams.channels_of(FD) == (b"a",)


def test_late_from_now() -> None:
    """The newest position; nothing has to wait."""
    desk = Desk()
    desk.live(b"a")
    desk.streams.subscribe(FD, (b"b", b"c"), b"", "token")
    assert desk.joins() == [(b"", [b"b", b"c"], frames.LATE)]
    assert (desk.session.held, desk.streams.stood_at(FD)) == (None, b"")
    assert [desk.session.is_joining(c) for c in (b"a", b"b", b"c")] == [False, True, True]
    desk.ended(at=7)
    assert (desk.said(), desk.tokens) == ([(b"e-7", [], b"")], ["token"])
    assert desk.streams.channels_of(FD) == (b"a", b"b", b"c")


@pytest.mark.parametrize(
    ("token", "missed", "gaps", "page"),
    [
        ("token", (), (), (b"e-7", [], b"")),
        (None, (), (), (b"e-7", [], b"e-7")),
        ("token", (5,), (), (b"e-1", [5], b"e-7")),
        ("token", (7,), (), (b"e-1", [7], b"e-7")),
        ("token", (), (b"b",), (b"e-1", [], b"e-7")),
    ],
)
def test_late_from_a_position(
    token: object, missed: tuple[int, ...], gaps: tuple[bytes, ...], page: tuple[bytes, list[int], bytes]
) -> None:
    """At the end a position says that one holds for all channels again, unless the answer has said it."""
    desk = Desk()
    desk.live(b"a")
    desk.streams.subscribe(FD, (b"b",), b"e-1", token)
    desk.ended(*missed, at=7, gaps=gaps)
    assert desk.said() == [page]


def test_what_comes_meanwhile() -> None:
    """It is put in order with what was missed, up to where the page goes; the rest in the next."""
    desk = Desk()
    desk.live(b"a")
    desk.streams.subscribe(FD, (b"b",), b"e-1", "token")
    desk.joins()
    for offset in (4, 6, 9):
        desk.streams.hold(FD, desk.session, entry(offset))
    written = desk.ended(2, 5, at=10, more=True)
    assert [e.offset for e in written] == [2, 5]
    assert desk.joins() == [(b"e-5", [b"b"], frames.LATE)]
    assert desk.session.token is None
    desk.ended(8, at=10)
    assert desk.said() == [(b"e-1", [2, 4, 5], b""), (b"e-5", [6, 8, 9], b"e-10")]
    assert desk.streams.channels_of(FD) == (b"a", b"b")


def test_a_lost_link_while_it_is_late() -> None:
    """First what the old channels missed, without a word on where it stands; then the late ones."""
    desk = Desk()
    desk.live(b"a")
    desk.streams.subscribe(FD, (b"b",), b"e-1", "token")
    desk.session.since = b"e-3"
    desk.told.clear()
    desk.told.join(FD, desk.session)
    assert desk.joins() == [(b"e-3", [b"a"], 0)]
    assert (desk.streams.stood_at(FD), desk.session.is_joining(b"a")) == (b"", True)
    desk.ended(5, at=7)
    assert desk.joins() == [(b"e-1", [b"b"], frames.LATE)]
    desk.ended(6, at=8)
    assert desk.said() == [(b"e-3", [5], b""), (b"e-1", [6], b"e-8")]
    assert desk.tokens == [None, "token"]
    assert desk.streams.channels_of(FD) == (b"a", b"b")


def test_what_waits_too_long() -> None:
    """A stream for which too much has to wait is given up."""
    desk = Desk()
    desk.live(b"a")
    desk.streams.subscribe(FD, (b"b",), b"e-1", None)
    desk.session.held = [entry(4)] * (MOST_HELD - 1)
    desk.streams.hold(FD, desk.session, entry(5))
    assert desk.given_up == []
    desk.streams.hold(FD, desk.session, entry(6))
    assert desk.given_up == [FD]


def test_unsubscribe() -> None:
    """What it does not hear is no error; the manager is told of what nobody hears any more."""
    desk = Desk()
    desk.live(b"a", b"b")
    desk.streams.unsubscribe(FD, (b"b", b"c"))
    assert desk.streams.channels_of(FD) == (b"a",)
    told = frames.decode(b"".join(desk.told.outgoing()))
    assert [(f.kind, f.channel) for f in told] == [(frames.LEAVE, b"b")]
