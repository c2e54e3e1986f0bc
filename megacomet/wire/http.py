"""HTTP/1 on the public port: one request head in, one complete answer out (RFC 9110, RFC 9112).

Owns the bounds of a head, what is refused in it, the paths and queries of targets, and the headers that every answer of
this port carries. It must not know what stands at which path, nor what time it is: the line with the date is given.

Where RFC 9112 leaves a choice, the strict side is taken, since a front end may stand before this port and both must see
the same requests: a bare LF is no end of a line (2.2), a request line has exactly two spaces (3), obs-fold is refused
(5.2). Empty lines before a request line are ignored (2.2).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec
from httptools import HttpParserError, HttpParserInvalidMethodError, HttpParserUpgrade, HttpRequestParser

from megacomet.errors import PeerError

#: Request line and headers. Nobody who polls has more to say, and a million connections may each begin one; nginx takes
#: 8 KB a line, Apache 8 KB a line, Node 16 KB a head.
MAX_HEAD_BYTES: Final = 8192

#: Headers that are lists: several lines are one list (RFC 9110, 5.3). Any other that is looked at may stand once.
_LISTS: Final = frozenset(
    {
        b"accept",
        b"connection",
        b"expect",
        b"if-none-match",
        b"sec-websocket-extensions",
        b"sec-websocket-protocol",
        b"transfer-encoding",
        b"upgrade",
        b"x-forwarded-for",
    }
)
#: The headers that anything here looks at; the rest is validated and forgotten.
KEPT_HEADERS: Final = _LISTS | {
    b"access-control-request-method",
    b"authorization",
    b"content-length",
    b"content-type",
    b"host",
    b"last-event-id",
    b"origin",
    b"sec-websocket-key",
    b"sec-websocket-version",
    b"x-request-id",
}
#: Of 64 bits, which is as far as llhttp counts.
_LENGTH_DIGITS: Final = 20
_VERSIONS: Final = {b"HTTP/1.1": 1, b"HTTP/1.0": 0}
_BLANK_LINE_WITH_BARE_LF: Final = re.compile(rb"\n\r?\n").search
_VERSION: Final = re.compile(rb"HTTP/[0-9]\.[0-9]").fullmatch
_METHOD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_ABSOLUTE: Final = re.compile(rb"(?i:https?)://([^/?]+)([^?]*)(.*)", re.DOTALL).fullmatch
_HOST: Final = re.compile(rb"[A-Za-z0-9._~%!$&'()*+,;=:\[\]-]*").fullmatch
_BROKEN_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})").search


class RequestHead(msgspec.Struct, frozen=True, gc=False):
    """One request head.

    Attributes:
        method: as it was sent; any token that llhttp knows, not only those that are served here.
        target: the path as it was sent, not decoded: b"/..." or, for OPTIONS only, b"*".
        query: what stands after the first "?", not decoded; b"" without one.
        minor: 1 for HTTP/1.1, 0 for HTTP/1.0.
        host: the authority asked for, b"" when an HTTP/1.0 client named none.
        keep_alive: whether the client expects another request on the connection.
        content_length: bytes of the body, 0 without a body and for a chunked one.
        chunked: whether the body is chunked.
        headers: the `KEPT_HEADERS` that were sent, by lower-case name, lists joined by ", ".
    """

    method: bytes
    target: bytes
    query: bytes
    minor: int
    host: bytes
    keep_alive: bool
    content_length: int
    chunked: bool
    headers: dict[bytes, bytes]


class _Headers:
    """What httptools calls for each header of one head; the names set to None are those it would look for in vain."""

    __slots__ = ("kept", "repeated")

    on_url = on_body = on_headers_complete = on_message_begin = None
    on_message_complete = on_chunk_header = on_chunk_complete = None

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}
        self.repeated = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in KEPT_HEADERS:
            if name not in self.kept:
                self.kept[name] = value.rstrip(b" \t")
            elif name in _LISTS:
                self.kept[name] += b", " + value.rstrip(b" \t")
            else:
                self.repeated = name


def find_head_end(buffer: bytes | bytearray, searched: int) -> int:
    """Find where the first head of what was received ends.

    Args:
        buffer: all bytes from the end of the last request on.
        searched: how many of them the last call has seen, 0 at first.

    Returns:
        the index after the blank line, or -1: not there yet. With more than `MAX_HEAD_BYTES` and no end, answer
        with `oversized`. What can never become a head (bare LFs, a TLS handshake) has an end too, so that
        `parse_head` can refuse it at once.
    """
    at = buffer.find(b"\r\n\r\n", max(searched - 3, 0))
    if at > 0 and buffer[0] > 13:
        return at + 4
    start = len(buffer) - len(buffer.lstrip(b"\r\n"))
    begin = max(start, searched - 3)
    at = buffer.find(b"\r\n\r\n", begin)
    if at >= 0:
        return at + 4
    if start < len(buffer) and not 0x20 < buffer[start] < 0x7F:
        return len(buffer)
    bare = _BLANK_LINE_WITH_BARE_LF(buffer, begin)
    return bare.end() if bare else -1


def oversized(buffer: bytes | bytearray) -> PeerError:
    """Return the error to answer with when more than `MAX_HEAD_BYTES` hold no complete head."""
    if buffer.find(b"\n", len(buffer) - len(buffer.lstrip(b"\r\n")), MAX_HEAD_BYTES) < 0:
        return PeerError("uri-too-long", f"the request line has more than {MAX_HEAD_BYTES} bytes")
    return PeerError("head-too-large", f"the head has more than {MAX_HEAD_BYTES} bytes")


def parse_head(head: bytes) -> RequestHead:
    """Parse one request head.

    Args:
        head: exactly one head, blank line included, as cut by `find_head_end`.

    Raises:
        PeerError: `bad-request`, `uri-too-long`, `head-too-large`, `version-not-supported`, `not-implemented` (a
            transfer coding) or `method-not-allowed`. Answer and close: where the next request begins is unknown.
    """
    if len(head) > MAX_HEAD_BYTES:
        raise oversized(head)
    if head[:1] in (b"\r", b"\n"):
        head = head.lstrip(b"\r\n")
    method, target, minor = _request_line(head)
    found = _Headers()
    try:
        HttpRequestParser(found).feed_data(head)
    except HttpParserUpgrade:
        pass  # only says that what follows the head may be another protocol
    except HttpParserError as e:
        raise _refusal(method, e) from None
    if found.repeated:
        raise PeerError("bad-request", f"the header {found.repeated.decode()} may stand once only")
    if not head.endswith(b"\r\n\r\n"):
        raise PeerError("bad-request", "the head does not end with an empty line")
    return _make(method, target, minor, found.kept)


def _request_line(head: bytes) -> tuple[bytes, bytes, int]:
    line = head[: head.find(b"\r\n")]
    parts = line.split(b" ")
    if len(parts) != 3 or b"\n" in line:  # llhttp takes a bare LF in a target for the end of a line of HTTP/0.9
        raise PeerError("bad-request", "a request line is a method, a target and a version with one space between")
    method, target, version = parts
    minor = _VERSIONS.get(version)
    if minor is None:
        if _VERSION(version) and _METHOD(method):
            raise PeerError("version-not-supported", "HTTP/1.1 and HTTP/1.0 are spoken here")
        raise PeerError("bad-request", "the request line does not end with an HTTP version")
    return method, target, minor


def _refusal(method: bytes, error: HttpParserError) -> PeerError:
    # llhttp reads the method first, so the rest of such a head was not looked at; the connection ends in any case.
    if isinstance(error, HttpParserInvalidMethodError) and _METHOD(method):
        return PeerError("method-not-allowed", "no such method is served here")
    return PeerError("bad-request", str(error))


def _make(method: bytes, target: bytes, minor: int, headers: dict[bytes, bytes]) -> RequestHead:
    host = headers.get(b"host")
    if host is None:
        if minor:
            raise PeerError("bad-request", "a request of HTTP/1.1 has a Host")
        host = b""
    elif _HOST(host) is None:
        raise PeerError("bad-request", "the Host is no name and port")
    chunked = b"transfer-encoding" in headers
    if chunked:
        _check_coding(headers[b"transfer-encoding"], minor)
    if target[:1] != b"/":
        host, target = _other_form(method, target, host)
    if b"#" in target:
        raise PeerError("bad-request", "a target has no fragment")
    path, _, query = target.partition(b"?")
    length = headers.get(b"content-length", b"0")
    if len(length) > _LENGTH_DIGITS:  # zeros before it: llhttp takes them, Python refuses 4,301 digits
        raise PeerError("bad-request", "the Content-Length is no length")
    connection = headers.get(b"connection")
    keep_alive = minor == 1 if connection is None else _keeps_alive(connection, minor)
    return RequestHead(method, path, query, minor, host, keep_alive, int(length), chunked, headers)


@lru_cache(maxsize=256)
def _keeps_alive(connection: bytes, minor: int) -> bool:
    options = connection.lower()
    if options == b"keep-alive":
        return True
    tokens = [token.strip() for token in options.split(b",")]
    return b"close" not in tokens and (minor == 1 or b"keep-alive" in tokens)


def _check_coding(coding: bytes, minor: int) -> None:
    if minor == 0:
        raise PeerError("bad-request", "HTTP/1.0 knows no Transfer-Encoding")  # RFC 9112, 6.1
    if coding.lower() != b"chunked":
        raise PeerError("not-implemented", "the only transfer coding known here is chunked")


def _other_form(method: bytes, target: bytes, host: bytes) -> tuple[bytes, bytes]:
    """Return host and origin form of a target that does not begin with "/" (RFC 9112, 3.2)."""
    if target == b"*" and method == b"OPTIONS":
        return host, target
    if method == b"CONNECT":
        raise PeerError("method-not-allowed", "this is no proxy")
    absolute = _ABSOLUTE(target)
    if absolute is None or _HOST(absolute[1]) is None:
        raise PeerError("bad-request", "the target is neither a path nor an http address")
    return absolute[1], (absolute[2] or b"/") + absolute[3]


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Cut a target, in origin or absolute form, into the path (not decoded) and the query.

    Raises:
        PeerError: `bad-request`.
    """
    if target[:1] != b"/":
        _, target = _other_form(b"", target, b"")
    path, _, query = target.partition(b"?")
    return path, query


