"""TCP's memory and tables: what sockets may keep in the kernel, and what is remembered of connections."""

from __future__ import annotations

from typing import Final

from megacomet.doctor.costs import PAGE_BYTES, under_way
from megacomet.doctor.finding import (
    IP_SYSCTL,
    NET,
    Aim,
    Finding,
    at_least,
    fine,
    grouped,
    low_sysctl,
    unknown,
)
from megacomet.doctor.readings import Files, whole

#: The longest head of a request, wire rule 5; the kernel counts its own bookkeeping too, hence twice as much.
HEAD_BYTES: Final = 8192
_MEM_WHY: Final = (
    "A parked connection has nothing in its buffers. A message takes a page until it is acknowledged: of a broadcast "
    "(272,000 a second, bench fanout) so many within half a second. Beyond the second number the kernel saves on all."
)
_BUFFER_WHY: Final = (
    "These are bounds of a socket's buffer, and nothing is reserved: a parked connection's are empty. {use} Larger "
    "ones hold more connections no better."
)
_RMEM_USE: Final = "A request of 8 KB must fit into the second number."
_WMEM_USE: Final = "What does not fit waits in the worker, up to backlog_bytes."
_CALL_WHY: Final = (
    "It bounds what a program may ask for with {option}; MegaComet asks for nothing, so the kernel's own values hold."
)
_TW_WHY: Final = (
    "Connections that the server closed are remembered for 60 s; beyond so many they are forgotten at once, which "
    "costs a line in the log. Connections that wait are none of them."
)
_FIN_WHY: Final = (
    "It is how long a connection that the server closed waits for the client's end. No connection that waits is one of "
    "them, and TIME_WAIT is not this."
)
_CONNTRACK_WHY: Final = (
    "The firewall remembers every connection; of who finds the table full packets are dropped. A rule `notrack` for "
    "the server's ports does without it."
)
_CONNTRACK: Final = "kernel docs, networking/nf_conntrack-sysctl.rst"


def memory(files: Files, aim: Aim) -> Finding:
    """Look at the pages that TCP may have."""
    name, path = "net.ipv4.tcp_mem", "proc/sys/net/ipv4/tcp_mem"
    value = files.numbers(path, 3)
    if value is None:
        return unknown(files, name, path, _MEM_WHY, IP_SYSCTL)
    shown = " ".join(map(grouped, value)) + " pages"
    need = under_way(aim.connections)
    needs = f"{grouped(need)} in the middle"
    if value[1] >= need:
        return fine(name, shown, _MEM_WHY, IP_SYSCTL, needs)
    new = (max(value[0], need * 3 // 4), need, max(value[2], need * 3 // 2))
    return low_sysctl(files, name, shown, " ".join(map(str, new)), _MEM_WHY, IP_SYSCTL, needs=needs)


def receive_buffers(files: Files, _aim: Aim) -> Finding:
    """Look at the buffers of what comes in."""
    return _buffers(files, "net.ipv4.tcp_rmem", 2 * HEAD_BYTES, _RMEM_USE)


def send_buffers(files: Files, _aim: Aim) -> Finding:
    """Look at the buffers of what goes out."""
    return _buffers(files, "net.ipv4.tcp_wmem", PAGE_BYTES, _WMEM_USE)


def _buffers(files: Files, name: str, need: int, use: str) -> Finding:
    path, why = f"proc/sys/{name.replace('.', '/')}", _BUFFER_WHY.format(use=use)
    value = files.numbers(path, 3)
    if value is None:
        return unknown(files, name, path, why, IP_SYSCTL)
    shown, needs = " ".join(map(grouped, value)), f"{grouped(need)} in the middle"
    if min(value[1:]) >= need:
        return fine(name, shown, why, IP_SYSCTL, needs)
    new = (value[0], max(need, value[1]), max(need, *value[1:]))
    return low_sysctl(files, name, shown, " ".join(map(str, new)), why, IP_SYSCTL, needs=needs)


def receive_bound(files: Files, _aim: Aim) -> Finding:
    """Look at the bound of SO_RCVBUF."""
    return _only_told(files, "net.core.rmem_max", _CALL_WHY.format(option="SO_RCVBUF"), NET)


def send_bound(files: Files, _aim: Aim) -> Finding:
    """Look at the bound of SO_SNDBUF."""
    return _only_told(files, "net.core.wmem_max", _CALL_WHY.format(option="SO_SNDBUF"), NET)


def time_wait(files: Files, _aim: Aim) -> Finding:
    """Look at the table of connections that are over."""
    return _only_told(files, "net.ipv4.tcp_max_tw_buckets", _TW_WHY, IP_SYSCTL)


def fin_timeout(files: Files, _aim: Aim) -> Finding:
    """Look at the patience with who does not close."""
    return _only_told(files, "net.ipv4.tcp_fin_timeout", _FIN_WHY, IP_SYSCTL)


def _only_told(files: Files, name: str, why: str, source: str) -> Finding:
    """Return the finding of what needs no change whatever it is."""
    path = f"proc/sys/{name.replace('.', '/')}"
    value = files.number(path)
    return unknown(files, name, path, why, source) if value is None else fine(name, grouped(value), why, source)


def conntrack(files: Files, aim: Aim) -> Finding:
    """Look at the firewall's table."""
    name, path = "net.netfilter.nf_conntrack_max", "proc/sys/net/netfilter/nf_conntrack_max"
    value = files.number(path)
    if value is None and files.why.get(path) == "missing":
        return fine(name, "no connection tracking", _CONNTRACK_WHY, _CONNTRACK)
    if value is None:
        return unknown(files, name, path, _CONNTRACK_WHY, _CONNTRACK)
    if value == 0:
        return fine(name, "0: no bound", _CONNTRACK_WHY, _CONNTRACK)
    tracked = files.number("proc/sys/net/netfilter/nf_conntrack_count")
    if tracked == 0:  # the module is loaded, and no rule asks for it here
        return fine(name, f"{grouped(value)}, nothing is tracked", _CONNTRACK_WHY, _CONNTRACK)
    others = max(0, (tracked or 0) - established(files))
    need = aim.connections + others
    return at_least(files, name, value, need, _CONNTRACK_WHY, _CONNTRACK, most=max(0, value - others))


def established(files: Files) -> int:
    """Return how many connections of TCP stand, IPv4 and IPv6; 0 when that is not known."""
    lines = [line.split() for line in (files.text("proc/net/snmp") or "").splitlines() if line.startswith("Tcp:")]
    if len(lines) != 2:
        return 0
    return whole(dict(zip(*lines, strict=False)).get("CurrEstab")) or 0
