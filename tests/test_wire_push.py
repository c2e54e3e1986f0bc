"""The pushes of the REST API: their schema, and the answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megacomet.errors import PeerError
from megacomet.wire.push import MAX_TARGETS, Push, PushResult, decode_push, push_answer


def encoded(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def refusal(body: bytes, most: int = 65536) -> tuple[str, str]:
    with pytest.raises(PeerError) as caught:
        decode_push(body, most)
    assert caught.value.detail
    return caught.value.code, caught.value.pointer


# ------------------------------------------------------------------------------------------------------- one push


@pytest.mark.parametrize(
    ("fields", "push"),
    [
        ({"channel": "news"}, Push((b"news",), True, b"1")),
        ({"channel": "@sue"}, Push((b"@sue",), True, b"1")),
        ({"channel": "a/b:ä"}, Push(("a/b:ä".encode(),), True, b"1")),
        ({"channels": ["a", "b", "a"]}, Push((b"a", b"b"), False, b"1")),
        ({"channels": ["a"]}, Push((b"a",), False, b"1")),
        ({"client": "sue"}, Push((b"@sue",), True, b"1")),
        ({"client": "megacomet"}, Push((b"@megacomet",), True, b"1")),
        ({"clients": ["sue", "bob", "sue"]}, Push((b"@sue", b"@bob"), False, b"1")),
        ({"everyone": True}, Push((b"*",), True, b"1", everyone=True)),
        ({"channel": "*"}, Push((b"*",), True, b"1", everyone=True)),
        ({"channels": ["a", "*"]}, Push((b"a", b"*"), False, b"1", everyone=True)),
        ({"client": "*"}, Push((b"@*",), True, b"1")),
        ({"client": "sue", "everyone": False}, Push((b"@sue",), True, b"1")),
        ({"client": "sue", "ttl": 0}, Push((b"@sue",), True, b"1", ttl_s=0)),
        ({"client": "sue", "ttl": 2.5}, Push((b"@sue",), True, b"1", ttl_s=2.5)),
        ({"client": "sue", "ttl": 2592000}, Push((b"@sue",), True, b"1", ttl_s=2592000)),
        ({"client": "sue", "key": "k"}, Push((b"@sue",), True, b"1", key=b"k")),
        ({"client": "sue", "key": "ä" * 64}, Push((b"@sue",), True, b"1", key=("ä" * 64).encode())),
    ],
)
def test_pushes(fields: dict[str, Any], push: Push) -> None:
    """Each way to name who gets it, and the options."""
    assert decode_push(encoded(data=1, **fields), 65536) == push


@pytest.mark.parametrize(
    "data", [b"null", b'"text"', b'{"a":[1,2.50]}', b'"\\u00e4 \\" : {"', b"[]", b'{"client":"x"}']
)
def test_data_is_taken_byte_for_byte(data: bytes) -> None:
    """Data is not decoded and encoded on its way."""
    assert decode_push(b'{"client":"sue","data":%b}' % data, 65536).data == data
    assert decode_push(b' {\n"data" : %b ,\n "client":"sue"}\r\n' % data, 65536).data == data


def test_line_breaks_of_data_are_taken_out() -> None:
    """A body that was written over several lines makes data of one line."""
    assert decode_push(b'{"client":"sue","data":{\r\n  "a": 1\n}}', 65536).data == b'{  "a": 1}'


def test_ten_thousand_targets_are_taken() -> None:
    """The bound itself is allowed, one more is not."""
    names = [f"c{n}" for n in range(MAX_TARGETS)]
    assert len(decode_push(encoded(data=1, clients=names), 65536).targets) == MAX_TARGETS
    assert refusal(encoded(data=1, clients=[*names, "x"])) == ("bad-fields", "/clients")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"hello",
        b"{",
        b'{"client":"sue","data":1',
        b'{"client":"sue","data":1}}',
        b'{"client":"sue","data":1} x',
        b"{'client':'sue','data':1}",
        b'{"client":"sue","data":NaN}',
        b'{"client":"sue","data":[1,]}',
        b'{"client":"sue","data":"\\q"}',
        b'{"client":"sue","data":"\\ud83d"}',
        b'{"client":"\\ud83d","data":1}',
        b'{"client":"sue","data":"a\nb"}',
        b'{"client":"s\x01ue","data":1}',
        b'{"client":"sue","data":"\xff"}',
        b'{"client":"\xff","data":1}',
        b'{"client":"sue","data":{"\xff":1}}',
        b'{"client":"sue","data":1,"\xff":1}',
        b'{"unknown":1,"data":',
        b'{"client":1,"data":tru}',
        b'\xef\xbb\xbf{"client":"sue","data":1}',
    ],
)
def test_broken_json_is_400(body: bytes) -> None:
    """A body that is not JSON, or not UTF-8 in any place, is `bad-json`."""
    assert refusal(body)[0] == "bad-json"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"[]", ""),
        (b"1", ""),
        (b"null", ""),
        (b'"text"', ""),
        (b"{}", "/data"),
        (b'{"client":"sue"}', "/data"),
        (b'{"data":1}', ""),
        (b'{"data":1,"everyone":false}', ""),
        (b'{"data":1,"client":"sue","channel":"x"}', "/client"),
        (b'{"data":1,"client":"sue","clients":["x"]}', "/clients"),
        (b'{"data":1,"client":"sue","everyone":true}', "/everyone"),
        (b'{"data":1,"client":"sue","unknown":1}', "/unknown"),
        (b'{"data":1,"client":"sue","a~/b`c":1}', "/a~0~1b`c"),
        (b'{"data":1,"client":"sue","Data":1}', "/Data"),
        (b'{"data":1,"client":1}', "/client"),
        (b'{"data":1,"client":null}', "/client"),
        (b'{"data":1,"client":["sue"]}', "/client"),
        (b'{"data":1,"channels":"x"}', "/channels"),
        (b'{"data":1,"channels":["a",2]}', "/channels/1"),
        (b'{"data":1,"channels":[]}', "/channels"),
        (b'{"data":1,"clients":[]}', "/clients"),
        (b'{"data":1,"everyone":1}', "/everyone"),
        (b'{"data":1,"everyone":"true"}', "/everyone"),
        (b'{"data":1,"client":"sue","ttl":"5"}', "/ttl"),
        (b'{"data":1,"client":"sue","ttl":true}', "/ttl"),
        (b'{"data":1,"client":"sue","ttl":null}', "/ttl"),
        (b'{"data":1,"client":"sue","ttl":-1}', "/ttl"),
        (b'{"data":1,"client":"sue","ttl":2592001}', "/ttl"),
        (b'{"data":1,"client":"sue","ttl":1e400}', "/ttl"),
        (b'{"data":1,"client":"sue","ttl":99999999999999999999999999}', "/ttl"),
        (b'{"data":1,"client":"sue","key":""}', "/key"),
        (b'{"data":1,"client":"sue","key":1}', "/key"),
        (b'{"data":1,"client":"sue","key":"%b"}' % (b"k" * 129), "/key"),
        (b'{"data":1,"client":"sue","key":"%b"}' % ("ä" * 65).encode(), "/key"),
    ],
)
def test_wrong_fields_are_422_and_pointed_at(body: bytes, pointer: str) -> None:
    """Right JSON with wrong fields is `bad-fields`, with the place."""
    assert refusal(body) == ("bad-fields", pointer)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"client": ""}, "/client"),
        ({"client": "."}, "/client"),
        ({"client": ".."}, "/client"),
        ({"client": "a b"}, "/client"),
        ({"client": "a\0b"}, "/client"),
        ({"client": "a\nb"}, "/client"),
        ({"client": "x" * 251}, "/client"),
        ({"client": "ä" * 126}, "/client"),
        ({"channel": ""}, "/channel"),
        ({"channel": "x" * 256}, "/channel"),
        ({"channel": "@"}, "/channel"),
        ({"channel": "@.."}, "/channel"),
        ({"channels": ["a", "b c"]}, "/channels/1"),
        ({"clients": ["a", "b", ""]}, "/clients/2"),
    ],
)
def test_broken_names_in_a_body_are_wrong_fields(fields: dict[str, Any], pointer: str) -> None:
    """A name that breaks the rule of names is a field with a wrong value."""
    assert refusal(encoded(data=1, **fields)) == ("bad-fields", pointer)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"data":1,"data":2,"client":"sue"}', "/data"),
        (b'{"data":1,"data":1,"client":"sue"}', "/data"),
        (b'{"client":"sue","data":{"a":":"},"data":1}', "/data"),
        (b'{"client":"sue","data":1,"data":{"a":":"}}', "/data"),
        (b'{"client":"sue","d\\u0061ta":1,"data":2}', "/data"),
        (b'{"client":"sue","data":"\\"","data":"\\""}', "/data"),
        (b'{"client":"a","client":"b","data":1}', "/client"),
        (b'{"client":"a:b","client":"b","data":1}', "/client"),
        (b'{"client":"b","client":"a\\u003ab","data":1}', "/client"),
        (b'{"channels":["a:b"],"channels":["c"],"data":1}', "/channels"),
        (b'{"everyone":true,"everyone":true,"data":1}', "/everyone"),
        (b'{"client":"a","key":"a","key":"b","data":1}', "/key"),
        (b'{"client":"a","ttl":1,"ttl":1,"data":1}', "/ttl"),
        (b'{"client":"a","ttl":1,"data":%b,"ttl":1}' % (b"7" * 5000), "/ttl"),
    ],
)
def test_repeated_fields_are_refused(body: bytes, pointer: str) -> None:
    """A field that stands twice is refused, for nobody knows which one was meant."""
    assert refusal(body) == ("bad-fields", pointer)


@pytest.mark.parametrize(
    "body",
    [
        b'{"channel":"a:b:c","data":{"data":1,"data":2,"x":":"},"key":"k:1"}',
        b'{"channel":"a\\u003ab","data":"\\"data\\":"}',
        b'{"key":"\\"","client":"sue","data":%b}' % (b"7" * 5000),
        b'{"cli\\u0065nt":"sue","data":":::"}',
        b'{"channels":["a:","b:"],"data":":"}',
    ],
)
def test_colons_and_escapes_are_not_taken_for_repeats(body: bytes) -> None:
    """Values may look like fields."""
    decode_push(body, 65536)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_data_that_is_too_deep_is_refused(opening: bytes) -> None:
    """Depth is bounded, however the body ends."""
    for times in (200, 100_000):
        assert refusal(b'{"client":"sue","data":%b' % (opening * times))[0] in {"bad-json", "bad-fields"}
    assert refusal(b'{"client":"sue","data":%b}' % (b"[" * 129 + b"]" * 129)) == ("bad-fields", "/data")
    assert refusal(b'{"client":"sue","data":%b}' % (b"[" * 99_999 + b"]" * 99_999)) == ("bad-fields", "/data")
    assert refusal(b'{"x":%b}' % (b"[" * 99_999 + b"]" * 99_999))[0] == "bad-fields"


def test_depth_in_a_repeated_field_is_harmless() -> None:
    """What a later value of the same name hides cannot exhaust the stack, whichever decoder meets it first."""
    for deep in range(600, 1000):
        body = b'{"key":"\\"","data":%b,"client":"sue","data":1}' % (b"[" * deep + b"]" * deep)
        assert refusal(body)[0] == "bad-fields"


def test_data_that_is_too_large_is_413() -> None:
    """The bound is that of the setting, to the byte."""
    assert decode_push(b'{"client":"sue","data":"abc"}', 5).data == b'"abc"'
    assert refusal(b'{"client":"sue","data":"abcd"}', 5) == ("too-large", "/data")


SMALL = st.sampled_from(["a", "a:b", '"', "\\", ":", "ä", "😀", "\u2028"]) | st.text(max_size=5)
DATA = st.recursive(st.none() | st.integers() | SMALL, lambda x: st.lists(x) | st.dictionaries(SMALL, x), max_leaves=8)


@given(SMALL, DATA, st.booleans(), st.sampled_from([None, 1]), st.sampled_from(["data", "key", "client", None]))
def test_repeats_are_found_in_any_spelling(
    key: str, data: Any, ascii_only: bool, indent: int | None, repeated: str | None
) -> None:
    """A body is taken exactly when no field stands twice, whatever the values look like."""

    def text(value: Any) -> str:
        return json.dumps(value, ensure_ascii=ascii_only, indent=indent)

    fields = {"key": f"k{key}", "data": data, "client": "s:ue"}
    items = [f"{text(name)}:{text(value)}" for name, value in fields.items()]
    if repeated:
        items.append(f"{text(repeated)}:{text(fields[repeated])}")
    body = ("{" + ",".join(items) + "}").encode()
    if repeated:
        assert refusal(body) == ("bad-fields", f"/{repeated}")
    else:
        push = decode_push(body, 65536)
        assert json.loads(push.data) == data
        assert push.key == f"k{key}".encode()


PARTS = st.sampled_from(
    [
        b"{",
        b"}",
        b'"data"',
        b'"client"',
        b'"clients"',
        b":",
        b",",
        b'"sue"',
        b"1",
        b"[",
        b"]",
        b'"ttl"',
        b"\\",
        b"\xff",
        b'"everyone"',
        b"true",
        b" ",
        b"\n",
        b'"',
        b'"key"',
        b'{"client":"sue","data":1',
        b"null",
        b"e",
        b"`",
        b"$.",
    ]
)


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=50), st.lists(PARTS, max_size=15).map(b"".join)))
def test_any_bytes_give_a_push_or_a_peer_error(body: bytes) -> None:
    """No body gets anything but a push or an error of the catalogue."""
    status = 200
    try:
        push = decode_push(body, 100)
    except PeerError as e:
        status = e.status
    else:
        assert push.targets
        json.loads(push.data)
    assert status in {200, 400, 413, 422}


# --------------------------------------------------------------------------------------------------------- answers


def test_answer_to_one_target() -> None:
    """One target: the message's id and what became of it."""
    assert push_answer([PushResult(b"@sue", b"ab-1", "sent")], True) == b'{"id":"ab-1","status":"sent"}'
    assert json.loads(push_answer([PushResult(b"@sue", b"ab-1", "queued", True, 0)], True)) == {
        "id": "ab-1",
        "status": "queued",
        "repeated": True,
        "connections": 0,
    }


def test_answer_to_several_targets() -> None:
    """Several targets: one object each, in the order asked; a refused one has a code and no id."""
    results = [PushResult(b'a"b', b"ab-1", "unheard"), PushResult(b"@sue", b"", "refused", code="mailbox-full")]
    assert json.loads(push_answer(results, False)) == {
        "results": [
            {"channel": 'a"b', "id": "ab-1", "status": "unheard"},
            {"channel": "@sue", "status": "refused", "code": "mailbox-full"},
        ]
    }
    assert json.loads(push_answer(results[:1], False))["results"][0]["channel"] == 'a"b'
