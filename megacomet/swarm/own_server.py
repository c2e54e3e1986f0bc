"""Owns the server that a whole run starts: from its free port to the removal of its folder, however the run ends.

A process of its own keeps it, in a session of its own: it starts the server, tells when that is ready, and ends it when
the pipe from the run ends, which the kernel sees to even when the run is killed. Whatever descends from the server is
this process' in the end (it is their subreaper), so nothing stays behind; and should this process be killed, the kernel
tells the server to stop.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import random
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

import megacomet
from megacomet.settings import PREFIX
from megacomet.swarm import pipes

HOST: Final = "127.0.0.1"
#: A start imports for half a second on an idle machine; 250 workers are forked in some seconds more.
READY_S: Final = 60.0
#: The server's own bound for an orderly stop is 10 s; a million connections are closed meanwhile.
STOP_S: Final = 30.0
_LOOK_S: Final = 0.05
#: Short, since the paths of its sockets are: where they fit into no folder of this name, they fit nowhere.
_FOLDER_PREFIX: Final = "megacomet-"
#: In the folder of a run, locked for as long as somebody keeps it.
_KEPT: Final = "kept"
#: The server's own lock on its state directory.
_LOCK: Final = "lock"
#: Of the log, told when the server did not start or died.
_LOG_BYTES: Final = 2000
#: linux/prctl.h
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_prctl: Final = ctypes.CDLL(None, use_errno=True).prctl
_TWISTD: Final = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"


@attrs.frozen
class ServerPlan:
    """What server is wanted.

    Attributes:
        workers: how many.
        port: on the loopback; whoever asks has seen that it is free.
    """

    workers: int
    port: int


def free_port(port: int, first: int) -> int:
    """Return a port of the loopback that nobody uses.

    Args:
        port: the one that is wanted; 0: any, below those that the kernel gives to clients.
        first: of those.

    Raises:
        OSError: it is taken, or not ours to take.
    """
    for _ in range(100 if not port else 0):
        tried = random.randrange(max(1024, first - 12_000), max(1025, first))
        with contextlib.suppress(OSError), socket.create_server((HOST, tried)):
            return tried
    with socket.create_server((HOST, port)) as probe:
        return int(probe.getsockname()[1])


def command(*options: str) -> list[str]:
    """Return the command of a server of this installation, which does not daemonize; `options` are megacomet's."""
    return [sys.executable, "-c", _TWISTD, "--nodaemon", "--pidfile=", "megacomet", *options]


def environment(state_dir: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of such a server: of this code, with a state directory, and no settings of others.

    What it makes elsewhere, for want of room in the path of a socket, stands in the state directory and goes with it.
    """
    rest = {name: value for name, value in environ.items() if not name.startswith(PREFIX)}
    code = str(Path(megacomet.__file__).parents[1])
    path = os.pathsep.join([code, *filter(None, [environ.get("PYTHONPATH", "")])])
    return {**rest, f"{PREFIX}STATE_DIR": state_dir, "PYTHONPATH": path, "TMPDIR": state_dir}


def keep_server(plan: ServerPlan, commands: int, reports: int) -> None:
    """What the process does that keeps the server; see `pipes` for both descriptors.

    It tells an object each time: `folder`, `pid`; with `key` when the server is ready; with `trouble` when it has ended
    without being told to, or was not ready in time.
    """
    os.setsid()
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    remove_stale(tempfile.gettempdir())
    folder = tempfile.mkdtemp(prefix=_FOLDER_PREFIX)
    kept = keep(folder)
    try:
        told: dict[str, Any] = {"folder": folder}
        pipes.send(reports, told)
        process = _started(plan, folder)
        try:
            told["pid"] = process.pid
            pipes.send(reports, told)
            told |= _until_ready(process, folder, commands)
            pipes.send(reports, told)
            if "key" in told:
                told |= _until_told(process, folder, commands)
                pipes.send(reports, told)
            while os.read(commands, 1):
                pass
        finally:
            _end(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(kept)
    pipes.send(reports, {"final": True, **told})


def keep(folder: str) -> int:
    """Mark a folder as kept by this process, however that ends; returns the descriptor that does it."""
    beginning = os.path.join(folder, f"{_KEPT}.new")
    descriptor = os.open(beginning, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.rename(beginning, os.path.join(folder, _KEPT))  # with this name it is locked, or nobody's
    return descriptor


def remove_stale(temporary: str) -> None:
    """Remove the folders of runs that were killed together with the keeper of their server."""
    for kept in Path(temporary).glob(f"{_FOLDER_PREFIX}*/{_KEPT}"):
        folder = kept.parent
        with contextlib.suppress(OSError):
            found = folder.lstat()
            ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
            if ours and not any(_is_locked(folder / name) for name in (_KEPT, _LOCK)):
                shutil.rmtree(folder, ignore_errors=True)


def _is_locked(path: Path) -> bool:
    """Tell whether somebody holds the lock of a file; without one nobody does."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _started(plan: ServerPlan, folder: str) -> subprocess.Popen[bytes]:
    keeper = os.getpid()

    def die_with_keeper() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != keeper:
            os._exit(1)

    options = (f"--port={plan.port}", f"--interface={HOST}", f"--workers={plan.workers}")
    with open(f"{folder}/log", "wb") as log:
        return subprocess.Popen(
            command(*options),
            env=environment(folder, os.environ),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=die_with_keeper,
        )


def _until_ready(process: subprocess.Popen[bytes], folder: str, commands: int) -> dict[str, Any]:
    """Wait until the server is ready, has ended, or is wanted no more; returns what there is to tell."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        if process.poll() is not None:
            return {"trouble": _ended(process, folder)}
        if Path(f"{folder}/server.json").exists():  # the server's word that it is ready
            return {"key": Path(f"{folder}/api-key").read_text("ascii").strip()}
        if _is_readable(commands, _LOOK_S):
            return {}
    return {"trouble": f"the server was not ready within {READY_S:.0f} s: {_log(folder)}"}


def _until_told(process: subprocess.Popen[bytes], folder: str, commands: int) -> dict[str, Any]:
    """Wait until the server is wanted no more, or has ended."""
    ended = os.pidfd_open(process.pid)
    try:
        ready = _poll({commands: select.POLLIN, ended: select.POLLIN}, None)
    finally:
        os.close(ended)
    if commands in ready:
        return {}
    process.wait()
    return {"trouble": _ended(process, folder)}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and all that descends from it."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def _ended(process: subprocess.Popen[bytes], folder: str) -> str:
    how = f"with status {process.returncode}" if process.returncode >= 0 else f"by signal {-process.returncode}"
    return f"the server ended {how}: {_log(folder)}"


def _log(folder: str) -> str:
    try:
        text = Path(f"{folder}/log").read_bytes()[-_LOG_BYTES:].decode("utf-8", "replace")
    except OSError:
        return "it has no log"
    return text.strip() or "its log is empty"


def _is_readable(descriptor: int, seconds: float) -> bool:
    return bool(_poll({descriptor: select.POLLIN}, seconds))


def _poll(wanted: Mapping[int, int], seconds: float | None) -> dict[int, int]:
    poll = select.poll()
    for descriptor, events in wanted.items():
        poll.register(descriptor, events)
    return dict(poll.poll(None if seconds is None else seconds * 1000))
