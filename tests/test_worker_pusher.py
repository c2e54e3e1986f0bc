"""Pushes on their way from a worker to the manager and back: boxes, answers, and what a lost link leaves."""

from __future__ import annotations

from msgspec.structs import astuple
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from megacomet import link
from megacomet.errors import PeerError
from megacomet.model.keys import Identity, Keys
from megacomet.publishing.pushing import Outcome, Sender
from megacomet.wire.push import Push, PushResult
from megacomet.wire.pushed import SentPush, decode_pushes, encode_told
from megacomet.worker.pusher import BOXES_UNDER_WAY, FULL_BYTES, LARGE_BOXES_UNDER_WAY, LARGE_BYTES, Pusher
from tests.pushings import ADMIN, Steps, push_to

KEYS = Keys([("a-key", "admin")])


class FakeEnd:
    """A connection to the manager that answers when the test says so.

    Attributes:
        boxes: each value that was sent.
        waiting: how many of them are not answered.
    """

    def __init__(self, pusher: Pusher) -> None:
        self.boxes: list[bytes] = []
        self.waiting = 0
        self._pusher = pusher

    def publish(self, pushes: bytes) -> None:
        """Send a box."""
        self.boxes.append(pushes)
        self.waiting += 1

    def sent(self) -> list[list[SentPush]]:
        """Return the pushes of each box."""
        return [list(decode_pushes(box)) for box in self.boxes]

    def answer(self, *told: bytes, head: int = 1) -> None:
        """Answer the oldest box."""
        assert self.waiting
        self.waiting -= 1
        self._pusher.told(b"".join(told), 1, head)


def sent_to(number: int, *targets: bytes) -> bytes:
    """Return what says that a push was sent to these targets."""
    return encode_told(number, [PushResult(each, b"e1-%d" % number, "sent") for each in targets], None)


class PusherTestCase(SynchronousTestCase):
    """A pusher with a link that the test plays.

    Attributes:
        outcomes: of each push, in the order in which they came, with its targets.
    """

    def setUp(self) -> None:
        self.clock = Steps()
        self.pusher = Pusher(self.clock, 65536)
        self.outcomes: list[tuple[tuple[bytes, ...], Outcome]] = []
        self.end = self.link()

    def link(self, epoch: bytes = b"e1", head: int = 0) -> FakeEnd:
        """Let a link stand."""
        end = FakeEnd(self.pusher)
        self.pusher.linked(end, epoch, head, KEYS.pack())
        return end

    def push(self, *pushes: Push, sender: Sender = ADMIN, wants_receipt: bool = False) -> None:
        """Push, and keep the outcomes."""
        for push in pushes:

            def done(outcome: Outcome, targets: tuple[bytes, ...] = push.targets) -> None:
                self.outcomes.append((targets, outcome))

            self.assertIs(self.pusher.publish(push, sender, done, wants_receipt=wants_receipt), True)

    def numbers(self) -> list[list[int]]:
        """Return the numbers of the pushes of each box."""
        return [[sent.number for sent in box] for box in self.end.sent()]

    def codes(self) -> list[tuple[bytes, str]]:
        """Return the first target of each outcome and why it was refused."""
        return [(targets[0], outcome.refusal.code if outcome.refusal else "") for targets, outcome in self.outcomes]


