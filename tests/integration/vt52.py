"""A DEC VT52: shows what a program on a terminal has drawn. The oldest terminal that curses knows is the simplest."""

from __future__ import annotations

from typing import Final

NAME: Final = "vt52"
_TAB: Final = 8


class Vt52:
    """A screen of the VT52, in ASCII."""

    def __init__(self, rows: int, columns: int) -> None:
        self._rows, self._columns = rows, columns
        self._row = self._column = 0
        self._cells = [[" "] * columns for _ in range(rows)]
        self._unread = ""

    def feed(self, text: str) -> None:
        """Take what comes; a sequence may come in pieces."""
        self._unread += text
        while self._unread and (taken := self._take(self._unread)):
            self._unread = self._unread[taken:]

    @property
    def lines(self) -> list[str]:
        """What is shown, without blanks at the ends."""
        return ["".join(row).rstrip() for row in self._cells]

    def _take(self, text: str) -> int:
        """Obey what stands first; return how many signs that is, 0: the rest of it has not come yet."""
        if text[0] != "\x1b":
            self._show(text[0])
            return 1
        if len(text) < 2 or (text[1] == "Y" and len(text) < 4):
            return 0
        if text[1] == "Y":
            self._row, self._column = ord(text[2]) - 32, ord(text[3]) - 32
            return 4
        self._obey(text[1])
        return 2

    def _show(self, sign: str) -> None:
        if sign == "\r":
            self._column = 0
        elif sign == "\n":
            self._down()
        elif sign == "\b":
            self._column = max(0, self._column - 1)
        elif sign == "\t":
            self._column = min(self._columns - 1, (self._column // _TAB + 1) * _TAB)
        elif sign.isprintable():
            self._cells[self._row][self._column] = sign
            self._column = min(self._columns - 1, self._column + 1)

    def _obey(self, sign: str) -> None:
        if sign == "H":
            self._row = self._column = 0
        elif sign == "A":
            self._row = max(0, self._row - 1)
        elif sign == "B":
            self._row = min(self._rows - 1, self._row + 1)
        elif sign == "C":
            self._column = min(self._columns - 1, self._column + 1)
        elif sign == "D":
            self._column = max(0, self._column - 1)
        elif sign == "I":
            if self._row == 0:
                self._cells = [[" "] * self._columns, *self._cells[:-1]]
            self._row = max(0, self._row - 1)
        elif sign in "JK":
            self._cells[self._row][self._column :] = [" "] * (self._columns - self._column)
            if sign == "J":
                self._cells[self._row + 1 :] = [[" "] * self._columns for _ in range(self._rows - self._row - 1)]

    def _down(self) -> None:
        if self._row == self._rows - 1:
            self._cells = [*self._cells[1:], [" "] * self._columns]
        else:
            self._row += 1
