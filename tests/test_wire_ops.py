"""The requests of a WebSocket and their answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from megacomet.errors import CATALOGUE, OP_CODES, OpError, PeerError, Refused
from megacomet.wire.jsonbytes import MAX_DEPTH
from megacomet.wire.ops import (
    DEFAULT_HISTORY,
    History,
    Ping,
    Publish,
    Request,
    Subscribe,
    Unsubscribe,
    error,
    ok,
    ok_history,
    ok_message,
    ok_position,
    op_error,
    parse,
)

MOST = 100


@pytest.mark.parametrize(
    ("payload", "request_"),
    [
        (b'{"op":"subscribe","channels":["a"]}', Subscribe((b"a",), b"", None)),
        (b'{"op":"subscribe","channels":["b","a","b"],"id":1}', Subscribe((b"b", b"a"), b"", b"1")),
        (b'{"op":"subscribe","channels":["a"],"since":""}', Subscribe((b"a",), b"", None)),
        (b'{"op":"subscribe","channels":["a"],"since":"oldest"}', Subscribe((b"a",), b"oldest", None)),
        (b'{"id":"x","since":"3kx9-12.4","channels":["a"],"op":"subscribe"}', Subscribe((b"a",), b"3kx9-12.4", b'"x"')),
        ('{"op":"subscribe","channels":["ä\\u00e4"]}'.encode(), Subscribe(("ää".encode(),), b"", None)),
        (b'{"op":"unsubscribe","channels":["a","a"],"id":0}', Unsubscribe((b"a",), b"0")),
        (b'{"op":"publish","channel":"a","data":null}', Publish(b"a", b"null", None, None)),
        (b'{"op":"publish","channel":"a","data":{"b" : 1e2},"key":"k"}', Publish(b"a", b'{"b" : 1e2}', b"k", None)),
        (b'{"op":"publish","channel":"a","data":[1,\r\n2]}', Publish(b"a", b"[1,2]", None, None)),
        (b'{"op":"publish","channel":"a","data":"%b"}' % (b"x" * 98), Publish(b"a", b'"%b"' % (b"x" * 98), None, None)),
        (b'{"op":"publish","channel":"a","data":1,"key":"%b"}' % (b"k" * 128), Publish(b"a", b"1", b"k" * 128, None)),
        (b'{"op":"history","channel":"a"}', History(b"a", b"", DEFAULT_HISTORY, None)),
        (b'{"op":"history","channel":"a","since":"ab-1","limit":1,"id":2}', History(b"a", b"ab-1", 1, b"2")),
        (b'{"op":"history","channel":"a","limit":1000}', History(b"a", b"", 1000, None)),
        (b'{"op":"ping"}', Ping(None)),
        (b' \n{ "op" : "ping" , "id" : 7 } ', Ping(b"7")),
        (b'{"op":"pi\\u006eg","id":null}', Ping(None)),
        (b'{"op":"ping","id":9007199254740992}', Ping(b"9007199254740992")),
        (b'{"op":"ping","id":"%b"}' % (b"x" * 64), Ping(b'"%b"' % (b"x" * 64))),
        (b'{"op":"ping","id":"%b"}' % ("😀" * 64).encode(), Ping(b'"%b"' % ("😀" * 64).encode())),
        (b'{"op":"ping","id":"\\ud83d\\ude00\\n"}', Ping(b'"\\ud83d\\ude00\\n"')),
        (b'{"op":"ping","id":""}', Ping(b'""')),
        (b'{"op":"ping","id":1,"id":2}', Ping(b"2")),
    ],
)
def test_requests(payload: bytes, request_: Request) -> None:
    """What a request may hold, and what it comes to."""
    assert parse(payload, MOST) == request_


DEEP = 100_000
REFUSED: dict[str, tuple[bytes, int, bytes | None]] = {
    "nothing": (b"", 107, None),
    "no JSON": (b"hello", 107, None),
    "cut JSON": (b'{"op":"ping","id":1', 107, None),
    "something behind it": (b'{"op":"ping","id":1}x', 107, None),
    "two requests": (b'{"op":"ping"}\n{"op":"ping"}', 107, None),
    "broken behind a fault": (b'{"id":1,"op":5,"x":}', 107, None),
    "byte order mark": (b'\xef\xbb\xbf{"op":"ping"}', 107, None),
    "no UTF-8": (b'{"op":"ping","id":"\xff"}', 107, None),
    "no UTF-8 in data": (b'{"op":"publish","channel":"a","data":"\xff","id":1}', 107, None),
    "no UTF-8 in a name": (b'{"op":"subscribe","channels":["\xff"],"id":1}', 107, None),
    "half a pair": (b'{"op":"publish","channel":"a","data":"\\ud83d","id":1}', 107, None),
    "a list": (b"[]", 107, None),
    "a text": (b'"ping"', 107, None),
    "null": (b"null", 107, None),
    "no op": (b'{"id":1}', 107, b"1"),
    "op null": (b'{"op":null,"id":1}', 107, b"1"),
    "op of another type": (b'{"op":["ping"],"id":1}', 107, b"1"),
    "unknown op": (b'{"op":"join","id":1}', 104, b"1"),
    "unknown op with fields": (b'{"op":"join","room":[1],"id":"a"}', 104, b'"a"'),
    "unknown op without id": (b'{"op":"join"}', 104, None),
    "empty op": (b'{"op":""}', 104, None),
    "op of another case": (b'{"op":"Ping"}', 104, None),
    "presence": (b'{"op":"presence","channel":"a","id":1}', 108, b"1"),
    "auth": (b'{"op":"auth","token":"x","id":1}', 108, b"1"),
    "rpc": (b'{"op":"rpc","method":"x","data":[],"id":1}', 108, b"1"),
    "unknown field": (b'{"op":"ping","id":1,"x":2}', 107, b"1"),
    "field of another op": (b'{"op":"unsubscribe","channels":["a"],"since":"","id":1}', 107, b"1"),
    "no channels": (b'{"op":"subscribe","id":1}', 107, b"1"),
    "empty channels": (b'{"op":"subscribe","channels":[],"id":1}', 107, b"1"),
    "channels that are a text": (b'{"op":"subscribe","channels":"a","id":1}', 107, b"1"),
    "a channel that is a number": (b'{"op":"subscribe","channels":["a",1],"id":1}', 107, b"1"),
    "an empty channel": (b'{"op":"subscribe","channels":["a",""],"id":1}', 107, b"1"),
    "a channel with a space": (b'{"op":"unsubscribe","channels":["a b"],"id":1}', 107, b"1"),
    "a channel with NUL": (b'{"op":"history","channel":"a\\u0000","id":1}', 107, b"1"),
    "a long channel": (b'{"op":"publish","channel":"%b","data":1,"id":1}' % (b"a" * 256), 107, b"1"),
    "a mailbox": (b'{"op":"subscribe","channels":["a","@sue"],"id":1}', 103, b"1"),
    "everyone": (b'{"op":"subscribe","channels":["*"],"id":1}', 103, b"1"),
    "a mailbox to leave": (b'{"op":"unsubscribe","channels":["@sue"],"id":1}', 103, b"1"),
    "a mailbox to publish to": (b'{"op":"publish","channel":"@sue","data":1,"id":1}', 103, b"1"),
    "a mailbox to read": (b'{"op":"history","channel":"@sue","id":1}', 103, b"1"),
    "a bad position": (b'{"op":"subscribe","channels":["a"],"since":"now","id":1}', 107, b"1"),
    "a position with a line break": (b'{"op":"subscribe","channels":["a"],"since":"a-1\\n","id":1}', 107, b"1"),
    "a position that is a number": (b'{"op":"history","channel":"a","since":5,"id":1}', 107, b"1"),
    "a position that is null": (b'{"op":"history","channel":"a","since":null,"id":1}', 107, b"1"),
    "no data": (b'{"op":"publish","channel":"a","id":1}', 107, b"1"),
    "large data": (b'{"op":"publish","channel":"a","data":"%b","id":1}' % (b"x" * 99), 106, b"1"),
    "deep data": (
        b'{"op":"publish","channel":"a","data":%b%b,"id":1}' % (b"[" * (MAX_DEPTH + 1), b"]" * (MAX_DEPTH + 1)),
        107,
        b"1",
    ),
    "very deep data": (b'{"op":"publish","channel":"a","data":%b%b,"id":1}' % (b"[" * DEEP, b"]" * DEEP), 107, None),
    "a very deep field": (b'{"op":"ping","x":%b%b}' % (b'{"a":' * DEEP, b"}" * DEEP), 107, None),
    "very deep and unfinished": (b"[" * DEEP, 107, None),
    "an empty key": (b'{"op":"publish","channel":"a","data":1,"key":"","id":1}', 107, b"1"),
    "a long key": (b'{"op":"publish","channel":"a","data":1,"key":"%b","id":1}' % (b"k" * 129), 107, b"1"),
    "a key that is a number": (b'{"op":"publish","channel":"a","data":1,"key":1,"id":1}', 107, b"1"),
    "limit 0": (b'{"op":"history","channel":"a","limit":0,"id":1}', 107, b"1"),
    "limit 1001": (b'{"op":"history","channel":"a","limit":1001,"id":1}', 107, b"1"),
    "a fraction as limit": (b'{"op":"history","channel":"a","limit":1.5,"id":1}', 107, b"1"),
    "true as limit": (b'{"op":"history","channel":"a","limit":true,"id":1}', 107, b"1"),
    "a huge limit": (b'{"op":"history","channel":"a","limit":%b,"id":1}' % (b"9" * 9999), 107, b"1"),
    "an id below zero": (b'{"op":"ping","id":-1}', 107, None),
    "an id over 2^53": (b'{"op":"ping","id":9007199254740993}', 107, None),
    "a huge id": (b'{"op":"ping","id":%b}' % (b"9" * 9999), 107, None),
    "an id with a fraction": (b'{"op":"ping","id":1.0}', 107, None),
    "an id with an exponent": (b'{"op":"ping","id":1e2}', 107, None),
    "an id that is true": (b'{"op":"ping","id":true}', 107, None),
    "an id that is an object": (b'{"op":"ping","id":{}}', 107, None),
    "a long id": (b'{"op":"ping","id":"%b"}' % (b"x" * 65), 107, None),
    "a bad id of an unknown op": (b'{"op":"join","id":[]}', 107, None),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_requests(name: str) -> None:
    """What is wrong is answered with its number, and with the id when that could be read."""
    payload, code, id_ = REFUSED[name]
    with pytest.raises(OpError) as caught:
        parse(payload, MOST)
    assert (caught.value.code, caught.value.id) == (code, id_)
    assert 0 < len(caught.value.message) <= 300
    assert b"\n" not in error(caught.value.id, caught.value.code, caught.value.message)


def test_a_complaint_quotes_no_more_than_a_line() -> None:
    """A field name of a megabyte does not come back whole."""
    with pytest.raises(OpError) as caught:
        parse(b'{"op":"ping","id":1,"%b":2}' % (b"x" * 1_000_000), MOST)
    assert len(caught.value.message) <= 200


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["subscribe", "unsubscribe", "publish", "history", "ping", "rpc", "a", "ab-1", "@a", "*"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
FIELDS = st.sampled_from(["op", "id", "channel", "channels", "since", "limit", "key", "data", "x"])
OBJECTS = st.dictionaries(FIELDS, JSON).map(json.dumps).map(str.encode)
ALMOST = st.builds(lambda head, middle, tail: head + middle + tail, OBJECTS, st.binary(max_size=3), OBJECTS)
CHANNEL = st.text("ab:ä😀", min_size=1, max_size=5)
ID = {"id": st.integers(0, 2**53) | st.text(max_size=64) | st.none()}
SINCE = {"since": st.sampled_from(["", "oldest", "ab-1", "ab-1.2"])}
RIGHT = st.one_of(
    st.fixed_dictionaries(
        {"op": st.just("subscribe"), "channels": st.lists(CHANNEL, min_size=1)}, optional={**ID, **SINCE}
    ),
    st.fixed_dictionaries({"op": st.just("unsubscribe"), "channels": st.lists(CHANNEL, min_size=1)}, optional=ID),
    st.fixed_dictionaries(
        {"op": st.just("publish"), "channel": CHANNEL, "data": st.text(max_size=9) | st.lists(st.integers(0, 9))},
        optional={**ID, "key": st.text(min_size=1, max_size=32)},
    ),
    st.fixed_dictionaries(
        {"op": st.just("history"), "channel": CHANNEL}, optional={**ID, **SINCE, "limit": st.integers(1, 1000)}
    ),
    st.fixed_dictionaries({"op": st.just("ping")}, optional=ID),
)
#: Right but for one field, more or less.
WRONG = st.builds(lambda right, field, value: {**right, field: value}, RIGHT, FIELDS, JSON)


@given(RIGHT, st.booleans(), st.sampled_from([None, 1]))
def test_what_is_right_is_taken(sent: dict[str, Any], is_ascii: bool, indent: int | None) -> None:
    """A request means the same however its JSON is written."""
    payload = json.dumps(sent, ensure_ascii=is_ascii, indent=indent).encode()
    is_what_was_sent(parse(payload, 1_000), sent)


@given(st.binary() | OBJECTS | ALMOST | WRONG.map(json.dumps).map(str.encode))
@example(b'{"op":"publish","channel":"a","data":"\xff"}')
@example(b'{"op":"' + b"\\" * 1001)
def test_any_bytes_are_a_request_or_refused(payload: bytes) -> None:
    """Whatever a client sends, it becomes a request or an error with a published number, and never anything else."""
    try:
        request = parse(payload, MOST)
    except OpError as e:
        refused = e
    else:
        is_what_was_sent(request, json.loads(payload))
        return
    assert refused.code in OP_CODES
    said = json.loads(error(refused.id, refused.code, refused.message))
    assert (said["code"], said["message"]) == (refused.code, refused.message)


def is_what_was_sent(request: Request, sent: dict[str, Any]) -> None:
    """Compare a request with what another decoder makes of its bytes."""
    assert type(request).__name__.lower() == sent["op"]
    assert (None if request.id is None else json.loads(request.id)) == sent.get("id")
    if isinstance(request, Subscribe | Unsubscribe):
        assert [each.decode() for each in request.channels] == list(dict.fromkeys(sent["channels"]))
    if isinstance(request, Publish | History):
        assert request.channel.decode() == sent["channel"]
    if isinstance(request, Subscribe | History):
        assert request.since.decode() == sent.get("since", "")
    if isinstance(request, History):
        assert request.limit == sent.get("limit", DEFAULT_HISTORY)
    if isinstance(request, Publish):
        assert (None if request.key is None else request.key.decode()) == sent.get("key")
        assert json.dumps(json.loads(request.data)) == json.dumps(sent["data"])


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (Refused("mailbox-full"), 507),
        (Refused("store-full"), 507),
        (PeerError("forbidden"), 103),
        (PeerError("unauthorized"), 101),
        (PeerError("too-many-requests"), 111),
        (PeerError("overloaded"), 100),
        (PeerError("shutting-down"), 100),
        (PeerError("internal"), 100),
    ],
)
def test_what_the_house_refuses(problem: PeerError, code: int) -> None:
    """An error that HTTP would answer with a status has a number here."""
    refused = op_error(problem, b"1")
    assert (refused.code, refused.message, refused.id) == (code, problem.title, b"1")


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_error_has_a_number(code: str) -> None:
    """No error of the catalogue is without a published number."""
    assert op_error(PeerError(code), None).code in OP_CODES


# -- answers

MESSAGES = [(b"a", b"x-1", b'{"b":1}'), (b"a", b"x-2", b'"c"')]
MESSAGE_OBJECTS = b'{"channel":"a","id":"x-1","data":{"b":1}},{"channel":"a","id":"x-2","data":"c"}'


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ok(b"1"), b'{"op":"ok","id":1}'),
        (ok(b'"a\\n"'), b'{"op":"ok","id":"a\\n"}'),
        (ok_position(b"1", b"x-1"), b'{"op":"ok","id":1,"position":"x-1"}'),
        (ok_message(b"1", b"x-1"), b'{"op":"ok","id":1,"message":"x-1"}'),
        (ok_history(b"1", [], b"x-2", True), b'{"op":"ok","id":1,"messages":[],"position":"x-2","gap":true}'),
        (
            ok_history(b'"h"', MESSAGES, b"x-2", False),
            b'{"op":"ok","id":"h","messages":[%b],"position":"x-2","gap":false}' % MESSAGE_OBJECTS,
        ),
        (error(b"7", 104, 'no "op"'), b'{"op":"error","id":7,"code":104,"message":"no \\"op\\""}'),
        (error(None, 107, "ä\n"), '{"op":"error","code":107,"message":"ä\\n"}'.encode()),
    ],
)
def test_answers(answer: bytes, said: bytes) -> None:
    """What stands on the wire is what the documentation shows: one line of JSON."""
    assert answer == said
    value: dict[str, Any] = json.loads(answer)
    assert value["op"] in ("ok", "error")
