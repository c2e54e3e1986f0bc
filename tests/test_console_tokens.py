"""Tokens of sessions: what is signed comes back whole, and nothing else is taken for it."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.console.tokens import ID_BYTES, LIFE_S, LONGEST_S, Seal, Session
from megacomet.model.keys import SCOPES

SEAL = Seal(bytes(range(32)))
SESSION = Session(b"i" * ID_BYTES, b"key-id-8", "read", 1_000_000.25, 1_000_600.5)
TOKEN = SEAL.token(SESSION)

moments = st.integers(0, 2**40).map(lambda ms: ms / 1000)
sessions = st.builds(
    Session,
    st.binary(min_size=ID_BYTES, max_size=ID_BYTES),
    st.binary(min_size=8, max_size=8),
    st.sampled_from(SCOPES),
    moments,
    moments,
)


@given(sessions)
def test_there_and_back(session: Session) -> None:
    """A token tells the whole session, in characters that a cookie may have."""
    token = SEAL.token(session)
    assert len(token) == 100
    assert SEAL.read(token) == session


@given(sessions, st.integers(0, 799))
def test_a_flipped_bit(session: Session, bit: int) -> None:
    """A token in which any bit is another one is none."""
    token = bytearray(SEAL.token(session))
    token[bit // 8] ^= 1 << bit % 8
    assert SEAL.read(bytes(token)) is None


def test_every_flipped_bit() -> None:
    """The same for each bit of one token, also of those that base64 would pass over."""
    for bit in range(8 * len(TOKEN)):
        token = bytearray(TOKEN)
        token[bit // 8] ^= 1 << bit % 8
        assert SEAL.read(bytes(token)) is None


def test_cut_and_longer() -> None:
    """A part of a token, and one with something around it, is none."""
    for length in range(len(TOKEN)):
        assert SEAL.read(TOKEN[:length]) is None
        assert SEAL.read(TOKEN[length + 1 :]) is None
    for more in (b"A", b"=", b"\n", b" ", b"\0", TOKEN):
        assert SEAL.read(TOKEN + more) is None
        assert SEAL.read(more + TOKEN) is None


@given(st.binary(max_size=200))
def test_anything(data: bytes) -> None:
    """Whatever a cookie holds, nothing breaks, and only what was signed is a session."""
    assert SEAL.read(data) is None
    assert SEAL.read(base64.urlsafe_b64encode(data)) is None


@given(st.binary(min_size=43, max_size=43))
def test_a_form_of_another_version(told: bytes) -> None:
    """What another version of the server has signed is no session here, unless it is of the same form."""
    if told[0] != 1:
        mac = SEAL._mac(b"session\0", told)
        assert SEAL.read(base64.urlsafe_b64encode(told + mac)) is None


def test_another_secret() -> None:
    """A server takes its own tokens only."""
    assert Seal(bytes(32)).read(TOKEN) is None


def test_csrf() -> None:
    """It belongs to one session, stays when that is renewed, and cannot be used as a signature of anything else."""
    csrf = SEAL.csrf(SESSION.id)
    assert SEAL.is_csrf(SESSION.id, csrf.encode())
    assert not SEAL.is_csrf(b"j" * ID_BYTES, csrf.encode())
    assert not Seal(bytes(32)).is_csrf(SESSION.id, csrf.encode())
    for given_ in (b"", csrf.encode()[:-1], csrf.encode() + b"=", csrf.upper().encode(), b"\xff\x00", TOKEN):
        assert not SEAL.is_csrf(SESSION.id, given_)


@pytest.mark.parametrize(
    ("age", "left"), [(0, LIFE_S), (3600, LIFE_S), (LONGEST_S - 3600, 3600), (LONGEST_S - 1, 1), (LONGEST_S, 0)]
)
def test_how_long(age: float, left: float) -> None:
    """Twelve hours from its renewal, seven days at most."""
    session = Session(b"i" * ID_BYTES, b"key-id-8", "read", 1000.0, 1000.0 + age)
    assert session.expires - session.renewed == left
