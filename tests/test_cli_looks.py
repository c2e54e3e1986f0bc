"""Looks at a server, and the rates between them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from megacomet.addresses import Address, address_of_url
from megacomet.cli.calling import Answer
from megacomet.cli.looks import Looker
from megacomet.errors import CallError, NoServer
from tests.fake_server import STATS, worker

NOW = datetime(2026, 11, 28, 9, 0, 0, 250_000, UTC)


class FakeApi:
    """Answers what it is told to, or raises it."""

    def __init__(self, url: str = "http://a:80") -> None:
        self.address: Address = address_of_url(url)
        self.stats: Any = STATS
        self.workers: Any = [worker(0)]

    def get(self, path: str) -> Answer:
        value = {"/api/stats": self.stats, "/api/workers": self.workers}[path]
        if isinstance(value, Exception):
            raise value
        return Answer(200, b"", value, "2026-11-28T09:00:00+00:00")


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def api() -> FakeApi:
    """The server."""
    return FakeApi()


@pytest.fixture
def clock() -> Watch:
    """The time."""
    return Watch()


@pytest.fixture
def looker(api: FakeApi, clock: Watch) -> Looker:
    """Looks at it."""
    return Looker(lambda: api, clock, lambda: NOW)


def counted(in_: int, out: int, **more: Any) -> dict[str, Any]:
    """Return numbers with these messages."""
    return {**STATS, "messages": {"in": in_, "out": out}, **more}


def test_a_look(looker: Looker) -> None:
    """What is seen, when, and where; of the first one no rates are known."""
    assert looker.look().as_object() == {
        "time": "2026-11-28T09:00:00.250Z",
        "error": None,
        "rates": {"in": None, "out": None},
        "stats": STATS,
        "workers": [worker(0)],
    }
    assert (looker.look().address, looker.look().now) == ("http://a:80", "2026-11-28T09:00:00+00:00")


def test_rates(looker: Looker, api: FakeApi, clock: Watch) -> None:
    """Differences by the time that has passed, however long that was."""
    api.stats = counted(10, 100)
    looker.look()
    api.stats, clock.time = counted(15, 1100), clock.time + 2
    assert looker.look().rates == {"in": 2.5, "out": 500.0}
    assert looker.look().rates == {"in": None, "out": None}  # no time has passed
    api.stats, clock.time = counted(15, 1100), clock.time + 1
    assert looker.look().rates == {"in": 0.0, "out": 0.0}


def test_another_server(looker: Looker, api: FakeApi, clock: Watch) -> None:
    """A server that was started anew counts from nothing: no rate is negative."""
    looker.look()
    api.stats, clock.time = counted(0, 0, started="2026-11-28T09:00:00Z"), clock.time + 1
    assert looker.look().rates == {"in": None, "out": None}


def test_errors(looker: Looker, api: FakeApi, clock: Watch) -> None:
    """An error is raised or told, as the caller wants; rates go on over it."""
    looker.look()
    api.workers, clock.time = CallError("odd"), clock.time + 1
    with pytest.raises(CallError, match="odd"):
        looker.look()
    assert looker.try_to_look().as_object() == {"time": "2026-11-28T09:00:00.250Z", "error": "odd"}
    api.workers, clock.time = [], clock.time + 1
    assert looker.try_to_look().rates == {"in": 0.0, "out": 0.0}


def test_a_server_that_comes_back_elsewhere(clock: Watch) -> None:
    """When nobody answers the server is looked for anew, and only then."""
    apis = [FakeApi("http://a:80"), FakeApi("http://b:80")]
    first, second = apis
    looker = Looker(lambda: apis.pop(0), clock)
    looker.look()
    first.stats = NoServer("nobody")
    assert looker.try_to_look().error == "nobody"
    assert looker.look().address == "http://b:80"
    second.stats = CallError("odd")
    assert looker.try_to_look().error == "odd"
    second.stats = STATS
    assert looker.look().address == "http://b:80"


def test_the_time_of_day(api: FakeApi) -> None:
    """By default it is the system's."""
    assert Looker(lambda: api).look().time.endswith("Z")
