"""Owns the reading of how a server stands: what each of its processes has, what it keeps of clients and messages."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from bench import measure
from bench.processes import Server
from megacomet.swarm.soak import ACCEPTED, DIRECTORY, MEMORY, ROWS, STORED

#: Names of figures begin so, by process, beside `MEMORY`: bytes with the pages of files, numbers of descriptors.
PSS: Final = "PSS of "
DESCRIPTORS: Final = "descriptors of "
#: Gauges, summed over workers and transports.
_GAUGES: Final = {
    "megacomet_open_connections": ROWS,
    "megacomet_connections": "connections that wait",
    "megacomet_subscribed_channels": "channels listened to, in the workers",
    "megacomet_directory_entries": DIRECTORY,
    "megacomet_store_messages": STORED,
    "megacomet_store_channels": "channels of the store",
    "megacomet_store_bytes": "bytes of the store",
    "megacomet_clients_backlog_bytes": "bytes that clients are owed",
    "megacomet_api_connections": "connections of the manager",
}
#: Of /proc/net/sockstat, for the whole machine or network namespace.
_SOCKETS: Final = {"inuse": "in use", "orphan": "orphaned", "tw": "in TIME_WAIT", "mem": "pages of buffers"}
#: Of a row of /proc/net/tcp (include/net/tcp_states.h).
_TIME_WAIT: Final = "06"
_PROCESS: Final = "megacomet: "


class Processes:
    """The processes of a server, by their titles."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.pids = dict(sorted(_titled(server.pids())))

    @property
    def replaced(self) -> int:
        """How many of them are no more."""
        return len({*self.pids.values()} - {*self._server.pids()})

    def standing(self) -> dict[str, float]:
        """Read memory and descriptors of each process, and what the server tells of itself.

        Raises:
            RuntimeError: it does not answer, or one of the processes is gone.
        """
        figures: dict[str, float] = {}
        for name, pid in self.pids.items():
            figures[MEMORY + name] = measure.own_bytes([pid])
            figures[PSS + name] = measure.pss_bytes([pid])
            figures[DESCRIPTORS + name] = _descriptors(pid)
        return {**figures, **self._told(), **_sockets()}

    def at_rest(self) -> dict[str, float]:
        """Read what is read when nobody is connected besides: sockets of the server's ports, files it has left."""
        state = Path(self._server.key_file).parent
        found = [path for path in state.rglob("*") if path.is_file()]
        figures = {
            "sockets of the server's port": float(sum(_of_port(self._server.port))),
            "files of the server": len(found),
            "bytes of these, but for logs": sum(path.stat().st_size for path in found if not path.match("*log")),
        }
        return {**figures, **self.standing()}

    def _told(self) -> dict[str, float]:
        status, page = self._server.get("/metrics")
        if status != 200:
            raise RuntimeError(f"/metrics: {status}")
        return told(page.decode())


def told(page: str) -> dict[str, float]:
    """Return the figures of a page of metrics."""
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    figures = {name: sums.get(metric, 0.0) for metric, name in _GAUGES.items()}
    return {**figures, ACCEPTED: sums.get("megacomet_connections_accepted_total", 0.0)}


def is_exact(name: str) -> bool:
    """Whether a figure must be what it was, to the last one: all but memory, what only grows, and others' sockets."""
    return name != ACCEPTED and not name.startswith((MEMORY, PSS, "TCP sockets "))


def _titled(pids: list[int]) -> Iterator[tuple[str, int]]:
    for pid in pids:
        title = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b" \0").decode(errors="replace")
        if title.startswith(_PROCESS):
            yield title.removeprefix(_PROCESS), pid


def _descriptors(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except FileNotFoundError:
        raise RuntimeError(f"process {pid} of the server is gone") from None


def _sockets() -> Mapping[str, float]:
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        words = line.split()
        if words[0] == "TCP:":
            numbers = dict(zip(words[1::2], map(int, words[2::2]), strict=True))
            return {f"TCP sockets {name}": numbers[field] for field, name in _SOCKETS.items()}
    return {}


def _of_port(port: int) -> Iterator[int]:
    """Yield how many sockets have the port at either end, of IPv4 and of IPv6.

    Those in TIME_WAIT do not count: they belong to nobody, and whoever asks the server leaves some.
    """
    wanted = f":{port:04X}"
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except FileNotFoundError:
            continue  # no IPv6
        rows = [line.split() for line in lines]
        yield sum(row[3] != _TIME_WAIT and any(end.endswith(wanted) for end in row[1:3]) for row in rows)
