"""GET /api/channels/{c}/tail: what is told of it and at which pace, and what becomes of a reader that does not read."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from megacomet.api.reader import PING_S, RETRY_MS, STALL_S
from megacomet.api.tails import HEAD_CHARACTERS, MOST_BYTES, MOST_MESSAGES, MOST_TAILS, PAUSE_S, WHOLE_BYTES

from .doors import KEY, PUSH_KEY, READ_KEY, Doors, get
from .stream_reader import StreamReader

TIME = "1994-11-06T08:49:37.000Z"


class Tail(StreamReader):
    """Somebody who looks at a channel."""

    def __init__(self, doors: Doors, channel: str = "news", key: str = READ_KEY) -> None:
        super().__init__(doors, get(f"/api/channels/{quote(channel, safe='')}/tail", key=key))

    def frames(self) -> list[dict[str, Any]]:
        """The data of the events in it."""
        events = self.shown()
        assert [event.type for event in events] == ["messages"] * len(events)
        return [json.loads(event.data) for event in events]

    def stall(self) -> None:
        """Read nothing."""
        self.connection.channel.pauseProducing()

    def read(self) -> None:
        """Read on."""
        self.connection.channel.resumeProducing()

    def lose(self) -> None:
        self.connection.lose()


def ids(frame: dict[str, Any]) -> list[int]:
    return [int(message["id"].removeprefix("e1-")) for message in frame["messages"]]


class TailTests(SynchronousTestCase):
    """The site on fakes."""

    def setUp(self) -> None:
        self.doors = Doors()
        self.tap = self.doors.tap

    def publish(self, count: int = 1, data: bytes = b'"x"', channel: bytes = b"news") -> None:
        for _ in range(count):
            self.tap.publish(channel, data)

    def pass_(self, seconds: float) -> None:
        self.doors.clock.advance(seconds)

    def seconds(self, count: float) -> None:
        while count > 0:
            self.pass_(min(1, count))
            count -= 1

    def assert_nothing_is_left(self) -> None:
        self.assertEqual((self.tap.takers, self.doors.clock.getDelayedCalls()), ([], []))

    def test_how_it_begins(self) -> None:
        """A head without a length, and when to come back."""
        tail = Tail(self.doors)
        first, *lines = tail.head.decode().split("\r\n")
        self.assertEqual(first, "HTTP/1.1 200 OK")
        headers = dict(line.split(": ", 1) for line in lines)
        self.assertEqual(headers["Content-Type"], "text/event-stream; charset=utf-8")
        self.assertEqual((headers["Connection"], headers["X-Accel-Buffering"]), ("close", "no"))
        found = re.fullmatch(rb"retry: (\d+)\n\n", tail.first)
        assert found is not None
        self.assertTrue(RETRY_MS[0] <= int(found[1]) <= RETRY_MS[1])
        tail.lose()

    def test_a_message(self) -> None:
        """It comes at once, to the byte as it was published."""
        self.publish()
        tail = Tail(self.doors)
        self.publish(data='{"b": 1,"a":[1.0,1e400,"ü\\u2028"]}'.encode())
        self.pass_(0)
        told = '{"id":"e1-2","data":{"b": 1,"a":[1.0,1e400,"ü\\u2028"]},"time":"1994-11-06T08:49:37.000Z","bytes":35}'
        self.assertEqual(tail.raw().decode(), 'event: messages\ndata: {"messages":[' + told + '],"skipped":0}\n\n')
        tail.lose()

    def test_other_channels(self) -> None:
        """They are not told of; a mailbox can be looked at."""
        tail = Tail(self.doors, "@sue")
        self.publish(channel=b"@joe")
        self.publish(channel=b"@sue")
        self.pass_(0)
        self.assertEqual([ids(frame) for frame in tail.frames()], [[2]])
        tail.lose()

    def test_the_pace(self) -> None:
        """An event tells of all that came in its pause; nothing is told while nothing comes."""
        tail = Tail(self.doors)
        told = []
        for _ in range(100):
            self.publish()
            self.pass_(0.01)
            told += tail.frames()
        self.assertEqual([number for frame in told for number in ids(frame)], list(range(1, len(told) * 25 - 23)))
        self.assertEqual(len(told), 4)
        self.pass_(PAUSE_S)
        [last] = tail.frames()
        self.assertEqual(ids(last)[-1], 100)
        self.pass_(10)
        self.assertEqual(tail.raw(), b"")
        self.publish()
        self.pass_(0)
        self.assertEqual(len(tail.frames()), 1)
        tail.lose()

    def test_very_many(self) -> None:
        """The newest are told, and how many are left out."""
        tail = Tail(self.doors)
        self.publish(MOST_MESSAGES + 7)
        self.pass_(0)
        self.publish(2)
        self.pass_(PAUSE_S)
        first, second = tail.frames()
        self.assertEqual((ids(first), first["skipped"]), (list(range(8, MOST_MESSAGES + 8)), 7))
        self.assertEqual((len(ids(second)), second["skipped"]), (2, 0))
        tail.lose()

    def test_very_much(self) -> None:
        """Bytes are bounded too; the newest message is always told."""
        tail = Tail(self.doors)
        self.publish(50, b'"%s"' % (b"x" * (WHOLE_BYTES - 2)))
        self.pass_(0)
        raw = tail.raw()
        self.assertLessEqual(len(raw), MOST_BYTES)
        frame = json.loads(raw.partition(b"data: ")[2])
        self.assertEqual(len(ids(frame)) + frame["skipped"], 50)
        self.assertGreaterEqual(len(ids(frame)), 15)
        self.assertEqual(ids(frame)[-1], 50)
        tail.lose()

    def test_a_large_message(self) -> None:
        """It is told by its first characters, whole ones, and its size; 16 KB are not large."""
        tail = Tail(self.doors)
        self.publish(data=b'"%b"' % (b"x" * (WHOLE_BYTES - 2)))
        large = '"%s"' % ('\U0001f600ü\\\\"' * 200_000)
        self.publish(data=large.encode())
        self.pass_(0)
        [whole, cut] = tail.frames()[0]["messages"]
        self.assertEqual((len(whole["data"]), whole["bytes"], "head" in whole), (WHOLE_BYTES - 2, WHOLE_BYTES, False))
        self.assertEqual(
            cut, {"id": "e1-2", "head": large[:HEAD_CHARACTERS], "time": TIME, "bytes": len(large.encode())}
        )
        tail.lose()

    def test_many_large_ones(self) -> None:
        """A megabyte each: what is kept for the tail, and told, is bounded all the same."""
        tail = Tail(self.doors)
        self.publish(200, ('"%s"' % ("\U0001f600" * 250_000)).encode())
        self.pass_(0)
        self.assertLessEqual(len(raw := tail.raw()), MOST_BYTES + 1000)
        self.assertIn(b'"skipped":', raw)
        tail.lose()

    def test_pings(self) -> None:
        """A comment tells that the server is there, when nothing else does."""
        tail = Tail(self.doors)
        self.seconds(PING_S - 1)
        self.assertEqual(tail.raw(), b"")
        self.seconds(1)
        self.assertEqual(tail.raw(), b": ping\n\n")
        tail.lose()

    def test_who_does_not_read(self) -> None:
        """Nothing waits for it but the newest; it is told when it reads again, and the others all the time."""
        slow, quick = Tail(self.doors), Tail(self.doors)
        slow.stall()
        for _ in range(40):
            self.publish(10)
            self.pass_(PAUSE_S)
        self.assertEqual((slow.raw(), len(quick.frames())), (b"", 40))
        slow.read()
        self.pass_(PAUSE_S)
        [frame] = slow.frames()
        self.assertEqual((ids(frame), frame["skipped"]), (list(range(301, 401)), 300))
        slow.stall()
        slow.read()
        self.pass_(PAUSE_S)
        self.assertEqual(slow.raw(), b"")
        slow.lose()
        quick.lose()
        self.assert_nothing_is_left()

    def test_who_does_not_read_for_long(self) -> None:
        """It is cut off after a minute."""
        hangs = Tail(self.doors)
        hangs.stall()
        for _ in range(int(STALL_S) - 1):
            self.publish()
            self.pass_(1)
        self.assertFalse(hangs.transport.aborted)
        self.pass_(1)
        self.assertTrue(hangs.transport.aborted)
        hangs.lose()
        self.assert_nothing_is_left()

    def test_who_goes_leaves_nothing(self) -> None:
        """No listener and no timer, also when something was about to be told."""
        one, two = Tail(self.doors), Tail(self.doors, "other")
        self.publish()
        one.lose()
        self.publish(channel=b"other")
        self.pass_(0)
        self.assertEqual(len(two.frames()), 1)
        self.publish(channel=b"other")
        two.lose()
        self.assert_nothing_is_left()
        again = Tail(self.doors)
        self.publish()
        self.pass_(PAUSE_S)
        self.assertEqual(len(again.frames()), 1)
        again.lose()

    def test_a_key_that_is_revoked(self) -> None:
        """It ends the tail."""
        tail = Tail(self.doors)
        self.pass_(1)
        self.assertFalse(tail.connection.closed)
        self.doors.site.keys.replace([("another", "admin")], ())
        self.pass_(1)
        self.assertTrue(tail.connection.closed)
        tail.lose()
        self.assert_nothing_is_left()

    def test_no_more_than_so_many(self) -> None:
        """One more is told to come back; when one goes there is room."""
        tails = [Tail(self.doors) for _ in range(MOST_TAILS)]
        answer = self.doors.ask(get("/api/channels/news/tail"))
        self.assertEqual((answer.status, answer.code), (503, "overloaded"))
        self.assertIn("retry-after", answer.headers)
        self.assertIn("tails", answer.json()["detail"])
        tails.pop().lose()
        tails.append(Tail(self.doors))
        self.assertIn(b"retry", tails[-1].first)
        for tail in tails:
            tail.lose()

    def test_head_only(self) -> None:
        """HEAD has the head, and looks at nothing."""
        connection = self.doors.connect().send(get("/api/channels/news/tail", method="HEAD"))
        self.assertTrue(connection.transport.value().endswith(b"\r\n\r\n"))
        self.assertTrue(connection.closed)
        connection.lose()
        self.assert_nothing_is_left()

    def test_the_key(self) -> None:
        """It needs scope read."""
        path = "/api/channels/news/tail"
        self.assertEqual(self.doors.ask(get(path, key=None)).code, "unauthorized")
        self.assertEqual(self.doors.ask(get(path, key=PUSH_KEY)).code, "forbidden")
        Tail(self.doors, key=KEY).lose()

    def test_what_is_no_name(self) -> None:
        """It is a 400, and nobody looks."""
        for segment, code in (("@", "bad-name"), ("a%20b", "bad-name"), ("%ff", "bad-name"), ("a%", "bad-request")):
            answer = self.doors.ask(get(f"/api/channels/{segment}/tail"))
            self.assertEqual((answer.status, answer.code), (400, code))
        self.assertEqual(self.doors.ask(get("/api/channels/a/b/tail")).status, 404)
        self.assertEqual(self.tap.takers, [])

    def test_the_end_of_the_server(self) -> None:
        """Tails are let go at once, and none is taken any more."""
        tail = Tail(self.doors)
        self.publish()
        stopped: Deferred[None] = self.doors.site.stop()
        self.assertTrue(tail.connection.closed)
        self.assertFalse(tail.transport.aborted)
        tail.lose()
        self.successResultOf(stopped)
        self.assertEqual(self.doors.ask(get("/api/channels/news/tail")).code, "shutting-down")
        self.assertEqual(self.tap.takers, [])


@given(st.sampled_from(["<script>", "a/tail", "tail", "/", "%2F", "..a", "#", "*", "@*", "ü\U0001f600", "x" * 255]))
def test_odd_names(name: str) -> None:
    """One percent-encoded segment, whatever is in it."""
    doors = Doors()
    tail = Tail(doors, name)
    doors.tap.publish(name.encode(), b"1")
    doors.clock.advance(0)
    assert len(tail.frames()) == 1
    tail.lose()
