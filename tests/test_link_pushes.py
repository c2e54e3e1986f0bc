"""Pushes over a link in memory, from the worker that decoded them to the store and back."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.test.iosim import IOPump

from megacomet import link
from megacomet.errors import PeerError, Refused
from megacomet.manager.downlink import Downlink
from megacomet.model.directory import Directory
from megacomet.model.keys import Keys
from megacomet.model.memory import MemoryStore
from megacomet.model.message import Message, Publication, Published
from megacomet.model.position import OLDEST
from megacomet.model.receipts import Receipt
from megacomet.model.router import Router
from megacomet.model.store import Missed, Retention
from megacomet.publishing.publisher import Publisher
from megacomet.publishing.pushing import SLICE, Outcome, Sender
from megacomet.wire.push import Push, PushResult
from megacomet.worker.pusher import BOXES_UNDER_WAY, Pusher
from megacomet.worker.uplink_end import UplinkEnd
from tests.doors import FakeAudit, FakePressure
from tests.ends import KEY, NONCE, WatchedRouter, connect_ends, links_of
from tests.pushings import Steps, push_to

SOME = tuple(b"s%d" % n for n in range(3))
MANY = tuple(b"m%d" % n for n in range(SLICE * 2 + 1))
#: More than anything here needs to come to rest.
MOST_TURNS = 5000


class SlowRouter(WatchedRouter):
    """A router with its store at hand, whose answers wait when the test says so."""

    def __init__(self) -> None:
        retention = Retention(1e6, 10_000, 10**8)
        self.store = MemoryStore(b"e1", lambda namespace: retention, 10**9)
        self.detached = []
        self.is_late = False
        self.waiting: list[Callable[[], None]] = []
        Router.__init__(self, self.store, Directory())

    def publish(
        self,
        publication: Publication,
        now: float,
        done: Callable[[Published | Refused], None],
        receipt: Receipt | None = None,
    ) -> None:
        """Publish now, answer now or later."""

        def published(outcome: Published | Refused) -> None:
            if self.is_late:
                self.waiting.append(lambda: done(outcome))
            else:
                done(outcome)

        super().publish(publication, now, published, receipt)

    def answer(self, at: int) -> None:
        """Answer one of those that wait."""
        if self.waiting:
            self.waiting.pop(at % len(self.waiting))()

    def answer_all(self) -> None:
        """Answer all that wait, the newest first."""
        while self.waiting:
            self.waiting.pop()()


class Uplink:
    """The worker's side of the link, as far as pushes need it."""

    def __init__(self, pusher: Pusher, clock: Steps) -> None:
        self.pusher = pusher
        self.clock = clock.seconds

    def dialled(self, end: UplinkEnd) -> None:
        hello = end.callRemote(link.Hello, protocol=link.PROTOCOL, number=0, pid=os.getpid(), nonce=NONCE)
        hello.addCallback(lambda said: self.pusher.linked(end, said["epoch"], said["head"], said["keys"]))

    def lost(self, end: UplinkEnd) -> None:
        self.pusher.unlinked()


class Asked(NamedTuple):
    """The position was asked for.

    Attributes:
        head: where the log stood then.
        pushed: how much the worker had pushed before.
        lost: how many links were lost before; -1: there was none then.
        told: each answer, with how many links were lost by then.
    """

    head: int
    pushed: int
    lost: int
    told: list[tuple[int, int]]


def offset_of(position: bytes) -> int:
    return int(position.removeprefix(b"e1-"))


