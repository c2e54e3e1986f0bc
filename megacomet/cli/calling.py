"""Calling the API: HTTP by the standard library, in the clear, by TLS or over a UNIX socket. Nothing waits for ever.

Every failure is a `CallError` whose text is one line. What an answer means, the commands know.
"""

from __future__ import annotations

import argparse
import http.client
import json
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any, Final

import attrs

from megacomet import __version__
from megacomet.addresses import HTTPS, UNIX, Address
from megacomet.cli.finding import Found, server_of
from megacomet.errors import CallError, NoServer, Rejected

PROBLEM: Final = "application/problem+json"
JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
#: The longest answer of ours is that to a push to 10,000 channels: 4 MB. Whoever sends more is not our server.
MAX_ANSWER_BYTES: Final = 64_000_000
_PIECE_BYTES: Final = 65_536
#: An answer may come in so many times the patience for one piece of it, then it is too slow.
_PATIENCE: Final = 6

Connect = Callable[[Address, float], http.client.HTTPConnection]


@attrs.frozen
class Answer:
    """What the API has answered, in JSON and no problem.

    Attributes:
        status: of HTTP.
        body: as it came.
        value: the same, decoded.
        time: of the server, RFC 3339; None: it does not tell.
    """

    status: int
    body: bytes
    value: Any
    time: str | None = None


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(self._path)
        except BaseException:
            self.close()
            raise


def connect(address: Address, timeout_s: float) -> http.client.HTTPConnection:
    """Return a connection to be; it is opened with the first request."""
    if address.scheme == UNIX:
        return _UnixConnection(address.path, timeout_s)
    kind = http.client.HTTPSConnection if address.scheme == HTTPS else http.client.HTTPConnection
    return kind(address.host, address.port, timeout=timeout_s)


def api_of(options: argparse.Namespace) -> Api:
    """Return the API of the server that the options of `arguments.server_options` are about."""
    return Api(server_of(options), options.timeout)


