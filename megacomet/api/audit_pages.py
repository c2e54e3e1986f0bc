"""`GET /api/audit`: the audit log backwards, a page at a time.

The file may have any size: a page is read from where the one before it ended, in pieces, and never more of them than
`MOST_PIECES`. Nothing else is done meanwhile, which takes less than a millisecond for 100 entries and some for 1,000
when the system has the file's end in memory, and some reads of the disk when it has not.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import msgspec

from megacomet.api.query import Query, last_of, limit_in
from megacomet.errors import PeerError
from megacomet.wire.answers import AuditPage, as_json

PIECE_BYTES: Final = 64 * 1024
#: Of a page. A thousand entries have some 300 KB.
MOST_PIECES: Final = 8
#: And so many lines: a file of very short ones would take the manager longer than its bytes.
MOST_LINES: Final = 4000

#: The file that a page ended in, and where: it has been moved when the next one is asked for after a rotation.
_CURSOR: Final = re.compile(rb"([0-9]{1,20})-([0-9]{1,19})").fullmatch
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class AuditPages:
    """Reads the file that `AuditLog` writes."""

    def __init__(self, path: str) -> None:
        """Note where it is; it need not be there."""
        self._path = path

    def page(self, query: Query) -> bytes:
        """Return the body of the answer.

        Raises:
            PeerError: `bad-request`.
            OSError: the file is there and cannot be read.
        """
        limit, before = limit_in(query), last_of(query, b"before")
        found = _CURSOR(before) if before else None
        if before and found is None:
            raise PeerError("bad-request", "a before is what the page before said in it")
        inode, end = (int(found[1]), int(found[2])) if found is not None else (None, None)
        fd = self._open(inode)
        if fd is None:
            return as_json(AuditPage([], None, 0))
        try:
            return as_json(_page(fd, end, limit))
        finally:
            os.close(fd)

    def _open(self, inode: int | None) -> int | None:
        """Return a descriptor of the file, or of the one that it was when a page ended in it; None: it is gone."""
        fd = _open(self._path)
        if inode is None or (fd is not None and os.fstat(fd).st_ino == inode):
            return fd
        if fd is not None:
            os.close(fd)
        for path in self._moved():
            fd = _open(path)
            if fd is not None and os.fstat(fd).st_ino == inode:
                return fd
            if fd is not None:
                os.close(fd)
        return None

    def _moved(self) -> Iterator[str]:
        """Yield the files that a rotation may have moved the log to: their names begin with its own."""
        directory, name = os.path.split(self._path)
        try:
            names = os.listdir(directory)
        except FileNotFoundError:
            return
        yield from (os.path.join(directory, each) for each in sorted(names) if each.startswith(f"{name}."))


def _open(path: str) -> int | None:
    """Return a descriptor of a file, None: it is not there, or is none."""
    try:
        fd = os.open(path, _FLAGS)
    except FileNotFoundError:
        return None
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


def _page(fd: int, end: int | None, limit: int) -> AuditPage:
    """Return the last entries of a file that begin before `end`, None: before its own."""
    found = os.fstat(fd)
    if end is None:
        end = found.st_size
    elif end > found.st_size:  # it was cut off meanwhile, and what is there now is not what the page ended in
        return AuditPage([], None, 0)
    entries: list[msgspec.Raw] = []
    unreadable = 0
    for start, line in islice(_backwards(fd, end), MOST_LINES):
        end = start
        if line is None or (line.strip() and not _is_entry(line)):
            unreadable += 1
        elif line.strip():
            entries.append(msgspec.Raw(line))
            if len(entries) == limit:
                break
    return AuditPage(entries, f"{found.st_ino}-{end}" if end else None, unreadable)


def _is_entry(line: bytes) -> bool:
    try:
        _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _backwards(fd: int, end: int) -> Iterator[tuple[int, bytes | None]]:
    """Yield where each line begins, and the line, from the last one on; None: it is too long to be read.

    It ends when enough was read, and not without a step forward: of a line that is longer than all that may be read
    the end is dropped, and where the reading ended is told as its beginning. What is left of it is passed over with the
    next page, as a blank line is.
    """
    if not end:
        return
    is_rest = False
    if os.pread(fd, 1, end - 1) == b"\n":
        end -= 1
    else:
        is_rest = end < os.fstat(fd).st_size
    tail, at, is_first = b"", end, True
    for _ in range(MOST_PIECES):
        begin = max(0, at - PIECE_BYTES)
        data = os.pread(fd, at - begin, begin)
        if len(data) < at - begin:
            return  # it is being cut off
        at = begin
        tail, *lines = (data + tail).split(b"\n")
        for line in reversed(lines):
            end -= len(line)
            yield end, b"" if is_rest else line
            end -= 1
            is_first = is_rest = False
        if not at:
            yield 0, b"" if is_rest else tail
            return
    if is_first:
        yield at, b"" if is_rest else None
