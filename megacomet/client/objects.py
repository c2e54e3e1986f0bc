"""What servers say on each transport, as values. Knows no transport and no rule of what follows from it.

Fields and ops that are not known are ignored, since a newer server may have them; what is no JSON, or not of the form,
is `Garbage`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, TypeVar

import attrs
import msgspec

from megacomet.client.items import Message
from megacomet.wire.problems import CONTENT_TYPE

#: Longer than anything that a server sends: 1 MB of data, and what stands around it.
MOST_BYTES: Final = 16_000_000
EVENT_STREAM: Final = "text/event-stream"
JSON: Final = "application/json"
PROBLEM: Final = CONTENT_TYPE.decode()


class Garbage(Exception):
    """Raised for what no MegaComet says; the text says what it is."""


class Position(msgspec.Struct, frozen=True, gc=False, tag_field="op", tag="position"):
    """Where the client stands."""

    position: str


class Lost(msgspec.Struct, frozen=True, tag_field="op", tag="gap"):
    """Something of a channel is gone."""

    channel: str
    position: str


class Ok(msgspec.Struct, frozen=True, tag_field="op", tag="ok"):
    """A request of the WebSocket is done."""

    id: int | str | None = None
    position: str = ""


class Refusal(msgspec.Struct, frozen=True, tag_field="op", tag="error"):
    """A request of the WebSocket is refused."""

    code: int = 100
    message: str = ""
    id: int | str | None = None


@attrs.frozen
class Gone:
    """Something of several channels is gone, as an event or an answer tells it.

    Attributes:
        position: "": the answer does not tell where.
    """

    channels: tuple[str, ...]
    position: str


T = TypeVar("T")

Value = Message | Position | Lost | Gone | Ok | Refusal


class _Polled(msgspec.Struct):
    position: str
    messages: list[_PolledMessage]
    gap: bool = False
    gaps: list[str] = []


class _PolledMessage(msgspec.Struct):
    channel: str
    id: str
    data: Any


class _EventData(msgspec.Struct):
    channel: str
    data: Any


class _GapData(msgspec.Struct):
    channels: list[str]


class _Op(msgspec.Struct):
    op: str


_Frame = Message | Position | Lost | Ok | Refusal
_decode: Final = msgspec.json.Decoder(_Frame).decode
_decode_op: Final = msgspec.json.Decoder(_Op).decode
_decode_event: Final = msgspec.json.Decoder(_EventData).decode
_decode_gap: Final = msgspec.json.Decoder(_GapData).decode
_decode_polled: Final = msgspec.json.Decoder(_Polled).decode
_BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def _decoded(decode: Callable[[Any], T], kind: Any, raw: bytes | str) -> T:
    """Decode, also what has numbers of a size that the decoder refuses: to servers any size is a number."""
    try:
        return decode(raw)
    except msgspec.DecodeError as error:
        try:
            value: T = msgspec.convert(json.loads(raw, parse_int=_integer), kind)
        except (ValueError, RecursionError, msgspec.ValidationError):
            raise error from None
        return value


def _integer(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:  # more digits than Python reads
        return float(digits)


def of_frame(payload: bytes) -> _Frame | None:
    """Return what a text frame of the WebSocket says; None: nothing that this version knows."""
    try:
        value: _Frame = _decoded(_decode, _Frame, payload)
        return value
    except msgspec.ValidationError as e:
        _pass_over(payload, e)
        return None
    except _BROKEN as e:
        raise Garbage(f"a frame that is no JSON ({e}): {shown(payload)}") from None


def _pass_over(payload: bytes, error: msgspec.ValidationError) -> None:
    """Pass over an op of a newer server; a known one that is not of its form is garbage."""
    try:
        op = _decode_op(payload).op
    except _BROKEN:
        op = ""
    if op in ("", "message", "position", "gap", "ok", "error"):
        raise Garbage(f"a frame that is not of the form ({error}): {shown(payload)}") from None


def of_event(kind: str, id_: str, data: str) -> Message | Position | Gone | None:
    """Return what an event says; None: nothing that this version knows.

    Args:
        kind: its name, "message" when it has none.
        id_: the last id of the stream.
        data: its data.
    """
    try:
        if kind == "message":
            event = _decoded(_decode_event, _EventData, data)
            if not id_:
                raise Garbage(f"a message without an id: {shown(data)}")
            return Message(event.channel, id_, event.data)
        if kind == "position":
            return Position(id_)
        if kind == "gap":
            return Gone(tuple(_decode_gap(data).channels), id_)
    except _BROKEN as e:
        raise Garbage(f"an event that is not of the form ({e}): {shown(data)}") from None
    return None


def of_poll(body: bytes) -> list[Message | Position | Gone]:
    """Return what the answer to a poll says: the gap, the messages, and the position behind them."""
    try:
        polled = _decoded(_decode_polled, _Polled, body)
    except _BROKEN as e:
        raise Garbage(f"an answer that is not of the form ({e}): {shown(body)}") from None
    values: list[Message | Position | Gone] = []
    if polled.gap:
        values.append(Gone(tuple(polled.gaps), "" if polled.messages else polled.position))
    values += [Message(each.channel, each.id, each.data) for each in polled.messages]
    return [*values, Position(polled.position)]


def of_problem(body: bytes) -> str:
    """Return what an error's body says, for people; "" when it is none."""
    try:
        problem = msgspec.json.decode(body)
    except _BROKEN:
        return ""
    if not isinstance(problem, dict):
        return ""
    code, detail = problem.get("code", ""), problem.get("detail") or problem.get("title") or ""
    return f"{code}: {detail}" if code and detail else str(code or detail)


def shown(raw: bytes | str) -> str:
    """Return the beginning of what came, harmless on a terminal."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    return ascii(text[:60])
