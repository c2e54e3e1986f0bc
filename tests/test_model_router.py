"""The manager's rules, one by one: which worker gets which message, what waits, and who has to wait to be let in."""

from __future__ import annotations

from typing import Any

import pytest

from megacomet.errors import Refused
from megacomet.model.directory import Directory
from megacomet.model.memory import MemoryStore
from megacomet.model.message import Publication, Published
from megacomet.model.polls import ANSWER_BYTES
from megacomet.model.receipts import Outcome, Receipt, Token
from megacomet.model.rollouts import Rollout
from megacomet.model.router import Router
from megacomet.model.store import Retention
from megacomet.wire import frames

SUE, NEWS = b"@sue", b"news"
NOW = 100.0


class Link:
    """A worker, as far as the router knows it: what was sent to it."""

    def __init__(self, router: Router) -> None:
        self.listening = self.has_room = True
        self.router = router
        self.sent: list[tuple[frames.Frame, Token | None]] = []
        router.attach(self)

    def send(self, record: bytes, token: Token | None) -> None:
        (frame,) = frames.decode(record)
        self.sent.append((frame, token))

    def want(self, *channels: bytes, kind: int = frames.WANT) -> None:
        self.router.received(self, b"".join(frames.encode(kind, channel=c) for c in channels), NOW)

    def leave(self, *channels: bytes) -> None:
        self.want(*channels, kind=frames.LEAVE)

    def join(self, *channels: bytes, since: bytes = b"", limit: int = 100) -> None:
        names = frames.encode_names(channels)
        self.router.received(self, frames.encode(frames.JOIN, number=7, offset=limit, channel=since, data=names), NOW)

    def offsets(self) -> list[int]:
        return [frame.offset for frame, _ in self.sent if frame.kind in (frames.MESSAGE, frames.PAGE)]

    def ends(self) -> list[tuple[int, int, int, list[bytes]]]:
        """Return (join, head, flags, gaps) of the pages that ended."""
        return [
            (f.number, f.offset, f.flags, frames.decode_names(f.data))
            for f, _ in self.sent
            if f.kind == frames.PAGE_END
        ]

    def report(self, at: int = -1, *, written: bool = True, connections: int = 0, later: int = 0) -> None:
        token = self.sent[at][1]
        assert token is not None
        self.router.settled(self, token, Outcome(written, connections, later), NOW)


class Desk:
    """A router with two workers."""

    def __init__(self, store_bytes: int = 10**9) -> None:
        self.store = MemoryStore(b"e1", lambda namespace: Retention(1000, 100, 10**7), store_bytes)
        self.router = Router(self.store, Directory())
        self.one, self.two = Link(self.router), Link(self.router)

    def publish(self, channel: bytes, data: bytes = b"1", counted: Any = None, **rest: Any) -> Published | Refused:
        outcome: list[Published | Refused] = []
        receipt = Receipt(counted) if counted else None
        self.router.publish(Publication(channel, data, **rest), NOW, outcome.append, receipt)
        (answer,) = outcome
        return answer

    def waiting(self, channel: bytes = SUE) -> list[int]:
        return [m.offset for m in self.store.waiting(channel, NOW)]


def test_only_who_listens() -> None:
    """A message goes to the workers with a listener; the publisher is told whether there was one."""
    desk = Desk()
    desk.one.want(NEWS)
    assert desk.publish(NEWS) == Published(1, "sent")
    assert desk.publish(b"old") == Published(2, "queued")
    assert desk.publish(b"old", ttl_s=0) == Published(3, "unheard")
    assert (desk.one.offsets(), desk.two.offsets()) == ([1], [])
    assert (desk.router.epoch, desk.router.head) == (b"e1", 3)
    assert desk.router.published == {"sent": 1, "queued": 1, "unheard": 1}


def test_who_left_gets_nothing() -> None:
    """A worker that has no listener any more is not sent to."""
    desk = Desk()
    desk.one.want(NEWS)
    desk.one.leave(NEWS)
    desk.publish(NEWS)
    assert desk.one.sent == []


def test_everyone() -> None:
    """A message to everyone goes to every worker with somebody waiting."""
    desk = Desk()
    desk.two.listening = False
    desk.publish(b"*")
    assert (desk.one.offsets(), desk.two.offsets()) == ([1], [])