class BoxTests(PusherTestCase):
    """What goes to the manager."""

    def test_gathered_in_a_turn(self) -> None:
        """What is pushed in one turn leaves in one box, in its order, as it was asked for."""
        first, second = Push((b"a",), True, b'"x"', 2.5, b"k"), push_to(b"b", b"c")
        self.push(first)
        self.push(second, wants_receipt=True)
        self.assertEqual(self.end.boxes, [])
        self.clock.turn()
        ((one, two),) = self.end.sent()
        self.assertEqual((one.push, two.push), (first, second))
        self.assertEqual((one.identity, one.wants_receipt, two.wants_receipt), (ADMIN.identity.id, False, True))
        self.assertNotEqual(one.number, two.number)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_origin(self) -> None:
        """Who asked and from where goes with what is noted, and with nothing else."""
        self.push(push_to(b"a"), push_to(b"*"))
        self.push(push_to(b"b", b"*"), sender=Sender(Identity(b"j" * 8, "admin", "x"), "r-\u00fc"))
        self.clock.turn()
        (box,) = self.end.sent()
        self.assertEqual([sent.origin for sent in box], [b"", b'["r-1","192.0.2.1"]', '["r-\u00fc",null]'.encode()])

    def test_so_many_boxes(self) -> None:
        """Few boxes are under way at once; what comes meanwhile is gathered, and leaves when one is answered."""
        for n in range(BOXES_UNDER_WAY + 3):
            self.push(push_to(b"%d" % n))
            self.clock.turn()
        self.assertEqual(self.numbers(), [[n + 1] for n in range(BOXES_UNDER_WAY)])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.end.answer(sent_to(1, b"0"))
        gathered = [n + 1 for n in range(BOXES_UNDER_WAY, BOXES_UNDER_WAY + 3)]
        self.assertEqual(self.numbers()[BOXES_UNDER_WAY:], [gathered])
        for _ in range(BOXES_UNDER_WAY):
            self.end.answer()
        self.assertEqual((len(self.end.boxes), self.end.waiting), (BOXES_UNDER_WAY + 1, 0))

    def test_large_boxes(self) -> None:
        """Those of a batch follow each other at once, a few of them; a small one behind them waits for all."""
        for n in range(LARGE_BOXES_UNDER_WAY + 1):
            self.push(push_to(b"%d" % n, data=bytes(LARGE_BYTES)))
            self.clock.turn()
        self.assertEqual(self.numbers(), [[n + 1] for n in range(LARGE_BOXES_UNDER_WAY)])
        self.end.answer()
        self.assertEqual(self.numbers()[-1], [LARGE_BOXES_UNDER_WAY + 1])
        self.push(push_to(b"small"))
        for _ in range(LARGE_BOXES_UNDER_WAY - BOXES_UNDER_WAY):
            self.clock.turn()
            self.end.answer()
        self.assertEqual(len(self.end.boxes), LARGE_BOXES_UNDER_WAY + 1)
        self.end.answer()
        self.assertEqual(self.numbers()[-1], [LARGE_BOXES_UNDER_WAY + 2])

    def test_cut(self) -> None:
        """A box is cut between two pushes when it has its size; a push larger than that has one of its own."""
        half = b"x" * (link.BOX_BYTES // 2)
        self.push(*[push_to(b"%d" % n, data=half) for n in range(3)], push_to(b"a", data=half * 5), push_to(b"b"))
        self.clock.turn()
        while self.end.waiting:
            self.assertLessEqual(self.end.waiting, LARGE_BOXES_UNDER_WAY)
            self.end.answer()
        self.assertEqual(self.numbers(), [[1, 2], [3, 4], [5]])
        for box, pushes in zip(self.end.boxes, self.end.sent(), strict=True):
            self.assertLess(len(box) - len(pushes[-1].push.data), link.BOX_BYTES)

    def test_full(self) -> None:
        """Beyond so many bytes that are gathered it is full, until enough of it has left."""
        self.push(*[push_to(b"a", data=bytes(link.BOX_BYTES)) for _ in range(3 + BOXES_UNDER_WAY)])
        self.assertIs(self.pusher.full(), True)
        waits = [self.pusher.wait() for _ in range(2)]
        self.assertNoResult(waits[0])
        self.clock.turn()
        for wait in waits:
            self.successResultOf(wait)
        self.assertIs(self.pusher.full(), False)
        self.successResultOf(self.pusher.wait())

    def test_full_while_boxes_are_under_way(self) -> None:
        """Whoever waits goes on when boxes were answered and others have left."""
        for _ in range(LARGE_BOXES_UNDER_WAY):
            self.push(push_to(b"a", data=bytes(LARGE_BYTES)))
            self.clock.turn()
        self.push(push_to(b"b", data=bytes(FULL_BYTES)))
        self.assertNoResult(wait := self.pusher.wait())
        self.clock.turn()
        self.assertNoResult(wait)
        self.end.answer()
        self.successResultOf(wait)

    def test_full_again(self) -> None:
        """Who goes on may fill it again, and waits again without holding up the others."""
        self.push(push_to(b"a", data=bytes(FULL_BYTES)))
        again: list[Deferred[None]] = []

        def fill(_: None) -> None:
            self.push(push_to(b"b", data=bytes(FULL_BYTES)))
            again.append(self.pusher.wait())

        self.pusher.wait().addCallback(fill)
        other = self.pusher.wait()
        self.clock.turn()
        self.successResultOf(other)
        self.assertNoResult(again[0])
        self.clock.turn()
        self.end.answer()
        self.successResultOf(again[0])


class AnswerTests(PusherTestCase):
    """What comes from the manager."""

    def test_matched(self) -> None:
        """Each push has its own outcome, in whichever order they are told."""
        self.push(push_to(b"a"), push_to(b"b", b"c"), push_to(b"d"))
        self.clock.turn()
        partly = [PushResult(b"b", b"", "refused", code="mailbox-full"), PushResult(b"c", b"e1-2", "queued", True, 3)]
        refused = encode_told(3, [], ("unauthorized", "who?"))
        self.end.answer(refused, encode_told(2, partly, ("mailbox-full", "full")), sent_to(1, b"a"), head=7)
        third, second, first = [outcome for _, outcome in self.outcomes]
        self.assertEqual([targets for targets, _ in self.outcomes], [(b"d",), (b"b", b"c"), (b"a",)])
        self.assertEqual(first, Outcome([PushResult(b"a", b"e1-1", "sent")], None, True))
        self.assertEqual((second.results, second.accepted), (partly, True))
        assert second.refusal is not None
        assert third.refusal is not None
        self.assertEqual((second.refusal.code, second.refusal.detail), ("mailbox-full", "full"))
        self.assertEqual((third.results, third.refusal.code, third.accepted), ([], "unauthorized", False))
        self.assertEqual(self.pusher.position(), b"e1-7")

    def test_all_targets_refused(self) -> None:
        """What no target took is not accepted."""
        self.push(push_to(b"a"))
        self.clock.turn()
        self.end.answer(encode_told(1, [PushResult(b"a", b"", "refused", code="store-full")], ("store-full", "")))
        self.assertIs(self.outcomes[0][1].accepted, False)

    def test_later(self) -> None:
        """What the answer to a box does not tell is told later, also when other boxes were answered meanwhile."""
        self.push(push_to(b"a"), push_to(b"b"))
        self.clock.turn()
        self.push(push_to(b"c"))
        self.clock.turn()
        self.end.answer(sent_to(2, b"b"))
        self.end.answer(sent_to(3, b"c"))
        self.assertEqual(self.codes(), [(b"b", ""), (b"c", "")])
        self.pusher.told(sent_to(1, b"a"), 0, 9)
        self.assertEqual(self.codes()[2:], [(b"a", "")])
        self.assertEqual(self.pusher.position(), b"e1-9")

    def test_told_twice(self) -> None:
        """The first outcome counts, and of pushes that nobody knows nothing is heard."""
        self.push(push_to(b"a"))
        self.clock.turn()
        self.end.answer(sent_to(1, b"a"), sent_to(1, b"a"), sent_to(77, b"x"))
        self.pusher.told(encode_told(1, [], ("overloaded", "")), 0, 1)
        self.assertEqual(self.codes(), [(b"a", "")])

    def test_position(self) -> None:
        """It is what the manager has told last, whatever it told besides; another log's is taken as it is."""
        self.assertEqual(self.pusher.position(), b"e1-0")
        self.push(push_to(b"a"))
        self.clock.turn()
        for boxes, head, position in [(0, 5, b"e1-5"), (1, 5, b"e1-5"), (0, 6, b"e1-6")]:
            self.pusher.told(b"", boxes, head)
            self.assertEqual(self.pusher.position(), position)
        self.pusher.unlinked()
        self.assertEqual(self.pusher.position(), b"e1-6")
        self.link(b"e2", 2)
        self.assertEqual(self.pusher.position(), b"e2-2")

    def test_the_position_is_known_with_the_outcome(self) -> None:
        """Whoever is told can say up to where everything is published."""
        found: list[bytes] = []
        self.pusher.publish(push_to(b"a"), ADMIN, lambda _: found.append(self.pusher.position()))
        self.clock.turn()
        self.end.answer(sent_to(1, b"a"), head=4)
        self.assertEqual(found, [b"e1-4"])

    def test_pushed_on_an_answer(self) -> None:
        """Who pushes again as soon as it is answered is not forgotten."""
        self.pusher.publish(push_to(b"a"), ADMIN, lambda _: self.push(push_to(b"b")))
        self.clock.turn()
        self.end.answer(sent_to(1, b"a"))
        self.clock.turn()
        self.assertEqual(self.numbers(), [[1], [2]])
        self.end.answer(sent_to(2, b"b"))
        self.assertEqual(self.codes(), [(b"b", "")])

    def test_an_error_in_who_asked(self) -> None:
        """It is logged, and costs neither the link nor the others their outcomes."""

        def done(_: Outcome) -> None:
            raise ZeroDivisionError

        for linked in (True, False):
            self.push(push_to(b"a"))
            self.pusher.publish(push_to(b"x"), ADMIN, done)
            self.push(push_to(b"b"))
            self.clock.turn()
            numbers = self.numbers()[-1]
            if linked:
                self.end.answer(*[sent_to(n, c) for n, c in zip(numbers, (b"a", b"x", b"b"), strict=True)])
                self.assertIs(self.pusher.up, True)
            else:
                self.pusher.unlinked()
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.codes(), [(b"a", ""), (b"b", ""), (b"a", "overloaded"), (b"b", "overloaded")])


