"""The names that workers use, made before all others.

Python has each name once, in the place where the first module stood that has it; to look something up by it counts its
references, so the page is written to, and a fork has a copy of it. The names of what runs in workers stand side by side
when they are made before anything else is imported: each of 54 workers has 0.2 MB less for itself (bench/RESULTS.md).

The list is made by `python -m tests.interned`. One that is out of date costs a little of that memory and does no harm;
a test says when it is worth making it anew. This imports nothing that Python has not imported at its start.
"""

import os
import sys

PATH = os.path.join(os.path.dirname(__file__), "interned.txt")


def intern_all() -> list[str]:
    """Make the names; they stay as long as somebody has the list, or uses them."""
    with open(PATH, encoding="ascii") as file:
        return [sys.intern(line) for line in file.read().split()]
