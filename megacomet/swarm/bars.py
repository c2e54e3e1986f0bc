"""Owns the drawing of figures that are compared, as groups of bars in one picture, in the manner of `svg`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from megacomet.swarm.svg import WIDTH, Axis, Scheme, escaped, page

_MARGIN: Final = 20
_TOP: Final = 44
_COLUMNS: Final = 2
#: Of a group: how wide it is, what its names and the figures behind its bars have of that, how high its parts are.
_GROUP_WIDTH: Final = (WIDTH - _MARGIN) // _COLUMNS - _MARGIN
_NAMES: Final = 84
_FIGURES: Final = 62
_HEADING: Final = 28
_BAR: Final = 20
_FOOT: Final = 36
#: A character of the small letters of an axis, with what has to be between two figures.
_CHARACTER: Final = 6.2
_BETWEEN: Final = 10.0
_FIXED: Final = ".h{font-weight:600}.n{font-weight:400}"


@attrs.frozen
class Group:
    """One figure of several things.

    Attributes:
        title: what is told, with its unit.
        bars: (name, figure, how the figure is written), from above.
        axis: along the bars; its label is not written, the title says it.
        note: behind the title.
    """

    title: str
    bars: Sequence[tuple[str, float, str]]
    axis: Axis
    note: str = ""


def drawn(title: str, groups: Sequence[Group], marked: str) -> str:
    """Return the picture: the groups in two columns, from left to right.

    Args:
        marked: the name whose bars have another colour.
    """

    def colours(scheme: Scheme) -> str:
        return f".f0{{fill:{scheme.mark}}}.f1{{fill:{scheme.colours[0]}}}"

    body: list[str] = []
    y = _TOP
    for n in range(0, len(groups), _COLUMNS):
        row = groups[n : n + _COLUMNS]
        for column, group in enumerate(row):
            body += _group(group, _MARGIN + column * (_GROUP_WIDTH + _MARGIN), y, marked)
        y += max(map(_height, row))
    return page(title, _MARGIN, y, _FIXED, colours, body)


def _height(group: Group) -> int:
    return _HEADING + len(group.bars) * _BAR + _FOOT


def length(group: Group, figure: float) -> float:
    """Return how long a bar is, in the units of the picture."""
    return group.axis.part(figure) * (_GROUP_WIDTH - _NAMES - _FIGURES)


def _group(group: Group, x: int, y: int, marked: str) -> Iterator[str]:
    left, above = x + _NAMES, y + _HEADING
    below = above + len(group.bars) * _BAR
    note = f' <tspan class="n">{escaped(group.note)}</tspan>' if group.note else ""
    yield f'<text class="h" x="{x}" y="{y + 16}">{escaped(group.title)}{note}</text>'
    for value in _shown(group):
        at = left + length(group, value)
        yield f'<path class="g" d="M{at:.1f} {above}V{below}"/>'
        text = escaped(group.axis.show(value))
        yield f'<text class="s" x="{at:.1f}" y="{below + 14}" text-anchor="middle">{text}</text>'
    for n, (name, figure, written) in enumerate(group.bars):
        top, wide = above + n * _BAR, length(group, figure)
        yield f'<text x="{left - 8}" y="{top + 14}" text-anchor="end">{escaped(name)}</text>'
        yield f'<rect class="f{int(name == marked)}" x="{left}" y="{top + 3}" width="{wide:.1f}" height="{_BAR - 6}"/>'
        yield f'<text x="{left + wide + 6:.1f}" y="{top + 14}">{escaped(written)}</text>'
    yield f'<path class="a" d="M{left} {above}V{below}"/>'


def _shown(group: Group) -> list[float]:
    """Return as many of the axis' ticks as there is room for."""
    ticks = group.axis.ticks()
    widest = max(len(group.axis.show(value)) for value in ticks) * _CHARACTER + _BETWEEN
    return ticks[:: math.ceil(len(ticks) * widest / (_GROUP_WIDTH - _NAMES - _FIGURES + widest))]
