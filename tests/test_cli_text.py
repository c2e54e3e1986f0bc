"""Text on a terminal: harmless, measured, cut and set in columns."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.cli.text import CUT, cut, pad, safe, table, width


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("news", "news"),
        ("", ""),
        ("ä日本é", "ä日本é"),
        ("\x1b[2Jx", "\\x1b[2Jx"),
        ("\x9b2J", "\\x9b2J"),
        ("a\nb\tc\r\x7f", "a\\x0ab\\x09c\\x0d\\x7f"),
        ("abc\u202edef", "abc\\u202edef"),
        ("\u200b\u2028", "\\u200b\\u2028"),
        ("\udc80", "\\udc80"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_safe(text: str, shown: str) -> None:
    """What a terminal would obey is shown instead."""
    assert safe(text) == shown


@given(st.text(st.characters()))
def test_nothing_unsafe_is_left(text: str) -> None:
    """Whatever comes: no control, no format, no line break."""
    assert all(unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for sign in safe(text))


@pytest.mark.parametrize(
    ("text", "columns"), [("", 0), ("abc", 3), ("日本", 4), ("e\u0301", 1), ("\uff46", 2), ("ä", 1)]
)
def test_width(text: str, columns: int) -> None:
    """East Asian wide characters take two columns, marks none."""
    assert width(text) == columns


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        *(("abc", 3, "abc"), ("abcd", 3, f"ab{CUT}"), ("abc", 1, CUT), ("abc", 0, ""), ("", 0, ""), ("abc", -5, "")),
        *(("日本語", 6, "日本語"), ("日本語", 5, f"日本{CUT}"), ("日本語", 4, f"日{CUT}")),
        ("e\u0301e\u0301e\u0301", 2, f"e\u0301{CUT}"),
    ],
)
def test_cut(text: str, columns: int, shown: str) -> None:
    """What is too wide ends with a mark, and is not wider than it may be."""
    assert cut(text, columns) == shown


@given(st.text(), st.integers(0, 20))
def test_cut_fits(text: str, columns: int) -> None:
    """Whatever is cut fits."""
    assert width(cut(safe(text), columns)) <= columns


def test_pad() -> None:
    """Texts are filled up by columns, not by characters."""
    assert pad("日", 4) == "日  "
    assert pad("日", 4, right=True) == "  日"
    assert pad("abc", 2) == "abc"


def test_table() -> None:
    """Columns stand below each other, nothing trails, and nothing unsafe is in a cell."""
    rows = [("NAME", "N", "MORE"), ("日本", "12", ""), ("a\x1b", "7", "x")]
    assert table(rows, right=[1]) == ["NAME    N  MORE", "日本   12", "a\\x1b   7  x"]
