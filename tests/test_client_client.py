"""A client as a whole, without a network: it listens, adds a channel, catches up, comes back, and closes everything."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from megacomet.client import Client, Gap, Listening, Message
from tests.client_wires import Line, Network, payloads


class ClientTests(SynchronousTestCase):
    """One client."""

    def setUp(self) -> None:
        self.network = Network()
        self.client = Client("http://192.0.2.1:8080", reactor=self.network.reactor)
        self.lines: list[Line] = []  # of WebSockets that stand

    def tearDown(self) -> None:
        closing = Deferred.fromCoroutine(self.client.close())
        self.network.reactor.advance(1)  # the server does not answer
        self.lose_all()
        self.successResultOf(closing)
        self.assertEqual(self.network.reactor.getDelayedCalls(), [])

    def lose_all(self) -> None:
        """The WebSockets that were closed or dropped have gone."""
        while self.lines:
            self.lines.pop().lose()

    def listen(self, *channels: str, since: str | None = None) -> tuple[Listening, Line]:
        """Listen, connected."""
        listening = self.client.listen(*channels, since=since)
        self.network.reactor.advance(0)
        line = self.network.accept()
        self.lines.append(line)
        line.switch()
        line.frame(b'{"op":"position","position":"e-1"}')
        self.network.reactor.advance(0)
        line.sent()
        return listening, line

    def item(self, listening: Listening) -> Message | Gap:
        """Take the next one, which is there."""
        return self.successResultOf(Deferred.fromCoroutine(listening.__anext__()))

    def test_a_channel_with_a_past(self) -> None:
        """It is asked for by the WebSocket, and what was missed of it by a poll."""
        listening, line = self.listen("news")
        listening.subscribe("b", since="e-0")
        self.network.reactor.advance(0)
        self.assertEqual(payloads(line.sent())[0][1], b'{"op":"subscribe","channels":["b"],"id":1}')
        line.frame(b'{"op":"ok","id":1,"position":"e-5"}')
        poll = self.network.accept()
        self.assertIn(b"GET /comet/poll?channel=b&since=e-0&timeout=0&limit=256 ", poll.sent())
        told = b'{"position":"e-3","messages":[{"channel":"b","id":"e-3","data":3}],"gap":true,"gaps":["b"]}'
        poll.answer(200, "application/json", told)
        self.assertEqual(self.item(listening), Gap(("b",), ""))
        self.assertEqual(self.item(listening), Message("b", "e-3", 3))
        self.assertIn(b"since=e-3&", poll.sent())
        poll.answer(200, "application/json", b'{"position":"e-5","messages":[],"gap":false}')
        line.frame(b'{"op":"message","channel":"b","id":"e-6","data":6}')
        self.assertEqual(self.item(listening), Message("b", "e-6", 6))
        self.assertEqual(listening.position, "e-6")
        poll.lose()

    def test_closing_while_it_catches_up(self) -> None:
        """Nothing is left of it."""
        listening, line = self.listen("news")
        listening.subscribe("b", since="e-0")
        self.network.reactor.advance(0)
        line.frame(b'{"op":"ok","id":1,"position":"e-5"}')
        poll = self.network.accept()
        listening.close()
        self.assertTrue(poll.transport.disconnecting or poll.transport.aborting)
        poll.lose()

    def test_closing_all(self) -> None:
        """What is closed is closed with all that listens, and waits until the connections have gone."""
        listenings = [self.listen("news")[0], self.listen("sport", since="e-1")[0]]
        closing = Deferred.fromCoroutine(self.client.__aexit__())
        self.assertNoResult(closing)
        self.lose_all()
        self.successResultOf(closing)
        self.assertEqual([listening.state for listening in listenings], ["disconnected"] * 2)

    def test_closing_given_up(self) -> None:
        """Who does not wait for it leaves nothing behind either, and nothing is logged."""
        self.listen("news")
        closing = Deferred.fromCoroutine(self.client.close())
        closing.cancel()
        self.failureResultOf(closing, CancelledError)

    def test_garbage_is_logged(self) -> None:
        """Once for a connection, as a warning."""
        from twisted.logger import LogLevel, capturedLogs

        listening, line = self.listen("news")
        with capturedLogs() as logged:
            for _ in range(3):
                line.frame(b"<html>")
        [event] = [event for event in logged if event["log_level"] is LogLevel.warn]
        self.assertIn("<html>", event["text"])
        self.assertEqual(listening.state, "connected")


@pytest.mark.parametrize("url", ["", "http://a b", "news"])
def test_bad_urls(url: str) -> None:
    """They are refused where they are given."""
    with pytest.raises(ValueError, match="http"):
        Client(url)
