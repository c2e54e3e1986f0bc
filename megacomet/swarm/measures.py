"""Owns what a whole run measures beside its messages: memory and CPU at its stages, its shape, its series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from megacomet.swarm.series import Series

#: When the machine is read in full: the server has nobody; all are connected; they were left alone; they were pushed
#: to; a message has reached all.
EMPTY: Final = "empty"
HELD: Final = "held"
IDLE: Final = "idle"
PUSHED: Final = "pushed"
REACHED: Final = "reached"
MARKS: Final = (EMPTY, HELD, IDLE, PUSHED, REACHED)

#: Of the series: seconds, clients, bytes. `kernel` is what the kernel has taken since the begin, of the whole machine.
COLUMNS: Final = ("seconds", "connected", "waiting", "server", "kernel", "load")
MEASURES: Final = "measures"


@attrs.frozen
class Mark:
    """The machine at one moment of a run.

    Attributes:
        at_s: seconds since the ramp began.
        server, manager, load: PSS of the own server's processes, of the first of them, of the load client's.
        cpu_s: user and system time of the server's processes that live.
        slab, sockets, available: of the whole machine, see `usage.Machine`.
    """

    at_s: float
    server: int = 0
    manager: int = 0
    load: int = 0
    cpu_s: float = 0.0
    slab: int = 0
    sockets: int = 0
    available: int = 0

    @property
    def kernel(self) -> int:
        """Bytes of the kernel that connections are among."""
        return self.slab + self.sockets


@attrs.frozen
class Measures:
    """What was measured.

    Attributes:
        workers, server_processes: of the own server; 0: it is another's.
        wanted: clients that were asked for; bound: the limit that let no more in, "" all fit.
        low: what the doctor found too low.
        counted: connections by the server's own count when all were held, and when all were back; -1: not asked.
        stages: names, and seconds since the ramp began.
        marks: by name, those that were reached.
        lost: connections that a killed worker took along, -1: none was killed.
        back_s: until all waited again, -1: they did not.
        series: `COLUMNS` over time.
    """

    workers: int = 0
    server_processes: int = 0
    wanted: int = 0
    bound: str = ""
    low: tuple[str, ...] = ()
    counted: tuple[int, int] = (-1, -1)
    stages: tuple[tuple[str, float], ...] = ()
    marks: Mapping[str, Mark] = attrs.field(factory=dict)
    lost: int = -1
    back_s: float = -1.0
    series: Series = attrs.field(factory=lambda: Series(COLUMNS), eq=False)

    def between(self, first: str, last: str) -> tuple[Mark, Mark] | None:
        """Return two marks; None: one of them was not reached."""
        if first in self.marks and last in self.marks:
            return self.marks[first], self.marks[last]
        return None

    def cores(self, first: str, last: str) -> float | None:
        """Return the processors that the server used between two marks; None: not known."""
        both = self.between(first, last) if self.server_processes else None
        if both is None or both[1].at_s <= both[0].at_s:
            return None
        return (both[1].cpu_s - both[0].cpu_s) / (both[1].at_s - both[0].at_s)

    def figures(self, clients: int) -> dict[str, float]:
        """Return what people look for, by name with its unit; what is not known is left out.

        Args:
            clients: that waited.
        """
        found: dict[str, float | None] = {"idle_cores": self.cores(HELD, IDLE), "busy_cores": self.cores(IDLE, PUSHED)}
        if (both := self.between(EMPTY, HELD)) and clients > 0:
            empty, held = both
            kernel = held.kernel - empty.kernel
            fall = empty.available - held.available
            found["kernel_bytes_each"] = kernel / clients
            found["load_bytes_each"] = (held.load - empty.load) / clients
            if self.server_processes:
                found["server_bytes"] = held.server
                found["server_bytes_each"] = (held.server - empty.server) / clients
                found["available_bytes_each"] = (fall - kernel - (held.load - empty.load)) / clients
                found["ramp_cpu_us_each"] = (held.cpu_s - empty.cpu_s) / clients * 1e6
        return {name: round(value, 3) for name, value in found.items() if value is not None}

    def to_json(self, clients: int) -> dict[str, Any]:
        """Return plain data, the figures too."""
        plain = attrs.asdict(self, filter=lambda a, _: a.name not in ("series", "marks"))
        marks = {name: attrs.asdict(mark) for name, mark in self.marks.items()}
        return {**plain, "marks": marks, "series": self.series.to_json(), "figures": self.figures(clients)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Measures:
        """Make one of what `to_json` gave.

        Raises:
            ValueError, KeyError, TypeError: it is not such data.
        """
        fields = {a.name: plain[a.name] for a in attrs.fields(cls)}
        held, back = fields["counted"]
        return cls(
            **fields
            | {
                "low": tuple(map(str, fields["low"])),
                "counted": (int(held), int(back)),
                "stages": tuple((str(name), float(seconds)) for name, seconds in fields["stages"]),
                "marks": {str(name): Mark(**mark) for name, mark in fields["marks"].items()},
                "series": Series.from_json(fields["series"]),
            }
        )

    def lines(self, clients: int, waiting: int) -> Iterator[str]:
        """Yield the lines of the page.

        Args:
            clients: of the run; waiting: those of them that waited at its end.
        """
        if self.bound:
            yield f"fits         {clients:,} of {self.wanted:,} clients that were asked for: {self.bound}"
        yield from (f"doctor: low  {line}" for line in self.low)
        if self.counted[0] >= 0:
            again = f", {self.counted[1]:,} at the end" if self.counted[1] >= 0 else ""
            yield f"by server    {self.counted[0]:,} connections when all were held{again}"
        told = self.figures(waiting)
        if "server_bytes" in told:
            yield from self._memory(told)
        if "kernel_bytes_each" in told:
            yield (
                f"kernel       {told['kernel_bytes_each']:,.0f} B each (slab and socket buffers, of all ends on this "
                f"machine), {self.marks[HELD].available / 1e9:.1f} GB still available"
            )
            yield f"load client  {told['load_bytes_each']:,.0f} B each, {self.marks[HELD].load / 1e6:,.0f} MB in all"
        cores = [f"{what} {100 * told[name]:.1f} %" for name, what in _CORES.items() if name in told]
        if cores:
            yield f"server CPU   {told.get('ramp_cpu_us_each', 0):.1f} us a connect; {', '.join(cores)} of a processor"
        if self.lost >= 0:
            back = f"all back after {self.back_s:.1f} s" if self.back_s >= 0 else "not all came back"
            yield f"kill         {self.lost:,} connections lost with a worker, {back}"

    def _memory(self, told: Mapping[str, float]) -> Iterator[str]:
        empty, held = self.marks[EMPTY], self.marks[HELD]
        yield (
            f"memory       {held.server / 1e6:,.0f} MB in {self.server_processes} processes, {self.workers} workers "
            f"({empty.server / 1e6:,.0f} MB before, manager {held.manager / 1e6:,.0f} MB)"
        )
        yield (
            f"  each       {told['server_bytes_each']:,.0f} B of PSS; {told['available_bytes_each']:,.0f} B by the "
            "fall of MemAvailable less kernel and load client"
        )
        if REACHED in self.marks:
            yield f"  at the end {self.marks[REACHED].server / 1e6:,.0f} MB, after a message to each"


_CORES: Final = {"idle_cores": "idle", "busy_cores": "with pushes"}
