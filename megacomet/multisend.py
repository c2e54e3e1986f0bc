"""The same bytes to many sockets: many at a time where the kernel lets us, else one after the other."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

from megacomet.uring import Ring

#: Sockets of one system call.
AT_ONCE: Final = 128


class Multisend:
    """Sends, without waiting. What it needs is made when it is used first, which is behind all forks."""

    _log = Logger()

    def __init__(self, make_ring: Callable[[int], Ring] = Ring) -> None:
        """Have the ring made by `make_ring`, which raises OSError where there can be none."""
        self._make_ring = make_ring
        self._ring: Ring | None = None
        self._is_made = False

    def send(self, descriptors: list[int], data: bytes) -> list[int]:
        """Send to all.

        Returns:
            for each how many bytes it took, or the negative error number; -EAGAIN: it can take nothing now.
        """
        if not self._is_made:
            self._make()
        results: list[int] = []
        ring = self._ring
        while ring is not None and len(results) < len(descriptors):
            some = descriptors[len(results) : len(results) + AT_ONCE]
            sent = ring.send(some, data)
            results += sent
            if len(sent) < len(some) or ring.is_broken:
                self._log.warn("io_uring is given up: the kernel took {n} of {all}", n=len(sent), all=len(some))
                ring.close()
                ring = self._ring = None
        results += [_write(descriptor, data) for descriptor in descriptors[len(results) :]]
        return results

    def _make(self) -> None:
        self._is_made = True
        try:
            self._ring = self._make_ring(AT_ONCE)
        except OSError as e:
            self._log.info("messages to many are written one by one: {why}", why=e)


def _write(descriptor: int, data: bytes) -> int:
    try:
        return os.write(descriptor, data)
    except OSError as e:
        return -(e.errno or errno.EIO)
