"""Owns where clients connect from: source addresses of this machine, and the ports that each of them has."""

from __future__ import annotations

import math
from typing import Final

from megacomet.doctor.ports import RANGE, RESERVED, spans
from megacomet.doctor.readings import Files, sysctl_path

#: The kernel finds a free port fast as long as most of a source address' are free.
CLIENTS_PER_SOURCE: Final = 2_000
#: Where the range of ports is narrow a part of it stays free, for connections that are closing.
PORTS_USED: Final = 0.75
#: Addresses of this machine that clients may come from: 127.1.0.1 to 127.255.255.254, without .0 and .255.
LOOPBACK_SOURCES: Final = 255 * 256 * 254
#: The kernel's own range, where it cannot be read.
_USUAL_RANGE: Final = (32768, 60999)


def first_port(files: Files) -> int:
    """Return the first of the ports that the kernel gives to who connects from here."""
    return (files.numbers(sysctl_path(RANGE), 2) or _USUAL_RANGE)[0]


def ports_of(files: Files) -> int:
    """Return how many ports one source address has towards one address and port."""
    first, last = files.numbers(sysctl_path(RANGE), 2) or _USUAL_RANGE
    reserved = spans(files.text(sysctl_path(RESERVED)) or "") or []
    taken = {port for start, end in reserved for port in range(max(start, first), min(end, last) + 1)}
    return max(0, last - first + 1 - len(taken))


def sources_for(clients: int, ports: int) -> int:
    """Return how many source addresses a process of so many clients uses on loopback."""
    return max(1, math.ceil(clients / max(1, min(CLIENTS_PER_SOURCE, int(ports * PORTS_USED)))))


def loopback(number: int) -> str:
    """Return one of 16 million addresses of this machine, from 127.1.0.1 on; .0 and .255 are left out."""
    rest, last = divmod(number, 254)
    return f"127.{1 + rest // 256}.{rest % 256}.{last + 1}"