def split_path(target: bytes) -> list[bytes]:
    """Cut a path at each "/" and percent-decode the segments: b"/api/bob%2Fx" is [b"api", b"bob/x"], b"/" is [b""].

    Raises:
        PeerError: `bad-request` for a percent sign without two hexadecimal digits.
    """
    path = target if target[:1] == b"/" and b"?" not in target else split_target(target)[0]
    segments = path[1:].split(b"/")
    return [_unquote(segment) for segment in segments] if b"%" in path else segments


def query_pairs(query: bytes) -> list[tuple[bytes, bytes]]:
    """Cut a query into names and values, percent-decoded, "+" a space, in order, repeated ones too.

    Raises:
        PeerError: `bad-request` for a percent sign without two hexadecimal digits.
    """
    pairs = []
    coded = b"%" in query or b"+" in query
    for item in query.split(b"&"):
        if item:
            name, _, value = item.partition(b"=")
            if coded:
                name, value = _unquote(name.replace(b"+", b" ")), _unquote(value.replace(b"+", b" "))
            pairs.append((name, value))
    return pairs


def _unquote(text: bytes) -> bytes:
    if b"%" not in text:
        return text
    if _BROKEN_PERCENT(text):
        raise PeerError("bad-request", "a percent sign stands before two hexadecimal digits")
    return unquote_to_bytes(text)


