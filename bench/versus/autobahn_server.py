"""A plain Autobahn server, which MegaComet is compared with: `python autobahn_server.py PORT PUSH_PORT`.

A WebSocket to `/ws?channel=c` subscribes; a `POST /push?channel=c` to the other port publishes its body, which a site
of twisted.web takes. It is written as Autobahn's own example of a broadcast: a protocol for each connection, a message
that is made once for all. Nothing is kept. It is given the long queue of a listener that the other servers have too.
"""

from __future__ import annotations

import sys
from collections import defaultdict

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionRequest
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import Request, Site


class Listener(WebSocketServerProtocol):
    """One connection."""

    channel = ""

    def onConnect(self, request: ConnectionRequest) -> None:
        """Note the channel."""
        self.channel = request.params["channel"][0]

    def onOpen(self) -> None:
        """Listen."""
        self.factory.listeners[self.channel].add(self)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """Listen no more."""
        self.factory.listeners[self.channel].discard(self)


class Listeners(WebSocketServerFactory):
    """All connections, by channel."""

    protocol = Listener

    def __init__(self) -> None:
        super().__init__()
        self.listeners: defaultdict[str, set[Listener]] = defaultdict(set)

    def publish(self, channel: str, data: bytes) -> None:
        """Send it to all who listen."""
        message = self.prepareMessage(data, isBinary=False)
        for listener in self.listeners.get(channel, ()):
            listener.sendPreparedMessage(message)


class Publishing(Resource):
    """Takes what is to be published."""

    isLeaf = True

    def __init__(self, listeners: Listeners) -> None:
        super().__init__()
        self._listeners = listeners

    def render_POST(self, request: Request) -> bytes:
        """Publish the body."""
        self._listeners.publish(request.args[b"channel"][0].decode(), request.content.read())
        request.setHeader(b"content-type", b"application/json")
        return b'{"status": "sent"}'


class QuietSite(Site):
    """A site that writes no log of its requests, as none of the other servers does."""

    def log(self, request: Request) -> None:
        """Write nothing."""


if __name__ == "__main__":
    port, push_port = map(int, sys.argv[1:])
    factory = Listeners()
    reactor.listenTCP(port, factory, backlog=4096, interface="127.0.0.1")
    reactor.listenTCP(push_port, QuietSite(Publishing(factory)), backlog=4096, interface="127.0.0.1")
    reactor.run()
