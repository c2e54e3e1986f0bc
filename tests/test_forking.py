"""What is made before a fork: epoll sets and a reactor of which each process gets its own."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from megacomet.forking import LateEpoll

#: A process makes a reactor, and two forks of it use it: each tells what it saw.
TWO_FORKS = """
import json, os, sys
from megacomet.forking import LateReactor

late = LateReactor()
assert "twisted.internet.reactor" not in sys.modules
before = [os.readlink(f"/proc/self/fd/{fd}") for fd in range(64) if os.path.lexists(f"/proc/self/fd/{fd}")]
for number in range(2):
    read, write = os.pipe()
    if os.fork() == 0:
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
        reactor.run(installSignalHandlers=False)
        os.write(write, json.dumps(told).encode())
        os._exit(0)
    os.close(write)
    print(os.read(read, 65536).decode())
    assert os.wait()[1] == 0
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
