"""Bars: as long as their figures, on both kinds of axes, with text as text; one name stands out."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

from megacomet.swarm.bars import Group, drawn, length
from megacomet.swarm.svg import WIDTH, linear_axis, logarithmic_axis

SVG = "{http://www.w3.org/2000/svg}"
FIGURES = [("ours & co", 300.0, "300 B"), ("theirs", 42_000.0, "42,000 B"), ("another", 0.0, "0")]


def group(*, logarithmic: bool = False) -> Group:
    axis = logarithmic_axis("", 300, 42_000) if logarithmic else linear_axis("", 42_000)
    return Group("bytes, B", FIGURES, axis, "(less is <better>)")


def elements(svg: str, name: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter(SVG + name))


def test_lengths() -> None:
    """A bar is as long as its figure; on a logarithmic axis each power of ten has the same length."""
    assert length(group(), 42_000) == 2 * length(group(), 21_000) > 0
    assert length(group(), 0) == 0
    parts = [length(group(logarithmic=True), figure) for figure in (10, 100, 1_000, 10_000, 100_000)]
    assert parts[:2] == [0, 0]
    assert round(parts[2] / parts[4], 6) == round(1 / 3, 6)
    assert round(parts[3] / parts[4], 6) == round(2 / 3, 6)


def test_bars() -> None:
    """Each figure has its bar, its name and how it is written; who is marked has another colour."""
    svg = drawn("who & what", [group()], "ours & co")
    texts = [each.text for each in elements(svg, "text")]
    assert {"who & what", "bytes, B ", "ours & co", "300 B", "theirs", "42,000 B"} <= set(texts)
    assert [each.text for each in elements(svg, "tspan")] == ["(less is <better>)"]
    bars = elements(svg, "rect")[1:]
    assert [each.get("class") for each in bars] == ["f1", "f0", "f0"]
    assert [float(each.get("width", "")) for each in bars] == [round(length(group(), f), 1) for _, f, _ in FIGURES]


def test_names_that_xml_does_not_have() -> None:
    """Whatever stands in all places, the picture is one."""
    bad = "a\0\x1b\ud800\ufffeb"
    svg = drawn(bad, [Group(bad, [(bad, 1.0, bad)], linear_axis("", 1, lambda _: bad), bad)], bad)
    shown = "a\ufffd\ufffd\ufffd\ufffdb"
    told = [each.text for name in ("title", "text", "tspan") for each in elements(svg, name)]
    assert set(told) == {shown, f"{shown} "}


def test_groups() -> None:
    """Groups stand side by side, two in a row, and nothing leaves the picture."""
    svg = drawn("t", [group(), group(logarithmic=True), group()], "theirs")
    _, _, width, height = map(float, ElementTree.fromstring(svg).get("viewBox", "").split())
    bars = elements(svg, "rect")[1:]
    ends = [float(each.get("x", "")) + float(each.get("width", "")) for each in bars]
    lefts, tops = ([float(each.get(name, "")) for each in bars[::3]] for name in ("x", "y"))
    assert width == WIDTH
    assert max(ends) < width
    assert lefts[0] == lefts[2] < lefts[1]
    assert tops[0] == tops[1] < tops[2] < height


def test_ticks_have_room() -> None:
    """Figures on an axis do not lie on each other: some are left out."""
    wide = Group("t", [("a", 900_000.0, "900,000")], linear_axis("", 900_000))
    shown = [each for each in elements(drawn("t", [wide], "a"), "text") if each.get("class") == "s"]
    places = [float(each.get("x", "")) for each in shown]
    assert 2 <= len(shown) < len(wide.axis.ticks())
    assert min(b - a for a, b in itertools.pairwise(places)) > 40
