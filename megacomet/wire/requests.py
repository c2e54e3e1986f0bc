"""What is the same for every request to the API, whoever answers it: ids, types of bodies, lines of answers.

Owns the forms; who asks, and for what, others know.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from itertools import count
from typing import Final
from urllib.parse import unquote_to_bytes

from megacomet.errors import PeerError

JSON: Final = b"application/json"
NDJSON: Final = b"application/x-ndjson"
#: Between the head of a request and its body, for who waits for it (RFC 9110, 10.1.1).
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

REQUEST_ID_PATTERN: Final = "[A-Za-z0-9_.-]{1,64}"
_REQUEST_ID: Final = re.compile(REQUEST_ID_PATTERN.encode()).fullmatch


def is_request_id(raw: bytes) -> bool:
    """Tell whether what a client sent as X-Request-Id may be taken over into answers and logs."""
    return _REQUEST_ID(raw) is not None


class RequestIds:
    """Ids for requests: the client's own, or made ones, which no other process makes."""

    def __init__(self) -> None:
        self._prefix = ""
        self._numbers = count(1)

    def make(self) -> str:
        """Return an id for a request whose client gave none."""
        if not self._prefix:  # not before it is needed: the process that is forked is not the one that counts
            self._prefix = secrets.token_hex(6)
        return f"{self._prefix}-{next(self._numbers):x}"

    def of(self, headers: Mapping[bytes, bytes]) -> str:
        """Return the id of a request."""
        given = headers.get(b"x-request-id")
        return given.decode() if given and is_request_id(given) else self.make()


def check_type(headers: Mapping[bytes, bytes], types: Collection[bytes]) -> None:
    """Check the type of a body.

    Args:
        headers: of the request.
        types: those that are taken here; none given is the first.

    Raises:
        PeerError: `unsupported-media-type`.
    """
    given = headers.get(b"content-type")
    if given is not None and given.partition(b";")[0].strip().lower() not in types:
        wanted = " or ".join(each.decode() for each in types)
        raise PeerError("unsupported-media-type", f"the content type here is {wanted}")


def too_large(max_bytes: int | None) -> PeerError:
    """Return the error of a body that is longer than it may be."""
    return PeerError("too-large", f"a body here has at most {max_bytes} bytes")


def expects_continue(headers: Mapping[bytes, bytes], minor: int) -> bool:
    """Tell whether the client waits for `CONTINUE` before it sends its body."""
    return minor == 1 and headers.get(b"expect", b"").lower() == b"100-continue"


def wants_receipt(query: bytes) -> bool:
    """Tell whether a push asks for the number of connections.

    Of parameters that are given twice the last one holds; what is none is passed over, as others that nobody knows.
    """
    return bool(query) and dict(_pairs(query)).get(b"receipt") == b"1"


def _pairs(query: bytes) -> Iterator[tuple[bytes, bytes]]:
    for pair in query.split(b"&"):
        name, _, value = pair.partition(b"=")
        yield unquote_to_bytes(name), unquote_to_bytes(value)


def answer_lines(date: bytes, content_type: bytes, request_id: str) -> bytes:
    """Return the lines that an answer has besides those of `http.response`; `date` is `http.date_line`."""
    return b"%bContent-Type: %b\r\nX-Request-Id: %b\r\n" % (date, content_type, request_id.encode())
