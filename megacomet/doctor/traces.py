"""Traces of what has run short already: counters of the kernel, and its log.

Counters count from the start of the machine, or of the container's network: what they tell may be long over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import attrs

from megacomet.doctor import groups
from megacomet.doctor.finding import grouped
from megacomet.doctor.queues import softnet
from megacomet.doctor.readings import Files, fields, whole

_DROPPED_DO: Final = (
    "raise net.core.netdev_max_backlog where clients come from this machine or into a container, "
    "else spread packets by RPS"
)
NETSTAT: Final = "proc/net/netstat"
KERNEL_LOG: Final = "kernel log"


@attrs.frozen
class Trace:
    """Something that has run short.

    Attributes:
        where: the counter or the log that tells.
        what: what has happened, in words.
        count: how often, at the least.
        do: what to do about it.
        last: the log's last line about it; "" of a counter.
    """

    where: str
    what: str
    count: int
    do: str
    last: str = ""

    def as_object(self) -> dict[str, Any]:
        """Return what JSON tells of it."""
        return attrs.asdict(self)


#: Of /proc/net/netstat: what is counted, what that means, what to do.
COUNTERS: Final[dict[str, tuple[str, str]]] = {
    "ListenOverflows": (
        "a listener's queue was full and a client had to try again",
        "raise net.core.somaxconn; see whether a worker was late (megacomet status)",
    ),
    "ListenDrops": (
        "a client was dropped at a listener, for a full queue or want of memory",
        "raise net.core.somaxconn, look at the memory",
    ),
    "TCPReqQFullDoCookies": (
        "so many handshakes were under way that SYN cookies were sent",
        "raise net.core.somaxconn, if it was not an attack",
    ),
    "TCPReqQFullDrop": (
        "so many handshakes were under way that a client was dropped",
        "raise net.core.somaxconn, and set net.ipv4.tcp_syncookies to 1",
    ),
    "TCPBacklogDrop": (
        "packets were dropped since a socket was busy and its buffer full",
        "look whether net.ipv4.tcp_rmem was lowered",
    ),
    "TCPMemoryPressures": ("TCP came under memory pressure", "raise net.ipv4.tcp_mem, or lower backlog_bytes"),
    "TCPAbortOnMemory": (
        "connections were cut off for want of TCP memory, or as orphans",
        "raise net.ipv4.tcp_mem; after a stop of the server raise net.ipv4.tcp_max_orphans",
    ),
    "TCPAbortOnTimeout": (
        "connections ended since the other side was silent: clients that vanished, or probes that were dropped",
        "only when many at once: raise net.core.netdev_max_backlog, see the packets dropped",
    ),
    "TCPTimeWaitOverflow": (
        "the table of connections that are over was full, and some were forgotten early",
        "nothing has to be done; net.ipv4.tcp_max_tw_buckets is its size",
    ),
}
#: Of the kernel's log.
LINES: Final[tuple[tuple[re.Pattern[str], str, str], ...]] = (
    (
        re.compile(r"Possible SYN flooding on port \S+"),
        "a listener's handshakes were more than it takes at once",
        "raise net.core.somaxconn, if it was not an attack",
    ),
    (
        re.compile(r"TCP: out of memory -- consider tuning tcp_mem"),
        "TCP had no memory left",
        "raise net.ipv4.tcp_mem",
    ),
    (
        re.compile(r"TCP: too many orphaned sockets"),
        "connections that were closed and not acknowledged were too many, as after a stop",
        "raise net.ipv4.tcp_max_orphans",
    ),
    (
        re.compile(r"TCP: time wait bucket table overflow"),
        "the table of connections that are over was full",
        "nothing has to be done",
    ),
    (
        re.compile(r"VFS: file-max limit \d+ reached"),
        "the system had no descriptors left",
        "raise fs.file-max",
    ),
    (
        re.compile(r"nf_conntrack: (?:nf_conntrack: )?table full"),
        "the firewall's table was full",
        "raise net.netfilter.nf_conntrack_max",
    ),
    (
        re.compile(r"Memory cgroup out of memory"),
        "a control group was out of memory and a process was killed",
        "raise the group's limit, or hold fewer connections",
    ),
    (
        re.compile(r"^(?:\S+: )?Out of memory: Kill"),
        "the machine was out of memory and a process was killed",
        "hold fewer connections, or add memory",
    ),
    (
        re.compile(r"page allocation failure"),
        "the kernel found no memory where it could not wait for any",
        "raise vm.min_free_kbytes",
    ),
)


def find(files: Files, log: Sequence[str] | None, process: str = "self") -> Iterator[Trace]:
    """Yield what has run short.

    Args:
        files: the system's.
        log: messages of the kernel, the oldest first; None: they cannot be read.
        process: whose control groups are looked at.
    """
    yield from _counted(files)
    yield from _packets(files)
    yield from _tcp_now(files)
    yield from _descriptors(files)
    yield from _killed(files, process)
    yield from _logged(log or ())


def netstat(files: Files) -> dict[str, int]:
    """Return the counters of /proc/net/netstat, which has a line of names above each line of numbers."""
    found: dict[str, int] = {}
    lines = (files.text(NETSTAT) or "").splitlines()
    for names, numbers in pairwise(lines):
        group, *keys = names.split() or [""]
        other, *values = numbers.split() or [""]
        if group != other:
            continue
        for key, value in zip(keys, values, strict=False):
            if re.fullmatch(r"-?[0-9]{1,20}", value, re.A):
                found[key] = int(value)
    return found


def _counted(files: Files) -> Iterator[Trace]:
    found = netstat(files)
    for name, (what, do) in COUNTERS.items():
        if found.get(name, 0) > 0:
            yield Trace(f"{name} in /{NETSTAT}", what, found[name], do)


def _packets(files: Files) -> Iterator[Trace]:
    rows = softnet(files) or []
    where = "/proc/net/softnet_stat"
    if dropped := sum(row[1] for row in rows):
        what = f"packets were dropped before a processor had time for them ({_by_processor(rows)})"
        yield Trace(where, what, dropped, _DROPPED_DO)


def _by_processor(rows: Sequence[tuple[int, int, int]]) -> str:
    return ", ".join(f"CPU {n}: {grouped(row[1])}" for n, row in enumerate(rows) if row[1])


def _tcp_now(files: Files) -> Iterator[Trace]:
    """Yield what TCP is short of at this moment."""
    line = fields(files.text("proc/net/sockstat") or "").get("TCP", "").split()
    now = dict(zip(line[::2], line[1::2], strict=False))
    bounds = files.numbers("proc/sys/net/ipv4/tcp_mem", 3)
    pages = whole(now.get("mem"))
    if bounds and pages is not None and pages >= bounds[1]:
        what = f"TCP has {grouped(pages)} pages, and pressure begins at {grouped(bounds[1])}"
        yield Trace("/proc/net/sockstat", what, 1, "raise net.ipv4.tcp_mem, or lower backlog_bytes")
    orphans, most = whole(now.get("orphan")), files.number("proc/sys/net/ipv4/tcp_max_orphans")
    if most and orphans is not None and orphans >= most:
        what = f"{grouped(orphans)} closed connections are not acknowledged, and more are cut off"
        yield Trace("/proc/net/sockstat", what, 1, "raise net.ipv4.tcp_max_orphans")


def _descriptors(files: Files) -> Iterator[Trace]:
    found = files.numbers("proc/sys/fs/file-nr", 3)
    if found and found[2] and found[0] >= 0.95 * found[2]:
        what = f"{grouped(found[0])} of {grouped(found[2])} descriptors of the system are in use"
        yield Trace("/proc/sys/fs/file-nr", what, 1, "raise fs.file-max")


def _killed(files: Files, process: str) -> Iterator[Trace]:
    if killed := whole(fields(files.text("proc/vmstat") or "").get("oom_kill")):
        what = "processes were killed since memory had run out, of the machine or of a control group"
        yield Trace("oom_kill in /proc/vmstat", what, killed, "hold fewer connections, or add memory")
    for group in groups.groups(files, "memory", process):
        name, key = ("memory.events", "max") if group.version == 2 else ("memory.failcnt", "")
        text = files.text(f"{group.path}/{name}") or ""
        if count := whole(fields(text).get(key) if key else text):
            what = "the control group was at its limit of memory"
            yield Trace(f"/{group.path}/{name}", what, count, "raise the limit; what is cached of files counts too")


def _logged(log: Sequence[str]) -> Iterator[Trace]:
    for pattern, what, do in LINES:
        if found := [line for line in log if pattern.search(line)]:
            yield Trace(KERNEL_LOG, what, len(found), do, found[-1])


def messages(records: Iterator[bytes]) -> list[str]:
    """Return the messages of /dev/kmsg: `6,1234,5678,-;text`, with lines of a dictionary behind it.

    The kernel escapes what is not printable.
    """
    found = []
    for record in records:
        head, sign, text = record.partition(b";")
        if sign and re.match(rb"[0-9]+,", head):
            found.append(text.split(b"\n", 1)[0].decode("utf-8", "replace"))
    return found


def plain_messages(text: str) -> list[str]:
    """Return the messages of syslog(2): `<6>[  12.345678] text` a line."""
    return [re.sub(r"^<[0-9]+>(?:\[[ 0-9.]+\] ?)?", "", line) for line in text.splitlines()]


def read_log(ways: Sequence[Callable[[], list[str]]]) -> list[str] | None:
    """Return the kernel's messages by the first way that works; None: by none."""
    for way in ways:
        try:
            return way()
        except (OSError, AttributeError):
            continue
    return None
