"""The manager's way from a push to the router and back, on a router that is told what to do."""

from __future__ import annotations

from typing import Any

from msgspec.structs import astuple
from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase

from megacomet.errors import Refused
from megacomet.model.keys import Identity
from megacomet.model.message import Published
from megacomet.publishing.publisher import RECEIPT_S, Publisher
from megacomet.publishing.pushing import SLICE, Outcome, Sender
from megacomet.wire.push import Push, PushResult
from tests.doors import FakeAudit, FakePressure, FakePublisher
from tests.pushings import ADMIN, Steps, push_to

OTHER = Sender(Identity(b"o" * 8, "push", "other"))
MANY = tuple(b"m%d" % n for n in range(SLICE * 2 + 1))


class PublisherTestCase(SynchronousTestCase):
    """A publisher on fakes."""

    def setUp(self) -> None:
        self.router = FakePublisher()
        self.pressure = FakePressure()
        self.audit = FakeAudit()
        self.clock = Steps()
        self.pushing = Publisher(self.router, self.pressure, self.audit, self.clock, self.clock.seconds, 65536)
        self.outcomes: list[Outcome] = []
        self.handed = 0

    def publish(self, push: Push, sender: Sender = ADMIN, *, wants_receipt: bool = False) -> bool:
        """Publish, and keep what became of it."""
        return self.pushing.publish(
            push, sender, self.outcomes.append, wants_receipt=wants_receipt, handed=self._was_handed
        )

    def _was_handed(self) -> None:
        self.handed += 1

    def channels(self) -> list[bytes]:
        return [each.channel for each in self.router.published]


class OneTests(PublisherTestCase):
    """A push to one target."""

    def test_published(self) -> None:
        """It is published at once, as it stands there, and answered with its position."""
        self.assertIs(self.publish(Push((b"a",), True, b'"x"', 2.5, None)), True)
        (publication,) = self.router.published
        self.assertEqual((publication.channel, publication.data, publication.ttl_s), (b"a", b'"x"', 2.5))
        self.assertIsNone(publication.key)
        self.assertEqual(self.outcomes, [Outcome([PushResult(b"a", b"e1-1", "sent")], None, True)])
        self.assertEqual(self.pushing.position(), b"e1-1")

    def test_refused(self) -> None:
        """What the store does not take is told with its code."""
        self.router.refuse[b"a"] = "store-full"
        self.publish(push_to(b"a"))
        ((results, refusal, accepted),) = map(astuple, self.outcomes)
        self.assertEqual((results, accepted), ([PushResult(b"a", b"", "refused", code="store-full")], False))
        assert refusal is not None
        self.assertEqual(refusal.code, "store-full")

    def test_a_late_store(self) -> None:
        """Nothing can overtake what was given to the store, answered or not."""
        self.router.late = True
        self.assertIs(self.publish(push_to(b"a")), True)
        self.assertEqual(self.outcomes, [])
        self.router.answer_all()
        self.assertEqual(len(self.outcomes), 1)

    def test_no_room(self) -> None:
        """It waits for room, and says when nothing can overtake it."""
        self.pressure.is_full = True
        self.assertIs(self.publish(push_to(b"a")), False)
        self.assertEqual((self.channels(), self.handed, self.outcomes), ([], 0, []))
        self.pressure.relax()
        self.assertEqual((self.channels(), self.handed, len(self.outcomes)), ([b"a"], 1, 1))

    def test_an_error_of_ours(self) -> None:
        """Whoever asked has it."""
        self.router.status = None  # type: ignore[assignment]
        with self.assertRaises(AttributeError):
            self.publish(push_to(b"a"))
        self.assertEqual(self.outcomes, [])

    def test_keys(self) -> None:
        """The same key counts once for each target and sender; no name and key can be mistaken for another pair."""
        for push, sender in [
            (push_to(b"a", b"ab", key=b"bc"), ADMIN),
            (push_to(b"a", key=b"c"), ADMIN),
            (push_to(b"ab", key=b"c"), ADMIN),
            (push_to(b"a", key=b"c"), OTHER),
        ]:
            self.publish(push, sender)
        self.assertEqual(len({each.key for each in self.router.published}), 5)
        self.publish(push_to(b"a", key=b"c"))
        self.assertIs(self.outcomes[-1].results[0].repeated, True)

    def test_the_short_way(self) -> None:
        """What is published to one target alone is told as the store tells it, and published as it would be."""
        found: list[Published | Refused] = []
        self.router.refuse[b"x"] = "store-full"
        for push in (Push((b"a",), True, b'"x"', 2.5, b"k"), push_to(b"x"), Push((b"a",), True, b'"x"', 2.5, b"k")):
            self.pushing.publish_one(push, push.targets[0], ADMIN, found.append)
        first, refused, again = found
        self.assertEqual((first, again), (Published(1, "sent"), Published(1, "sent", True)))
        assert isinstance(refused, Refused)
        self.assertEqual(refused.code, "store-full")
        self.publish(Push((b"a",), True, b'"x"', 2.5, b"k"))
        self.assertEqual(len({*self.router.published[:1], *self.router.published[2:]}), 1)
        self.assertIs(self.outcomes[0].results[0].repeated, True)

    def test_the_position_that_is_asked_for(self) -> None:
        """It is told at once, with what others have published."""
        found: list[bytes] = []
        self.publish(push_to(b"a"))
        self.router.head += 1
        self.pushing.ask_position(found.append)
        self.assertEqual(found, [b"e1-2"])