def test_a_repeated_publication() -> None:
    """A publication with the same key is answered like the first, and goes to nobody again."""
    desk = Desk()
    desk.one.want(NEWS)
    assert desk.publish(NEWS, key=b"k") == Published(1, "sent")
    assert desk.publish(NEWS, key=b"k") == Published(1, "sent", repeated=True)
    assert desk.one.offsets() == [1]


def test_a_refused_publication() -> None:
    """The publisher is told when there is no room, and nothing is sent."""
    desk = Desk(store_bytes=1000)
    desk.one.want(SUE)
    assert isinstance(desk.publish(SUE, bytes(2000)), Refused)
    assert desk.one.sent == []


def test_receipts_over_two_workers() -> None:
    """A publisher is told the connections of all workers together, when the last has reported."""
    desk = Desk()
    counts: list[int] = []
    desk.one.want(NEWS)
    desk.two.want(NEWS)
    desk.publish(NEWS, counted=counts.append)
    desk.one.report(connections=3)
    assert counts == []
    desk.two.report(connections=4)
    assert counts == [7]


def test_a_receipt_that_comes_later() -> None:
    """A worker that still writes to many says so, and how many they were when it is through."""
    desk = Desk()
    desk.one.want(NEWS)
    desk.two.want(NEWS)
    counts: list[int] = []
    desk.publish(NEWS, counted=counts.append)
    offset = desk.one.offsets()[-1]
    desk.one.report(later=offset)
    desk.two.report(connections=3)
    assert counts == []
    counted = frames.encode(frames.COUNTED, number=70, offset=offset)
    desk.router.received(desk.one, counted, NOW)
    assert counts == [73]
    with pytest.raises(ValueError, match="nobody wants to know"):
        desk.router.received(desk.one, counted, NOW)


def test_a_receipt_that_never_comes() -> None:
    """What a worker that dies has written by then is not known: it does not count."""
    desk = Desk()
    desk.one.want(NEWS)
    counts: list[int] = []
    desk.publish(NEWS, counted=counts.append)
    desk.one.report(later=desk.one.offsets()[-1])
    desk.router.detach(desk.one, [], NOW)
    assert counts == [0]


def test_a_receipt_without_a_listener() -> None:
    """Nobody listens: the count is 0, at once."""
    counts: list[int] = []
    Desk().publish(NEWS, counted=counts.append)
    assert counts == [0]


def test_a_receipt_of_a_dead_worker() -> None:
    """A worker that dies has written to nobody, as far as one knows."""
    desk = Desk()
    counts: list[int] = []
    desk.one.want(NEWS)
    desk.publish(NEWS, counted=counts.append)
    token = desk.one.sent[0][1]
    assert token is not None
    desk.router.detach(desk.one, [token], NOW)
    assert counts == [0]


def test_a_mailbox_waits_for_its_client() -> None:
    """What nobody was there for is handed out oldest first, one at a time, each when the one before was written."""
    desk = Desk()
    desk.publish(SUE)
    desk.publish(SUE)
    desk.one.want(SUE)
    assert desk.one.offsets() == [1]
    desk.one.report()
    assert desk.one.offsets() == [1, 2]
    desk.one.report()
    assert desk.waiting() == []


def test_later_messages_wait_behind() -> None:
    """While something waits in a mailbox a new message waits behind it."""
    desk = Desk()
    desk.one.want(SUE)
    desk.publish(SUE)
    desk.one.report(written=False)
    assert desk.publish(SUE) == Published(2, "queued")
    assert desk.one.offsets() == [1, 1]


def test_returned_by_all() -> None:
    """A message waits again only when all workers that had it have returned it."""
    desk = Desk()
    desk.one.want(SUE)
    desk.two.want(SUE)
    desk.publish(SUE)
    desk.one.report(written=False)
    assert (desk.waiting(), desk.store.in_flight(SUE)) == ([], True)
    desk.two.report(written=False)
    assert (desk.waiting(), desk.store.in_flight(SUE)) == ([1], False)


def test_a_request_is_deferred() -> None:
    """Who asks for a mailbox while a message of it is on its way is let in when that is settled."""
    desk = Desk()
    desk.one.want(SUE)
    desk.publish(SUE)
    desk.two.want(SUE)
    desk.publish(SUE)
    assert desk.two.offsets() == []
    desk.one.report(0, written=False)
    desk.one.report(1, written=False)
    assert desk.two.offsets() == [1]


