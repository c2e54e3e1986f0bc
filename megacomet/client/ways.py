"""What a transport is to the rest of the client: it opens connections, and they tell what comes.

A connection ends once, even before `open` has returned it, and tells nothing more after it has ended or was closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import quote

import attrs

from megacomet.client.objects import Value
from megacomet.client.rules import Ending


@attrs.frozen
class Wanted:
    """What a connection is opened for.

    Attributes:
        channels: to be heard.
        client_id: whose mailbox; "": nobody's.
        since: a position, or "oldest"; "": from now.
    """

    channels: Sequence[str]
    client_id: str
    since: str

    def query(self, *more: tuple[str, str | int]) -> str:
        """Return the query of the URL, with more parameters behind."""
        pairs: list[tuple[str, str | int]] = [("channel", channel) for channel in self.channels]
        if self.client_id:
            pairs.append(("client", self.client_id))
        if self.since:
            pairs.append(("since", self.since))
        return "&".join(f"{name}={quote(str(value), safe='')}" for name, value in (*pairs, *more))


class Ear(Protocol):
    """Is told what a connection brings."""

    def heard(self) -> None:
        """Something came, whatever it says."""

    def told(self, value: Value, size: int) -> None:
        """A value came, of so many bytes."""

    def complain(self, text: str) -> None:
        """Something came that no MegaComet says; the connection goes on."""

    def flush(self) -> None:
        """What was read at once has been told."""

    def ended(self, ending: Ending) -> None:
        """It did not open, or has ended."""


class Connection(Protocol):
    """A connection that is opened, or stands."""

    def pause(self) -> None:
        """Read nothing more."""

    def resume(self) -> None:
        """Read on."""

    def close(self) -> None:
        """End it, and tell nothing more."""

    def ask(self) -> None:
        """Have the other end show that it lives, if it can be asked."""

    def send(self, op: dict[str, Any]) -> bool:
        """Send a request; tell whether the transport has such."""


class Way(Protocol):
    """A transport."""

    def open(self, wanted: Wanted, ear: Ear) -> Connection:
        """Begin to open a connection."""
