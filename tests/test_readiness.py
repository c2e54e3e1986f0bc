"""What is told to the service manager that has started us."""

from __future__ import annotations

import errno

import pytest
from twisted.logger import LogEvent, globalLogPublisher

from megacomet.readiness import READY, STOPPING, tell_service_manager


@pytest.mark.parametrize(
    ("name", "address"), [("/run/systemd/notify", b"/run/systemd/notify"), ("@notify/1", b"\0notify/1")]
)
def test_told(name: str, address: bytes) -> None:
    """systemd hears of it on the socket that it has named, be it a path or an abstract name."""
    sent: list[tuple[bytes, bytes]] = []
    for state in (READY, STOPPING):
        tell_service_manager(state, {"NOTIFY_SOCKET": name}, lambda *told: sent.append(told))
    assert sent == [(address, b"READY=1"), (address, b"STOPPING=1")]


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}])
def test_nobody_to_be_told(environment: dict[str, str]) -> None:
    """Started from a shell, nothing is sent anywhere."""

    def send(address: bytes, data: bytes) -> None:
        raise AssertionError(address)

    tell_service_manager(READY, environment, send)


def test_nobody_takes_it() -> None:
    """A socket that nobody listens at any more costs a line of the log, and not the server."""
    events: list[LogEvent] = []

    def send(address: bytes, data: bytes) -> None:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")

    globalLogPublisher.addObserver(events.append)
    try:
        tell_service_manager(READY, {"NOTIFY_SOCKET": "/run/gone"}, send)
    finally:
        globalLogPublisher.removeObserver(events.append)
    (event,) = events
    assert (event["path"], event["why"]) == ("/run/gone", "Connection refused")
