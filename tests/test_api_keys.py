"""Who may use the API, and the key that a fresh server makes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from megacomet.api.keys import FILE_NAME, OWN_NAME, Keys, NamedKey, digest_of, load_or_make_key
from megacomet.errors import PeerError, StartError
from tests.doors import KEY, PUSH_KEY, READ_KEY, Doors, get, post

KEYS = Keys([("first-key", "admin"), ("second-key", "read")])


@pytest.mark.parametrize(
    "header", [b"Bearer first-key", b"bearer first-key", b"BEARER first-key", b"Bearer  first-key "]
)
def test_a_good_key(header: bytes) -> None:
    """The scheme's case does not matter; the key opens with its scope."""
    assert KEYS.check(header).scope == "admin"


def test_each_key_has_its_identity() -> None:
    """Two keys are two publishers; the key itself is not in the identity."""
    first, second = KEYS.check(b"Bearer first-key"), KEYS.check(b"Bearer second-key")
    assert second.scope == "read"
    assert first.id != second.id
    assert len(first.id) == len(second.id) == 8
    assert b"key" not in first.id


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"Bearer",
        b"Bearer ",
        b"first-key",
        b"Basic first-key",
        b"Bearer first-ke",
        b"Bearer first-key2",
        b"Bearer irst-key",
        b"Bearer first-key second-key",
        b"Bearer FIRST-KEY",
        b"Bearer wrong",
        b"Bearer \xff\xfe",
        b"Basic Zmlyc3Qta2V5",
        b"Bearer first-key\0",
    ],
)
def test_missing_wrong_and_partial_keys(header: bytes | None) -> None:
    """Nothing but the whole key opens."""
    with pytest.raises(PeerError) as caught:
        KEYS.check(header)
    assert caught.value.code == "unauthorized"


def test_no_keys() -> None:
    """Without a key nobody gets in, not even with an empty one."""
    with pytest.raises(PeerError):
        Keys([]).check(b"Bearer ")


def named(name: str, key: str, scope: str = "push") -> NamedKey:
    """Return a key with a name."""
    return NamedKey(name, scope, digest_of(key.encode()), "2026-11-28T09:00:00Z")


def test_keys_with_names() -> None:
    """Each key opens with its own scope and is known by its name; the server's own stands beside them."""
    keys = Keys([("own", "admin")], [named("shop", "a"), named("look", "b", "read")])
    found = {key: keys.check(b"Bearer " + key) for key in (b"own", b"a", b"b")}
    assert [(each.name, each.scope) for each in found.values()] == [
        (OWN_NAME, "admin"),
        ("shop", "push"),
        ("look", "read"),
    ]
    assert len({each.id for each in found.values()}) == 3


def test_a_name_is_no_key() -> None:
    """What is public of a key opens nothing: neither its name nor its hash."""
    keys = Keys([], [named("shop", "a")])
    for wrong in (b"shop", digest_of(b"a"), digest_of(b"a").hex().encode()):
        with pytest.raises(PeerError):
            keys.check(b"Bearer " + wrong)


def test_the_own_key_among_the_others() -> None:
    """Who gives the server's own key a name and a smaller scope has not locked themselves out."""
    assert Keys([("own", "admin")], [named("shop", "own")]).check(b"Bearer own").scope == "admin"


def test_keys_are_replaced() -> None:
    """From then on the new ones count and no others."""
    keys = Keys([("own", "admin")], [named("shop", "a"), named("look", "b")])
    keys.replace([("new", "admin")], [named("look", "b", "read")])
    assert keys.check(b"Bearer new").name == OWN_NAME
    assert keys.check(b"Bearer b").scope == "read"
    for gone in (b"own", b"a"):
        with pytest.raises(PeerError):
            keys.check(b"Bearer " + gone)


