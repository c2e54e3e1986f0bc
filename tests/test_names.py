"""Names of clients and channels."""

from __future__ import annotations

import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.errors import BadName
from megacomet.names import (
    CHANNEL_MAX_BYTES,
    CLIENT_MAX_BYTES,
    NAME_PATTERN,
    check_channel,
    check_client_id,
    check_prefix,
    is_mailbox,
    is_position,
    is_reserved,
    mailbox_of,
    namespace_of,
)

GOOD = [
    b"a",
    b"*",
    b"@",
    b"...",
    b".a",
    b"a/b",
    b"../x",
    b"%2F",
    b"-",
    b"!\"#$%&'()*+,;<=>?[\\]^_`{|}~",
    "ä".encode(),
    "中文".encode(),
    "😀".encode(),
    "👩\u200d🚀".encode(),
    b"megacomet",
]
BAD = [
    b"",
    b".",
    b"..",
    b" ",
    b"a b",
    b" a",
    b"a ",
    b"a\0",
    b"a\n",
    b"a\r\nb",
    b"a\tb",
    b"\x1f",
    b"a\x7f",
    "a\x85".encode(),
    "a\u00a0b".encode(),
    "\u3000".encode(),
    "a\u2028b".encode(),
    "a\u2029b".encode(),
    b"\xff",
    b"a\xc3",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    "ä".encode("latin-1"),
]


@pytest.mark.parametrize("name", GOOD)
def test_client_ids(name: bytes) -> None:
    """Any text without spaces and control characters names a client, and with "@" its mailbox."""
    assert check_client_id(name) is name
    assert check_channel(mailbox_of(name)) == b"@" + name


@pytest.mark.parametrize("name", [name for name in GOOD if name != b"@"])
def test_channels(name: bytes) -> None:
    """What names a client names a channel."""
    assert check_channel(name) is name


@pytest.mark.parametrize("name", BAD)
def test_broken_names_are_refused(name: bytes) -> None:
    """Empty, dots only, spaces of any script, control characters and broken UTF-8 name nothing."""
    for call in (check_client_id, check_channel, lambda raw: check_channel(mailbox_of(raw))):
        with pytest.raises(BadName) as caught:
            call(name)
        assert (caught.value.code, caught.value.status) == ("bad-name", 400)
        assert caught.value.detail


def test_longest_names() -> None:
    """The bounds count bytes, not characters."""
    check_client_id(b"x" * CLIENT_MAX_BYTES)
    check_client_id("ä".encode() * (CLIENT_MAX_BYTES // 2))
    check_channel(b"x" * CHANNEL_MAX_BYTES)
    check_channel(b"@" + b"x" * CLIENT_MAX_BYTES)
    for call, raw in (
        (check_client_id, b"x" * (CLIENT_MAX_BYTES + 1)),
        (check_client_id, "ä".encode() * (CLIENT_MAX_BYTES // 2) + b"x"),
        (check_channel, b"x" * (CHANNEL_MAX_BYTES + 1)),
        (check_channel, b"@" + b"x" * (CLIENT_MAX_BYTES + 1)),
    ):
        with pytest.raises(BadName):
            call(raw)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1, max_size=60))
def test_any_visible_text_is_a_name(text: str) -> None:
    """Names of all scripts are names."""
    if text not in (".", ".."):
        check_client_id(text.encode())


@given(st.binary(max_size=260))
def test_any_bytes_are_a_name_or_refused(raw: bytes) -> None:
    """No bytes do more than raise BadName, and what is taken is UTF-8."""
    try:
        check_client_id(raw)
    except BadName:
        return
    assert raw.decode("utf-8").split() == [raw.decode("utf-8")]


@pytest.mark.parametrize(
    ("channel", "namespace", "mailbox", "reserved"),
    [
        (b"news", b"", False, False),
        (b"chat:room:1", b"chat", False, False),
        (b":x", b"", False, False),
        (b"@sue", b"@", True, True),
        (b"@a:b", b"@", True, True),
        (b"*", b"", False, True),
        (b"**", b"", False, False),
        (b"a@b", b"", False, False),
    ],
)
def test_what_a_name_says(channel: bytes, namespace: bytes, mailbox: bool, reserved: bool) -> None:
    """Namespace, mailbox, and whether a browser may name it, can be read off the name."""
    assert namespace_of(channel) == namespace
    assert is_mailbox(channel) is mailbox
    assert is_reserved(channel) is reserved


@pytest.mark.parametrize("text", [b"a-0", b"0-1", b"3kx9-1207", b"z" * 16 + b"-" + b"9" * 19, b"a-1.2.3"])
def test_positions(text: bytes) -> None:
    """An epoch, a dash and an offset for each partition are a position."""
    assert is_position(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"-",
        b"a",
        b"a-",
        b"-1",
        b"A-1",
        b"a-x",
        b"a--1",
        b"a-1.",
        b"a-.1",
        b"a-1..2",
        b" a-1",
        b"a-1 ",
        b"a-1\n",
        b"z" * 17 + b"-1",
        b"a-" + b"1" * 20,
        b"a-1." + b"1" * 20,
        b"oldest",
        b"a-1-2",
        b"\xff-1",
        "a-\u0661".encode(),
    ],
)
def test_other_texts_are_no_positions(text: bytes) -> None:
    """Anything else is not."""
    assert not is_position(text)


@pytest.mark.parametrize("prefix", [b"", b".", b"..", b"@", b"@.", b"news:", "ü".encode(), b"x" * CHANNEL_MAX_BYTES])
def test_what_channels_may_begin_with(prefix: bytes) -> None:
    """Also with what is no name by itself."""
    assert check_prefix(prefix) == prefix


@pytest.mark.parametrize("prefix", [b" ", b"a b", b"\0", b"\xff", b"\xc3", b"x" * (CHANNEL_MAX_BYTES + 1)])
def test_what_no_channel_begins_with(prefix: bytes) -> None:
    """It is refused, rather than that nothing is found."""
    with pytest.raises(BadName):
        check_prefix(prefix)


def test_the_pattern_says_what_the_check_does() -> None:
    """Who reads the pattern knows which characters a name may have: it is compared for all that there are."""
    allows = re.compile(NAME_PATTERN).fullmatch
    for number in (*range(0xD800), *range(0xE000, sys.maxunicode + 1)):
        character = chr(number)
        is_forbidden = unicodedata.category(character) in ("Cc", "Zs", "Zl", "Zp")
        assert (allows(f"a{character}") is None) == is_forbidden, hex(number)
