"""The names that workers use stand together: those of the list, which is of this code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from megacomet.worker.interned import PATH, intern_all
from tests.interned import names

#: Of the names; below, `python -m tests.interned > megacomet/worker/interned.txt` is worth its while.
KNOWN = 0.95


def test_the_list_is_of_this_code() -> None:
    """Most of the names that code uses in workers are in the list, and most of the list is used."""
    listed, used = set(intern_all()), set(names())
    assert len(used) > 1000
    assert len(listed & used) >= KNOWN * max(len(listed), len(used)), f"out of date: {sorted(listed ^ used)}"


def test_each_stands_once() -> None:
    """In one line, and not again."""
    lines = Path(PATH).read_text("ascii").split("\n")
    assert lines.pop() == ""
    assert all(lines)
    assert len(lines) == len(set(lines))


def test_nothing_is_imported_for_it() -> None:
    """Else that would have made its names first."""
    code = "import sys; before = set(sys.modules); import megacomet.worker.interned; print(set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert eval(done.stdout) == {"megacomet", "megacomet.worker", "megacomet.worker.interned"}