def test_a_deferred_request_is_taken_back() -> None:
    """Who leaves, or dies, before it was let in is not let in."""
    desk = Desk()
    desk.one.want(SUE)
    desk.publish(SUE)
    third = Link(desk.router)
    desk.two.want(SUE)
    third.want(SUE)
    desk.two.leave(SUE)
    desk.router.detach(third, [], NOW)
    desk.one.report(written=False)
    assert (desk.two.sent, third.sent, desk.waiting()) == ([], [], [1])


def test_a_deferred_join() -> None:
    """A session that joins from now waits for what is on its way; polls behind it wait for the session's page."""
    desk = Desk()
    desk.one.want(SUE)
    desk.publish(SUE)
    desk.two.join(SUE)
    desk.one.want(SUE)
    assert desk.two.sent == []
    desk.one.report(written=False)
    assert (desk.two.offsets(), desk.two.ends()) == ([1], [(7, 1, 0, [])])
    assert desk.one.offsets() == [1]
    desk.two.report(0, written=False)
    assert desk.one.offsets() == [1, 1]


def test_polls_before_a_deferred_join() -> None:
    """Requests are let in in the order in which they came."""
    desk = Desk()
    desk.one.want(SUE)
    desk.publish(SUE)
    desk.one.want(SUE)
    desk.two.join(SUE)
    desk.one.report(written=False)
    assert (desk.one.offsets(), desk.two.sent) == ([1, 1], [])
    desk.one.report()
    assert (desk.two.offsets(), desk.two.ends()) == ([], [(7, 1, 0, [])])


def test_a_dead_worker() -> None:
    """What a worker had not answered waits again, and whoever asked for it meanwhile gets it."""
    desk = Desk()
    desk.one.want(SUE)
    desk.publish(SUE)
    desk.two.want(SUE)
    token = desk.one.sent[0][1]
    assert token is not None
    desk.router.detach(desk.one, [token], NOW)
    assert desk.two.offsets() == [1]
    desk.two.report()
    desk.publish(SUE)
    assert (desk.one.offsets(), desk.two.offsets()) == ([1], [1, 2])


def test_a_join_from_now() -> None:
    """Channels start now, mailboxes with what waits; what is published next comes live."""
    desk = Desk()
    desk.publish(NEWS)
    desk.publish(SUE)
    desk.one.join(NEWS, SUE)
    assert (desk.one.offsets(), desk.one.ends()) == ([2], [(7, 2, 0, [])])
    desk.publish(NEWS)
    assert desk.one.offsets() == [2, 3]


