"""The client for browsers, ready to be sent: three files by their paths on the public port, made once at the start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs
from twisted.logger import Logger

from megacomet import __version__
from megacomet.library.joining import join
from megacomet.shipped import LIBRARY
from megacomet.wire.tags import tag_of

CLASSIC: Final = b"/megacomet.js"
MODULE: Final = b"/megacomet.mjs"
TYPES: Final = b"/megacomet.d.ts"
PATHS: Final = frozenset({CLASSIC, MODULE, TYPES})

_SCRIPT_TYPE: Final = b"text/javascript; charset=utf-8"
#: Browsers show it, and what reads types from an address goes by the name: for `.ts` alone they would expect a video.
_TEXT_TYPE: Final = b"text/plain; charset=utf-8"
_HEAD: Final = f"/*! MegaComet {__version__}, MIT license. With its comments: clients/js/src of MegaComet's source. */"

_log = Logger()


@attrs.frozen
class LibraryFile:
    """One file.

    Attributes:
        content_type: of it.
        body: its bytes.
        tag: an entity tag that stands for them, with its quotes.
    """

    content_type: bytes
    body: bytes
    tag: bytes


Library = Mapping[bytes, LibraryFile]
#: Of a server without the files.
NONE: Final[Library] = {}


def load_library(directory: Path) -> Library:
    """Make the library of the client's directory.

    Raises:
        OSError: it cannot be read.
        ValueError: its modules cannot be joined; says which, where and why.
    """
    joined = join({path.name: _text(path) for path in sorted((directory / "src").glob("*.js"))}, _HEAD)
    return {
        CLASSIC: _file(_SCRIPT_TYPE, joined.classic),
        MODULE: _file(_SCRIPT_TYPE, joined.module),
        TYPES: _file(_TEXT_TYPE, _text(directory / "megacomet.d.ts")),
    }


def find_library(directory: Path | None) -> Library:
    """Return the library; when there is none, that is logged and the server goes on without.

    Args:
        directory: of the client, None: it was not found.
    """
    why = "this installation is not complete"
    if directory is not None:
        try:
            return load_library(directory)
        except (OSError, ValueError) as e:
            why = str(e)
    _log.error("no client for browsers, and {path} is 404: {why}", path=CLASSIC.decode(), why=why)
    return NONE


def shipped_library() -> Library:
    """Return the library that comes along; see `find_library`."""
    return find_library(LIBRARY.find())


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as e:
        raise ValueError(f"{path.name}: {e}") from None


def _file(content_type: bytes, text: str) -> LibraryFile:
    body = text.encode()
    return LibraryFile(content_type, body, b'"%b"' % tag_of(body).encode())
