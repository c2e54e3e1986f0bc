"""GET /api/events: what a reader is sent, and what becomes of one that does not read."""

from __future__ import annotations

import json
import re
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from megacomet.api.events import MOST_READERS
from megacomet.api.reader import BACKLOG_BYTES, PING_S, RETRY_MS, STALL_S

from .doors import PUSH_KEY, READ_KEY, Doors, get
from .event_stream import EventStream
from .stream_reader import StreamReader


class Reader(StreamReader):
    """A reader of events."""

    def __init__(self, doors: Doors, query: str = "", *headers: str) -> None:
        super().__init__(doors, get(f"/api/events{query}", *headers, key=READ_KEY))


def shown(data: bytes) -> list[tuple[str, Any, str]]:
    """Events as name, data and id."""
    return [(event.type, json.loads(event.data), event.last_id) for event in EventStream().receive(data)]


class EventsTests(SynchronousTestCase):
    """The site on fakes, with the real events."""

    def setUp(self) -> None:
        self.doors = Doors()

    def tell(self, count: int = 1, size: int = 0) -> None:
        for n in range(count):
            self.doors.events.tell("counted", n=n, text="x" * size)

    def seconds(self, count: float) -> None:
        while count > 0:
            self.doors.clock.advance(min(1, count))
            count -= 1

    def readers(self) -> int:
        return len(self.doors.events._listeners)

    def test_how_it_begins(self) -> None:
        """A head without a length, when to come back, and where the reader stands."""
        reader = Reader(self.doors)
        first, *lines = reader.head.decode().split("\r\n")
        self.assertEqual(first, "HTTP/1.1 200 OK")
        headers = dict(line.split(": ", 1) for line in lines)
        self.assertEqual(headers["Content-Type"], "text/event-stream; charset=utf-8")
        self.assertEqual(headers["Cache-Control"], "no-cache, no-transform")
        self.assertEqual((headers["Connection"], headers["X-Accel-Buffering"]), ("close", "no"))
        self.assertIn("X-Request-Id", headers)
        self.assertNotIn("Content-Length", headers)
        found = re.match(rb"retry: (\d+)\n\n", reader.first)
        assert found is not None
        self.assertTrue(RETRY_MS[0] <= int(found[1]) <= RETRY_MS[1])
        self.assertEqual(shown(reader.first), [("position", {}, "boot-0")])

    def test_events_as_they_happen(self) -> None:
        """Each with its id, to every reader."""
        one, two = Reader(self.doors), Reader(self.doors)
        self.doors.events.tell("worker-up", worker=3, pid=812)
        data = one.raw()
        self.assertEqual(data, two.raw())
        told = {"time": "1994-11-06T08:49:37.000Z", "worker": 3, "pid": 812}
        self.assertEqual(shown(data), [("worker-up", told, "boot-1")])
        for each in (one, two):
            each.connection.lose()

    def test_resuming(self) -> None:
        """Who was away is told what it missed, whether its id comes in the header or in the address."""
        self.tell(3)
        for query, headers in (
            ("", ["Last-Event-ID: boot-1"]),
            ("?lastEventId=boot-1", []),
            ("?lastEventId=boot-0", ["Last-Event-ID: boot-1"]),
        ):
            reader = Reader(self.doors, query, *headers)
            self.assertEqual([id_ for _, _, id_ in shown(reader.first)], ["boot-2", "boot-3"])
            reader.connection.lose()

    def test_nothing_missed(self) -> None:
        """Who was away and missed nothing is told where it stands."""
        self.tell(3)
        self.assertEqual(shown(Reader(self.doors, "?lastEventId=boot-3").first), [("position", {}, "boot-3")])

    def test_a_gap(self) -> None:
        """Who missed what is no longer known is told so, with another manager as well."""
        self.tell(3)
        for given in ("other-1", "boot-9", "x", "%C3%A9"):
            reader = Reader(self.doors, f"?lastEventId={given}")
            self.assertEqual(shown(reader.first), [("gap", {}, "boot-3")])
            reader.connection.lose()

    def test_pings(self) -> None:
        """A comment tells that the server is there, when nothing else does."""
        reader = Reader(self.doors)
        self.seconds(PING_S - 1)
        self.tell()
        self.assertEqual(len(reader.shown()), 1)
        self.seconds(PING_S - 1)
        self.assertEqual(reader.raw(), b"")
        self.seconds(1)
        self.assertEqual(reader.raw(), b": ping\n\n")
        reader.connection.lose()

    def test_a_key_that_is_revoked(self) -> None:
        """A reader is let go when its key is accepted no more; whoever reads with another one stays."""
        reader = Reader(self.doors)
        self.seconds(1)
        self.assertFalse(self.readers() == 0)
        self.doors.site.keys.replace([("another", "admin")], ())
        self.seconds(1)
        self.assertEqual(self.readers(), 0)
        self.assertTrue(reader.connection.closed)

    def test_stats(self) -> None:
        """Who asks for them has the numbers each second, without an id, so that nobody resumes from them."""
        plain, counting = Reader(self.doors), Reader(self.doors, "?stats=1")
        self.seconds(2)
        [first, _] = shown(counting.raw())
        self.assertEqual((first[0], first[1]["messages"], first[2]), ("stats", {"in": 5, "out": 7}, ""))
        self.assertEqual(plain.raw(), b"")
        for each in (plain, counting):
            each.connection.lose()

    def test_live(self) -> None:
        """Who asks for the figures has them at once and each second, made once for all, without an id."""
        plain, one = Reader(self.doors), Reader(self.doors, "?live=1")
        self.assertEqual([name for name, _, _ in shown(one.first)], ["position", "live"])
        self.assertEqual(shown(one.first)[1], ("live", {"n": 0}, "boot-0"))
        two = Reader(self.doors, "?live=1")
        self.doors.live.made = 0
        for n in range(1, 4):
            self.doors.live.figures = b'{"n":%d}' % n
            self.seconds(1)
            data = one.raw()
            self.assertEqual(data, b'event: live\ndata: {"n":%d}\n\n' % n)
            self.assertEqual(two.raw(), data)
        self.assertEqual((self.doors.live.made, plain.raw()), (3, b""))
        for each in (plain, one, two):
            each.connection.lose()

    def test_live_for_nobody(self) -> None:
        """While nobody wants the figures they are not made, and the same ones are not sent twice."""
        plain, head = Reader(self.doors), self.doors.connect().send(get("/api/events?live=1", method="HEAD"))
        head.lose()
        self.seconds(3)
        self.assertEqual(self.doors.live.made, 0)
        live = Reader(self.doors, "?live=1")
        self.seconds(3)
        self.assertEqual(live.raw(), b"")
        self.seconds(PING_S)
        self.assertIn(b": ping", live.raw())
        live.connection.lose()
        self.doors.live.made = 0
        self.seconds(1)
        self.assertEqual(self.doors.live.made, 0)
        plain.connection.lose()

    def test_live_for_who_does_not_read(self) -> None:
        """Only the newest figures wait, behind the events, however many there were; they cut nobody off."""
        reader = Reader(self.doors, "?live=1")
        reader.connection.channel.pauseProducing()
        self.tell()
        for n in range(1, 50):
            self.doors.live.figures = b'{"n":%d,"text":"%b"}' % (n, b"x" * (BACKLOG_BYTES // 10))
            self.seconds(1)
        self.tell()
        self.assertFalse(reader.transport.aborted)
        reader.connection.channel.resumeProducing()
        seen = reader.shown()
        self.assertEqual([event.type for event in seen], ["counted", "counted", "live"])
        self.assertEqual(json.loads(seen[-1].data)["n"], 49)
        reader.connection.channel.pauseProducing()
        reader.connection.channel.resumeProducing()
        self.assertEqual(reader.raw(), b"")
        reader.connection.lose()

    def test_who_takes_no_figures_for_long(self) -> None:
        """It is cut off after a minute, as with events."""
        reader = Reader(self.doors, "?live=1")
        reader.connection.channel.pauseProducing()
        for n in range(int(STALL_S)):
            self.doors.live.figures = b'{"n":%d}' % (n + 1)
            self.seconds(1)
        self.assertTrue(reader.transport.aborted)
        self.assertEqual(reader.raw(), b"")
        reader.connection.lose()

    def test_figures_that_cannot_be_told(self) -> None:
        """An error of ours is logged; readers begin and go on without, and have them when there are some again."""
        self.doors.live.failure = ZeroDivisionError("no figures")
        reader = Reader(self.doors, "?live=1&stats=1")
        self.assertEqual([name for name, _, _ in shown(reader.first)], ["position"])
        self.seconds(1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertEqual([event.type for event in reader.shown()], ["stats"])
        self.doors.live.failure = None
        self.seconds(1)
        self.assertEqual([event.type for event in reader.shown()], ["stats", "live"])
        reader.connection.lose()

    def test_what_is_kept(self) -> None:
        """Who asks for it begins with all events that are kept, and then where it stands."""
        self.tell(3)
        reader = Reader(self.doors, "?kept=1")
        told = [(name, data.get("n"), id_) for name, data, id_ in shown(reader.first)]
        events = [("counted", n, f"boot-{n + 1}") for n in range(3)]
        self.assertEqual(told, [*events, ("position", None, "boot-3")])
        reader.connection.lose()
        nothing = Reader(Doors(), "?kept=1")
        self.assertEqual(shown(nothing.first), [("position", {}, "boot-0")])
        nothing.connection.lose()

    def test_what_is_kept_for_who_comes_back(self) -> None:
        """Who goes on behind an event is told what it missed only; with a gap it is told all that there is."""
        self.tell(3)
        reader = Reader(self.doors, "?kept=1", "Last-Event-ID: boot-2")
        self.assertEqual([id_ for _, _, id_ in shown(reader.first)], ["boot-3"])
        reader.connection.lose()
        reader = Reader(self.doors, "?kept=1", "Last-Event-ID: boot-3")
        self.assertEqual(shown(reader.first), [("position", {}, "boot-3")])
        reader.connection.lose()
        reader = Reader(self.doors, "?kept=1", "Last-Event-ID: other-9")
        told = [(name, id_) for name, _, id_ in shown(reader.first)]
        events = [("counted", f"boot-{n + 1}") for n in range(3)]
        self.assertEqual(told, [("gap", ""), *events, ("position", "boot-3")])
        reader.connection.lose()

    def test_numbers_that_cannot_be_told(self) -> None:
        """An error of ours is logged, and the readers go on."""
        reader = Reader(self.doors, "?stats=1")
        self.doors.manager.failure = ZeroDivisionError("no numbers")
        self.seconds(1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.doors.manager.failure = None
        self.seconds(1)
        self.assertEqual([event.type for event in reader.shown()], ["stats"])
        reader.connection.lose()

    def test_who_goes_leaves_nothing(self) -> None:
        """No reader, no timer, no listener."""
        one, two = Reader(self.doors), Reader(self.doors)
        one.connection.lose()
        self.tell()
        self.assertEqual(len(two.shown()), 1)
        two.connection.lose()
        self.assertEqual((self.readers(), self.doors.clock.getDelayedCalls()), (0, []))
        self.tell()
        Reader(self.doors).connection.lose()
        self.assertEqual((self.readers(), self.doors.clock.getDelayedCalls()), (0, []))

    def test_who_does_not_read_for_long(self) -> None:
        """It is cut off after a minute, and the others are not touched."""
        hangs, reads = Reader(self.doors), Reader(self.doors)
        hangs.connection.channel.pauseProducing()
        self.tell()
        self.assertEqual((hangs.raw(), len(reads.shown())), (b"", 1))
        self.seconds(STALL_S - 1)
        self.assertFalse(hangs.transport.aborted)
        self.seconds(1)
        self.assertTrue(hangs.transport.aborted)
        hangs.connection.lose()
        self.tell()
        self.assertEqual(len(reads.shown()), 1)
        reads.connection.lose()
        self.assertEqual(self.doors.clock.getDelayedCalls(), [])

    def test_who_does_not_read_much(self) -> None:
        """It is cut off at a bound of bytes."""
        hangs = Reader(self.doors)
        hangs.connection.channel.pauseProducing()
        self.tell(BACKLOG_BYTES // 1000 - 100, 1000)
        self.assertFalse(hangs.transport.aborted)
        self.tell(101, 1000)
        self.assertTrue(hangs.transport.aborted)
        self.tell()
        self.assertEqual(hangs.raw(), b"")
        hangs.connection.lose()

    def test_who_reads_again(self) -> None:
        """What has waited comes in order, and the minute begins anew."""
        reader = Reader(self.doors)
        for _ in range(2):
            reader.connection.channel.pauseProducing()
            self.tell(3)
            self.seconds(STALL_S - 1)
            reader.connection.channel.resumeProducing()
            self.assertEqual([json.loads(event.data)["n"] for event in reader.shown()], [0, 1, 2])
        reader.connection.channel.pauseProducing()
        reader.connection.channel.resumeProducing()
        self.assertEqual(reader.raw(), b"")
        reader.connection.lose()

    def test_no_more_than_so_many(self) -> None:
        """One more is told to come back; when one goes there is room."""
        readers = [Reader(self.doors) for _ in range(MOST_READERS)]
        answer = self.doors.ask(get("/api/events"))
        self.assertEqual((answer.status, answer.code), (503, "overloaded"))
        self.assertIn("retry-after", answer.headers)
        readers.pop().connection.lose()
        readers.append(Reader(self.doors))
        self.assertIn(b"position", readers[-1].first)
        for reader in readers:
            reader.connection.lose()

    def test_head_only(self) -> None:
        """HEAD has the head, and reads nothing."""
        connection = self.doors.connect().send(get("/api/events", method="HEAD"))
        self.assertTrue(connection.transport.value().endswith(b"\r\n\r\n"))
        self.assertTrue(connection.closed)
        self.assertEqual(self.readers(), 0)
        connection.lose()

    def test_the_key(self) -> None:
        """It needs scope read."""
        self.assertEqual(self.doors.ask(get("/api/events", key=None)).code, "unauthorized")
        self.assertEqual(self.doors.ask(get("/api/events", key=PUSH_KEY)).code, "forbidden")

    def test_the_end_of_the_server(self) -> None:
        """Readers are let go at once, and nobody is taken any more."""
        reader = Reader(self.doors)
        stopped: Deferred[None] = self.doors.site.stop()
        self.assertTrue(reader.connection.closed)
        self.assertFalse(reader.transport.aborted)
        reader.connection.lose()
        self.successResultOf(stopped)
        self.assertEqual(self.doors.ask(get("/api/events")).code, "shutting-down")
        self.assertEqual(self.readers(), 0)

    def test_a_request_behind_it(self) -> None:
        """It is the last answer of its connection: what is pipelined is not served."""
        reader = Reader(self.doors)
        reader.connection.send(get("/api/stats"))
        self.assertEqual(reader.raw(), b"")
        reader.connection.lose()
