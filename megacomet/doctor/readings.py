"""Reading the system's files, below one root.

What is missing, closed or odd is a value, None, and the reason stands in `Files.why`: nothing here raises.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

#: More than any file of the kernel's that is read here has; /proc/interrupts of 256 processors has some 2 MB.
MOST_BYTES: Final = 8 * 1024 * 1024
_PIECE_BYTES: Final = 64 * 1024
_WHOLE: Final = re.compile(r"-?[0-9]{1,20}").fullmatch
_NATURAL: Final = re.compile(r"[0-9]{1,20}").fullmatch
#: As proc_get_long of the kernel reads it: to the base that its begin tells, and 20 characters at most.
_SYSCTL: Final = re.compile(r"(?=.{1,20}\Z)(?:0x([0-9a-f]+)|(0[0-7]*)|([1-9][0-9]*))", re.A | re.I).fullmatch
_SYSCTL_END: Final = 1 << 64
#: What of an odd text is told.
_SHOWN: Final = 40
#: What a container's runtime leaves for who looks.
_MARKS: Final = (".dockerenv", "run/.containerenv", "run/systemd/container")


class Files:
    """The files of a system.

    Attributes:
        root: where `proc`, `sys` and `etc` are.
        why: for each path that could not be used, the reason as words that follow "it is".
    """

    def __init__(self, root: Path = Path("/"), is_read_only: Callable[[Path], bool] | None = None) -> None:
        """
        Args:
            root: where `proc`, `sys` and `etc` are.
            is_read_only: tells whether nobody can write a file; None: asks the file system.
        """
        self.root = root
        self.why: dict[str, str] = {}
        self._is_read_only = is_read_only or _is_read_only

    def text(self, path: str) -> str | None:
        """Return what stands in a file; None: it cannot be read."""
        try:
            # A pipe in its place would hold us up until somebody writes to it.
            fd = os.open(self.root / path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                return _read(fd).decode("utf-8", "replace")
            finally:
                os.close(fd)
        except FileNotFoundError:
            self.why[path] = "missing"
        except PermissionError:
            self.why[path] = "closed to this user"
        except (OSError, ValueError) as e:
            self.why[path] = f"not to be read ({e.strerror or e if isinstance(e, OSError) else e})"
        return None

    def numbers(self, path: str, count: int) -> tuple[int, ...] | None:
        """Return the whole numbers of a file that has exactly so many; None: it cannot be read, or is odd."""
        text = self.text(path)
        if text is None:
            return None
        words = text.split()
        if len(words) != count or not all(map(_WHOLE, words)):
            self.odd(path, text)
            return None
        return tuple(map(int, words))

    def number(self, path: str) -> int | None:
        """Return the whole number of a file; None: it cannot be read, or is odd."""
        found = self.numbers(path, 1)
        return None if found is None else found[0]

    def odd(self, path: str, text: str) -> None:
        """Note that a file has not what it should have."""
        self.why[path] = f"odd: {text.strip()[:_SHOWN]!r}"

    def names(self, path: str) -> list[str]:
        """Return what is in a directory, in order; nothing when it cannot be listed."""
        try:
            return sorted(os.listdir(self.root / path))
        except (OSError, ValueError):
            return []

    def exists(self, path: str) -> bool:
        """Whether something is there."""
        return os.path.lexists(self.root / path)

    def is_read_only(self, path: str) -> bool:
        """Whether nobody can write a file, as /proc/sys is mounted in containers."""
        return self._is_read_only(self.root / path)

    def reason(self, path: str) -> str:
        """Return why a path could not be used."""
        return self.why.get(path, "not known")

    @property
    def is_container(self) -> bool:
        """Whether a container's runtime has left its mark."""
        return any(map(self.exists, _MARKS))


def _read(fd: int) -> bytes:
    # In pieces: the kernel takes a buffer as large as what is asked for.
    pieces, left = [], MOST_BYTES
    while left > 0 and (piece := os.read(fd, _PIECE_BYTES)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _is_read_only(path: Path) -> bool:
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def sysctl_path(name: str) -> str:
    """Return the file of a sysctl: net.core.somaxconn -> proc/sys/net/core/somaxconn."""
    return "proc/sys/" + name.replace(".", "/")


def fields(text: str) -> dict[str, str]:
    """Return a table of lines `name: value` or `name value`; the last one counts."""
    found = {}
    for line in text.splitlines():
        name, *rest = re.split(r":\s*|\s+", line, maxsplit=1)
        if name and rest:
            found[name] = rest[0].strip()
    return found


def kilobytes(text: str | None, name: str) -> int | None:
    """Return the bytes of a line `name:  12 kB`, as /proc/meminfo has it; None: there is none such."""
    words = fields(text or "").get(name, "").split()
    number = whole(words[0] if words else None)
    return None if number is None else number * 1024


def whole(text: str | None) -> int | None:
    """Return a whole number that is not negative; None: it is none such ("max"), or larger than any of the kernel's."""
    found = _NATURAL((text or "").strip())
    return int(found[0]) if found is not None else None


def sysctl_number(text: str) -> int | None:
    """Return a number that is set as a sysctl, as the kernel reads it: 010 is 8, and 0x10 is 16.

    Returns:
        None: it is none, or a negative one, and nobody knows what becomes of it: the kernel refuses 08.
    """
    found = _SYSCTL(text)
    if found is None:
        return None
    number = next(int(digits, base) for digits, base in zip(found.groups(), (16, 8, 10), strict=True) if digits)
    return number if number < _SYSCTL_END else None
