"""Sessions: how long they live, what ends them, and clocks that are not right."""

from __future__ import annotations

import pytest

from megacomet.console.sessions import (
    AHEAD_S,
    NO_SESSION,
    OVER,
    RENEW_S,
    RESCOPED,
    REVOKED,
    Member,
    Sessions,
)
from megacomet.console.tokens import LIFE_S, LONGEST_S, Seal
from megacomet.errors import PeerError
from megacomet.model.keys import Keys
from tests.doors import FakeSignedOut

NOW = 1_795_860_000.5
DAY = 24 * 3600


class World:
    """Sessions with two keys."""

    def __init__(self) -> None:
        self.keys = Keys([("k-admin", "admin"), ("k-read", "read")])
        self.signed_out = FakeSignedOut()
        self.sessions = Sessions(self.keys, Seal(bytes(32)), self.signed_out)

    def begin(self, now: float = NOW, key: bytes = b"k-read") -> Member:
        """Sign in."""
        return self.sessions.begin(self.keys.whose(key), now)

    def token(self, member: Member) -> bytes:
        """Return what its cookie holds."""
        return self.sessions.seal.token(member.session)

    def why(self, now: float, *tokens: bytes) -> str:
        """Return why none of the tokens is a session."""
        with pytest.raises(PeerError) as caught:
            self.sessions.find(tokens, now)
        assert caught.value.code == "unauthorized"
        return caught.value.detail


def test_who_it_is() -> None:
    """A session is that of its key, from the first moment on."""
    world = World()
    for key, scope in ((b"k-admin", "admin"), (b"k-read", "read")):
        found = world.sessions.find([world.token(world.begin(key=key))], NOW)
        assert found.identity == world.keys.whose(key)
        assert found.session.scope == scope
    assert world.begin().session.id != world.begin().session.id


def test_nobody() -> None:
    """Without a token there is no session, with another's none either."""
    world = World()
    assert world.why(NOW) == NO_SESSION
    assert world.why(NOW, b"nonsense") == OVER
    theirs = World()
    theirs.sessions.seal = Seal(b"another secret of thirty-two b. ")
    assert world.why(NOW, theirs.token(theirs.begin())) == OVER


def test_two_tokens() -> None:
    """Of several the first that is valid counts: a browser may have an old one besides."""
    world = World()
    old, new = world.begin(NOW - DAY), world.begin(key=b"k-admin")
    assert world.sessions.find([b"nonsense", world.token(old), world.token(new)], NOW).session == new.session


def test_how_long() -> None:
    """It ends twelve hours after its last renewal."""
    world = World()
    member = world.begin()
    token = world.token(member)
    assert world.sessions.find([token], NOW + LIFE_S - 1).session == member.session
    assert world.sessions.holds(member.session, NOW + LIFE_S - 1)
    assert world.why(NOW + LIFE_S, token) == OVER
    assert not world.sessions.holds(member.session, NOW + LIFE_S)


def test_renewed() -> None:
    """A page that stays open renews it, not with every request, and not beyond seven days."""
    world = World()
    member = world.begin()
    assert world.sessions.renew(member, NOW + RENEW_S - 1) is None
    for hour in range(1, 7 * 24):
        now = NOW + hour * 3600
        renewed = world.sessions.renew(world.sessions.find([world.token(member)], now), now)
        assert renewed is not None
        assert renewed.session.id == member.session.id
        member = renewed
    assert member.session.expires == pytest.approx(NOW + LONGEST_S, abs=0.001)
    assert world.why(NOW + LONGEST_S, world.token(member)) == OVER


def test_signed_out() -> None:
    """Whoever signs out is out with all tokens of the session, in every tab; other sessions of the key go on."""
    world = World()
    member, other = world.begin(), world.begin()
    renewed = world.sessions.renew(member, NOW + 3600)
    assert renewed is not None
    world.sessions.end(member, NOW + 3600)
    assert world.why(NOW + 3600, world.token(member)) == OVER
    assert world.why(NOW + 3600, world.token(renewed)) == OVER
    assert not world.sessions.holds(renewed.session, NOW + 3600)
    assert world.sessions.find([world.token(other)], NOW + 3600)


def test_remembered_long_enough() -> None:
    """Who has signed out is remembered until no token of theirs can be valid, also one of a clock ahead of ours."""

    class Until(FakeSignedOut):
        until = 0.0

        def add(self, id_: bytes, until: float = 0.0, now: float = 0.0) -> None:
            self.until = until

    remembered = Until()
    sessions = Sessions(World().keys, Seal(bytes(32)), remembered)
    latest = sessions.begin(World().keys.whose(b"k-read"), NOW + AHEAD_S)
    sessions.end(latest, NOW)
    assert remembered.until >= latest.session.expires - 0.001


def test_a_revoked_key() -> None:
    """Without its key a session is over, and says so."""
    world = World()
    member = world.begin()
    world.keys.replace([("k-admin", "admin")], ())
    assert world.why(NOW, world.token(member)) == REVOKED
    assert not world.sessions.holds(member.session, NOW)


@pytest.mark.parametrize("scope", ["push", "admin"])
def test_another_scope(scope: str) -> None:
    """A key that may more or less than before needs a new session: the page shows what one may."""
    world = World()
    member = world.begin()
    world.keys.replace([("k-read", scope)], ())
    assert world.why(NOW, world.token(member)) == RESCOPED
    assert not world.sessions.holds(member.session, NOW)
    world.keys.replace([("k-read", "read")], ())
    assert world.sessions.holds(member.session, NOW)


@pytest.mark.parametrize("back_s", [1, 60, AHEAD_S])
def test_a_clock_put_back_a_little(back_s: float) -> None:
    """Nobody is signed out by a clock that is put right, and the next renewal tells the right time."""
    world = World()
    member = world.begin()
    now = NOW - back_s
    assert world.sessions.find([world.token(member)], now)
    renewed = world.sessions.renew(member, now)
    assert renewed is not None
    assert renewed.session.renewed == now
    assert world.sessions.find([world.token(renewed)], now)


@pytest.mark.parametrize("back_s", [AHEAD_S + 1, DAY, 10 * 365 * DAY])
def test_a_clock_put_back_much(back_s: float) -> None:
    """A session of the future is none, or it would live until then; whoever had it signs in anew."""
    world = World()
    member = world.begin()
    now = NOW - back_s
    assert world.why(now, world.token(member)) == OVER
    assert world.sessions.find([world.token(world.begin(now))], now)


def test_a_clock_before_all_time() -> None:
    """A machine that believes to be in 1970, or before, lets people in and out."""
    world = World()
    for now in (0.0, -5.0):
        assert world.sessions.find([world.token(world.begin(now))], now)
