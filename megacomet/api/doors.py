"""The doors that the manager listens at itself: `--admin`, and the original's binary port."""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import Any

import attrs
from twisted.application.internet import StreamServerEndpointService

from megacomet.addresses import address_of_endpoint
from megacomet.api.admin import admin_service
from megacomet.api.classic import ClassicPort, classic_label, classic_service
from megacomet.settings import Settings
from megacomet.whereabouts import API, BINARY, Door


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


def own_addresses(settings: Settings) -> list[Door]:
    """Return where the manager itself listens, as far as the settings tell; paths count from the current directory."""
    addresses: list[Door] = []
    if settings.admin:
        found = address_of_endpoint(settings.admin)
        if found is not None and found.path:
            found = attrs.evolve(found, path=os.path.abspath(found.path))
        addresses.append(Door(str(found or settings.admin), API))
    if settings.classic:
        addresses.append(Door(classic_label(settings.classic_interface), BINARY))
    return addresses
