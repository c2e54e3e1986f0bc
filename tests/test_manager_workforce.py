"""The workers as operators see them: their states, and what is not done with them."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from megacomet.errors import PeerError
from megacomet.link import LinkRefused
from megacomet.listeners import PUBLIC, Address, Listeners
from megacomet.manager.places import State
from megacomet.manager.supervisor import Supervisor
from megacomet.manager.workforce import Workforce

from .test_supervisor import FakeProcess, FakeZygote

WORKERS = 3
SAID = {
    "listening": True,
    "connections": {"poll": 1, "sse": 2, "stream": 3, "ws": 4},
    "rows": {"waiting": 1, "streaming": 9, "idle": 5},
    "cpu_s": 1.5,
    "cpu_share": 0.25,
    "lag_s": 0.001,
    "uptime_s": 60.0,
    "drain": None,
}


class FakeLink:
    """A link whose worker answers when the test says so."""

    def __init__(self) -> None:
        self.counts: dict[str, Any] = dict(SAID)
        self.asked: list[int] = []
        self.answer: Deferred[None] | None = None
        self.error: Exception | None = None
        self.left = 7

    @property
    def is_drained(self) -> bool:
        return bool(self.counts.get("drain"))

    async def drain(self, per_s: int) -> None:
        self.asked.append(per_s)
        if self.answer is not None:
            await self.answer
        if self.error is not None:
            raise self.error
        self.counts["drain"] = {"per_s": per_s, "left": self.left} if per_s else None


class FakeLinks:
    """All links."""

    def __init__(self) -> None:
        self.those: dict[int, FakeLink] = {}

    def of(self, number: int) -> FakeLink | None:
        return self.those.get(number)


class WorkforceTests(SynchronousTestCase):
    """A real supervisor with processes and links that the test controls."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.sockets: list[socket.socket] = []
        self.processes: dict[int, FakeProcess] = {}
        self.supervisor = Supervisor(
            self.clock,
            WORKERS,
            open_process=self.open_process,
            shut=lambda number: None,
            all_up=lambda: None,
        )
        self.supervisor.zygote = FakeZygote()
        self.links = FakeLinks()
        self.told: list[tuple[str, dict[str, object]]] = []
        self.listeners = Listeners([self.address("http://[::]:80", 0, 1, 2)])
        self.workforce = Workforce(
            self,  # type: ignore[arg-type]
            self.listeners,
            lambda name, **data: self.told.append((name, data)),
            self.clock.seconds,
        )
        self.supervisor.zygote_up({n: 100 + n for n in range(WORKERS)})
        for n in range(WORKERS):
            self.up(n, 100 + n)

    def tearDown(self) -> None:
        for listener in self.sockets:
            listener.close()
        for call in self.clock.getDelayedCalls():
            call.cancel()

    def address(self, label: str, *numbers: int) -> Address:
        self.sockets += [socket.socket() for _ in numbers]
        return Address(label, PUBLIC, False, dict(zip(numbers, self.sockets[-len(numbers) :], strict=True)))

    def open_process(self, pid: int) -> FakeProcess:
        self.processes[pid] = FakeProcess(pid)
        return self.processes[pid]

    def memory_of(self, now: float) -> Mapping[int, int]:
        return {100 + n: 7_000_000 for n in range(WORKERS)}

    def up(self, number: int, pid: int) -> None:
        self.links.those[number] = FakeLink()
        self.supervisor.worker_up(number, pid)

    def drain(self, number: int, per_s: int = 50) -> str:
        return self.successResultOf(Deferred.fromCoroutine(self.workforce.drain(number, per_s)))

    def undrain(self, number: int) -> str:
        return self.successResultOf(Deferred.fromCoroutine(self.workforce.undrain(number)))

    def refused(self, asked: Any) -> str:
        failure = self.failureResultOf(Deferred.fromCoroutine(asked), PeerError)
        error = failure.value
        assert isinstance(error, PeerError)
        return f"{error.code}: {error.detail}"

    def states(self) -> list[str]:
        return [info.state for info in self.workforce.look()]

    # -- look

    def test_a_worker_that_is_up(self) -> None:
        """What supervision, the worker itself and the system know of it, in one."""
        info = self.workforce.look()[1]
        self.assertEqual((info.worker, info.state, info.pid), (1, "up", 101))
        self.assertEqual((info.connections, info.open), (SAID["connections"], 15))
        self.assertEqual((info.memory_bytes, info.cpu_s, info.cpu_share), (7_000_000, 1.5, 0.25))
        self.assertEqual((info.lag_s, info.uptime_s), (0.001, 60.0))
        self.assertEqual((info.restarts, info.last_end, info.drain), (0, None, None))

    def test_memory_that_is_known(self) -> None:
        """Who has measured it already has nothing measured; of a process that is not in it nothing is known."""
        self.memory_of = None  # type: ignore[assignment]
        found = self.workforce.look({101: 5})
        self.assertEqual([info.memory_bytes for info in found], [None, 5, None])

    def test_before_its_first_beat(self) -> None:
        """It is up, and has said nothing yet."""
        self.links.those[0].counts = {}
        info = self.workforce.look()[0]
        self.assertEqual((info.state, info.connections, info.open, info.lag_s), ("up", None, None, None))

    def test_all_states(self) -> None:
        """From its end to its successor's link, and without a link."""
        del self.links.those[0]
        self.supervisor.worker_down(0)
        self.assertEqual(self.states()[0], "unlinked")
        self.supervisor.exited(0, 100, -9)
        info = self.workforce.look()[0]
        self.assertEqual((info.state, info.pid, info.memory_bytes), ("starting", None, None))
        self.assertEqual((info.restarts, info.last_end), (1, "it was ended by SIGKILL"))
        self.supervisor.forked(0, 200)
        self.assertEqual(self.states()[0], "starting")
        self.supervisor.exited(0, 200, 1)
        self.assertEqual(self.supervisor.places[0].state, State.EMPTY)
        self.assertEqual(self.states()[0], "down")
        self.assertEqual(self.states()[1:], ["up", "up"])

    # -- restart

    def test_restart(self) -> None:
        """It is restarting until it has gone; whoever asks again is told so."""
        self.assertEqual(self.workforce.restart(1), "restarting")
        self.assertEqual(self.states(), ["up", "restarting", "up"])
        with self.assertRaisesRegex(PeerError, "conflict: worker 1 is restarting"):
            self.workforce.restart(1)
        self.supervisor.exited(1, 101, 0)
        with self.assertRaisesRegex(PeerError, "conflict: worker 1 is starting"):
            self.workforce.restart(1)
        self.up(1, 201)
        self.assertEqual(self.states(), ["up", "up", "up"])

    def test_a_signal_from_elsewhere(self) -> None:
        """A worker that says it listens no more is about to go, whoever has asked it; it is not counted on."""
        for number in (1, 2):
            self.links.those[number].counts["listening"] = False
        self.assertEqual(self.states(), ["up", "restarting", "restarting"])
        self.assertIn("no other worker listens", self.refused(self.workforce.drain(0, 9)))

    def test_a_drained_worker_is_restarted(self) -> None:
        """Its successor is an ordinary one."""
        self.drain(1)
        self.assertEqual(self.workforce.restart(1), "restarting")
        self.supervisor.exited(1, 101, 0)
        self.up(1, 201)
        self.assertEqual(self.states()[1], "up")

    def test_nobody_there(self) -> None:
        """There are no others than those."""
        for number in (-1, 3, 1000):
            with self.assertRaisesRegex(PeerError, "not-found: there are the workers 0 to 2"):
                self.workforce.restart(number)
            self.assertIn("not-found", self.refused(self.workforce.drain(number, 1)))
            self.assertIn("not-found", self.refused(self.workforce.undrain(number)))

    # -- drain

    def test_drain_and_undo(self) -> None:
        """It is draining while somebody is left, then drained, then up again."""
        self.assertEqual(self.drain(1), "draining")
        self.assertEqual(self.workforce.look()[1].drain, {"per_s": 50, "left": 7})
        self.links.those[1].counts["drain"]["left"] = 0
        self.assertEqual(self.states()[1], "drained")
        self.assertEqual(self.undrain(1), "up")
        self.assertEqual(self.links.those[1].asked, [50, 0])
        self.assertEqual(self.told, [("worker-drain", {"worker": 1, "per_s": 50}), ("worker-undrain", {"worker": 1})])

    def test_already_so(self) -> None:
        """A drained worker is not drained, and one that is up is not taken back."""
        self.drain(1)
        self.assertEqual(self.refused(self.workforce.drain(1, 9)), "conflict: worker 1 is draining")
        self.assertEqual(self.refused(self.workforce.undrain(0)), "conflict: worker 0 is up")

    def test_somebody_must_listen(self) -> None:
        """The last one who listens is not drained, whatever the others are."""
        self.drain(1)
        self.workforce.restart(2)
        self.assertEqual(
            self.refused(self.workforce.drain(0, 9)),
            "conflict: no other worker listens at http://[::]:80: clients would find nobody",
        )
        self.undrain(1)
        self.assertEqual(self.drain(0), "draining")

    def test_at_each_address(self) -> None:
        """A UNIX socket that two workers share needs one of them."""
        self.listeners.addresses.append(self.address("unix:/x", 0, 1))
        self.drain(0)
        self.assertIn("at unix:/x", self.refused(self.workforce.drain(1, 9)))
        self.assertEqual(self.drain(2), "draining")

    def test_two_at_once(self) -> None:
        """Two that are asked in the same moment do not leave the address to nobody."""
        self.drain(2)
        self.links.those[0].answer = Deferred()
        first = Deferred.fromCoroutine(self.workforce.drain(0, 9))
        self.assertIn("no other worker listens", self.refused(self.workforce.drain(1, 9)))
        self.assertIn("conflict", self.refused(self.workforce.drain(0, 9)))
        self.links.those[0].answer.callback(None)
        self.assertEqual(self.successResultOf(first), "draining")

    def test_a_worker_that_cannot(self) -> None:
        """One that ends, or is lost on the way, is a conflict, and may be asked again."""
        for error in (LinkRefused("it is ending"), ConnectionLost()):
            self.links.those[0].error = error
            self.assertIn("conflict: worker 0 is not to be had", self.refused(self.workforce.drain(0, 9)))
        self.links.those[0].error = None
        self.assertEqual(self.drain(0), "draining")
        self.assertEqual([name for name, _ in self.told], ["worker-drain"])

    def test_without_a_link(self) -> None:
        """Nobody can be asked."""
        del self.links.those[0]
        self.supervisor.worker_down(0)
        self.assertEqual(self.refused(self.workforce.drain(0, 9)), "conflict: worker 0 is unlinked")
