"""Owns the options of `megacomet swarm`: from the command line to one frozen, checked object."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from megacomet.doctor.readings import Files
from megacomet.errors import BadName
from megacomet.names import check_client_id
from megacomet.rlimits import raise_descriptor_limit
from megacomet.swarm.command_line import USUAL_PREFIX, parser
from megacomet.swarm.fitting import SPARE_DESCRIPTORS, processes_for
from megacomet.swarm.mix import SCRIPT, SCRIPTS, Mix
from megacomet.swarm.rooms import PREFIX, Rooms
from megacomet.swarm.sources import loopback, ports_of, sources_for

#: Clients of the whole run that `--million` asks for, and of one that has no number.
_MILLION: Final = 1_000_000
_FEW: Final = 1000
#: What a run does when nothing is said, and what a whole one does: it has to outlast a million's connects and answers,
#: and pushes while it holds.
_USUAL: Final[dict[str, Any]] = {"hold": 10.0, "settle": 0.0, "patience": 30.0, "drain": 10.0, "push_rate": None}
_WHOLE: Final[dict[str, Any]] = {"hold": 60.0, "settle": 2.0, "patience": 120.0, "drain": 120.0, "push_rate": 500.0}

Address = tuple[str, int]


class Unusable(Exception):
    """Raised when the options contradict each other; the text says which."""


@attrs.frozen
class Options:
    """What to do; see `command_line` for the meaning and units of each.

    Attributes:
        addresses: where to poll, one for each port.
        family: AF_INET or AF_INET6.
        host: for the Host header.
        sources: given source addresses; empty: automatic on loopback, else left to the kernel.
        push_address: where to publish.
        part: (which, of how many).
        push_rate: messages/s, 0 as fast as it goes, None none; room_rate: the same for rooms.
        mix: who uses which transport.
        channels: rooms that each client listens to; rooms: how many there are.
        switch_s: mean time until a client switches, 0 never; away_s: how long some stay away then, 0 none.
        ports: that one source address has.
        everyone: a message to everyone at the end; everyone_s: one so often besides, 0 none.
        json: the report goes to stdout as JSON, and the live lines are JSON; json_file: the report goes there too.
        whole: all phases, from an own server to the verdict; own_server: with a server of its own.
        server_workers, server_port: of that server; 0: worked out, a free one.
        wanted: clients that were asked for where fewer fit, and the `bound` that lets no more in; 0 and "": all fit.
        low: what the doctor finds too low.
    """

    clients: int
    processes: int
    addresses: tuple[Address, ...]
    family: int
    host: str
    sources: tuple[str, ...] = ()
    rate: float = 0.0
    settle_s: float = 0.0
    hold_s: float = 10.0
    patience_s: float = 30.0
    drain_s: float = 10.0
    prefix: str = "c"
    since: bool = False
    json: bool = False
    json_file: str = ""
    part: tuple[int, int] = (1, 1)
    merge: tuple[str, ...] = ()
    push_rate: float | None = None
    push_connections: int = 8
    push_address: Address = ("127.0.0.1", 80)
    batch: str = ""
    everyone: bool = False
    everyone_s: float = 0.0
    key: str = ""
    live: bool = True
    mix: Mix = SCRIPTS
    channels: int = 0
    rooms: int = 0
    room_rate: float | None = None
    switch_s: float = 0.0
    away_s: float = 0.0
    ports: int = 0
    charts: tuple[str, ...] = ()
    whole: bool = False
    own_server: bool = False
    server_workers: int = 0
    server_port: int = 0
    wanted: int = 0
    bound: str = ""
    low: tuple[str, ...] = ()

    @property
    def publishes(self) -> bool:
        """Whether anything is pushed."""
        return self.push_rate is not None or bool(self.batch) or self.everyone or self.room_rate is not None

    @property
    def indexes(self) -> range:
        """The clients of this part, by index."""
        which, parts = self.part
        return range(self.clients * (which - 1) // parts, self.clients * which // parts)

    @property
    def shared(self) -> Rooms:
        """The rooms of this part: those of another part have other names, since another publisher numbers theirs."""
        which, parts = self.part
        first, last = self.rooms * (which - 1) // parts, self.rooms * which // parts
        return Rooms(first, last - first, self.channels, PREFIX + (self.prefix if self.prefix != USUAL_PREFIX else ""))

    def sources_of(self, process: int) -> tuple[str, ...]:
        """Return the source addresses of one process; none: the kernel chooses."""
        if self.sources:
            return self.sources
        if not self.on_loopback:
            return ()
        count = sources_for(math.ceil(len(self.indexes) / max(1, self.processes)), self.ports)
        return tuple(loopback(process * count + n) for n in range(count))

    @property
    def on_loopback(self) -> bool:
        """Whether the clients may come from any address of 127.0.0.0/8."""
        return self.family == socket.AF_INET and all(host.startswith("127.") for host, _ in self.addresses)


def parse(arguments: Sequence[str], environ: dict[str, str] | None = None) -> Options:
    """Turn a command line into options.

    Raises:
        Unusable: they contradict each other, or a file or host is not there.
        SystemExit: argparse has printed help or an error (status 0 or 2).
    """
    given = parser().parse_args(arguments)
    whole = _whole(given)
    clients = _MILLION if given.million else given.clients or _FEW
    host, port = _url(given.url or f"http://127.0.0.1:{given.server_port or 80}")
    push_host, push_port = _url(given.push_url) if given.push_url else (host, port)
    family, address = _resolve(host)
    try:
        check_client_id(f"{given.prefix}{clients}".encode())
    except BadName as e:
        raise Unusable(f"--prefix: {e.detail}") from None
    options = Options(
        clients=clients,
        processes=given.processes,
        addresses=tuple((address, p) for p in given.ports or (port,)),
        family=family,
        host=f"[{host}]" if ":" in host else host,
        sources=tuple(given.source),
        rate=given.rate,
        **{f"{name}_s": getattr(given, name) for name in ("settle", "hold", "patience", "drain")},
        prefix=given.prefix,
        since=whole or _goes_by_positions(given),
        json=given.json == "-",
        json_file=_json_file(given.json),
        part=given.part,
        merge=tuple(given.merge),
        push_rate=given.push_rate,
        push_connections=given.push_connections,
        push_address=(_resolve(push_host)[1], push_port),
        batch=given.batch,
        everyone=given.everyone is not None or (whole and given.part[1] == 1),
        everyone_s=given.everyone or 0.0,
        key=_key(given, os.environ if environ is None else environ),
        live=not given.quiet,
        whole=whole,
        own_server=whole and not given.url,
        server_workers=given.server_workers,
        server_port=given.server_port,
        charts=tuple(given.charts),
        ports=ports_of(Files()),
        **_transports(given),
    )
    return options if options.merge or options.charts else _shared_out(options)


def _whole(given: Any) -> bool:
    """Return whether it is a whole run, and set what was not given; what does not go with one is refused."""
    if given.million and given.clients:
        raise Unusable("--million and --clients exclude each other: --whole is for any number")
    whole = bool(given.million or given.whole)
    for name, value in (_WHOLE if whole else _USUAL).items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    told = "--million" if given.million else "--whole"
    for name in ("batch", "switch", "merge", "charts"):
        if whole and getattr(given, name):
            raise Unusable(f"{told} and --{name} exclude each other")
    own = whole and not given.url
    for name in ("part", "ports", "source", "push_url", "key_file"):
        if own and getattr(given, name) not in ((), [], "", (1, 1)):
            raise Unusable(f"{told} starts a server of its own without --url, which --{name.replace('_', '-')} needs")
    for name in ("server_workers", "server_port"):
        if not own and getattr(given, name):
            raise Unusable(f"--{name.replace('_', '-')} is for the own server of a whole run")
    return whole


def _goes_by_positions(given: Any) -> bool:
    return bool(given.since or given.mix is not None or given.switch > 0 or given.transport not in ("", SCRIPT))


def _transports(given: Any) -> dict[str, Any]:
    """Return the options that say how clients connect and what they listen to besides their mailbox."""
    if given.mix is not None and given.transport:
        raise Unusable("--transport and --mix exclude each other")
    mix = given.mix or Mix.only(given.transport or SCRIPT)
    rooms = given.rooms or 10 * given.channels
    if given.channels and mix == SCRIPTS:
        raise Unusable("--channels: a script hears its mailbox only, choose another --transport")
    if given.channels > rooms // max(1, given.part[1]):
        raise Unusable(f"--channels: {given.channels} different ones of {rooms} rooms, shared by {given.part[1]} parts")
    if given.publish_rooms is not None and not given.channels:
        raise Unusable("--publish-rooms: nobody listens without --channels")
    if given.everyone and given.part[1] > 1:
        raise Unusable("--everyone: each part would number the messages to everyone for itself: without seconds, then")
    if given.away and not given.switch:
        raise Unusable("--away: nobody leaves without --switch")
    return {
        "mix": mix,
        "channels": given.channels,
        "rooms": rooms,
        "room_rate": given.publish_rooms,
        "switch_s": given.switch,
        "away_s": given.away,
    }


def _shared_out(options: Options) -> Options:
    """Return the options with the number of processes settled."""
    if options.push_rate is not None and options.batch:
        raise Unusable("--push-rate and --batch exclude each other")
    if options.publishes and not options.key and not options.own_server:
        raise Unusable("pushing needs a key: --key-file or $MEGACOMET_API_KEY")
    limit = raise_descriptor_limit()
    if limit <= SPARE_DESCRIPTORS:
        raise Unusable(
            f"the limit of {limit} open files is too low, more than {SPARE_DESCRIPTORS} are needed (ulimit -n)"
        )
    if options.whole:
        return options  # what fits is found out first
    clients = len(options.indexes)
    needed, worth = processes_for(clients, limit, os.cpu_count() or 1)
    if options.processes and options.processes < needed:
        room = limit - SPARE_DESCRIPTORS
        raise Unusable(f"--processes: {clients} clients need at least {needed}, each has {room} descriptors")
    return attrs.evolve(options, processes=options.processes or worth)


def _json_file(name: str) -> str:
    """Return the file of the report; one that cannot be written is told before the run and not after it."""
    if name in ("", "-"):
        return ""
    at = name if os.path.exists(name) else os.path.dirname(os.path.abspath(name))
    if os.path.isdir(name) or not os.access(at, os.W_OK):
        raise Unusable(f"--json: {name}: it cannot be written")
    return name


def _key(given: Any, environ: Any) -> str:
    if not given.key_file:
        return str(environ.get("MEGACOMET_API_KEY", ""))
    try:
        return Path(given.key_file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise Unusable(f"--key-file: {e}") from None


def _url(text: str) -> Address:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as e:
        raise Unusable(f"{text!r}: {e}") from None
    if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
        raise Unusable(f"{text!r}: must be http://host:port")
    return parts.hostname, port or 80


def _resolve(host: str) -> tuple[int, str]:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
    except OSError as e:
        raise Unusable(f"{host!r}: {e}") from None
    return family, str(address[0])