class ManyTests(PublisherTestCase):
    """A push to many targets."""

    def test_slices(self) -> None:
        """It is taken in slices, in order; others have their turn in between, and hear when it is handed on."""
        self.assertIs(self.publish(push_to(*MANY)), False)
        self.assertEqual(len(self.channels()), SLICE)
        self.clock.turn()
        self.assertEqual((len(self.channels()), self.handed), (SLICE * 2, 0))
        self.clock.turn()
        self.assertEqual((tuple(self.channels()), self.handed), (MANY, 1))
        self.assertEqual([result.channel for result in self.outcomes[0].results], list(MANY))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_slice(self) -> None:
        """What fits into a slice cannot be overtaken."""
        self.assertIs(self.publish(push_to(*MANY[:SLICE])), True)
        self.assertEqual((len(self.channels()), self.handed, len(self.outcomes)), (SLICE, 0, 1))

    def test_answered_in_any_order(self) -> None:
        """The results stand in the order of the targets, whichever was safe first."""
        self.router.late = True
        self.router.refuse = {b"b": "mailbox-full", b"c": "store-full"}
        self.publish(push_to(b"a", b"b", b"c", b"d"))
        while self.router.waiting:
            self.assertEqual(self.outcomes, [])
            self.router.waiting.pop()()
        ((results, refusal, accepted),) = map(astuple, self.outcomes)
        self.assertEqual(
            [(each.channel, each.code) for each in results[1:3]], [(b"b", "mailbox-full"), (b"c", "store-full")]
        )
        self.assertEqual([(each.channel, each.id) for each in results[::3]], [(b"a", b"e1-1"), (b"d", b"e1-2")])
        assert refusal is not None
        self.assertEqual((refusal.code, accepted), ("store-full", True))

    def test_full_in_the_middle(self) -> None:
        """It stops where there is no room, and goes on there."""
        self.pressure.full = lambda: self.pressure.is_full or len(self.channels()) == 3  # type: ignore[method-assign]
        self.assertIs(self.publish(push_to(*MANY)), False)
        self.assertEqual(len(self.channels()), 3)
        del self.pressure.full  # type: ignore[method-assign]
        self.pressure.relax()
        self.clock.turn()
        self.clock.turn()
        self.assertEqual((tuple(self.channels()), self.handed, len(self.outcomes)), (MANY, 1, 1))

    def test_room_at_once(self) -> None:
        """Room that is there again as soon as it is asked for stops nothing."""
        asked: list[bool] = []

        def full() -> bool:
            asked.append(len(asked) % 3 == 0)
            return asked[-1]

        self.pressure.full = full  # type: ignore[method-assign]
        self.pressure.wait = lambda: succeed(None)  # type: ignore[method-assign]
        self.publish(push_to(*MANY[:50]))
        for _ in range(50):
            self.clock.turn()
        self.assertEqual((tuple(self.channels()), len(self.outcomes)), (MANY[:50], 1))

    def break_after(self, count: int) -> None:
        """Let the router fail when so many were published."""
        publish = self.router.publish

        def broken(*args: Any) -> None:
            if len(self.router.published) == count:
                raise ZeroDivisionError
            publish(*args)

        self.router.publish = broken  # type: ignore[method-assign, assignment]

    def test_an_error_of_ours_at_once(self) -> None:
        """Whoever asked has it."""
        self.break_after(2)
        with self.assertRaises(ZeroDivisionError):
            self.publish(push_to(*MANY))
        self.assertEqual((self.outcomes, self.clock.getDelayedCalls()), ([], []))

    def failed(self) -> None:
        """It was answered once, and who waits behind it goes on."""
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        ((results, refusal, accepted),) = map(astuple, self.outcomes)
        assert refusal is not None
        self.assertEqual((results, refusal.code, accepted, self.handed), ([], "internal", False, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_an_error_of_ours_in_a_later_turn(self) -> None:
        """It is told, and nobody waits for ever; what the store says of the others comes too late."""
        for late in (False, True):
            self.setUp()
            self.router.late = late
            self.break_after(SLICE + 3)
            self.publish(push_to(*MANY))
            self.clock.turn()
            self.failed()
            self.router.answer_all()
            self.assertEqual((len(self.outcomes), len(self.channels())), (1, SLICE + 3))

    def test_an_error_of_ours_when_there_is_room(self) -> None:
        """It is told as well when it had to wait for room."""
        self.pressure.is_full = True
        self.break_after(0)
        self.publish(push_to(b"a"))
        self.pressure.relax()
        self.failed()

    def test_an_error_of_ours_in_the_answer(self) -> None:
        """Whoever fails on the answer does not get another one, and does not hold up the next."""
        told: list[Outcome] = []

        def done(outcome: Outcome) -> None:
            told.append(outcome)
            raise ZeroDivisionError

        self.pushing.publish(push_to(*MANY), ADMIN, done, handed=self._was_handed)
        self.clock.turn()
        self.clock.turn()
        self.assertEqual((len(told), self.handed), (1, 1))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class ReceiptTests(PublisherTestCase):
    """Whoever wants a receipt waits for those who count."""

    def counts(self) -> list[int | None]:
        ((results, _, _),) = map(astuple, self.outcomes)
        return [result.connections for result in results]

    def test_counted(self) -> None:
        """The answer comes when all is counted; what is published next cannot overtake it all the same."""
        self.router.refuse[b"b"] = "store-full"
        self.assertIs(self.publish(push_to(b"a", b"b", b"c"), wants_receipt=True), True)
        self.router.receipts[1].reported(2)
        self.assertEqual(self.outcomes, [])
        self.router.receipts[0].reported(1)
        self.assertEqual(self.counts(), [1, 0, 2])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nobody_wants_to_know(self) -> None:
        """Without one nobody counts."""
        self.publish(push_to(b"a", b"b"))
        self.assertEqual((self.counts(), self.router.receipts), ([None, None], []))

    def test_counted_before_it_is_safe(self) -> None:
        """A report that comes first is not lost."""
        self.router.late = True
        self.publish(push_to(b"a"), wants_receipt=True)
        self.router.receipts[0].reported(4)
        self.assertEqual(self.outcomes, [])
        self.router.answer_all()
        self.assertEqual(self.counts(), [4])

    def test_not_all_report(self) -> None:
        """Nobody waits longer than five seconds; what is known by then is told, and later reports do no harm."""
        self.publish(push_to(b"a", b"b", b"c"), wants_receipt=True)
        first, second, third = self.router.receipts
        second.handed()
        second.reported(5)
        third.reported(2)
        self.clock.advance(RECEIPT_S - 0.01)
        self.assertEqual(self.outcomes, [])
        self.clock.advance(0.01)
        self.assertEqual(self.counts(), [0, 5, 2])
        first.reported(7)
        second.reported(1)
        self.assertEqual(self.counts(), [0, 5, 2])

    def test_a_repeat_reaches_nobody(self) -> None:
        """Nobody counts what is not published again."""
        for _ in range(2):
            self.publish(push_to(b"a", key=b"k"), wants_receipt=True)
        self.assertEqual(
            [(each.results[0].repeated, each.results[0].connections) for each in self.outcomes], [(True, 0)]
        )


class EveryoneTests(PublisherTestCase):
    """Pushes to everyone are noted."""

    def test_noted(self) -> None:
        """Who, from where, in which request, and which message it was."""
        self.publish(push_to(b"*"))
        self.publish(push_to(b"a", b"*"))
        known = {"action": "push-everyone", "key": "shop", "address": "192.0.2.1", "request_id": "r-1"}
        self.assertEqual(
            self.audit.notes, [known | {"result": "done", "id": "e1-1"}, known | {"result": "done", "id": "e1-3"}]
        )

    def test_refused(self) -> None:
        """That it was refused is noted, and why."""
        self.router.refuse[b"*"] = "store-full"
        self.publish(push_to(b"*"))
        (note,) = self.audit.notes
        self.assertEqual((note["result"], "id" in note), ("store-full", False))

    def test_an_error_of_ours(self) -> None:
        """That a push failed in a later turn is noted once, whether the message to everyone went out or not."""
        many = [b"m%d" % n for n in range(SLICE)]
        for targets in [(b"*", *many), (*many, b"*")]:
            self.setUp()
            publish = self.router.publish

            def broken(*args: Any, publish: Any = publish, router: Any = self.router) -> None:
                if len(router.published) == SLICE:
                    raise ZeroDivisionError
                publish(*args)

            self.router.publish = broken  # type: ignore[method-assign, assignment]
            self.publish(push_to(*targets))
            self.assertEqual((self.audit.notes, self.outcomes), ([], []))
            self.clock.turn()
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            known = {"action": "push-everyone", "key": "shop", "address": "192.0.2.1", "request_id": "r-1"}
            self.assertEqual(self.audit.notes, [known | {"result": "internal"}])
            self.assertEqual([refusal.code for _, refusal, _ in map(astuple, self.outcomes) if refusal], ["internal"])

    def test_an_error_of_ours_when_there_is_room(self) -> None:
        """The same holds for one that had to wait."""
        self.pressure.is_full = True
        self.publish(push_to(b"*"))
        self.router.status = None  # type: ignore[assignment]
        self.pressure.relax()
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)
        (note,) = self.audit.notes
        self.assertEqual((note["result"], "id" in note), ("internal", False))

    def test_an_error_of_ours_in_another_push(self) -> None:
        """A push to others that failed is not noted."""
        self.pressure.is_full = True
        self.publish(push_to(b"a"))
        self.router.status = None  # type: ignore[assignment]
        self.pressure.relax()
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)
        self.assertEqual((self.audit.notes, len(self.outcomes)), ([], 1))

    def test_a_repeat(self) -> None:
        """What is not published again is not noted again."""
        for _ in range(2):
            self.publish(push_to(b"*", key=b"k"))
        self.assertEqual((len(self.audit.notes), len(self.outcomes)), (1, 2))

    def test_to_others(self) -> None:
        """Nobody takes note of other pushes, or even asks from where they come."""

        def address() -> str | None:
            raise AssertionError

        self.publish(push_to(b"a", b"**"), Sender(ADMIN.identity, "r-1", address))
        self.assertEqual(self.audit.notes, [])
