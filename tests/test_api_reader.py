"""What streams of the API have in common: their form, and readers that come and go. More is with events and tails."""

from __future__ import annotations

import json
import re
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from megacomet.api.reader import PING_S, RETRY_MS, event, opening

from .doors import Doors, get
from .event_stream import EventStream


def test_an_event() -> None:
    """A name, data and an id; without one the reader keeps that of the event before."""
    stream = EventStream(event("one", b"{}", "boot-1") + event("two", b"[1]"))
    assert [tuple(each) for each in stream.events] == [("one", "{}", "boot-1"), ("two", "[1]", "boot-1")]


def test_the_opening() -> None:
    """When to come back, by chance, and what else there is."""
    times = set()
    for _ in range(50):
        found = re.fullmatch(rb"retry: (\d+)\n\n: hello\n\n", opening(b": hello\n\n"))
        assert found is not None
        times.add(int(found[1]))
    assert RETRY_MS[0] <= min(times) < max(times) <= RETRY_MS[1]


class AudienceTests(SynchronousTestCase):
    """Readers of two doors of one site."""

    def test_doors_do_not_know_each_other(self) -> None:
        """When the last reader of one goes, those of the other are looked after as ever."""
        doors = Doors()
        events, tail = (doors.connect().send(get(path)) for path in ("/api/events", "/api/channels/a/tail"))
        events.lose()
        tail.transport.clear()
        for _ in range(int(PING_S)):
            doors.clock.advance(1)
        self.assertEqual(tail.transport.value(), b": ping\n\n")
        tail.lose()
        self.assertEqual(doors.clock.getDelayedCalls(), [])

    def test_a_second_that_fails(self) -> None:
        """It is logged; who may not read any more is let go, and the next second is as ever."""
        doors = Doors()
        reader = doors.connect().send(get("/api/events?stats=1"))
        doors.manager.failure = ZeroDivisionError("no numbers")
        doors.clock.advance(1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        doors.manager.failure = None
        reader.transport.clear()
        doors.clock.advance(1)
        [told] = EventStream(reader.transport.value()).events
        data: Any = json.loads(told.data)
        self.assertEqual((told.type, data["messages"]), ("stats", {"in": 5, "out": 7}))
        reader.lose()
