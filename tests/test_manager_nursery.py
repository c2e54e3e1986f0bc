"""The manager and its zygote: what is asked, what is passed on, and how a zygote that is lost is replaced."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from typing import Any

from twisted.internet.error import ConnectionDone, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from megacomet.listeners import Listeners
from megacomet.manager.nursery import Control, Nursery
from megacomet.manager.processes import open_process
from megacomet.manager.supervisor import BACK_OFF_S, REAP_S
from megacomet.zygote import Birth

BIRTH = Birth("us", "{}", "/nowhere", "c0ffee", [], 0, 2)


class Reactor(MemoryReactorClock):
    """Spawns a process that does nothing, and remembers what the zygote would have been given."""

    def __init__(self) -> None:
        super().__init__()
        self.spawned: list[dict[str, Any]] = []
        self.running: list[subprocess.Popen[bytes]] = []
        self.broken = False

    def spawnProcess(self, protocol: Any, executable: str, args: Any, env: Any, childFDs: Mapping[int, int]) -> Any:
        if self.broken:
            raise OSError("no memory")
        birth = os.pread(childFDs[0], 65_536, 0)
        self.spawned.append(
            {"protocol": protocol, "args": args, "env": env, "birth": json.loads(birth), "fds": childFDs}
        )
        self.running.append(subprocess.Popen(["cat"], stdin=subprocess.PIPE))
        return self.running[-1]

    def end_all(self) -> None:
        for one in self.running:
            one.kill()
            one.wait()
            assert one.stdin is not None
            one.stdin.close()


class Family:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def zygote_up(self, workers: Mapping[int, int]) -> None:
        self.told.append(("up", dict(workers)))

    def zygote_down(self) -> None:
        self.told.append(("down",))

    def forked(self, number: int, pid: int) -> None:
        self.told.append(("forked", number, pid))

    def failed(self, number: int, why: str) -> None:
        self.told.append(("failed", number, why))

    def exited(self, number: int, pid: int, code: int) -> None:
        self.told.append(("exited", number, pid, code))


class NurseryTests(SynchronousTestCase):
    """A nursery whose zygote is played by the test."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "zygote.sock")
        self.reactor = Reactor()
        self.addCleanup(self.reactor.end_all)
        self.family = Family()
        self.nursery = Nursery(self.reactor, BIRTH, Listeners([]), self.path, lambda: os.open(os.devnull, os.O_WRONLY))
        self.nursery.family = self.family

    def connects(self) -> tuple[Control, StringTransport]:
        """The zygote accepts the connection."""
        path, factory, *_ = self.reactor.unixClients[-1]
        self.assertEqual(path, self.path)
        control = factory.buildProtocol(None)
        transport = StringTransport()
        control.makeConnection(transport)
        return control, transport

    def says(self, control: Control, **event: Any) -> None:
        control.dataReceived(json.dumps(event).encode() + b"\n")

    def up(self, pid: int = 0, workers: Mapping[str, int] | None = None) -> tuple[Control, StringTransport]:
        """The zygote is there and says so."""
        control, transport = self.connects()
        self.assertEqual(asked(transport), [{"op": "supervise"}])
        pid = pid or self.reactor.running[-1].pid
        self.says(control, event="hello", pid=pid, workers=workers or {})
        return control, transport

    def dies(self) -> None:
        """The zygote's process ends, and its pidfd tells."""
        one = self.reactor.running[-1]
        one.kill()
        one.wait()
        for reader in self.reactor.getReaders():
            reader.doRead()

    def test_birth(self) -> None:
        """The zygote is started with no secret in its arguments or environment."""
        self.nursery.start(running=False)
        spawned = self.reactor.spawned[0]
        self.assertEqual(spawned["args"][1:], ["-P", "-m", "megacomet.worker"])
        self.assertEqual(spawned["birth"]["nonce"], "c0ffee")
        self.assertNotIn("c0ffee", json.dumps([spawned["args"], spawned["env"]]))
        self.assertNotIn("MEGACOMET_API_KEY", spawned["env"])
        self.assertEqual(sorted(spawned["fds"]), [0, 1, 2, 3])
        self.assertFalse(self.nursery.up)
        self.assertEqual(self.nursery.pid, self.reactor.running[-1].pid)

    def test_what_it_tells(self) -> None:
        """Requests reach the zygote, and what it tells reaches the supervisor."""
        self.nursery.start(running=False)
        self.nursery.fork(0)  # nobody listens yet
        control, transport = self.up()
        self.assertTrue(self.nursery.up)
        self.nursery.fork(1)
        self.assertEqual(asked(transport), [{"op": "fork", "worker": 1}])
        self.says(control, event="forked", worker=1, pid=77)
        self.says(control, event="failed", worker=0, why="no memory")
        self.says(control, event="exited", worker=1, pid=77, code=-9)
        self.says(control, event="error", why="a bug")
        self.assertEqual(
            self.family.told, [("up", {}), ("forked", 1, 77), ("failed", 0, "no memory"), ("exited", 1, 77, -9)]
        )

    def test_a_zygote_that_dies(self) -> None:
        """The next one is spawned at once, then after ever longer pauses."""
        self.nursery.start(running=False)
        for count, pause in enumerate(BACK_OFF_S[:4], 1):
            control, _ = self.up()
            self.dies()
            control.connectionLost(Failure(ConnectionDone()))
            self.assertEqual(self.family.told.pop(), ("down",))
            self.assertFalse(self.nursery.up)
            self.reactor.advance(pause)
            self.assertEqual(len(self.reactor.spawned), count + 1)
            self.assertEqual((self.nursery.restarts, self.nursery.pid), (count, self.reactor.running[-1].pid))

    def test_its_connection_ends_first(self) -> None:
        """Whichever is noticed first, its connection's end or its own, there is one successor."""
        self.nursery.start(running=False)
        control, _ = self.up()
        self.reactor.running[-1].kill()
        self.reactor.running[-1].wait()
        control.connectionLost(Failure(ConnectionDone()))
        self.dies()
        self.reactor.advance(BACK_OFF_S[1])
        self.assertEqual(len(self.reactor.spawned), 2)
        self.assertEqual(self.family.told.count(("down",)), 1)

    def test_a_zygote_that_hangs_up(self) -> None:
        """One that lives and does not listen is killed."""
        self.nursery.start(running=False)
        control, _ = self.up()
        control.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.reactor.running[-1].wait(), -signal.SIGKILL)
        self.assertFalse(self.nursery.up)

    def test_no_zygote_can_be_made(self) -> None:
        """When the system has no room for one, it is tried again."""
        self.nursery.start(running=False)
        self.up()
        self.reactor.broken = True
        self.dies()
        self.reactor.advance(BACK_OFF_S[0])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.reactor.broken = False
        self.reactor.advance(BACK_OFF_S[1])
        self.assertEqual(len(self.reactor.spawned), 2)

    def test_a_zygote_of_another_manager(self) -> None:
        """One that runs already is spoken to, not spawned; when it has gone, one is spawned."""
        self.reactor.running.append(subprocess.Popen(["cat"], stdin=subprocess.PIPE))
        self.nursery.start(running=True)
        self.up(workers={"1": 55})
        self.assertEqual(self.family.told, [("up", {1: 55})])
        self.assertEqual(self.reactor.spawned, [])
        self.dies()
        self.reactor.advance(0)
        self.assertEqual(len(self.reactor.spawned), 1)

    def test_a_zygote_of_another_manager_that_is_gone(self) -> None:
        """One that cannot be reached any more is replaced."""
        self.nursery.start(running=True)
        _, factory, *_ = self.reactor.unixClients[-1]
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
        self.reactor.advance(0)
        self.assertEqual(len(self.reactor.spawned), 1)

    def test_stop(self) -> None:
        """At the end the zygote is asked to go, and it is told when it is gone."""
        self.nursery.start(running=False)
        _, transport = self.up()
        ended = self.nursery.stop()
        self.assertEqual(asked(transport), [{"op": "end"}])
        self.assertNoResult(ended)
        self.dies()
        self.successResultOf(ended)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(len(self.reactor.spawned), 1)

    def test_stop_of_one_that_does_not_go(self) -> None:
        """One that does not go is killed."""
        self.nursery.start(running=False)
        self.up()
        self.nursery.stop()
        self.reactor.advance(REAP_S)
        self.assertEqual(self.reactor.running[-1].wait(), -signal.SIGKILL)

    def test_stop_before_it_came(self) -> None:
        """One that still imports is killed; and where there is none, there is nothing to wait for."""
        self.nursery.start(running=False)
        ended = self.nursery.stop()
        self.dies()
        self.successResultOf(ended)

    def test_stop_between_two(self) -> None:
        """A zygote that would have been spawned is not."""
        self.nursery.start(running=False)
        self.up()
        self.dies()
        self.successResultOf(self.nursery.stop())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_how_it_ended_is_logged(self) -> None:
        """Its exit is told to the operator, unless it was asked for."""
        self.nursery.start(running=False)
        self.reactor.spawned[0]["protocol"].processEnded(Failure(ProcessTerminated(signal=9)))
        self.nursery.stop()


def asked(transport: StringTransport) -> list[dict[str, Any]]:
    """What the zygote was asked since the last look."""
    lines = transport.value().splitlines()
    transport.clear()
    return [json.loads(line) for line in lines]


class ProcessTests(SynchronousTestCase):
    """Processes that are held by pidfds."""

    def test_a_process(self) -> None:
        """Its end is told once, and signals to what is gone are nothing."""
        reactor = MemoryReactorClock()
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as one:
            held = open_process(reactor, one.pid)
            assert held is not None
            ends: list[bool] = []
            held.watch(lambda: ends.append(True))
            self.assertEqual(reactor.getReaders(), [held])
            self.assertFalse(held.has_ended())
            held.send(signal.SIGKILL)
            self.assertEqual(one.wait(), -9)
        self.assertTrue(held.has_ended())
        held.send(signal.SIGKILL)
        held.doRead()
        held.send(signal.SIGKILL)
        held.close()
        self.assertTrue(held.has_ended())
        self.assertEqual(ends, [True])
        self.assertEqual(reactor.getReaders(), [])
        self.assertIsNone(open_process(reactor, one.pid))
