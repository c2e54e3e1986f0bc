"""Owns which charts there are of which JSON, and what those of a whole run show. No files, no clock."""

from __future__ import annotations

from typing import Any, Final

from megacomet.swarm import comparison, soak
from megacomet.swarm.histogram import Histogram
from megacomet.swarm.measures import Measures
from megacomet.swarm.report import Report
from megacomet.swarm.series import Series, highest, per_second, scaled
from megacomet.swarm.svg import Chart, Line, drawn, linear_axis, logarithmic_axis

_SECONDS: Final = "seconds since the first client"
_MB: Final = 1e6
#: What is shorter than this is drawn at the edge of a chart of latencies.
_SHORTEST_MS: Final = 0.1


def charts_of(plain: Any) -> dict[str, str]:
    """Return the charts, by name, as SVG, of what was written down: a run's report, a comparison or a soak.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it is none of them, or nothing can be drawn of it.
    """
    if not isinstance(plain, dict):
        raise ValueError("no object of JSON")
    if "version" in plain:
        found = charts(Report.from_json(plain))
        if not found:
            raise ValueError("nothing was measured over time: it is no report of a whole run")
        return found
    if "series" in plain:
        return soak.charts(Series.from_json(plain["series"]))
    if "figures" in plain:
        return comparison.charts(comparison.comparison(plain["figures"]))
    raise ValueError(
        "neither a run's report (no 'version') nor a soak's samples (no 'series') nor a comparison (no 'figures')"
    )


def charts(report: Report) -> dict[str, str]:
    """Return the charts, by name, as SVG; none when it is not the report of a whole run."""
    measures = report.measures
    if measures is None or not measures.series.rows:
        return {}
    found = [connections(report, measures), memory(report, measures), ramp(report, measures), latency(report)]
    names = ("connections", "memory", "ramp", "latency")
    return {name: drawn(chart) for name, chart in zip(names, found, strict=True) if chart is not None}


def connections(report: Report, measures: Measures) -> Chart:
    """Return clients that have connected, and that wait, over time."""
    connected, waiting = (measures.series.column(name) for name in ("connected", "waiting"))
    return Chart(
        f"{report.connected:,} connections over time",
        linear_axis(_SECONDS, _end(measures)),
        linear_axis("clients", highest(connected, waiting)),
        [Line("have connected", connected), Line("wait for messages", waiting)],
        _stages(measures),
    )


def memory(report: Report, measures: Measures) -> Chart:
    """Return memory over time."""
    names = {"server": "server (PSS)", "kernel": "kernel: slab and sockets", "load": "load client (PSS)"}
    lines = [Line(told, scaled(measures.series.column(name), _MB)) for name, told in names.items()]
    lines = [line for line in lines if line.points]
    return Chart(
        f"Memory of {report.connected:,} connections over time",
        linear_axis(_SECONDS, _end(measures)),
        linear_axis("MB (1,000,000 bytes)", highest(*(line.points for line in lines))),
        lines,
        _stages(measures),
    )


def ramp(report: Report, measures: Measures) -> Chart:
    """Return how many connected in each second, until all had."""
    rates = per_second(measures.series.column("connected"), report.connect_s)
    return Chart(
        f"Ramp: {report.connected:,} connections in {report.connect_s:,.1f} s",
        linear_axis(_SECONDS, max((x for x, _ in rates), default=1.0)),
        linear_axis("connects a second", highest(rates)),
        [Line("connects a second", rates, steps=True)],
    )


def latency(report: Report) -> Chart | None:
    """Return which part of the messages had arrived after how long; None: none arrived."""
    kinds = {
        f"{report.latency.count:,} pushes to clients": report.latency,
        f"{report.failover.count:,} while a worker was gone": report.failover,
        "one message to everyone": report.reach,
        "rooms": report.fanout,
    }
    lines = [Line(name, arrived(histogram)) for name, histogram in kinds.items() if histogram.count]
    if not lines:
        return None
    times = [x for line in lines for x, _ in line.points]
    return Chart(
        "From push to delivery",
        logarithmic_axis("milliseconds", max(_SHORTEST_MS, min(times)), max(times)),
        linear_axis("% of the messages had arrived", 100.0),
        lines,
    )


def arrived(histogram: Histogram) -> list[tuple[float, float]]:
    """Return how many percent had arrived after how many ms."""
    found, seen = [], 0
    for upper_ns, count in histogram.steps():
        seen += count
        found.append((max(_SHORTEST_MS, upper_ns / 1e6), 100.0 * seen / histogram.count))
    return found


def _stages(measures: Measures) -> list[tuple[str, float]]:
    """Return those that begin visibly after the first client."""
    return [(name, at) for name, at in measures.stages if at > _end(measures) / 100]


def _end(measures: Measures) -> float:
    return max(measures.series.rows[-1][0] or 0.0, *(seconds for _, seconds in measures.stages), 1.0)
