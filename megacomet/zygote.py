"""The zygote: a process that has imported all that a worker needs, and forks workers on request.

Theory of operation. It has no reactor and no thread, so a fork of it is whole; what it has imported is shared by all
workers (`collector.freeze` keeps them from touching those pages). It waits in `poll` for its control socket, for
connections to it and for the pidfds of its workers. The manager supervises it over one connection, in JSON lines:

    {"op": "supervise"}           -> {"event": "hello", "pid", "birth", "nonce", "workers": {"3": pid}}, then the events
    {"op": "fork", "worker": 3}   -> {"event": "forked", "worker": 3, "pid"} or {"event": "failed", "worker": 3, "why"}
                                     {"event": "exited", "worker": 3, "pid", "code"}      code: -9 for SIGKILL
    {"op": "listeners"}           -> {"event": "listeners", "layout", "count"}, and the descriptors by SCM_RIGHTS
    {"op": "report"}              -> {"event": "report", "pid", "reactor", "threads", "workers", "supervised", ...}
    {"op": "retire"}              workers are asked to go (SIGTERM), then killed; then the zygote ends
    {"op": "end"}                 workers are killed; then the zygote ends

It lives as long as its workers, with or without a manager, and obeys the next manager. While there is none it shuts the
listeners of a worker that died, and it ends when the last one has. SIGINT, SIGHUP and SIGTERM mean the manager, or the
workers, and are ignored.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, Final

import attrs

from megacomet import collector, merging
from megacomet.forking import fork, sigterm
from megacomet.listeners import Listener, Listeners
from megacomet.proctitle import set_title
from megacomet.settings import Settings, from_json

#: Where the birth document and the control socket are in a new zygote; the listeners follow the control socket.
BIRTH_FD: Final = 0
CONTROL_FD: Final = 3
#: SCM_RIGHTS carries at most 253 descriptors a message.
FDS_A_MESSAGE: Final = 128
#: A zygote that nobody has ever supervised ends after that time: its manager died before it came.
UNWANTED_S: Final = 30
#: A request is a short line; more without an end is no request of ours.
REQUEST_MAX_BYTES: Final = 65_536

#: Workers are so much nicer than the manager, which all of them wait for: where more runs than the cores can carry
#: (fifty workers on two cores, while a million clients come in) equal shares would leave the manager too little. Ten
#: steps are a ninth of its share.
NICER: Final = 10

_PEER: Final = struct.Struct("3i")


@attrs.frozen
class Birth:
    """What a zygote is told at its birth, and hands to the workers.

    Attributes:
        identity: what its workers were made from (version, settings, addresses): another manager compares it.
        settings: the JSON of the settings, without the API key.
        link_path: UNIX socket where the workers find the manager.
        nonce: what a worker shows there.
        layout: of the listeners, see `Listeners.pack`.
        descriptors: how many descriptors follow the control socket.
        workers: how many workers the server has.
    """

    identity: str
    settings: str
    link_path: str
    nonce: str
    layout: list[dict[str, Any]]
    descriptors: int
    workers: int

    def to_json(self) -> str:
        """Pack it for `BIRTH_FD`; it holds the nonce, so it never goes into arguments or the environment."""
        return json.dumps(attrs.asdict(self))


#: Runs the worker of a number on its listeners until it ends; returns its exit status.
Run = Callable[[int, list[Listener]], int]
#: Builds, before the first fork, what all workers are forks of.
Prepare = Callable[[Birth, Settings], Run]


class Zygote:
    """Forks workers, tells of their ends. See the module for the protocol."""

    def __init__(
        self, birth: Birth, settings: Settings, control: socket.socket, listeners: Listeners, run: Run
    ) -> None:
        self._birth = birth
        self._control = control
        self._listeners = listeners
        self._run = run
        self._stop_s = settings.stop_s
        self._poll = select.poll()
        self._peers: dict[int, _Peer] = {}
        self._pids: dict[int, int] = {}  # worker number -> pid
        self._pidfds: dict[int, int] = {}  # pidfd -> worker number
        self._supervisor: _Peer | None = None
        self._was_supervised = False
        self._kill_at = 0.0  # monotonic; 0: nobody is to be killed
        self._ending = False
        self._born = time.monotonic()

    def serve(self) -> None:
        """Work until there is nothing left to do."""
        self._control.setblocking(False)
        self._poll.register(self._control, select.POLLIN)
        while not self._done():
            for fd, _ in self._poll.poll(self._patience_ms()):
                self._turn(fd)
            if self._kill_at and time.monotonic() >= self._kill_at:
                self._kill_at = 0.0
                self._signal_all(signal.SIGKILL)

    def _done(self) -> bool:
        if self._pids:
            return False
        lonely = self._supervisor is None
        waited = time.monotonic() - self._born >= UNWANTED_S
        return self._ending or (lonely and (self._was_supervised or waited))

    def _patience_ms(self) -> int | None:
        """How long to wait for an event; None: until there is one."""
        until = self._kill_at or (0.0 if self._was_supervised else self._born + UNWANTED_S)
        return max(0, int((until - time.monotonic()) * 1000) + 1) if until else None

    def _turn(self, fd: int) -> None:
        if fd == self._control.fileno():
            self._accept()
        elif fd in self._pidfds:
            self._reap(fd)
        elif fd in self._peers:
            self._hear(self._peers[fd])

    # The control socket

    def _accept(self) -> None:
        try:
            connection, _ = self._control.accept()
        except OSError:
            return
        _, uid, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        if uid not in (0, os.geteuid()):
            connection.close()
            return
        # Answers are short and fit into the socket's buffer; a manager that does not read is no manager.
        connection.settimeout(1.0)
        self._peers[connection.fileno()] = _Peer(connection)
        self._poll.register(connection, select.POLLIN)

    def _hear(self, peer: _Peer) -> None:
        try:
            data = peer.connection.recv(REQUEST_MAX_BYTES)
        except OSError:
            data = b""
        peer.unread += data
        *lines, peer.unread = peer.unread.split(b"\n")
        if not data or len(peer.unread) > REQUEST_MAX_BYTES:
            self._drop(peer)
            return
        for line in lines:
            try:
                self._obey(peer, json.loads(line))
            except (ValueError, KeyError, TypeError) as e:
                self._tell(peer, {"event": "error", "why": f"{type(e).__name__}: {e}"})

    def _drop(self, peer: _Peer) -> None:
        if self._peers.pop(peer.connection.fileno(), None) is None:
            return
        self._poll.unregister(peer.connection)
        peer.connection.close()
        if peer is self._supervisor:
            self._supervisor = None

    def _tell(self, peer: _Peer | None, event: dict[str, Any]) -> None:
        if peer is None:
            return
        try:
            peer.connection.sendall(json.dumps(event).encode() + b"\n")
        except OSError:
            self._drop(peer)

    def _obey(self, peer: _Peer, request: dict[str, Any]) -> None:
        op = request["op"]
        if op == "fork":
            self._fork(int(request["worker"]))
        elif op == "supervise":
            self._supervisor, self._was_supervised = peer, True
            self._tell(peer, {"event": "hello", **self._about()})
        elif op == "report":
            self._tell(peer, {"event": "report", **self._about(), **_inside()})
        elif op == "listeners":
            self._hand_over(peer)
        elif op == "retire":
            self._ending, self._kill_at = True, time.monotonic() + self._stop_s
            self._signal_all(signal.SIGTERM)
        elif op == "end":
            self._ending = True
            self._signal_all(signal.SIGKILL)
        else:
            raise ValueError(f"no such request: {op}")

    def _about(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "birth": self._birth.identity,
            "nonce": self._birth.nonce,
            "workers": {str(number): pid for number, pid in self._pids.items()},
            "supervised": self._supervisor is not None,
        }

    def _hand_over(self, peer: _Peer) -> None:
        """Give copies of all listeners to a new manager."""
        layout, descriptors = self._listeners.pack()
        self._tell(peer, {"event": "listeners", "layout": layout, "count": len(descriptors)})
        for at in range(0, len(descriptors), FDS_A_MESSAGE):
            try:
                socket.send_fds(peer.connection, [b"+"], descriptors[at : at + FDS_A_MESSAGE])
            except OSError:
                self._drop(peer)
                return

    # Workers

    def _fork(self, number: int) -> None:
        if number in self._pids:
            self._tell(self._supervisor, {"event": "forked", "worker": number, "pid": self._pids[number]})
            return
        if self._ending:
            return
        sys.stdout.flush()
        sys.stderr.flush()
        listeners, closed = self._listeners.of(number), self._not_for(number)
        try:
            pid = fork()
        except OSError as e:
            self._tell(self._supervisor, {"event": "failed", "worker": number, "why": f"fork: {e.strerror}"})
            return
        if pid == 0:
            self._become(number, listeners, closed)  # does not return
        pidfd = os.pidfd_open(pid)
        self._pids[number], self._pidfds[pidfd] = pid, number
        self._poll.register(pidfd, select.POLLIN)
        self._tell(self._supervisor, {"event": "forked", "worker": number, "pid": pid})

    def _not_for(self, number: int) -> list[int]:
        """Return the descriptors that a worker is not to have."""
        peers = [peer.connection.fileno() for peer in self._peers.values()]
        return [self._control.fileno(), *peers, *self._pidfds, *self._listeners.descriptors_of_others(number)]

    def _become(self, number: int, listeners: list[Listener], closed: list[int]) -> None:
        """Be the worker; the stack of the zygote below is never returned to, and what it holds never used again."""
        status = 70
        try:
            sigterm.then = sigterm.end
            for fd in closed:
                os.close(fd)
            set_title(f"worker {number}")
            gc.enable()
            status = self._run(number, listeners)
        except SystemExit as e:
            status = e.code if isinstance(e.code, int) else 1
        except BaseException:
            with contextlib.suppress(OSError):
                traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _reap(self, pidfd: int) -> None:
        number = self._pidfds.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        pid = self._pids.pop(number)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if self._supervisor is None:
            # Nobody will replace it soon: the kernel must not queue clients there.
            self._listeners.shut(number)
        self._tell(self._supervisor, {"event": "exited", "worker": number, "pid": pid, "code": code})

    def _signal_all(self, number: signal.Signals) -> None:
        for pidfd in self._pidfds:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, number)


class _Peer:
    """A connection to the control socket, and what came without its end of line."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.unread = b""


