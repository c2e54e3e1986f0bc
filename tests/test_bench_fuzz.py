"""The seeds of the fuzzing, and that its invariant can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import fuzz_ops, fuzz_transfer, fuzz_websocket
from bench.fuzz_websocket import CORPUS, LIMITS, UNMASKED, check, scripted, staying
from megacomet.wire.ops import Subscribe
from megacomet.wire.transfer import ChunkedBody
from megacomet.wire.websocket import Message, Ping, Violation

SEEDS = sorted(CORPUS.iterdir())
REQUESTS = sorted(fuzz_ops.CORPUS.iterdir())
BODIES = sorted(fuzz_transfer.CORPUS.iterdir())


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


@pytest.mark.parametrize("seed", REQUESTS, ids=[path.name for path in REQUESTS])
def test_requests(seed: Path) -> None:
    """What holds for all requests holds for each seed."""
    fuzz_ops.check(seed.read_bytes())


def test_the_invariant_of_requests_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request with a channel that clients may not name is noticed."""
    monkeypatch.setattr("megacomet.wire.ops.parse", lambda *_: Subscribe((b"@sue",), b"", None))
    with pytest.raises(AssertionError):
        fuzz_ops.check(b"{}")


@pytest.mark.parametrize("seed", BODIES, ids=[path.name for path in BODIES])
def test_bodies(seed: Path) -> None:
    """What holds for all chunked bodies holds for each seed."""
    fuzz_transfer.check(seed.read_bytes())


class Forgets(ChunkedBody):
    """Loses a byte in the middle of a chunk."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes."""
        pieces = super().feed(data)
        return [] if self._left == 1 and pieces == [b"b"] else pieces


def test_the_invariant_of_bodies_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte that is lost at one cut is noticed, and what Twisted reads in another way."""
    payload = b"\x033\r\nabc\r\n0\r\n\r\n"
    fuzz_transfer.check(payload)
    with monkeypatch.context() as patch:
        patch.setattr("megacomet.wire.transfer.ChunkedBody", Forgets)
        with pytest.raises(AssertionError):
            fuzz_transfer.check(payload)
    monkeypatch.setattr(fuzz_transfer, "twisted", lambda data: fuzz_transfer.Read(b"abc", b"x", ""))
    with pytest.raises(AssertionError):
        fuzz_transfer.check(payload)
