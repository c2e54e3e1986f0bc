"""Owns how a comparison is drawn: which of its figures, and on what scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bench.versus.measures import MEASURES, TRANSPORTS, Comparison, Measure, written
from megacomet.swarm import bars
from megacomet.swarm.svg import Axis, linear_axis, logarithmic_axis

#: The figures, in the order in which they are read.
_DRAWN: Final = ("memory", "connects", "deliveries", "pushes", "p50", "p99")
#: From this ratio of the largest to the smallest on the scale is logarithmic.
_FAR_APART: Final = 30.0
MARKED: Final = "MegaComet"


def charts(compared: Comparison) -> dict[str, str]:
    """Return a chart of each transport, by name, as SVG."""
    return {
        f"versus-{transport}": bars.drawn(f"{TRANSPORTS[transport]}: MegaComet and others", _groups(figures), MARKED)
        for transport, figures in compared.items()
    }


def _groups(figures: Mapping[str, Mapping[str, float]]) -> list[bars.Group]:
    known = {measure.key: measure for measure in MEASURES}
    return [_group(known[key], figures[key]) for key in _DRAWN if key in figures]


def _group(measure: Measure, values: Mapping[str, float]) -> bars.Group:
    drawn = [(peer, value, written(value)) for peer, value in values.items()]
    better = "less is better" if measure.less else "more is better"
    return bars.Group(f"{measure.title}, {measure.unit}", drawn, _axis(values), f"({better})")


def _axis(values: Mapping[str, float]) -> Axis:
    least, most = min(values.values()), max(values.values())
    if least > 0 and most / least >= _FAR_APART:
        return logarithmic_axis("", least, most)
    return linear_axis("", most)