_EXPOSED: Final = b"Access-Control-Expose-Headers: MegaComet-Position, Retry-After, X-Request-Id\r\n"
_ANY_ORIGIN: Final = b"Access-Control-Allow-Origin: *\r\n" + _EXPOSED
_PREFLIGHT: Final = (
    b"Access-Control-Allow-Methods: GET, POST, OPTIONS\r\n"
    b"Access-Control-Allow-Headers: Authorization, Content-Type, Last-Event-ID, Cache-Control, X-Request-Id\r\n"
    b"Access-Control-Max-Age: 86400\r\n"
)
_BODYLESS: Final = frozenset({204, 304})


def cors(origin: bytes, allowed: Collection[bytes]) -> bytes:
    """Return the lines that let pages of the origin read an answer.

    Args:
        origin: the header Origin, b"" without one.
        allowed: the origins that are set; none: every origin may.
    """
    if not allowed:
        return _ANY_ORIGIN
    if origin not in allowed:
        return b"Vary: Origin\r\n"
    return b"Access-Control-Allow-Origin: %b\r\nVary: Origin\r\n%b" % (origin, _EXPOSED)


def date_line(unix_s: float) -> bytes:
    """Return the line of the header Date (RFC 9110, 6.6.1); one a second is enough for all answers."""
    return b"Date: %b\r\n" % formatdate(unix_s, usegmt=True).encode()