@pytest.mark.parametrize(("size", "limit"), [(1, 2), (ANSWER_BYTES // 2, 100)], ids=["messages", "bytes"])
def test_a_join_from_now_is_cut_off(size: int, limit: int) -> None:
    """A page takes no more than its limit in messages, and in bytes; the rest waits."""
    desk = Desk()
    for _ in range(3):
        desk.publish(SUE, bytes(size))
    desk.one.join(SUE, limit=limit)
    assert (desk.one.offsets(), desk.one.ends()) == ([1, 2], [(7, 3, frames.MORE, [])])
    assert desk.waiting() == [3]


def test_a_join_from_a_position() -> None:
    """Who comes back with a position gets what it missed, that to everyone included."""
    desk = Desk()
    desk.one.listening = False
    for channel in (NEWS, NEWS, b"*", b"old"):
        desk.publish(channel)
    desk.one.join(NEWS, since=b"e1-1")
    assert (desk.one.offsets(), desk.one.ends()) == ([2, 3], [(7, 4, 0, [])])


def test_a_join_from_another_log() -> None:
    """Who comes back with a position of another log is told of the gap."""
    desk = Desk()
    desk.one.join(NEWS, SUE, since=b"e0-1")
    desk.one.join(NEWS, since=b"e1-1")  # ahead of the newest message
    desk.one.join(since=b"e0-1")  # it hears everyone only
    assert [gaps for _, _, _, gaps in desk.one.ends()] == [[NEWS, SUE], [NEWS], [b"*"]]


def test_gaps_of_everyone() -> None:
    """A message to everyone that is no longer kept is a gap of everybody, told beside those of other channels."""
    desk = Desk()
    for _ in range(101):  # one more than is kept
        desk.publish(b"*")
    desk.one.join(NEWS, since=b"e1-0")
    for _ in range(101):
        desk.publish(NEWS)
    desk.one.join(NEWS, since=b"e1-0")
    desk.one.join(NEWS, since=b"e1-1")
    assert [gaps for _, _, _, gaps in desk.one.ends()] == [[b"*"], [NEWS, b"*"], [NEWS]]


def test_a_message_at_a_pace() -> None:
    """It is handed out as one that is paced, its rollout hears of it, and a worker that dies is done with it."""
    desk = Desk()
    desk.one.want(NEWS)
    desk.two.want(NEWS)
    rollout = Rollout(lambda: None)
    done: list[Published | Refused] = []
    desk.router.publish(Publication(NEWS, b"1"), NOW, done.append, rollout.receipt)
    desk.router.rollouts.begin(1, rollout)
    for link in (desk.one, desk.two):
        [(frame, _)] = link.sent
        assert (frame.kind, frame.flags, frame.offset) == (frames.MESSAGE, frames.PACED, 1)
        desk.router.received(link, frames.encode_progress(1, frames.Progress(5, 0, 5)), NOW)
        assert not rollout.is_begun
        link.report()
    assert (rollout.is_begun, rollout.connections, rollout.left) == (True, 10, 10)
    desk.router.detach(desk.one, [], NOW)
    assert (rollout.lost, rollout.left) == (5, 5)


def test_what_is_paused_and_taken_back() -> None:
    """All workers are told, also those that have none of it; it is done when all have heard of it, or are gone."""
    desk = Desk()
    desk.publish(NEWS)
    done: list[int] = []
    desk.router.pause(1, done.append)
    desk.router.withdraw(NEWS, 1, NOW, done.append)
    for link in (desk.one, desk.two):
        told = [(frame.kind, frame.flags, frame.number, frame.offset) for frame, _ in link.sent]
        assert told == [(frames.PACE, 0, 0, 1), (frames.PACE, frames.WITHDRAWN, 0, 1)]
    assert (desk.store.held(NEWS, NOW).messages, done) == (0, [])
    desk.one.report(0)
    desk.one.report(1)
    desk.router.detach(desk.two, [token for _, token in desk.two.sent if token], NOW)
    assert done == [0, 0]


def test_an_unknown_record() -> None:
    """A worker that sends a record that is none for the manager is an error."""
    desk = Desk()
    with pytest.raises(ValueError, match="a worker sent a record of kind 1"):
        desk.one.want(SUE, kind=frames.MESSAGE)


def test_time_passes() -> None:
    """What is past its time waits no longer, and a dead worker's number becomes free."""
    desk = Desk()
    desk.publish(SUE, ttl_s=5)
    desk.router.detach(desk.one, [], NOW)
    desk.router.expire(NOW + 6)
    assert desk.store.waiting(SUE, NOW + 6) == []
    desk.two.want(SUE)
    assert desk.two.sent == []


def test_those_who_come_back_wait_for_room() -> None:
    """Their channels are theirs at once, what they missed comes in their order when the link has room."""
    desk = Desk()
    desk.publish(NEWS)
    desk.one.has_room = False
    desk.one.join(NEWS, since=b"oldest")
    desk.one.join(NEWS, SUE, since=b"e1-1")
    desk.one.join(b"else")
    assert desk.one.ends() == [(7, 1, 0, [])]  # who asks from now on waits for nothing
    desk.publish(NEWS)
    assert [frame.kind for frame, _ in desk.one.sent] == [frames.PAGE_END, frames.MESSAGE]
    desk.one.has_room = True
    desk.router.read_on(desk.one, NOW)
    assert desk.one.offsets() == [2, 1, 2, 2]
    assert desk.one.ends() == [(7, 1, 0, []), (7, 2, 0, []), (7, 2, 0, [])]


# -- who listens


def test_who_may_have_listeners() -> None:
    """The workers that the directory names, all of them for everyone's channel, none that is gone."""
    desk = Desk()
    desk.one.want(NEWS)
    desk.two.want(b"other")
    assert desk.router.listeners(NEWS) == {desk.one}
    assert desk.router.listeners(b"nobody") == set()
    assert desk.router.listeners(b"*") == {desk.one, desk.two}
    desk.router.detach(desk.one, [], NOW)
    assert (desk.router.listeners(NEWS), desk.router.listeners(b"*")) == (set(), {desk.two})


def test_who_waits_to_be_let_in_is_a_listener() -> None:
    """A poll that comes while a message is on its way to another is connected, though nothing goes to it yet."""
    desk = Desk()
    desk.one.want(SUE)
    desk.publish(SUE)
    desk.two.want(SUE)
    assert desk.router.listeners(SUE) == {desk.one, desk.two}
    desk.two.leave(SUE)
    desk.two.join(SUE)
    assert desk.router.listeners(SUE) == {desk.one, desk.two}
