"""`--admin`: the manager's site on an address of its own, which may be TLS, a UNIX socket or systemd's."""

from __future__ import annotations

from typing import Any, Final

from twisted.application.internet import StreamServerEndpointService
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IProtocolFactory

from megacomet.errors import StartError

#: Connections that wait to be accepted; Twisted's own 50 are gone in a moment while a large push is published.
BACKLOG: Final = 511
_WITH_BACKLOG: Final = ("tcp:", "tcp6:", "ssl:", "unix:")


class AdminService(StreamServerEndpointService):
    """Listens, or raises why it cannot, before privileges are shed."""

    _raiseSynchronously = True

    def __init__(self, endpoint: Any, site: IProtocolFactory, text: str) -> None:
        super().__init__(endpoint, site)
        self._text = text

    def privilegedStartService(self) -> None:
        """Listen.

        Raises:
            CannotListenError: somebody else does, or it is not allowed.
            StartError: there is no such place.
        """
        try:
            super().privilegedStartService()
        except OSError as e:  # of the lock that Twisted puts beside a UNIX socket
            raise StartError(f"cannot listen on {self._text!r}: {(e.strerror or str(e)).lower()}") from None


def admin_service(reactor: Any, endpoint: str, site: IProtocolFactory) -> AdminService:
    """Return the service that listens there.

    Args:
        reactor: where to listen.
        endpoint: as Twisted's `serverFromString` takes it, "tcp:8081:interface=127.0.0.1".
        site: what is served.

    Raises:
        StartError: the text is no endpoint.
    """
    text = endpoint
    if text.startswith(_WITH_BACKLOG) and ":backlog=" not in text:
        text = f"{text}:backlog={BACKLOG}"
    try:
        return AdminService(serverFromString(reactor, text), site, endpoint)
    except Exception as e:  # every kind of endpoint has errors of its own, down to IndexError
        raise StartError(f"admin = {endpoint!r} is no endpoint: {e or type(e).__name__}") from None
