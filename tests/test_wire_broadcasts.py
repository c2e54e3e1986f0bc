"""What a request for a broadcast may hold, and the answers."""

from __future__ import annotations

import json

import pytest

from megacomet.errors import PeerError
from megacomet.wire.broadcasts import (
    MOST_PER_S,
    PER_S,
    Broadcast,
    Order,
    broadcast_json,
    broadcasts_json,
    decode_broadcast,
    estimate_json,
)

MOST = 100


@pytest.mark.parametrize(
    ("body", "order"),
    [
        ('{"channel":"news","data":1}', Order(b"news", b"1", None, PER_S)),
        ('{"everyone":true,"data":{"a": "b:c"}}', Order(b"*", b'{"a": "b:c"}')),
        ('{"channel":"*","data":null}', Order(b"*", b"null")),
        ('{"channel":"a:b","everyone":false,"data":1}', Order(b"a:b", b"1")),
        ('{"channel":"news","data":1,"ttl":0,"per_s":1}', Order(b"news", b"1", 0.0, 1)),
        ('{"channel":"news","data":1,"ttl":2.5,"per_s":1000000}', Order(b"news", b"1", 2.5, MOST_PER_S)),
        ('{"channel":"news","data":1,"per_s":5.0}', Order(b"news", b"1", None, 5)),
        ('{"channel":"gr\\u00fc\\u00dfe","data":[1,\n2]}', Order("grüße".encode(), b"[1,2]")),
    ],
)
def test_orders(body: str, order: Order) -> None:
    """A target, data, and perhaps a time and a rate."""
    assert decode_broadcast(body.encode(), MOST) == order


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ("", "bad-json", ""),
        ("{", "bad-json", ""),
        ("[]", "bad-fields", ""),
        ('{"channel":"news"}', "bad-fields", "/data"),
        ('{"data":1}', "bad-fields", ""),
        ('{"data":1,"everyone":false}', "bad-fields", ""),
        ('{"data":1,"everyone":true,"channel":"news"}', "bad-fields", "/everyone"),
        ('{"data":1,"channel":"@sue"}', "bad-fields", "/channel"),
        ('{"data":1,"channel":"@"}', "bad-fields", "/channel"),
        ('{"data":1,"channel":""}', "bad-fields", "/channel"),
        ('{"data":1,"channel":"a b"}', "bad-fields", "/channel"),
        ('{"data":1,"channel":7}', "bad-fields", "/channel"),
        ('{"data":1,"client":"sue"}', "bad-fields", "/client"),
        ('{"data":1,"channels":["a"]}', "bad-fields", "/channels"),
        ('{"data":1,"channel":"a","key":"k"}', "bad-fields", "/key"),
        ('{"data":1,"channel":"a","ttl":-1}', "bad-fields", "/ttl"),
        ('{"data":1,"channel":"a","ttl":2592001}', "bad-fields", "/ttl"),
        ('{"data":1,"channel":"a","per_s":0}', "bad-fields", "/per_s"),
        ('{"data":1,"channel":"a","per_s":1000001}', "bad-fields", "/per_s"),
        ('{"data":1,"channel":"a","per_s":1.5}', "bad-fields", "/per_s"),
        ('{"data":1,"channel":"a","per_s":"5"}', "bad-fields", "/per_s"),
        ('{"data":1,"channel":"a","channel":"b"}', "bad-fields", "/channel"),
        ('{"data":1,"channel":"a","per_s":5,"per_s":6}', "bad-fields", "/per_s"),
        ('{"data":1,"data":2,"channel":"a"}', "bad-fields", "/data"),
        ('{"data":"%s","channel":"a"}' % ("x" * MOST), "too-large", "/data"),
        ('{"data":' + "[" * 200 + "]" * 200 + ',"channel":"a"}', "bad-fields", "/data"),
        ('{"data":' + "[" * 200_000, "bad-fields", "/data"),
    ],
)
def test_bad_orders(body: str, code: str, pointer: str) -> None:
    """Everything else is refused, and the field at fault is named."""
    with pytest.raises(PeerError) as caught:
        decode_broadcast(body.encode(), MOST)
    assert (caught.value.code, caught.value.pointer) == (code, pointer), caught.value.detail


def test_no_utf8() -> None:
    """A body is UTF-8."""
    with pytest.raises(PeerError, match="UTF-8"):
        decode_broadcast(b'{"data":"\xff","channel":"a"}', MOST)


def test_answers() -> None:
    """All fields, in their order."""
    one = Broadcast(
        id="e1-7",
        channel="*",
        state="done",
        per_s=500,
        connections=9,
        written=4,
        lost=5,
        started="2026-11-23T09:00:00.000Z",
        ended="2026-11-23T09:00:01.000Z",
        by="ops",
        bytes=3,
    )
    told = json.loads(broadcast_json(one))
    assert list(told) == list(Broadcast.__struct_fields__)
    assert json.loads(broadcasts_json([one, one])) == {"broadcasts": [told, told]}
    assert json.loads(estimate_json(Order(b"a", b"123", None, 4), 10)) == {
        "connections": 10,
        "seconds": 2.5,
        "bytes": 3,
    }
