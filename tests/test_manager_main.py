"""What the manager's parts need of one another: sums of what workers tell, connections given back, memory."""

from __future__ import annotations

import os
import subprocess
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from megacomet.link import LinkRefused
from megacomet.manager.main import Manager, ask_all


class FakeLink:
    """A worker's link."""

    def __init__(self, number: int, counts: dict[str, object] | None = None, error: Exception | None = None) -> None:
        self.number = number
        self.counts = counts or {}
        self.is_drained = False
        self.error = error
        self.back: list[tuple[int, bytes]] = []
        self.stopped = 0

    async def give_back(self, fd: int, unread: bytes) -> None:
        self.back.append((fd, unread))

    async def stop(self) -> None:
        self.stopped += 1
        if self.error is not None:
            raise self.error


class FakeLinks:
    """All links."""

    workers = 3
    ready = True

    def __init__(self, *links: FakeLink) -> None:
        self._links = links

    def all(self) -> list[FakeLink]:
        return list(self._links)

    def of(self, number: int) -> FakeLink | None:
        return next((link for link in self._links if link.number == number), None)


class FakeZygote:
    """A zygote, as far as its memory goes."""

    def __init__(self, pid: int) -> None:
        self.pid = pid


class FakeSupervisor:
    """Remembers what it was told."""

    zygote: Any = None

    def __init__(self, *pids: int) -> None:
        self.states = [("linked", pid) for pid in pids]
        self.told: list[tuple[Any, ...]] = []

    def worker_up(self, number: int, pid: int) -> None:
        self.told.append(("up", number, pid))

    def worker_down(self, number: int) -> None:
        self.told.append(("down", number))

    def kill(self, number: int, why: str) -> None:
        self.told.append(("kill", number, why))


class FakeAdoption:
    """Takes every connection, and gives it back when the test says so."""

    def adopt(self, fd: int, head: bytes, peer: bytes, give_back: Any) -> None:
        self.taken = (fd, head, peer)
        self.give_back = give_back


def manager_with(*links: FakeLink, pids: tuple[int, ...] = ()) -> Any:
    """A manager on fakes."""
    manager: Any = Manager()
    manager.links = FakeLinks(*links)
    manager.supervisor = FakeSupervisor(*pids)
    manager.adoption = FakeAdoption()
    return manager


class ManagerTests(SynchronousTestCase):
    """The manager's role on fakes of its parts."""

    def test_what_links_tell(self) -> None:
        """Links that come and go, and workers beyond help, are the supervisor's business."""
        manager = manager_with()
        manager.worker_up(1, 55)
        manager.worker_down(1)
        manager.kill(1, "was silent")
        self.assertEqual(manager.supervisor.told, [("up", 1, 55), ("down", 1), ("kill", 1, "was silent")])
        self.assertTrue(manager.ready)
        self.assertEqual(manager.workers, 3)

    def test_sums(self) -> None:
        """The server's numbers are the sums of its workers'; one that has told nothing yet counts as nothing."""
        told: dict[str, object] = {"connections": {"poll": 2, "sse": 1}}
        manager = manager_with(FakeLink(0, told), FakeLink(1, told), FakeLink(2))
        self.assertEqual(manager.connections(), {"poll": 4, "sse": 2, "stream": 0, "ws": 0})

    def test_giving_back(self) -> None:
        """A connection goes back to the worker it came from, to another when that one is gone or drained."""
        one, two = FakeLink(1), FakeLink(2)
        manager = manager_with(one, two)
        self.successResultOf(Deferred.fromCoroutine(manager.adopt(2, 9, b"GET", b"")))
        self.assertEqual(manager.adoption.taken, (9, b"GET", b""))
        self.successResultOf(manager.adoption.give_back(10, b"more"))
        self.assertEqual(two.back, [(10, b"more")])
        manager.links = FakeLinks(one)
        self.successResultOf(manager.adoption.give_back(11, b""))
        self.assertEqual(one.back, [(11, b"")])
        manager.links = FakeLinks(one, two)
        one.is_drained = True
        self.successResultOf(Deferred.fromCoroutine(manager.adopt(1, 9, b"GET", b"")))
        self.successResultOf(manager.adoption.give_back(12, b""))
        self.assertEqual(two.back[1:], [(12, b"")])
        two.is_drained = True
        self.successResultOf(manager.adoption.give_back(13, b""))
        self.assertEqual(one.back[1:], [(13, b"")])
        manager.links = FakeLinks()
        self.failureResultOf(manager.adoption.give_back(12, b""), LinkRefused)

    def test_asking_all_to_stop(self) -> None:
        """Every worker is asked, whatever becomes of the others."""
        links = [FakeLink(0), FakeLink(1, error=LinkRefused("busy")), FakeLink(2)]
        failed: list[int] = []
        fakes: Any = FakeLinks(*links)
        self.successResultOf(Deferred.fromCoroutine(ask_all(fakes, lambda number, _: failed.append(number))))
        self.assertEqual([link.stopped for link in links], [1, 1, 1])
        self.assertEqual(failed, [1])

    def test_memory(self) -> None:
        """Memory is told for manager, zygote and workers; a process that is gone has none."""
        with subprocess.Popen(["sleep", "60"]) as worker:
            self.addCleanup(worker.kill)
            manager = manager_with(pids=(worker.pid, 0))
            memory = manager.memory(100)
            self.assertEqual(manager.memory_of(100), {os.getpid(): memory["manager"], worker.pid: memory["workers"]})
            self.assertEqual(memory["zygote"], 0)
            manager.supervisor = FakeSupervisor()
            manager.supervisor.zygote = FakeZygote(worker.pid)
            self.assertEqual(manager.memory_of(100)[worker.pid], memory["workers"])
            self.assertGreater(manager.memory(101)["zygote"], 10_000)
            worker.kill()
        self.assertGreater(memory["manager"], 1_000_000)
        self.assertGreater(memory["workers"], 10_000)
        memory = manager.memory(102)
        self.assertIs(manager.memory(102.9), memory)  # whoever asks all the time costs no more
        self.assertIsNot(manager.memory(103), memory)
