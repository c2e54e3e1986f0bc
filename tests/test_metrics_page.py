"""The page of the metrics: read back by the parsers of both formats, made once a second, and described."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from megacomet.metrics.page import FRESH_S, OPENMETRICS, TEXT, Page
from megacomet.metrics.readings import Reading, Times
from megacomet.metrics.table import HISTOGRAM, INFO, METRICS, Metric
from megacomet.model.histogram import BOUNDS_S

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| `(megacomet_\w+)` \| (\w+) \|(.*?)\| (.+) \|$", re.M)
OPEN = b"application/openmetrics-text"


def some() -> Iterator[Reading]:
    """A value for every metric."""
    for metric in METRICS.values():
        value = Times([1] * (len(BOUNDS_S) + 1), 12.5) if metric.kind == HISTOGRAM else 1
        yield Reading(metric.name, value, tuple(f'{name}\'s "x"\n' for name in metric.labels))


class Clock:
    """A clock, and how often something was read by it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.reads = 0

    def read(self) -> Iterator[Reading]:
        self.reads += 1
        yield from some()

    def page(self) -> Page:
        return Page(self.read, lambda: self.now)


def test_text() -> None:
    """Every metric is there once, with its type, and its value with its labels."""
    kind, body = Clock().page().render(b"*/*")
    assert kind == TEXT
    families = {family.name: family for family in parse_text(body.decode())}
    assert len(families) == len(METRICS)
    for metric in METRICS.values():
        # To this format an info is a gauge, and the parser gives a counter's name without its end.
        family = families[metric.name if metric.kind == INFO else metric.family]
        assert (family.type, family.documentation) == ("gauge" if metric.kind == INFO else metric.kind, metric.text)
        assert {name for sample in family.samples for name in sample.labels} - {"le"} == set(metric.labels)
        if metric.kind != HISTOGRAM:
            assert [(sample.name, sample.value) for sample in family.samples] == [(metric.name, 1.0)]


def test_openmetrics() -> None:
    """The strict parser of OpenMetrics takes it; units are told."""
    kind, body = Clock().page().render(OPEN + b";version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3")
    assert kind == OPENMETRICS
    assert body.endswith(b"# EOF\n")
    families = {family.name: family for family in parse_openmetrics(body.decode())}
    assert set(families) == {metric.family for metric in METRICS.values()}
    assert families["megacomet_written_bytes"].unit == "bytes"
    assert families["megacomet_ready"].unit == ""


def test_histograms() -> None:
    """The classes are added up, the last one has all."""
    _, body = Clock().page().render(b"")
    (family,) = (f for f in parse_text(body.decode()) if f.name == "megacomet_fanout_seconds")
    buckets = [(s.labels["le"], s.value) for s in family.samples if s.name.endswith("_bucket")]
    assert buckets == [*((str(b), n) for n, b in enumerate(BOUNDS_S, 1)), ("+Inf", len(BOUNDS_S) + 1)]
    assert [s.value for s in family.samples if not s.name.endswith("_bucket")] == [len(BOUNDS_S) + 1, 12.5]


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (b"", TEXT),
        (b"text/plain;version=0.0.4", TEXT),
        (b"application/json", TEXT),
        (OPEN, OPENMETRICS),
        (b"text/html, " + OPEN.upper() + b" ; version=0.0.1 ; q=0.5", OPENMETRICS),
        (OPEN + b";q=0.0, text/plain", TEXT),
        (OPEN + b"x", TEXT),
        (b";,;q,", TEXT),
        (OPEN + b";version=9\xff;escaping=allow-utf-8", OPENMETRICS),
    ],
)
def test_who_gets_which(accept: bytes, wanted: bytes) -> None:
    """OpenMetrics is for whoever names it."""
    assert Clock().page().render(accept)[0] == wanted


def test_it_is_made_once_a_second() -> None:
    """However many ask, in whatever form."""
    clock = Clock()
    page = clock.page()
    first = page.render(b"")[1]
    clock.now += FRESH_S / 2
    assert all(page.render(b"")[1] is first for _ in range(50))
    assert clock.reads == 1
    for _ in range(2):
        page.render(OPEN)
    assert clock.reads == 2
    clock.now += FRESH_S / 2
    assert page.render(b"")[1] == first
    assert clock.reads == 3


def test_the_reference_is_complete() -> None:
    """What is served stands in the reference, with its type and labels, in the same order, and nothing else does."""
    page = (ROOT / "docs/reference/metrics.md").read_text("utf-8")
    told = [(name, kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels, _ in ROW.findall(page)]
    assert told == [(metric.name, metric.kind, metric.labels) for metric in METRICS.values()]
    assert all(text.strip() for *_, text in ROW.findall(page))


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_names(metric: Metric) -> None:
    """Names are as Prometheus wants them."""
    assert re.fullmatch(r"megacomet(_[a-z]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.name.endswith("_info") == (metric.kind == INFO)
    assert not metric.family.endswith(("_bucket", "_count", "_sum"))
    assert metric.kind != HISTOGRAM or metric.unit == "seconds"
