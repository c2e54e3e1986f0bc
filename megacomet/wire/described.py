"""Texts and numbers that requests and answers have in common, with what is told of them in the API's description.

Nothing here but `Whole` is checked by the decoders: what a rule says, `names.py` and the doors check, and from there
the numbers come. So a push is decoded as fast as if nothing were described.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

from msgspec import Meta

from megacomet.names import CHANNEL_MAX_BYTES, CLIENT_MAX_BYTES, DOTS, NAME_PATTERN, POSITION_PATTERN

_NO_DOTS: Final = {"not": {"enum": [dots.decode() for dots in DOTS]}}

CHANNEL_RULES: Final[dict[str, object]] = {
    "minLength": 1,
    "maxLength": CHANNEL_MAX_BYTES,
    "pattern": NAME_PATTERN,
    "not": {"enum": ["@", *_NO_DOTS["not"]["enum"], *(f"@{dots.decode()}" for dots in DOTS)]},
}

Channel = Annotated[
    str,
    Meta(
        description=f"1 to {CHANNEL_MAX_BYTES} bytes of UTF-8 without control characters and spaces. "
        "`@` and a client's id is the mailbox of that client, `*` is the channel of everyone.",
        examples=["news", "room/7", "@sue"],
        extra_json_schema=CHANNEL_RULES,
    ),
]
#: What stands before the name of the last channel of a page, where the pages are by subscribers: a number and a dash.
_PLACE_BYTES: Final = 11
AFTER_RULES: Final[dict[str, object]] = {**CHANNEL_RULES, "maxLength": CHANNEL_MAX_BYTES + _PLACE_BYTES}
After = Annotated[
    str,
    Meta(
        description="Where a page ended; opaque but for that.",
        examples=["news", "12-news"],
        extra_json_schema=AFTER_RULES,
    ),
]
Client = Annotated[
    str,
    Meta(
        description=f"1 to {CLIENT_MAX_BYTES} bytes of UTF-8 without control characters and spaces.",
        examples=["sue"],
        extra_json_schema={"minLength": 1, "maxLength": CLIENT_MAX_BYTES, "pattern": NAME_PATTERN, **_NO_DOTS},
    ),
]
Position = Annotated[
    str,
    Meta(
        description="A place in the one log of all channels; opaque but for equality.",
        examples=["3kx9-1207"],
        extra_json_schema={"pattern": f"^{POSITION_PATTERN}$"},
    ),
]
Time = Annotated[
    str,
    Meta(
        description="RFC 3339, UTC.",
        examples=["2026-11-23T09:00:00.250Z"],
        extra_json_schema={"format": "date-time"},
    ),
]
#: A whole number of a request, decoded to a float: JSON has one kind of number, and there are programs that write 5.0.
Whole = Annotated[float, Meta(multiple_of=1)]
Count = Annotated[int, Meta(extra_json_schema={"minimum": 0})]
Seconds = Annotated[float, Meta(extra_json_schema={"minimum": 0})]


def time_text(unix_s: float) -> str:
    """Return a time, seconds since the epoch, as a `Time`."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
