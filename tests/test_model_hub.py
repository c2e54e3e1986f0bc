"""The worker's rules, one by one: who gets which message, what goes back, and from where a client may go on."""

from __future__ import annotations

import pytest

from megacomet.model.answers import Box
from megacomet.model.entries import Entry
from megacomet.model.hub import FEW, Hub
from megacomet.model.polls import ANSWER_BYTES
from megacomet.model.row_keys import RowKeys
from megacomet.model.session import Session
from megacomet.wire import frames

SUE, NEWS = b"@sue", b"news"
NAMES = {frames.WANT: "want", frames.LEAVE: "leave", frames.JOIN: "join"}


class Desk:
    """A linked hub, its rows, and the answers that were written."""

    def __init__(self) -> None:
        self.keys = RowKeys()
        self.keys.grow(8)
        self.hub = Hub(self.keys, self)
        self.answers: list[tuple[int, list[tuple[bytes, bytes, bytes]], bytes, list[bytes]]] = []
        self.written = True
        self.boxes = 0
        self.hub.linked(b"e1", 10)

    def answer(
        self,
        fd: int,
        key: bytes | Session,
        messages: list[tuple[bytes, bytes, bytes]],
        position: bytes,
        gaps: list[bytes],
    ) -> bool:
        self.answers.append((fd, messages, position, gaps))
        return self.written

    def spread(self, fds: list[int], entry: Entry) -> tuple[int, list[int]]:
        return 0, fds

    def box(self, *records: bytes, head: int = 0, answered: int = 0) -> list[tuple[str, int, int]]:
        """Work a box off; return (what, index of the record, connections or 1 for absent)."""
        self.boxes += 1
        self.hub.received(Box(self.boxes, head, answered, b"".join(records)))
        (results,) = self.hub.work(lambda: False)
        return [
            ("receipt", f.number, f.offset) if f.kind == frames.RECEIPT else ("returned", f.number, f.flags)
            for f in frames.decode(results)
        ]

    def session(self, fd: int, *channels: bytes, since: bytes = b"", limit: int = 100, now: bool = False) -> Session:
        """Let a session wait that is joining."""
        session = Session(channels, b"", since=since, limit=limit, immediate=now)
        self.hub.park_session(fd, session)
        return session

    def live(self, fd: int, *channels: bytes, limit: int = 100) -> Session:
        """Let a session wait that missed nothing."""
        session = self.session(fd, *channels, limit=limit)
        self.box(end(session, 10))
        return session

    def says(self) -> list[tuple[str, bytes]]:
        return [(NAMES[f.kind], f.channel) for f in frames.decode(b"".join(self.hub.outgoing()))]

    def got(self) -> list[tuple[int, list[bytes]]]:
        """Return who got which messages, by their ids."""
        return [(fd, [id_ for _, id_, _ in messages]) for fd, messages, _, _ in self.answers]


def message(offset: int, channel: bytes = SUE, data: bytes = b"1", *, receipt: bool = False) -> bytes:
    flags = frames.WANTS_RECEIPT if receipt else 0
    return frames.encode(frames.MESSAGE, flags=flags, offset=offset, channel=channel, data=data)


def page(session: Session, offset: int, channel: bytes = NEWS, data: bytes = b"1") -> bytes:
    return frames.encode(frames.PAGE, number=session.join, offset=offset, channel=channel, data=data)


def end(session: Session, offset: int, *gaps: bytes, more: bool = False) -> bytes:
    return frames.encode(
        frames.PAGE_END,
        flags=frames.MORE if more else 0,
        number=session.join,
        offset=offset,
        data=frames.encode_names(gaps),
    )


def test_a_plain_poll_takes_one_message() -> None:
    """A plain poll takes one message of a box; the rest goes back to wait."""
    desk = Desk()
    desk.hub.park_mailbox(3, SUE)
    assert desk.box(message(11), message(12), message(13)) == [("returned", 1, 1), ("returned", 2, 1)]
    assert desk.answers == [(3, [(SUE, b"e1-11", b"1")], b"e1-11", [])]
    assert desk.keys[3] is None


