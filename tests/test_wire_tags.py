"""Entity tags: they stand for bytes, and a client says which it has."""

from __future__ import annotations

import pytest

from megacomet.wire.tags import is_known, tag_of


def test_other_bytes_have_another_tag() -> None:
    """And the same bytes the same one, always."""
    assert tag_of(b"a") == tag_of(b"a") == "ca978112ca1bbdca"
    assert tag_of(b"b") != tag_of(b"a")


@pytest.mark.parametrize("known", [b'"t"', b'W/"t"', b'"x", "t"', b'"x",W/"t" ', b"*", b'W/"x" , *'])
def test_known(known: bytes) -> None:
    """Weakly compared, in lists, and anything."""
    assert is_known(b'"t"', [known])
    assert is_known(b'"t"', [b'"x"', known])


@pytest.mark.parametrize("known", [b"", b'"x"', b"t", b'"t', b'w/"t"', b"W/", b'"T"', b'"*"', b","])
def test_not_known(known: bytes) -> None:
    """Another tag, or none."""
    assert not is_known(b'"t"', [known])
    assert not is_known(b'"t"', [])
