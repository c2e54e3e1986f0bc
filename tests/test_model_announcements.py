"""What a worker tells the manager of its listeners: the end states of a turn, nothing that came and went."""

from __future__ import annotations

from megacomet.model.announcements import Announcements
from megacomet.model.session import Session
from megacomet.model.subscriptions import Subscriptions
from megacomet.wire import frames

SUE, NEWS = b"@sue", b"news"
NAMES = {frames.WANT: "want", frames.LEAVE: "leave", frames.JOIN: "join"}


class Desk:
    """Rows, listeners and what is told of them."""

    def __init__(self) -> None:
        self.keys: list[bytes | Session | None] = [None] * 8
        self.told = Announcements(self.keys, Subscriptions(self.keys))

    def plain(self, fd: int, channel: bytes = SUE) -> None:
        self.keys[fd] = channel
        self.told.listen(channel, fd)

    def session(self, fd: int, *channels: bytes, since: bytes = b"", limit: int = 100) -> Session:
        session = self.keys[fd] = Session(channels, None, since=since, limit=limit)
        for channel in channels:
            self.told.listen(channel, fd)
        self.told.join(fd, session)
        return session

    def gone(self, fd: int) -> None:
        key, self.keys[fd] = self.keys[fd], None
        assert key is not None
        for channel in key.channels if isinstance(key, Session) else (key,):
            self.told.unlisten(channel, fd)
        if isinstance(key, Session):
            self.told.give_up(key.join)

    def live(self, session: Session) -> None:
        self.told.joined(session.join)
        session.join = 0

    def says(self) -> list[tuple[str, bytes]]:
        return [(NAMES[f.kind], f.channel) for f in frames.decode(b"".join(self.told.outgoing()))]


def test_the_first_and_the_last_are_told() -> None:
    """The manager is told of a channel's first listener and of its last, not of those in between."""
    desk = Desk()
    desk.plain(1)
    assert desk.says() == [("want", SUE)]
    desk.plain(2)
    desk.gone(1)
    assert desk.says() == []
    desk.gone(2)
    assert desk.says() == [("leave", SUE)]
    assert desk.says() == []


def test_leave_and_want_in_one_turn_cancel_out() -> None:
    """A client that polls again at once is not told of."""
    desk = Desk()
    desk.plain(1)
    desk.says()
    desk.gone(1)
    desk.plain(2)
    assert desk.says() == []


def test_want_and_leave_in_one_turn_cancel_out() -> None:
    """A client that came and went in one turn is not told of."""
    desk = Desk()
    desk.plain(1)
    desk.gone(1)
    assert desk.says() == []


def test_often_in_one_turn() -> None:
    """However often it changes, only the end of the turn counts."""
    desk = Desk()
    for _ in range(3):
        desk.plain(1)
        desk.gone(1)
    desk.plain(1)
    assert desk.says() == [("want", SUE)]
    for _ in range(3):
        desk.gone(1)
        desk.plain(1)
    desk.gone(1)
    assert desk.says() == [("leave", SUE)]


def test_a_join_says_it_all() -> None:
    """A session's join tells its channels, position and limit; no other word is needed."""
    desk = Desk()
    session = desk.session(1, NEWS, SUE, since=b"e1-5", limit=3)
    (record,) = frames.decode(b"".join(desk.told.outgoing()))
    assert record == (frames.JOIN, 0, session.join, 3, b"e1-5", frames.encode_names([NEWS, SUE]))


def test_leaving_comes_before_joining() -> None:
    """A join says that its channels are here, so what left before it is said first."""
    desk = Desk()
    desk.plain(1)
    desk.says()
    desk.session(2, NEWS)
    desk.gone(1)
    assert desk.says() == [("leave", SUE), ("join", b"")]


def test_a_join_that_is_given_up_is_not_sent() -> None:
    """Who leaves in the turn in which it came asks for nothing."""
    desk = Desk()
    session = desk.session(1, NEWS)
    desk.gone(1)
    assert desk.says() == []
    assert desk.told.joining(session.join) is None


def test_joins_have_numbers() -> None:
    """Each join has its own number, under which its session is found until it is answered."""
    desk = Desk()
    one, two = desk.session(1, NEWS), desk.session(2, NEWS)
    assert (one.join, two.join) == (1, 2)
    assert (desk.told.joining(2), desk.told.joined(2), desk.told.joined(2)) == (2, 2, None)
    assert desk.told.joining(1) == 1


def test_the_numbers_of_joins_start_over() -> None:
    """After the last number that fits comes 1: 0 is no join."""
    desk = Desk()
    desk.told._last_join = 0xFFFF_FFFF
    assert desk.session(1, NEWS).join == 1


def test_a_plain_poll_asks_beside_a_joining_session() -> None:
    """A plain poll on a mailbox is told of although a session joins there."""
    desk = Desk()
    desk.session(1, SUE)
    desk.plain(2)
    assert desk.says() == [("want", SUE), ("join", b"")]


def test_asking_for_what_waits() -> None:
    """Of a mailbox of which something was returned one asks again while somebody listens."""
    desk = Desk()
    desk.plain(1)
    desk.says()
    desk.told.ask(SUE)
    assert desk.says() == [("want", SUE)]
    desk.told.ask(SUE)
    desk.gone(1)
    assert desk.says() == [("leave", SUE)]


def test_who_joins_does_not_ask() -> None:
    """A session that waits for its page gets what waits in it; a live one has to ask."""
    desk = Desk()
    session = desk.session(1, SUE)
    desk.says()
    desk.told.ask(SUE)
    assert desk.says() == []
    desk.live(session)
    desk.told.ask(SUE)
    assert desk.says() == [("want", SUE)]


def test_everything() -> None:
    """A manager that knows nothing is told of every listener, and every session joins anew."""
    desk = Desk()
    desk.plain(1)
    live, joining = desk.session(2, NEWS, since=b"e1-5"), desk.session(3, b"@tom")
    desk.says()
    desk.live(live)
    old = joining.join
    records = [(NAMES[f.kind], f.channel) for f in frames.decode(b"".join(desk.told.everything()))]
    assert records == [("want", SUE), ("join", b"e1-5"), ("join", b"")]
    assert desk.told.joining(old) is None
    assert desk.told.joining(joining.join) == 3
    assert desk.says() == []


def test_nobody_to_be_told() -> None:
    """While there is no manager nothing is gathered; the end of a channel in between is no leave."""
    desk = Desk()
    desk.plain(1)
    desk.says()
    desk.told.ask(SUE)
    desk.gone(1)
    desk.told.clear()
    assert desk.says() == []
    assert desk.told.everything() == []
