"""What is made before a fork: epoll sets and a reactor of which each process gets its own."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from megacomet import forking
from megacomet.forking import LateEpoll, LateReactor, Reactor

#: A process makes a reactor, and two forks of it use it: each tells what it saw.
TWO_FORKS = """
import json, os, sys
from megacomet.forking import LateReactor, fork

late = LateReactor()
assert "twisted.internet.reactor" not in sys.modules
before = [os.readlink(f"/proc/self/fd/{fd}") for fd in range(64) if os.path.lexists(f"/proc/self/fd/{fd}")]
for number in range(2):
    read, write = os.pipe()
    if fork() == 0:
        late.install()
        from twisted.internet import reactor
        told = {"same": reactor is late.reactor, "before": before, "woken": False}

        def woken():
            told["woken"] = True
            told["readers"] = len(reactor.getReaders())
            reactor.stop()

        # Only the waker ends this wait: there is no other event for a minute.
        reactor.callLater(60, os._exit, 1)
        reactor.callWhenRunning(reactor.callInThread, reactor.callFromThread, woken)
        late.run()
        os.write(write, json.dumps(told).encode())
        os._exit(0)
    os.close(write)
    print(os.read(read, 65536).decode())
    assert os.wait()[1] == 0
"""

#: A process with one thread: how its forks end, and what they write.
FORKS = """
import json, os, random, signal
from megacomet.forking import fork, sigterm

def forked(call):
    read, write = os.pipe()
    pid = fork()
    if pid == 0:
        os.dup2(write, 1)
        try:
            call()
        finally:
            os._exit(7)
    os.close(write)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), os.read(read, 100).decode()

def draws():
    os.write(1, f"{os.getpid()} {random.random()}".encode())

def ignores():
    sigterm.install()
    signal.raise_signal(signal.SIGTERM)
    os.write(1, b"here")

def ends():
    ignores()
    sigterm.then = sigterm.end
    signal.raise_signal(signal.SIGTERM)
    os.write(1, b" still")

def obeys():
    ignores()
    sigterm.then = lambda: os.write(1, b" called")
    signal.raise_signal(signal.SIGTERM)

