"""How messages look to who waits for them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.wire.encodings import channel_json, is_callback, jsonp, poll_body, raw_form
from megacomet.wire.jsonbytes import json_string


@pytest.mark.parametrize(
    ("data", "raw"),
    [
        (b'""', b""),
        (b'"hello"', b"hello"),
        (b'"a\\"b\\\\c\\n\\u00e4"', 'a"b\\c\nä'.encode()),
        (b'"\\ud83d\\ude00"', "😀".encode()),
        ('"ä"'.encode(), "ä".encode()),
        (b"12", b"12"),
        (b"null", b"null"),
        (b'{"a":"\\n"}', b'{"a":"\\n"}'),
        (b'["a"]', b'["a"]'),
    ],
)
def test_raw_form(data: bytes, raw: bytes) -> None:
    """A string comes out as its text, anything else as its JSON."""
    assert raw_form(data) == raw


@given(st.text())
def test_text_comes_out_as_it_went_in(text: str) -> None:
    """What was pushed as text arrives byte for byte."""
    assert raw_form(json_string(text.encode())) == text.encode()


def test_jsonp_calls_the_function() -> None:
    """The answer is a script that calls the function with the JSON."""
    assert jsonp(b"f", b'{"a":1}') == b'/**/f({"a":1});'


def test_jsonp_escapes_what_old_scripts_take_for_line_ends() -> None:
    """U+2028 and U+2029 are escaped, their neighbours are not."""
    data = '"a\u2027\u2028\u2029\u2030"'.encode()
    assert jsonp(b"f", data) == '/**/f("a\u2027\\u2028\\u2029\u2030");'.encode()


@given(st.text())
def test_jsonp_means_the_same(text: str) -> None:
    """Escaped or not, the function gets the same value, and no line end stands in the script."""
    script = jsonp(b"f", json_string(text.encode())).decode()
    assert json.loads(script.removeprefix("/**/f(").removesuffix(");")) == text
    assert not {"\u2028", "\u2029", "\n", "\r"} & set(script)


@pytest.mark.parametrize("name", [b"f", b"_", b"$", b"jQuery123_456", b"a.b.c", b"A" + b"0" * 127])
def test_callbacks(name: bytes) -> None:
    """Identifiers with dots, up to 128 characters, are callbacks."""
    assert is_callback(name)


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b"1a",
        b".a",
        b"a" * 129,
        b"a b",
        b"a\n",
        b"\na",
        b"a(",
        b"alert(1)//",
        b"a;b",
        b"a[0]",
        b"a-b",
        b"<",
        b"a\0",
        "ä".encode(),
        "aä".encode(),
        b"a/**/",
        b"'",
        b"a%20",
    ],
)
def test_other_names_are_no_callbacks(name: bytes) -> None:
    """Whatever could be more than a name is refused."""
    assert not is_callback(name)


def test_body_of_a_poll() -> None:
    """Messages stand in order with channel, id and data, which is the bytes that came in."""
    messages = [(b"@sue", b"ab-1", b'{"b" : 1e2}'), (b"news:x", b"ab-3", b'"\\u00e4"')]
    assert poll_body(b"ab-3", messages, []) == (
        b'{"position":"ab-3","messages":[{"channel":"@sue","id":"ab-1","data":{"b" : 1e2}},'
        b'{"channel":"news:x","id":"ab-3","data":"\\u00e4"}],"gap":false}'
    )


def test_body_of_a_poll_that_timed_out() -> None:
    """An empty answer has a fresh position."""
    assert poll_body(b"ab-9", [], []) == b'{"position":"ab-9","messages":[],"gap":false}'


def test_body_of_a_poll_with_gaps() -> None:
    """A gap is told with the channels that it is in."""
    assert poll_body(b"ab-9", [], [b"a", b'b"']) == b'{"position":"ab-9","messages":[],"gap":true,"gaps":["a","b\\""]}'


CHANNELS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(str.encode)


@given(st.lists(st.tuples(CHANNELS, st.just(b"ab-1"), st.text().map(json.dumps).map(str.encode))), st.lists(CHANNELS))
def test_any_body_is_json(messages: list[tuple[bytes, bytes, bytes]], gaps: list[bytes]) -> None:
    """Whatever the channels are called, the body is JSON and says what was given."""
    body: dict[str, Any] = json.loads(poll_body(b"ab-1", messages, gaps))
    assert [(m["channel"].encode(), m["data"]) for m in body["messages"]] == [
        (c, json.loads(d)) for c, _, d in messages
    ]
    assert body["gap"] is bool(gaps)
    assert body.get("gaps", []) == [channel.decode() for channel in gaps]


def test_names_of_channels_are_escaped() -> None:
    """A quote or backslash in a name does not end the string."""
    assert channel_json(b'a"\\') == b'"a\\"\\\\"'
