"""Events: numbered, told to all, the last ones kept."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest

from megacomet.manager.events import Event, Events

from .conftest import LoggedFailures

ROOT: Final = Path(__file__).parents[1]
TIME = 784111777.25


def some(count: int, kept: int = 5) -> Events:
    """Events after so many."""
    events = Events("boot", lambda: TIME, kept)
    for n in range(count):
        events.tell("counted", n=n)
    return events


def test_an_event() -> None:
    """It has an id of this start, a name, and its data with the time."""
    events = some(0)
    heard: list[Event] = []
    events.listen(heard.append)
    events.tell("worker-up", worker=3, pid=812)
    [event] = heard
    assert (event.id, event.name) == ("boot-1", "worker-up")
    assert json.loads(event.data) == {"time": "1994-11-06T08:49:37.250Z", "worker": 3, "pid": 812}
    assert b"\n" not in event.data


def test_listeners_come_and_go() -> None:
    """Each hears what is told while it listens, also when one leaves meanwhile."""
    events = some(0)
    heard: list[str] = []

    def leaves(event: Event) -> None:
        heard.append(f"once {event.id}")
        events.unlisten(leaves)

    def stays(event: Event) -> None:
        heard.append(event.id)

    events.listen(leaves)
    events.listen(stays)
    events.tell("a")
    events.tell("b")
    assert heard == ["once boot-1", "boot-1", "boot-2"]


def test_a_listener_that_fails(logged_failures: LoggedFailures) -> None:
    """It harms neither the others nor whoever tells."""
    events = some(0)
    heard: list[Event] = []

    def fails(event: Event) -> None:
        raise ZeroDivisionError

    events.listen(fails)
    events.listen(heard.append)
    events.tell("a")
    assert len(heard) == 1
    assert len(logged_failures.flush(ZeroDivisionError)) == 1


@pytest.mark.parametrize(
    ("told", "since", "missed"),
    [
        (0, "boot-0", []),
        (3, "boot-3", []),
        (3, "boot-1", ["boot-2", "boot-3"]),
        (3, "boot-0", ["boot-1", "boot-2", "boot-3"]),
        (9, "boot-4", ["boot-5", "boot-6", "boot-7", "boot-8", "boot-9"]),
        (9, "boot-3", None),  # the fifth is no longer kept
        (3, "boot-4", None),  # of the future
        (3, "other-1", None),
        (3, "boot", None),
        (3, "boot-x", None),
        (3, "boot-\u00b2", None),
        (3, "", None),
    ],
)
def test_resuming(told: int, since: str, missed: list[str] | None) -> None:
    """What came behind an event is known, or it is known that it is not."""
    found = some(told).after(since)
    assert (found and [event.id for event in found]) == missed


def test_every_event_is_documented() -> None:
    """The reference has a row for each that is told, and for none that is not."""
    names = r"(?:worker|link|clients|requests|messages)-[a-z]+"
    told = {
        name
        for path in (ROOT / "megacomet/manager").glob("*.py")
        for name in re.findall(rf'"({names})"', path.read_text())
    }
    page = (ROOT / "docs/reference/events.md").read_text()
    assert told == set(re.findall(rf"^\| `({names})` \|", page, re.M))


def test_the_last_id() -> None:
    """There is one before the first event."""
    assert (some(0).last_id, some(7).last_id) == ("boot-0", "boot-7")
    assert some(7).after(some(7).last_id) == []


def test_all_that_are_kept() -> None:
    """The last ones, the oldest first, and of which start they are."""
    events = some(7, kept=3)
    assert [event.id for event in events.kept] == ["boot-5", "boot-6", "boot-7"]
    assert (some(0).kept, events.epoch) == ([], "boot")
