"""Owns the form of the command line of `megacomet swarm`: its options, and how each of them is read."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any, Final

from megacomet.swarm.mix import TRANSPORTS, Mix

#: Of the clients' names. Another one is in the rooms' names too.
USUAL_PREFIX: Final = "c"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    p = argparse.ArgumentParser(
        prog="megacomet swarm",
        description="Open many clients, hold them, push to them, check that each message arrives once and in order.",
        epilog="Where two defaults are told the second one is a whole run's. "
        "Exit status: 0 all well, 1 something was lost or failed, 2 the options make no sense.",
    )
    _add_clients(p.add_argument)
    _add_pushes(p.add_argument)
    _add_outcome(p.add_argument)
    return p


def _add_clients(a: Callable[..., Any]) -> None:
    """Add what says who connects, where and how."""
    a("--clients", type=_count, default=0, metavar="N", help="how many clients, one connection each (1000)")
    a("--whole", action="store_true", help="a whole run: own server, ramp, hold, pushes, a killed worker, verdict")
    a("--million", action="store_true", help="a whole run with a million clients, or as many as fit")
    a("--server-workers", type=_count, default=0, metavar="W", help="of the own server (as many as descriptors demand)")
    a("--server-port", type=_port, default=0, metavar="PORT", help="of the own server (a free one)")
    a("--processes", type=_count, default=0, metavar="P", help="how many processes (as many as descriptors demand)")
    a("--url", default="", help="the server (http://127.0.0.1:80; a whole run starts its own)")
    a("--ports", type=_ports, default=(), metavar="8000-8007", help="spread the clients over these ports instead")
    a("--source", action="append", default=[], metavar="IP", help="connect from this address; may be repeated")
    a("--rate", type=_rate, default=0.0, metavar="R", help="connects/s over all processes; 0: as fast as it goes (0)")
    a("--settle", type=_rate, default=None, metavar="S", help="wait so long before pushing (0; 2)")
    a("--hold", type=_rate, default=None, metavar="S", help="seconds to go on after all have connected (10; 60)")
    a("--patience", type=_rate, default=None, metavar="S", help="give up after S s without a new client (30; 120)")
    a("--drain", type=_rate, default=None, metavar="S", help="at the end give up after S s without a message (10; 120)")
    a("--prefix", default=USUAL_PREFIX, help="the client ids are this and a number (c)")
    a("--since", action="store_true", help="poll on from the last position: every message exactly once")
    a("--transport", choices=TRANSPORTS, default="", help="how the clients connect (script)")
    a("--mix", type=_mix, default=None, metavar="sse=3,ws=1", help="several transports, with their parts")
    a("--switch", type=_rate, default=0.0, metavar="S", help="each client takes another transport every S s (0: never)")
    a("--away", type=_rate, default=0.0, metavar="S", help="of those one in a hundred stays away for S s (0: none)")
    a("--channels", type=_count, default=0, metavar="N", help="each client listens to N rooms besides its mailbox")
    a("--rooms", type=_count, default=0, metavar="M", help="how many rooms there are (10 times --channels)")


def _add_pushes(a: Callable[..., Any]) -> None:
    """Add what says what is pushed."""
    a("--publish-rooms", type=_rate, default=None, metavar="R", help="push R messages/s to random rooms; 0: flat out")
    a("--push-rate", type=_rate, default=None, metavar="R", help="push R/s to random clients; 0: flat out (none; 500)")
    a("--push-connections", type=_count, default=8, metavar="C", help="over so many connections (8)")
    a("--push-url", default="", metavar="URL", help="push there instead (--url)")
    a("--batch", default="", metavar="N|FILE", help="push N messages, or the lines of a file, in one /api/batch")
    a(
        "--everyone",
        nargs="?",
        type=_rate,
        const=0.0,
        metavar="S",
        help="at the end push one message to everyone and count who heard it; S: and one every S s, checked as all are",
    )
    a("--key-file", default="", metavar="FILE", help="the API key (else $MEGACOMET_API_KEY)")


def _add_outcome(a: Callable[..., Any]) -> None:
    """Add what says what is told, and what is made of what was told."""
    a(
        "--json",
        nargs="?",
        const="-",
        default="",
        metavar="FILE",
        help="report and live lines as JSON; FILE: the report",
    )
    a("--quiet", action="store_true", help="no live lines")
    a(
        "--part",
        type=_part,
        default=(1, 1),
        metavar="K/N",
        help="be the K-th of N machines, with its share",
    )
    a("--merge", nargs="+", default=[], metavar="FILE", help="only add up the --json reports of the parts")
    a(
        "--charts",
        nargs=2,
        default=[],
        metavar=("FILE", "FOLDER"),
        help="only draw the charts of a whole run's report, of a soak's samples or of a comparison's figures",
    )


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100_000_000:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number from 1")
    return int(text)


def _rate(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a number from 0")
    return number


def _mix(text: str) -> Mix:
    try:
        return Mix.of(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from None


def _ports(text: str) -> tuple[int, ...]:
    first, dash, last = text.partition("-")
    if first.isdecimal() and (last.isdecimal() or not dash):
        ports = range(int(first), int(last or first) + 1)
        if ports and ports[0] > 0 and ports[-1] < 65536:
            return tuple(ports)
    raise argparse.ArgumentTypeError(f"{text!r}: must be a port or a range such as 8000-8007")


def _port(text: str) -> int:
    ports = _ports(text)
    if len(ports) != 1:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a port")
    return ports[0]


def _part(text: str) -> tuple[int, int]:
    which, _, parts = text.partition("/")
    if which.isdecimal() and parts.isdecimal() and 1 <= int(which) <= int(parts):
        return int(which), int(parts)
    raise argparse.ArgumentTypeError(f"{text!r}: must be a share such as 2/4")
