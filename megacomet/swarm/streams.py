"""Owns the cutting of streams into events: Server-Sent Events (HTML standard, 9.2.6) and objects a line, in chunks.

Nearly everything that comes is a whole chunk with one message in it, and that is read in one step. Everything else goes
the long way. No state: the bytes of an incomplete event are given back, as a chunk of their own when its chunk was
complete, and come again in front of those that follow.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from megacomet.swarm.chunks import chunk, unchunked
from megacomet.swarm.events import (
    END,
    MESSAGE,
    MESSAGE_OBJECT,
    POSITION,
    Event,
    gaps_of,
    message_of,
    read_json,
    read_object,
)

_SSE_CHUNK: Final = re.compile(
    rb"([0-9a-f]{1,6})\r\nid: ([0-9a-z]{1,16}-[0-9]{1,19})\n"
    rb'data: \{"channel":"([^"\\\r\n]*)","data":"([^"\\\r\n]*)"\}\n\n\r\n'
).match
_LINE_CHUNK: Final = re.compile(rb"([0-9a-f]{1,6})\r\n" + MESSAGE_OBJECT + rb"\n\r\n").match
#: Bytes of a chunk besides its size and its payload.
_AROUND: Final = 4


def cut_sse(data: bytes) -> tuple[list[Event], bytes]:
    """Cut a stream of Server-Sent Events; returns the events and what is left over.

    Raises:
        BadAnswer: these are no chunks, or no events of this server.
    """
    events: list[Event] = []
    at, end = 0, len(data)
    while at < end:
        whole = _SSE_CHUNK(data, at)
        if whole is None:
            return _slowly(data[at:], events, _cut_events)
        size, position, channel, text = whole.groups()
        next_at = whole.end()
        if int(size, 16) + len(size) + _AROUND != next_at - at:
            return _slowly(data[at:], events, _cut_events)
        events.append((MESSAGE, position, channel, text))
        at = next_at
    return events, b""


def cut_lines(data: bytes) -> tuple[list[Event], bytes]:
    """Cut a stream of objects, one a line; returns the events and what is left over.

    Raises:
        BadAnswer: these are no chunks, or no objects.
    """
    events: list[Event] = []
    at, end = 0, len(data)
    while at < end:
        whole = _LINE_CHUNK(data, at)
        if whole is None:
            return _slowly(data[at:], events, _cut_objects)
        size, channel, position, text = whole.groups()
        next_at = whole.end()
        if int(size, 16) + len(size) + _AROUND != next_at - at:
            return _slowly(data[at:], events, _cut_objects)
        events.append((MESSAGE, position, channel, text))
        at = next_at
    return events, b""


def _slowly(data: bytes, events: list[Event], cut: Callable[[bytes, list[Event]], bytes]) -> tuple[list[Event], bytes]:
    payload, rest, ended = unchunked(data)
    if payload:
        rest = chunk(cut(payload, events)) + rest
    if ended:
        events.append((END, b"", b"", b""))
        rest = b""
    return events, rest


def _cut_events(payload: bytes, events: list[Event]) -> bytes:
    if b"\r" in payload:
        payload = payload.replace(b"\r\n", b"\n")
    *blocks, rest = payload.split(b"\n\n")
    for block in blocks:
        events += _event(block)
    return rest


def _event(block: bytes) -> list[Event]:
    """Read the lines of one event. One without data says nothing, not even a position: some clients forget its id."""
    kind, position, data = b"message", b"", []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            kind = value
        elif field == b"id":
            position = value
        elif field == b"data":
            data.append(value)
    if not data:
        return []
    if kind == b"position":
        return [(POSITION, position, b"", b"")]
    if kind == b"gap":
        return gaps_of(read_json(b"\n".join(data)).get("channels"), position)
    if kind == b"message":
        return [message_of(read_json(b"\n".join(data)), position.decode("latin-1"))]
    return []


def _cut_objects(payload: bytes, events: list[Event]) -> bytes:
    *lines, rest = payload.split(b"\n")
    for line in lines:
        told = read_object(line) if line else None
        if told is not None:
            events.append(told)
    return rest
