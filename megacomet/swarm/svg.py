"""Owns the drawing of a chart as SVG: axes with units, lines, text as text; readable on light and on dark.

No script, no font and no picture is loaded; the colours follow `prefers-color-scheme`. Nothing here knows a run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final
from xml.sax import saxutils

import attrs

WIDTH: Final = 720
HEIGHT: Final = 400
# The plot's edges.
LEFT: Final = 84
RIGHT: Final = WIDTH - 20
TOP: Final = 88
BOTTOM: Final = HEIGHT - 48
#: Lines are told apart by colour and by dashes; when the colours begin anew, each comes with the next dashes.
_DASHES: Final = ("", "7 4", "2 3", "10 3 2 3")
_STYLE: Final = (
    "text{{font:12px system-ui,sans-serif;fill:{ink}}}.t{{font-size:16px;font-weight:600}}"
    ".b{{fill:{paper}}}.g{{stroke:{grid};stroke-width:1}}.a{{stroke:{ink};stroke-width:1}}"
    ".m{{stroke:{mark};stroke-width:1;stroke-dasharray:2 4}}.s{{fill:{mark};font-size:11px}}"
)
#: No XML 1.0 has these, not as references either.
_NO_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FIXED: Final = "[class^=l]{fill:none;stroke-width:2;stroke-linejoin:round}"


@attrs.frozen
class Scheme:
    """The colours of one scheme.

    Attributes:
        colours: tell things apart; each has a contrast of 3:1 and more to the paper.
    """

    ink: str
    paper: str
    grid: str
    mark: str
    colours: Sequence[str]


_LIGHT: Final = Scheme(
    *("#1f2328", "#ffffff", "#e3e6ea", "#59636e"),
    ("#0b62c4", "#b3450a", "#1a7a37", "#8a3ab0"),
)
_DARK: Final = Scheme(
    *("#e6edf3", "#14181d", "#2f363d", "#9aa4af"),
    ("#6cb6ff", "#f0883e", "#56d364", "#d2a8ff"),
)


@attrs.frozen
class Axis:
    """One axis.

    Attributes:
        label: what is told, with its unit.
        most: its end; it begins at 0, a logarithmic one at `least`.
        least: where a logarithmic axis begins, 0: it is linear.
        show: how a figure at a tick is written.
    """

    label: str
    most: float
    least: float = 0.0
    show: Callable[[float], str] = lambda value: f"{value:,.10g}"

    def part(self, value: float) -> float:
        """Return where a value lies, 0 at the begin to 1 at the end; what lies outside is at the edge."""
        if self.least:
            found = math.log(max(value, self.least) / self.least) / math.log(self.most / self.least)
        else:
            found = value / self.most
        return min(1.0, max(0.0, found))

    def ticks(self) -> list[float]:
        """Return the values that are written."""
        if not self.least:
            return linear_ticks(self.most)
        first, last = round(math.log10(self.least)), round(math.log10(self.most))
        return [10.0**power for power in range(first, last + 1)]


@attrs.frozen
class Line:
    """A line of points (x, y), in the order of x.

    Attributes:
        steps: it stays at a point's height until the next one.
    """

    name: str
    points: Sequence[tuple[float, float]]
    steps: bool = False


@attrs.frozen
class Chart:
    """A chart.

    Attributes:
        marks: names of moments on the x axis.
    """

    title: str
    x: Axis
    y: Axis
    lines: Sequence[Line]
    marks: Sequence[tuple[str, float]] = ()


def linear_axis(label: str, most: float, show: Callable[[float], str] = lambda value: f"{value:,.10g}") -> Axis:
    """Return an axis that ends at a round number from `most` on."""
    most = most if most > 0 else 1.0
    return Axis(label, math.ceil(most / _step(most) - 1e-9) * _step(most), show=show)


def logarithmic_axis(
    label: str, least: float, most: float, show: Callable[[float], str] = lambda value: f"{value:,.10g}"
) -> Axis:
    """Return an axis from a power of ten to a power of ten, around both."""
    first = math.floor(math.log10(least) + 1e-9)
    return Axis(label, 10.0 ** max(first + 1, math.ceil(math.log10(most) - 1e-9)), 10.0**first, show)


def linear_ticks(most: float) -> list[float]:
    """Return 0 to `most` in round steps."""
    step = _step(most)
    return [step * n for n in range(int(most / step + 1e-9) + 1)]


def _step(most: float) -> float:
    """Return the round number of which four to ten make up the axis."""
    power = 10.0 ** math.floor(math.log10(most / 4))
    return next(power * each for each in (1, 2, 2.5, 5, 10) if most / (power * each) <= 10)


def place(chart: Chart, x: float, y: float) -> tuple[float, float]:
    """Return where a point lies in the picture, in its units of which it is `WIDTH` wide."""
    return LEFT + chart.x.part(x) * (RIGHT - LEFT), BOTTOM - chart.y.part(y) * (BOTTOM - TOP)


def drawn(chart: Chart) -> str:
    """Return the picture."""

    def colours(scheme: Scheme) -> str:
        each = enumerate(scheme.colours[n % len(scheme.colours)] for n in range(len(chart.lines)))
        return "".join(f".l{n}{{stroke:{colour}}}" for n, colour in each)

    body = [
        *_legend(chart.lines),
        *_axes(chart),
        *_marks(chart),
        *(_path(chart, n, line) for n, line in enumerate(chart.lines) if line.points),
    ]
    return page(chart.title, LEFT, HEIGHT, _FIXED, colours, body)


def page(title: str, left: int, height: int, fixed: str, colours: Callable[[Scheme], str], body: Sequence[str]) -> str:
    """Return a picture with its title, which begins at `left`, and its style.

    Args:
        fixed: rules that are the same in both schemes, with text and paper told already.
        colours: the rules that a scheme has besides.
        body: the elements below the title.
    """

    def rules(scheme: Scheme) -> str:
        named = {"ink": scheme.ink, "paper": scheme.paper, "grid": scheme.grid, "mark": scheme.mark}
        return _STYLE.format(**named) + colours(scheme)

    style = f"{fixed}{rules(_LIGHT)}@media(prefers-color-scheme:dark){{{rules(_DARK)}}}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{escaped(title)}</title>",
            f"<style>{style}</style>",
            f'<rect class="b" width="{WIDTH}" height="{height}"/>',
            f'<text class="t" x="{left}" y="24">{escaped(title)}</text>',
            *body,
            "</svg>\n",
        ]
    )


def escaped(text: str) -> str:
    """Return text as it stands in an element: what XML cannot have is U+FFFD there, as for who shows odd bytes."""
    return saxutils.escape(_NO_XML.sub("\ufffd", text))


def _legend(lines: Sequence[Line]) -> Iterator[str]:
    x = LEFT
    for n, line in enumerate(lines):
        yield f'<path class="l{n}"{_dash(n)} d="M{x} 44h26"/>'
        yield f'<text x="{x + 32}" y="48">{escaped(line.name)}</text>'
        x += 32 + int(6.4 * len(line.name)) + 18


def _axes(chart: Chart) -> Iterator[str]:
    for value in chart.y.ticks():
        _, y = place(chart, 0, value)
        yield f'<path class="g" d="M{LEFT} {y:.1f}H{RIGHT}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escaped(chart.y.show(value))}</text>'
    for value in chart.x.ticks():
        x, _ = place(chart, value, 0)
        yield f'<path class="a" d="M{x:.1f} {BOTTOM}v5"/>'
        yield f'<text x="{x:.1f}" y="{BOTTOM + 19}" text-anchor="middle">{escaped(chart.x.show(value))}</text>'
    yield f'<path class="a" d="M{LEFT} {BOTTOM}H{RIGHT}"/>'
    yield f'<text x="{(LEFT + RIGHT) // 2}" y="{HEIGHT - 10}" text-anchor="middle">{escaped(chart.x.label)}</text>'
    yield (
        f'<text x="14" y="{(TOP + BOTTOM) // 2}" text-anchor="middle" '
        f'transform="rotate(-90 14 {(TOP + BOTTOM) // 2})">{escaped(chart.y.label)}</text>'
    )


def _marks(chart: Chart) -> Iterator[str]:
    """Yield the moments, their names above the plot: one that would lie on another moves up a line."""
    free = [0.0, 0.0]
    for name, at in chart.marks:
        x, _ = place(chart, at, 0)
        width = 6.5 * len(name) + 8
        row = next((n for n, end in enumerate(free) if x >= end), len(free) - 1)
        anchor = "end" if x + width > RIGHT else "start"
        free[row] = x + width
        yield f'<path class="m" d="M{x:.1f} {TOP}V{BOTTOM}"/>'
        yield f'<text class="s" x="{x:.1f}" y="{TOP - 6 - 13 * row}" text-anchor="{anchor}">{escaped(name)}</text>'


def _path(chart: Chart, number: int, line: Line) -> str:
    """Return a line, each of its points told by how far it lies from the one before: that is half as long."""
    points = [place(chart, x, y) for x, y in line.points]
    tenths = [(round(10 * x), round(10 * y)) for x, y in points]
    (x, y), *rest = tenths
    words = [f"M{_written(x)} {_written(y)}"]
    for n, (next_x, next_y) in enumerate(rest):
        if next_y == y and n + 1 < len(rest) and rest[n + 1][1] == y:
            continue  # in the middle of what is level
        if line.steps and next_y != y:
            words.append(f"h{_written(next_x - x)}v{_written(next_y - y)}")
        else:
            words.append(f"l{_written(next_x - x)} {_written(next_y - y)}")
        x, y = next_x, next_y
    return f'<path class="l{number}"{_dash(number)} d="{"".join(words)}"/>'


def _written(tenths: int) -> str:
    return f"{tenths / 10:g}"


def _dash(number: int) -> str:
    dash = _DASHES[(number + number // len(_DASHES)) % len(_DASHES)]
    return f' stroke-dasharray="{dash}"' if dash else ""
