"""SIGHUP: what it means to the manager, and how it is sent to the one of a state directory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.trial.unittest import SynchronousTestCase

from megacomet.hangup import Hangup, hang_up
from tests.strangers import Stranger


class FakeReactor:
    """Does at its next turn what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []
        self.stopped = False

    def callFromThread(self, call: Callable[[], None]) -> None:
        """Take a call."""
        self.calls.append(call)

    def stop(self) -> None:
        """Stop."""
        self.stopped = True

    def turn(self) -> None:
        """Do what was asked for."""
        while self.calls:
            self.calls.pop()()


class HangupTests(SynchronousTestCase):
    """The manager's side, with the signal itself."""

    def setUp(self) -> None:
        """Have the signal as a fresh process has it."""
        self.reactor: Any = FakeReactor()
        self.hangup = Hangup(self.reactor, lambda: None)
        self.reloads = 0
        self.addCleanup(signal.signal, signal.SIGHUP, signal.signal(signal.SIGHUP, signal.SIG_DFL))

    def reload(self) -> None:
        """Count."""
        self.reloads += 1

    def send(self) -> None:
        """Send the signal, and let the reactor turn."""
        signal.raise_signal(signal.SIGHUP)
        self.reactor.turn()

    def terminal(self) -> int:
        """Stand in a terminal; return the end by which it can be closed."""
        ours, theirs = os.openpty()
        self.addCleanup(os.close, theirs)
        self.hangup = Hangup(self.reactor, lambda: theirs)
        return ours

    def test_it_is_read_again(self) -> None:
        """Each signal has everything read again, in the reactor's turn and not in the middle of another."""
        self.hangup.reload = self.reload
        self.hangup.listen()
        signal.raise_signal(signal.SIGHUP)
        assert self.reloads == 0
        self.reactor.turn()
        self.send()
        assert self.reloads == 2

    def test_too_early(self) -> None:
        """A signal during the start does not end the server."""
        self.hangup.listen()
        self.send()
        assert not self.reactor.stopped

    def test_a_failure(self) -> None:
        """An error of ours is logged, and the next signal is obeyed."""
        self.hangup.reload = lambda: [][0]
        self.hangup.listen()
        self.send()
        assert len(self.flushLoggedErrors(IndexError)) == 1
        self.hangup.reload = self.reload
        self.send()
        assert self.reloads == 1

    def test_a_terminal_that_is_closed(self) -> None:
        """A server in the foreground ends with its terminal, and not before."""
        ours = self.terminal()
        self.hangup.reload = self.reload
        self.hangup.listen()
        self.send()
        assert (self.reloads, self.reactor.stopped) == (1, False)
        os.close(ours)
        self.send()
        assert (self.reloads, self.reactor.stopped) == (1, True)

    def test_nohup(self) -> None:
        """Who was started with nohup outlives the terminal."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        ours = self.terminal()
        self.hangup.listen()
        os.close(ours)
        self.send()
        assert not self.reactor.stopped


@pytest.mark.parametrize(("stream", "found"), [(0, "0"), (2, "2"), (None, "None")])
def test_whose_terminal(stream: int | None, found: str) -> None:
    """Whoever leads the session of a terminal is in its foreground, whichever of their streams it is."""
    code = (
        "import fcntl, os, sys, termios; from megacomet.hangup import foreground_terminal; os.setsid();"
        "[fcntl.ioctl(int(fd), termios.TIOCSCTTY, 0) for fd in sys.argv[1:]];"
        "os.write(1, str(foreground_terminal()).encode())"
    )
    ours, theirs = os.openpty()
    try:
        streams: dict[str, Any] = {"stdin": theirs if stream == 0 else subprocess.DEVNULL}
        streams["stderr"] = theirs if stream == 2 else subprocess.DEVNULL
        arguments = [] if stream is None else [str(stream)]
        done = subprocess.run([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, check=True, **streams)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.stdout.decode() == found


def test_the_terminal_of_another_session() -> None:
    """A terminal that is only written to does not take its writer with it."""
    code = (
        "import os; from megacomet.hangup import foreground_terminal; os.setsid();"
        "os.write(1, str((foreground_terminal(), os.isatty(0))).encode())"
    )
    ours, theirs = os.openpty()
    try:
        done = subprocess.run([sys.executable, "-c", code], stdin=theirs, stdout=subprocess.PIPE, check=True)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.stdout == b"(None, True)"


# -- the other side


def test_a_manager_is_told(tmp_path: Path) -> None:
    """The process whose number is in the lock gets the signal."""
    with Stranger("megacomet: manager") as manager:
        (tmp_path / "lock").write_text(f"{manager.pid}\n")
        assert hang_up(str(tmp_path)) == manager.pid
        assert manager.line() == "told"


def test_a_stranger_is_left_alone(tmp_path: Path) -> None:
    """Whoever has the number of a server that is gone gets no signal, which would end them."""
    with Stranger("megacomet: worker 1") as stranger:
        (tmp_path / "lock").write_text(f"{stranger.pid}\n")
        assert hang_up(str(tmp_path)) is None
        os.kill(stranger.pid, signal.SIGHUP)
        assert stranger.line() == "told"
        os.kill(stranger.pid, signal.SIGKILL)
        assert stranger.line() == ""


@pytest.mark.parametrize("lock", [None, "", "x\n", "0\n", "-1\n", "4194305\n"])
def test_nobody_to_tell(tmp_path: Path, lock: str | None) -> None:
    """Without a lock, with an empty one and with one whose process is gone there is no server."""
    if lock is not None:
        (tmp_path / "lock").write_text(lock)
    assert hang_up(str(tmp_path)) is None


def test_it_cannot_be_known(tmp_path: Path) -> None:
    """When the lock cannot be read, nobody says that there is no server."""
    (tmp_path / "lock").mkdir()
    with pytest.raises(IsADirectoryError):
        hang_up(str(tmp_path))