class LossTests(PusherTestCase):
    """No link, a lost one, and the next one."""

    def test_without_a_link(self) -> None:
        """A push is refused at once, and nothing waits."""
        pusher = Pusher(self.clock, 65536)
        self.assertEqual((pusher.up, pusher.full()), (False, False))
        found: list[Outcome] = []
        self.assertIs(pusher.publish(push_to(b"a"), ADMIN, found.append), True)
        ((results, refusal, accepted),) = map(astuple, found)
        assert refusal is not None
        self.assertEqual((results, refusal.code, accepted), ([], "overloaded", False))
        self.successResultOf(pusher.wait())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lost(self) -> None:
        """All that is unanswered is refused, each once: gathered, under way, or to be told later."""
        self.push(push_to(b"a"), push_to(b"b"))
        self.clock.turn()
        self.end.answer(sent_to(2, b"b"))
        for name in (b"c", b"d"):
            self.push(push_to(name))
            self.clock.turn()
        self.push(push_to(b"e", data=bytes(FULL_BYTES)))
        wait = self.pusher.wait()
        self.pusher.unlinked()
        self.assertEqual(self.codes(), [(b"b", "")] + [(name, "overloaded") for name in (b"a", b"c", b"d", b"e")])
        self.assertIs(self.pusher.up, False)
        self.successResultOf(wait)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lost_before_the_turn(self) -> None:
        """What was to leave in this turn does not leave on the next link."""
        self.push(push_to(b"a"))
        self.pusher.unlinked()
        end = self.link()
        self.clock.turn()
        self.push(push_to(b"b"))
        self.clock.turn()
        self.assertEqual([[sent.push.targets for sent in box] for box in end.sent()], [[(b"b",)]])
        self.assertEqual(self.codes(), [(b"a", "overloaded")])

    def test_pushed_on_the_loss(self) -> None:
        """Who pushes again as soon as it hears of the loss is refused at once."""
        self.pusher.publish(push_to(b"a"), ADMIN, lambda _: self.push(push_to(b"b")))
        self.clock.turn()
        self.pusher.unlinked()
        self.assertEqual(self.codes(), [(b"b", "overloaded")])

    def test_answers_of_the_old_link(self) -> None:
        """What is told of its pushes does not count on the next link, and its boxes make no room there."""
        old = self.end
        for name in (b"a", b"b"):
            self.push(push_to(name))
            self.clock.turn()
        self.pusher.unlinked()
        self.end = self.link(b"e2", 1)
        for n in range(BOXES_UNDER_WAY + 1):
            self.push(push_to(b"%d" % n))
            self.clock.turn()
        before = [sent.number for box in old.sent() for sent in box]
        numbers = [sent.number for box in self.end.sent() for sent in box]
        self.assertEqual((len(before), len(numbers)), (min(2, BOXES_UNDER_WAY), BOXES_UNDER_WAY))
        self.assertFalse(set(before) & set(numbers))
        self.pusher.told(b"".join(sent_to(number, b"x", b"y") for number in before), 0, 1)
        self.assertEqual(self.codes(), [(b"a", "overloaded"), (b"b", "overloaded")])
        self.assertEqual((len(self.end.boxes), self.pusher.position()), (BOXES_UNDER_WAY, b"e2-1"))
        self.end.answer(sent_to(numbers[0], b"0"))
        self.assertEqual(self.codes()[2:], [(b"0", "")])
        self.assertEqual(len(self.end.boxes), BOXES_UNDER_WAY + 1)

    def breaks(self, said: str, told: bytes, boxes: int = 1) -> None:
        """Told this, it says so; the link that is ended then leaves nothing."""
        self.push(push_to(b"a"))
        self.clock.turn()
        with self.assertRaisesRegex(ValueError, said):
            self.pusher.told(told, boxes, 1)
        self.assertEqual((self.outcomes, len(self.end.boxes)), ([], 1))
        self.pusher.unlinked()
        self.assertEqual(self.codes(), [(b"a", "overloaded")])

    def test_results_that_are_none(self) -> None:
        """What cannot be read is an error of who tells it."""
        self.breaks("cut off", sent_to(1, b"a")[:-1])

    def test_results_that_are_too_few(self) -> None:
        """An answer that does not have one result for each target is broken."""
        self.push(push_to(b"x", b"y"))
        self.outcomes.clear()
        self.clock.turn()
        with self.assertRaisesRegex(ValueError, "one result for each target"):
            self.pusher.told(sent_to(1, b"x"), 1, 1)
        self.assertEqual(self.outcomes, [])

    def test_results_that_are_too_many(self) -> None:
        """And so is one that has more of them."""
        self.breaks("one result for each target", sent_to(1, b"a", b"b"))

    def test_boxes_that_are_too_many(self) -> None:
        """Whoever has worked off more than there was is not believed what became of it either."""
        self.breaks("more boxes", sent_to(1, b"a"), 2)


