"""Messages that go to many at a pace: what each row gets and is told, and what the manager hears of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from megacomet.model.answers import Box
from megacomet.model.entries import Entry, Page
from megacomet.model.hub import Hub
from megacomet.model.polls import ANSWER_BYTES
from megacomet.model.row_keys import RowKeys
from megacomet.model.session import Session
from megacomet.wire import frames
from megacomet.wire.frames import Progress

NEWS, SPORT, SUE, EVERYONE = b"news", b"sport", b"@sue", b"*"
ROWS = 16
HEAD = 10


class Floor:
    """A linked hub with streams on some rows and polls on others.

    Attributes:
        got: by row, the offsets of what was written to it.
        stood: by row, the positions that it was told beside messages, and those of polls' answers.
        broken: rows that cannot be written to.
    """

    def __init__(self, few: int = 2) -> None:
        self.keys = RowKeys()
        self.keys.grow(ROWS)
        self.hub = Hub(self.keys, self, few=few, window=4)
        self.hub.linked(b"e1", HEAD)
        self.got: dict[int, list[int]] = {}
        self.stood: dict[int, list[bytes]] = {}
        self.broken: set[int] = set()
        self.boxes = 0
        self.sent: list[bytes] = []
        self.head = HEAD

    # what the hub wants

    def answer(
        self,
        fd: int,
        key: bytes | Session,
        messages: list[tuple[bytes, bytes, bytes]],
        position: bytes,
        gaps: list[bytes],
    ) -> bool:
        self._gets(fd, [int(id_.split(b"-")[1]) for _, id_, _ in messages])
        self.stood.setdefault(fd, []).append(position)
        return fd not in self.broken

    def page(self, fd: int, session: Session, page: Page) -> bool:
        return self.write(fd, page.entries, page.last or page.first)

    def write(self, fd: int, entries: Sequence[Entry], position: bytes) -> bool:
        if fd in self.broken:
            self.hub.leave(fd)
            return False
        self._gets(fd, [entry.offset for entry in entries])
        if position:
            self.stood.setdefault(fd, []).append(position)
        return True

    def spread(self, fds: list[int], entry: Entry) -> tuple[int, list[int]]:
        streams = [fd for fd in fds if self.hub.streams.is_live(fd)]
        written = sum(self.write(fd, [entry], b"") for fd in streams)
        return written, [fd for fd in fds if fd not in streams]

    def _gets(self, fd: int, offsets: list[int]) -> None:
        if offsets:
            self.got.setdefault(fd, []).extend(offsets)

    def give_up(self, fd: int) -> None:
        raise AssertionError("nothing is given up here")

    # what the test wants

    def box(self, *records: bytes) -> None:
        """Work a box off, and no message to many."""
        self.boxes += 1
        self.sent += self.hub.outgoing()
        self.hub.received(Box(self.boxes, self.head, self.boxes - 1, b"".join(records)))
        self.hub.work(lambda: False, lambda: False)

    def stream(self, fd: int, *channels: bytes) -> None:
        """Let a stream come that has missed nothing."""
        session = Session(channels, None, is_stream=True)
        self.hub.park_session(fd, session)
        self.box(end(session, self.head))
        self.stood.clear()

    def poll(self, fd: int, *channels: bytes, limit: int = 100) -> None:
        """Let a poll wait that has missed nothing."""
        session = Session(channels, b"", since=b"e1-%d" % self.head, limit=limit)
        self.hub.park_session(fd, session)
        self.box(end(session, self.head))

    def publish(self, channel: bytes, *, paced: bool = False) -> int:
        """Publish a message; return its offset."""
        self.head += 1
        flags = frames.PACED if paced else 0
        self.box(frames.encode(frames.MESSAGE, flags=flags, offset=self.head, channel=channel, data=b"1"))
        return self.head

    def pace(self, offset: int, per_s: float) -> None:
        self.box(frames.encode(frames.PACE, offset=offset, number=int(per_s * frames.PACE_S)))

    def cancel(self, offset: int) -> None:
        self.box(frames.encode(frames.PACE, flags=frames.WITHDRAWN, offset=offset))

    def passes(self, seconds: float) -> None:
        """Some time passes, and everything is worked off."""
        self.hub.spreading.grant(seconds)
        self.hub.work(lambda: False)

    def told(self) -> list[tuple[int, Progress]]:
        """Return what the manager was told of what is paced since the last time."""
        records = frames.decode(b"".join(self.sent + self.hub.outgoing()))
        self.sent = []
        return [(f.offset, frames.decode_progress(f)) for f in records if f.kind == frames.PROGRESS]


def end(session: Session, offset: int, *, more: bool = False) -> bytes:
    flags = frames.MORE if more else 0
    return frames.encode(frames.PAGE_END, number=session.join, offset=offset, flags=flags)


def streaming(rows: int, *channels: bytes) -> Floor:
    """Return a floor with streams on the first rows."""
    floor = Floor()
    for fd in range(rows):
        floor.stream(fd, *(channels or (NEWS,)))
    floor.told()
    return floor


@pytest.mark.parametrize("channel", [NEWS, EVERYONE])
def test_it_goes_as_fast_as_it_is_told(channel: bytes) -> None:
    """Nowhere before a rate was said; then to so many rows as the time that passes allows, and the manager hears."""
    floor = streaming(10)
    offset = floor.publish(channel, paced=True)
    assert floor.told() == [(offset, Progress(10, 0, 10))]
    floor.passes(60)
    assert floor.got == {}
    floor.pace(offset, 40)
    assert floor.told() == [(offset, Progress(10, 0, 10))]
    floor.passes(0.05)
    assert floor.got == {0: [offset], 1: [offset]}
    floor.hub.spreading.report()
    assert floor.told() == [(offset, Progress(10, 2, 8))]
    floor.hub.spreading.report()
    assert floor.told() == []  # nothing new
    floor.passes(1000)
    assert len(floor.got) == 6  # a tenth of a second's, however late the time was given out
    floor.passes(0.1)
    assert floor.got == {fd: [offset] for fd in range(10)}
    assert floor.told() == [(offset, Progress(10, 10, 0))]
    assert not floor.hub.spreading.is_paced


def test_less_than_one_a_second() -> None:
    """A rate may be so low that a row's turn comes after seconds."""
    floor = streaming(3)
    offset = floor.publish(NEWS, paced=True)
    floor.pace(offset, 0.25)
    for _ in range(79):
        floor.passes(0.05)
    assert floor.got == {}
    floor.passes(0.06)
    assert floor.got == {0: [offset]}


