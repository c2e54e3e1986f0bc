"""Reading the kernel's log: from /dev/kmsg, or by syslog(2) where a container has no such file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from megacomet.doctor.traces import messages, plain_messages, read_log

DEVICE: Final = "dev/kmsg"
#: The longest record that the kernel writes.
_RECORD_BYTES: Final = 8192
#: More records than a log has that is not being written to at the moment.
_MOST_RECORDS: Final = 200_000
#: SYSLOG_ACTION_READ_ALL, SYSLOG_ACTION_SIZE_BUFFER of syslog(2).
_READ_ALL: Final = 3
_SIZE: Final = 10


def kernel_messages(root: Path = Path("/")) -> list[str] | None:
    """Return what the kernel has logged, the oldest first; None: this user may not read it.

    Args:
        root: where `dev` is; of another root than the system's own nothing but its files is read.
    """
    by_file = (lambda: messages(_records(root / DEVICE)),)
    return read_log(by_file if root != Path("/") else (*by_file, _by_syslog))


def _records(device: Path) -> Iterator[bytes]:
    """Yield the records of the device; one read is one record.

    Raises:
        OSError: it cannot be opened, or read.
    """
    fd = os.open(device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        for _ in range(_MOST_RECORDS):
            try:
                record = os.read(fd, _RECORD_BYTES)
            except BlockingIOError:
                return  # that was the last one
            except BrokenPipeError:
                continue  # it was written over meanwhile, the next read begins behind it
            if not record:
                return
            yield record
    finally:
        with contextlib.suppress(OSError):
            os.close(fd)


def _by_syslog() -> list[str]:
    import ctypes  # it is large, and hardly anybody comes here

    return by_syslog(ctypes.CDLL(None, use_errno=True).klogctl)


def by_syslog(klogctl: Callable[..., int]) -> list[str]:
    """Return the messages that syslog(2) tells.

    Args:
        klogctl: the call, as the C library has it.

    Raises:
        OSError: it refuses.
    """
    import ctypes

    size = klogctl(_SIZE, None, 0)
    if size < 0:
        raise OSError(ctypes.get_errno(), "syslog(2)")
    buffer = ctypes.create_string_buffer(size)
    length = klogctl(_READ_ALL, buffer, size)
    if length < 0:
        raise OSError(ctypes.get_errno(), "syslog(2)")
    return plain_messages(buffer.raw[:length].decode("utf-8", "replace"))
