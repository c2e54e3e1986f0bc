"""Names of clients and channels: their rules, and what a name tells about itself.

Names are bytes everywhere below the doors: they are compared and hashed, never shown. Source: the wire contract,
section 1.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from megacomet.errors import BadName

CLIENT_MAX_BYTES: Final = 250
#: A mailbox is "@" and a client id, so every mailbox is a channel.
CHANNEL_MAX_BYTES: Final = 255
#: The channel that every connection hears.
EVERYONE: Final = b"*"
#: The namespace of all mailboxes, whatever colons the client id holds.
MAILBOX_NAMESPACE: Final = b"@"

_FORBIDDEN: Final = frozenset({"Cc", "Zs", "Zl", "Zp"})
#: A name has none of `_FORBIDDEN`: the rule as a pattern of JSON Schema (ECMA-262), for those who are told of it.
NAME_PATTERN: Final = r"^[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$"
#: What has a meaning of its own in a path.
DOTS: Final = (b".", b"..")
POSITION_PATTERN: Final = r"[0-9a-z]{1,16}-[0-9]{1,19}(\.[0-9]{1,19})*"
_PLAIN: Final = re.compile(rb"[\x21-\x7e]+").fullmatch
_POSITION: Final = re.compile(POSITION_PATTERN.encode()).fullmatch


def check_client_id(raw: bytes) -> bytes:
    """Return `raw` when it is a client id, else raise `BadName`."""
    return _check(raw, "client id", CLIENT_MAX_BYTES)


def check_channel(raw: bytes) -> bytes:
    """Return `raw` when it is a channel name, else raise `BadName`."""
    _check(raw, "channel", CHANNEL_MAX_BYTES)
    if raw[:1] == b"@":
        check_client_id(raw[1:])
    return raw


def check_prefix(raw: bytes) -> bytes:
    """Return `raw` when a channel may begin with it, as all do with b"", else raise `BadName`."""
    if raw and raw not in DOTS:
        _check(raw, "prefix", CHANNEL_MAX_BYTES)
    return raw


def _check(raw: bytes, what: str, most: int) -> bytes:
    if not 1 <= len(raw) <= most:
        raise BadName(f"a {what} has 1 to {most} bytes, this one has {len(raw)}")
    if _PLAIN(raw) is None:
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as e:
            raise BadName(f"a {what} is UTF-8, this one breaks it at byte {e.start}") from None
        # Cc are the control characters, Z* the spaces; format characters (Cf) stay: emoji are joined by them.
        if any(unicodedata.category(c) in _FORBIDDEN for c in text):
            raise BadName(f"a {what} has no control characters and no spaces")
    if raw in DOTS:
        raise BadName(f"a {what} is not {raw.decode()!r}")
    return raw


def mailbox_of(client: bytes) -> bytes:
    """Return the channel of a client's mailbox."""
    return b"@" + client


def is_mailbox(channel: bytes) -> bool:
    """Tell whether the channel is some client's mailbox."""
    return channel.startswith(b"@")


def is_reserved(channel: bytes) -> bool:
    """Tell whether browsers may not name the channel: mailboxes and the channel of everyone."""
    return channel.startswith(b"@") or channel == EVERYONE


def namespace_of(channel: bytes) -> bytes:
    """Return what stands before the first colon, b"" without one, `MAILBOX_NAMESPACE` for a mailbox."""
    if channel.startswith(b"@"):
        return MAILBOX_NAMESPACE
    before, colon, _ = channel.partition(b":")
    return before if colon else b""


def is_position(text: bytes) -> bool:
    """Tell whether the text has the form of a position (its meaning belongs to the model)."""
    return _POSITION(text) is not None