def test_to_nobody() -> None:
    """Where nobody hears it, it is over at once."""
    floor = streaming(2)
    offset = floor.publish(SPORT, paced=True)
    assert floor.told() == [(offset, Progress(0, 0, 0))]
    assert not floor.hub.spreading.is_paced


@pytest.mark.parametrize("many", [False, True])
def test_what_is_newer_takes_it_along(many: bool) -> None:
    """A row that gets another message is written it first: each is written in the order of the log."""
    floor = streaming(6 if many else 2, NEWS, SUE)
    slow = floor.publish(EVERYONE, paced=True)
    direct = floor.publish(NEWS)
    floor.passes(0)
    assert floor.got == {fd: [slow, direct] for fd in range(6 if many else 2)}
    floor.hub.spreading.report()
    told = floor.told()
    assert told[-1][1].left == 0
    assert told[-1][1].written == len(floor.got)


def test_others_are_not_driven_on() -> None:
    """Who hears what is newer is written it; who does not goes on waiting."""
    floor = streaming(2)
    floor.stream(5, NEWS, SPORT)
    slow = floor.publish(NEWS, paced=True)
    sport = floor.publish(SPORT)
    assert floor.got == {5: [slow, sport]}


def test_a_ping_stands_before_it() -> None:
    """A row to which it is due is told a position before it, however much else has happened, and is not written it."""
    floor = streaming(1)
    floor.stream(5, SPORT)
    slow = floor.publish(NEWS, paced=True)
    for _ in range(3):
        sport = floor.publish(SPORT)
    assert floor.hub.position(0) == b"e1-%d" % (slow - 1)
    assert floor.hub.position(5) == b"e1-%d" % sport
    assert floor.got == {5: [slow + 1, slow + 2, slow + 3]}
    floor.pace(slow, 1000)
    floor.passes(1)
    assert floor.hub.position(0) == b"e1-%d" % sport
    assert floor.got[0] == [slow]


