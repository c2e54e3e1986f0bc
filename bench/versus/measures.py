"""Owns how a comparison is told: the figures of each peer, and the table that is made of them. No processes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from bench.figures import Figure
from megacomet.swarm.comparison import MEASURES, TRANSPORTS, written


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
