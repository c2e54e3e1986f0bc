"""How messages look to who waits for them: raw text, JSONP, the body of a poll.

Data comes in as the JSON bytes that travel (`jsonbytes`) and is laid into place as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec

from megacomet.wire.jsonbytes import json_string

#: As long as jQuery's and everybody's generated names, with dots for methods of objects.
_CALLBACK: Final = re.compile(rb"[A-Za-z_$][A-Za-z0-9_$.]{0,127}").fullmatch
_text_of: Final = msgspec.json.Decoder(str).decode


def raw_form(data: bytes) -> bytes:
    """Return a JSON string as its text in UTF-8, any other JSON value as it is."""
    if data[:1] != b'"':
        return data
    if b"\\" not in data:
        return data[1:-1]
    return _text_of(data).encode("utf-8")


def is_callback(name: bytes) -> bool:
    """Tell whether the name may stand as the function in front of a JSONP answer."""
    return _CALLBACK(name) is not None


def jsonp(callback: bytes, data: bytes) -> bytes:
    """Return a script that calls the function with the data.

    Args:
        callback: one that `is_callback` holds for.
        data: JSON.
    """
    # The comment keeps the answer from being taken for a file of another type (Rosetta Flash). JSON may hold
    # U+2028 and U+2029 in strings, JavaScript before 2019 may not; nowhere else in JSON can they stand.
    if b"\xe2\x80" in data:
        data = data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return b"/**/%b(%b);" % (callback, data)


@lru_cache(maxsize=256)
def channel_json(channel: bytes) -> bytes:
    """Return a channel's name as a JSON string."""
    return json_string(channel)


def message_objects(messages: Iterable[tuple[bytes, bytes, bytes]]) -> bytes:
    """Return messages as the items of a JSON array, without its brackets.

    Args:
        messages: channel, id and data of each, in order.
    """
    return b",".join(
        [b'{"channel":%b,"id":"%b","data":%b}' % (channel_json(channel), id_, data) for channel, id_, data in messages]
    )


def poll_body(position: bytes, messages: Iterable[tuple[bytes, bytes, bytes]], gaps: Iterable[bytes]) -> bytes:
    """Return the body of a poll's answer.

    Args:
        position: where the client stands after it.
        messages: channel, id and data of each, in order.
        gaps: the channels that something is missing from.
    """
    names = b",".join(map(channel_json, gaps))
    gap = b'true,"gaps":[%b]' % names if names else b"false"
    return b'{"position":"%b","messages":[%b],"gap":%b}' % (position, message_objects(messages), gap)