def test_a_ping_gives_what_is_due_before_it() -> None:
    """A ping drives on a message to many that goes at full speed, and not the one at a pace behind it."""
    floor = streaming(4)
    fast = floor.publish(NEWS)
    slow = floor.publish(NEWS, paced=True)
    assert floor.got == {}
    assert floor.hub.position(0) == b"e1-%d" % (slow - 1)
    assert floor.got == {0: [fast]}


def test_all_of_it_is_asked_for() -> None:
    """Whose channels change is given all of it first: behind that no position could speak for it."""
    floor = streaming(1)
    slow = floor.publish(NEWS, paced=True)
    assert floor.hub.position(0, whole=True) == b"e1-%d" % slow
    assert floor.got == {0: [slow]}


def test_an_old_message_of_a_mailbox() -> None:
    """What had waited from before takes nobody back behind what he was told, nor before what is still due."""
    floor = streaming(1, NEWS, SUE)
    slow = floor.publish(NEWS, paced=True)
    floor.box(frames.encode(frames.MESSAGE, offset=4, channel=SUE, data=b"1"))
    assert (floor.got, floor.stood) == ({0: [4]}, {0: [b"e1-%d" % (slow - 1)]})


def test_a_poll_whose_time_is_over() -> None:
    """It is answered with nothing, and with a position from which it will read what it has not been given."""
    floor = Floor()
    for fd in range(3):
        floor.poll(fd, NEWS)
    floor.hub.park_mailbox(3, SUE)
    slow = floor.publish(EVERYONE, paced=True)
    for fd in (0, 3):
        floor.hub.expire(fd)
    assert (floor.got, floor.stood) == ({}, {0: [b"e1-%d" % (slow - 1)], 3: [b""]})
    floor.pace(slow, 1000)
    floor.passes(1)
    assert floor.got == {1: [slow], 2: [slow]}
    assert floor.stood[1] == [b"e1-%d" % slow]
    assert floor.told()[-1] == (slow, Progress(4, 2, 0))


def test_a_poll_that_is_answered_takes_all() -> None:
    """Its next request would bring it at once."""
    floor = Floor()
    floor.poll(0, NEWS, SUE)
    floor.poll(1, NEWS)
    old = floor.publish(NEWS)
    floor.poll(0, NEWS, SUE)
    slow = floor.publish(NEWS, paced=True)
    floor.box(frames.encode(frames.MESSAGE, offset=5, channel=SUE, data=b"1"))
    assert floor.got == {0: [old, 5, slow], 1: [old]}
    assert floor.stood[0][-1] == b"e1-%d" % slow


def test_pause_and_resume() -> None:
    """Paused it goes to nobody, also with what time it had been given; resumed it goes on where it was."""
    floor = streaming(8)
    slow = floor.publish(NEWS, paced=True)
    floor.pace(slow, 20)
    floor.hub.spreading.grant(0.1)
    floor.pace(slow, 0)
    floor.passes(60)
    assert (floor.got, floor.hub.busy, floor.hub.spreading.is_running) == ({}, False, False)
    floor.pace(slow, 20)
    floor.passes(0.1)
    assert floor.got == {0: [slow], 1: [slow]}