class Api:
    """The API of one server, over one connection as long as that holds; a context manager."""

    def __init__(self, found: Found, timeout_s: float, connect: Connect = connect) -> None:
        """
        Args:
            found: the server and the key.
            timeout_s: how long to wait for each step.
            connect: opens connections.
        """
        self.address = found.address
        self._found = found
        self._timeout_s = timeout_s
        self._connect = connect
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, path: str) -> Answer:
        """Ask for something.

        Raises:
            NoServer: nobody answers.
            Rejected: the answer is an error.
            CallError: it is no answer of ours.
        """
        return self._ask("GET", path)

    def post(self, path: str, body: bytes) -> Answer:
        """Send JSON; see `get` for what is raised."""
        return self._ask("POST", path, body)

    def stream(self, path: str, pieces: Iterable[bytes], is_answered: Callable[[socket.socket], bool]) -> Answer:
        """Send NDJSON as it comes; see `get` for what is raised.

        Args:
            path: where.
            pieces: of the body; what it raises is raised here.
            is_answered: called with the connection's socket before each piece is taken; waits for it, and tells
                whether the server has answered already. The rest is not sent then.
        """
        with self._calling() as connection:
            connection.putrequest("POST", path)
            for name, value in {**self._headers(NDJSON), "Transfer-Encoding": "chunked"}.items():
                connection.putheader(name, value)
            connection.endheaders()
            try:
                _send(connection, pieces, is_answered)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it has refused, and said why before it closed
            return self._read(connection)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Answer:
        with self._calling() as connection:
            connection.request(method, path, body, self._headers(JSON if body is not None else ""))
            return self._read(connection)

    @contextmanager
    def _calling(self) -> Iterator[http.client.HTTPConnection]:
        """Give the connection; make of what goes wrong with it what commands can tell."""
        if self._connection is not None and _is_over(self._connection):
            self.close()
        if self._connection is None:
            self._connection = self._connect(self.address, self._timeout_s)
        try:
            yield self._connection
        except (OSError, UnicodeError, http.client.HTTPException) as e:
            self.close()
            raise self._said(e) from None
        except BaseException:
            self.close()
            raise

    def _said(self, error: Exception) -> CallError:
        address, about = self.address, self._found.about_address
        whose = f" ({about})" if about else ""
        if isinstance(error, ssl.SSLError):
            return CallError(f"{address} cannot be trusted by TLS: {getattr(error, 'verify_message', '') or error}")
        if isinstance(error, TimeoutError):
            return NoServer(f"no answer from {address} within {self._timeout_s:g} s{whose}")
        if isinstance(error, http.client.RemoteDisconnected | http.client.IncompleteRead):
            return NoServer(f"{address} has closed the connection before its answer was complete{whose}")
        if isinstance(error, http.client.HTTPException):
            return CallError(f"{address} answers, but does not speak HTTP as a server does ({type(error).__name__})")
        why = (getattr(error, "strerror", None) or str(error)).lower()
        return NoServer(f"no server answers at {address}: {why}{whose}")

    def _headers(self, content_type: str) -> dict[str, str]:
        headers = {"User-Agent": f"megacomet/{__version__}", "Accept": f"{JSON}, {PROBLEM}"}
        if content_type:
            headers["Content-Type"] = content_type
        if self._found.key:
            headers["Authorization"] = f"Bearer {self._found.key}"
        return headers

    def _read(self, connection: http.client.HTTPConnection) -> Answer:
        response = connection.getresponse()
        body = _body(response, self._timeout_s)
        if response.will_close:
            self.close()
        kind = (response.headers.get_content_type() or "").lower()
        value = _decoded(body) if kind in (JSON, PROBLEM) else None
        if kind == PROBLEM and isinstance(value, dict):
            raise self._rejected(response.status, value)
        if kind != JSON or value is None:
            what = f"{response.status} {response.reason or ''}".strip()
            raise CallError(f"{self.address} answers {what}, and nothing of MegaComet's (it is {kind})")
        return Answer(response.status, body, value, _time(response.headers.get("Date")))

    def _rejected(self, status: int, problem: dict[str, Any]) -> Rejected:
        code = str(problem.get("code", problem.get("title", "error")))
        detail, errors = str(problem.get("detail", "")), problem.get("errors")
        first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
        note = self._found.about_key if status in (401, 403) else ""
        if code == "internal":
            note = f"its log has it as request {problem.get('request_id')}"
        return Rejected(status, code, detail, str(first.get("pointer", "")), note)


def _send(
    connection: http.client.HTTPConnection, pieces: Iterable[bytes], is_answered: Callable[[socket.socket], bool]
) -> None:
    """Send a body in chunks, and its end unless it was answered before."""
    source = iter(pieces)
    while not is_answered(connection.sock):
        piece = next(source, b"")
        if not piece:
            connection.send(b"0\r\n\r\n")
            return
        connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))


def _body(response: http.client.HTTPResponse, timeout_s: float) -> bytes:
    until = time.monotonic() + _PATIENCE * timeout_s
    pieces, size = [], 0
    while piece := response.read(_PIECE_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_ANSWER_BYTES:
            raise CallError(f"the answer has more than {MAX_ANSWER_BYTES:,} bytes: this is no MegaComet")
        if time.monotonic() > until:
            raise TimeoutError
    return b"".join(pieces)


def _decoded(body: bytes) -> Any:
    """Return what the JSON says, None when it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _time(date: str | None) -> str | None:
    try:
        return parsedate_to_datetime(date or "").isoformat()
    except ValueError:
        return None


def _is_over(connection: http.client.HTTPConnection) -> bool:
    """Tell whether a connection that was kept says something unasked: mostly, that it is closed."""
    return connection.sock is not None and bool(select.select([connection.sock], [], [], 0)[0])