class AskTests(PusherTestCase):
    """Where the log stands, by what the manager says when it is asked."""

    def setUp(self) -> None:
        super().setUp()
        self.positions: list[bytes] = []

    def ask(self, times: int = 1) -> None:
        """Ask."""
        for _ in range(times):
            self.pusher.ask_position(self.positions.append)

    def test_asked(self) -> None:
        """Whoever asks in one turn asks with one box, and is told what its answer says, once."""
        self.ask(3)
        self.assertEqual((self.positions, self.end.boxes), ([], []))
        self.clock.turn()
        self.assertEqual((self.positions, self.end.boxes), ([], [b""]))
        self.end.answer(head=7)
        self.assertEqual((self.positions, self.end.boxes), ([b"e1-7"] * 3, [b""]))
        self.push(push_to(b"a"))
        self.clock.turn()
        self.end.answer(sent_to(1, b"a"), head=8)
        self.assertEqual((len(self.positions), len(self.end.boxes)), (3, 2))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_without_a_link(self) -> None:
        """What is known is told at once, and nobody is asked."""
        self.pusher.told(b"", 0, 5)
        self.pusher.unlinked()
        self.ask()
        self.assertEqual((self.positions, self.clock.getDelayedCalls()), ([b"e1-5"], []))
        end = self.link(b"e2", 2)
        self.clock.turn()
        self.assertEqual((self.positions, end.boxes), ([b"e1-5"], []))

    def test_behind_what_was_gathered(self) -> None:
        """The question leaves with what was pushed before it, and is answered when that has its outcome."""
        self.push(push_to(b"a"))
        self.ask()
        self.pusher.ask_position(lambda _: self.positions.append(b"%d outcomes" % len(self.outcomes)))
        self.push(push_to(b"b"))
        self.clock.turn()
        self.assertEqual(self.numbers(), [[1, 2]])
        self.end.answer(sent_to(1, b"a"), sent_to(2, b"b"), head=2)
        self.assertEqual((self.positions, len(self.end.boxes)), ([b"e1-2", b"2 outcomes"], 1))

    def test_behind_more_than_a_box(self) -> None:
        """It goes with the last box of what was pushed before it, not with the first."""
        self.push(*[push_to(b"%d" % n, data=bytes(link.BOX_BYTES)) for n in range(3)])
        self.ask()
        self.clock.turn()
        for n in range(3):
            self.assertEqual(self.positions, [])
            self.end.answer(sent_to(n + 1, b"%d" % n), head=n + 1)
        self.assertEqual((self.positions, self.numbers()), ([b"e1-3"], [[1], [2], [3]]))

    def test_while_boxes_are_under_way(self) -> None:
        """What left before it was asked does not answer it: others may have published since."""
        for n in range(BOXES_UNDER_WAY):
            self.push(push_to(b"%d" % n))
            self.clock.turn()
        self.ask()
        self.clock.turn()
        self.assertEqual(len(self.end.boxes), BOXES_UNDER_WAY)
        self.pusher.told(b"", 0, 3)
        self.end.answer(head=4)
        self.assertEqual((self.positions, self.end.boxes[BOXES_UNDER_WAY:]), ([], [b""]))
        while self.end.waiting:
            self.end.answer(head=9)
        self.assertEqual(self.positions, [b"e1-9"])

    def test_lost_while_asked(self) -> None:
        """What is known is told, once; on the next link nobody asks for it again."""
        self.ask()
        self.clock.turn()
        self.ask()
        self.pusher.told(b"", 0, 5)
        self.assertEqual(self.positions, [])
        self.pusher.unlinked()
        self.assertEqual((self.positions, self.clock.getDelayedCalls()), ([b"e1-5"] * 2, []))
        end = self.link(b"e2", 1)
        self.clock.turn()
        self.assertEqual(end.boxes, [])
        self.push(push_to(b"a"))
        self.clock.turn()
        end.answer(sent_to(1, b"a"), head=2)
        self.assertEqual((len(self.positions), self.codes()), (2, [(b"a", "")]))

    def test_lost_before_the_turn(self) -> None:
        """The same holds when the question has not left."""
        self.ask()
        self.pusher.unlinked()
        self.assertEqual((self.positions, self.end.boxes), ([b"e1-0"], []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_asked_again_when_told(self) -> None:
        """Whoever asks again as soon as it is told, or hears of the loss, is not forgotten."""
        self.pusher.ask_position(lambda _: self.ask())
        self.clock.turn()
        self.end.answer(head=1)
        self.clock.turn()
        self.end.answer(head=2)
        self.assertEqual(self.positions, [b"e1-2"])
        self.pusher.ask_position(lambda _: self.ask())
        self.clock.turn()
        self.pusher.unlinked()
        self.assertEqual((self.positions, self.clock.getDelayedCalls()), ([b"e1-2"] * 2, []))

    def test_an_error_in_who_asked(self) -> None:
        """It is logged, and costs nobody else an answer."""

        def fail(_: bytes) -> None:
            raise ZeroDivisionError

        for linked in (True, False):
            self.ask()
            self.pusher.ask_position(fail)
            self.ask()
            self.clock.turn()
            if linked:
                self.end.answer(head=3)
            else:
                self.pusher.unlinked()
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.positions, [b"e1-3"] * 4)


class KeysTests(PusherTestCase):
    """Whose pushes may be taken is what the manager said last."""

    def test_from_hello(self) -> None:
        """Before the first link there are none; each link brings its own, and they stay when it is lost."""
        with self.assertRaises(PeerError):
            Pusher(self.clock, 65536).keys.check(b"Bearer a-key")
        self.assertEqual(self.pusher.keys.check(b"Bearer a-key").scope, "admin")
        self.pusher.unlinked()
        self.assertEqual(self.pusher.keys.check(b"Bearer a-key").scope, "admin")
        self.pusher.linked(FakeEnd(self.pusher), b"e1", 0, Keys([("b-key", "push")]).pack())
        self.assertEqual(self.pusher.keys.check(b"Bearer b-key").scope, "push")
        with self.assertRaises(PeerError):
            self.pusher.keys.check(b"Bearer a-key")
