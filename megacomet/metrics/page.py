"""The page that scrapers are given: the readings in Prometheus' text format, or in OpenMetrics for who asks for that.

It is made once a second at most, however many ask: the workers tell their counts once a second too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, exposition
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from megacomet.metrics.readings import Reading, Times
from megacomet.metrics.table import METRICS
from megacomet.model.histogram import BOUNDS_S

#: A page is given to everybody for so long, seconds.
FRESH_S: Final = 1.0
TEXT: Final = b"text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = b"application/openmetrics-text; version=1.0.0; charset=utf-8"

_BOUNDS: Final = [*map(floatToGoString, BOUNDS_S), "+Inf"]


class _Readings(Collector):
    """The readings as families of samples."""

    def __init__(self, read: Callable[[], Iterable[Reading]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Family]:
        families = {m.name: Family(m.family, m.text, m.kind, m.unit) for m in METRICS.values()}
        for name, value, labels in self._read():
            metric, family = METRICS[name], families[name]
            named = dict(zip(metric.labels, labels, strict=True))
            if isinstance(value, Times):
                _add_times(family, value)
            else:
                family.add_sample(name, named, value)
        return iter(families.values())


def _add_times(family: Family, times: Times) -> None:
    for bound, count in zip(_BOUNDS, accumulate(times.counts), strict=True):
        family.add_sample(f"{family.name}_bucket", {"le": bound}, count)
    family.add_sample(f"{family.name}_count", {}, sum(times.counts))
    family.add_sample(f"{family.name}_sum", {}, times.sum_s)


class Page:
    """See the module."""

    def __init__(self, read: Callable[[], Iterable[Reading]], now: Callable[[], float]) -> None:
        """
        Args:
            read: gives the readings.
            now: seconds, monotonic.
        """
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Readings(read))
        self._now = now
        self._made_at = -math.inf
        self._made: dict[bytes, bytes] = {}

    def render(self, accept: bytes) -> tuple[bytes, bytes]:
        """Return content type and body.

        Args:
            accept: the header Accept, b"" when there is none.
        """
        now = self._now()
        if now >= self._made_at + FRESH_S:
            self._made_at = now
            self._made.clear()
        wanted = OPENMETRICS if wants_openmetrics(accept) else TEXT
        body = self._made.get(wanted)
        if body is None:
            generate = openmetrics.generate_latest if wanted is OPENMETRICS else exposition.generate_latest
            body = self._made[wanted] = generate(self._registry)
        return wanted, body


def wants_openmetrics(accept: bytes) -> bool:
    """Tell whether a header Accept names OpenMetrics; who takes it at all, can read it."""
    for item in accept.lower().split(b","):
        kind, *parameters = (part.strip() for part in item.split(b";"))
        if kind == b"application/openmetrics-text":
            return not any(p.startswith(b"q=") and not p[2:].strip(b"0.") for p in parameters)
    return False
