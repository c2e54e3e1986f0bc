"""JSON that travels as the bytes it came in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from megacomet.errors import BadData
from megacomet.wire.jsonbytes import MAX_DEPTH, check_data, depth, json_string

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def code_of(raw: bytes, most: int = 65536) -> str:
    with pytest.raises(BadData) as caught:
        check_data(raw, most)
    assert caught.value.pointer == "/data"
    return caught.value.code


@pytest.mark.parametrize(
    "raw",
    [
        b"null",
        b"true",
        b"0",
        b"-0",
        b"-1.5e-3",
        b"1E400",
        b"1" * 5000,
        b'""',
        b'"text"',
        b'"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9"',
        b'"\\ud83d\\ude00"',
        b'"\x7f"',
        '"ä\u2028😀"'.encode(),
        b"[]",
        b"{}",
        b'{"a":[1, 2 ,{"b":null}],"a":3}',
        b'{"' + b"[{" * 500 + b'":1}',
        b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
        b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH,
        b"[" + b"[]," * 500 + b"{}]",
    ],
)
def test_json_travels_as_it_is(raw: bytes) -> None:
    """Any JSON value, of any kind and spelling, comes out byte for byte."""
    assert check_data(raw, 65536) == raw


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (b" 1\n", b"1"),
        (b'\t"a b" ', b'"a b"'),
        (b'{\r\n  "a": [\n    1\n  ]\r\n}\n', b'{  "a": [    1  ]}'),
        (b'["a\\nb",\n"c"]', b'["a\\nb","c"]'),
    ],
)
def test_line_breaks_are_taken_out(raw: bytes, data: bytes) -> None:
    """Data stands in one line of a stream: breaks between values go, those written \\n in strings stay."""
    assert check_data(raw, 65536) == data


BAD_JSON = {
    "nothing": b"",
    "blank": b" \n",
    "a word": b"hello",
    "cut literal": b"tru",
    "two values": b"1 2",
    "two values on two lines": b"1\n2",
    "cut string": b'"abc',
    "cut array": b"[1",
    "comma at the end": b"[1,]",
    "comma at the end of an object": b'{"a":1,}',
    "key without quotes": b"{a:1}",
    "key that is a number": b"{1:2}",
    "single quotes": b"'a'",
    "comment": b"/**/1",
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "minus Infinity": b"-Infinity",
    "nested NaN": b"[NaN]",
    "leading zero": b"01",
    "plus": b"+1",
    "point at the end": b"1.",
    "point at the start": b".5",
    "minus only": b"-",
    "exponent only": b"1e",
    "hexadecimal": b"0x1",
    "unknown escape": b'"\\q"',
    "escape at the end": b'"\\"',
    "cut escape": b'"\\u12"',
    "escape that is not hexadecimal": b'"\\u12g4"',
    "half a pair": b'"\\ud83d"',
    "half a pair before text": b'"\\ud83dabcdefgh"',
    "half a pair before another escape": b'"\\ud83d\\u0041"',
    "half a pair before a newline": b'"\\ud83d\\nabcdef"',
    "second half alone": b'"\\ude00"',
    "half a pair in a key": b'{"\\ud83d":1}',
    "line break in a string": b'"a\nb"',
    "tab in a string": b'"a\tb"',
    "NUL in a string": b'"a\0b"',
    "control character in a string": b'"a\x1fb"',
    "control character in a key": b'{"a\x01":1}',
    "vertical tab": b"[\x0b1]",
    "no-break space": b"[\xc2\xa01]",
    "byte order mark": b"\xef\xbb\xbf1",
    "invalid UTF-8": b'"\xff"',
    "invalid UTF-8 in a key": b'{"\xff":1}',
    "invalid UTF-8 deep inside": b'[[{"a":["\xc3"]}]]',
    "overlong UTF-8": b'"\xc0\xaf"',
    "surrogate in UTF-8": b'"\xed\xa0\x80"',
    "invalid UTF-8 outside": b"1\xff",
    "Latin-1": '"ä"'.encode("latin-1"),
    "UTF-16": '"a"'.encode("utf-16"),
}


@pytest.mark.parametrize("raw", BAD_JSON.values(), ids=BAD_JSON.keys())
def test_what_is_not_json_is_refused(raw: bytes) -> None:
    """Broken JSON, numbers that JSON lacks, text that is not Unicode: none gets through to a subscriber."""
    assert code_of(raw) == "bad-json"


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
        b"[" * 100_000 + b"]" * 100_000,
        b"[" * 100_000,
        b'[{"a":' * 50_000,
    ],
    ids=["one too many", "objects", "very deep", "very deep and cut", "mixed"],
)
def test_too_deep_is_refused(raw: bytes) -> None:
    """More than 128 arrays and objects in each other would break the clients' decoders."""
    assert code_of(raw, 10_000_000) == "bad-fields"


def test_size_counts_after_the_line_breaks_are_gone() -> None:
    """The bound is for what travels."""
    assert check_data(b"[\n1\n]", 3) == b"[1]"
    assert code_of(b"[11]", 3) == "too-large"
    assert check_data(b'"ab"', 4) == b'"ab"'
    assert code_of('"aä"'.encode(), 4) == "too-large"


def test_pointer_is_the_callers() -> None:
    """The error names the field that the caller took the value from."""
    with pytest.raises(BadData) as caught:
        check_data(b"x", 10, "/other")
    assert caught.value.pointer == "/other"


@pytest.mark.parametrize(
    ("raw", "deep"), [(b"1", 0), (b"[]", 1), (b'"[[["', 0), (b'["]]\\"[["]', 1), (b'[{"a":[]},[[]]]', 3)]
)
def test_depth_does_not_count_strings(raw: bytes, deep: int) -> None:
    """Brackets in text are text."""
    assert depth(raw) == deep


@given(VALUES, st.sampled_from([None, 2]), st.booleans())
def test_any_value_travels_and_means_the_same(value: Any, indent: int | None, ascii_only: bool) -> None:
    """Whatever Python's encoder writes, pretty or not, is taken, has one line and means what it meant."""
    raw = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    data = check_data(raw, 10_000_000)
    assert json.loads(data) == json.loads(raw)
    assert b"\n" not in data
    assert b"\r" not in data


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=30), st.text('[]{}":,\\u0d8c1e-. \n\tnultrefas', max_size=30).map(str.encode)))
def test_any_bytes_are_judged_as_the_strictest_decoder_would(raw: bytes) -> None:
    """What is taken, Python's decoder takes too; nothing else than the error of data ever comes out."""
    try:
        data = check_data(raw, 65536)
    except BadData:
        return
    json.loads(data.decode("utf-8"))
    assert check_data(data, 65536) == data


@given(st.text())
def test_any_text_becomes_a_string(text: str) -> None:
    """Text is the same text as a JSON string."""
    data = json_string(text.encode())
    assert json.loads(data) == text
    assert check_data(data, 10_000_000) == data


def test_text_that_is_not_utf8_is_refused() -> None:
    """Bytes that are no text become no string."""
    with pytest.raises(BadData) as caught:
        json_string(b"a\xff")
    assert caught.value.code == "bad-json"