class World:
    """A worker and a manager, and the link between them while it stands.

    Attributes:
        pushed: each push with its outcomes.
        asked: of each time that the position was asked for.
        lost: how many links were.
    """

    def __init__(self, pusher: Callable[..., Pusher] = Pusher, publisher: Callable[..., Publisher] = Publisher) -> None:
        self.clock = Steps()
        self.router = SlowRouter()
        self.links, _, _ = links_of(self.clock, router=self.router)
        self.pressure = FakePressure()
        rest = (self.pressure, FakeAudit(), self.clock, self.clock.seconds, 65536)
        self.links.publisher = publisher(self.router, *rest)
        self.pusher = pusher(self.clock, 65536)
        self.sender = Sender(Keys([(KEY, "admin")]).check(b"Bearer " + KEY.encode()))
        self.pushed: list[tuple[Push, list[Outcome]]] = []
        self.asked: list[Asked] = []
        self.lost = 0
        self.last = (0, 0)
        self.pump: IOPump | None = None
        self.dial()

    # -- what may happen

    def dial(self) -> None:
        """Connect, when there is no connection."""
        if self.pump is None:
            self.downlink = cast(Downlink, self.links.factory().buildProtocol(None))
            self.end = UplinkEnd(cast(Any, Uplink(self.pusher, self.clock)))
            self.pump = connect_ends(self.downlink, self.end, self.clock)
            self.move()
            self.move()
            assert self.pusher.up

    def lose(self, last_words: bool) -> None:
        """The connection ends; what the worker has written before reaches the manager, or does not."""
        if self.pump is not None:
            self.lost += 1
            written = self.pump.clientIO.getOutBuffer()
            self.end.connectionLost(Failure(ConnectionLost()))
            if last_words and written:
                self.downlink.dataReceived(written)
            self.downlink.connectionLost(Failure(ConnectionLost()))
            self.pump = None

    def push(self, targets: tuple[bytes, ...], size: int = 0, *, wants_receipt: bool = False) -> None:
        """Push something that was never pushed before."""
        push = push_to(*targets, data=b"%d." % len(self.pushed) + bytes(size))
        outcomes: list[Outcome] = []
        self.pushed.append((push, outcomes))
        self.pusher.publish(push, self.sender, outcomes.append, wants_receipt=wants_receipt)

    def push_elsewhere(self) -> None:
        """Somebody else publishes something."""
        self.router.publish(Publication(b"elsewhere", b"1"), self.clock.seconds(), lambda _: None)

    def ask(self) -> None:
        """Ask for the position."""
        lost = self.lost if self.pusher.up else -1
        asked = Asked(self.router.head, len(self.pushed), lost, [])
        self.asked.append(asked)
        self.pusher.ask_position(lambda position: asked.told.append((offset_of(position), self.lost)))

    def move(self) -> bool:
        """Let what was written arrive, either way; tell whether there was something."""
        return self.pump is not None and self.pump.pump(advanceClock=False)

    def do(self, action: str, what: Any) -> None:
        """Let one thing happen."""
        match action:
            case "push":
                targets, size, wants_receipt = what
                self.push(targets, size, wants_receipt=wants_receipt)
            case "elsewhere":
                self.push_elsewhere()
            case "ask":
                self.ask()
            case "turn":
                self.clock.turn()
            case "move":
                self.move()
            case "lose":
                self.lose(what)
            case "dial":
                self.dial()
            case "fill":
                self.pressure.is_full = True
            case "relax":
                self.pressure.relax()
            case "late":
                self.router.is_late = what
            case "answer":
                self.router.answer(what)

    def finish(self) -> None:
        """Let all that can come to its end do so."""
        self.pressure.relax()
        self.router.is_late = False
        for _ in range(MOST_TURNS):
            self.router.answer_all()
            is_at_rest = not self.clock.getDelayedCalls()
            self.clock.turn()
            if not self.move() and is_at_rest:
                return
        raise AssertionError("it does not come to rest")

    # -- what must be so

    def look(self) -> None:
        """Look at what must be so at any time: nothing is told twice, and on one link the position never goes back."""
        assert not self.pushed or max(len(outcomes) for _, outcomes in self.pushed) < 2, "told twice"
        last, self.last = self.last, (self.lost, offset_of(self.pusher.position()))
        assert self.last >= last, "the position goes back"

    def stored(self) -> dict[int, Message]:
        """Return what stands in the store, by offset."""
        found: list[Missed] = []
        channels = [*SOME, *MANY]
        self.router.store.read(channels, OLDEST, 10**6, 10**9, self.clock.seconds(), found.append)
        return {message.offset: message for message in found[0].messages}

    def check(self) -> None:
        """Look whether each push has its outcome, and all that was acknowledged stands in the store, in order."""
        stored = self.stored()
        assert len({(each.channel, each.data) for each in stored.values()}) == len(stored), "published twice"
        last = 0
        for push, outcomes in self.pushed:
            assert len(outcomes) == 1, f"{len(outcomes)} outcomes of a push"
            ((results, refusal, accepted),) = map(astuple, outcomes)
            if refusal is not None:
                assert (results, refusal.code, accepted) == ([], "overloaded", False)
                continue
            assert tuple(result.channel for result in results) == push.targets
            for result in results:
                assert result.status == "queued"
                offset = offset_of(result.id)
                assert offset in stored, "acknowledged and not stored"
                assert stored[offset] == Message(offset, result.channel, push.data), "stored otherwise"
                assert offset > last, "out of order"
                last = offset
        for asked in self.asked:
            self.check_asked(asked)

    def check_asked(self, asked: Asked) -> None:
        """Look whether who asked was told once, and of all that was published or gathered then; if a link stood."""
        assert len(asked.told) == 1, f"{len(asked.told)} positions"
        ((offset, lost),) = asked.told
        if lost == asked.lost:
            outcomes = [outcome for _, (outcome,) in self.pushed[: asked.pushed]]
            offsets = [offset_of(result.id) for outcome in outcomes for result in outcome.results]
            assert offset >= max([asked.head, *offsets]), "a position before what it was asked for"