def test_cancel() -> None:
    """It goes to nobody more, all stand at the head again, and the manager hears to how many it went."""
    floor = streaming(8)
    slow = floor.publish(NEWS, paced=True)
    floor.pace(slow, 30)
    floor.passes(0.1)
    floor.told()
    floor.cancel(slow)
    assert floor.told() == [(slow, Progress(8, 3, 5))]
    floor.passes(60)
    assert floor.got == {0: [slow], 1: [slow], 2: [slow]}
    assert floor.hub.position(7) == b"e1-%d" % slow
    floor.cancel(slow)
    floor.pace(slow, 30)
    assert (floor.told(), floor.hub.spreading.is_paced) == ([], False)


def test_who_leaves_is_lost() -> None:
    """Whoever has gone before its turn, or cannot be written to, is neither written to nor left."""
    floor = streaming(5)
    slow = floor.publish(NEWS, paced=True)
    floor.hub.leave(0)
    floor.broken = {1, 2}
    floor.pace(slow, 1000)
    floor.passes(1)
    assert floor.got == {3: [slow], 4: [slow]}
    assert floor.told()[-1] == (slow, Progress(5, 2, 0))


def test_all_leave() -> None:
    """When nobody is left it is over, also while it pauses."""
    floor = streaming(3)
    slow = floor.publish(NEWS, paced=True)
    floor.told()
    for fd in range(3):
        floor.hub.leave(fd)
    floor.hub.spreading.report()
    assert floor.told() == [(slow, Progress(3, 0, 0))]
    assert not floor.hub.spreading.is_paced


def test_who_comes_later() -> None:
    """Who comes when it has begun reads it from the log: also on the place of one that has gone."""
    floor = streaming(3)
    slow = floor.publish(NEWS, paced=True)
    floor.hub.leave(1)
    for fd in (1, 9):
        floor.stream(fd, NEWS)
    floor.pace(slow, 1000)
    floor.passes(1)
    assert floor.got == {0: [slow], 2: [slow]}


def test_who_joins_while_it_begins() -> None:
    """Who waits for a page has it from there, and is not counted; the page of one that was cut off has it next time."""
    floor = streaming(3)
    joining = Session((NEWS,), None, is_stream=True)
    floor.hub.park_session(5, joining)
    slow = floor.publish(NEWS, paced=True)
    assert floor.told()[-1] == (slow, Progress(3, 0, 3))
    floor.box(frames.encode(frames.PAGE, number=joining.join, offset=slow, channel=NEWS, data=b"1"), end(joining, slow))
    assert floor.got == {5: [slow]}


@pytest.mark.parametrize("since", [b"", b"e1-10"])
def test_who_subscribes_to_more_while_it_begins(since: bytes) -> None:
    """Such a stream has it at once, or behind what it catches up with, and is not counted."""
    floor = streaming(3)
    floor.hub.streams.subscribe(0, (SPORT,), since, None)
    session = floor.keys[0]
    slow = floor.publish(NEWS, paced=True)
    assert floor.told()[-1] == (slow, Progress(2, 0, 2))
    assert floor.got == ({} if since else {0: [slow]})
    floor.box(end(session, slow))
    assert floor.got == {0: [slow]}


def test_who_has_subscribed_to_more_when_it_is_cancelled() -> None:
    """What was to be written behind what a stream catches up with is not, when it was cancelled meanwhile."""
    floor = streaming(3)
    floor.hub.streams.subscribe(0, (SPORT,), b"e1-10", None)
    session = floor.keys[0]
    slow = floor.publish(NEWS, paced=True)
    news = floor.publish(NEWS)
    floor.cancel(slow)
    floor.box(end(session, news))
    assert floor.got[0] == [news]


