"""What servers say, as the client understands it: today's, a newer one's, and what is none."""

from __future__ import annotations

import math
from typing import Any

import pytest

from megacomet.client.items import Message
from megacomet.client.objects import (
    Garbage,
    Gone,
    Lost,
    Ok,
    Position,
    Refusal,
    of_event,
    of_frame,
    of_poll,
    of_problem,
)


@pytest.mark.parametrize(
    ("frame", "value"),
    [
        (
            b'{"op":"message","channel":"a","id":"e-1","data":{"n":[1,null,"x"]}}',
            Message("a", "e-1", {"n": [1, None, "x"]}),
        ),
        (b'{"op":"message","channel":"a","id":"e-1","data":null}', Message("a", "e-1", None)),
        (b'{"op":"position","position":"e-1"}', Position("e-1")),
        (b'{"op":"gap","channel":"a","position":"e-1"}', Lost("a", "e-1")),
        (b'{"op":"ok","id":7,"position":"e-1"}', Ok(7, "e-1")),
        (b'{"op":"ok","id":"x","message":"e-1"}', Ok("x")),
        (b'{"op":"error","id":7,"code":103,"message":"no"}', Refusal(103, "no", 7)),
        (b'{"op":"error","code":107,"message":"no"}', Refusal(107, "no")),
        (b' {"new":1,"op":"position","position":"e-1","more":{}} ', Position("e-1")),
        (b'{"op":"presence","who":[]}', None),
    ],
)
def test_frames(frame: bytes, value: Any) -> None:
    """Each op; fields and ops of a newer server are passed over."""
    assert of_frame(frame) == value


@pytest.mark.parametrize(
    "frame",
    [
        *(
            b"",
            b"{",
            b"<!doctype html>",
            b"[]",
            b'"x"',
            b"{}",
            b'{"op":7}',
            b'{"op":"message"}',
            b"\xff",
            b"[" * 100_000,
        ),
        b'{"op":"message","channel":1,"id":"e-1","data":1}',
        b'{"op":"message","channel":"a","id":"e-1","data":"\xff"}',
    ],
)
def test_garbage_frames(frame: bytes) -> None:
    """What is no JSON or not of the form is told as such, with its beginning, harmless and short."""
    with pytest.raises(Garbage) as told:
        of_frame(frame)
    assert len(str(told.value)) < 400
    assert str(told.value).isprintable()


@pytest.mark.parametrize(
    ("number", "value"),
    [(b"1e400", math.inf), (b"-1e400", -math.inf), (b"9" * 40, int("9" * 40)), (b"1" * 5000, math.inf)],
)
def test_numbers_of_any_size(number: bytes, value: float) -> None:
    """A message is not lost because of a number that its server lets pass."""
    frame = b'{"op":"message","channel":"a","id":"e-1","data":[%b]}' % number
    assert of_frame(frame) == Message("a", "e-1", [value])
    assert of_event("message", "e-1", f'{{"channel":"a","data":[{number.decode()}]}}') == Message("a", "e-1", [value])
    body = b'{"position":"e-1","messages":[{"channel":"a","id":"e-1","data":[%b]}],"gap":false}' % number
    assert of_poll(body)[0] == Message("a", "e-1", [value])


@pytest.mark.parametrize(
    ("event", "value"),
    [
        (("message", "e-1", '{"channel":"a","data":1,"new":2}'), Message("a", "e-1", 1)),
        (("position", "e-1", "{}"), Position("e-1")),
        (("gap", "e-1", '{"channels":["a","*"]}'), Gone(("a", "*"), "e-1")),
        (("weather", "e-1", "?"), None),
    ],
)
def test_events(event: tuple[str, str, str], value: Any) -> None:
    """Each event; those of a newer server are passed over."""
    assert of_event(*event) == value


@pytest.mark.parametrize(
    "event",
    [("message", "e-1", "hello"), ("message", "", '{"channel":"a","data":1}'), ("gap", "e-1", "[]")],
)
def test_garbage_events(event: tuple[str, str, str]) -> None:
    """A stream that is another's, or raw."""
    with pytest.raises(Garbage):
        of_event(*event)


def test_polls() -> None:
    """The gap, the messages, the position, in the order in which they are told."""
    two = b'{"channel":"a","id":"e-2","data":1},{"channel":"b","id":"e-3","data":2}'
    body = b'{"position":"e-3","messages":[%b],"gap":%%b}' % two
    messages = [Message("a", "e-2", 1), Message("b", "e-3", 2)]
    assert of_poll(body % b"false") == [*messages, Position("e-3")]
    assert of_poll(body % b'true,"gaps":["a"]') == [Gone(("a",), ""), *messages, Position("e-3")]
    empty = b'{"position":"e-3","messages":[],"gap":true,"gaps":["a"]}'
    assert of_poll(empty) == [Gone(("a",), "e-3"), Position("e-3")]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"position":"e-1"}', b'{"messages":[],"position":7}'])
def test_garbage_polls(body: bytes) -> None:
    """An answer that is another's."""
    with pytest.raises(Garbage):
        of_poll(body)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"code":"bad-name","detail":"no dots"}', "bad-name: no dots"),
        (b'{"code":"bad-name","title":"A name"}', "bad-name: A name"),
        (b'{"code":"bad-name"}', "bad-name"),
        (b"[]", ""),
        (b"<html>", ""),
    ],
)
def test_problems(body: bytes, text: str) -> None:
    """What an error says for people."""
    assert of_problem(body) == text
