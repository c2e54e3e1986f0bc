"""Owns the command: a run, the sum of several machines' reports, or the charts of one; and the exit status."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from megacomet.swarm import survey
from megacomet.swarm.charts import charts_of
from megacomet.swarm.options import Options, Unusable, parse
from megacomet.swarm.report import Report, merged
from megacomet.swarm.run import Run
from megacomet.swarm.whole import WholeRun

_Made = TypeVar("_Made")


def main(arguments: Sequence[str]) -> int:
    """Run the load client; returns the exit status: 0 all well, 1 something lost or failed, 2 unusable options."""
    try:
        options = parse(arguments)
        if options.charts:
            return _draw(*options.charts)
        return _tell(_report(options), options)
    except Unusable as e:
        print(f"megacomet swarm: {e}", file=sys.stderr)
        return 2


def _report(options: Options) -> Report:
    if options.merge:
        return merged(_read(name, "not a report", Report.from_json) for name in options.merge)
    if not options.whole:
        return Run(options).run()
    options = survey.fitted(options)
    for line in options.low:
        print(f"low: {line}", file=sys.stderr)
    if options.bound:
        print(f"{options.clients:,} of {options.wanted:,} clients fit: {options.bound}", file=sys.stderr)
    sources = len(options.sources_of(0))
    shape = f"{len(options.indexes):,} clients, processes: {options.processes}"
    shape += f", source addresses of each: {sources}" if sources else ""
    shape += f", workers of the own server: {options.server_workers}" if options.own_server else ""
    print(shape, file=sys.stderr)
    return WholeRun(options).run()


def _tell(report: Report, options: Options) -> int:
    if options.json:
        print(json.dumps(report.to_json()))
    else:
        print(report.page(), end="")
    if options.json_file:
        try:
            Path(options.json_file).write_text(json.dumps(report.to_json()) + "\n", "utf-8")
        except OSError as e:
            print(f"megacomet swarm: --json: {e}", file=sys.stderr)
            return 1
    return 1 if report.problems() else 0


def _read(name: str, otherwise: str, make: Callable[[Any], _Made]) -> _Made:
    """Return what is made of the JSON in a file.

    Args:
        otherwise: what is told before the reason when that fails.

    Raises:
        Unusable: it cannot be; the text names the file, and what is missing.
    """
    try:
        return make(json.loads(Path(name).read_text("utf-8")))
    except KeyError as e:
        raise Unusable(f"{name}: {otherwise}: {e} is missing") from None
    except (OSError, ValueError, TypeError, AttributeError) as e:
        raise Unusable(f"{name}: {otherwise}: {e}") from None


def _draw(name: str, folder: str) -> int:
    """Write the charts of a file, and tell their names."""
    drawn = _read(name, "there is nothing to draw", charts_of)
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for title, svg in drawn.items():
            path = Path(folder, f"{title}.svg")
            path.write_text(svg, "utf-8")
            print(path)
    except OSError as e:
        raise Unusable(f"--charts: {e}") from None
    return 0
