"""What operators are given for Prometheus and Grafana: it can be read, and names only metrics that there are."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from megacomet.metrics.table import COUNTER, HISTOGRAM, METRICS

ROOT = Path(__file__).parents[1]
ALERTS = (ROOT / "etc/prometheus/alerts.yml").read_text("utf-8")
DASHBOARD: dict[str, Any] = json.loads((ROOT / "etc/grafana/megacomet.json").read_text("utf-8"))

#: Of what a scraper adds to each metric.
ADDED = {"instance", "job"}


def parse(text: str) -> Any:
    """Read YAML as far as our file uses it: mappings and lists by indentation, texts as in JSON."""
    bare = (line for line in text.splitlines() if line and not line.startswith("#"))
    lines = deque((len(line) - len(line.lstrip()), line.lstrip()) for line in bare)
    read = block(lines, 0)
    assert not lines, lines
    return read


def block(lines: deque[tuple[int, str]], indent: int) -> Any:
    """Read what stands at an indentation."""
    items: list[Any] = []
    while lines and lines[0][0] == indent and lines[0][1].startswith("- "):
        _, line = lines.popleft()
        lines.appendleft((indent + 2, line[2:]))
        items.append(block(lines, indent + 2))
    if items:
        return items
    mapping: dict[str, Any] = {}
    while lines and lines[0][0] == indent:
        key, colon, value = lines.popleft()[1].partition(":")
        assert colon
        assert key not in mapping, key
        mapping[key] = json.loads(value) if value else block(lines, lines[0][0])
    assert mapping, lines
    return mapping


def alerts() -> list[dict[str, Any]]:
    """All rules."""
    (group,) = parse(ALERTS)["groups"]
    assert group["name"] == "megacomet"
    return list(group["rules"])


def panels() -> list[dict[str, Any]]:
    """All panels, rows too."""
    return list(DASHBOARD["panels"])


def expressions() -> Iterator[tuple[str, str]]:
    """All of PromQL that we give away, and where it stands."""
    yield from ((rule["alert"], rule["expr"]) for rule in alerts())
    yield from ((panel["title"], target["expr"]) for panel in panels() for target in panel.get("targets", ()))
    yield from ((each["name"], each["expr"]) for each in DASHBOARD["annotations"]["list"])


def labels_of(name: str) -> set[str]:
    """The labels of what a query names; a histogram can only be asked for by its parts.

    Raises:
        KeyError: there is no such metric.
    """
    base = re.sub(r"_(bucket|count|sum)$", "", name)
    if base != name and METRICS[base].kind == HISTOGRAM:
        return {*METRICS[base].labels, "le"} if name.endswith("_bucket") else set(METRICS[base].labels)
    if METRICS[name].kind == HISTOGRAM:
        raise KeyError(name)
    return set(METRICS[name].labels)


@pytest.mark.parametrize(("where", "query"), list(expressions()))
def test_queries(where: str, query: str) -> None:
    """Each names metrics that there are, with labels that they have; of a counter only the growth is looked at."""
    named = re.findall(r"\b(megacomet_\w+)(?:\{(.*?)\})?(\[)?", query)
    assert named or query == 'up{job="megacomet"} == 0'
    have = set(ADDED)
    for name, matchers, is_range in named:
        labels = labels_of(name)
        have |= labels
        assert {label for label, _ in re.findall(r"(\w+)(=~|!=|!~|=)\"", matchers)} <= labels | ADDED, name
        goes_up = name.endswith("_bucket") or METRICS.get(name, METRICS["megacomet_ready"]).kind == COUNTER
        assert goes_up == bool(is_range) or "changes(" in query, name
    for by in re.findall(r"by \((.*?)\)", query):
        assert set(by.split(", ")) <= have, by
    assert [query.count(each) for each in "({["] == [query.count(each) for each in ")}]"]


def test_alerts() -> None:
    """Each has a name of its own, tells how bad it is, and stands in the page about operation with what to do."""
    page = (ROOT / "docs/operations/monitoring.md").read_text("utf-8")
    names = [rule["alert"] for rule in alerts()]
    assert re.findall(r"^\| `(MegaComet\w+)` \|", page, re.M) == names
    assert len(set(names)) == len(names)
    for rule in alerts():
        assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert re.fullmatch(r"\d+m", rule.get("for", "1m"))
        variables = re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])
        assert "instance" in variables


@pytest.mark.parametrize("text", ["a:\n  b", 'a: "x', 'a:\n  - b: "1"\n   c: "2"', 'a: "1"\na: "2"', "a:\n"])
def test_what_is_no_such_yaml(text: str) -> None:
    """The reader of the alerts takes nothing that it does not know."""
    with pytest.raises((AssertionError, ValueError, IndexError)):
        parse(text)


def test_labels_of_what_is_not_there() -> None:
    """The test of the queries sees what it is there for."""
    for name in ("megacomet_nothing", "megacomet_fanout_seconds", "megacomet_ready_count", "megacomet_fanout_bucket"):
        with pytest.raises(KeyError):
            labels_of(name)
    assert labels_of("megacomet_fanout_seconds_bucket") == {"le"}


def test_dashboard() -> None:
    """Panels have numbers of their own, do not overlap, and ask the source that was chosen."""
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)
    for one, other in combinations((panel["gridPos"] for panel in panels()), 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels())
    sources = {target["datasource"]["uid"] for panel in panels() for target in panel.get("targets", ())}
    assert sources == {"${source}"}
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["source", "instance"]


def test_legends() -> None:
    """A legend names labels that are left of the query."""
    for panel in panels():
        for target in panel.get("targets", ()):
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert re.search(rf"by \([^)]*\b{label}\b", target["expr"]) or "by (" not in target["expr"], target
