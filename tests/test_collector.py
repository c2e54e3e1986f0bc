"""The garbage collector of a process that has started."""

import gc
import os
import subprocess
import sys

import pytest

from megacomet import collector


def test_what_exists_is_left_out_and_the_rest_is_searched_seldom():
    """A started process does not search what it imported."""
    before = gc.get_threshold()
    try:
        collector.calm()
        assert gc.get_freeze_count() > 1000
        assert gc.get_threshold() == collector.THRESHOLDS
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


#: A process full of holes: every other of many objects of one size is gone.
HOLES = """
import gc
import os
import subprocess
import sys
from megacomet import collector

make, size = {
    "bytes": (lambda n: bytes(100), 144),
    "numbers": (lambda n: n + 10**6, 32),
    "objects": (lambda n: object(), 16),
}[sys.argv[1]]
objects = [make(n) for n in range(20_000)]
del objects[::2]
holes = collector.free_blocks()[size]
collector.freeze()
print(size, holes, collector.free_blocks()[size], gc.get_freeze_count())
"""


@pytest.mark.parametrize("kind", ["bytes", "numbers", "objects"])
def test_what_is_forked_has_no_holes(kind: str):
    """New objects of a fork do not go between the old ones: no block of their size is free there."""
    told = subprocess.run([sys.executable, "-c", HOLES, kind], capture_output=True, text=True, check=True)
    assert told.stderr == ""
    size, holes, left, frozen = map(int, told.stdout.split())
    assert holes >= 9_000
    assert left < 16_384 // size  # those of a pool that was begun meanwhile
    assert frozen > 1000


def test_a_python_with_another_allocator():
    """Where Python has no pools it tells of none, and nothing is filled."""
    environ = {**os.environ, "PYTHONMALLOC": "malloc"}
    code = "from megacomet import collector; collector.freeze(); print(collector.free_blocks())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ)
    assert (told.stdout, told.stderr) == ("{}\n", "")


#: The same with what is too large for Python's own blocks.
CHUNKS = """
from megacomet import collector

objects = [bytes(4_000) for _ in range(2_000)]
holes = {id(each) for each in objects[::2]}
del objects[::2]
collector.freeze()
print(sum(id(each) in holes for each in [bytes(4_000) for _ in range(500)]))
"""


def test_what_is_forked_has_no_large_holes():
    """New objects of thousands of bytes do not go between the old ones either."""
    told = subprocess.run([sys.executable, "-c", CHUNKS], capture_output=True, text=True, check=True)
    assert (told.stdout, told.stderr) == ("0\n", "")


#: Most of what a process has taken is free, but the last of it is in use.
TRIMMED = """
from megacomet import collector
from megacomet.manager.memory import pss_of
import os

objects = [bytes(4_000) for _ in range(20_000)]
last = objects[-1]
objects = None
before = pss_of(os.getpid())
print(collector.trim(), before - pss_of(os.getpid()) > 70_000_000)
"""


def test_what_nobody_uses_is_given_back():
    """Memory that was needed for a moment is the system's again, be it that something behind it is still in use."""
    told = subprocess.run([sys.executable, "-c", TRIMMED], capture_output=True, text=True, check=True)
    assert (told.stdout, told.stderr) == ("True True\n", "")
