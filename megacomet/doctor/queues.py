"""Queues on the way in: those of the listeners, of packets, and who works them off."""

from __future__ import annotations

import math
import re
from typing import Final

from megacomet.doctor.costs import LATE_S, PROBED_TOGETHER_S, arrivals
from megacomet.doctor.finding import IP_SYSCTL, LOW, NET, UNKNOWN, Aim, Finding, at_least, fine, grouped, unknown
from megacomet.doctor.readings import Files, whole

#: What the listeners ask for, see `megacomet.listeners.BACKLOG`; a test compares them.
BACKLOG: Final = 65_535
#: What net.core.somaxconn is unless told.
USUAL: Final = 4096
#: Who got no answer to his first packet sends another after so long (RFC 6298).
AGAIN_S: Final = 1
_SOMAXCONN_WHY: Final = (
    "A listener's queue: when all clients come at once, 28,000 a second (bench million), so many are at one worker's "
    "door when it is half a second late; who finds it full tries again after a second. When all have come by then, the "
    "kernel's usual 4,096 places are enough."
)
_SYN_WHY: Final = (
    "Handshakes under way at a listener are bounded by its queue, and by this only where SYN cookies are off "
    "(net.ipv4.tcp_syncookies = {cookies})."
)
_BACKLOG_WHY: Final = (
    "Packets that wait for a processor, of interfaces without a card of their own and where RPS is on: the kernel "
    "probes silent clients after 60 s, who came within two seconds in one moment, and whose probe is dropped is lost."
)
_CARD_WHY: Final = (
    "Packets of a network card do not pass this queue unless RPS is on, and connections from loopback are not probed."
)
_MIGRATE_WHY: Final = (
    "With 1, who waits at a listener when it is shut goes to another worker's: of a worker that is full, drained, or "
    "died and is not back in a second. Else those few are reset and have to try again."
    " A successor in time loses nobody."
)
_HEX: Final = re.compile(r"[0-9a-f]{1,16}").fullmatch
#: One processor has dropped them when it has dropped such a part of them.
_ONE_S_PART: Final = 0.8
_SPREAD_WHY: Final = (
    "Parked connections are hardly any packets, so one processor is enough for a card until it drops some "
    "(softnet_stat); then RPS spreads them."
)


def somaxconn(files: Files, aim: Aim) -> Finding:
    """Look at the bound of the listeners' queues."""
    name, path = "net.core.somaxconn", "proc/sys/net/core/somaxconn"
    value = files.number(path)
    if value is None:
        return unknown(files, name, path, _SOMAXCONN_WHY, IP_SYSCTL)
    return at_least(files, name, value, _at_one_door(aim), _SOMAXCONN_WHY, IP_SYSCTL)


def _at_one_door(aim: Aim) -> int:
    """Return how many clients come to one worker while it is late."""
    need = min(BACKLOG, max(128, math.ceil(arrivals(aim.connections, LATE_S) / max(1, aim.workers))))
    # So few have all come before the first of those who found no place comes again.
    return min(need, USUAL) if arrivals(aim.connections, AGAIN_S) == aim.connections else need


def syn_backlog(files: Files, aim: Aim) -> Finding:
    """Look at the bound of handshakes."""
    name, path = "net.ipv4.tcp_max_syn_backlog", "proc/sys/net/ipv4/tcp_max_syn_backlog"
    value, cookies = files.number(path), files.number("proc/sys/net/ipv4/tcp_syncookies")
    why = _SYN_WHY.format(cookies="unknown" if cookies is None else cookies)
    if value is None:
        return unknown(files, name, path, why, IP_SYSCTL)
    if cookies:
        return fine(name, grouped(value), why, IP_SYSCTL)
    # Of the last quarter the kernel keeps who does not come back.
    return at_least(files, name, value, math.ceil(_at_one_door(aim) * 4 / 3), why, IP_SYSCTL)


def packet_backlog(files: Files, aim: Aim) -> Finding:
    """Look at the queue of packets of each processor."""
    name, path = "net.core.netdev_max_backlog", "proc/sys/net/core/netdev_max_backlog"
    value = files.number(path)
    if value is None:
        return unknown(files, name, path, _BACKLOG_WHY, NET)
    through = [each for each in interfaces(files) if not has_card(files, each) or has_rps(files, each)]
    if not through and files.names("sys/class/net"):
        return fine(name, grouped(value), _CARD_WHY, NET)
    need = max(1000, arrivals(aim.connections, PROBED_TOGETHER_S))
    return at_least(files, name, value, need, _BACKLOG_WHY, f"{NET}; docs/operations/starting.md")