def _inside() -> dict[str, Any]:
    files = _open_files()
    return {
        "reactor": "twisted.internet.reactor" in sys.modules,
        "epolls": sum("eventpoll" in name for name in files.values()),
        "threads": threading.active_count(),
        "modules": sorted(sys.modules),
        "descriptors": sorted(files),
    }


def _open_files() -> dict[int, str]:
    files = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # one of them was the directory that has just been read
            files[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    return files


def main(prepare: Prepare) -> None:
    """Be a zygote: read the birth document, serve, end. All that workers need has been imported by the caller."""
    gc.disable()
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sigterm.install()
    set_title("zygote")
    merging.agree()
    os.nice(NICER)
    faulthandler.enable(2)
    with open(BIRTH_FD, "rb", closefd=False) as file:
        birth = Birth(**json.loads(file.read()))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, BIRTH_FD)
    first = CONTROL_FD + 1
    _close_all_but({0, 1, 2, CONTROL_FD, *range(first, first + birth.descriptors)})
    listeners = Listeners.unpack(birth.layout, range(first, first + birth.descriptors))
    settings = from_json(birth.settings)
    zygote = Zygote(birth, settings, socket.socket(fileno=CONTROL_FD), listeners, prepare(birth, settings))
    collector.freeze()
    zygote.serve()


def _close_all_but(kept: set[int]) -> None:
    for fd in _open_files():
        if fd not in kept:
            with contextlib.suppress(OSError):
                os.close(fd)
