"""The doors that the manager listens at itself: `--admin`, and the original's binary port."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from twisted.application.internet import StreamServerEndpointService

from megacomet.api.admin import admin_service
from megacomet.api.classic import ClassicPort, classic_service
from megacomet.settings import Settings


def own_doors(
    settings: Settings, reactor: Any, *, site: Any, publisher: Any, pressure: Any, dropped: Counter[str]
) -> list[StreamServerEndpointService]:
    """Return the services that listen in the manager itself.

    Args:
        settings: say which there are.
        reactor: to listen with.
        site: served at `admin`.
        publisher: takes the messages.
        pressure: tells when no more messages should come.
        dropped: what the original's port does not take is counted there, by reason.

    Raises:
        StartError: the endpoint of `admin` is none.
    """
    doors: list[StreamServerEndpointService] = []
    if settings.admin:
        doors.append(admin_service(reactor, settings.admin, site))
    if settings.classic:
        port = ClassicPort(
            publisher,
            pressure,
            message_bytes=settings.message_bytes,
            dropped=dropped,
            clock=time.monotonic,
            call_later=reactor.callLater,
        )
        doors.append(classic_service(reactor, settings.classic_interface, port))
    return doors