def interfaces(files: Files) -> list[str]:
    """Return the interfaces that are up and lead out of the machine."""
    names = [each for each in files.names("sys/class/net") if each != "lo"]
    return [
        each for each in names if (files.text(f"sys/class/net/{each}/operstate") or "").strip() in ("up", "unknown")
    ]


def has_card(files: Files, interface: str) -> bool:
    """Whether there is a device behind an interface, be it virtio; behind veth of containers there is none."""
    return files.exists(f"sys/class/net/{interface}/device")


def queues_of(files: Files, interface: str) -> list[str]:
    """Return the queues that an interface receives with."""
    return [each for each in files.names(f"sys/class/net/{interface}/queues") if each.startswith("rx-")]


def has_rps(files: Files, interface: str) -> bool:
    """Whether packets of an interface are spread over processors by software."""
    masks = (files.text(f"sys/class/net/{interface}/queues/{each}/rps_cpus") for each in queues_of(files, interface))
    return any(re.search(r"[1-9a-f]", mask or "") for mask in masks)


def softnet(files: Files) -> list[tuple[int, int, int]] | None:
    """Return for each processor: packets, of those dropped, and how often it was stopped; None: not known."""
    path = "proc/net/softnet_stat"
    text = files.text(path)
    rows = [line.split() for line in (text or "").splitlines()]
    if not all(len(row) >= 3 and all(map(_HEX, row[:3])) for row in rows):
        files.odd(path, text or "")
        return None
    return [(int(row[0], 16), int(row[1], 16), int(row[2], 16)) for row in rows] or None


def interrupts_of(files: Files, interface: str) -> list[int]:
    """Return the processors that have served an interface's card; nothing when that is not known."""
    numbers = {
        number
        for place in ("device/msi_irqs", "device/../msi_irqs")
        for number in files.names(f"sys/class/net/{interface}/{place}")
    }
    served: set[int] = set()
    lines = (files.text("proc/interrupts") or "").splitlines()
    processors = len(lines[0].split()) if lines else 0
    for line in lines[1:]:
        name, _, rest = line.partition(":")
        if name.strip() not in numbers and not re.search(rf"(^|\s){re.escape(interface)}(\W|$)", rest):
            continue
        served |= {n for n, word in enumerate(rest.split()[:processors]) if whole(word)}
    return sorted(served)


def spread(files: Files, aim: Aim) -> Finding:
    """Look at who serves the packets that come in."""
    name = "RPS and interrupts"
    names = interfaces(files)
    rows = softnet(files)
    source = "kernel docs, networking/scaling.rst"
    if not names or rows is None:
        why = f"{_SPREAD_WHY} Which interfaces there are, or what was dropped, is not to be read here."
        return Finding(name, "", "", UNKNOWN, why, source)
    value = "; ".join(_spread_of(files, each) for each in names)
    dropped = sum(row[1] for row in rows)
    # Dropped by all alike, they were not too many for one.
    is_one = max(row[1] for row in rows) >= _ONE_S_PART * dropped
    idle = [each for each in names if len(queues_of(files, each)) == 1 and not has_rps(files, each)]
    if not dropped or not is_one or not idle or aim.cores < 2:
        return fine(name, value, _SPREAD_WHY, source)
    mask = f"{(1 << aim.cores) - 1:x}"
    mask = ",".join(re.findall(r"[0-9a-f]{1,8}", mask[::-1]))[::-1]  # groups of 32 processors
    change = f"echo {mask} > /sys/class/net/{idle[0]}/queues/rx-0/rps_cpus"
    return Finding(name, f"{value}; {grouped(dropped)} packets dropped", "RPS", LOW, _SPREAD_WHY, source, change)


def _spread_of(files: Files, interface: str) -> str:
    queues = len(queues_of(files, interface))
    served = interrupts_of(files, interface)
    words = [f"{interface}: {queues} queue{'' if queues == 1 else 's'}"]
    words.append(f"RPS {'on' if has_rps(files, interface) else 'off'}")
    if served:
        words.append(f"interrupts on CPU {', '.join(map(str, served))}")
    return ", ".join(words)


def migrate(files: Files, _aim: Aim) -> Finding:
    """Look at who takes over a handshake."""
    name, path = "net.ipv4.tcp_migrate_req", "proc/sys/net/ipv4/tcp_migrate_req"
    value = files.number(path)
    if value is None:
        return unknown(files, name, path, _MIGRATE_WHY, IP_SYSCTL)
    return fine(name, str(value), _MIGRATE_WHY, IP_SYSCTL)
