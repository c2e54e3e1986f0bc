"""What a stream asks for, read from a request head."""

from __future__ import annotations

import pytest

from megacomet.errors import PeerError
from megacomet.model.session import Session
from megacomet.wire import streams
from megacomet.wire.http import RequestHead, find_head_end, parse_head
from megacomet.worker.openings import (
    ECHO,
    ENCODING,
    TOLD,
    Opening,
    count_forms,
    open_echo,
    open_events,
    open_objects,
    open_socket,
)

from .fronts import request
from .socket_clients import DEFLATE, HANDSHAKE, NEWEST


def head_of(target: str, *headers: str, version: str = "1.1", method: str = "GET") -> RequestHead:
    data = request(target, *headers, version=version, method=method)
    assert find_head_end(data, 0) == len(data)
    return parse_head(data)


def opening_of(session: Session) -> Opening:
    assert isinstance(session.options, Opening)
    return session.options


@pytest.mark.parametrize(
    ("read", "query", "version", "encoding"),
    [
        (open_events, "", "1.1", streams.SSE),
        (open_events, "", "1.0", streams.SSE_PLAIN),
        (open_events, "&raw=1", "1.1", streams.SSE_RAW),
        (open_events, "&raw=1", "1.0", streams.SSE_RAW_PLAIN),
        (open_events, "&raw=0", "1.1", streams.SSE),
        (open_objects, "", "1.1", streams.NDJSON),
        (open_objects, "", "1.0", streams.NDJSON_PLAIN),
        (open_objects, "&raw=1", "1.1", streams.NDJSON),
    ],
)
def test_encodings(read: object, query: str, version: str, encoding: int) -> None:
    """By path, version and raw."""
    assert callable(read)
    opening = opening_of(read(head_of(f"/comet/x?channel=a{query}", version=version), b"o", 5))
    assert opening == Opening(encoding, b"o")
    assert opening.encoding == opening.form == encoding


def test_what_is_asked_for() -> None:
    """Channels once and in order, the mailbox last; the position of the header before that of the query."""
    head = head_of("/comet/events?channel=b&client=sue&channel=a&channel=b&since=e-1", "Last-Event-ID: e-2")
    session = open_events(head, b"", 2)
    assert (session.channels, session.since) == ((b"b", b"a", b"@sue"), b"e-2")
    assert (session.is_stream, session.is_open, session.immediate) == (True, False, False)


@pytest.mark.parametrize("read", [open_events, open_objects])
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "no-channel"),
        ("?since=e-1", "no-channel"),
        ("?channel=@a", "reserved-channel"),
        ("?channel=a&since=?", "bad-position"),
        ("?channel=a&channel=b&channel=c", "bad-request"),
        ("?channel=%00", "bad-name"),
    ],
)
def test_what_is_refused(read: object, query: str, code: str) -> None:
    """Each with its code."""
    assert callable(read)
    with pytest.raises(PeerError) as caught:
        read(head_of(f"/comet/x{query}"), b"", 2)
    assert caught.value.code == code


def test_a_socket() -> None:
    """It needs no channel; protocol and compression are in its form."""
    session = open_socket(head_of("/comet/ws", *HANDSHAKE), b"o", 2)
    opening = opening_of(session)
    assert (session.channels, session.since, opening.form, opening.origin) == ((), b"", streams.WS, b"o")
    assert opening.upgrade is not None
    head = head_of("/comet/ws?client=sue&since=oldest", *HANDSHAKE, NEWEST, DEFLATE)
    session = open_socket(head, b"", 2)
    opening = opening_of(session)
    assert (session.channels, session.since) == ((b"@sue",), b"oldest")
    assert opening.form == streams.ws_deflate(15) | TOLD
    assert opening.encoding == streams.ws_deflate(15)


def test_an_echo() -> None:
    """It has a form of its own."""
    assert open_echo(head_of("/echo", *HANDSHAKE), b"o").form == streams.WS | ECHO
    opening = open_echo(head_of("/echo", *HANDSHAKE, DEFLATE + "; server_max_window_bits=10"), b"")
    assert opening.form == streams.ws_deflate(10) | ECHO


def test_no_socket() -> None:
    """What is no handshake comes before what is wrong with the query."""
    for read in (lambda head: open_socket(head, b"", 2), lambda head: open_echo(head, b"")):
        with pytest.raises(PeerError) as caught:
            read(head_of("/comet/ws?channel=@a"))
        assert caught.value.code == "upgrade-required"


def test_forms_fit_into_a_byte() -> None:
    """No flag is a part of an encoding."""
    assert streams.ws_deflate(15) <= ENCODING
    assert (ENCODING | TOLD | ECHO) < 256
    assert not (TOLD | ECHO) & ENCODING


def test_counting() -> None:
    """By transport, whatever the flags."""
    forms = [0, streams.SSE, streams.SSE_RAW_PLAIN, streams.NDJSON, streams.WS | ECHO, streams.ws_deflate(9) | TOLD]
    assert count_forms(bytearray([*forms, streams.ws_deflate(15), 0])) == {"sse": 2, "stream": 1, "ws": 3}
