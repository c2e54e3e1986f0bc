"""Errors as answers: `application/problem+json` (RFC 9457) for the public port and for the API alike.

Owns the form of the body, and which headers belong to which code. Which error it is, others say with a `PeerError`.
"""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from megacomet.errors import PeerError
from megacomet.wire.answers import FieldError, Problem, as_json
from megacomet.wire.http import response
from megacomet.wire.requests import answer_lines

CONTENT_TYPE: Final = b"application/problem+json"

#: What RFC 9110 wants with a code (11.6.1, 15.5.22), and RFC 6455 (4.2.2).
_BY_CODE: Final = {
    "unauthorized": b"WWW-Authenticate: Bearer\r\n",
    "upgrade-required": b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
}


def problem_json(error: PeerError, request_id: str) -> bytes:
    """Return the body for an error.

    Args:
        request_id: one that `requests.is_request_id` holds for.
    """
    detail = _encodable(error.detail or error.title)
    fields = [FieldError(_encodable(error.pointer), detail)] if error.pointer else UNSET
    type_ = f"urn:megacomet:error:{error.code}"
    return as_json(Problem(type_, error.title, error.status, detail, error.code, request_id, fields))


def _encodable(text: str) -> str:
    # A detail may quote what the peer sent, read with surrogateescape.
    return text.encode("utf-8", "replace").decode("utf-8")


def problem_response(
    error: PeerError,
    *,
    request_id: str,
    keep_alive: bool,
    minor: int,
    head_only: bool = False,
    allow: bytes = b"",
    retry_after: int | None = None,
    cors: bytes = b"",
) -> bytes:
    """Return the complete answer for an error on the public port.

    Args:
        request_id: told in the body and as X-Request-Id.
        keep_alive: whether the connection stays open; False after anything that left the next request's place unknown.
        minor: of the request's version, 1 when it is unknown.
        head_only: whether HEAD was asked.
        allow: the methods that the path has, for `method-not-allowed`.
        retry_after: seconds, for `too-many-requests`, `overloaded` and `shutting-down`.
        cors: more lines, each with its CRLF: those of `http.cors`, and `http.date_line`.
    """
    headers = answer_lines(cors, CONTENT_TYPE, request_id) + _BY_CODE.get(error.code, b"")
    if allow:
        headers += b"Allow: %b\r\n" % allow
    if retry_after is not None:
        headers += b"Retry-After: %d\r\n" % retry_after
    body = problem_json(error, request_id)
    return response(error.status, headers, body, keep_alive=keep_alive, minor=minor, head_only=head_only)
