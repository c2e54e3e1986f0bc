"""The session's cookie among those of other applications."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.console.cookies import MOST, NAME, set_line, tokens_in

OURS = NAME.decode()


@pytest.mark.parametrize(
    ("lines", "tokens"),
    [
        ((), []),
        (("",), []),
        ((f"{OURS}=abc",), ["abc"]),
        ((f"a=1; {OURS}=abc; b=2",), ["abc"]),
        ((f"a=1;{OURS}=abc;b=2",), ["abc"]),
        ((f'{OURS}="abc"',), ["abc"]),
        ((f" {OURS} = abc ",), ["abc"]),
        ((f"{OURS}=",), [""]),
        ((OURS,), [""]),
        ((f"{OURS}=a=b=",), ["a=b="]),
        ((f"x{OURS}=abc; {OURS}x=abc; {OURS.upper()}=abc",), []),
        ((f"other={OURS}=abc",), []),
        ((f"{OURS}=one; {OURS}=two",), ["one", "two"]),
        ((f"{OURS}=one", f"b=2; {OURS}=two"), ["one", "two"]),
        (("; ".join(f"{OURS}={n}" for n in range(100)),), [str(n) for n in range(MOST)]),
    ],
)
def test_found(lines: tuple[str, ...], tokens: list[str]) -> None:
    """Ours is found wherever it stands, and nobody else's is taken for it."""
    assert tokens_in(line.encode() for line in lines) == [token.encode() for token in tokens]


others = st.text(st.characters(exclude_characters=";\r\n\0", max_codepoint=255), max_size=40).filter(
    lambda text: text.partition("=")[0].strip(" \t") != OURS
)


@given(st.lists(others, max_size=20), st.lists(others, max_size=20))
def test_beside_others(before: list[str], behind: list[str]) -> None:
    """Whatever other applications of the host have set, ours is found and is whole."""
    line = ";".join([*before, f" {OURS}=tok-_en", *behind]).encode("latin-1")
    assert tokens_in([line]) == [b"tok-_en"]


def test_eight_kilobytes_of_cookies() -> None:
    """As many as a head can have cost nothing but their bytes."""
    line = b"; ".join([b"a=b"] * 1600 + [NAME + b"=abc"])
    assert len(line) > 8000
    assert tokens_in([line]) == [b"abc"]


def test_set() -> None:
    """Scripts do not see it, other sites do not send it, and it is sent to the console only."""
    line = b"Set-Cookie: megacomet_session=abc; Path=/console; HttpOnly; SameSite=Strict; Max-Age=43200"
    assert set_line(b"abc", 43200, is_secure=False) == line + b"\r\n"
    assert set_line(b"abc", 43200, is_secure=True) == line + b"; Secure\r\n"
