"""Charts as SVG: well-formed, small, their points where they belong, their text as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.swarm.svg import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Chart,
    Line,
    drawn,
    linear_axis,
    linear_ticks,
    logarithmic_axis,
    place,
)

SVG = "{http://www.w3.org/2000/svg}"


def chart(
    points: Sequence[tuple[float, float]] = ((0, 0), (10, 100)), *, name: str = "a line", most: float = 100
) -> Chart:
    return Chart("a title", linear_axis("s", 10), linear_axis("clients", most), [Line(name, points)])


def texts(svg: str) -> list[str]:
    return [found.text or "" for found in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def path(svg: str, number: int = 0) -> str:
    """The drawn line; the other of that class is in the legend."""
    found = [
        one.get("d", "") for one in ElementTree.fromstring(svg).iter(f"{SVG}path") if one.get("class") == f"l{number}"
    ]
    return found[-1]


def test_points() -> None:
    """The origin is at the lower left, the ends of both axes at the upper right."""
    assert place(chart(), 0, 0) == (LEFT, BOTTOM)
    assert place(chart(), 10, 100) == (RIGHT, TOP)
    assert place(chart(), 5, 50) == ((LEFT + RIGHT) / 2, (BOTTOM + TOP) / 2)
    assert place(chart(), 99, -5) == (RIGHT, BOTTOM)


def test_logarithmic_points() -> None:
    """Each power of ten has the same width."""
    made = Chart("", logarithmic_axis("ms", 0.3, 70), linear_axis("%", 100), [])
    assert made.x.ticks() == [0.1, 1.0, 10.0, 100.0]
    assert [round((place(made, x, 0)[0] - LEFT) / (RIGHT - LEFT), 3) for x in (0.1, 1, 10, 100)] == [0, 0.333, 0.667, 1]
    assert logarithmic_axis("ms", 1, 1).ticks() == [1.0, 10.0]


def test_a_line() -> None:
    """It goes through its points; of what is level only the ends are told."""
    svg = drawn(chart([(0, 0), (1, 100), (2, 100), (3, 100), (10, 0)]))
    assert path(svg) == f"M{LEFT} {BOTTOM}l61.6 -264l123.2 0l431.2 264"


def test_steps() -> None:
    """A rate holds until the next one."""
    svg = drawn(Chart("t", linear_axis("s", 10), linear_axis("y", 100), [Line("r", [(0, 0), (5, 100)], steps=True)]))
    assert path(svg) == f"M{LEFT} {BOTTOM}h308v-264"


def test_axes() -> None:
    """Both axes have their unit, and round figures."""
    found = texts(drawn(chart(most=1_234_567)))
    assert {"s", "clients", "a title", "a line"} <= set(found)
    assert {"0", "200,000", "1,400,000"} <= set(found)


@pytest.mark.parametrize(
    ("most", "ticks"),
    [
        (10, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (4, [0, 1, 2, 3, 4]),
        (75, [0, 10, 20, 30, 40, 50, 60, 70]),
    ],
)
def test_ticks(most: float, ticks: list[float]) -> None:
    """They are round."""
    assert linear_ticks(most) == pytest.approx(ticks)


@given(st.floats(1e-3, 1e12))
def test_axis_ends(most: float) -> None:
    """Whatever there is to show: it is on the axis, which is not much longer, and has a few ticks."""
    axis = linear_axis("y", most)
    assert most * 0.999 <= axis.most <= most * 1.26
    assert 4 <= len(axis.ticks()) <= 12
    assert axis.ticks()[-1] == pytest.approx(axis.most)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=40))
def test_escaping(name: str) -> None:
    """A name is a text whatever is in it, and never markup."""
    assert name in texts(drawn(chart(name=name)))


@pytest.mark.parametrize("odd", [*map(chr, (*range(0x20), 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0xFFFE, 0xFFFF))])
def test_characters_that_xml_does_not_have(odd: str) -> None:
    """They stand in JSON, and the picture is one all the same: each is shown as what cannot be shown."""
    name = f"a{odd}b"
    made = Chart(name, linear_axis(name, 1), linear_axis(name, 1), [Line(name, [(0, 0)])], [(name, 0.5)])
    shown = {"\t": "\t", "\n": "\n", "\r": "\n"}.get(odd, "\ufffd")  # who reads XML makes one end of line of all
    assert texts(drawn(made)).count(f"a{shown}b") == 5


@pytest.mark.parametrize("known", ["\x20", "\x7f", "\x85", "\ud7ff", "\ue000", "\ufffd", "\U00010000", "\U0010ffff"])
def test_characters_that_xml_has(known: str) -> None:
    """They stay as they are."""
    assert f"a{known}b" in texts(drawn(chart(name=f"a{known}b")))


def test_markup_in_all_places() -> None:
    """Title, axes, lines and moments are escaped."""
    bad = '<script>alert("&")</script>'
    made = Chart(bad, linear_axis(bad, 1), linear_axis(bad, 1), [Line(bad, [(0, 0)])], [(bad, 0.5)])
    svg = drawn(made)
    assert "<script" not in svg
    assert texts(svg).count(bad) == 5


def test_nothing_is_loaded() -> None:
    """No script, no font, no picture, no address but the name of the language itself; both colour schemes."""
    svg = drawn(chart())
    assert re.findall(r"https?://[^\"']*", svg) == ["http://www.w3.org/2000/svg"]
    for word in ("script", "href", "url(", "@import", "@font-face", "foreignObject", " on"):
        assert word not in svg
    assert "@media(prefers-color-scheme:dark)" in svg


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, as WCAG 2 reckons it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1])
def test_contrast(scheme: int) -> None:
    """On light and on dark, text has a contrast of 4.5 to 1, lines of 3 to 1."""
    lines = [Line(str(n), [(0, 0), (1, 1)]) for n in range(4)]
    svg = drawn(Chart("t", linear_axis("s", 1), linear_axis("y", 1), lines))
    style = svg.split("@media")[scheme]
    paper = re.search(r"\.b\{fill:(#\w{6})\}", style)
    assert paper is not None
    inks = re.findall(r"(?:text\{[^}]*|\.s\{)fill:(#\w{6})", style)
    colours = re.findall(r"\.l\d\{stroke:(#\w{6})\}", style)
    assert (len(inks), len(colours)) == (2, 4)
    assert min(contrast(ink, paper[1]) for ink in inks) >= 4.5
    assert min(contrast(colour, paper[1]) for colour in colours) >= 3


def test_many_lines() -> None:
    """No two of sixteen lines have both the colour and the dashes of each other."""
    lines = [Line(str(n), [(0, 0), (1, 1)]) for n in range(16)]
    svg = drawn(Chart("t", linear_axis("s", 1), linear_axis("y", 1), lines))
    colours = re.findall(r"\.l\d+\{stroke:(#\w{6})\}", svg.split("@media")[0])
    shown = [one for one in ElementTree.fromstring(svg).iter(f"{SVG}path") if "l" in one.get("d", "")]
    looks = {(colours[int(one.get("class", "l0")[1:])], one.get("stroke-dasharray")) for one in shown}
    assert len(shown) == len(looks) == 16


def test_moments_that_lie_together() -> None:
    """Names of moments that are close together stand in two rows, and one at the end does not leave the picture."""
    made = Chart("t", linear_axis("s", 100), linear_axis("y", 1), [], [("kill", 50), ("broadcast", 52), ("end", 100)])
    found = {one.text: one for one in ElementTree.fromstring(drawn(made)).iter(f"{SVG}text") if one.get("class") == "s"}
    assert found["kill"].get("y") != found["broadcast"].get("y")
    assert found["end"].get("text-anchor") == "end"
