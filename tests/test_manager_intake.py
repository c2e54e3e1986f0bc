"""Pushes that a worker has decoded: published in order, answered by the box, and told later what is known later."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from megacomet import link
from megacomet.manager.intake import Intake
from megacomet.model.keys import Keys, NamedKey, digest_of
from megacomet.model.message import Publication
from megacomet.publishing.publisher import RECEIPT_S, Publisher
from megacomet.publishing.pushing import SLICE
from megacomet.wire import frames
from megacomet.wire.push import Push
from megacomet.wire.pushed import ToldPush, decode_told, encode_push
from tests.doors import FakeAudit, FakePressure, FakePublisher
from tests.ends import KEY as LINKS_KEY
from tests.ends import NONCE, WorkerEnd, connect_ends, links_of
from tests.pushings import Steps, push_to

KEY = "a-key"
ORIGIN = b'["r-1", "192.0.2.1"]'
MANY = tuple(b"m%d" % n for n in range(SLICE * 2 + 1))


def id_of(key: str) -> bytes:
    """Return by what its holder is told."""
    return digest_of(key.encode())[:8]


def encoded(number: int, push: Push, key: str = KEY, *, wants_receipt: bool = False, origin: bytes = b"") -> bytes:
    """Return a push as a worker sends it."""
    return encode_push(number, push, id_of(key), wants_receipt, origin)


class IntakeTestCase(SynchronousTestCase):
    """An intake with a publisher, on fakes.

    Attributes:
        targets: of each push that was sent, by its number.
        boxes: for each box that is not answered, in order, where its answer comes.
        late: each value that was told later.
        broken: how often it broke.
    """

    def setUp(self) -> None:
        self.router = FakePublisher()
        self.pressure = FakePressure()
        self.audit = FakeAudit()
        self.clock = Steps()
        self.pushing = Publisher(self.router, self.pressure, self.audit, self.clock, self.clock.seconds, 65536)
        self.keys = Keys([(KEY, "admin")])
        self.targets: dict[int, tuple[bytes, ...]] = {}
        self.boxes: list[list[bytes]] = []
        self.late: list[bytes] = []
        self.broken = 0
        self.intake = Intake(self.pushing, self.keys, self._tell, self._broke)

    def _tell(self, told: bytes, boxes: int) -> None:
        assert boxes in (0, 1)
        if boxes:
            self.boxes.pop(0).append(told)
        else:
            assert told, "nothing is told, and of no box"
            self.late.append(told)

    def _broke(self) -> None:
        self.broken += 1

    def send(self, *pushes: Push, key: str = KEY, wants_receipt: bool = False, origin: bytes = b"") -> list[bytes]:
        """Send a box; its answer comes into the list."""
        box = b""
        for push in pushes:
            number = len(self.targets) + 1
            self.targets[number] = push.targets
            box += encoded(number, push, key, wants_receipt=wants_receipt, origin=origin)
        return self.take(box)

    def take(self, box: bytes) -> list[bytes]:
        """Have a box taken; its answer comes into the list."""
        answers: list[bytes] = []
        self.boxes.append(answers)
        self.intake.take(box)
        return answers

    def read(self, values: Iterable[bytes]) -> list[ToldPush]:
        """Return what values tell."""
        return [told for value in values for told in decode_told(value, lambda number: self.targets[number])]

    def numbers(self, values: Iterable[bytes]) -> list[int]:
        return [number for number, _, _ in self.read(values)]

    def channels(self) -> list[bytes]:
        return [each.channel for each in self.router.published]


class BoxTests(IntakeTestCase):
    """Boxes and their answers."""

    def test_answered_at_once(self) -> None:
        """A box is published in order, and its answer says what became of each push."""
        self.router.status = {b"b": "queued"}
        self.router.refuse = {b"x": "store-full"}
        (answer,) = self.send(push_to(b"a"), push_to(b"b", b"c"), push_to(b"x"))
        self.assertEqual(self.channels(), [b"a", b"b", b"c", b"x"])
        found = self.read([answer])
        first, second, third = [results for _, results, _ in found]
        self.assertEqual([(each.id, each.status) for each in first], [(b"e1-1", "sent")])
        self.assertEqual([each.status for each in second], ["queued", "sent"])
        self.assertEqual([(each.id, each.status, each.code) for each in third], [(b"", "refused", "store-full")])
        self.assertEqual([refusal for _, _, refusal in found], [None, None, ("store-full", "")])
        self.assertEqual((self.late, self.clock.getDelayedCalls()), ([], []))

    def test_an_empty_box(self) -> None:
        """A box without pushes is answered."""
        self.assertEqual(self.send(), [b""])
        self.assertEqual((self.channels(), self.late, self.clock.getDelayedCalls()), ([], [], []))

    def test_an_empty_box_behind_others(self) -> None:
        """It is answered when those that came before it are worked off, and holds up none behind it."""
        self.pressure.is_full = True
        first, empty, last = self.send(push_to(*MANY)), self.send(), self.send(push_to(b"z"))
        self.clock.turn()
        self.pressure.relax()
        self.clock.turn()
        self.assertEqual((first, empty, last), ([], [], []))
        while not last:
            self.assertTrue(self.clock.getDelayedCalls())
            self.clock.turn()
        self.assertEqual((self.numbers(first), empty, self.numbers(last)), ([1], [b""], [2]))
        self.assertEqual(self.channels(), [*MANY, b"z"])

    def test_what_is_published(self) -> None:
        """Data, ttl and key are those that the worker was given."""
        self.send(Push((b"a",), True, b'"x"', 2.5, b"k"))
        (publication,) = self.router.published
        self.assertEqual((publication.data, publication.ttl_s), (b'"x"', 2.5))
        self.assertEqual(publication.key, id_of(KEY) + b"a\0k")

    def test_answered_when_all_is_handed(self) -> None:
        """A box of more than a turn takes is answered when its last push was given to the store, not before."""
        answers = self.send(push_to(*MANY), push_to(b"z"))
        self.clock.turn()
        self.assertEqual((len(self.channels()), answers), (SLICE * 2, []))
        self.clock.turn()
        self.assertEqual(self.channels(), [*MANY, b"z"])
        self.assertEqual(self.numbers(answers), [1, 2])
        self.assertEqual((self.late, self.clock.getDelayedCalls()), ([], []))

    def test_order_over_boxes(self) -> None:
        """A box waits for the one before it, and is answered behind it."""
        first = self.send(*[push_to(b"%d" % n) for n in range(SLICE)], push_to(*MANY))
        second = self.send(push_to(b"y"), push_to(b"z"))
        self.assertEqual((len(self.channels()), first, second), (SLICE, [], []))
        while not second:
            self.assertTrue(self.clock.getDelayedCalls())
            self.clock.turn()
            self.assertLessEqual(len(second), len(first))
        self.assertEqual(self.channels(), [*[b"%d" % n for n in range(SLICE)], *MANY, b"y", b"z"])
        self.assertEqual(self.numbers(first + second), list(range(1, SLICE + 4)))

    def test_answers_in_order(self) -> None:
        """Boxes are answered in the order in which they came, also when one turn brings both to their end."""
        first, second = self.send(push_to(*MANY[: SLICE + 1])), self.send(push_to(b"z"))
        self.assertEqual((first, second), ([], []))
        self.clock.turn()
        self.assertEqual((self.numbers(first), self.numbers(second)), ([1], [2]))

    def test_pushes_to_some_share_a_turn(self) -> None:
        """A turn has as many publications with pushes to some as with pushes to one."""
        answers = self.send(*[push_to(*MANY[:50]) for _ in range(12)])
        for turn in range(1, 4):
            self.assertEqual(len(self.channels()), SLICE * turn)
            self.clock.turn()
        self.assertEqual(self.numbers(answers), list(range(1, 13)))

    def test_no_room(self) -> None:
        """While there is none nothing is taken, and boxes stay unanswered."""
        self.pressure.is_full = True
        boxes = [self.send(push_to(b"%d" % n)) for n in range(3)]
        self.clock.turn()
        self.assertEqual((self.channels(), boxes), ([], [[], [], []]))
        self.pressure.relax()
        self.assertEqual(self.channels(), [b"0", b"1", b"2"])
        self.assertEqual(self.numbers(value for box in boxes for value in box), [1, 2, 3])

    def test_no_room_in_the_middle(self) -> None:
        """A push to many that stops in the middle is not overtaken by the next box."""
        first = self.send(push_to(*MANY))
        self.pressure.is_full = True
        second = self.send(push_to(b"z"))
        self.clock.turn()
        self.assertEqual((len(self.channels()), first, second), (SLICE, [], []))
        self.pressure.relax()
        self.clock.turn()
        self.clock.turn()
        self.assertEqual(self.channels(), [*MANY, b"z"])
        self.assertEqual(self.numbers(first + second), [1, 2])


class LateTests(IntakeTestCase):
    """What is not known yet when a box is answered."""

    def test_a_late_store(self) -> None:
        """It is told when it is known, in one value a turn, each push once."""
        self.router.late = True
        (answer,) = self.send(*[push_to(b"%d" % n) for n in range(5)])
        self.assertEqual(answer, b"")
        for number in (3, 0):
            self.router.waiting.pop(number)()
        self.assertEqual(self.late, [])
        self.clock.turn()
        self.assertEqual((len(self.late), self.numbers(self.late)), (1, [4, 1]))
        self.router.answer_all()
        self.clock.turn()
        self.assertEqual((len(self.late), self.numbers(self.late)), (2, [4, 1, 2, 3, 5]))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_known_in_time(self) -> None:
        """What is known before the box is through is in its answer, and nowhere else."""
        self.router.late = True
        answers = self.send(push_to(b"a"), push_to(*MANY))
        self.router.waiting.pop(0)()
        while not answers:
            self.clock.turn()
        self.router.answer_all()
        self.clock.turn()
        self.assertEqual((self.numbers(answers), self.numbers(self.late)), ([1], [2]))

    def test_receipts(self) -> None:
        """Whoever wants the connections counted holds up nobody."""
        (answer,) = self.send(push_to(b"a"), push_to(b"b"), wants_receipt=True)
        (behind,) = self.send(push_to(b"c"))
        self.assertEqual((answer, self.numbers([behind])), (b"", [3]))
        self.router.receipts[1].reported(7)
        self.clock.turn()
        ((number, results, _),) = self.read(self.late)
        self.assertEqual((number, results[0].connections), (2, 7))
        self.clock.advance(RECEIPT_S)
        self.clock.turn()
        self.assertEqual(self.numbers(self.late), [2, 1])
        _, (_, results, _) = self.read(self.late)
        self.assertEqual(results[0].connections, 0)

    def test_counted_in_time(self) -> None:
        """A push that is counted before its box is through is in the answer."""
        answers = self.send(push_to(b"a"), push_to(*MANY), wants_receipt=True)
        self.router.receipts[0].reported(2)
        while not answers:
            self.clock.turn()
        ((number, results, _),) = self.read(answers)
        self.assertEqual((number, results[0].connections), (1, 2))


class SenderTests(IntakeTestCase):
    """Who pushes."""

    def refused(self, answers: list[bytes]) -> list[str]:
        """Return why each was refused as a whole, "" when it was not."""
        found = self.read(answers)
        assert all(bool(results) is (refusal is None) for _, results, refusal in found)
        return ["" if refusal is None else refusal[0] for _, _, refusal in found]

    def test_a_key_that_is_not_known(self) -> None:
        """Its pushes are refused, those of others around them are not."""
        boxes = [self.send(push_to(b"%d" % n), key=key) for n, key in enumerate([KEY, "gone", KEY])]
        self.assertEqual([self.refused(box) for box in boxes], [[""], ["unauthorized"], [""]])
        self.assertEqual(self.channels(), [b"0", b"2"])
        self.assertEqual(self.refused(self.send(*map(push_to, MANY[:3]), key="gone")), ["unauthorized"] * 3)

    def test_a_key_that_was_taken_back(self) -> None:
        """What waits is looked at when its turn comes."""
        self.pressure.is_full = True
        answers = self.send(push_to(b"a"))
        self.keys.replace([("new", "admin")], [])
        self.pressure.relax()
        self.assertEqual((self.refused(answers), self.channels()), (["unauthorized"], []))

    def test_a_key_that_allows_less(self) -> None:
        """The scope that counts is the one that the key has now, whatever the worker knew."""
        for scope, may_push in [("push", True), ("read", False)]:
            self.keys.replace([], [NamedKey("shop", scope, digest_of(KEY.encode()), "2026-11-28T09:00:00Z")])
            answers = self.send(push_to(b"a"), push_to(b"*"), push_to(b"b", b"*"), origin=ORIGIN)
            self.assertEqual(self.refused(answers), ["" if may_push else "forbidden", "forbidden", "forbidden"])
        self.assertEqual((self.channels(), self.audit.notes), ([b"a"], []))

    def test_to_everyone(self) -> None:
        """What is noted is whose key it was, and from where and in which request the worker got it."""
        self.keys.replace([], [NamedKey("shop", "admin", digest_of(KEY.encode()), "2026-11-28T09:00:00Z")])
        self.send(push_to(b"*"), origin=ORIGIN)
        known = {"action": "push-everyone", "key": "shop", "address": "192.0.2.1", "request_id": "r-1"}
        self.assertEqual(self.audit.notes, [known | {"result": "done", "id": "e1-1"}])
        self.send(push_to(b"*"), origin=b'["", null]')
        self.assertEqual(
            self.audit.notes[1] | {"id": ""}, known | {"address": None, "request_id": "", "result": "done", "id": ""}
        )


class LossTests(IntakeTestCase):
    """A worker that is gone, and errors of ours."""

    def test_what_was_taken_is_published(self) -> None:
        """Its boxes are worked off to their end, and nobody is told."""
        self.router.late = True
        answers = self.send(push_to(b"a"), push_to(*MANY))
        self.pressure.is_full = True
        answers += self.send(push_to(b"y"), push_to(b"z"), wants_receipt=True)
        self.intake.lost()
        self.pressure.relax()
        self.clock.turn()
        self.clock.turn()
        self.assertEqual(self.channels(), [b"a", *MANY, b"y", b"z"])
        self.router.answer_all()
        self.clock.advance(RECEIPT_S)
        self.assertEqual((answers, self.late, self.broken), ([], [], 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_was_to_be_told(self) -> None:
        """What waits to be told later is not told any more."""
        self.router.late = True
        self.send(push_to(b"a"))
        self.router.answer_all()
        self.intake.lost()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.late, [])

    def test_a_broken_box(self) -> None:
        """Of a value that is no pushes nothing is published; the next one is taken."""
        whole = encoded(1, push_to(b"a")) + encoded(2, push_to(b"b"))
        with self.assertRaises(ValueError):
            self.intake.take(whole[:-1])
        self.assertEqual((self.channels(), self.broken), ([], 0))

    def break_at(self, channel: bytes) -> None:
        """Let the router fail on a channel."""
        publish = self.router.publish

        def broken(publication: Publication, *rest: Any) -> None:
            if publication.channel == channel:
                raise ZeroDivisionError
            publish(publication, *rest)

        self.router.publish = broken  # type: ignore[method-assign, assignment]

    def test_an_error_of_ours(self) -> None:
        """It is logged and ends the link once; nothing is published or answered after it."""
        self.break_at(b"b")
        answers = self.send(push_to(b"a"))
        answers += self.send(push_to(b"b"), push_to(b"c"))
        answers += self.send(push_to(b"d"))
        self.clock.turn()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((self.broken, len(answers), self.late), (1, 1, []))
        self.assertEqual(self.channels(), [b"a"])

    def test_an_error_of_ours_in_a_later_turn(self) -> None:
        """A push to many that fails in the middle is answered, and so is what stands behind it."""
        self.break_at(MANY[SLICE + 1])
        answers = self.send(push_to(*MANY), push_to(b"z"))
        self.clock.turn()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        (_, results, first), (_, _, second) = self.read(answers)
        self.assertEqual((results, first, second), ([], ("internal", ""), None))
        self.assertEqual((self.channels()[-2:], self.broken), ([MANY[SLICE], b"z"], 0))

    def test_an_error_of_ours_behind_a_lost_link(self) -> None:
        """It is logged all the same, and there is no link to be ended."""
        self.pressure.is_full = True
        self.send(push_to(b"a"))
        self.intake.lost()
        self.break_at(b"a")
        self.pressure.relax()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.broken, 0)

    def test_an_origin_that_is_none(self) -> None:
        """A worker that does not say who pushes as it should ends its link."""
        self.send(push_to(b"*"), origin=b"{")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual((self.broken, self.channels()), (1, []))


class LinkTests(SynchronousTestCase):
    """An intake at its link."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.links, self.router, self.manager = links_of(self.clock)
        self.worker = WorkerEnd()
        downlink = self.links.factory().buildProtocol(None)
        assert downlink is not None
        self.downlink = downlink
        self.pump = connect_ends(downlink, self.worker, self.clock)

    def hello(self) -> None:
        self.ask(link.Hello, protocol=link.PROTOCOL, number=0, pid=os.getpid(), nonce=NONCE)
        self.assertEqual(self.links.all(), [self.downlink])

    def ask(self, command: Any, **values: object) -> list[Any]:
        """Return what comes of a command, by now."""
        outcome: list[Any] = []
        self.worker.callRemote(command, **values).addBoth(outcome.append)
        self.pump.flush()
        return outcome

    def publish(self, pushes: bytes) -> None:
        """Let a box come."""
        self.worker.send_value(link.PUSHES, pushes)
        self.pump.flush()

    def test_published(self) -> None:
        """What is told says what became of the pushes, that their box is worked off, and where the log stands."""
        self.hello()
        self.publish(b"".join(encoded(n, push_to(b"%d" % n), LINKS_KEY) for n in range(1, 4)))
        ((told, boxes, head),) = self.worker.told
        found = decode_told(told, lambda number: (b"%d" % number,))
        self.assertEqual([(n, results[0].id) for n, results, _ in found], [(n, b"e1-%d" % n) for n in (1, 2, 3)])
        self.assertEqual((boxes, head, self.router.head), (1, 3, 3))

    def test_an_empty_box(self) -> None:
        """A box without pushes asks where the log stands."""
        self.hello()
        self.router.publish(Publication(b"a", b"1"), 0.0, lambda _: None)
        self.publish(b"")
        self.assertEqual(self.worker.told, [(b"", 1, 1)])

    def test_clients_come_first(self) -> None:
        """What was pushed is on its way to those who wait before its publisher is told, once a turn."""
        self.hello()
        self.ask(link.Want, records=frames.encode(frames.WANT, channel=b"a"))
        came: list[str] = []
        self.worker.delivered = lambda value: came.append("box")  # type: ignore[method-assign]
        self.worker.pushes_received = lambda value: came.append("told")  # type: ignore[method-assign]
        for number in (1, 2):
            self.worker.send_value(link.PUSHES, encoded(number, push_to(b"a"), LINKS_KEY))
        self.pump.flush()
        self.assertEqual(came, ["box", "told"])

    def test_boxes_of_one_turn_are_told_together(self) -> None:
        """How many were worked off is told with what became of their pushes."""
        self.hello()
        for number in (1, 2):
            self.worker.send_value(link.PUSHES, encoded(number, push_to(b"a"), LINKS_KEY))
        self.pump.flush()
        ((told, boxes, head),) = self.worker.told
        self.assertEqual([n for n, _, _ in decode_told(told, lambda number: (b"a",))], [1, 2])
        self.assertEqual((boxes, head), (2, 2))

    def test_told_later(self) -> None:
        """What is known later comes by itself, with where the log stands."""
        self.hello()
        self.ask(link.Want, records=frames.encode(frames.WANT, channel=b"a"))
        self.publish(encoded(1, push_to(b"a"), LINKS_KEY, wants_receipt=True))
        self.assertEqual(self.worker.told, [(b"", 1, 1)])
        self.worker.answer(frames.encode(frames.RECEIPT, number=0, offset=3))
        self.pump.flush()
        _, (told, boxes, head) = self.worker.told
        ((number, results, _),) = decode_told(told, lambda _: (b"a",))
        self.assertEqual((number, results[0].connections, boxes, head), (1, 3, 0, 1))

    def test_before_hello(self) -> None:
        """Who has not said hello publishes nothing, and loses its link."""
        self.assertEqual(self.broken_by(encoded(1, push_to(b"a"), LINKS_KEY)), ["has not said hello"])
        self.assertEqual((self.router.head, self.worker.told, self.manager.told), (0, [], []))

    def broken_by(self, pushes: bytes) -> list[str]:
        """Let a box come that ends the link; return why, as it is logged."""
        with capturedLogs() as logs:
            self.publish(pushes)
        lines = [str(formatEvent(event)) for event in logs if event["log_namespace"].startswith("megacomet.")]
        said = f"worker {self.downlink.number} sent pushes that cannot be taken: "
        assert all(line.startswith(said) for line in lines), lines
        self.assertIsNone(self.downlink.transport)
        return [line.removeprefix(said) for line in lines]

    def test_a_broken_box(self) -> None:
        """A worker whose pushes cannot be read loses its link, with a line that says so and no traceback."""
        self.hello()
        self.assertEqual(self.broken_by(b"x" * 10), ["a push is cut off in its header"])
        self.assertEqual((self.manager.told[-1], self.worker.told), (("down", 0), []))

    def test_a_lost_link(self) -> None:
        """What was taken is published, and the answer goes nowhere."""
        self.hello()
        self.worker.send_value(link.PUSHES, encoded(1, push_to(*MANY), LINKS_KEY))
        self.pump.pump(advanceClock=False)
        self.assertEqual(self.router.head, SLICE)
        link.transport_of(self.worker).loseConnection()
        self.pump.flush(advanceClock=False)
        self.assertIsNone(self.downlink.transport)
        self.clock.advance(0)
        self.assertEqual((self.router.head, self.worker.told), (len(MANY), []))
        self.assertEqual(self.clock.getDelayedCalls(), [])