def test_a_held_mailbox() -> None:
    """What was returned goes first: a later message of that mailbox is returned, until the manager knows."""
    desk = Desk()
    desk.box(message(11))
    desk.hub.park_mailbox(3, SUE)
    assert desk.box(message(12), answered=0) == [("returned", 0, 0)]
    assert desk.answers == []
    assert desk.box(message(11), answered=2) == []
    assert desk.got() == [(3, [b"e1-11"])]


def test_other_mailboxes_are_not_held() -> None:
    """Only the mailbox of which something was returned is held."""
    desk = Desk()
    desk.hub.park_mailbox(3, b"@tom")
    assert desk.box(message(11), message(12, b"@tom")) == [("returned", 0, 1)]
    assert desk.got() == [(3, [b"e1-12"])]


def test_one_asks_again_for_what_was_returned() -> None:
    """Who listens to a mailbox of which something was returned is told of again."""
    desk = Desk()
    desk.hub.park_mailbox(3, SUE)
    desk.says()
    desk.answer = lambda *a: bool(desk.hub.park_mailbox(4, SUE))  # type: ignore[method-assign]
    assert desk.box(message(11)) == [("returned", 0, 0)]
    assert desk.says() == [("want", SUE)]


def test_an_answer_that_was_not_written() -> None:
    """A message whose answer could not be written goes back."""
    desk = Desk()
    desk.written = False
    desk.hub.park_mailbox(3, SUE)
    assert desk.box(message(11, receipt=True)) == [("receipt", 0, 0), ("returned", 0, 1)]


def test_all_polls_of_a_mailbox() -> None:
    """All who wait for one mailbox get its message."""
    desk = Desk()
    desk.hub.park_mailbox(3, SUE)
    desk.hub.park_mailbox(4, SUE)
    assert desk.box(message(11, receipt=True)) == [("receipt", 0, 2)]
    assert sorted(desk.got()) == [(3, [b"e1-11"]), (4, [b"e1-11"])]


def test_receipts() -> None:
    """A publisher that asks is told how many connections were written to, also when there were none."""
    desk = Desk()
    desk.live(3, NEWS)
    results = desk.box(message(11, NEWS, receipt=True), message(12, b"old", receipt=True), message(13, NEWS))
    assert results == [("receipt", 0, 1), ("receipt", 1, 0)]


def test_everyone() -> None:
    """A message to everyone reaches plain polls and sessions, but nobody who still joins."""
    desk = Desk()
    desk.hub.park_mailbox(3, SUE)
    desk.live(4, NEWS)
    desk.session(5, NEWS)
    desk.box(message(11, b"*"))
    assert desk.got() == [(3, [b"e1-11"]), (4, [b"e1-11"])]


def test_live_messages_pass_by_who_joins() -> None:
    """Until its page has come a session gets no live message, because the page has it."""
    desk = Desk()
    session = desk.session(3, NEWS)
    desk.box(message(11, NEWS), head=11)
    assert desk.answers == []
    desk.box(page(session, 11), end(session, 11), message(12, NEWS), head=12)
    assert desk.answers == [(3, [(NEWS, b"e1-11", b"1"), (NEWS, b"e1-12", b"1")], b"e1-12", [])]


def test_a_page_over_two_boxes() -> None:
    """A page that is cut between two boxes arrives as a whole."""
    desk = Desk()
    session = desk.session(3, NEWS)
    desk.box(page(session, 8))
    desk.box(page(session, 9), end(session, 10))
    assert desk.got() == [(3, [b"e1-8", b"e1-9"])]


def test_a_page_for_nobody() -> None:
    """What waited in a mailbox goes back when the session that joined is gone; what is in a channel does not."""
    desk = Desk()
    session = desk.session(3, NEWS, SUE)
    records = page(session, 8), page(session, 9, SUE), end(session, 10)
    desk.hub.leave(3)
    assert desk.box(*records) == [("returned", 1, 1)]
    assert desk.answers == []


def test_nothing_was_missed() -> None:
    """A session that missed nothing goes on waiting, live."""
    desk = Desk()
    session = desk.live(3, NEWS)
    assert (desk.answers, session.join, desk.hub.head) == ([], 0, 10)