random.seed(1)
told = {call.__name__: forked(call) for call in (ignores, ends, obeys)}
told["draws"] = [forked(draws), forked(draws), (7, f"{os.getpid()} {random.random()}")]
print(json.dumps(told))
"""


@pytest.fixture
def epoll() -> Iterator[select.epoll]:
    """An epoll set."""
    epoll = select.epoll()
    yield epoll
    epoll.close()


def test_a_place_without_a_set(epoll: select.epoll) -> None:
    """Before it is opened nothing can be registered, and it is no epoll set that a fork would share."""
    late = LateEpoll(epoll)
    assert os.readlink(f"/proc/self/fd/{epoll.fileno()}") == os.devnull
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(OSError, match="Invalid argument"):
            epoll.register(ours, select.EPOLLIN)
        late.open()
        epoll.register(ours, select.EPOLLIN)
        theirs.send(b"x")
        assert epoll.poll(0) == [(ours.fileno(), select.EPOLLIN)]


def test_each_opening_is_a_set_of_its_own(epoll: select.epoll) -> None:
    """What was registered before is not in a set that is opened anew, and no descriptor is left over."""
    late = LateEpoll(epoll)
    late.open()
    files = set(os.listdir("/proc/self/fd"))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        epoll.register(ours, select.EPOLLIN)
        late.open()
        theirs.send(b"x")
        assert epoll.poll(0) == []
    assert set(os.listdir("/proc/self/fd")) == files
    assert not os.get_inheritable(epoll.fileno())


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    """A reactor that does not run."""
    reactor = Reactor()
    yield reactor
    for waker in reactor._internalReaders:
        waker.connectionLost(Failure(ConnectionDone()))
    reactor._poller.close()


class Count(FileDescriptor):
    """A reader of a semaphore that takes one."""

    def __init__(self, fd: int, reactor: Reactor) -> None:
        super().__init__(reactor)
        self._fd = fd
        self.taken = 0

    def fileno(self) -> int:
        return self._fd

    def doRead(self) -> None:
        os.eventfd_read(self._fd)
        self.taken += 1


@pytest.fixture
def semaphore() -> Iterator[int]:
    """An eventfd(2) that counts."""
    fd = os.eventfd(0, os.EFD_SEMAPHORE | os.EFD_NONBLOCK)
    yield fd
    os.close(fd)


def test_whether_something_waits(reactor: Reactor, semaphore: int) -> None:
    """What is ready is seen without being served, as long as somebody reads it."""
    reader = Count(semaphore, reactor)
    assert not reactor.is_anything_waiting()
    os.eventfd_write(semaphore, 1)
    assert not reactor.is_anything_waiting()
    reactor.add_exclusive_reader(reader)
    assert reactor.is_anything_waiting()
    assert reactor.is_anything_waiting()
    reactor.doIteration(0)
    assert reader.taken == 1
    assert not reactor.is_anything_waiting()
    os.eventfd_write(semaphore, 1)
    reactor.removeReader(reader)
    assert not reactor.is_anything_waiting()
    assert reader not in reactor.getReaders()


def test_one_of_those_that_sleep_is_woken(reactor: Reactor, semaphore: int) -> None:
    """The kernel is told so, in the only way that it takes (epoll_ctl(2), EPOLLEXCLUSIVE): when it is added."""
    reader = Count(semaphore, reactor)
    reactor.addReader(reader)
    assert not told_of(reactor, semaphore) & select.EPOLLEXCLUSIVE
    reactor.removeReader(reader)
    reactor.add_exclusive_reader(reader)
    assert told_of(reactor, semaphore) & (select.EPOLLEXCLUSIVE | select.EPOLLIN) == (
        select.EPOLLEXCLUSIVE | select.EPOLLIN
    )


def told_of(reactor: Reactor, fd: int) -> int:
    """Return the events that the kernel watches a descriptor for."""
    with open(f"/proc/self/fdinfo/{reactor._poller.fileno()}") as lines:
        (events,) = (line.split()[3] for line in lines if line.startswith("tfd:") and int(line.split()[1]) == fd)
    return int(events, 16)


def test_a_reactor_for_each_fork() -> None:
    """Forks install the reactor that was made before them, each with an epoll set and a waker of its own.

    It pins what `LateReactor` does to Twisted's inside: without a waker the second fork would never end.
    """
    done = subprocess.run([sys.executable, "-c", TWO_FORKS], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        told = json.loads(line)
        assert told.pop("before").count("anon_inode:[eventpoll]") == 0
        assert told == {"same": True, "woken": True, "readers": 1}
    assert len(done.stdout.splitlines()) == 2


@pytest.fixture(scope="module")
def forks() -> dict[str, Any]:
    """What `FORKS` tells."""
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_fork(forks: dict[str, Any]) -> None:
    """Children are other processes, and draw other random numbers than their parent and each other."""
    assert [code for code, _ in forks["draws"]] == [7, 7, 7]
    pids, numbers = zip(*(text.split() for _, text in forks["draws"]), strict=True)
    assert len(set(pids)) == len(set(numbers)) == 3


def test_sigterm(forks: dict[str, Any]) -> None:
    """A process that has the handler ignores SIGTERM; a fork ends by it, or does what it says."""
    assert forks["ignores"] == [7, "here"]
    assert forks["ends"] == [-signal.SIGTERM, "here"]
    assert forks["obeys"] == [7, "here called"]


def test_no_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is none, the reason is told."""

    def refused() -> int:
        ctypes.set_errno(errno.EAGAIN)
        return -1

    monkeypatch.setattr(forking, "_libc_fork", refused)
    with pytest.raises(BlockingIOError, match="Resource temporarily unavailable"):
        forking.fork()


def test_a_reactor_that_is_closed_leaves_no_descriptor() -> None:
    """Neither the epoll set's place nor those of the waker."""
    before = os.listdir("/proc/self/fd")
    late = LateReactor()
    late.open()
    late.close()
    assert os.listdir("/proc/self/fd") == before
