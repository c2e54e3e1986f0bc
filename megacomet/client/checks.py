"""Names and positions that programs give, looked at before anything is sent."""

from __future__ import annotations

from typing import Final

from megacomet.errors import BadName, BadPosition, PeerError
from megacomet.names import check_channel, check_client_id, is_position, is_reserved

OLDEST: Final = "oldest"


def check_listened(channel: str) -> None:
    """Raise `BadName`, or `PeerError` (`reserved-channel`), when nobody can listen to a channel by its name."""
    if not isinstance(channel, str):
        raise BadName(f"a channel is a str, not {type(channel).__name__}")
    raw = check_channel(channel.encode("utf-8", "surrogatepass"))
    if is_reserved(raw):
        raise PeerError("reserved-channel", f"{channel!r}: mailboxes are listened to by client_id, * by everybody")


def check_since(since: str | None) -> None:
    """Raise `BadPosition` when it is neither a position nor "oldest"."""
    if since and since != OLDEST and not is_position(since.encode("utf-8", "surrogatepass")):
        raise BadPosition(f"since is a position, or {OLDEST!r}, not {since[:60]!r}")


def check_client(client_id: str) -> None:
    """Raise `BadName` when it is no client id."""
    if not isinstance(client_id, str):
        raise BadName(f"a client id is a str, not {type(client_id).__name__}")
    check_client_id(client_id.encode("utf-8", "surrogatepass"))
