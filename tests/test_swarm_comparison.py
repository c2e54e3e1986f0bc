"""The comparison with others: its figures are found in JSON, and drawn as bars."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from megacomet.swarm.comparison import MEASURES, charts, comparison, written


def told(transport: str = "ws", peer: str = "MegaComet", **values: Any) -> list[dict[str, Any]]:
    """A figure of each measure, 10 but for those that are given."""
    values = {measure.key: 10.0 for measure in MEASURES} | values
    return [{"key": f"{transport}/{key}/{peer}", "value": value} for key, value in values.items()]


def test_comparison() -> None:
    """What stands in the JSON is found again by transport, measure and peer; other benchmarks' figures are not."""
    both = [*told(p99=3.0), *told(peer="aiohttp", p99=2.0), *told("sse")]
    found = comparison([*both, {"key": "", "value": 7}, {"key": "ws/what/aiohttp", "value": 8}])
    assert found["ws"]["p99"] == {"MegaComet": 3.0, "aiohttp": 2.0}
    assert list(found) == ["ws", "sse"]
    with pytest.raises(ValueError, match="no figures"):
        comparison([{"key": "", "value": 7}])


@pytest.mark.parametrize("value", [None, "7", True, [], float("inf"), float("nan"), 10**400])
def test_no_number(value: Any) -> None:
    """A figure that is none is told by its key."""
    with pytest.raises(ValueError, match="ws/p50/MegaComet: no number: "):
        comparison(told(p50=value))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.4567, "0.46"), (9.99, "9.99"), (9.996, "10.0"), (99.94, "99.9"), (99.96, "100"), (1e6, "1,000,000")],
)
def test_written(value: float, text: str) -> None:
    """A figure has three digits, or all that stand before the point."""
    assert written(value) == text


def test_charts() -> None:
    """A chart of each transport, with every peer; the scale is logarithmic where figures lie far apart."""
    some = told(memory=300, p50=1.0) + told(peer="Pushpin", memory=42_000, p50=2.0)
    drawn = charts(comparison([*some, *told("sse")]))
    assert list(drawn) == ["versus-ws", "versus-sse"]
    texts = [each.text for each in ElementTree.fromstring(drawn["versus-ws"]).iter("{http://www.w3.org/2000/svg}text")]
    assert "memory per idle connection, B " in texts
    assert texts.count("Pushpin") == texts.count("MegaComet") == 6
    assert {"100", "1,000", "10,000", "100,000"} <= set(texts)
    assert len(drawn["versus-ws"]) < 20_000
