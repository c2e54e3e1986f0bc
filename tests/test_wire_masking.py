"""The XOR over payloads."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from megacomet.wire import masking
from megacomet.wire.masking import xor

LENGTHS = [*range(20), 127, 128, 129, 130, 131, 1000, 65537]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("native", [True, False])
def test_xor(length: int, native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte goes with its byte of the mask, and twice is as if never, with Autobahn's native code and without."""
    assert masking._lib is not None
    monkeypatch.setattr(masking, "_NATIVE_FROM_BYTES", 0 if native else 1 << 63)
    data, mask = bytes(i * 7 & 0xFF for i in range(length)), b"\x37\x00\xff\x3d"
    masked = xor(data, mask)
    assert masked == bytes(byte ^ mask[i & 3] for i, byte in enumerate(data))
    assert xor(masked, mask) == data


def test_without_the_native_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Autobahn was built without it, the module is there all the same."""
    monkeypatch.setitem(sys.modules, "_nvx_xormasker", None)
    spec = importlib.util.find_spec("megacomet.wire.masking")
    assert spec is not None
    assert spec.loader is not None
    other = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(other)
    assert other._lib is None
    assert other.xor(b"\x01" * 1000, b"\x01\x00\x01\x00") == b"\x00\x01" * 500
