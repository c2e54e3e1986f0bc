"""Pages that may be merged."""

from __future__ import annotations

import subprocess
import sys

from megacomet.merging import agree

#: A process that agrees, and what the kernel says of its fork (PR_GET_MEMORY_MERGE).
FORK = """
import ctypes, os
from megacomet import merging
agreed = merging.agree()
if os.fork() == 0:
    print(agreed, ctypes.CDLL(None).prctl(68, 0, 0, 0, 0), flush=True)
    os._exit(0)
os.wait()
"""


def test_forks_agree_as_well() -> None:
    """Where the kernel can merge, it may in the forks too; where it cannot, nobody is disturbed."""
    told = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, check=True).stdout
    assert told in ("True 1\n", "False -1\n")


def test_a_kernel_that_does_not_know_of_it() -> None:
    """It says no (EINVAL), and that is told."""
    assert not agree(lambda *_: -1)
    assert agree(lambda *_: 0)
