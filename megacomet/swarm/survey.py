"""Owns the look at the machine before a run: its limits, and what the doctor finds too low for so many connections."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

import attrs

from megacomet.doctor import groups
from megacomet.doctor.descriptors import hard_limit
from megacomet.doctor.finding import Finding
from megacomet.doctor.memory import available_bytes
from megacomet.doctor.readings import Files
from megacomet.doctor.report import Report, aim_of, make_report
from megacomet.rlimits import raise_descriptor_limit
from megacomet.settings import Settings
from megacomet.swarm import fitting
from megacomet.swarm.fitting import Limits
from megacomet.swarm.options import Options, Unusable
from megacomet.swarm.sources import LOOPBACK_SOURCES

#: Of these both ends of a connection take one, when both are on this machine.
BOTH_ENDS: Final = frozenset({"fs.file-max", "fs.epoll.max_user_watches"})
#: What `fitting` reckons by itself, with what the load client needs beside the server.
_RECKONED: Final = frozenset({"memory", "control group: memory", "control group: processes"})


def fitted(options: Options, files: Files | None = None) -> Options:
    """Cut a whole run to this machine.

    Args:
        options: as they were given.
        files: of the system.

    Returns:
        The options of the largest run that fits, with what the doctor finds too low.

    Raises:
        Unusable: nothing fits; or less than this machine's part of a run on several.
    """
    files = files or Files()
    settings = Settings(workers=options.server_workers, port=options.server_port or 80, state_dir="")
    server = settings if options.own_server else None
    wanted = len(options.indexes)
    cores = len(os.sched_getaffinity(0))
    report = make_report(files, aim_of(files, settings, wanted, cores), ()) if server is not None else None
    limits = limits_of(files, options, cores, report)
    shape = fitting.fitted(wanted, limits, server)
    if not shape.clients:
        raise Unusable(f"not one client fits: {shape.bound} is too low")
    if shape.bound and options.part[1] > 1:
        raise Unusable(f"--part: {wanted:,} clients are this machine's, and {shape.clients:,} fit: {shape.bound}")
    least, _ = fitting.processes_for(shape.clients, limits.descriptors, cores)
    if options.processes and options.processes < least:
        room = limits.descriptors - fitting.SPARE_DESCRIPTORS
        raise Unusable(f"--processes: {shape.clients} clients need at least {least}, each has {room} descriptors")
    return attrs.evolve(
        options,
        wanted=options.clients,
        clients=options.clients if not shape.bound else shape.clients,
        bound=shape.bound,
        server_workers=shape.workers,
        processes=options.processes or shape.processes,
        low=tuple(lines(report)) if report is not None else (),
    )


def limits_of(files: Files, options: Options, cores: int, report: Report | None) -> Limits:
    """Return what this machine lets a run have.

    Args:
        report: the doctor's, of a server that is the run's own; None: the server is elsewhere.
    """
    group = groups.process_limit(files)
    bounds = dict(_bounds(report.all())) if report is not None else {}
    return Limits(
        descriptors=hard_limit(files) or raise_descriptor_limit(),
        ports=options.ports,
        sources=len(options.sources) or (LOOPBACK_SOURCES if options.on_loopback else 1),
        targets=len(options.addresses),
        cores=cores,
        memory=available_bytes(files),
        processes=None if group is None else group[1],
        bounds=bounds,
    )


def _bounds(findings: Iterator[Finding]) -> Iterator[tuple[str, int]]:
    for finding in findings:
        if finding.most is not None and finding.name not in _RECKONED:
            yield finding.name, finding.most // 2 if finding.name in BOTH_ENDS else finding.most


def lines(report: Report) -> Iterator[str]:
    """Yield what is too low, a line each, with the line that changes it."""
    for finding in report.low:
        needs = f", {finding.needs} needed" if finding.needs else ""
        change = f": {finding.change}" if finding.change else ""
        yield f"{finding.name} is {finding.value}{needs}{change}"
