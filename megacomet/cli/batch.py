"""`megacomet push --batch`: NDJSON from a file or from stdin goes to the server as it comes, piece by piece."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from megacomet.cli.calling import Answer, Api
from megacomet.cli.figures import count
from megacomet.cli.output import print_json
from megacomet.cli.statuses import FAILED, FINE, complain
from megacomet.cli.text import safe
from megacomet.errors import CallError, SettingError
from megacomet.settings import COMMAND_LINE

STDIN: Final = "-"
_PIECE_BYTES: Final = 65_536
_COUNTS: Final = ("sent", "queued", "unheard", "repeated", "failed")


def push_batch(api: Api, path: str, as_json: bool) -> int:
    """Publish the lines of a file; return the exit status.

    Args:
        api: where to.
        path: of the file, `-`: stdin.
        as_json: whether to print the server's answer as it came.

    Raises:
        SettingError: the file cannot be read.
        CallError: see `Api.stream`.
    """
    with _opened(path) as fd:
        answer = api.stream("/api/batch", pieces(fd), lambda sock: wait_for(fd, sock))
    return tell(answer, as_json)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    if path == STDIN:
        yield sys.stdin.fileno()
        return
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError) as e:
        why = (getattr(e, "strerror", None) or str(e)).lower()
        raise SettingError("batch", path, f"a file that can be read ({why})", COMMAND_LINE) from None
    try:
        yield fd
    finally:
        os.close(fd)


def pieces(fd: int) -> Iterator[bytes]:
    """Yield what is there to be read, as soon as it is there, up to its end.

    Raises:
        CallError: it cannot be read.
    """
    while True:
        try:
            piece = os.read(fd, _PIECE_BYTES)
        except OSError as e:
            raise CallError(f"the batch cannot be read: {(e.strerror or str(e)).lower()}") from None
        if not piece:
            return
        yield piece


def wait_for(fd: int, sock: socket.socket) -> bool:
    """Wait until there is something to read; tell whether it is the server's answer.

    With TLS only sending tells: what comes may be its own (session tickets).
    """
    if isinstance(sock, ssl.SSLSocket):
        return False
    readable, _, _ = select.select([fd, sock.fileno()], [], [])
    return sock.fileno() in readable


def tell(answer: Answer, as_json: bool) -> int:
    """Print what became of the batch; return the exit status."""
    done = _checked(answer.value)
    errors, failed = done["errors"], done.get("failed", 0)
    if as_json:
        print_json(answer.body)
        return FAILED if errors or failed else FINE
    counts = ", ".join(f"{count(done.get(name))} {name}" for name in _COUNTS)
    lines = done.get("lines")
    print(f"{count(lines)} line{'' if lines == 1 else 's'}: {counts}; position {safe(str(done.get('position')))}")
    for error in errors:
        complain("push", f"line {error.get('line')}: {error.get('code')}: {error.get('detail')}")
    if failed > len(errors):
        complain("push", f"these are the first {len(errors)} of {count(failed)} lines that failed")
    return FAILED if errors or failed else FINE


def _checked(done: Any) -> Mapping[str, Any]:
    """Return what is of the form of the answer, as far as it is needed; raise `CallError` when it is not."""
    told: Mapping[str, Any] = done if isinstance(done, dict) else {}
    errors = told.get("errors")
    if not isinstance(errors, list) or not all(isinstance(error, dict) for error in errors):
        raise CallError("the answer is not of the form that this version knows")
    return told
