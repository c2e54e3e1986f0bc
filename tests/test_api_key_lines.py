"""The form of the key file: what a line may be, and what is said of one that may not."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.api.key_lines import MAX_FILE_BYTES, MAX_KEYS, check_name, format_keys, parse_keys
from megacomet.errors import KeyFileError
from megacomet.model.keys import SCOPES, NamedKey, digest_of

PATH = "/state/keys.jsonl"
CREATED = "2026-11-28T09:00:00Z"
DIGEST = digest_of(b"a key")
GOOD = {"name": "shop", "scope": "push", "hash": f"sha256:{DIGEST.hex()}", "created": CREATED}
SHOP = NamedKey("shop", "push", DIGEST, CREATED)


def line(**changes: object) -> bytes:
    """Return a good line with some fields changed; None leaves one out."""
    return json.dumps({name: value for name, value in (GOOD | changes).items() if value is not None}).encode()


def complaint(data: bytes) -> str:
    """Return what is said of a broken file."""
    with pytest.raises(KeyFileError) as caught:
        parse_keys(data, PATH)
    assert caught.value.path == PATH
    return str(caught.value)


# -- names


@pytest.mark.parametrize("name", ["a", "Z", "7", "shop", "shop-2.eu_west", "a" * 64, "api", "API-KEY"])
def test_names(name: str) -> None:
    """A name is a word for people, file names and command lines."""
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "a" * 65, "-a", ".a", "_a", "a b", "a\n", "a/b", "ä", "a\0", "a,b", "@a", "--json", " a", "а"],  # noqa: RUF001
)
def test_no_names(name: str) -> None:
    """What a shell, a table or an eye would misread is none."""
    with pytest.raises(ValueError, match="has a name that is not 1 to 64 of"):
        check_name(name)


def test_the_servers_own_name() -> None:
    """No key may pass for the server's own in the audit log."""
    with pytest.raises(ValueError, match="server's own key"):
        check_name("api-key")


# -- good files


def test_a_file() -> None:
    """One key a line; blank lines, CRLF and a missing last line end are how people leave files."""
    second = line(name="look", scope="read", hash=f"sha256:{digest_of(b'2').hex()}")
    look = NamedKey("look", "read", digest_of(b"2"), CREATED)
    assert parse_keys(line() + b"\n" + second + b"\n", PATH) == (SHOP, look)
    assert parse_keys(b"\n" + second + b"\r\n \t\r\n\n" + line(), PATH) == (look, SHOP)


@given(
    st.lists(
        st.builds(
            NamedKey,
            st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True).filter(lambda name: name != "api-key"),
            st.sampled_from(SCOPES),
            st.binary(min_size=32, max_size=32),
            st.datetimes(datetime(1000, 1, 1)).map(lambda when: when.strftime("%Y-%m-%dT%H:%M:%SZ")),
        ),
        min_size=1,
        max_size=20,
        unique_by=(lambda key: key.name, lambda key: key.digest),
    )
)
def test_what_is_written_is_read(keys: list[NamedKey]) -> None:
    """Every file that is written is read as the same keys, in the same order."""
    assert parse_keys(format_keys(keys), PATH) == tuple(keys)


def test_the_longest_file_of_ours() -> None:
    """As many keys as there may be, with the longest names, are within the bound of bytes; one more is refused."""
    keys = [NamedKey(f"{n:064}", "admin", digest_of(b"%d" % n), CREATED) for n in range(MAX_KEYS + 1)]
    assert len(parse_keys(format_keys(keys[:-1]), PATH)) == MAX_KEYS
    assert complaint(format_keys(keys)) == f"{PATH} has more than {MAX_KEYS} keys"


# -- broken files


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (b"nonsense", "is not JSON (character 1)"),
        (b'{"name":', "is not JSON (character 9)"),
        (line() + b"}", f"is not JSON (character {len(line()) + 1})"),
        (line() + line(), f"is not JSON (character {len(line()) + 1})"),
        (b"[" * 100_000, "is not JSON of our depth"),
        (b'{"name":"\xff"}', "is not UTF-8 (byte 10)"),
        (b"\xef\xbb\xbf" + line(), "is not JSON (character 1)"),
        (line().decode().encode("utf-16"), "is not UTF-8 (byte 1)"),
        (b"\0" * 100, "is not JSON (character 1)"),
        (b"[]", "is not a JSON object"),
        (b'"shop"', "is not a JSON object"),
        (b"{}", "has no text as name"),
        (line(name=None), "has no text as name"),
        (line(scope=None), "has no text as scope"),
        (line(hash=None), "has no text as hash"),
        (line(created=None), "has no text as created"),
        (line(name=7), "has no text as name"),
        (line(scope=["push"]), "has no text as scope"),
        (line(hash=True), "has no text as hash"),
        (line(created=0), "has no text as created"),
        (line(name="two words"), "has a name that is not 1 to 64 of"),
        (line(name="api-key"), "has the name api-key, which is that of the server's own key"),
        (line(scope="write"), "has a scope that is none of push, read, admin"),
        (line(scope="Push"), "has a scope that is none of push, read, admin"),
        (line(scope=""), "has a scope that is none of push, read, admin"),
        (line(hash=DIGEST.hex()), "has a hash that is not sha256: and 64"),
        (line(hash=f"sha256:{DIGEST.hex()[:-1]}"), "has a hash that is not sha256: and 64"),
        (line(hash=f"sha256:{DIGEST.hex()}\n"), "has a hash that is not sha256: and 64"),
        (line(hash=f"sha256:{DIGEST.hex().upper()}"), "has a hash that is not sha256: and 64"),
        (line(hash=f"sha512:{DIGEST.hex()}"), "has a hash that is not sha256: and 64"),
        (line(created="yesterday"), "has a created that is not of the form"),
        (line(created="2026-13-28T09:00:00Z"), "has a created that is not of the form"),
        (line(created="2026-11-28T9:00:00Z"), "has a created that is not of the form"),
        (line(created="2026-11-28T09:00:00+01:00"), "has a created that is not of the form"),
        (line(key="mc_secret"), "has another field than name, scope, hash, created"),
        (line()[:-1] + b', "scope": "admin"}', "has scope twice"),
        (line(), "has the name of line 1"),
        (line(name="other"), "has the hash of line 1"),
    ],
)
def test_a_broken_line(broken: bytes, said: str) -> None:
    """A line that is none is named by its number, blank ones counted, and nothing of what it holds is repeated."""
    found = complaint(line() + b"\n\n" + broken + b"\n")
    assert found.startswith(f"line 3 of {PATH} {said}")
    assert "secret" not in found
    assert DIGEST.hex() not in found


def test_a_truncated_file() -> None:
    """A file that was cut off anywhere in its last line is noticed; behind a whole line nothing is missing in it."""
    data = line(name="first", hash=f"sha256:{'0' * 64}") + b"\n" + line()
    for length in range(1, len(data)):
        if data[:length].count(b"\n") == 1 and not data[:length].endswith(b"\n"):
            assert complaint(data[:length]).startswith(f"line 2 of {PATH} is not JSON")


@pytest.mark.parametrize("data", [b"", b"\n", b" \r\n\n"])
def test_an_empty_file(data: bytes) -> None:
    """A file that lost all it had does not pass for one without keys."""
    assert complaint(data) == f"{PATH} is empty: without keys there is no file"


def test_a_file_that_is_too_long() -> None:
    """What is no file of ours is not read to its end."""
    assert complaint(b"x" * (MAX_FILE_BYTES + 1)) == f"{PATH} has more than {MAX_FILE_BYTES} bytes"
