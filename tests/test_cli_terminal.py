"""The terminal of megacomet top: keys and looks come in, lines go out. A real one is in the integration tests."""

from __future__ import annotations

import curses
import os
import subprocess
import sys
from typing import Any, Final

import pytest

from megacomet.cli.looks import Looker
from megacomet.cli.terminal import _Looks, _Terminal, _terminated
from megacomet.errors import NoServer
from tests.fake_server import worker
from tests.test_cli_looks import FakeApi


class FakeWindow:
    """A window of curses: keys are written down before, -1 is none; what is drawn is kept.

    Attributes:
        drawn: every screen, as lines.
        size: rows and columns.
        is_ascii: whether the locale knows nothing else.
    """

    def __init__(self, *keys: int) -> None:
        self.drawn: list[list[str]] = []
        self.size = (24, 80)
        self.is_ascii = False
        self._keys = list(keys)
        self.before: dict[int, Any] = {}  # what happens before the key at a place

    def timeout(self, _ms: int) -> None:
        pass

    def getch(self) -> int:
        at = len(self._keys)
        if at in self.before:
            self.before[at]()
        return self._keys.pop(0)

    def getmaxyx(self) -> tuple[int, int]:
        return self.size

    def erase(self) -> None:
        self.drawn.append([])

    def addstr(self, row: int, _column: int, text: str, _style: int) -> None:
        if self.is_ascii:
            text.encode("ascii")
        assert row == len(self.drawn[-1])
        self.drawn[-1].append(text)
        if row == self.size[0] - 1 and len(text) == self.size[1]:
            raise curses.error("the last corner")

    def refresh(self) -> None:
        pass


@pytest.fixture
def api() -> FakeApi:
    """A server of 54 workers."""
    made = FakeApi()
    made.workers = [worker(n) for n in range(54)]
    return made


@pytest.fixture
def looks(api: FakeApi) -> _Looks:
    """Looks that nobody takes but the test: the thread does not run."""
    return _Looks(Looker(lambda: api), 0.001)


def shown(looks: _Looks, window: FakeWindow, count: int | None = None) -> list[list[str]]:
    """Run a terminal to its end; return what was drawn."""
    terminal = _Terminal(looks, looks._looker.look(), count)
    terminal.run(window)  # type: ignore[arg-type]
    return window.drawn


def first_worker(lines: list[str]) -> str:
    """Return the worker at the top of the table."""
    titles = next(n for n, text in enumerate(lines) if "WORKER" in text)
    return lines[titles + 1].split()[0]


def test_keys(looks: _Looks) -> None:
    """Each key is obeyed at once, unknown ones are passed over, q ends it."""
    window = FakeWindow(-1, curses.KEY_DOWN, curses.KEY_NPAGE, curses.KEY_END, curses.KEY_HOME, 0x1FF, ord("q"))
    drawn = shown(looks, window)
    assert [first_worker(lines) for lines in drawn] == ["0", "1", "16", "39", "0", "0"]


def test_a_pause(looks: _Looks) -> None:
    """Nobody looks during a pause."""
    window = FakeWindow(ord(" "), ord(" "), ord("q"))
    seen = []
    window.before = {2: lambda: seen.append(looks.goes.is_set()), 1: lambda: seen.append(looks.goes.is_set())}
    drawn = shown(looks, window)
    assert "PAUSED" in drawn[1][0]
    assert "PAUSED" not in drawn[2][0]
    assert seen == [False, True]


def test_a_size_that_changes(looks: _Looks) -> None:
    """What is drawn has the size of the moment, and the last corner is no obstacle."""
    window = FakeWindow(curses.KEY_RESIZE, ord("q"))
    window.before = {2: lambda: setattr(window, "size", (10, 40))}
    drawn = shown(looks, window)
    assert [len(lines) for lines in drawn] == [24, 10]


def test_a_locale_that_knows_little(looks: _Looks, api: FakeApi) -> None:
    """What cannot be shown is a question mark, and no reason to end."""
    api.stats = {**api.stats, "version": "1.2.\u00e4"}
    window = FakeWindow(ord("q"))
    window.is_ascii = True
    assert shown(looks, window)[0][0].startswith("MegaComet 1.2.?  ")


def test_a_server_that_goes_and_comes(looks: _Looks, api: FakeApi) -> None:
    """What is wrong stands at the top, the figures stay, and it goes away by itself."""

    def look(stats: Any) -> None:
        api.stats = stats
        looks.seen.put(looks._looker.try_to_look())

    window = FakeWindow(-1, -1, -1, ord("q"))
    well = api.stats
    window.before = {4: lambda: look(NoServer("nobody answers")), 3: lambda: look(well)}
    drawn = shown(looks, window)
    assert drawn[0][0].startswith("MegaComet 1.2.3")
    assert drawn[1][0].startswith("nobody answers; shown is ")
    assert drawn[1][1].startswith("MegaComet 1.2.3")
    assert drawn[2][0].startswith("MegaComet 1.2.3")


def test_a_count(looks: _Looks) -> None:
    """The first look counts, and so does one at which nothing was seen."""
    assert len(shown(looks, FakeWindow(), 1)) == 1
    window = FakeWindow(-1, -1)
    window.before = {2: lambda: [looks.seen.put(looks._looker.try_to_look()) for _ in range(5)]}
    assert len(shown(looks, window, 3)) == 2


def test_the_thread(api: FakeApi) -> None:
    """It looks until it is stopped, also out of a pause."""
    looks = _Looks(Looker(lambda: api), 0.001)
    looks.start()
    assert looks.seen.get().error is None
    looks.goes.clear()
    looks.stop()
    looks.join()
    assert not looks.is_alive()


def test_a_thread_that_pauses(api: FakeApi) -> None:
    """In a pause it waits, and goes on."""
    looks = _Looks(Looker(lambda: api), 0.001)
    looks.goes.clear()
    looks.start()
    looks.goes.set()
    assert looks.seen.get().error is None
    looks.stop()
    looks.join()


def test_sigterm() -> None:
    """It ends as a shell expects, by way of what restores the terminal."""
    with pytest.raises(SystemExit) as caught:
        _terminated(15, None)
    assert caught.value.code == 143


#: In a process of its own: curses looks at the terminal once.
CHECK: Final = """
from megacomet.cli.terminal import check_terminal
from megacomet.errors import SettingError
try:
    check_terminal()
except SettingError as e:
    print(e)
"""


def checked(name: str) -> str:
    """Return what is said of a terminal."""
    environ = {**os.environ, "TERM": name}
    done = subprocess.run([sys.executable, "-c", CHECK], env=environ, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("name", ["dumb", "no-such-terminal", ""])
def test_terminals_that_cannot(name: str) -> None:
    """A terminal that cannot place text is named."""
    assert checked(name) == (
        f"TERM = {name!r} (from the environment): must be a terminal that can place text; --json does without\n"
    )


def test_a_terminal_that_can() -> None:
    """Most can."""
    assert checked("xterm") == ""
