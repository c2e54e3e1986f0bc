"""What is asked for when a worker is drained, and the form of what is told."""

from __future__ import annotations

import pytest

from megacomet.errors import PeerError
from megacomet.wire.workers import MOST_PER_S, PER_S, decode_drain, state_json, workers_json


@pytest.mark.parametrize(
    ("body", "per_s"),
    [
        (b"", PER_S),
        (b"{}", PER_S),
        (b'{"per_s":1}', 1),
        (b' {"per_s" : 1000000} ', MOST_PER_S),
        (b'{"per_s":5e2}', 500),
    ],
)
def test_rates(body: bytes, per_s: int) -> None:
    """A rate, or the usual one."""
    assert decode_drain(body) == per_s


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"per_s":0}', "bad-fields"),
        (b'{"per_s":1000001}', "bad-fields"),
        (b'{"per_s":true}', "bad-fields"),
        (b'{"per_s":1.5}', "bad-fields"),
        (b'{"per_s":1e300}', "bad-fields"),
        (b'{"per_s":99999999999999999999}', "bad-fields"),
        (b'{"per_s":1,"more":1}', "bad-fields"),
        (b"1", "bad-fields"),
        (b"{", "bad-json"),
        (b'{"per_s":"\xff"}', "bad-json"),
    ],
)
def test_what_is_no_rate(body: bytes, code: str) -> None:
    """It is refused with its code, and where a field is out of its bounds it is named."""
    with pytest.raises(PeerError) as raised:
        decode_drain(body)
    assert raised.value.code == code
    if "per_s is" in raised.value.detail:
        assert raised.value.pointer == "/per_s"


def test_answers() -> None:
    """A worker and its state; a list."""
    assert state_json(3, "draining") == b'{"worker":3,"state":"draining"}'
    assert workers_json([]) == b"[]"
