"""What a server that starts says of its machine."""

from __future__ import annotations

from collections.abc import Iterator

from megacomet.doctor.checks import examine
from megacomet.doctor.finding import Aim
from megacomet.doctor.readings import Files


def warnings(files: Files, aim: Aim) -> Iterator[str]:
    """Yield a line for each thing that is too low for the aim, for the log of a server that starts."""
    for group in examine(files, aim).values():
        for finding in group:
            if finding.is_low:
                change = f": {finding.change}" if finding.change else ""
                needs = f", {finding.needs} needed" if finding.needs else ""
                yield f"{finding.name} is {finding.value}{needs} for {aim.connections:,} connections{change}"