def test_immediate() -> None:
    """A session that does not want to wait is answered with its page, also with an empty one."""
    desk = Desk()
    session = desk.session(3, NEWS, now=True)
    desk.box(end(session, 10), head=12)
    assert desk.answers == [(3, [], b"e1-12", [])]


def test_gaps() -> None:
    """Who missed what is no longer kept is told at once."""
    desk = Desk()
    session = desk.session(3, NEWS, b"old")
    desk.box(end(session, 10, b"old"))
    assert desk.answers == [(3, [], b"e1-10", [b"old"])]


@pytest.mark.parametrize(("since", "position"), [(b"e1-5", b"e1-8"), (b"e1-9", b"e1-9"), (b"e0-9", b"e1-8")])
def test_a_page_that_was_cut_off(since: bytes, position: bytes) -> None:
    """A page that the limit cut off is gone on from its last message, but never back; live ones come later."""
    desk = Desk()
    session = desk.session(3, NEWS, since=since, limit=2)
    desk.box(page(session, 7), page(session, 8), end(session, 10, more=True), message(11, NEWS), head=11)
    assert desk.got() == [(3, [b"e1-7", b"e1-8"])]
    assert desk.answers[0][2] == position


def test_a_live_answer_that_is_cut_off() -> None:
    """A session takes no more than its limit, and its position is that of the last message it took."""
    desk = Desk()
    desk.live(3, NEWS, limit=2)
    desk.box(message(11, NEWS), message(12, NEWS), message(13, NEWS), head=13)
    assert desk.answers == [(3, [(NEWS, b"e1-11", b"1"), (NEWS, b"e1-12", b"1")], b"e1-12", [])]


def test_an_answer_has_a_size() -> None:
    """An answer takes no more messages after a million bytes, but always one."""
    desk = Desk()
    desk.live(3, NEWS)
    desk.box(message(11, NEWS, bytes(ANSWER_BYTES + 1)), message(12, NEWS), head=12)
    assert desk.got() == [(3, [b"e1-11"])]


def test_a_poll_that_waits_is_a_row_of_bytes() -> None:
    """When it missed nothing it is kept as bytes; the link's loss makes it ask again from where it stands."""
    desk = Desk()
    desk.live(3, NEWS, SUE)
    assert isinstance(desk.keys[3], bytes)
    desk.box(head=14)
    desk.hub.unlinked()
    session = desk.keys[3]
    assert isinstance(session, Session)
    assert (session.channels, session.since, session.limit) == ((NEWS, SUE), b"e1-14", 100)
    desk.hub.linked(b"e1", 14)
    desk.box(end(session, 15))
    assert desk.box(message(16, NEWS), message(17), head=17) == []
    assert desk.answers == [(3, [(NEWS, b"e1-16", b"1"), (SUE, b"e1-17", b"1")], b"e1-17", [])]


def test_an_old_message_takes_no_waiting_poll_back() -> None:
    """What waited in a mailbox from before is one answer; the next goes on from where the poll had looked up to."""
    desk = Desk()
    desk.live(3, NEWS, SUE, limit=1)
    desk.box(message(4), message(12, NEWS), head=12)
    assert desk.answers == [(3, [(SUE, b"e1-4", b"1")], b"e1-10", [])]


def test_the_rest_of_a_mailbox_goes_back() -> None:
    """What a session could not take of its mailbox waits again."""
    desk = Desk()
    desk.live(3, SUE, limit=1)
    assert desk.box(message(11), message(12)) == [("returned", 1, 1)]


def test_the_head_is_true_for_who_is_told_it() -> None:
    """The head moves on with the box; who is told it is first given what is due, though time ran out before."""
    desk = Desk()
    for fd in (3, 4):
        desk.hub.park_mailbox(fd, SUE)
    desk.live(5, NEWS)
    desk.boxes += 1
    desk.hub.received(Box(desk.boxes, 15, 0, message(11) + message(12, NEWS)))
    assert desk.hub.work(lambda: True) == []
    assert (len(desk.answers), desk.hub.head, desk.hub.busy) == (1, 15, True)
    desk.hub.expire(5)
    assert desk.answers[-1] == (5, [(NEWS, b"e1-12", b"1")], b"e1-15", [])
    assert desk.hub.work(lambda: True) == []
    assert desk.hub.work(lambda: True) == [b""]
    assert (len(desk.answers), desk.hub.head, desk.hub.busy) == (3, 15, False)


