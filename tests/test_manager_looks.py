"""A look at what processes have counted, in the order that rates know."""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.internet.task import Clock

from megacomet.manager.looks import Counted
from megacomet.manager.main import Manager
from megacomet.manager.supervisor import Supervisor
from megacomet.manager.vitals import Vitals
from megacomet.model.directory import Directory
from megacomet.model.memory import MemoryStore
from megacomet.model.rates import OF_WORKERS
from megacomet.model.router import Router
from megacomet.model.store import Retention

from .test_metrics_readings import FakeApi, FakeLinks, said
from .test_supervisor import FakeProcess


def test_a_place_with_a_past() -> None:
    """What those before a worker have counted is added; a worker that has told nothing is not there."""
    manager: Any = Manager()
    manager.links = FakeLinks()
    manager.supervisor = Supervisor(Clock(), 2, open_process=FakeProcess, shut=lambda _: None, all_up=lambda: None)
    clock = Clock()
    vitals = Vitals(clock, clock.seconds, lambda: 0.0)
    router = Router(MemoryStore(b"e1", lambda _: Retention(60, 1), 10**6), Directory())
    counted = Counted(manager, router, vitals, FakeApi)
    assert counted.look(7.0).workers == {}
    manager.links.tally.told(1, 100, said(answered={"200": 3, "404": 1}))
    manager.links.tally.told(1, 101, said(answered={"200": 2}, uptime_s=0.5))
    look = counted.look(7.0)
    assert (look.at_s, look.own, list(look.workers)) == (7.0, (0, 1, 6, 0), [1])
    told = look.workers[1]
    assert (told.pid, told.uptime_s) == (101, 0.5)
    assert dict(zip(OF_WORKERS, told.counted, strict=False)) == {
        "accepts": 40,
        "out": 20,
        "bytes_out": 6000,
        "refused": 4,
        "requests": 6,
    }
    assert list(told.counted[len(OF_WORKERS) :]) == [0] * 14 + [2]
    assert Counter(map(type, told.counted)) == {float: 20}
