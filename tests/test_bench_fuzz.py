"""The seeds of the fuzzing, and that its invariant can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import fuzz_websocket
from bench.fuzz_websocket import CORPUS, LIMITS, UNMASKED, check, scripted, staying
from megacomet.wire.websocket import Message, Ping, Violation

SEEDS = sorted(CORPUS.iterdir())


@pytest.mark.parametrize("seed", SEEDS, ids=[path.name for path in SEEDS])
def test_seeds(seed: Path) -> None:
    """What holds for all inputs holds for each seed."""
    check(seed.read_bytes())


def test_scripts() -> None:
    """A script makes the frames that it says, for both sides."""
    script = b"\x81\x02hi\x89\x00\xff"
    assert staying([scripted(script, 0)], 60, False, True) == [Message(1, b"hi"), Ping(b"")]
    assert scripted(script, UNMASKED) == b"\x81\x02hi\x89\x00"


def test_the_invariant_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message over the limit is noticed."""
    monkeypatch.setattr(fuzz_websocket, "LIMITS", dict.fromkeys(LIMITS, 1))
    monkeypatch.setattr(fuzz_websocket, "staying", lambda *_: [Message(1, b"hi")])
    with pytest.raises(AssertionError):
        check(b"\0\0\x81\x02hi")
    monkeypatch.setattr(fuzz_websocket, "staying", lambda *_: [Violation(1002, b""), Ping(b"")])
    with pytest.raises(AssertionError):
        check(b"\0\0\x81\x02hi")
