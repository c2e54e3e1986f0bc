"""The same bytes to many sockets in one system call: io_uring(7), where the kernel has it.

Theory of operation. The ring is two mappings that are shared with the kernel: entries of 64 bytes that say what is to
be done, and results of 16 bytes. All entries are laid out once; for the next sockets only their descriptors change,
which is one copy with a stride, and for the next message its address and length. The sends do not wait (MSG_DONTWAIT),
so that all of them are over when the system call returns: nothing refers to the bytes or to a descriptor any more, the
results lie there, and who closes a socket needs to know nothing of this.

What it saves are Python's loop around write(2) and an entry into the kernel for each socket (bench/RESULTS.md).

Sources: io_uring_setup(2), io_uring_enter(2), linux/io_uring.h. The numbers are the same on all architectures.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import struct
import weakref
from array import array
from typing import Any, Final

_SETUP: Final = 425
_ENTER: Final = 426
_SEND: Final = 26
_SQ_RING: Final = 0
_SQES: Final = 0x1000_0000
_SINGLE_MMAP: Final = 1

#: io_uring_params: entries of both rings, flags, cpu, idle time, features, file, then three words and the offsets.
_PARAMS: Final = struct.Struct("=7I12x8IQ8IQ")
#: io_uring_sqe: opcode, flags, priority, descriptor, offset, address, length, flags of send(2), user data, the rest.
_SQE: Final = struct.Struct("=BBHiQQIIQ24x")
_CQE_BYTES: Final = 16
#: Where a word of an entry is, in units of its own size.
_FD: Final = slice(1, None, _SQE.size // 4)
_ADDRESS: Final = slice(2, None, _SQE.size // 8)
_LENGTH: Final = slice(6, None, _SQE.size // 4)
_RESULT: Final = slice(2, None, _CQE_BYTES // 4)
_USER_DATA: Final = slice(0, None, _CQE_BYTES // 8)
_WRAPS: Final = 0x1_0000_0000


class Ring:
    """Sends to as many sockets at once as it has entries; for one process and one thread.

    Attributes:
        entries: how many.
        is_broken: whether it is of no use any more.
    """

    def __init__(self, entries: int) -> None:
        """Have the kernel make one.

        Args:
            entries: a power of two.

        Raises:
            OSError: the kernel has none, or does not let us: an old one, kernel.io_uring_disabled, a seccomp filter.
        """
        self.is_broken = False
        self._libc = ctypes.CDLL(None, use_errno=True)
        params = ctypes.create_string_buffer(_PARAMS.size)
        self._fd = self._call(_SETUP, entries, params)
        self._close = weakref.finalize(self, os.close, self._fd)  # whoever forgets it gives it back as well
        try:
            self._map(_PARAMS.unpack(params.raw))
            self._check()
        except BaseException:
            self._close()
            raise

    def _call(self, number: int, *arguments: Any) -> int:
        result: int = self._libc.syscall(number, *arguments)
        if result < 0:
            error = ctypes.get_errno()
            raise OSError(error, f"io_uring: {os.strerror(error)}")
        return result

    def _map(self, params: tuple[int, ...]) -> None:
        self.entries, results, features = params[0], params[1], params[5]
        sq_head, sq_tail, _, _, _, _, sq_array, *_ = params[7:16]
        cq_head, cq_tail, _, _, _, cqes, *_ = params[16:25]
        if not features & _SINGLE_MMAP:
            raise OSError("io_uring: the kernel is older than 5.4")
        size = max(sq_array + 4 * self.entries, cqes + _CQE_BYTES * results)
        shared = mmap.MAP_SHARED | mmap.MAP_POPULATE
        ring = memoryview(mmap.mmap(self._fd, size, shared, offset=_SQ_RING))
        sqes = memoryview(mmap.mmap(self._fd, _SQE.size * self.entries, shared, offset=_SQES))
        self._mask, self._results_mask = self.entries - 1, results - 1
        self._head, self._tail = (ring[at : at + 4].cast("I") for at in (sq_head, sq_tail))
        self._results_head, self._results_tail = (ring[at : at + 4].cast("I") for at in (cq_head, cq_tail))
        ring[sq_array : sq_array + 4 * self.entries].cast("I")[:] = memoryview(array("I", range(self.entries)))
        done = ring[cqes : cqes + _CQE_BYTES * results]
        self._result, self._done = done.cast("i")[_RESULT], done.cast("Q")[_USER_DATA]
        flags = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
        sqes[:] = b"".join(_SQE.pack(_SEND, 0, 0, -1, 0, 0, 0, flags, n) for n in range(self.entries))
        words = sqes.cast("i")
        self._descriptors, self._lengths, self._addresses = words[_FD], words[_LENGTH], sqes.cast("Q")[_ADDRESS]
        self._data = b""

    def _check(self) -> None:
        """See whether it does what it should: kernels before 5.6 have the ring, but no send."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            result = self.send([ours.fileno()], b"\0")
            if result != [1]:
                error = -result[0] if result else errno.EIO
                raise OSError(error, f"io_uring: {os.strerror(error)}")

    def send(self, descriptors: list[int], data: bytes) -> list[int]:
        """Send the same to each of some sockets, at most as many as there are entries, without waiting.

        Returns:
            for each how many bytes it took, or the negative error number; -EAGAIN: it can take nothing now. A list that
            is shorter than the descriptors: nothing was done about the last ones.
        """
        if data is not self._data:
            self._point_at(data)
        count, began = len(descriptors), self._tail[0]
        self._lay_out(memoryview(array("i", descriptors)), began & self._mask)
        self._tail[0] = (began + count) % _WRAPS
        try:
            taken = self._call(_ENTER, self._fd, count, 0, 0, None, 0)
        except OSError:
            taken = 0
        self._tail[0] = (began + taken) % _WRAPS
        return self._taken(began, taken)

    def _lay_out(self, descriptors: memoryview, first: int) -> None:
        before_end = self.entries - first
        if len(descriptors) > before_end:
            self._descriptors[first:] = descriptors[:before_end]
            descriptors, first = descriptors[before_end:], 0
        self._descriptors[first : first + len(descriptors)] = descriptors

    def _point_at(self, data: bytes) -> None:
        """Let all entries say these bytes, which live as long as they do."""
        address = ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
        self._addresses[:] = memoryview(array("Q", [address]) * self.entries)
        self._lengths[:] = memoryview(array("i", [len(data)]) * self.entries)
        self._data = data

    def _taken(self, began: int, count: int) -> list[int]:
        """Take the results of the sends that began at an entry, in their order."""
        head = self._results_head[0]
        if (self._results_tail[0] - head) % _WRAPS != count:
            self.is_broken = True  # a send that waits, which none does: its result would be taken for another's
            return [-errno.EIO] * count
        at = head & self._results_mask
        results: list[int] = self._result[at : at + count].tolist()
        if len(results) < count:
            results += self._result[: count - len(results)].tolist()
        if results.count(len(self._data)) < count:  # mostly all are alike; else who is which counts
            entries = [self._done[(at + n) & self._results_mask] for n in range(count)]
            results = by_entry(results, entries, began & self._mask, self.entries)
        self._results_head[0] = (head + count) % _WRAPS
        return results

    def close(self) -> None:
        """Give it back."""
        self._close()


def by_entry(results: list[int], entries: list[int], first: int, size: int) -> list[int]:
    """Put results in the order of the entries that they are of: the kernel promises none.

    Args:
        results: as they came.
        entries: of each.
        first: the entry that the order begins with; behind the last of `size` comes entry 0.
        size: of the ring.
    """
    in_order = [-errno.EIO] * len(results)
    for result, entry in zip(results, entries, strict=True):
        in_order[(entry - first) % size] = result
    return in_order