Step = tuple[str, Any]
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        st.tuples(
            st.just("push"),
            st.tuples(
                st.sampled_from([SOME[:1], SOME[1:], MANY]),
                st.sampled_from([0, 0, 0, link.BOX_BYTES // 2]),
                st.booleans(),
            ),
        ),
        st.tuples(st.sampled_from(["turn", "move", "turn", "move", "dial", "fill", "relax"]), st.none()),
        st.tuples(st.sampled_from(["ask", "elsewhere"]), st.none()),
        st.tuples(st.just("answer"), st.integers(0, 5)),
        st.tuples(st.sampled_from(["late", "lose"]), st.booleans()),
    ),
    max_size=40,
)


def run(steps: list[Step], **doubles: Any) -> None:
    """Let all this happen, and come to its end.

    Raises:
        AssertionError: an outcome is missing, one too many or wrong.
    """
    world = World(**doubles)
    for action, what in steps:
        world.do(action, what)
        world.look()
    world.finish()
    world.look()
    world.check()


@given(STEPS)
def test_each_push_has_one_outcome(steps: list[Step]) -> None:
    """Whatever happens to the link, room and store: one outcome each, and what was acknowledged stands in order.

    And who asks for the position is told, once, one that is not before anything that was published.
    """
    run(steps)


@settings(max_examples=20)
@given(st.lists(st.sampled_from([SOME[:1], SOME[1:], MANY]), max_size=300), st.integers(1, 50))
def test_all_are_published_on_a_link_that_stands(pushes: list[tuple[bytes, ...]], in_turn: int) -> None:
    """Without a lost link none is refused, and the store has all of them in the order in which they were pushed."""
    world = World()
    for number, targets in enumerate(pushes):
        world.push(targets)
        if number % in_turn == 0:
            world.clock.turn()
            world.move()
    world.finish()
    world.check()
    published = [(each.channel, each.data) for _, each in sorted(world.stored().items())]
    assert published == [(target, push.data) for push, _ in world.pushed for target in push.targets]


# -------------------------------------------------------------------------------------------- doubles that are caught


class Forgetful(Pusher):
    """Does not hear what it is told at first."""

    def told(self, told: bytes, boxes: int, head: int) -> None:
        is_first, self.heard = not getattr(self, "heard", False), True
        super().told(b"" if is_first else told, boxes, head)


class Repeating(Pusher):
    """Tells everything twice."""

    def publish(self, push: Push, sender: Sender, done: Callable[[Outcome], None], **more: Any) -> bool:
        def twice(outcome: Outcome) -> None:
            done(outcome)
            done(outcome)

        return super().publish(push, sender, twice, **more)


class Overtaking(Pusher):
    """Has the second push go before the first."""

    def publish(self, *args: Any, **more: Any) -> bool:
        kept, self.kept = getattr(self, "kept", None), (args, more)
        if kept is None:
            return True
        super().publish(*args, **more)
        self.kept = None
        return super().publish(*kept[0], **kept[1])


class Rash(Pusher):
    """Tells the position as it knows it."""

    def ask_position(self, done: Callable[[bytes], None]) -> None:
        done(self.position())


class Backward(Pusher):
    """Takes what the manager says of the log from its end."""

    def told(self, told: bytes, boxes: int, head: int) -> None:
        super().told(told, boxes, -head)


