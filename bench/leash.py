"""Ends a process when whoever started both is gone: `python bench/leash.py PID`, with a pipe as standard input.

The kernel closes the pipe however its other end died; the process is told to end by SIGTERM then.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys


def main(pid: int) -> None:
    """Wait for the end of the input."""
    with contextlib.suppress(ProcessLookupError):
        process = os.pidfd_open(pid)  # not its number, which another process may have by then
        while os.read(0, 1024):
            pass
        signal.pidfd_send_signal(process, signal.SIGTERM)


if __name__ == "__main__":
    main(int(sys.argv[1]))
