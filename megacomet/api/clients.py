"""`/api/clients/{id}`: who a path means, and the form in which a client is told.

It must not know where the answer comes from: that is `IClients`.
"""

from __future__ import annotations

from typing import Protocol

from megacomet.api.channels import text, time_text
from megacomet.errors import PeerError
from megacomet.model.views import ClientView, Connected
from megacomet.names import check_client_id
from megacomet.wire.answers import ClientConnection, ClientInfo, as_json
from megacomet.wire.http import split_path


class IClients(Protocol):
    """Knows the clients."""

    async def client(self, client: bytes) -> ClientView:
        """Return how a client stands; raise `PeerError` when a worker does not answer."""


async def client_json(clients: IClients, path: bytes) -> bytes:
    """Return the body of the answer to `GET /api/clients/{id}`.

    Raises:
        PeerError: `not-found`, `bad-name`, `bad-request`, or what `IClients` raises.
    """
    view = await clients.client(client_in(path))
    if not view.connections and not view.waiting:
        raise PeerError("not-found", "this client is not connected, and nothing waits for it")
    return as_json(ClientInfo(text(view.client), view.waiting, [_connection(each) for each in view.connections]))


def client_in(path: bytes) -> bytes:
    """Return the client that a path names, which is one segment of it, cut before it is decoded.

    Raises:
        PeerError: `bad-name`, `bad-request`.
    """
    return check_client_id(split_path(path)[2])


def _connection(connected: Connected) -> ClientConnection:
    connection = connected.connection
    return ClientConnection(
        worker=connected.worker,
        transport=connection.transport,
        address=connection.address,
        since=None if connection.since is None else time_text(connection.since),
        channels=[text(channel) for channel in connection.channels],
        backlog_bytes=connection.backlog_bytes,
    )
