"""JSON that travels as the bytes it came in: checked once at the door, never decoded and encoded again.

What passes here is JSON of RFC 8259 and nothing more (no NaN, no comments), UTF-8 to the last byte, at most `MAX_DEPTH`
deep, and holds no line break, so that it can stand in one line of a stream. An escape of half a surrogate pair
("\\ud83d" alone) is refused as broken: it is no text, and the decoders of many languages would fail on it at every
subscriber. A number may have any size: what it means is the readers' business.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Final

import msgspec

from megacomet.errors import BadData

#: Deep enough for any document; decoders that recurse (Python's stop near 1,000, some in C at 512) stay safe.
MAX_DEPTH: Final = 128

_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_ALL_BUT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
#: It walks over the whole value as a decoder does, but makes no objects, and looks at everything except UTF-8.
_walk: Final = msgspec.json.Decoder(msgspec.Raw).decode


def check_data(raw: bytes, max_bytes: int, pointer: str = "/data") -> bytes:
    """Check a JSON value and return it as it travels: trimmed, without line breaks.

    Args:
        raw: the value, white space around it allowed.
        max_bytes: the most that the result may have.
        pointer: where the value stands, for the error.

    Raises:
        BadData: `bad-json` (not JSON, not UTF-8), `bad-fields` (too deep) or `too-large`.
    """
    check_utf8(raw, pointer)
    try:
        value = bytes(_walk(raw))
    except msgspec.DecodeError as e:
        raise BadData("bad-json", str(e), pointer) from None
    except RecursionError:
        raise too_deep(pointer) from None
    return compact(value, max_bytes, pointer)


def check_utf8(raw: bytes, pointer: str = "") -> None:
    """Raise `BadData` (`bad-json`) when the bytes are not UTF-8."""
    if not raw.isascii():
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError as e:
            raise BadData("bad-json", f"JSON is UTF-8, this breaks it at byte {e.start}", pointer) from None


def compact(value: bytes, max_bytes: int, pointer: str = "/data") -> bytes:
    """Check depth and size of a value that is known to be JSON, and take its line breaks out.

    Raises:
        BadData: `bad-fields` (too deep) or `too-large`.
    """
    if len(value) > MAX_DEPTH and value.count(b"[") + value.count(b"{") > MAX_DEPTH and depth(value) > MAX_DEPTH:
        raise too_deep(pointer)
    if b"\n" in value or b"\r" in value:
        # Within strings JSON has none, and between two tokens that could merge there is always a comma or colon.
        value = value.translate(None, b"\r\n")
    if len(value) > max_bytes:
        raise BadData("too-large", f"data has at most {max_bytes} bytes, this has {len(value)}", pointer)
    return value


def depth(value: bytes) -> int:
    """Return how many arrays and objects of a JSON value lie within each other."""
    brackets = _STRING.sub(b"", value).translate(None, _ALL_BUT_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)


def too_deep(pointer: str) -> BadData:
    """Return the error for what is deeper than `MAX_DEPTH`."""
    return BadData("bad-fields", f"arrays and objects lie at most {MAX_DEPTH} deep in each other", pointer)


def json_string(text: bytes) -> bytes:
    """Return a text (UTF-8) as a JSON string.

    Raises:
        BadData: `bad-json`, the text is not UTF-8.
    """
    try:
        return msgspec.json.encode(text.decode("utf-8"))
    except UnicodeDecodeError as e:
        raise BadData("bad-json", f"text is UTF-8, this breaks it at byte {e.start}") from None
