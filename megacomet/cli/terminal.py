"""The terminal of `megacomet top`, by curses: keys go to the view, lines to the screen; what they say, `screen` knows.

A thread looks at the server, so that a server that hangs holds up no keys. However this ends, by `q`, Ctrl-C or
SIGTERM, the terminal is as it was.
"""

from __future__ import annotations

import contextlib
import curses
import locale
import os
import queue
import signal
import sys
import threading
from types import FrameType
from typing import Final, NoReturn

from megacomet.cli.looks import Look, Looker
from megacomet.cli.screen import BOLD, STANDOUT, Screen, View, screen
from megacomet.cli.statuses import TERMINATED
from megacomet.errors import SettingError

#: Keys and new figures are looked for so often.
_TICK_MS: Final = 50
_KEYS: Final = {
    curses.KEY_UP: "up",
    curses.KEY_DOWN: "down",
    curses.KEY_PPAGE: "page up",
    curses.KEY_NPAGE: "page down",
    curses.KEY_HOME: "home",
    curses.KEY_END: "end",
}
_QUIT: Final = "q"
_STYLES: Final = {BOLD: curses.A_BOLD, STANDOUT: curses.A_STANDOUT}


def check_terminal() -> None:
    """See that the terminal can place text.

    Raises:
        SettingError: it cannot, or nobody knows.
    """
    name = os.environ.get("TERM", "")
    try:
        curses.setupterm(name, sys.stdout.fileno())
        can = curses.tigetstr("cup") is not None
    except curses.error:
        can = False
    if not can:
        raise SettingError("TERM", name, "a terminal that can place text; --json does without", "the environment")


def show(looker: Looker, first: Look, interval_s: float, count: int | None) -> None:
    """Show looks until it is enough.

    Args:
        looker: looks.
        first: the look that was taken already.
        interval_s: between two looks.
        count: so many looks; None: until a key ends it.
    """
    with contextlib.suppress(locale.Error):  # one that is not installed: then curses knows ASCII only
        locale.setlocale(locale.LC_ALL, "")
    signal.signal(signal.SIGTERM, _terminated)
    looks = _Looks(looker, interval_s)
    looks.start()
    try:
        curses.wrapper(_Terminal(looks, first, count).run)
    finally:
        looks.stop()


def _terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(TERMINATED)


class _Looks(threading.Thread):
    """Looks at the server once an interval; not while it is paused."""

    def __init__(self, looker: Looker, interval_s: float) -> None:
        super().__init__(daemon=True)  # whoever quits does not wait for a server that hangs
        self.seen: queue.SimpleQueue[Look] = queue.SimpleQueue()
        self._looker = looker
        self._interval_s = interval_s
        self._ended = threading.Event()
        self.goes = threading.Event()
        self.goes.set()

    def run(self) -> None:
        while not self._ended.wait(self._interval_s):
            self.goes.wait()
            if self._ended.is_set():
                return
            self.seen.put(self._looker.try_to_look())

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        self.goes.set()


class _Terminal:
    """Shows looks, and obeys keys."""

    def __init__(self, looks: _Looks, first: Look, count: int | None) -> None:
        self._looks = looks
        self._look = first
        self._error: str | None = None
        self._left = None if count is None else count - 1
        self._view = View()

    def run(self, window: curses.window) -> None:
        """Show until a key, or the count, ends it."""
        _hide_cursor()
        window.timeout(_TICK_MS)
        shown = self._draw(window)
        while self._left != 0:
            is_new = self._take()
            key = window.getch()
            if key == -1 and not is_new:
                continue
            if key != -1 and self._obey(key, shown.page):
                return
            shown = self._draw(window)

    def _take(self) -> bool:
        """Take what was seen meanwhile; tell whether there is something."""
        is_new = False
        while self._left != 0 and not self._looks.seen.empty():
            look = self._looks.seen.get()
            is_new, self._error = True, look.error
            if look.error is None:
                self._look = look
            if self._left is not None:
                self._left -= 1
        return is_new

    def _obey(self, key: int, page: int) -> bool:
        """Do what a key says; tell whether it is the end."""
        name = _KEYS.get(key) or (chr(key) if 0 <= key < 128 else "")
        if name == _QUIT:
            return True
        self._view = self._view.pressed(name, page)
        if self._view.is_paused:
            self._looks.goes.clear()
        else:
            self._looks.goes.set()
        return False

    def _draw(self, window: curses.window) -> Screen:
        rows, columns = window.getmaxyx()
        shown = screen(self._look, self._error, self._view, columns, rows)
        self._view = shown.view
        window.erase()
        for row, line in enumerate(shown.lines):
            style = _STYLES.get(line.style, curses.A_NORMAL)
            # The last corner of a screen cannot be written without scrolling it; or it has just shrunk.
            with contextlib.suppress(curses.error):
                try:
                    window.addstr(row, 0, line.text, style)
                except UnicodeEncodeError:  # the locale has not all of it
                    window.addstr(row, 0, line.text.encode("ascii", "replace").decode(), style)
        window.refresh()
        return shown


def _hide_cursor() -> None:
    try:
        curses.curs_set(0)
    except curses.error:
        pass  # this terminal cannot
