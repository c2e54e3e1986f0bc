"""The manager's end of the links: who is let in, what is on its way, who is given up, and what comes back then."""

from __future__ import annotations

import json
import os
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.protocols import amp
from twisted.test.iosim import IOPump
from twisted.trial.unittest import SynchronousTestCase

from megacomet import link
from megacomet.manager.downlink import Downlink
from megacomet.model.message import Publication
from megacomet.model.receipts import Receipt
from megacomet.wire import frames
from tests.ends import NONCE, UID, WorkerEnd, connect_ends, links_of

PID = os.getpid()
SUE = b"@sue"
NEWS = frames.encode_names([b"news"])
RECORD = frames.encode(frames.MESSAGE, offset=1, channel=b"news", data=b"1")
MEGABYTE = frames.encode(frames.MESSAGE, data=bytes(1024 * 1024 - frames.HEADER_BYTES))


def _counts(waiting: int = 0, listening: bool = True, messages: int = 0, **more: int) -> bytes:
    """Return what a worker says of itself."""
    told = {"listening": listening, "rows": {"waiting": waiting, "streaming": 0}, "messages": messages, **more}
    return json.dumps(told).encode()


class LinksTestCase(SynchronousTestCase):
    """Links of a manager with two workers; `worker` is the far end of number 0 when `up` was called."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.links, self.router, self.manager = links_of(self.clock, workers=2)

    def dial(self, pid: int = PID, uid: int = UID) -> tuple[WorkerEnd, Downlink, IOPump]:
        """Let somebody dial who says nothing yet."""
        worker = WorkerEnd()
        downlink = self.links.factory().buildProtocol(None)
        assert downlink is not None
        return worker, downlink, connect_ends(downlink, worker, self.clock, pid, uid)

    def ask(self, end: amp.AMP, pump: IOPump, command: Any, **values: object) -> Any:
        """Return the answer of a command, or the failure."""
        outcome: list[Any] = []
        end.callRemote(command, **values).addBoth(outcome.append)
        pump.flush()
        (answer,) = outcome
        return answer

    def hello(self, worker: WorkerEnd, pump: IOPump, **changed: object) -> Any:
        values = {"protocol": link.PROTOCOL, "number": 0, "pid": PID, "nonce": NONCE, **changed}
        return self.ask(worker, pump, link.Hello, **values)

    def up(self, number: int = 0) -> None:
        """Let a worker in and start to beat."""
        self.let_in(number)
        if number == 0:
            self.links.start()
            self.addCleanup(self.links.stop)

    def let_in(self, number: int = 0) -> None:
        """Let a worker in."""
        self.worker, self.downlink, self.pump = self.dial()
        self.hello(self.worker, self.pump, number=number)

    def want(self, *channels: bytes) -> None:
        records = b"".join(frames.encode(frames.WANT, channel=channel) for channel in channels)
        self.worker.callRemote(link.Want, records=records)
        self.pump.flush()

    def publish(self, channel: bytes, data: bytes = b'"x"', counted: Any = None) -> None:
        receipt = Receipt(counted) if counted else None
        self.router.publish(Publication(channel, data), self.clock.seconds(), lambda outcome: None, receipt)

    def second(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            self.pump.flush()

    def lose(self) -> None:
        link.transport_of(self.worker).loseConnection()
        self.pump.flush()

    def kills(self) -> list[str]:
        return [told[2] for told in self.manager.told if told[0] == "kill"]


class HelloTests(LinksTestCase):
    """Who may be which worker."""

    def refused(self, why: str, *, pid: int = PID, uid: int = UID, **changed: object) -> None:
        worker, downlink, pump = self.dial(pid, uid)
        failure = self.hello(worker, pump, **changed)
        failure.trap(link.LinkRefused)
        self.assertIn(why, failure.getErrorMessage())
        self.assertEqual((self.links.all(), self.manager.told, downlink.number), ([], [], -1))

    def test_a_worker_is_let_in(self) -> None:
        """The answer says which log this is and where it stands; the worker is up when it has that: when it beats."""
        self.publish(b"news")
        worker, downlink, pump = self.dial()
        self.assertEqual(self.hello(worker, pump), {"epoch": b"e1", "head": 1, "keys": self.links.keys.pack()})
        self.assertEqual(self.manager.told, [])
        for _ in range(2):
            self.ask(worker, pump, link.Beat, counts=_counts())
        self.assertEqual(self.manager.told, [("up", 0, PID)])
        self.assertIs(self.links.of(0), downlink)
        self.assertIsNone(self.links.of(1))
        self.assertEqual(self.links.all(), [downlink])

    def test_wrong_nonce(self) -> None:
        """Who was not told the secret at birth is no worker."""
        self.refused("nonce", nonce=b"m" * 16)

    def test_wrong_user(self) -> None:
        """A process of another user is no worker."""
        self.refused("user 99", uid=99)

    def test_wrong_process(self) -> None:
        """A worker cannot pass for another process."""
        self.refused("the system says", pid=PID + 1)

    def test_wrong_number(self) -> None:
        """A number that the server has not given out is refused, on either side."""
        self.refused("worker 2 of 2", number=2)
        self.refused("worker -1 of 2", number=-1)

    def test_wrong_protocol(self) -> None:
        """A worker of another version is refused."""
        other = link.PROTOCOL + 1
        self.refused(f"speaks protocol {other}, not {link.PROTOCOL}", protocol=other)

    def test_second_hello(self) -> None:
        """Who has a number cannot take another one."""
        self.up()
        failure = self.hello(self.worker, self.pump, number=1)
        failure.trap(link.LinkRefused)
        self.assertIs(self.links.of(0), self.downlink)
        self.assertIsNone(self.links.of(1))

    def test_taken_number(self) -> None:
        """A number is taken as long as its link stands, and free when it is lost."""
        self.up()
        worker, downlink, pump = self.dial()
        failure = self.hello(worker, pump)
        self.assertEqual(failure.getErrorMessage(), "worker 0 has its link already")
        self.lose()
        self.assertEqual(self.hello(worker, pump), {"epoch": b"e1", "head": 0, "keys": self.links.keys.pack()})
        self.assertIs(self.links.of(0), downlink)

    def test_nothing_before_hello(self) -> None:
        """Who has not said hello can neither beat nor hand over a connection."""
        worker, _, pump = self.dial()
        self.ask(worker, pump, link.Beat, counts=b"{}").trap(link.LinkRefused)
        self.ask(worker, pump, link.Adopt, fd=7, head=b"", peer=b"").trap(link.LinkRefused)
        self.assertEqual(self.manager.told, [])

    def test_listeners_before_hello_end_the_link(self) -> None:
        """Who tells of listeners before it said hello is thrown out."""
        worker, downlink, pump = self.dial()
        worker.callRemote(link.Want, records=frames.encode(frames.WANT, channel=SUE))
        pump.flush()
        self.assertIsNone(downlink.transport)
        self.assertEqual(self.manager.told, [])
        self.assertEqual(len(self.flushLoggedErrors(link.LinkRefused)), 1)

    def test_who_never_said_hello_is_not_missed(self) -> None:
        """A connection that ends without a hello changes nothing."""
        worker, _, pump = self.dial()
        link.transport_of(worker).loseConnection()
        pump.flush()
        self.assertEqual((self.manager.told, self.router.detached), ([], []))


class KeysTests(LinksTestCase):
    """The keys of the API go to all workers."""

    def test_told_on_change(self) -> None:
        """Each worker is told of each change, in order; who comes later has it with its hello."""
        workers = []
        for number in range(2):
            self.let_in(number)
            workers.append((self.worker, self.pump))
        packed = []
        for key in ("new", "newer"):
            self.links.keys.replace([(key, "admin")], [])
            packed.append(self.links.keys.pack())
        for worker, pump in workers:
            self.assertEqual(worker.keys, [])
            pump.flush()
            self.assertEqual(worker.keys, packed)
        self.lose()
        worker, _, pump = self.dial()
        self.assertEqual(self.hello(worker, pump, number=1)["keys"], packed[-1])
        self.assertEqual(worker.keys, [])

    def test_who_is_not_told(self) -> None:
        """Who has not said hello, and who is gone, hears nothing of keys."""
        stranger, _, pump = self.dial()
        self.let_in()
        self.lose()
        self.links.keys.replace([("new", "admin")], [])
        pump.flush()
        self.pump.flush()
        self.assertEqual((stranger.keys, self.worker.keys), ([], []))


class BoxTests(LinksTestCase):
    """Boxes down the link."""

    def setUp(self) -> None:
        super().setUp()
        self.up()

    def channels(self) -> list[list[bytes]]:
        """Return the channels of the records, by box."""
        return [[record.channel for record in records] for _, _, _, records in self.worker.boxes]

    def fill(self, boxes: int) -> None:
        """Send boxes that are not answered."""
        for _ in range(boxes):
            self.downlink.send(RECORD, None)
            self.pump.flush()

    def test_one_box_a_turn(self) -> None:
        """What is published in one turn travels together, in its order, with the head behind it."""
        self.want(b"a", b"b")
        for channel in (b"a", b"b", b"a"):
            self.publish(channel)
        self.assertEqual(self.worker.boxes, [])
        self.pump.flush()
        self.assertEqual(self.channels(), [[b"a", b"b", b"a"]])
        self.assertEqual(self.worker.boxes[0][:3], (1, 3, 0))

    def test_nobody_listens_nothing_is_sent(self) -> None:
        """A message without a listener here costs this link nothing."""
        self.want(b"a")
        self.publish(b"b")
        self.pump.flush()
        self.assertEqual(self.worker.boxes, [])

    def test_eight_at_once(self) -> None:
        """Eight boxes are on their way at most; the rest leaves with the next answer, telling what was known before."""
        self.fill(11)
        self.assertEqual([box[0] for box in self.worker.boxes], list(range(1, 9)))
        self.worker.answer()
        self.pump.flush()
        number, _, answered, records = self.worker.boxes[-1]
        self.assertEqual((number, answered, len(records)), (9, 0, 3))
        self.fill(1)
        self.worker.answer()
        self.pump.flush()
        number, _, answered, records = self.worker.boxes[-1]
        self.assertEqual((number, answered, len(records)), (10, 1, 1))
        self.assertEqual(self.downlink.gathered_bytes, 0)

    def test_long_boxes_are_cut(self) -> None:
        """A box is cut at 256 KiB between two records, and only the last one says the new head."""
        self.want(b"news")
        for _ in range(3):
            self.publish(b"news", b'"%b"' % (b"x" * 200_000))
        self.pump.flush()
        self.assertEqual([(box[1], len(box[3])) for box in self.worker.boxes], [(0, 2), (3, 1)])

    def test_answers_settle_messages(self) -> None:
        """What a worker returns waits in its mailbox again; what it does not return was written."""
        self.want(SUE, b"@tom")
        self.publish(SUE)
        self.publish(b"@tom")
        self.pump.flush()
        self.worker.answer(frames.encode(frames.RETURNED, number=0))
        self.pump.flush()
        self.assertEqual([m.offset for m in self.router._store.waiting(SUE, 0)], [1])
        self.assertEqual(self.router._store.waiting(b"@tom", 0), [])

    def test_receipts_arrive(self) -> None:
        """A publisher that asks is told how many connections its message was written to."""
        counts: list[int] = []
        self.want(b"a", b"b")
        self.publish(b"a")
        self.publish(b"b", counted=counts.append)
        self.pump.flush()
        self.assertEqual(counts, [])
        self.worker.answer(frames.encode(frames.RECEIPT, number=1, offset=5))
        self.pump.flush()
        self.assertEqual(counts, [5])

    def test_an_answer_of_nonsense_ends_the_link(self) -> None:
        """A worker whose answer to a box cannot be read is not trusted any longer; what it had is taken back."""
        self.want(SUE)
        self.publish(SUE)
        self.pump.flush()
        self.worker.answer(b"no")
        self.pump.flush()
        self.assertEqual(self.manager.told[-1], ("down", 0))
        self.assertEqual(len(self.router._store.waiting(SUE, 0)), 1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_an_answer_to_nothing_ends_the_link(self) -> None:
        """A worker that answers a box more often than once is thrown out, and one that has not said hello."""
        self.worker.answer()
        self.pump.flush()
        self.assertEqual(self.manager.told[-1], ("down", 0))
        (failure,) = self.flushLoggedErrors(ValueError)
        self.assertEqual(failure.getErrorMessage(), "it was not sent a box")
        stranger, downlink, pump = self.dial()
        stranger.answer()
        pump.flush()
        self.assertEqual(len(self.flushLoggedErrors(link.LinkRefused)), 1)
        self.assertIsNone(downlink.transport)

    def test_records_of_no_worker_end_the_link(self) -> None:
        """A worker that sends what it has no business to send is thrown out."""
        said = self.worker.callRemote(link.Want, records=frames.encode(frames.MESSAGE, channel=SUE))
        outcome: list[Any] = []
        said.addBoth(outcome.append)
        self.pump.flush()
        outcome[0].trap(amp.UnknownRemoteError)
        self.assertEqual(self.manager.told[-1], ("down", 0))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class AcceptedTests(LinksTestCase):
    """When what is in a box was put on the stream."""

    def test_the_time_of_a_turn(self) -> None:
        """A box tells when its oldest record came; one that only has the head tells nothing."""
        self.clock.advance(100)
        self.up()
        self.want(b"news")
        self.publish(b"news")
        self.clock.advance(0)
        self.pump.flush()
        self.clock.advance(1)
        self.publish(b"news")
        self.clock.advance(0.5)
        self.pump.flush()
        self.assertEqual(self.worker.accepted_s, [100, 101])
        for _ in range(2):
            self.worker.answer()
        self.publish(b"nobody hears")
        self.second(2)
        self.assertEqual(self.worker.accepted_s, [100, 101, 0])

    def test_what_has_to_wait(self) -> None:
        """What is gathered while the worker is busy is as old as its oldest record, not as the flight before it."""
        self.up()
        self.want(b"news")
        for _ in range(link.BOXES_IN_FLIGHT + 2):
            self.publish(b"news")
            self.clock.advance(0)
            self.clock.advance(1)
            self.pump.flush()
        self.worker.answer()
        self.pump.flush()
        self.assertEqual(self.worker.accepted_s, [*range(link.BOXES_IN_FLIGHT), link.BOXES_IN_FLIGHT])
        self.assertEqual(len(self.worker.boxes[-1][3]), 2)


class LossTests(LinksTestCase):
    """What happens to the messages of a link that is lost."""

    def setUp(self) -> None:
        super().setUp()
        self.up()

    def test_everything_unanswered_comes_back(self) -> None:
        """What is on its way and what is still gathered waits again when the worker is gone."""
        names = [b"@c%d" % n for n in range(10)]
        self.want(*names)
        for name in names[:9]:
            self.publish(name)
            self.pump.flush()
        self.publish(names[9])
        self.lose()
        ((downlink, tokens),) = self.router.detached
        self.assertIs(downlink, self.downlink)
        self.assertEqual([token.channel for token in tokens], names)
        self.assertEqual([len(self.router._store.waiting(name, 0)) for name in names], [1] * 10)
        self.assertEqual(self.manager.told[-1], ("down", 0))
        self.assertEqual(self.downlink.gathered_bytes, 0)

    def test_what_was_answered_does_not_come_back(self) -> None:
        """A message that was written stays written when the worker is gone."""
        self.want(SUE)
        self.publish(SUE)
        self.pump.flush()
        self.worker.answer()
        self.pump.flush()
        self.lose()
        self.assertEqual(self.router.detached[0][1], [])
        self.assertEqual(self.router._store.waiting(SUE, 0), [])

    def test_a_receipt_does_not_wait_for_the_dead(self) -> None:
        """A publisher is told a count also when the worker that would have counted is gone."""
        counts: list[int] = []
        self.want(b"news")
        self.publish(b"news", counted=counts.append)
        self.pump.flush()
        self.lose()
        self.assertEqual(counts, [0])

    def test_a_turn_that_was_to_come(self) -> None:
        """Records that were gathered in the turn in which the link is lost are not sent any more."""
        self.downlink.send(RECORD, None)
        self.downlink.connectionLost()
        self.assertEqual([call for call in self.clock.getDelayedCalls() if call.getTime() <= 0], [])
        self.pump.flush()
        self.assertEqual(self.worker.boxes, [])


class BeatTests(LinksTestCase):
    """What happens every second."""

    def setUp(self) -> None:
        super().setUp()
        self.up()

    def beat(self, waiting: int = 0, listening: bool = True, messages: int = 0, **more: int) -> Any:
        counts = _counts(waiting, listening, messages, **more)
        return self.ask(self.worker, self.pump, link.Beat, counts=counts)

    def test_ready_when_all_listen(self) -> None:
        """The server is ready when every worker has its link and has opened its ports."""
        self.assertEqual(self.beat(), {"ready": False, "workers": 2})
        first, pump = self.worker, self.pump
        self.up(number=1)
        self.assertEqual(self.beat(listening=False), {"ready": False, "workers": 2})
        self.assertEqual(self.beat(), {"ready": True, "workers": 2})
        link.transport_of(first).loseConnection()
        pump.flush()
        self.assertFalse(self.links.ready)

    def test_counts(self) -> None:
        """What a worker says of itself is kept for whoever asks."""
        self.beat(waiting=3)
        self.assertEqual(self.downlink.counts["rows"], {"waiting": 3, "streaming": 0})

    def test_what_was_counted(self) -> None:
        """What a worker has counted is kept, also when it is gone."""
        self.beat(accepted=5)
        self.lose()
        self.assertEqual(self.links.tally.of(0)["accepted",], 5)

    def test_messages_written(self) -> None:
        """Written messages are summed over all workers, and what one told stays when it is gone."""
        self.beat(messages=0)
        self.beat(messages=5)
        self.lose()
        self.assertEqual(self.links.written, 5)
        self.let_in()  # its successor begins anew
        self.beat(messages=0)
        self.beat(messages=2)
        self.let_in(number=1)
        self.beat(messages=0)
        self.beat(messages=4)
        self.assertEqual(self.links.written, 11)

    def test_messages_written_before_the_link(self) -> None:
        """A worker that dials again, or has worked for an earlier manager, tells nothing twice."""
        self.beat(messages=0)
        self.beat(messages=5)
        self.lose()
        self.let_in()
        self.beat(messages=7)
        self.beat(messages=8)
        self.assertEqual(self.links.written, 6)

    def test_listening(self) -> None:
        """A message to everyone goes to a worker with somebody waiting, by its last beat or by its listeners since."""
        self.assertFalse(self.downlink.listening)
        self.beat(waiting=1)
        self.assertTrue(self.downlink.listening)
        self.beat(waiting=0)
        self.assertFalse(self.downlink.listening)
        self.want(SUE)
        self.assertTrue(self.downlink.listening)

    def test_head_alone(self) -> None:
        """When nothing else goes down the link, a new head goes alone, once a second, one at a time."""
        self.publish(b"news")
        self.second()
        self.assertEqual(self.worker.boxes, [(1, 1, 0, [])])
        self.second(3)
        self.assertEqual(len(self.worker.boxes), 1)
        self.worker.answer()
        self.pump.flush()
        self.second(3)
        self.assertEqual(len(self.worker.boxes), 1)
        self.publish(b"news")
        self.second()
        self.assertEqual(self.worker.boxes[1:], [(2, 2, 1, [])])

    def test_head_with_a_box(self) -> None:
        """A second in which a box went down the link needs no head of its own."""
        self.clock.advance(0.5)
        self.downlink.send(RECORD, None)
        self.pump.flush()
        self.worker.answer()
        self.pump.flush()
        self.clock.advance(0.5)
        self.pump.flush()
        self.assertEqual(len(self.worker.boxes), 1)

    def test_silence_kills(self) -> None:
        """A worker that was silent for more than ten seconds is replaced."""
        self.second(10)
        self.assertEqual(self.kills(), [])
        self.second()
        self.assertEqual(self.kills(), ["was silent for 10 s"])

    def test_a_manager_that_was_stopped_itself(self) -> None:
        """A manager that does not come round for a minute does not take its workers for dead."""
        self.clock.advance(60)
        self.pump.flush()
        self.assertEqual(self.kills(), [])

    def test_a_worker_that_speaks_lives(self) -> None:
        """A worker that beats is not given up."""
        for _ in range(15):
            self.second()
            self.beat()
        self.assertEqual(self.kills(), [])

    def test_a_beat_that_fails_leaves_the_others(self) -> None:
        """Trouble with one link does not keep the others, or the store, from their second."""

        class Broken(Exception):
            pass

        def broken(now: float) -> None:
            raise Broken

        self.up(number=1)
        first = self.links.of(0)
        assert first is not None
        first.tick = broken  # type: ignore[method-assign]
        self.publish(b"nobody hears")
        self.second(2)
        self.assertEqual(len(self.worker.boxes), 1)
        self.assertEqual(len(self.flushLoggedErrors(Broken)), 2)

    def test_stopped(self) -> None:
        """After the stop nothing goes out by itself; stopping twice is nothing."""
        self.links.stop()
        self.links.stop()
        self.second(20)
        self.assertEqual((self.worker.boxes, self.kills()), ([], []))

    def test_a_beat_of_nonsense_ends_the_link(self) -> None:
        """A worker whose beat cannot be read is thrown out."""
        failure = self.ask(self.worker, self.pump, link.Beat, counts=b"{}")
        failure.trap(amp.UnknownRemoteError)
        self.pump.flush()
        self.assertEqual(self.manager.told[-1], ("down", 0))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)


class HandOverTests(LinksTestCase):
    """Connections that change sides, and the order to stop."""

    def setUp(self) -> None:
        super().setUp()
        self.up()

    def outcome(self, asked: Any) -> list[Any]:
        outcome: list[Any] = []
        ensureDeferred(asked).addBoth(outcome.append)
        self.pump.flush()
        return outcome

    def test_adopt(self) -> None:
        """A connection goes to the manager with what was read from it, and the worker is told when it is there."""
        head = b"GET / HTTP/1.1\r\n" * 5000
        answer = self.ask(self.worker, self.pump, link.Adopt, fd=7, head=head, peer=b"1.2.3.4")
        self.assertEqual(answer, {})
        self.assertEqual(self.manager.told[-1], ("adopt", 0, 7, head, b"1.2.3.4"))

    def test_adopt_without_room(self) -> None:
        """A connection that the manager has no room for stays with its worker."""
        self.manager.room = False
        failure = self.ask(self.worker, self.pump, link.Adopt, fd=7, head=b"", peer=b"")
        failure.trap(link.LinkRefused)
        self.assertEqual(failure.getErrorMessage(), "there is no room")

    def test_give_back(self) -> None:
        """A connection goes back to its worker with what was read from it."""
        self.assertEqual(self.outcome(self.downlink.give_back(9, b"GET /sue.js")), [None])
        self.assertEqual(self.worker.given, [(9, b"GET /sue.js")])

    def test_give_back_refused(self) -> None:
        """The manager learns when a worker does not take a connection back."""
        (failure,) = self.outcome(self.downlink.give_back(-1, b""))
        failure.trap(link.LinkRefused)

    def test_give_back_to_nobody(self) -> None:
        """The manager learns when the worker is gone."""
        self.lose()
        (failure,) = self.outcome(self.downlink.give_back(9, b""))
        failure.trap(ConnectionDone, ConnectionLost)

    def test_stop(self) -> None:
        """A worker is asked to end."""
        self.assertEqual(self.outcome(self.downlink.stop()), [None])
        self.assertEqual(self.worker.stopped, 1)

    def test_drain(self) -> None:
        """A worker is asked to let its connections go, and to take them again; what it says then is known at once."""
        self.assertEqual(self.outcome(self.downlink.drain(50)), [None])
        self.assertTrue(self.downlink.is_drained)
        self.assertEqual(self.downlink.counts["drain"], {"per_s": 50, "left": 3})
        self.assertEqual(self.outcome(self.downlink.drain(0)), [None])
        self.assertFalse(self.downlink.is_drained)
        self.assertEqual(self.worker.drained, [50, 0])

    def test_a_drained_worker_leaves_the_server_ready(self) -> None:
        """It was told not to listen: nothing is wrong with the server."""
        self.links.workers = 1
        self.outcome(self.downlink.drain(50))
        self.assertTrue(self.links.ready)

    def test_a_drain_that_is_refused(self) -> None:
        """A worker that ends does not begin anything."""
        self.worker.refuses = True
        (failure,) = self.outcome(self.downlink.drain(50))
        failure.trap(link.LinkRefused)


class PressureTests(LinksTestCase):
    """What happens when a worker does not keep up."""

    def setUp(self) -> None:
        super().setUp()
        self.up()
        for _ in range(link.BOXES_IN_FLIGHT):
            self.downlink.send(RECORD, None)
            self.pump.flush()

    def gather(self, megabytes: int) -> None:
        for _ in range(megabytes):
            self.downlink.send(MEGABYTE, None)
        self.clock.advance(0)

    def test_no_pressure_no_wait(self) -> None:
        """While little is gathered nobody waits."""
        self.gather(4)
        self.assertFalse(self.links.full())
        self.assertIsNone(self.successResultOf(self.links.wait()))

    def test_publishers_wait(self) -> None:
        """From four megabytes on publishers wait, until there is room again, all of them."""
        self.gather(5)
        self.assertTrue(self.links.full())
        first, second = self.links.wait(), self.links.wait()
        self.assertNoResult(first)
        self.worker.answer()
        self.pump.flush()
        self.assertFalse(self.links.full())
        self.assertIsNone(self.successResultOf(first))
        self.assertIsNone(self.successResultOf(second))

    def test_a_dead_worker_is_no_pressure(self) -> None:
        """Publishers go on when the worker that did not keep up is gone."""
        self.gather(5)
        waiting = self.links.wait()
        self.downlink.connectionLost()
        self.assertFalse(self.links.full())
        self.assertIsNone(self.successResultOf(waiting))

    def test_far_behind(self) -> None:
        """A worker for which more than 64 megabytes are gathered is replaced."""
        self.gather(64)
        self.assertEqual(self.kills(), [])
        self.gather(1)
        self.assertEqual(self.kills(), [f"does not keep up: {65 * len(MEGABYTE)} bytes wait for it"])

    def test_those_who_come_back_wait_for_room(self) -> None:
        """Many who missed a megabyte each are told in turn, as the worker works it off, and it is not given up."""
        self.publish(b"news", b"0" * 1_000_000)
        records = [frames.encode(frames.JOIN, number=n, offset=9, channel=b"oldest", data=NEWS) for n in range(1, 100)]
        self.worker.callRemote(link.Want, records=b"".join(records))
        self.pump.flush()
        self.assertLess(self.downlink.gathered_bytes, link.PAGES_BYTES + 1_100_000)
        self.assertFalse(self.links.full())
        while self.worker.waiting:
            self.worker.answer()
            self.pump.flush()
        told = [frame.number for box in self.worker.boxes for frame in box[3] if frame.kind == frames.PAGE_END]
        self.assertEqual(told, list(range(1, 100)))
        self.assertEqual(self.kills(), [])

    def test_who_waits_for_room_misses_nothing(self) -> None:
        """What is published meanwhile comes with what was missed; polls that missed nothing do not wait behind it."""
        self.gather(3)
        self.publish(b"news", b"10")
        join = frames.encode(frames.JOIN, number=1, offset=9, channel=b"oldest", data=NEWS)
        self.worker.callRemote(link.Want, records=join + frames.encode(frames.WANT, channel=SUE))
        self.pump.flush()
        self.publish(b"news", b"20")
        self.publish(SUE, b"30")
        while self.worker.waiting:
            self.worker.answer()
            self.pump.flush()
        frames_told = [frame for box in self.worker.boxes for frame in box[3] if frame.data in (b"10", b"20", b"30")]
        told = [(frame.kind, frame.data) for frame in frames_told]
        live = [(frames.MESSAGE, b"20"), (frames.MESSAGE, b"30")]
        self.assertEqual(told, [*live, (frames.PAGE, b"10"), (frames.PAGE, b"20")])

    def test_what_a_dead_worker_waited_for(self) -> None:
        """What still waited for room when the link was lost concerns nobody."""
        self.gather(3)
        join = frames.encode(frames.JOIN, number=1, offset=9, channel=b"oldest", data=NEWS)
        self.worker.callRemote(link.Want, records=join)
        self.pump.flush()
        self.downlink.connectionLost()
        self.router.read_on(self.downlink, 0)
        self.assertEqual(self.downlink.gathered_bytes, 0)
