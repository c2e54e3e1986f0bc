"""What megacomet top shows, for every size of a screen."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.cli.looks import Look
from megacomet.cli.screen import BOLD, COLUMNS, PLAIN, STANDOUT, Screen, View, screen
from megacomet.cli.text import safe, width
from tests.fake_server import STATS, worker

TIME = "2026-11-28T09:00:01.250Z"
NOW = "2026-11-28T09:00:00+00:00"


def look(*workers: dict[str, Any], **more: Any) -> Look:
    """Return a look at these workers."""
    rates = {"in": 2.5, "out": 12_345.0}
    return attrs.evolve(Look(TIME, None, STATS, workers, rates, NOW, "http://127.0.0.1:8080"), **more)


def many(count: int) -> Look:
    """Return a look at so many workers, each with as many connections as its number says."""
    return look(*(worker(n, connections={"poll": n}) for n in range(count)))


def texts(shown: Screen) -> list[str]:
    """Return the lines without their styles."""
    return [line.text for line in shown.lines]


def numbers(shown: Screen) -> list[int]:
    """Return which workers are shown, from above."""
    titles = next(n for n, text in enumerate(texts(shown)) if "WORKER" in text)
    return [int(text.split()[0]) for text in texts(shown)[titles + 1 : -1] if text]


def test_eighty_columns() -> None:
    """The figures, the table, the keys."""
    shown = screen(look(worker(0), worker(1, state="down", pid=None)), None, View(), 80, 12)
    assert texts(shown) == [
        "MegaComet 1.2.3  http://127.0.0.1:8080  up 1 d 1 h  09:00:01 UTC",
        "connections  1,000,003  poll 1,000,000  sse 2  stream 0  ws 1",
        "messages     in 2.5/s, 5 in all  out 12,345/s, 1,234 in all",
        "store        1.5 MB  messages 7  channels 3  waiting 0",
        "memory       400.0 MB  manager 40.0 MB  zygote 900 B  workers 360.0 MB",
        "loop lag     0.4 ms at most",
        "",
        "WORKER^  STATE  PID   CONNS   OPEN   MEMORY    CPU     LAG     UPTIME   RESTARTS",
        "      0  up     800       6      9   7.6 MB  4.0 %  0.4 ms  1 h 0 min          1",
        "      1  down     -       6      9   7.6 MB  4.0 %  0.4 ms  1 h 0 min          1",
        "",
        "q quit  space pause  sort w c o m p=CPU l u r  arrows scroll",
    ]
    assert [line.style for line in shown.lines] == [BOLD, *[PLAIN] * 6, BOLD, PLAIN, STANDOUT, PLAIN, BOLD]


def test_forty_columns() -> None:
    """Figures go on in the next line, the table has what matters most."""
    shown = screen(look(worker(0)), None, View(), 40, 14)
    assert texts(shown) == [
        "MegaComet 1.2.3  http://127.0.0.1:8080 ~",
        "connections  1,000,003  poll 1,000,000",
        "             sse 2  stream 0  ws 1",
        "messages     in 2.5/s, 5 in all",
        "             out 12,345/s, 1,234 in all",
        "store        1.5 MB  messages 7",
        "             channels 3  waiting 0",
        "memory       400.0 MB  manager 40.0 MB",
        "             zygote 900 B",
        "             workers 360.0 MB",
        "loop lag     0.4 ms at most",
        "WORKER^  STATE   CONNS   MEMORY    CPU",
        "      0  up          6   7.6 MB  4.0 %",
        "q quit  space pause  sort w c o m p=CPU~",
    ]
    assert texts(screen(look(worker(0)), None, View(), 40, 15))[11] == ""


def test_all_columns() -> None:
    """With room for them all columns are there, and a drain tells what is left."""
    shown = screen(look(worker(0, drain={"per_s": 1, "left": 4711}, state="draining")), None, View(), 200, 12)
    titles, row = texts(shown)[7:9]
    assert titles.split() == ["WORKER^", *(column.title for column in COLUMNS[1:])]
    assert "  draining 4,711  " in row


def test_what_is_not_known() -> None:
    """A worker without a link has gaps, and no worker at all has no table."""
    unknown = dict.fromkeys(("pid", "connections", "open", "memory_bytes", "cpu_share", "lag_s", "uptime_s"))
    shown = screen(look(worker(3, state="unlinked", **unknown)), None, View(), 80, 12)
    assert texts(shown)[8].split() == ["3", "unlinked", *["-"] * 7, "1"]
    assert "loop lag     - at most" in texts(shown)
    assert not any("WORKER" in text for text in texts(screen(look(), None, View(), 80, 12)))


def test_an_error() -> None:
    """What is wrong stands at the top, with the moment that the figures are of."""
    shown = screen(look(worker(0)), "no answer\x1b[2J", View(), 80, 24)
    assert shown.lines[0] == ("no answer\\x1b[2J; shown is 09:00:01 UTC", STANDOUT)
    assert numbers(shown) == [0]
    shown = screen(look(worker(0)), "no answer\x1b[2J", View(), 26, 24)
    assert texts(shown)[:2] == ["no answer\\x1b[2J; shown is", "09:00:01 UTC"]


def test_paused() -> None:
    """Whoever has paused sees it, and how to go on."""
    shown = screen(look(), None, View().pressed(" ", 1), 80, 24)
    assert "PAUSED" in texts(shown)[0]
    assert "space go on" in texts(shown)[-1]
    assert not View().pressed(" ", 1).pressed(" ", 1).is_paused


# Sorting


def test_sorting() -> None:
    """A key sorts by a column, the greatest first; the same key again turns it round."""
    by = View().pressed("c", 1)
    shown = screen(many(3), None, by, 80, 24)
    assert numbers(shown) == [2, 1, 0]
    assert "CONNSv" in texts(shown)[7]
    assert numbers(screen(many(3), None, by.pressed("c", 1), 80, 24)) == [0, 1, 2]
    assert numbers(screen(many(3), None, by.pressed("w", 1), 80, 24)) == [0, 1, 2]
    assert numbers(screen(many(3), None, by.pressed("w", 1).pressed("w", 1), 80, 24)) == [2, 1, 0]


@pytest.mark.parametrize("key", [column.key for column in COLUMNS if column.key])
@pytest.mark.parametrize("times", [1, 2])
def test_the_unknown_come_last(key: str, times: int) -> None:
    """By whatever is sorted, in whatever direction: of whom it is not known comes last."""
    unknown = dict.fromkeys(("connections", "open", "memory_bytes", "cpu_share", "lag_s", "uptime_s", "restarts"))
    view = View(sort="x")
    for _ in range(times):
        view = view.pressed(key, 1)
    shown = screen(look({**worker(0), **unknown, "restarts": None}, worker(1)), None, view, 80, 24)
    assert sorted(numbers(shown)) == [0, 1]
    assert key == "w" or numbers(shown) == [1, 0]


def test_other_keys() -> None:
    """A key that means nothing does nothing."""
    assert View().pressed("x", 1) == View().pressed("", 1) == View()


# Scrolling


def test_scrolling() -> None:
    """54 workers on a screen of 24 lines: all of them can be reached, and not more."""
    shown = screen(many(54), None, View(), 80, 24)
    assert (numbers(shown), shown.page) == (list(range(15)), 15)
    assert texts(shown)[-1].startswith("1-15 of 54  q quit")
    view = shown.view.pressed("down", 15).pressed("down", 15).pressed("up", 15)
    assert numbers(screen(many(54), None, view, 80, 24)) == list(range(1, 16))
    view = view.pressed("page down", 15)
    assert numbers(screen(many(54), None, view, 80, 24)) == list(range(16, 31))
    assert numbers(screen(many(54), None, view.pressed("page up", 15), 80, 24)) == list(range(1, 16))
    shown = screen(many(54), None, view.pressed("end", 15), 80, 24)
    assert (numbers(shown), shown.view.top) == (list(range(39, 54)), 39)
    assert numbers(screen(many(54), None, shown.view.pressed("down", 15), 80, 24)) == list(range(39, 54))
    assert numbers(screen(many(54), None, shown.view.pressed("home", 15), 80, 24)) == list(range(15))
    assert View().pressed("up", 15).top == 0
    assert View(top=5).pressed("c", 15).top == 0


def test_fewer_workers_than_before() -> None:
    """Who had scrolled far sees the last ones."""
    assert numbers(screen(many(20), None, View(top=39), 80, 24)) == list(range(5, 20))


def test_low_screens() -> None:
    """Figures give way to workers, and some workers are there as long as anything is."""
    for rows in range(5, 12):
        shown = screen(many(54), None, View(), 80, rows)
        assert len(shown.lines) == rows
        assert len(numbers(shown)) >= 2
        assert texts(shown)[0].startswith("MegaComet")


@given(
    st.integers(0, 60),
    st.integers(1, 200),
    st.integers(0, 70),
    st.sampled_from([None, "no answer 日本\x1b"]),
    st.text(st.sampled_from("wcomplur "), max_size=3),
    st.integers(0, 100),
)
def test_every_size(workers: int, columns: int, rows: int, error: str | None, keys: str, top: int) -> None:
    """Whatever the size: as many lines as there is room for, none too wide, none harmful."""
    view = View(top=top)
    for key in keys:
        view = view.pressed(key, 10)
    shown = screen(attrs.evolve(many(workers), address="日本\x9b"), error, view, columns, rows)
    assert len(shown.lines) == rows
    for line in shown.lines:
        assert width(line.text) <= columns
        assert line.text == safe(line.text)
