"""The console's files: read at the start, kept in memory, and served under an address that changes with them.

Every file stands at `/console/@<hash>/<name>`, where the hash is that of all files: an answer from there may be kept
for ever, and a page never runs with half of its modules from before an upgrade. `index.html` alone is asked for anew
each time. What it writes as `/console/@/` becomes `/console/@<hash>/`.

A path is looked up in a table as it was sent. Nothing is decoded, joined or opened on behalf of a request.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

import attrs

from megacomet.shipped import CONSOLE
from megacomet.wire.tags import tag_of

INDEX: Final = CONSOLE.sign
PLACE: Final = b"/console/@/"
#: By the end of a name; what has another end (licences, texts) is not served.
TYPES: Final = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".mjs": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".png": b"image/png",
    ".json": b"application/json",
}
#: Files and bytes that are read: a directory with more is not the console's.
MOST_FILES: Final = 1000
MOST_BYTES: Final = 16 * 1024 * 1024

_HASH_CHARS: Final = 16
_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*").fullmatch
_IMPORT_MAP: Final = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL).search


@attrs.frozen
class File:
    """One file.

    Attributes:
        content_type: of it.
        body: its bytes.
        zipped: the same under gzip; None: that is not smaller.
        tag: stands for its bytes.
    """

    content_type: bytes
    body: bytes
    zipped: bytes | None
    tag: str


@attrs.frozen
class Files:
    """All files.

    Attributes:
        index: the page; None: there is none.
        by_path: the others, by the path of a request.
        import_map: what stands in the page's import map, b"" without one.
    """

    index: File | None
    by_path: Mapping[bytes, File]
    import_map: bytes

    @property
    def size(self) -> int:
        """The bytes that they have in memory."""
        all_files = [*self.by_path.values(), *([self.index] if self.index else [])]
        return sum(len(each.body) + len(each.zipped or b"") for each in all_files)


NONE: Final = Files(None, {}, b"")


def load_files(directory: Path, most_files: int = MOST_FILES, most_bytes: int = MOST_BYTES) -> Files:
    """Read all files of a directory, which has so many and so many bytes at most.

    Raises:
        OSError: it cannot be read.
        ValueError: these are not the console's files; says why.
    """
    raw = _read_all(directory, most_files, most_bytes)
    digest = hashlib.sha256()
    for name, body in sorted(raw.items()):
        digest.update(b"%b\0%d\0%b" % (name.encode(), len(body), body))
    place = PLACE.replace(b"@", b"@" + digest.hexdigest()[:_HASH_CHARS].encode())
    if INDEX not in raw:
        raise ValueError(f"{directory} has no {INDEX}")
    page = raw.pop(INDEX).replace(PLACE, place)
    found = _IMPORT_MAP(page)
    by_path = {place + name.encode(): _file(name, body) for name, body in raw.items()}
    return Files(_file(INDEX, page), by_path, found[1] if found else b"")


def _read_all(directory: Path, most_files: int, most_bytes: int) -> dict[str, bytes]:
    """Return what is served, by name; sub-folders are parted by "/"."""
    found: dict[str, bytes] = {}
    size = 0
    for folder, folders, names in os.walk(directory, onerror=_raise):
        folders[:] = sorted(each for each in folders if _NAME(each))
        for name in sorted(names):
            path = Path(folder, name)
            if not _NAME(name) or path.suffix not in TYPES or path.is_symlink() or not path.is_file():
                continue
            size += path.stat().st_size
            if len(found) == most_files or size > most_bytes:
                raise ValueError(f"{directory} has more than {most_files} files or {most_bytes} bytes")
            found[path.relative_to(directory).as_posix()] = path.read_bytes()
    return found


def _raise(error: OSError) -> NoReturn:
    """Have `os.walk` not pass over a folder that it cannot read: a page would be without its modules."""
    raise error


def _file(name: str, body: bytes) -> File:
    zipped = gzip.compress(body, mtime=0)
    return File(TYPES[Path(name).suffix], body, zipped if len(zipped) < len(body) else None, tag_of(body))


def policy(import_map: bytes) -> bytes:
    """Return the header lines of every answer under `/console`: what a page there may load, run and be part of."""
    run = b"'self'"
    if import_map:
        # The browser takes the hash of the text that it has parsed, where a line ends with LF only.
        text = import_map.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        run += b" 'sha256-%b'" % base64.b64encode(hashlib.sha256(text).digest())
    return (
        b"Content-Security-Policy: default-src 'none'; script-src %b; style-src 'self'; img-src 'self'; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        b"require-trusted-types-for 'script'\r\n"
        b"Referrer-Policy: no-referrer\r\n"
        b"Cross-Origin-Opener-Policy: same-origin\r\n"
        b"Cross-Origin-Resource-Policy: same-origin\r\n" % run
    )