def test_a_poll_that_times_out() -> None:
    """A plain poll was promised nothing; a session gets the position up to which it was told everything."""
    desk = Desk()
    desk.hub.park_mailbox(3, SUE)
    desk.live(4, NEWS)
    desk.session(5, NEWS, since=b"e1-5")
    desk.box(head=12)
    for fd in (3, 4, 5, 6):
        desk.hub.expire(fd)
    assert desk.answers == [(3, [], b"", []), (4, [], b"e1-12", []), (5, [], b"e1-5", [])]
    assert desk.hub.waiting() == []


def test_a_poll_that_times_out_over_its_message() -> None:
    """A poll whose time is over while its message is at hand gets the message."""
    desk = Desk()
    for fd in (3, 4):
        desk.hub.park_mailbox(fd, SUE)
    desk.hub.received(Box(1, 15, 0, message(11)))
    desk.hub.work(lambda: True)
    (left,) = desk.hub.waiting()
    desk.hub.expire(left)
    assert desk.got() == [(7 - left, [b"e1-11"]), (left, [b"e1-11"])]


def test_leaving() -> None:
    """A row that is left is free, gets nothing, and may be left again."""
    desk = Desk()
    desk.hub.park_mailbox(3, SUE)
    desk.session(4, NEWS)
    assert (desk.hub.waiting(), desk.hub.channels) == ([3, 4], 2)
    for fd in (3, 4, 4):
        desk.hub.leave(fd)
    assert (desk.hub.waiting(), desk.hub.channels, desk.answers, desk.says()) == ([], 0, [], [])


def test_unlinked() -> None:
    """When the link is lost sessions keep waiting and join anew: live ones from the head, others from where they were.

    What was not worked off is forgotten, and no mailbox is held.
    """
    desk = Desk()
    desk.live(3, NEWS)
    desk.session(4, NEWS, since=b"e1-5")
    desk.hub.park_mailbox(5, SUE)
    desk.box(message(11, b"@tom"), head=12)
    desk.hub.received(Box(9, 20, 0, message(13)))
    desk.hub.unlinked()
    assert not desk.hub.busy
    records = desk.hub.linked(b"e2", 1)
    told = [(NAMES[f.kind], f.channel) for f in frames.decode(b"".join(records))]
    assert told == [("want", SUE), ("join", b"e1-12"), ("join", b"e1-5")]
    desk.hub.park_mailbox(6, b"@tom")
    assert desk.box(message(2, b"@tom")) == []
    assert desk.answers == [(6, [(b"@tom", b"e2-2", b"1")], b"e2-2", [])]


@pytest.mark.parametrize("kind", [10, frames.WANT, frames.RETURNED, 99])
def test_an_unknown_record(kind: int) -> None:
    """A record that has no business in a box is an error, not a silence."""
    desk = Desk()
    with pytest.raises(ValueError, match=f"a record of kind {kind} has no business in a box"):
        desk.box(frames.encode(kind, channel=SUE))


def test_a_broadcast_that_counts_keeps_no_answer_back() -> None:
    """Boxes behind it are answered while it goes on, for only so many are on their way; its number comes at the end."""
    desk = Desk()
    desk.keys.grow(FEW + 1)
    sessions = [desk.session(fd, NEWS) for fd in range(FEW + 1)]
    desk.hub.outgoing()
    desk.box(*(end(session, 10) for session in sessions))
    desk.hub.received(Box(1, 11, 0, message(11, NEWS, receipt=True)))
    desk.hub.received(Box(2, 12, 0, message(12)))
    [first, second] = desk.hub.work(lambda: False, lambda: False)
    assert [(f.kind, f.flags, f.offset) for f in frames.decode(first)] == [(frames.RECEIPT, frames.LATER, 11)]
    assert [f.kind for f in frames.decode(second)] == [frames.RETURNED]
    assert desk.hub.busy
    assert desk.hub.work(lambda: False) == []
    assert desk.hub.outgoing()[-1] == frames.encode(frames.COUNTED, number=FEW + 1, offset=11)


