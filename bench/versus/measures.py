"""Owns what is measured of each peer and how it is told: figures, and the table that is made of them. No processes."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from bench.figures import Figure

#: As they are told.
TRANSPORTS: Final = {"ws": "WebSocket", "sse": "SSE"}


@attrs.frozen
class Measure:
    """One thing that is measured.

    Attributes:
        key: its name in a round's results.
        less: less of it is better.
    """

    key: str
    title: str
    unit: str
    less: bool = False


MEASURES: Final = (
    Measure("memory", "memory per idle connection", "B", less=True),
    Measure("empty", "memory with nothing connected", "MB", less=True),
    Measure("connects", "connects", "/s"),
    Measure("connect_cpu", "CPU of the server a connect", "µs", less=True),
    Measure("deliveries", "deliveries of a message to all", "/s"),
    Measure("delivery_cpu", "CPU of the server a delivery", "µs", less=True),
    Measure("pushes", "pushes to one client each", "/s"),
    Measure("push_cpu", "CPU of the server a push", "µs", less=True),
    Measure("p50", "from push to delivery, p50", "ms", less=True),
    Measure("p99", "from push to delivery, p99", "ms", less=True),
)
#: Figures by transport, measure and peer.
Comparison = dict[str, dict[str, dict[str, float]]]


def figures(transport: str, peer: str, rounds: Sequence[Mapping[str, float]]) -> list[Figure]:
    """Return the medians of a peer's rounds, each beside what it is the median of; none without a round."""
    if not rounds:
        return []
    found = []
    for measure in MEASURES:
        values = [taken[measure.key] for taken in rounds]
        name = f"{TRANSPORTS[transport]}, {peer}: {measure.title}"
        detail = " ".join(map(written, values))
        key = f"{transport}/{measure.key}/{peer}"
        found.append(Figure(name, statistics.median(values), measure.unit, detail=detail, key=key))
    return found


def comparison(told: Iterable[Mapping[str, Any]]) -> Comparison:
    """Return what figures say, as they stand in the JSON of a run; figures of something else are left out.

    Raises:
        ValueError: there is none.
    """
    found: Comparison = {}
    keys = {measure.key for measure in MEASURES}
    for figure in told:
        transport, _, rest = str(figure["key"]).partition("/")
        key, _, peer = rest.partition("/")
        if transport in TRANSPORTS and key in keys and peer:
            found.setdefault(transport, {}).setdefault(key, {})[peer] = float(figure["value"])
    if not found:
        raise ValueError("it has no figures of the benchmark versus")
    return found


def table(transport: str, compared: Mapping[str, Mapping[str, float]]) -> str:
    """Return one transport's figures as a table in Markdown, the best of each row in bold."""
    peers = list(dict.fromkeys(peer for values in compared.values() for peer in values))
    lines = [f"| {TRANSPORTS[transport]} | {' | '.join(peers)} |", "|---|" + "---|" * len(peers)]
    for measure in MEASURES:
        if values := compared.get(measure.key):
            best = (min if measure.less else max)(values.values())
            cells = [_cell(values.get(peer), best, measure.unit) for peer in peers]
            lines.append(f"| {measure.title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(value: float | None, best: float, unit: str) -> str:
    if value is None:
        return ""
    number = written(value) + ("" if unit.startswith("/") else " ") + unit
    return f"**{number}**" if value == best else number


def written(value: float) -> str:
    """Return a figure with three digits or all that it has before the point."""
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.2f}"
