"""What `megacomet top` shows: figures and a size become lines. No terminal is known here.

From top to bottom: what is wrong, the server's figures, the workers as a table, the keys. Too narrow a screen loses
columns of the table, the least important first, and figures go on in the next line; too low a screen loses workers, to
which one scrolls, and then figures from below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import attrs

from megacomet.cli import figures
from megacomet.cli.figures import age, count, duration, lag, rate, share, size
from megacomet.cli.looks import Look
from megacomet.cli.text import cut, pad, safe, width

PLAIN: Final = ""
BOLD: Final = "bold"
#: Set off from the rest, whatever the terminal does for that.
STANDOUT: Final = "standout"

_GAP: Final = "  "
#: What the figures stand behind.
_LABEL: Final = 13
#: Rows of the table that are shown before figures give way.
_LEAST_ROWS: Final = 3


class Line(NamedTuple):
    """A line of the screen: safe, and no wider than it.

    Attributes:
        text: of it.
        style: `PLAIN`, `BOLD` or `STANDOUT`.
    """

    text: str
    style: str = PLAIN


class Column(NamedTuple):
    """A column of the table.

    Attributes:
        key: that sorts by it; "": none does.
        title: above it.
        figure: of a worker, as text.
        order: of a worker, to sort by; None comes last.
        weight: those with the least stay longest when it gets narrow.
    """

    key: str
    title: str
    figure: Callable[[Mapping[str, Any]], str]
    order: Callable[[Mapping[str, Any]], Any]
    weight: int


def _number(name: str, form: Callable[[Any], str]) -> tuple[Callable[..., str], Callable[..., Any]]:
    return lambda one: form(one.get(name)), lambda one: one.get(name)


def waiting(one: Mapping[str, Any]) -> int | None:
    """Return how many connections of a worker wait, None when it is not known."""
    connections = one.get("connections")
    return None if connections is None else sum(connections.values())


def _state(one: Mapping[str, Any]) -> str:
    drain = one.get("drain")
    return f"{one.get('state')} {count(drain.get('left'))}" if drain and drain.get("left") else str(one.get("state"))


COLUMNS: Final = (
    Column("w", "WORKER", lambda one: str(one.get("worker")), lambda one: one.get("worker"), 0),
    Column("", "STATE", _state, lambda one: one.get("state"), 1),
    Column("", "PID", lambda one: str(one.get("pid") or figures.UNKNOWN), lambda one: one.get("pid"), 8),
    Column("c", "CONNS", lambda one: count(waiting(one)), waiting, 2),
    Column("o", "OPEN", *_number("open", count), 7),
    Column("m", "MEMORY", *_number("memory_bytes", size), 3),
    Column("p", "CPU", *_number("cpu_share", share), 4),
    Column("l", "LAG", *_number("lag_s", lag), 5),
    Column("u", "UPTIME", *_number("uptime_s", duration), 6),
    Column("r", "RESTARTS", *_number("restarts", count), 9),
)
_BY_KEY: Final = {column.key: column for column in COLUMNS if column.key}
_AT_LEFT: Final = ("STATE",)
_FINE: Final = "up"


@attrs.frozen
class View:
    """What of the figures is shown, and how.

    Attributes:
        sort: key of the column that the table is sorted by.
        is_reverse: whether the greatest comes first.
        top: how many workers are above the screen.
        is_paused: whether the figures stand still.
    """

    sort: str = "w"
    is_reverse: bool = False
    top: int = 0
    is_paused: bool = False

    def pressed(self, key: str, page: int) -> View:
        """Return the view after a key.

        Args:
            key: a sign, or `up`, `down`, `page up`, `page down`, `home`, `end`.
            page: workers that are shown at once.
        """
        if key == " ":
            return attrs.evolve(self, is_paused=not self.is_paused)
        if key in _BY_KEY:
            # Of numbers the greatest are looked for; workers are counted from 0 on.
            is_reverse = not self.is_reverse if key == self.sort else key != "w"
            return attrs.evolve(self, sort=key, is_reverse=is_reverse, top=0)
        steps = {"up": -1, "down": 1, "page up": -page, "page down": page}
        if key in steps:
            return attrs.evolve(self, top=max(0, self.top + steps[key]))
        return attrs.evolve(self, top=0 if key == "home" else _END) if key in ("home", "end") else self


_END: Final = 1 << 30


@attrs.frozen
class Screen:
    """What is to be shown.

    Attributes:
        lines: from the top on.
        view: as it was, with `top` as far as there are workers.
        page: workers that are shown.
    """

    lines: Sequence[Line]
    view: View
    page: int


def screen(look: Look, error: str | None, view: View, columns: int, rows: int) -> Screen:
    """Return what is shown.

    Args:
        look: the last one at which something was seen.
        error: why nothing is seen now; None: something is.
        view: how.
        columns, rows: of the screen.
    """
    above = list(_above(look, error, view, columns))
    workers = sorted_workers(look.workers, view)
    title, body = table(workers, columns, view)
    room = rows - len(above) - 3  # an empty line, the titles, the keys
    least = min(len(workers), _LEAST_ROWS)
    if room < least:
        above = above[: max(1, rows - 2 - least)]
        room = rows - len(above) - 2
        gap = []
    else:
        gap = [Line("")]
    page = max(0, room)
    top = max(0, min(view.top, len(workers) - page))
    shown = body[top : top + page]
    lines = [*above, *gap, *([title] if workers else []), *shown]
    lines = lines[: max(0, rows - 1)]
    lines += [Line("")] * (rows - 1 - len(lines))
    lines += [Line(cut(_keys(len(workers), top, len(shown), view), columns), BOLD)] if rows > 0 else []
    return Screen(lines, attrs.evolve(view, top=top), page)


def _above(look: Look, error: str | None, view: View, columns: int) -> Iterator[Line]:
    """Yield what stands above the table."""
    moment = f"{look.time[11:19]} UTC"
    if error is not None:
        words = safe(f"{error}; shown is {moment}").split(" ")
        yield from (Line(text, STANDOUT) for text in flow("", words, columns))
    assert look.stats is not None
    stats = look.stats
    up = age(str(stats.get("started")), look.now)
    paused = "  PAUSED" if view.is_paused else ""
    head = f"MegaComet {stats.get('version')}{paused}  {look.address}  up {duration(up)}  {moment}"
    yield Line(cut(safe(head), columns), BOLD)
    for label, items in groups(look):
        yield from map(Line, flow(label, [safe(item) for item in items], columns))


def groups(look: Look) -> Iterator[tuple[str, list[str]]]:
    """Yield the figures above the table: what they are about, and what is told of it."""
    assert look.stats is not None
    stats = look.stats
    connections, messages, memory = stats["connections"], stats["messages"], stats["memory"]
    yield (
        "connections",
        [count(sum(connections.values())), *(f"{name} {count(number)}" for name, number in connections.items())],
    )
    yield "messages", [f"{way} {rate(look.rates.get(way))}, {count(number)} in all" for way, number in messages.items()]
    store = dict(stats["store"])
    held = size(store.pop("bytes", None))
    yield "store", [held, *(f"{name} {count(number)}" for name, number in store.items())]
    yield "memory", [size(sum(memory.values())), *(f"{name} {size(number)}" for name, number in memory.items())]
    lags = [one["lag_s"] for one in look.workers if one.get("lag_s") is not None]
    yield "loop lag", [f"{lag(max(lags, default=None))} at most"]


def flow(label: str, items: Sequence[str], columns: int) -> Iterator[str]:
    """Yield items behind a label, going on in the next line where there is no more room; without one, words."""
    gap, indent = (_GAP, " " * _LABEL) if label else (" ", "")
    line, is_empty = pad(label, len(indent)), True
    for item in items:
        if not is_empty and width(line) + len(gap) + width(item) > columns:
            yield cut(line, columns)
            line, is_empty = indent, True
        line += item if is_empty else gap + item
        is_empty = False
    yield cut(line, columns)


def sorted_workers(workers: Sequence[Mapping[str, Any]], view: View) -> list[Mapping[str, Any]]:
    """Return the workers in the order of the view; of whom it is not known, they come last."""
    order = _BY_KEY[view.sort].order
    known = [one for one in workers if order(one) is not None]
    return sorted(known, key=order, reverse=view.is_reverse) + [one for one in workers if order(one) is None]


def table(workers: Sequence[Mapping[str, Any]], columns: int, view: View) -> tuple[Line, list[Line]]:
    """Return the titles and the rows, with as many columns as there is room for."""
    figures_of = {column.title: [safe(column.figure(one)) for one in workers] for column in COLUMNS}
    # Each that can be sorted by has room for the mark, so that nothing moves when it is.
    widths = {one.title: max(map(width, (one.title + one.key[:1], *figures_of[one.title]))) for one in COLUMNS}
    kept = list(COLUMNS)
    while len(kept) > 1 and sum(widths[one.title] for one in kept) + len(_GAP) * (len(kept) - 1) > columns:
        kept.remove(max(kept, key=lambda one: one.weight))

    def row(texts: Sequence[str]) -> str:
        cells = (
            pad(text, widths[one.title], right=one.title not in _AT_LEFT) for one, text in zip(kept, texts, strict=True)
        )
        return cut(_GAP.join(cells).rstrip(), columns)

    mark = "v" if view.is_reverse else "^"
    titles = Line(row([f"{one.title}{mark if one.key == view.sort else ''}" for one in kept]), BOLD)
    return titles, [
        Line(row([figures_of[one.title][n] for one in kept]), PLAIN if worker.get("state") == _FINE else STANDOUT)
        for n, worker in enumerate(workers)
    ]


def _keys(workers: int, top: int, shown: int, view: View) -> str:
    """Return the line of the keys; where not all workers are shown, with which are."""
    where = f"{top + 1}-{top + shown} of {workers}  " if 0 < shown < workers else ""
    keys = " ".join(
        column.key if column.key == column.title[0].lower() else f"{column.key}={column.title}"
        for column in _BY_KEY.values()
    )
    return f"{where}q quit  space {'go on' if view.is_paused else 'pause'}  sort {keys}  arrows scroll"
