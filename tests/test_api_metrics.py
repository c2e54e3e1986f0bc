"""GET /metrics: who may have it, in which form, and what becomes of scrapers that do not read."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from megacomet.api.metrics import MOST_UNREAD

from .doors import PUSH_KEY, READ_KEY, Connection, Doors, get, post


class Home:
    """Where a connection came from that a worker has handed over."""

    peer = None

    def is_foreign(self, target: bytes) -> bool:
        return False

    def lost(self) -> None:
        pass

    def take_back(self) -> Deferred[None]:
        raise AssertionError


def handed_over(doors: Doors) -> Connection:
    """A connection from the public port."""
    connection = doors.connect()
    connection.channel.home = Home()
    return connection


class MetricsTests(SynchronousTestCase):
    """The site on fakes."""

    def setUp(self) -> None:
        self.doors = Doors(keep_alive_s=75)

    def hang(self) -> Connection:
        """Ask, and do not read: the transport holds as much as it wants to."""
        connection = self.doors.connect()
        written = connection.transport.write

        def write(data: bytes) -> None:
            written(data)
            connection.channel.pauseProducing()

        connection.transport.write = write
        return connection.send(get("/metrics"))

    def test_with_a_key_to_read(self) -> None:
        """The page is given to whoever may read, in the form that was asked for; the connection stays."""
        connection = self.doors.connect().send(get("/metrics", "Accept: text/plain", key=READ_KEY))
        answer = connection.answer()
        self.assertEqual((answer.status, answer.body), (200, self.doors.metrics.body))
        self.assertEqual(answer.headers["content-type"], "text/plain")
        self.assertEqual(self.doors.metrics.asked, [b"text/plain"])
        self.assertFalse(connection.closed)
        self.assertEqual(self.doors.ask(get("/metrics")).status, 200)
        self.assertEqual(self.doors.metrics.asked, [b"text/plain", b""])

    def test_without_a_key(self) -> None:
        """A key is needed, one that may read."""
        for key, code in ((None, "unauthorized"), (PUSH_KEY, "forbidden"), ("nobody's", "unauthorized")):
            with self.subTest(key=key):
                self.assertEqual(self.doors.ask(get("/metrics", key=key)).code, code)
        self.assertEqual(self.doors.metrics.asked, [])

    def test_open(self) -> None:
        """With `metrics_open` nobody is asked for a key, and a wrong one is not looked at; all else needs one."""
        doors = Doors(metrics_open=True)
        for key in (None, PUSH_KEY, "nobody's"):
            self.assertEqual(doors.ask(get("/metrics", key=key)).status, 200)
        self.assertEqual(doors.ask(get("/api/stats", key=None)).code, "unauthorized")

    def test_open_on_the_public_port(self) -> None:
        """Who needs no key does not stay in the manager; who has shown one may."""
        stranger = handed_over(Doors(metrics_open=True)).send(get("/metrics", key=None))
        self.assertEqual(stranger.answer().headers["connection"], "close")
        self.assertTrue(stranger.closed)
        friend = handed_over(self.doors).send(get("/metrics", key=READ_KEY))
        self.assertEqual(friend.answer().status, 200)
        self.assertFalse(friend.closed)

    def test_what_is_not_there(self) -> None:
        """It is read only, and stands at one path."""
        answer = self.doors.ask(post("/metrics", b""))
        self.assertEqual((answer.code, answer.headers["allow"]), ("method-not-allowed", "GET, HEAD"))
        for path in ("/metrics/", "/metrics/x", "/metricsx"):
            self.assertEqual(self.doors.ask(get(path)).code, "not-found", path)

    def test_scrapers_that_hang(self) -> None:
        """So many may have the page without reading it; the next one is told to come later, until they are cut off."""
        hanging = [self.hang() for _ in range(MOST_UNREAD)]
        self.assertEqual(len(self.doors.metrics.asked), MOST_UNREAD)
        refused = self.doors.ask(get("/metrics"))
        self.assertEqual((refused.code, refused.status), ("overloaded", 503))
        self.assertIn("retry-after", refused.headers)
        hanging[0].channel.resumeProducing()
        self.assertEqual(self.doors.ask(get("/metrics")).status, 200)
        self.hang()
        self.assertEqual(self.doors.ask(get("/metrics")).status, 503)
        self.doors.clock.advance(75)
        self.assertTrue(all(connection.transport.aborted for connection in hanging[1:]))

    def test_scrapers_that_hung_and_went(self) -> None:
        """Whoever has gone counts no more."""
        for connection in [self.hang() for _ in range(MOST_UNREAD)]:
            connection.lose()
        self.assertEqual(self.doors.ask(get("/metrics")).status, 200)

    def test_requests_are_counted_by_status(self) -> None:
        """Whatever the answer was, also where no request could be read."""
        self.doors.ask(get("/metrics"))
        self.doors.ask(get("/api/stats"))
        self.doors.ask(get("/api/stats", key=None))
        self.doors.ask(get("/nothing"))
        self.doors.ask(b"broken\r\n\r\n")
        self.doors.connect().send(get("/api/events"))
        self.assertEqual(self.doors.site.answered, {200: 3, 401: 1, 404: 1, 400: 1})
