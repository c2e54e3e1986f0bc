"""What a disconnect asks for."""

from __future__ import annotations

import pytest

from megacomet.errors import PeerError
from megacomet.wire.cutoff import CUT_OFF, MOST_BLOCK_S, RECONNECT, CutOff, decode_cut_off


@pytest.mark.parametrize(
    ("body", "cut"),
    [
        (b"", CutOff(True, 0, RECONNECT)),
        (b'{"code":null}', CutOff(True, 0, RECONNECT)),
        (b'{"code":4499}', CutOff(True, 0, 4499)),
        (b'{"code":4.4e3}', CutOff(True, 0, 4400)),
        (b'{"reconnect":false}', CutOff(False, 0, CUT_OFF)),
        (b'{"reconnect":false,"block_s":604800.0,"code":4500}', CutOff(False, MOST_BLOCK_S, 4500)),
    ],
)
def test_what_is_asked_for(body: bytes, cut: CutOff) -> None:
    """Nothing has to be said; a whole number is one however it is written."""
    asked = decode_cut_off(body)
    assert asked == cut
    assert (type(asked.block_s), type(asked.code)) == (int, int)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"code":4500}', "bad-fields"),
        (b'{"code":4400.5}', "bad-fields"),
        (b'{"code":1e300}', "bad-fields"),
        (b'{"code":"4400"}', "bad-fields"),
        (b'{"code":3011}', "bad-fields"),
        (b'{"reconnect":false,"code":4499}', "bad-fields"),
        (b'{"block_s":1}', "bad-fields"),
        (b'{"reconnect":false,"block_s":604801}', "bad-fields"),
        (b'{"reconnect":false,"block_s":0.5}', "bad-fields"),
        (b'{"reconnect":1}', "bad-fields"),
        (b'{"more":1}', "bad-fields"),
        (b"{", "bad-json"),
        (b'{"reconnect":"\xff"}', "bad-json"),
    ],
)
def test_what_is_refused(body: bytes, code: str) -> None:
    """Codes that mean the other thing, times out of their bounds, and what is no such request."""
    with pytest.raises(PeerError) as raised:
        decode_cut_off(body)
    assert raised.value.code == code