def test_a_page_over_two_boxes_that_are_worked_off_in_slices() -> None:
    """What a page brought of a mailbox is not returned before the poll that it answers has been written to."""
    desk = Desk()
    session = desk.session(3, SUE, since=b"e1-5")
    desk.hub.received(Box(1, 10, 0, page(session, 7, SUE)))
    assert desk.hub.work(lambda: False) == []
    desk.hub.received(Box(2, 10, 0, page(session, 8, SUE) + end(session, 10)))
    turns = iter([True, True, True])
    results = []
    while desk.hub.busy:
        results += desk.hub.work(lambda: next(turns, True))
    assert results == [b"", b""]
    assert [(fd, len(messages)) for fd, messages, _, _ in desk.answers] == [(3, 2)]


def test_a_page_over_two_boxes_whose_poll_is_gone() -> None:
    """What nobody took of it is returned, for both boxes."""
    desk = Desk()
    session = desk.session(3, SUE, since=b"e1-5")
    desk.hub.received(Box(1, 10, 0, page(session, 7, SUE)))
    assert desk.hub.work(lambda: False) == []
    desk.hub.leave(3)
    desk.hub.received(Box(2, 10, 0, page(session, 8, SUE) + end(session, 10)))
    returned = [[f.kind for f in frames.decode(blob)] for blob in desk.hub.work(lambda: False)]
    assert returned == [[frames.RETURNED], [frames.RETURNED]]


def test_what_a_gone_poll_left_is_not_overtaken_in_the_next_box() -> None:
    """A message whose poll goes before it is answered waits in the manager: the next box's is not given before it."""
    desk = Desk()
    desk.hub.park_mailbox(3, SUE)
    desk.hub.park_mailbox(4, b"@joe")
    desk.hub.received(Box(1, 12, 0, message(11, b"@joe") + message(12)))
    assert desk.hub.work(lambda: True) == []  # joe is answered, sue is not yet
    desk.hub.leave(3)
    desk.hub.park_mailbox(3, SUE)
    desk.hub.received(Box(2, 13, 0, message(13)))
    results = desk.hub.work(lambda: False)
    assert [[f.kind for f in frames.decode(blob)] for blob in results] == [[frames.RETURNED], [frames.RETURNED]]
    assert desk.got() == [(4, [b"e1-11"])]


def test_what_was_worked_off() -> None:
    """Of each box, how many messages were worked off, and of those to many each when it is through; pages are none."""
    desk = Desk()
    desk.hub.park_mailbox(3, SUE)
    session = desk.session(4, NEWS)
    desk.hub.received(Box(1, 10, 0, page(session, 8) + end(session, 10), 5.0, 6.0))
    desk.hub.work(lambda: False)
    assert desk.hub.results.worked == []
    desk.hub.received(Box(2, 12, 0, message(11) + message(12, b"nobody's"), 7.0, 8.0))
    desk.hub.work(lambda: False)
    ((result, messages, is_fanout),) = desk.hub.results.worked
    assert (result.accepted_s, result.came_s, messages, is_fanout) == (7.0, 8.0, 2, False)
    desk.hub.unlinked()
    assert desk.hub.results.worked == []


def test_what_was_worked_off_of_messages_to_many() -> None:
    """A message to many counts when its last row is written, not with its box."""
    desk = Desk()
    desk.keys.grow(FEW + 8)
    for fd in range(FEW + 1):
        desk.live(fd, NEWS)
    desk.hub.results.worked.clear()
    desk.hub.received(Box(desk.boxes + 1, 12, 0, message(11, NEWS) + message(12), 7.0, 8.0))
    desk.hub.work(lambda: False, lambda: False)
    assert [(w.messages, w.is_fanout) for w in desk.hub.results.worked] == [(1, False)]
    while desk.hub.busy:
        desk.hub.work(lambda: False)
    assert [(w.messages, w.is_fanout) for w in desk.hub.results.worked] == [(1, False), (1, True)]
