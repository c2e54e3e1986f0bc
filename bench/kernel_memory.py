"""What the kernel takes for a socket that waits, and for a message that nobody has read.

Pairs of sockets on loopback, one end of each watched by epoll as the server does it, over processes of some 16,000
descriptors. What the machine's caches grow by meanwhile is the pairs', and halved: both ends are alike but for epoll.
"""

from __future__ import annotations

import os
import resource
import select
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import measure
from bench.figures import Figure, Options

CLIENTS = 60_000
#: Pairs that a process has.
PAIRS = 7_500
BYTES = 100
#: The caches of what a socket that waits consists of.
CACHES = ("TCP", "sock_inode_cache", "dentry", "filp", "eventpoll_epi", "ep_head")


def run(options: Options) -> list[Figure]:
    """Open the pairs, then write to each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    processes = max(1, (options.clients or CLIENTS) // PAIRS)
    pairs = processes * PAIRS
    slab, caches, before = _slab_bytes(), _caches_bytes(), measure.machine()
    with _processes(processes) as (readers, writers):
        _next(readers)
        figures = [
            Figure("slab of the kernel for a pair", (_slab_bytes() - slab) / pairs, "B", detail=f"{pairs:,} pairs"),
            Figure("of that the caches of sockets", (_caches_bytes() - caches) / pairs, "B"),
        ]
        for end in writers:
            os.write(end, b"w")
        _next(readers)
        pages = (measure.machine().sockets - before.sockets) / os.sysconf("SC_PAGE_SIZE")
        figures.append(Figure(f"pages of TCP for {BYTES} bytes that nobody reads", pages / pairs, "pages"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return figures


@contextmanager
def _processes(count: int) -> Iterator[tuple[list[int], list[int]]]:
    """Run processes that open pairs; they end when their pipe does."""
    readers, writers, pids = [], [], []
    for number in range(count):
        told, tell = os.pipe()
        asked, ask = os.pipe()
        pid = os.fork()
        if pid == 0:
            for each in (told, ask, *readers, *writers):
                os.close(each)
            _hold(f"127.0.0.{number + 2}", tell, asked)
        os.close(tell)
        os.close(asked)
        readers.append(told)
        writers.append(ask)
        pids.append(pid)
    try:
        yield readers, writers
    finally:
        for end in (*writers, *readers):
            os.close(end)
        for pid in pids:
            os.waitpid(pid, 0)


def _hold(address: str, tell: int, asked: int) -> None:
    """Open pairs, say so; write to each when asked to, say so; end with the pipe."""
    try:
        listener = socket.create_server((address, 0), backlog=4096)
        lot = select.epoll()
        ours, theirs = [], []
        for _ in range(PAIRS):
            theirs.append(socket.create_connection(listener.getsockname()))
            ours.append(listener.accept()[0])
            lot.register(ours[-1], select.EPOLLIN | select.EPOLLRDHUP)
        os.write(tell, b"x")
        if os.read(asked, 1):
            for each in ours:
                each.send(BYTES * b"x")
            os.write(tell, b"x")
            os.read(asked, 1)
    except OSError as e:
        print(f"  a process ended: {e}", file=sys.stderr, flush=True)
    finally:
        os._exit(0)


def _next(readers: list[int]) -> None:
    """Wait until all have said that they are through."""
    for each in readers:
        if not os.read(each, 1):
            raise RuntimeError("a process has ended early")


def _slab_bytes() -> int:
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return int(fields["Slab"].split()[0]) * 1024


def _caches_bytes() -> int:
    """Return what the caches of sockets hold; root alone may ask."""
    total = 0
    for line in Path("/proc/slabinfo").read_text().splitlines()[2:]:
        name, active, _, size, *_ = line.split()
        if name in CACHES:
            total += int(active) * int(size)
    return total
