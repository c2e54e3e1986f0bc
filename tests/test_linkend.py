"""An end of a link does what AMP does, and logs nothing of it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.protocols import amp
from twisted.test.iosim import IOPump
from twisted.trial.unittest import SynchronousTestCase

from megacomet import link
from megacomet.linkend import LinkEnd
from tests.ends import connect_ends


class Worker(LinkEnd):
    """An end that answers when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Deferred[dict[str, object]]] = []

    @link.Stop.responder
    def stop(self) -> Deferred[dict[str, object]]:
        self.asked.append(Deferred())
        return self.asked[-1]


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
        near, far = LinkEnd(), Worker()
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

    def test_nothing_is_logged(self) -> None:
        """AMP tells of each connection with the names of classes: an end of a link does not."""
        for kind, expected in ((amp.AMP, 4), (LinkEnd, 0)):
            near, far = kind(), kind()
            pump = self.connected(near, far)
            link.transport_of(near).loseConnection()
            pump.flush()
            told = [event for event in self.events if event["log_namespace"] == "twisted.protocols.amp"]
            self.assertEqual(len(told), expected)
            self.events.clear()
