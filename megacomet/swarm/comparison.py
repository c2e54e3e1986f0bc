"""Owns the figures of a comparison with others, as `python -m bench versus` writes them, and how they are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from megacomet.swarm import bars
from megacomet.swarm.series import is_number
from megacomet.swarm.svg import Axis, linear_axis, logarithmic_axis

#: As they are told.
TRANSPORTS: Final = {"ws": "WebSocket", "sse": "SSE"}
MARKED: Final = "MegaComet"
#: The figures that are drawn, in the order in which they are read.
_DRAWN: Final = ("memory", "connects", "deliveries", "pushes", "p50", "p99")
#: From this ratio of the largest to the smallest on the scale is logarithmic.
_FAR_APART: Final = 30.0


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


def comparison(told: Iterable[Mapping[str, Any]]) -> Comparison:
    """Return what figures say, as they stand in the JSON of a run; figures of something else are left out.

    Raises:
        ValueError, KeyError, TypeError: there is none, or one is no figure.
    """
    found: Comparison = {}
    keys = {measure.key for measure in MEASURES}
    for figure in told:
        transport, _, rest = str(figure["key"]).partition("/")
        key, _, peer = rest.partition("/")
        if transport in TRANSPORTS and key in keys and peer:
            value = figure["value"]
            if not is_number(value):
                raise ValueError(f"{figure['key']}: no number: {value!r:.80}")
            found.setdefault(transport, {}).setdefault(key, {})[peer] = float(value)
    if not found:
        raise ValueError("it has no figures of the benchmark versus")
    return found


def charts(compared: Comparison) -> dict[str, str]:
    """Return a chart of each transport, by name, as SVG."""
    return {
        f"versus-{transport}": bars.drawn(f"{TRANSPORTS[transport]}: MegaComet and others", _groups(figures), MARKED)
        for transport, figures in compared.items()
    }


def written(value: float) -> str:
    """Return a figure with three digits or all that it has before the point."""
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.2f}"


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
