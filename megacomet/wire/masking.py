"""The XOR over the payload of each frame that a client sends (RFC 6455, 5.3).

The native code is that of Autobahn, and only it is imported: `_nvx_xormasker` costs a worker 0.15 MB, `autobahn.nvx`
around it 1.2 MB and `autobahn.websocket.xormasker` 3.3 MB. Its UTF-8 validator is not used: CPython's decoder is 4 to
50 times as fast (see `utf8`).
"""

from __future__ import annotations

from typing import Final

try:
    from _nvx_xormasker import ffi as _ffi
    from _nvx_xormasker import lib as _lib
except ImportError:  # Autobahn is built without its native code where there is no compiler
    _ffi = _lib = None

#: Below it XOR of two integers is as fast as the way there and back: 0.4 and 0.6 us for 40 bytes, 2.5 and 0.7 us for
#: 1,000, 32 and 1.3 us for 16 KB.
_NATIVE_FROM_BYTES: Final = 128 if _lib is not None else 1 << 63


def xor(data: bytes, mask: bytes) -> bytes:
    """Mask or unmask; the first byte of the data goes with the first of the four of the mask."""
    length = len(data)
    if length < _NATIVE_FROM_BYTES:
        repeated = (mask * ((length + 3) >> 2))[:length]
        return (int.from_bytes(data, "little") ^ int.from_bytes(repeated, "little")).to_bytes(length, "little")
    masked = bytearray(data)
    masker = _lib.nvx_xormask_new(mask)
    _lib.nvx_xormask_process(masker, _ffi.from_buffer(masked), length)
    _lib.nvx_xormask_free(masker)
    return bytes(masked)
