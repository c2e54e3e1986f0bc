"""The commands of the link: a value of any length crosses it, a refusal arrives with its reason, nothing is logged."""

from __future__ import annotations

import socket
from typing import Any, ClassVar

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.protocols import amp
from twisted.test.iosim import FakeTransport, IOPump, connectedServerAndClient
from twisted.trial.unittest import SynchronousTestCase

from megacomet import link
from tests.ends import connect_ends

PART = 65_535
LENGTHS = [0, 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 1, 12 * PART + 7]


def value_of(length: int) -> bytes:
    """Return bytes of which no two parts are the same."""
    return b"".join(b"%07d|" % n for n in range(length // 8 + 1))[:length]


class Echo(amp.AMP):
    """A worker that answers every question with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[bytes] = []

    @link.Look.responder
    def look(self, question: bytes) -> dict[str, object]:
        self.came.append(question)
        return {"answer": question}

    @link.Want.responder
    def want(self, records: bytes) -> dict[str, object]:
        self.came.append(records)
        return {}

    @link.Stop.responder
    def stop(self) -> dict[str, object]:
        raise link.LinkRefused("has work to do")


class LinkTests(SynchronousTestCase):
    """Values over a pair of AMP ends."""

    def setUp(self) -> None:
        self.near, self.far, self.pump = connectedServerAndClient(Echo, amp.AMP)

    def call(self, command: type[amp.Command], **values: object) -> Deferred[dict[str, object]]:
        """Call the far end and let everything arrive."""
        answer: Deferred[dict[str, object]] = self.near.callRemote(command, **values)
        self.outcome: list[object] = []
        answer.addBoth(self.outcome.append)
        self.pump.flush()
        return answer

    def test_any_length_crosses_both_ways(self) -> None:
        """A value arrives as it was sent, however long it is, and so does the answer."""
        for length in LENGTHS:
            with self.subTest(length=length):
                value = value_of(length)
                self.call(link.Look, question=value)
                self.assertEqual(self.outcome, [{"answer": value}])
                self.assertEqual(self.far.came.pop(), value)

    def test_values_do_not_mix(self) -> None:
        """A long value leaves nothing behind for the short one that follows it."""
        self.near.callRemote(link.Want, records=value_of(3 * PART))
        self.near.callRemote(link.Want, records=b"short")
        self.pump.flush()
        self.assertEqual(self.far.came, [value_of(3 * PART), b"short"])

    def test_a_refusal_says_why(self) -> None:
        """What the other end does not take fails with the reason that it gave; the link goes on."""
        self.call(link.Stop)
        (failure,) = self.outcome
        failure.trap(link.LinkRefused)
        self.assertEqual(failure.getErrorMessage(), "has work to do")
        self.call(link.Look, question=b"")
        self.assertEqual(self.outcome, [{"answer": b""}])

    def test_the_transport_of_an_end(self) -> None:
        """An end's transport is its connection."""
        self.assertIsInstance(link.transport_of(self.near), FakeTransport)


@pytest.mark.parametrize(
    ("length", "parts"), [(0, [0]), (1, [1]), (PART, [PART]), (PART + 1, [PART, 1]), (2 * PART, [PART, PART])]
)
def test_parts_are_as_few_as_can_be(length: int, parts: list[int]) -> None:
    """A value takes one more key for each 65,535 bytes that AMP can carry in one."""
    box = amp.AmpBox()
    link.Blob().toBox(b"records", box, {"records": value_of(length)}, amp.AMP())
    names = [b"records"] + [b"records.%d" % n for n in range(1, len(parts))]
    assert [(name, len(part)) for name, part in box.items()] == list(zip(names, parts, strict=True))


def test_the_limits_fit_together() -> None:
    """A worker is told to slow down long before it is given up, and silence is longer than several beats."""
    assert link.BOX_BYTES * link.BOXES_IN_FLIGHT < link.PRESSURE_BYTES < link.LINK_BYTES
    assert 3 < link.SILENCE_BEATS < link.ORPHAN_BEATS


class Slow(link.LinkEnd):
    """An end that answers when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Deferred[dict[str, object]]] = []

    @link.Stop.responder
    def stop(self) -> Deferred[dict[str, object]]:
        self.asked.append(Deferred())
        return self.asked[-1]


class Taker(link.LinkEnd):
    """An end that keeps what it is sent."""

    takes: ClassVar = {link.PUSHES: "pushes_received", link.DELIVER: "delivered"}

    def __init__(self) -> None:
        super().__init__()
        self.came: list[bytes] = []
        self.boxes: list[bytes] = []
        self.stopped = 0

    def pushes_received(self, value: bytes) -> None:
        self.came.append(value)

    def delivered(self, value: bytes) -> None:
        self.boxes.append(value)

    @link.Stop.responder
    def stop(self) -> dict[str, object]:
        self.stopped += 1
        return {}


class Wire:
    """A transport that sends what was written when it is told to.

    Attributes:
        written: what waits.
        sent: what has left.
        disconnecting: whether it ends when all has left; then it is the reactor that tells it to.
    """

    def __init__(self) -> None:
        self.written = self.sent = b""
        self.disconnecting = False

    def write(self, data: bytes) -> None:
        self.written += data

    def doWrite(self) -> None:
        assert not self.disconnecting
        self.sent += self.written
        self.written = b""


class LinkEndTests(SynchronousTestCase):
    """A connection from its beginning to its end."""

    def setUp(self) -> None:
        self.events: list[LogEvent] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def connected(self, near: amp.AMP, far: amp.AMP) -> IOPump:
        return connect_ends(near, far, Clock())

    def test_boxes_travel(self) -> None:
        """Commands are answered, and those that are not when the connection ends fail with the reason of the end."""
        near, far = link.LinkEnd(), Slow()
        pump = self.connected(near, far)
        answers: list[Any] = []
        for _ in range(2):
            near.callRemote(link.Stop).addCallbacks(answers.append, lambda failure: answers.append(failure.type))
        pump.flush()
        far.asked[0].callback({})
        pump.flush()
        link.transport_of(near).loseConnection()
        pump.flush()
        self.assertEqual(answers, [{}, ConnectionDone])
        self.assertIsNone(near.transport)
        self.assertIsNone(far.transport)

    def test_a_descriptor_without_its_box(self) -> None:
        """A connection of which the other end was killed in the middle of handing it over is closed."""
        near, far = link.LinkEnd(), link.LinkEnd()
        pump = self.connected(near, far)
        ours, client = socket.socketpair()
        self.addCleanup(client.close)
        link.transport_of(near).sendFileDescriptor(ours.detach())
        link.transport_of(near).loseConnection()
        pump.flush()
        client.setblocking(False)
        self.assertEqual(client.recv(1), b"")

    def test_sent_now(self) -> None:
        """What is no command leaves in this turn, behind what was written before it; a value of any length does."""
        near, far = link.LinkEnd(), Taker()
        self.connected(near, far)
        wire = Wire()
        near.transport = wire
        near.callRemote(link.Stop).addErrback(lambda _: None)
        self.assertEqual(wire.sent, b"")
        for length in LENGTHS:
            near.send_value(link.PUSHES, value_of(length))
            self.assertEqual(wire.written, b"")
        near.send_value(link.DELIVER, b"box")
        far.dataReceived(wire.sent)
        self.assertEqual([len(each) for each in far.came], LENGTHS)
        self.assertEqual(far.came[-1], value_of(LENGTHS[-1]))
        self.assertEqual((far.boxes, far.stopped), ([b"box"], 1))

    def test_sent_now_before_the_end(self) -> None:
        """A connection that is to end when all is written is left to the reactor: else nobody would end it."""
        near = link.LinkEnd()
        self.connected(near, Taker())
        wire = Wire()
        near.transport = wire
        wire.disconnecting = True
        near.send_value(link.PUSHES, b"abc")
        self.assertEqual(wire.sent, b"")
        self.assertIn(b"abc", wire.written)

    def test_nothing_is_logged(self) -> None:
        """AMP tells of each connection with the names of classes: an end of a link does not."""
        for kind, expected in ((amp.AMP, 4), (link.LinkEnd, 0)):
            near, far = kind(), kind()
            pump = self.connected(near, far)
            link.transport_of(near).loseConnection()
            pump.flush()
            told = [event for event in self.events if event["log_namespace"] == "twisted.protocols.amp"]
            self.assertEqual(len(told), expected)
            self.events.clear()
