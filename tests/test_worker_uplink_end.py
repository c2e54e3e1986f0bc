"""The worker's end of a connection, as far as pushes go: boxes leave at once, and what is told of them is read."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from msgspec.structs import astuple
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from megacomet import link
from megacomet.model.keys import Keys
from megacomet.publishing.pushing import Outcome
from megacomet.wire.push import PushResult
from megacomet.wire.pushed import decode_pushes, encode_told, encode_verdict
from megacomet.worker.pusher import Pusher
from megacomet.worker.uplink_end import UplinkEnd
from tests.ends import connect_ends
from tests.pushings import ADMIN, push_to


class Uplink:
    """What a connection tells, as far as pushes need it."""

    def __init__(self, clock: Clock) -> None:
        self.pusher = Pusher(clock, 65536)

    def dialled(self, end: UplinkEnd) -> None:
        self.pusher.linked(end, b"e1", 0, Keys([]).pack())

    def lost(self, end: UplinkEnd) -> None:
        self.pusher.unlinked()


class ManagerEnd(link.LinkEnd):
    """A manager's end that keeps boxes."""

    takes: ClassVar = {link.PUSHES: "pushes_received"}

    def __init__(self) -> None:
        super().__init__()
        self.boxes: list[bytes] = []

    def pushes_received(self, value: bytes) -> None:
        self.boxes.append(value)


class PushTests(SynchronousTestCase):
    """Pushes on one connection."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.uplink = Uplink(self.clock)
        self.manager = ManagerEnd()
        self.end = UplinkEnd(cast(Any, self.uplink))
        self.pump = connect_ends(self.manager, self.end, self.clock)
        self.outcomes: list[Outcome] = []

    def push(self, count: int = 1) -> None:
        """Push, and have it leave."""
        for _ in range(count):
            self.uplink.pusher.publish(push_to(b"a"), ADMIN, self.outcomes.append)
        self.clock.advance(0)
        self.pump.flush()

    def tell(self, told: bytes, boxes: int = 1, head: int = 1) -> list[str]:
        """Let the manager tell; return the lines of ours in the log."""
        with capturedLogs() as logs:
            self.manager.send_value(link.PUSHES, encode_verdict(boxes, head, told))
            self.pump.flush()
        return [str(formatEvent(event)) for event in logs if event["log_namespace"].startswith("megacomet.")]

    def test_there_and_back(self) -> None:
        """A box leaves, what is told of it is told whoever pushed, and the position is known."""
        self.push(2)
        (box,) = self.manager.boxes
        self.assertEqual([sent.number for sent in decode_pushes(box)], [1, 2])
        result = PushResult(b"a", b"e1-4", "sent")
        self.assertEqual(self.tell(encode_told(1, [result], None), head=4), [])
        self.assertEqual(self.outcomes, [Outcome([result], None, True)])
        self.assertEqual(self.uplink.pusher.position(), b"e1-4")
        self.assertEqual(self.tell(encode_told(2, [], ("unauthorized", "who?")), boxes=0, head=5), [])
        self.assertEqual((len(self.outcomes), self.uplink.pusher.position()), (2, b"e1-5"))
        self.assertIsNotNone(self.end.transport)

    def test_what_cannot_be_read(self) -> None:
        """A manager that tells what cannot be read loses the link, with a line that says so and no traceback."""
        result = PushResult(b"a", b"e1-1", "sent")
        for told, boxes, why in [
            (encode_told(1, [result], None)[:-1], 1, "what became of a push is cut off"),
            (b"x", 0, "what became of a push is cut off"),
            (encode_told(1, [result] * 2, None), 1, "a push has not one result for each target"),
            (encode_told(1, [], None), 1, "a push was neither published nor refused"),
            (encode_told(1, [result], None), 2, "more boxes are worked off than were sent"),
        ]:
            self.setUp()
            self.push(2)
            self.assertEqual(self.tell(told, boxes), [f"what the manager told of pushes cannot be read: {why}"])
            self.assertIsNone(self.end.transport)
            self.assertIs(self.uplink.pusher.up, False)
            self.assertEqual(
                [refusal.code for _, refusal, _ in map(astuple, self.outcomes) if refusal], ["overloaded"] * 2
            )
            self.assertIsNone(self.manager.transport)

    def test_what_was_read_before(self) -> None:
        """What was told before the part that cannot be read holds, each push has one outcome."""
        self.push(2)
        result = PushResult(b"a", b"e1-1", "sent")
        self.assertEqual(len(self.tell(encode_told(2, [result], None) + b"x")), 1)
        self.assertEqual(
            [refusal.code if refusal else results for results, refusal, _ in map(astuple, self.outcomes)],
            [[result], "overloaded"],
        )

    def test_pushed_behind_the_end(self) -> None:
        """Nothing is sent on a connection that is lost."""
        self.end.connectionLost(connectionDone)
        self.push()
        self.assertEqual((self.manager.boxes, len(self.outcomes)), ([], 1))
