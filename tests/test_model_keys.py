"""Who may use the API: keys, and what an Authorization header carries."""

from __future__ import annotations

import pytest

from megacomet.errors import PeerError
from megacomet.model.keys import ADMIN, OWN_NAME, PUSH, READ, SCOPES, Identity, Keys, NamedKey, digest_of

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


def test_what_a_key_allows() -> None:
    """A scope allows itself, admin allows all; whoever asks for more is told what it needs."""
    keys = Keys([("own", "admin")], [named("shop", "a"), named("look", "b", "read")])
    allowed = {
        key: [scope for scope in SCOPES if keys.check(b"Bearer " + key).allows(scope)] for key in (b"own", b"a", b"b")
    }
    assert allowed == {b"own": [PUSH, READ, ADMIN], b"a": [PUSH], b"b": [READ]}
    keys.check(b"Bearer a").demand(PUSH)
    with pytest.raises(PeerError) as caught:
        keys.check(b"Bearer a").demand(ADMIN)
    assert (caught.value.code, caught.value.detail) == ("forbidden", "this needs a key of scope admin")


def test_known_by_id() -> None:
    """Whoever is told by an id is who holds the key, as long as it is accepted."""
    keys = Keys([("own", "admin")], [named("shop", "a")])
    holder = keys.check(b"Bearer a")
    assert keys.by_id(holder.id) == holder
    assert keys.by_id(b"\0" * 8) is None
    assert keys.by_id(b"") is None
    keys.replace([("own", "admin")], [named("shop", "a", "read")])
    assert keys.by_id(holder.id) == Identity(holder.id, "read", "shop")
    keys.replace([("own", "admin")], [])
    assert keys.by_id(holder.id) is None


def test_packed_keys() -> None:
    """Somebody else accepts the same keys for the same holders, and only hashes went there."""
    keys = Keys([("own-key", "admin")], [named("shop", "a-long-key"), named("sch\u00f6n", "b-long-key", "read")])
    packed = keys.pack()
    other = Keys([("another", "admin")])
    other.unpack(packed)
    for key in (b"own-key", b"a-long-key", b"b-long-key"):
        assert key not in packed
        holder = keys.check(b"Bearer " + key)
        assert other.check(b"Bearer " + key) == holder
        assert other.by_id(holder.id) == holder
    with pytest.raises(PeerError):
        other.check(b"Bearer another")


def test_no_keys_packed() -> None:
    """Who is told that there are no keys accepts none."""
    keys = Keys([("own", "admin")])
    keys.unpack(Keys([]).pack())
    with pytest.raises(PeerError):
        keys.check(b"Bearer own")


@pytest.mark.parametrize(
    "packed",
    [b"", b"\xff", b"{", b"1", b"null", b"[1]", b'["ab"]', b'[["ab","push"]]', b'[["zz","push","n"]]', b"[[1,2,3]]"],
)
def test_what_is_no_pack(packed: bytes) -> None:
    """What is not what `pack` returns is a ValueError, and changes nothing."""
    keys = Keys([("own", "admin")])
    with pytest.raises(ValueError, match=r"."):
        keys.unpack(packed)
    assert keys.check(b"Bearer own").scope == "admin"


def test_changes_are_heard() -> None:
    """Whoever wants to hears of every change, when it is made already; of what was there before nobody is told."""
    keys = Keys([("own", "admin")])
    heard: list[tuple[int, bool]] = []
    for n in range(2):
        keys.on_change(lambda n=n: heard.append((n, keys.by_id(digest_of(b"new")[:8]) is not None)))  # type: ignore[misc]
    assert heard == []
    keys.replace([("new", "admin")], [])
    assert heard == [(0, True), (1, True)]
    keys.unpack(Keys([]).pack())
    assert heard[2:] == [(0, False), (1, False)]


def test_a_key_by_itself() -> None:
    """A key that comes otherwise than in a header is known too, and so is one that is none."""
    assert KEYS.whose(b" first-key\n").scope == "admin"
    for wrong in (b"", b"first", b"Bearer first-key"):
        with pytest.raises(PeerError) as caught:
            KEYS.whose(wrong)
        assert caught.value.code == "unauthorized"
