"""Pages with the same content, which the kernel may keep once for a process and its forks.

Workers do the same, so most pages that each has a copy of are equal in all of them. Where the administrator has it on
(/sys/kernel/mm/ksm/run), the kernel looks for such pages in processes that agree to it, and merges them until somebody
writes. Where it is off, or older than Linux 6.4, nothing happens. Source: PR_SET_MEMORY_MERGE in linux/prctl.h, and
Documentation/admin-guide/mm/ksm.rst.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Final

_PR_SET_MEMORY_MERGE: Final = 67
_prctl: Final = ctypes.CDLL(None).prctl


def agree(prctl: Callable[[int, int, int, int, int], int] = _prctl) -> bool:
    """Agree to merging, for this process and those that it forks from now on; tells whether the kernel knows of it."""
    return prctl(_PR_SET_MEMORY_MERGE, 1, 0, 0, 0) == 0
