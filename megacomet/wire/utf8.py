"""Text that arrives in pieces: the first byte that makes it no UTF-8 is noticed when it is there."""

from __future__ import annotations

from codecs import utf_8_decode


def unfinished(text: bytes, last: bool) -> bytes:
    """Check a piece of text and return the bytes of the character that it ends in the middle of, b"" mostly.

    Args:
        text: the piece, after what was returned for the one before.
        last: whether the text ends here; then nothing may be unfinished.

    Raises:
        UnicodeDecodeError: it is not UTF-8, whatever comes after it.
    """
    if text.isascii():
        return b""
    rest = text[utf_8_decode(text, "strict", last)[1] :]
    # CPython refuses a surrogate by its third byte only; every other wrong sequence by its first wrong byte.
    if rest[:1] == b"\xed" and rest[1:2] >= b"\xa0":
        raise UnicodeDecodeError("utf-8", rest, 0, 2, "surrogates not allowed")
    return rest
