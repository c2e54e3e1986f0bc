"""Who may use the API: keys, and what an Authorization header carries."""

from __future__ import annotations

import pytest

from megacomet.errors import PeerError
from megacomet.model.keys import OWN_NAME, Keys, NamedKey, digest_of

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
