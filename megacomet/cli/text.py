"""Text on a terminal: made harmless, measured as a terminal shows it, and set in columns.

What comes from a server may hold anything: an escape sequence in it could write over what stands there, or worse.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

#: Controls, formats (they turn the direction of writing), surrogates, private and unassigned ones; line separators.
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_NO_WIDTH: Final = frozenset({"Mn", "Me"})
_WIDE: Final = frozenset({"W", "F"})
CUT: Final = "~"


def safe(text: str) -> str:
    """Return a text with every character escaped that a terminal would obey instead of show, line breaks too."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_safe, text))


def is_safe(sign: str) -> bool:
    """Tell whether a terminal shows a character, and does not obey it."""
    return unicodedata.category(sign) not in _UNSAFE


def _safe(sign: str) -> str:
    if is_safe(sign):
        return sign
    number = ord(sign)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def width(text: str) -> int:
    """Return how many columns a text takes, as far as `unicodedata` tells; it must be safe."""
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(sign: str) -> int:
    if unicodedata.category(sign) in _NO_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(sign) in _WIDE else 1


def cut(text: str, columns: int) -> str:
    """Return a text that takes so many columns at most; one that was longer ends with `CUT`."""
    if width(text) <= columns:
        return text
    if columns < len(CUT):
        return ""
    taken, left = [], columns - len(CUT)
    for sign in text:
        left -= _width(sign)
        if left < 0:
            break
        taken.append(sign)
    return "".join(taken) + CUT


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Fill a text up to so many columns; `right` sets it at their right end."""
    fill = " " * (columns - width(text))
    return fill + text if right else text + fill


def table(rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """Set rows in columns, two spaces between them, and make them safe.

    Args:
        rows: of the same length; a heading is one of them.
        right: columns that are set at their right end.
    """
    cells = [[safe(cell) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
    at_right = frozenset(right)
    return [
        "  ".join(pad(cell, widths[n], right=n in at_right) for n, cell in enumerate(row)).rstrip() for row in cells
    ]
