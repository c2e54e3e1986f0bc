"""Text that arrives in pieces."""

from __future__ import annotations

from itertools import product

import pytest
from autobahn.websocket.utf8validator import Utf8Validator

from megacomet.wire.utf8 import unfinished

#: One of each kind of byte that UTF-8 tells apart, and its neighbours.
KINDS = b"\x00\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xec\xed\xee\xef\xf0\xf1\xf3\xf4\xf5\xff"


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_each_byte_is_judged_as_autobahn_judges_it(length: int) -> None:
    """Every sequence of kinds of bytes is refused by the same byte as by Autobahn's validator, and ends as well."""
    validator = Utf8Validator()
    for sequence in product(KINDS, repeat=length):
        text = bytes(sequence)
        validator.reset()
        valid, at_end = validator.validate(text)[:2]
        for last in (False, True):
            try:
                rest = unfinished(text, last)
            except UnicodeDecodeError:
                assert not valid or (last and not at_end), text
            else:
                assert valid, text
                assert (rest == b"") == at_end, text
                assert text.endswith(rest)


def test_pieces() -> None:
    """What is returned goes before the next piece."""
    text, rest = "aκ😀é".encode(), b""
    for at in range(len(text)):
        rest = unfinished(rest + text[at : at + 1], at == len(text) - 1)
        assert len(rest) <= 3
    assert rest == b""
