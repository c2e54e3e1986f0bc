"""What happens to a worker's place when its process, its link or the zygote is lost."""

from __future__ import annotations

import signal
from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from megacomet.manager.supervisor import BACK_OFF_S, LINK_S, SHUT_S, STABLE_S, Supervisor


class FakeProcess:
    """A process that the test ends."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.signals: list[signal.Signals] = []
        self.gone: Callable[[], None] | None = None
        self.closed = False

    def send(self, number: signal.Signals) -> None:
        self.signals.append(number)

    def watch(self, gone: Callable[[], None]) -> None:
        self.gone = gone

    def close(self) -> None:
        self.closed = True


class FakeZygote:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.up = True
        self.pid = 99
        self.restarts = 0
        self.asked: list[int] = []
        self.killed: list[str] = []

    def fork(self, number: int) -> None:
        self.asked.append(number)

    def kill(self, why: str) -> None:
        self.killed.append(why)


class SupervisorTests(SynchronousTestCase):
    """Two places, a zygote and processes that the test controls."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.processes: dict[int, FakeProcess] = {}
        self.missing: set[int] = set()
        self.shut: list[int] = []
        self.times_up = 0
        self.told: list[tuple[str, dict[str, object]]] = []
        self.supervisor = Supervisor(
            self.clock,
            2,
            open_process=self.open_process,
            shut=self.shut.append,
            all_up=self.all_up,
            tell=lambda name, **data: self.told.append((name, data)),
        )
        self.zygote = FakeZygote()
        self.supervisor.zygote = self.zygote
        self.next_pid = 100

    def all_up(self) -> None:
        self.times_up += 1

    def open_process(self, pid: int) -> FakeProcess | None:
        if pid in self.missing:
            return None
        self.processes[pid] = FakeProcess(pid)
        return self.processes[pid]

    def forks(self, number: int) -> int:
        """The zygote forks what it was asked for last."""
        self.next_pid += 1
        self.assertEqual(self.zygote.asked.pop(), number)
        self.supervisor.forked(number, self.next_pid)
        return self.next_pid

    def starts(self) -> list[int]:
        """Both workers come up."""
        self.supervisor.zygote_up({})
        self.assertEqual(self.zygote.asked, [0, 1])
        pids = [self.forks(1), self.forks(0)][::-1]
        for number, pid in enumerate(pids):
            self.supervisor.worker_up(number, pid)
        return pids

    def test_start(self) -> None:
        """Every place gets a worker, and it is told once all of them have their links."""
        self.starts()
        self.assertEqual(self.times_up, 1)
        self.assertTrue(self.supervisor.is_complete)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing_is_asked_before_the_zygote_listens(self) -> None:
        """A zygote that still imports is asked when it is there."""
        self.zygote.up = False
        pids = self.supervisor.states
        self.assertEqual(pids, [("empty", 0), ("empty", 0)])
        self.zygote.up = True
        self.supervisor.zygote_up({})
        self.assertEqual(self.zygote.asked, [0, 1])
        self.supervisor.zygote_down()

    def test_a_killed_worker_is_replaced_at_once(self) -> None:
        """After kill -9 its number is forked again without a pause, and its listeners stay open."""
        pids = self.starts()
        self.supervisor.exited(1, pids[1], -9)
        pid = self.forks(1)
        self.supervisor.worker_up(1, pid)
        self.clock.advance(SHUT_S * 2)
        self.assertEqual(self.shut, [])
        self.assertEqual(self.times_up, 2)
        self.assertTrue(self.processes[pids[1]].closed)

    def test_back_off(self) -> None:
        """A worker that keeps dying comes back after ever longer pauses, and after the longest one again and again."""
        self.starts()
        for pause in [*BACK_OFF_S, BACK_OFF_S[-1], BACK_OFF_S[-1]]:
            pid = self.supervisor.states[0][1]
            self.supervisor.exited(0, pid, 1)
            if pause:
                self.clock.advance(pause - 0.001)
                self.assertEqual(self.zygote.asked, [])
                self.clock.advance(0.002)
            self.forks(0)
        self.supervisor.worker_up(0, self.supervisor.states[0][1])

    def test_back_off_starts_anew(self) -> None:
        """A worker that has lived a minute is replaced at once, whatever was before."""
        self.starts()
        for _ in range(4):
            self.supervisor.exited(0, self.supervisor.states[0][1], 1)
            self.clock.advance(BACK_OFF_S[-1])
            self.forks(0)
            self.supervisor.worker_up(0, self.supervisor.states[0][1])
        self.clock.advance(STABLE_S)
        self.supervisor.exited(0, self.supervisor.states[0][1], 1)
        self.forks(0)
        self.supervisor.worker_up(0, self.supervisor.states[0][1])

    def test_listeners_are_shut_when_nobody_comes(self) -> None:
        """A second after a worker died without a successor, its clients go to the others."""
        self.starts()
        self.supervisor.exited(0, self.supervisor.states[0][1], 1)
        pid = self.forks(0)
        self.clock.advance(SHUT_S - 0.001)
        self.assertEqual(self.shut, [])
        self.clock.advance(0.001)
        self.assertEqual(self.shut, [0])
        self.supervisor.worker_up(0, pid)

    def test_the_link_may_be_quicker_than_the_zygote(self) -> None:
        """A worker whose link stands before the zygote told of it is the same worker."""
        self.supervisor.zygote_up({})
        self.supervisor.worker_up(0, 100)
        self.supervisor.worker_up(1, 101)
        self.supervisor.forked(0, 100)
        self.supervisor.forked(1, 101)
        self.assertEqual(self.supervisor.states, [("linked", 100), ("linked", 101)])

    def test_no_fork(self) -> None:
        """When the zygote cannot fork, it is asked again with back-off."""
        self.starts()
        self.supervisor.exited(0, self.supervisor.states[0][1], 1)
        self.zygote.asked.clear()
        self.supervisor.failed(0, "fork: no memory")
        self.clock.advance(BACK_OFF_S[1])
        self.supervisor.worker_up(0, self.forks(0))

    def test_a_zygote_that_does_not_answer(self) -> None:
        """A zygote that does not fork in time is ended; the next one is asked for everything that is missing."""
        self.supervisor.zygote_up({})
        self.forks(1)
        self.supervisor.worker_up(1, 101)
        self.clock.advance(LINK_S)
        self.assertEqual(len(self.zygote.killed), 1)
        self.zygote.asked.clear()
        self.supervisor.zygote_down()
        self.supervisor.zygote_up({})
        self.supervisor.worker_up(0, self.forks(0))

    def test_a_worker_without_a_link_is_killed(self) -> None:
        """A worker that does not dial, or whose link is lost for ten seconds, is killed and replaced."""
        pids = self.starts()
        self.supervisor.worker_down(0)
        self.clock.advance(LINK_S - 1)
        self.assertEqual(self.processes[pids[0]].signals, [])
        self.clock.advance(1)
        self.assertEqual(self.processes[pids[0]].signals, [signal.SIGKILL])
        self.supervisor.exited(0, pids[0], -9)
        self.supervisor.worker_up(0, self.forks(0))

    def test_a_worker_that_dials_again_is_left_alone(self) -> None:
        """Link loss is a state, not an end."""
        pids = self.starts()
        self.supervisor.worker_down(0)
        self.clock.advance(LINK_S - 1)
        self.supervisor.worker_up(0, pids[0])
        self.clock.advance(LINK_S)
        self.assertEqual(self.processes[pids[0]].signals, [])

    def test_kill(self) -> None:
        """A worker that the link gives up is killed once, whatever is said of it afterwards."""
        pids = self.starts()
        self.supervisor.kill(1, "was silent for 10 s")
        self.supervisor.kill(1, "was silent for 11 s")
        self.assertEqual(self.processes[pids[1]].signals, [signal.SIGKILL])
        self.supervisor.exited(1, pids[1], -9)
        self.supervisor.kill(1, "nobody is there")
        self.supervisor.worker_up(1, self.forks(1))

    def test_restart(self) -> None:
        """An orderly restart is asked for politely, and counts for no back-off."""
        self.starts()
        for _ in range(5):
            pid = self.supervisor.states[0][1]
            self.assertTrue(self.supervisor.restart(0))
            self.assertFalse(self.supervisor.restart(0), "it ends already")
            self.assertEqual(self.processes[pid].signals, [signal.SIGTERM])
            self.supervisor.worker_down(0)
            self.supervisor.exited(0, pid, 0)
            self.assertFalse(self.supervisor.restart(0))
            self.supervisor.worker_up(0, self.forks(0))
        self.assertEqual(self.supervisor.places[0].restarts, 5)
        self.assertEqual([name for name, _ in self.told[2:]], ["worker-restart", "worker-down", "worker-up"] * 5)

    def test_a_worker_that_is_killed_is_not_restarted(self) -> None:
        """It is beyond being asked."""
        self.starts()
        self.supervisor.kill(0, "was silent for 10 s")
        self.assertFalse(self.supervisor.restart(0))

    def test_what_is_told(self) -> None:
        """Ups, downs with their reasons, and links that are lost and stand again."""
        pids = self.starts()
        self.assertEqual(self.told, [("worker-up", {"worker": n, "pid": pid}) for n, pid in enumerate(pids)])
        del self.told[:]
        self.supervisor.worker_down(1)
        self.supervisor.worker_up(1, pids[1])
        who = {"worker": 1, "pid": pids[1]}
        self.assertEqual(self.told, [("link-lost", who), ("link-up", who)])
        self.supervisor.exited(1, pids[1], -9)
        self.assertEqual(self.told[2:], [("worker-down", {**who, "why": "it was ended by SIGKILL", "again_in_s": 0.0})])
        self.assertEqual(self.supervisor.places[1].last_end, "it was ended by SIGKILL")
        self.supervisor.worker_up(1, self.forks(1))

    def test_workers_outlive_the_zygote(self) -> None:
        """When the zygote dies its workers go on; the next zygote forks only who died since."""
        pids = self.starts()
        self.zygote.up = False
        self.supervisor.zygote_down()
        self.assertEqual(self.supervisor.states, [("linked", pids[0]), ("linked", pids[1])])
        gone = self.processes[pids[0]].gone
        assert gone is not None
        gone()
        self.assertEqual(self.zygote.asked, [])
        self.zygote.up = True
        self.supervisor.zygote_up({})
        self.assertEqual(self.zygote.asked, [0])
        self.supervisor.worker_up(0, self.forks(0))
        # And an orphan that dies later.
        gone = self.processes[pids[1]].gone
        assert gone is not None
        gone()
        self.supervisor.worker_up(1, self.forks(1))

    def test_a_worker_that_died_before_anybody_looked(self) -> None:
        """A worker that is gone when it is told of is replaced, by the zygote's word or at the zygote's end."""
        self.missing = {101, 102}
        self.supervisor.zygote_up({})
        self.forks(1)
        self.forks(0)
        self.supervisor.exited(1, 101, 1)
        self.assertEqual(self.zygote.asked.pop(), 1)
        self.zygote.up = False
        self.supervisor.zygote_down()
        self.zygote.up = True
        self.supervisor.zygote_up({})
        self.assertEqual(sorted(self.zygote.asked), [0, 1])
        self.supervisor.zygote_down()

    def test_workers_of_another_manager(self) -> None:
        """The workers that a zygote has already are taken over, and only those that miss are forked."""
        self.supervisor.zygote_up({1: 555})
        self.assertEqual(self.zygote.asked, [0])
        self.supervisor.worker_up(1, 555)
        self.supervisor.worker_up(0, self.forks(0))
        self.assertEqual(self.times_up, 1)

    def test_stop(self) -> None:
        """After a stop nobody is replaced, and it is told when the last worker has gone."""
        pids = self.starts()
        ended = self.supervisor.stop(10)
        self.supervisor.exited(0, pids[0], 0)
        self.assertNoResult(ended)
        self.supervisor.exited(1, pids[1], 0)
        self.successResultOf(ended)
        self.assertEqual(self.zygote.asked, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_is_bounded(self) -> None:
        """A worker that does not go is killed when its time is over; one without a link is asked by a signal."""
        pids = self.starts()
        self.supervisor.worker_down(1)
        ended = self.supervisor.stop(10)
        self.assertEqual(self.processes[pids[1]].signals, [signal.SIGTERM])
        self.assertEqual(self.processes[pids[0]].signals, [])
        self.clock.advance(10)
        self.assertEqual(self.processes[pids[0]].signals, [signal.SIGKILL])
        self.assertEqual(self.processes[pids[1]].signals, [signal.SIGTERM, signal.SIGKILL])
        self.clock.advance(60)
        self.successResultOf(ended)

    def test_stop_before_anything_runs(self) -> None:
        """A stop during the start has nothing to wait for."""
        self.successResultOf(self.supervisor.stop(10))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_forked_while_stopping(self) -> None:
        """A worker that was asked for before the stop and comes after it is ended."""
        self.supervisor.zygote_up({})
        self.successResultOf(self.supervisor.stop(10))
        self.supervisor.forked(0, 100)
        self.assertEqual(self.processes[100].signals, [signal.SIGKILL])

    def test_stop_with_orphans(self) -> None:
        """Workers whose zygote is gone are waited for as well."""
        pids = self.starts()
        self.supervisor.zygote_down()
        ended = self.supervisor.stop(10)
        for pid in pids:
            gone = self.processes[pid].gone
            assert gone is not None
            gone()
        self.successResultOf(ended)
