"""The whole of it: what was found, the forecast, the traces; in the form of --json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from megacomet.doctor.checks import examine
from megacomet.doctor.costs import room_of, workers_of
from megacomet.doctor.descriptors import hard_limit
from megacomet.doctor.etc_files import SYSCTLS
from megacomet.doctor.finding import Aim, Finding, Held, sysctls_of
from megacomet.doctor.forecast import Forecast, forecast
from megacomet.doctor.later import Later, look_later
from megacomet.doctor.readings import Files
from megacomet.doctor.traces import Trace, find
from megacomet.settings import Settings


@attrs.frozen
class Report:
    """What the doctor says.

    Attributes:
        aim: what was asked about.
        findings: by what they are about.
        forecast: what it takes.
        traces: what has run short.
        log_is_read: whether the kernel's log was.
        later: what takes back at the next start what `--fix` writes, or has written.
    """

    aim: Aim
    findings: Mapping[str, Sequence[Finding]]
    forecast: Forecast
    traces: Sequence[Trace]
    log_is_read: bool
    later: Later

    def all(self) -> Iterator[Finding]:
        """Yield all findings."""
        for group in self.findings.values():
            yield from group

    @property
    def low(self) -> list[Finding]:
        """What stands in the way."""
        return [finding for finding in self.all() if finding.is_low]

    def as_object(self) -> dict[str, Any]:
        """Return what JSON tells of it."""
        return {
            "connections": self.aim.connections,
            "workers": self.aim.workers,
            "fine": not self.low,
            "checks": [{"about": about, **one.as_object()} for about, group in self.findings.items() for one in group],
            "forecast": self.forecast.as_object(),
            "traces": [trace.as_object() for trace in self.traces],
            "kernel_log": self.log_is_read,
            "later": self.later.as_object(),
        }


def aim_of(
    files: Files,
    settings: Settings,
    connections: int,
    cores: int,
    process: str = "self",
    held: Held = Held(),  # noqa: B008 - it is frozen
) -> Aim:
    """Return what is asked about.

    Args:
        files: the system's.
        settings: of the server.
        connections: to be held; 0: what the settings say, or else as many as the workers' descriptors allow.
        cores: processors that the server may use.
        process: see `Aim`.
        held: see `Aim`.
    """
    limit = hard_limit(files, process)
    wanted = connections or settings.capacity
    if limit is None:
        return Aim(wanted, settings.workers or cores, settings, process, held, cores)
    if room_of(settings, limit, cores) < wanted:
        # The limit has to be raised, and there are no more workers than processors then.
        return Aim(wanted, settings.workers or cores, settings, process, held, cores)
    workers = workers_of(settings, wanted, limit, cores)
    wanted = wanted or room_of(attrs.evolve(settings, workers=workers), limit, cores)
    return Aim(wanted, workers, settings, process, held, cores)


def make_report(files: Files, aim: Aim, log: Sequence[str] | None) -> Report:
    """Look at everything.

    Args:
        files: the system's.
        aim: what is to be held.
        log: the kernel's messages; None: they cannot be read.
    """
    findings = examine(files, aim)
    everything = [finding for group in findings.values() for finding in group]
    told = forecast(files, aim, everything)
    later = look_later(files, files.text(SYSCTLS), sysctls_of(everything))
    return Report(aim, findings, told, list(find(files, log, aim.process)), log is not None, later)
