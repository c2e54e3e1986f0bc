"""The rehearsal of the zygote: everybody is served, and nothing of it stays."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from megacomet.worker import birth
from megacomet.worker.rehearsal import CLIENTS, ROUNDS, rehearse


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    """What is logged during the test."""
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def test_everybody_is_served() -> None:
    """A client of each kind is told something in each round: else code is not adapted, and nobody would see it."""
    assert rehearse() == ROUNDS * len(CLIENTS)


def test_nothing_stays(logged: list[LogEvent]) -> None:
    """No descriptor is open afterwards, and the log says nothing of it."""
    rehearse()
    gc.collect()
    before = sorted(os.listdir("/proc/self/fd"))
    rehearse()
    gc.collect()
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert logged == []


def test_too_few_are_served(logged: list[LogEvent], monkeypatch: pytest.MonkeyPatch) -> None:
    """The log says so, and workers are born all the same."""
    monkeypatch.setattr(birth, "rehearse", lambda: 3)
    birth.rehearse_once()
    assert [formatEvent(event) for event in logged] == ["3 of 112 clients were served in the rehearsal"]


class FailureTests(SynchronousTestCase):
    """The rehearsal breaks down."""

    def test_it_may_fail(self) -> None:
        """The log has why, and workers are born all the same."""

        def rehearse_badly() -> int:
            raise RuntimeError("stage fright")

        self.patch(birth, "rehearse", rehearse_badly)
        birth.rehearse_once()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
