"""The client for browsers, ready to be sent: three files by their paths on the public port, read once at the start."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs
from twisted.logger import Logger

from megacomet.shipped import BROWSER_CLIENT
from megacomet.wire.tags import tag_of

CLASSIC: Final = b"/megacomet.js"
MODULE: Final = b"/megacomet.mjs"
TYPES: Final = b"/megacomet.d.ts"
PATHS: Final = frozenset({CLASSIC, MODULE, TYPES})

_SCRIPT_TYPE: Final = b"text/javascript; charset=utf-8"
#: Browsers show it, and what reads types from an address goes by the name: for `.ts` alone they would expect a video.
_TEXT_TYPE: Final = b"text/plain; charset=utf-8"
#: Of a client's directory, by path; what `clients/js/build.js` made, and the types as they were written.
_FILES: Final = {
    CLASSIC: ("dist/megacomet.js", _SCRIPT_TYPE),
    MODULE: ("dist/megacomet.mjs", _SCRIPT_TYPE),
    TYPES: ("megacomet.d.ts", _TEXT_TYPE),
}

_log = Logger()


@attrs.frozen
class BrowserFile:
    """One file.

    Attributes:
        content_type: of it.
        body: its bytes.
        tag: an entity tag that stands for them, with its quotes.
    """

    content_type: bytes
    body: bytes
    tag: bytes


BrowserClient = Mapping[bytes, BrowserFile]
#: Of a server without the files.
NONE: Final[BrowserClient] = {}


def load_client(directory: Path) -> BrowserClient:
    """Read the client from its directory.

    Raises:
        OSError: it cannot be read.
    """
    return {path: _file(content_type, directory / name) for path, (name, content_type) in _FILES.items()}


def find_client(directory: Path | None) -> BrowserClient:
    """Return the client; when there is none, that is logged and the server goes on without.

    Args:
        directory: of the client, None: it was not found.
    """
    why = "this installation is not complete"
    if directory is not None:
        try:
            return load_client(directory)
        except OSError as e:
            why = str(e)
    _log.error("no client for browsers, and {path} is 404: {why}", path=CLASSIC.decode(), why=why)
    return NONE


def shipped_client() -> BrowserClient:
    """Return the client that comes along; see `find_client`."""
    return find_client(BROWSER_CLIENT.find())


def _file(content_type: bytes, path: Path) -> BrowserFile:
    body = path.read_bytes()
    return BrowserFile(content_type, body, b'"%b"' % tag_of(body).encode())