class Lying(Publisher):
    """Says that it has published what it has not."""

    def publish_one(self, push: Push, channel: bytes, sender: Sender, done: Callable[..., None]) -> None:
        done(Published(1, "queued"))

    def publish(self, push: Push, sender: Sender, done: Callable[[Outcome], None], **more: Any) -> bool:
        done(Outcome([PushResult(target, b"e1-1", "queued") for target in push.targets], None, True))
        return True


class Hasty(Publisher):
    """Says that nothing can overtake what is still to be published."""

    def publish(self, *args: Any, **more: Any) -> bool:
        return super().publish(*args, **more | {"handed": None}) or True


@pytest.mark.parametrize(
    ("doubles", "why"),
    [
        ({"pusher": Forgetful}, "0 outcomes"),
        ({"pusher": Repeating}, "told twice"),
        ({"pusher": Overtaking}, "out of order"),
        ({"pusher": Rash}, "a position before"),
        ({"pusher": Backward}, "the position goes back"),
        ({"publisher": Lying}, "acknowledged and not stored"),
        ({"publisher": Hasty}, "out of order"),
    ],
)
def test_the_test_sees(doubles: dict[str, Any], why: str) -> None:
    """An outcome that is lost, repeated or wrong, and an order that is not kept, is caught."""

    def is_caught(steps: list[Step]) -> bool:
        try:
            run(steps, **doubles)
        except AssertionError as e:
            return why in str(e)
        return False

    assert find(STEPS, is_caught, settings=settings(max_examples=2000, database=None, phases=[Phase.generate]))


# ------------------------------------------------------------------------------------------------------- one by one


def test_boxes_under_way_on_a_full_manager() -> None:
    """A manager without room leaves boxes unanswered, and the worker sends no more of them."""
    world = World()
    world.pressure.is_full = True
    for _ in range(BOXES_UNDER_WAY + 3):
        world.push(SOME[:1])
        world.clock.turn()
        world.move()
    assert len(world.pressure.waiting) == 1
    assert all(not outcomes for _, outcomes in world.pushed)
    world.finish()
    world.check()
    assert len(world.stored()) == BOXES_UNDER_WAY + 3


def test_keys_that_change() -> None:
    """A worker takes the keys of the hello, and those that come later, while its link stands."""
    world = World()
    world.links.keys.replace([("new", "push")], [])
    assert world.pusher.keys.check(b"Bearer " + KEY.encode()).scope == "admin"
    world.move()
    assert world.pusher.keys.check(b"Bearer new").scope == "push"
    with pytest.raises(PeerError):
        world.pusher.keys.check(b"Bearer " + KEY.encode())
    world.lose(last_words=False)
    world.links.keys.replace([("newest", "push")], [])
    assert world.pusher.keys.check(b"Bearer new").scope == "push"
    world.dial()
    assert world.pusher.keys.check(b"Bearer newest").scope == "push"


def test_a_key_that_is_gone() -> None:
    """The manager refuses what the worker took with a key of a moment ago, and the link stands."""
    world = World()
    world.push(SOME[:1])
    world.links.keys.replace([("new", "push")], [])
    world.finish()
    ((_, (outcome,)),) = world.pushed
    assert outcome.refusal is not None
    assert outcome.refusal.code == "unauthorized"
    assert world.pusher.up
    assert world.stored() == {}


def test_the_position_of_what_was_published() -> None:
    """With its outcome a push's position is known: the log's own."""
    world = World()
    world.push(MANY)
    world.finish()
    assert world.pusher.position() == b"e1-%d" % len(MANY) == world.links.publisher.position()


def test_the_position_of_what_others_published() -> None:
    """Who asks is told where the log stands, which the worker itself has not heard of."""
    world = World()
    world.push_elsewhere()
    assert world.pusher.position() == b"e1-0"
    world.ask()
    world.finish()
    assert [asked.told for asked in world.asked] == [[(1, 0)]]


def test_a_manager_that_takes_no_pushes() -> None:
    """A worker whose box cannot be read loses its link, and all that it has pushed is refused, each once."""
    world = World()
    world.router.is_late = True
    world.push(SOME[:1])
    world.clock.turn()
    world.end.publish(b"x" * 10)
    world.push(SOME)
    while world.move():
        pass
    assert not world.pusher.up
    world.finish()
    world.check()
    assert [outcome.refusal and outcome.refusal.code for _, (outcome,) in world.pushed] == ["overloaded"] * 2
