"""What both ends of a link are in Twisted's eyes: an AMP connection that logs nothing by itself."""

from __future__ import annotations

from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import connectionDone
from twisted.protocols import amp
from twisted.python.failure import Failure


class LinkEnd(amp.AMP):
    """`amp.AMP` as it is, but for two lines of the log at each connection, with the names of classes in them.

    Both methods leave out AMP's own, which does nothing besides; who has these connections says what there is to say.
    """

    def makeConnection(self, transport: ITransport) -> None:
        amp.BinaryBoxProtocol.makeConnection(self, transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        amp.BinaryBoxProtocol.connectionLost(self, reason)
        self.transport = None
