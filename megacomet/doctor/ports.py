"""Ports: those that the kernel gives to who connects from here, and whether the listeners' are among them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from megacomet.addresses import HTTP, HTTPS, address_of_endpoint
from megacomet.doctor.finding import IP_SYSCTL, Aim, Finding, fine, low_sysctl, unknown
from megacomet.doctor.readings import Files, sysctl_number
from megacomet.settings import Settings

#: The original's doors, see `megacomet.binding.CLASSIC_PORTS`; a test compares them.
CLASSIC: Final = (*range(8000, 8008), 9000)
RANGE: Final = "net.ipv4.ip_local_port_range"
RESERVED: Final = "net.ipv4.ip_local_reserved_ports"
_RANGE_WHY: Final = (
    "Who comes to the server takes a port of its own machine, none here. A proxy on this machine takes one for each "
    "connection that it makes to one address and port; unix: sockets take none."
)
_RESERVED_WHY: Final = (
    "A port of the server within {first}-{last} may be another's when it starts, since the kernel gives those to who "
    "connects from here; reserved ones it does not."
)
_SPAN: Final = re.compile(r"(\w+)(?:-(\w+))?", re.A).fullmatch
_LAST: Final = 65535


def ports_of(settings: Settings) -> Iterator[int]:
    """Yield the ports that a server opens, as far as the settings tell."""
    endpoints = [*(settings.listen or (f"tcp:{settings.port}",)), *([settings.admin] if settings.admin else [])]
    for text in endpoints:
        address = address_of_endpoint(text)
        if address is not None and address.scheme in (HTTP, HTTPS):
            yield address.port
    if settings.classic:
        yield from CLASSIC


def spans(text: str) -> list[tuple[int, int]] | None:
    """Take `8000-8007,9000` apart as the kernel does; None: it is none such. Nothing is a list too."""
    found = []
    for part in filter(None, (word.strip() for word in text.strip().split(","))):
        match = _SPAN(part)
        first, last = (sysctl_number(match[1]), sysctl_number(match[2] or match[1])) if match else (None, None)
        if first is None or last is None or not first <= last <= _LAST:
            return None
        found.append((first, last))
    return found


def port_range(files: Files, _aim: Aim) -> Finding:
    """Look at the ports of who connects from here."""
    path = "proc/sys/net/ipv4/ip_local_port_range"
    value = files.numbers(path, 2)
    if value is None:
        return unknown(files, RANGE, path, _RANGE_WHY, IP_SYSCTL)
    size = max(0, value[1] - value[0] + 1)
    return fine(RANGE, f"{value[0]}-{value[1]}, {size:,} ports", _RANGE_WHY, IP_SYSCTL)


def reserved_ports(files: Files, aim: Aim) -> Finding:
    """Look whether the listeners' ports are given to others."""
    path = "proc/sys/net/ipv4/ip_local_reserved_ports"
    bounds = files.numbers("proc/sys/net/ipv4/ip_local_port_range", 2)
    text = files.text(path)
    found = None if text is None else spans(text)
    if text is not None and found is None:
        files.odd(path, text)
    if bounds is None or found is None:
        why = "A port of the server that the kernel gives to others may be taken when it starts."
        return unknown(
            files, RESERVED, path if found is None else "proc/sys/net/ipv4/ip_local_port_range", why, IP_SYSCTL
        )
    why = _RESERVED_WHY.format(first=bounds[0], last=bounds[1])
    ports = sorted(set(ports_of(aim.settings)))
    inside = [each for each in ports if bounds[0] <= each <= bounds[1]]
    missing = [each for each in inside if not any(first <= each <= last for first, last in found)]
    value = text.strip() if text and text.strip() else "none"
    if not missing:
        needs = ", ".join(map(str, inside)) if inside else ""
        return fine(RESERVED, value, why, IP_SYSCTL, needs)
    new = ",".join(_written(*span) for span in _merged([*found, *((each, each) for each in missing)]))
    return low_sysctl(files, RESERVED, value, new, why, IP_SYSCTL, needs=", ".join(map(str, missing)))


def _merged(found: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield spans in order, those that touch as one."""
    first, last = -1, -2
    for start, end in sorted(found):
        if start > last + 1:
            if last >= first:
                yield first, last
            first, last = start, end
        last = max(last, end)
    if last >= first:
        yield first, last


def _written(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