@pytest.mark.parametrize("paced", [False, True])
def test_a_poll_that_is_to_get_no_more_than_its_page(paced: bool) -> None:
    """A message to many, in the box of a page that was cut off by its bytes, would hide what the page left out."""
    floor = Floor()
    session = Session((NEWS,), None, since=b"e1-5")
    floor.hub.park_session(0, session)
    floor.head += 2  # of the two messages the second was too much
    page = frames.encode(frames.PAGE, number=session.join, offset=11, channel=NEWS, data=b"1" * (ANSWER_BYTES - 9))
    flags = frames.PACED if paced else 0
    many = frames.encode(frames.MESSAGE, flags=flags, offset=13, channel=EVERYONE, data=b"1")
    floor.box(page, end(session, 12, more=True), many)
    floor.passes(0)
    assert (floor.got, floor.stood) == ({0: [11]}, {0: [b"e1-11"]})


def test_two_at_a_time() -> None:
    """Each has its own pace; the later one takes the earlier one along, and not the other way round."""
    floor = streaming(8)
    first, second = floor.publish(NEWS, paced=True), floor.publish(NEWS, paced=True)
    floor.pace(first, 20)
    floor.pace(second, 40)
    floor.passes(0.05)
    assert floor.got == {0: [first, second], 1: [first, second]}
    floor.pace(second, 0)
    floor.passes(0.1)
    assert floor.got == {0: [first, second], 1: [first, second], 2: [first], 3: [first]}
    assert floor.hub.position(2) == b"e1-%d" % (second - 1)
    assert floor.hub.position(7) == b"e1-%d" % (first - 1)
    floor.cancel(first)
    assert floor.hub.position(7) == b"e1-%d" % (second - 1)
    floor.pace(second, 1000)
    floor.passes(1)
    assert floor.got == {fd: [first, second] if fd < 4 else [second] for fd in range(8)}


def test_everything_else_goes_first() -> None:
    """While there are boxes, or messages to many at full speed, it waits; and of these as many may wait as ever."""
    floor = streaming(6)
    slow = floor.publish(NEWS, paced=True)
    floor.pace(slow, 1000)
    for fd in range(8, 14):
        floor.stream(fd, SPORT)
    sport = floor.publish(SPORT)
    floor.hub.spreading.grant(1)
    turns = iter([False, True])
    floor.hub.work(lambda: next(turns))
    assert list(floor.got) == list(range(8, 14))
    floor.hub.received(Box(99, sport + 1, 0, frames.encode(frames.MESSAGE, offset=sport + 1, channel=SUE, data=b"1")))
    assert floor.hub.has_boxes
    floor.hub.work(lambda: False)
    assert [floor.got[fd] for fd in range(6)] == [[slow]] * 6


def test_only_few_rows_at_a_time() -> None:
    """However much time was given out, others have their turn after a few rows."""
    floor = streaming(12)
    slow = floor.publish(NEWS, paced=True)
    floor.pace(slow, 1000)
    floor.hub.spreading.grant(1)
    floor.hub.work(lambda: True)
    assert (len(floor.got), floor.hub.busy) == (4, True)
    floor.hub.work(lambda: False, lambda: False)
    assert len(floor.got) == 4  # it is not its turn


def test_a_lost_link() -> None:
    """It is forgotten; a stream, and a poll, join anew from before it, and stand where they stood."""
    floor = streaming(1)
    floor.poll(1, NEWS)
    floor.stream(2, SPORT)
    slow = floor.publish(NEWS, paced=True)
    floor.publish(SPORT)
    floor.hub.unlinked()
    assert (floor.hub.busy, floor.hub.spreading.is_paced) == (False, False)
    assert [floor.keys[fd].since for fd in range(3)] == [b"e1-%d" % (slow - 1)] * 2 + [b"e1-%d" % (slow + 1)]
    assert floor.hub.streams.stood_at(0) == b"e1-%d" % (slow - 1)


def test_it_is_no_measure() -> None:
    """How long it takes is not among the times of messages."""
    floor = streaming(2)
    floor.hub.results.worked.clear()
    slow = floor.publish(NEWS, paced=True)
    floor.pace(slow, 1000)
    floor.passes(1)
    assert floor.hub.results.worked == []
