"""Listening in on channels: who does is given every message of his channel, and nobody else notices."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from megacomet.manager.tapping import Tapping
from megacomet.model.directory import Directory
from megacomet.model.memory import MemoryStore
from megacomet.model.message import Message, Publication, Published
from megacomet.model.router import Router
from megacomet.model.store import Retention

SUE, NEWS = b"@sue", b"news"
UNIX_S = 1_700_000_000.0


class TappingTests(SynchronousTestCase):
    """A store, the router that it feeds, and somebody who listens in."""

    def setUp(self) -> None:
        self.store = MemoryStore(b"e1", lambda namespace: Retention(60, 100), 10**7)
        self.router = Router(self.store, Directory())
        self.tapping = Tapping(self.store, lambda: UNIX_S)
        self.heard: list[tuple[Message, float]] = []

    def take(self, message: Message, unix_s: float) -> None:
        self.heard.append((message, unix_s))

    def publish(self, channel: bytes, data: bytes = b"1", **more: Any) -> Any:
        answers: list[Any] = []
        self.router.publish(Publication(channel, data, **more), 100.0, answers.append)
        return answers[0]

    def test_every_message_of_the_channel(self) -> None:
        """From now on, in the order of the log, also what nobody hears and nothing keeps."""
        self.publish(NEWS)
        self.tapping.listen(NEWS, self.take)
        self.publish(NEWS, b"2")
        self.publish(b"other")
        self.publish(NEWS, b"4", ttl_s=0)
        self.assertEqual(self.heard, [(Message(2, NEWS, b"2"), UNIX_S), (Message(4, NEWS, b"4"), UNIX_S)])
        self.assertEqual(self.tapping.epoch, b"e1")

    def test_what_is_not_taken_into_the_log(self) -> None:
        """A repeated publication is no message."""
        self.tapping.listen(NEWS, self.take)
        for _ in range(2):
            self.publish(NEWS, key=b"k")
        self.assertEqual(len(self.heard), 1)

    def test_nobody_notices(self) -> None:
        """Publishers are told what they would be told, and a mailbox keeps what waits."""
        self.tapping.listen(SUE, self.take)
        self.tapping.listen(NEWS, self.take)
        self.assertEqual(self.publish(SUE), Published(1, "queued"))
        self.assertEqual(self.publish(NEWS, ttl_s=0), Published(2, "unheard"))
        self.assertEqual([m.offset for m in self.store.waiting(SUE, 100.0)], [1])
        self.assertFalse(self.store.in_flight(SUE))

    def test_several(self) -> None:
        """Each is given everything until it leaves; nothing is left when the last has."""
        also: list[int] = []

        def take(message: Message, unix_s: float) -> None:
            also.append(message.offset)

        self.tapping.listen(NEWS, self.take)
        self.tapping.listen(NEWS, take)
        self.publish(NEWS)
        self.tapping.unlisten(NEWS, self.take)
        self.publish(NEWS)
        self.assertEqual((len(self.heard), also), (1, [1, 2]))
        self.tapping.unlisten(NEWS, take)
        self.publish(NEWS)
        self.assertEqual(also, [1, 2])

    def test_it_costs_nothing_while_nobody_listens_in(self) -> None:
        """The store feeds the router alone, before and after."""
        alone = list(self.store._takers)
        self.tapping.listen(NEWS, self.take)
        self.assertEqual(len(self.store._takers), 2)
        self.tapping.unlisten(NEWS, self.take)
        self.assertEqual(self.store._takers, alone)
        self.tapping.listen(NEWS, self.take)
        self.publish(NEWS)
        self.assertEqual(len(self.heard), 1)

    def test_somebody_who_fails(self) -> None:
        """It is logged, and the publishing and the others go on."""
        self.tapping.listen(NEWS, lambda message, unix_s: 1 // 0)  # type: ignore[arg-type]
        self.tapping.listen(NEWS, self.take)
        self.assertEqual(self.publish(NEWS), Published(1, "queued"))
        self.assertEqual(len(self.heard), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
