"""A batch on whatever publishes: its lines in order, how far it goes ahead, and what it tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from megacomet.publishing.batch import MAX_IN_FLIGHT, Batch
from megacomet.publishing.publisher import Publisher
from megacomet.publishing.pushing import SLICE, IPushing
from tests.doors import FakeAudit, FakePressure, FakePublisher
from tests.pushings import ADMIN, FakePushing, Steps

MAX_LINE_BYTES = 10_000


def line(*channels: object) -> bytes:
    """Return a line to one or several channels."""
    names = [str(channel) for channel in channels]
    to = {"channel": names[0]} if len(names) == 1 else {"channels": names}
    return json.dumps(to | {"data": 1}).encode() + b"\n"


class Sent:
    """A batch that is being sent.

    Attributes:
        held: each time that its connection was to be read no more (True) or again.
        errors: what failed.
        answers: status and body.
    """

    def __init__(self, pushing: IPushing) -> None:
        self.held: list[bool] = []
        self.errors: list[Failure] = []
        self.answers: list[tuple[int, Any]] = []
        self.batch = Batch(pushing, ADMIN, MAX_LINE_BYTES, self.held.append, self.errors.append)

    def end(self) -> None:
        """The body is complete."""
        ended: Deferred[tuple[int, bytes]] = self.batch.end()
        ended.addCallback(lambda answer: self.answers.append((answer[0], json.loads(answer[1]))))
        ended.addErrback(self.errors.append)

    @property
    def is_held(self) -> bool:
        return bool(self.held) and self.held[-1]

    def counted(self, *what: str) -> list[int]:
        """Return the numbers of the one answer."""
        ((_, body),) = self.answers
        return [body[each] for each in what]


def test_lines_as_they_come() -> None:
    """A line is published when it is complete, the last one also without an end; the answer comes behind it."""
    pushing = FakePushing()
    sent = Sent(pushing)
    body = line("a") + b"\n" + line("b", "c") + line("d").rstrip()
    for n in range(len(body)):
        sent.batch.feed(body[n : n + 1])
    assert pushing.targets() == [b"a", b"b", b"c"]
    assert all(sender is ADMIN for _, sender, _ in pushing.given)
    sent.end()
    assert pushing.targets() == [b"a", b"b", b"c", b"d"]
    assert sent.counted("lines", "sent", "failed") == [3, 4, 0]
    assert sent.answers[0][1]["position"] == "e1-3"
    assert sent.held == []


NOTHING: list[tuple[bytes, int]] = [
    (b"", 200),
    (b"\n \n", 200),
    (b"{\n", 422),
    (line("x"), 422),
    (line("x", "x"), 422),
    (b"y" * (MAX_LINE_BYTES + 1), 422),
]


@pytest.mark.parametrize(("body", "status"), NOTHING)
def test_nothing_is_published(body: bytes, status: int) -> None:
    """A batch that published nothing says where the log stands all the same; that has to be asked for."""
    pushing = FakePushing()
    pushing.is_late = True
    pushing.refuse = {b"x": "store-full"}
    sent = Sent(pushing)
    sent.batch.feed(body)
    sent.end()
    pushing.answer()
    assert (sent.answers, len(pushing.asking)) == ([], 1)
    pushing.tell_position()
    ((found, answer),) = sent.answers
    assert (found, answer["position"]) == (status, f"e1-{len(pushing.given) + 100}")
    assert (pushing.asking, sent.errors, sent.is_held) == ([], [], False)


def test_nothing_is_new() -> None:
    """A batch of which all was published before is one that published nothing."""
    pushing = FakePushing()
    pushing.is_repeated = True
    sent = Sent(pushing)
    sent.batch.feed(line("a") + line("b"))
    sent.end()
    assert sent.counted("lines", "sent", "repeated", "failed") == [2, 0, 2, 0]
    assert sent.answers[0][1]["position"] == "e1-102"


def test_an_error_of_ours_in_the_answer() -> None:
    """Whoever waits for the answer has it, also when it comes late."""
    for is_late in (False, True):
        pushing = FakePushing()
        pushing.is_late = is_late
        sent = Sent(pushing)
        sent.batch.feed(line("a"))
        sent.batch._count.errors = [()]  # type: ignore[list-item]
        sent.end()
        pushing.answer()
        assert ([failure.type for failure in sent.errors], sent.answers) == ([TypeError], [])


def test_what_is_refused() -> None:
    """Lines that are wrong, too long or refused fail; one that is refused by some of its targets counts the others."""
    pushing = FakePushing()
    pushing.refuse = {b"x": "store-full"}
    sent = Sent(pushing)
    sent.batch.feed(line("a") + b"{\n" + b"y" * (MAX_LINE_BYTES + 1) + b"\n" + line("x") + line("x", "b"))
    sent.end()
    assert sent.counted("lines", "sent", "failed") == [5, 2, 3]
    codes = [(each["line"], each["code"]) for each in sent.answers[0][1]["errors"]]
    assert codes == [(2, "bad-json"), (3, "too-large"), (4, "store-full"), (5, "store-full")]
    assert sent.answers[0][0] == 200


def test_answered_in_any_order() -> None:
    """The answer waits for the last outcome, whichever that is."""
    pushing = FakePushing()
    pushing.is_late = True
    pushing.refuse = {b"x": "mailbox-full"}
    sent = Sent(pushing)
    sent.batch.feed(line("a") + line("x") + line("b"))
    sent.end()
    assert sent.answers == []
    pushing.answer([2, 0, 1])
    assert sent.counted("lines", "sent", "failed") == [3, 2, 1]


def test_a_slow_line() -> None:
    """While one can be overtaken the next one waits, and nothing is read; the answer waits for both."""
    pushing = FakePushing()
    pushing.is_slow = True
    sent = Sent(pushing)
    sent.batch.feed(line("a") + line("b"))
    assert (pushing.targets(), sent.held) == ([b"a"], [True])
    sent.end()
    pushing.hand()
    assert (pushing.targets(), sent.answers) == ([b"a", b"b"], [])
    pushing.hand()
    assert sent.counted("lines", "sent") == [2, 2]
    assert not sent.is_held


def test_so_many_in_flight() -> None:
    """So many lines may wait for their outcome; then nothing is published or read until half of them are answered."""
    pushing = FakePushing()
    pushing.is_late = True
    sent = Sent(pushing)
    half = MAX_IN_FLIGHT // 2
    sent.batch.feed(b"".join(line(n) for n in range(MAX_IN_FLIGHT + half + 5)))
    for _ in range(MAX_IN_FLIGHT // SLICE + 1):
        pushing.reactor.turn()
    assert len(pushing.given) == MAX_IN_FLIGHT
    assert sent.is_held
    for _ in range(half - 1):
        pushing.waiting.pop(0)()
        pushing.reactor.turn()
    assert len(pushing.given) == MAX_IN_FLIGHT
    assert sent.is_held
    pushing.waiting.pop(0)()
    assert len(pushing.given) == MAX_IN_FLIGHT + SLICE
    for _ in range(half // SLICE + 1):
        pushing.reactor.turn()
    assert len(pushing.given) == MAX_IN_FLIGHT + half
    assert sent.is_held
    pushing.answer()
    assert len(pushing.given) == MAX_IN_FLIGHT + half + 5
    pushing.answer()
    assert not sent.is_held
    sent.end()
    assert sent.counted("sent") == [MAX_IN_FLIGHT + half + 5]


@pytest.mark.parametrize("rest", [0, 1, MAX_IN_FLIGHT // 2, MAX_IN_FLIGHT // 2 + 1])
def test_held_and_nothing_waits(rest: int) -> None:
    """A batch that is held by what is under way goes on, whatever there is left, and comes to its end."""
    pushing = FakePushing()
    pushing.is_late = True
    sent = Sent(pushing)
    sent.batch.feed(b"".join(line(n) for n in range(MAX_IN_FLIGHT)))
    while pushing.reactor.getDelayedCalls():
        pushing.reactor.turn()
    assert (len(pushing.given), sent.is_held) == (MAX_IN_FLIGHT, True)
    while len(pushing.waiting) > rest:
        pushing.waiting.pop()()
    assert sent.is_held is (rest > MAX_IN_FLIGHT // 2)
    sent.batch.feed(line("last"))
    sent.end()
    pushing.answer()
    pushing.answer()
    assert sent.counted("sent") == [MAX_IN_FLIGHT + 1]
    assert not sent.is_held


def test_several_at_once_share_a_turn() -> None:
    """Whoever pushes beside many batches waits no longer than beside one; each of them comes to its end."""
    pushing = FakePushing()
    lines = b"".join(line(n) for n in range(SLICE * 2))
    given, batches = [], []
    for _ in range(3):
        before = len(pushing.given)
        batches.append(Sent(pushing))
        batches[-1].batch.feed(lines)
        batches[-1].end()
        given.append(len(pushing.given) - before)
    assert given == [SLICE, SLICE // 2, SLICE // 3]
    for _ in range(12):
        pushing.reactor.turn()
    assert [each.counted("sent") for each in batches] == [[SLICE * 2]] * 3
    assert pushing.batches == 0


def test_lines_to_some_share_a_turn() -> None:
    """A turn has as many publications with lines to some as with lines to one."""
    pushing = FakePushing()
    sent = Sent(pushing)
    sent.batch.feed(b"".join(line(*range(50)) for _ in range(12)))
    for turn in range(1, 4):
        assert len(pushing.targets()) == SLICE * turn
        pushing.reactor.turn()
    sent.end()
    assert sent.counted("lines", "sent") == [12, 600]


@pytest.mark.parametrize("turns", [0, 1])
def test_an_error_of_ours(turns: int) -> None:
    """It is told once, and the connection is let go; nothing is published, read or answered after it."""
    pushing = FakePushing()
    sent = Sent(pushing)
    sent.batch.feed(b"".join(line(n) for n in range(SLICE * turns)) + line("a") * turns)
    pushing.broken = ZeroDivisionError()
    for _ in range(turns):
        pushing.reactor.turn()
    sent.batch.feed(line("b") + line("c"))
    given = len(pushing.given)
    pushing.broken = None
    sent.batch.feed(line("d"))
    sent.end()
    pushing.reactor.turn()
    assert [failure.type for failure in sent.errors] == [ZeroDivisionError]
    assert (len(pushing.given), sent.answers, sent.is_held) == (given, [], False)


def test_an_error_of_ours_behind_a_late_store() -> None:
    """Outcomes that come after it do no harm."""
    pushing = FakePushing()
    pushing.is_late = True
    sent = Sent(pushing)
    sent.batch.feed(line("a"))
    pushing.broken = ZeroDivisionError()
    sent.batch.feed(line("b"))
    pushing.answer()
    assert (len(sent.errors), sent.answers) == (1, [])


# -------------------------------------------------------------------------------------------------- on a publisher

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("feed"), st.lists(st.sampled_from([1, 2, 3, SLICE - 1, SLICE * 2 + 1]), max_size=6)),
        st.tuples(st.just("lines"), st.integers(0, SLICE * 2)),
        st.tuples(st.sampled_from(["turn", "fill", "relax", "late", "answer"]), st.just(0)),
    ),
    max_size=15,
)
Step = tuple[str, Any]


class World:
    """A batch on a publisher, on a router and a store that are told how to be."""

    def __init__(self, make: Callable[..., Publisher]) -> None:
        self.router = FakePublisher()
        self.pressure = FakePressure()
        self.clock = Steps()
        rest = (self.pressure, FakeAudit(), self.clock, self.clock.seconds, 65536)
        self.sent = Sent(make(self.router, *rest))
        self.expected: list[bytes] = []
        self.lines = 0

    def feed(self, sizes: list[int]) -> None:
        """Feed lines to so many targets each."""
        body = b""
        for size in sizes:
            names = [len(self.expected) + n for n in range(size)]
            self.expected += [b"%d" % name for name in names]
            self.lines += 1
            body += line(*names)
        self.sent.batch.feed(body)

    def do(self, action: str, what: Any) -> None:
        """Do one thing."""
        if action == "feed":
            self.feed(what)
        elif action == "lines":
            self.feed([1] * what)
        elif action == "turn":
            self.clock.turn()
        elif action == "fill":
            self.pressure.is_full = True
        elif action == "relax":
            self.pressure.relax()
        elif action == "late":
            self.router.late = not self.router.late
        else:
            self.router.answer_all()

    def check(self) -> None:
        """All that was published was so in order."""
        published = [each.channel for each in self.router.published]
        assert published == self.expected[: len(published)], "something was overtaken"

    def finish(self) -> None:
        """Let it come to its end, and look whether it does."""
        self.pressure.relax()
        self.sent.end()
        for _ in range(self.lines + len(self.expected) // SLICE + 2):
            self.clock.turn()
            self.router.answer_all()
        self.check()
        assert not self.sent.errors, self.sent.errors
        assert self.sent.answers, "it waits for ever"
        assert self.sent.counted("lines", "sent") == [self.lines, len(self.expected)]
        assert not self.sent.is_held
        assert self.clock.getDelayedCalls() == []


def run(steps: list[Step], make: Callable[..., Publisher] = Publisher) -> None:
    """Do all this, then let it come to its end.

    Raises:
        AssertionError: something was overtaken, lost, or waits for ever, or a turn was too long.
    """
    world = World(make)
    for action, what in steps:
        before = len(world.router.published)
        world.do(action, what)
        # The rest of one to many, a slice behind it, and the first part of another one that is the last in its slice.
        assert len(world.router.published) - before < SLICE * 3, "a turn was too long"
        world.check()
    world.finish()


@given(STEPS)
def test_order_is_kept(steps: list[Step]) -> None:
    """Lines to one and to many, with room and without, answered at once and later: in order, and to the end."""
    run(steps)


class Hasty(Publisher):
    """Says that nothing can overtake what is still to be published."""

    def publish(self, *args: Any, **named: Any) -> bool:
        return super().publish(*args, **named) or True


class Sleepy(Publisher):
    """Does not say when nothing can overtake it any more."""

    def publish(self, *args: Any, **named: Any) -> bool:
        return super().publish(*args, **named | {"handed": lambda: None})


@pytest.mark.parametrize("double", [Hasty, Sleepy])
def test_the_test_sees(double: Callable[..., Publisher]) -> None:
    """A publisher that lets a line overtake another, or has it wait for ever, is caught."""

    def is_caught(steps: list[Step]) -> bool:
        try:
            run(steps, double)
        except AssertionError:
            return True
        return False

    assert find(STEPS, is_caught, settings=settings(max_examples=1000, database=None, phases=[Phase.generate]))