def response(
    status: int,
    headers: bytes,
    body: bytes,
    *,
    keep_alive: bool,
    minor: int,
    head_only: bool = False,
    cache_control: bytes = b"no-store",
) -> bytes:
    """Return a complete answer with the headers that all answers of the public port carry.

    Args:
        headers: more lines, each with its CRLF: `cors`, `date_line`, Content-Type and whatever the path adds.
        body: of the answer; with 204 and 304 it must be b"".
        keep_alive: whether the connection stays open after it.
        minor: of the request's version.
        head_only: whether HEAD was asked: the length is told, the body is not sent.
        cache_control: the value of Cache-Control.
    """
    opening = _opening(status, keep_alive, minor, cache_control)
    if status in _BODYLESS:  # they end with the head, and 204 must not tell a length (RFC 9110, 8.6)
        return b"%b%b\r\n" % (opening, headers)
    return b"%b%bContent-Length: %d\r\n\r\n%b" % (opening, headers, len(body), b"" if head_only else body)


def stream_head(headers: bytes, *, is_chunked: bool, cache_control: bytes) -> bytes:
    """Return the head of an answer without an end: in chunks, or up to the end of the connection (HTTP/1.0)."""
    coding = b"Transfer-Encoding: chunked\r\n" if is_chunked else b""
    return b"%b%b%b\r\n" % (_opening(200, is_chunked, 1, cache_control), headers, coding)


@lru_cache(maxsize=256)
def _opening(status: int, keep_alive: bool, minor: int, cache_control: bytes) -> bytes:
    try:
        reason = HTTPStatus(status).phrase.encode()
    except ValueError:
        reason = b""
    connection = b""
    if not keep_alive:
        connection = b"Connection: close\r\n"
    elif minor == 0:
        connection = b"Connection: keep-alive\r\n"
    return b"HTTP/1.1 %d %b\r\nServer: MegaComet\r\n%bCache-Control: %b\r\nX-Content-Type-Options: nosniff\r\n" % (
        status,
        reason,
        connection,
        cache_control,
    )


def preflight(
    origin: bytes, allowed: Collection[bytes], *, keep_alive: bool, minor: int, headers: bytes = b""
) -> bytes:
    """Return the answer to OPTIONS, whether a browser asks before a request or anybody else.

    Args:
        headers: more lines, such as `date_line`.
    """
    lines = headers + cors(origin, allowed) + (_PREFLIGHT if not allowed or origin in allowed else b"")
    return response(204, lines, b"", keep_alive=keep_alive, minor=minor)