def test_a_revoked_key_on_a_kept_connection() -> None:
    """The connection that a key has opened does not outlive it: its next request is 401."""
    doors = Doors()
    doors.site.keys.replace([(KEY, "admin")], [named("shop", "a")])
    connection = doors.connect()
    assert connection.send(post("/api/push", '{"channel":"a","data":1}', key="a")).answer().status == 200
    doors.site.keys.replace([(KEY, "admin")], [])
    answer = connection.send(post("/api/push", '{"channel":"a","data":1}', key="a")).answer()
    assert (answer.status, answer.code) == (401, "unauthorized")
    assert len(doors.publisher.published) == 1


def test_two_keys_are_two_publishers() -> None:
    """The same publication key means one thing with one API key, and another with another of the same scope."""
    doors = Doors()
    doors.site.keys.replace([], [named("one", "a"), named("two", "b")])
    push = '{"channel":"a","data":1,"key":"order-7"}'
    answers = [doors.ask(post("/api/push", push, key=key)).json() for key in ("a", "b", "a")]
    assert [answer.get("repeated", False) for answer in answers] == [False, False, True]


def test_a_key_is_made_once(tmp_path: Path) -> None:
    """The first start makes the key, the next one reads it."""
    first = load_or_make_key(str(tmp_path))
    assert first.made
    assert first.path == str(tmp_path / FILE_NAME)
    assert len(first.key) >= 43
    again = load_or_make_key(str(tmp_path))
    assert (again.key, again.made) == (first.key, False)
    assert os.listdir(tmp_path) == [FILE_NAME]


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    """Key and directory are the owner's alone, whatever the umask is."""
    old = os.umask(0)
    try:
        made = load_or_make_key(str(tmp_path / "a" / "b"), os.getuid(), os.getgid())
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(made.path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(tmp_path / "a" / "b").st_mode) == 0o700


def test_two_keys_are_different(tmp_path: Path) -> None:
    """A key is drawn at random."""
    assert load_or_make_key(str(tmp_path / "a")).key != load_or_make_key(str(tmp_path / "b")).key


def test_a_key_of_ones_own(tmp_path: Path) -> None:
    """Whoever writes the file decides on the key; the line's end is not part of it."""
    (tmp_path / FILE_NAME).write_bytes(b"my-own-key\r\n")
    assert load_or_make_key(str(tmp_path)).key == "my-own-key"


@pytest.mark.parametrize("content", [b"", b"\n", b"two words\n", b"two\nlines\n", b"\xff\n", b"x" * 2000])
def test_a_file_without_a_key(tmp_path: Path, content: bytes) -> None:
    """An empty or broken file stops the start; it is not overwritten."""
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    with pytest.raises(StartError, match="api-key"):
        load_or_make_key(str(tmp_path))
    assert path.read_bytes() == content


def test_an_unreadable_file(tmp_path: Path) -> None:
    """A key that cannot be read stops the start and is named."""
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(StartError, match="cannot be read: Is a directory"):
        load_or_make_key(str(tmp_path))


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    """A state directory that is a file stops the start."""
    (tmp_path / "state").write_bytes(b"")
    with pytest.raises(StartError, match="state/api-key"):
        load_or_make_key(str(tmp_path / "state"))


def test_a_directory_that_cannot_be_written() -> None:
    """A state directory that cannot be written stops the start and is named."""
    with pytest.raises(StartError, match="cannot be written to /proc/self/api-key"):
        load_or_make_key("/proc/self")


@pytest.mark.parametrize(
    ("request_", "allowed"),
    [
        (post("/api/push", '{"channel":"a","data":1}', key=None), {PUSH_KEY, KEY}),
        (post("/api/batch", '{"channel":"a","data":1}', key=None), {PUSH_KEY, KEY}),
        (get("/api/stats", key=None), {READ_KEY, KEY}),
        (post("/api/clients/sue/disconnect", "{}", key=None), {KEY}),
    ],
)
def test_what_a_scope_allows(request_: bytes, allowed: set[str]) -> None:
    """Publishing, looking and acting need a key each; scope admin allows everything."""
    for key in (KEY, PUSH_KEY, READ_KEY):
        answer = Doors().ask(
            request_.replace(b"Host: h\r\n", b"Host: h\r\nAuthorization: Bearer %b\r\n" % key.encode())
        )
        assert answer.status == (200 if key in allowed else 403)
