"""The zygote as the manager sees it: spawned, spoken with, and spawned anew when it dies.

Another manager's zygote is taken over as it is: only the way to it differs. The protocol is in `megacomet.zygote`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ClientFactory, ProcessProtocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

import megacomet
from megacomet.listeners import Listeners
from megacomet.manager.processes import Process, open_process
from megacomet.manager.supervisor import BACK_OFF_S, REAP_S, STABLE_S
from megacomet.zygote import BIRTH_FD, CONTROL_FD, Birth

#: What becomes the zygote: imports all that a worker needs, then runs `megacomet.zygote.main`.
WORKER_MODULE: Final = "megacomet.worker"


class IFamily(Protocol):
    """Who wants to know what happens to workers: `megacomet.manager.supervisor.Supervisor`."""

    def zygote_up(self, workers: Mapping[int, int]) -> None: ...
    def zygote_down(self) -> None: ...
    def forked(self, number: int, pid: int) -> None: ...
    def failed(self, number: int, why: str) -> None: ...
    def exited(self, number: int, pid: int, code: int) -> None: ...


class Control(LineOnlyReceiver):
    """The connection to the zygote."""

    delimiter = b"\n"

    def __init__(self, nursery: Nursery) -> None:
        self._nursery = nursery

    def connectionMade(self) -> None:
        self._nursery.connected(self)
        self.ask("supervise")

    def ask(self, op: str, **more: object) -> None:
        """Send a request."""
        self.sendLine(json.dumps({"op": op, **more}).encode())

    def lineReceived(self, line: bytes) -> None:
        self._nursery.told(self, json.loads(line))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._nursery.lost(self)


class _ControlFactory(ClientFactory):
    noisy = False

    def __init__(self, nursery: Nursery) -> None:
        self._nursery = nursery

    def buildProtocol(self, addr: object) -> Control:
        return Control(self._nursery)

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self._nursery.lost(None)


class _Spawned(ProcessProtocol):
    """Only there so that the reactor reaps the zygote and we learn how it ended."""

    def __init__(self, ended: Callable[[Failure], None]) -> None:
        self._ended = ended

    def processEnded(self, reason: Failure) -> None:
        self._ended(reason)


class Nursery:
    """Keeps one zygote, and passes on what it tells; see `megacomet.manager.places.IZygote`."""

    _log = Logger()

    def __init__(
        self, reactor: Any, birth: Birth, listeners: Listeners, control_path: str, log_fd: Callable[[], int]
    ) -> None:
        """
        Args:
            reactor: spawns, connects, waits.
            birth: what a new zygote is told.
            listeners: what it is given.
            control_path: where it is reached.
            log_fd: gives a descriptor for its output, which is ours to close.
        """
        self.family: IFamily | None = None
        self.restarts = 0
        self._reactor = reactor
        self._birth = birth
        self._listeners = listeners
        self._path = control_path
        self._log_fd = log_fd
        self._control: Control | None = None
        self._process: Process | None = None
        self._born = 0.0
        self._deaths = 0
        self._again: IDelayedCall | None = None
        self._timer: IDelayedCall | None = None
        self._ended: Deferred[None] | None = None
        self._stopping = False
        self._announced = False

    @property
    def up(self) -> bool:
        """Whether requests reach a zygote."""
        return self._announced and self._control is not None

    @property
    def pid(self) -> int:
        """The zygote's process, 0 when there is none."""
        return self._process.pid if self._process is not None else 0

    def start(self, running: bool) -> None:
        """Begin.

        Args:
            running: a zygote that suits us waits at the control socket.
        """
        if running:
            self._connect()
        else:
            self._spawn()

    # -- requests

    def fork(self, number: int) -> None:
        """Ask for a worker."""
        if self._control is not None:
            self._control.ask("fork", worker=number)

    def kill(self, why: str) -> None:
        """End a zygote that does not answer."""
        if self._process is not None:
            self._log.error("the zygote (process {pid}) {why}: killed", pid=self._process.pid, why=why)
            self._process.send(signal.SIGKILL)

    def stop(self) -> Deferred[None]:
        """End the zygote, and with it whatever worker there still is. Fires when it is gone."""
        self._stopping = True
        ended = self._ended = Deferred()
        if self._again is not None and self._again.active():
            self._again.cancel()
        if self._process is None:
            self._end()
        elif self._control is not None and self.up:
            self._control.ask("end")
            self._timer = self._reactor.callLater(REAP_S, self.kill, f"did not end within {REAP_S:.0f} s")
        else:
            self._process.send(signal.SIGKILL)  # it has not come to listen to us
        return ended

    # -- the process

    def _spawn(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        _, descriptors = self._listeners.pack()
        with contextlib.ExitStack() as ours:
            control = ours.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            control.bind(self._path)
            control.listen(16)
            birth = os.memfd_create("birth")
            ours.callback(os.close, birth)
            os.write(birth, self._birth.to_json().encode())
            os.lseek(birth, 0, os.SEEK_SET)
            log = self._log_fd()
            ours.callback(os.close, log)
            theirs = {BIRTH_FD: birth, 1: log, 2: log, CONTROL_FD: control.fileno()}
            theirs.update(enumerate(descriptors, CONTROL_FD + 1))
            spawned = self._reactor.spawnProcess(
                _Spawned(self._reaped),
                sys.executable,
                [sys.executable, "-P", "-m", WORKER_MODULE],
                env=_environment(),
                childFDs=theirs,
            )
        self._hold(spawned.pid)
        self._connect()

    def _hold(self, pid: int) -> None:
        self._born = self._reactor.seconds()
        self._process = open_process(self._reactor, pid)
        if self._process is not None:
            self._process.watch(self._gone)

    def _reaped(self, reason: Failure) -> None:
        if not self._stopping:
            self._log.error("the zygote is gone: {why}", why=reason.getErrorMessage())

    def _connect(self) -> None:
        self._reactor.connectUNIX(self._path, _ControlFactory(self))

    # -- what happens to it

    def told(self, control: Control, event: dict[str, Any]) -> None:
        """The zygote says something."""
        family = self.family
        assert family is not None
        kind = event["event"]
        if kind == "hello":
            if self._process is None or self._process.pid != event["pid"]:
                self._hold(event["pid"])
            self._announced = True
            family.zygote_up({int(number): pid for number, pid in event["workers"].items()})
        elif kind == "forked":
            family.forked(event["worker"], event["pid"])
        elif kind == "failed":
            family.failed(event["worker"], event["why"])
        elif kind == "exited":
            family.exited(event["worker"], event["pid"], event["code"])
        else:
            self._log.error("the zygote says {event}", event=event)

    def connected(self, control: Control) -> None:
        """The connection to the zygote stands."""
        self._control = control

    def lost(self, control: Control | None) -> None:
        """The connection to the zygote ended, or did not come about: there is no use for that zygote any more."""
        if control is not self._control:
            return  # of one that is gone
        self._control = None
        if self._process is None:
            self._gone()
        elif not self._stopping and not self._process.has_ended():
            self.kill("does not listen to us")

    def _gone(self) -> None:
        """The zygote's process ended."""
        self._control = self._process = None
        if self._announced:
            self._announced = False
            if self.family is not None:
                self.family.zygote_down()
        if self._stopping:
            self._end()
            return
        lived = self._reactor.seconds() - self._born
        self._deaths = 1 if lived >= STABLE_S else self._deaths + 1
        pause = BACK_OFF_S[min(self._deaths - 1, len(BACK_OFF_S) - 1)]
        self._again = self._reactor.callLater(pause, self._spawn_again)

    def _spawn_again(self) -> None:
        self._again = None
        try:
            self._spawn()
            self.restarts += 1
        except Exception:
            self._log.failure("no zygote can be made")
            self._gone()

    def _end(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._ended is not None:
            ended, self._ended = self._ended, None
            ended.callback(None)


def _environment() -> dict[str, str]:
    """Return the environment of the zygote: ours without the API's key, and the way to this package."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(megacomet.__file__)))
    paths = [here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    kept = {name: value for name, value in os.environ.items() if name != "MEGACOMET_API_KEY"}
    return {**kept, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
