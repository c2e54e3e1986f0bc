"""The original's application port: what an application of old sends, what becomes of it, and what the log says."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactor, RaisingMemoryReactor, StringTransport
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from megacomet.api.classic import (
    LOG_EVERY_S,
    ClassicConnection,
    ClassicPort,
    classic_label,
    classic_service,
)
from megacomet.names import CLIENT_MAX_BYTES
from tests.doors import FakePressure, FakePublisher

MOST = 1000


def push(client: bytes, text: bytes) -> bytes:
    """A push as an application of old writes it."""
    return b"\x02" + client + b"\0" + text + b"\0"


class Applications:
    """A port, and applications that connect to it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.publisher = FakePublisher()
        self.pressure = FakePressure()
        self.port = ClassicPort(
            self.publisher,
            self.pressure,
            message_bytes=MOST,
            dropped=Counter(),
            clock=self.clock.seconds,
            call_later=self.clock.callLater,
        )

    def connect(self) -> tuple[ClassicConnection, StringTransport]:
        """An application connects."""
        connection = self.port.buildProtocol(None)
        transport = StringTransport()
        connection.makeConnection(transport)
        return connection, transport

    def say(self, data: bytes, size: int = 100_000) -> StringTransport:
        """An application sends this in pieces of a size, and closes."""
        connection, transport = self.connect()
        for at in range(0, len(data), size):
            connection.dataReceived(data[at : at + size])
        connection.connectionLost(Failure(ConnectionDone()))
        return transport

    @property
    def published(self) -> list[tuple[bytes, bytes]]:
        """Channel and data of every publication."""
        return [(each.channel, each.data) for each in self.publisher.published]


@pytest.mark.parametrize("size", [1, 2, 7, 100_000])
@pytest.mark.parametrize(
    ("data", "published"),
    [
        (push(b"sue", b"hello"), [(b"@sue", b'"hello"')]),
        (push(b"sue", b""), [(b"@sue", b'""')]),
        (push(b"megacomet", b"x"), [(b"@megacomet", b'"x"')]),
        (push("bob/ü".encode(), 'ä"\\\n\x01'.encode()), [("@bob/ü".encode(), 'ä"\\\n\x01')]),
        (
            push(b"a", b"1") + push(b"b", b"2") + push(b"a", b"\x02"),
            [(b"@a", b'"1"'), (b"@b", b'"2"'), (b"@a", "\x02")],
        ),
        (b"\x01\x00" + push(b"a", b"1") + b"\x01\x02" + push(b"a", b"2"), [(b"@a", b'"1"'), (b"@a", b'"2"')]),
        (push(b"a", b"y" * MOST), [(b"@a", b'"' + b"y" * MOST + b'"')]),
    ],
)
def test_pushes(data: bytes, published: list[tuple[bytes, bytes | str]], size: int) -> None:
    """Pushes arrive in order whatever the pieces, the last ones followed by a close included; nothing is answered."""
    applications = Applications()
    transport = applications.say(data, size)
    assert [channel for channel, _ in applications.published] == [channel for channel, _ in published]
    for (_, said), (_, wanted) in zip(applications.published, published, strict=True):
        assert said == wanted if isinstance(wanted, bytes) else json_of(said) == wanted
    assert applications.port.taken == len(published)
    assert not applications.port.dropped
    assert transport.value() == b""
    assert not transport.disconnecting


def json_of(data: bytes) -> object:
    """What a JSON reader makes of it."""
    return json.loads(data)


@pytest.mark.parametrize("size", [1, 100_000])
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (push(b"", b"x"), "bad-id"),
        (push(b"a b", b"x"), "bad-id"),
        (push(b"\xff", b"x"), "bad-id"),
        (push(b"x" * (CLIENT_MAX_BYTES + 1), b"x"), "bad-id"),
        (push(b"sue", b"\xc3\x28"), "bad-text"),
        (push(b"sue", b"y" * (MOST + 1)), "too-large"),
        (push(b"full", b"x"), "mailbox-full"),
    ],
)
def test_a_push_that_is_dropped(data: bytes, reason: str, size: int) -> None:
    """A push that cannot be taken is dropped and counted by its reason; the next one is taken, nothing is closed."""
    applications = Applications()
    applications.publisher.refuse[b"@full"] = "mailbox-full"
    transport = applications.say(data + push(b"sue", b"next"), size)
    assert applications.published[-1] == (b"@sue", b'"next"')
    assert applications.port.dropped == {reason: 1}
    assert applications.port.taken == 1
    assert not transport.disconnecting


def test_a_push_that_is_refused_late() -> None:
    """A push whose outcome comes after its connection has ended is counted all the same."""
    applications = Applications()
    applications.publisher.late = True
    applications.publisher.refuse[b"@full"] = "mailbox-full"
    applications.say(push(b"sue", b"x") + push(b"full", b"x"))
    assert (applications.port.taken, applications.port.dropped) == (0, {})
    applications.publisher.answer_all()
    assert (applications.port.taken, applications.port.dropped) == (1, {"mailbox-full": 1})


@pytest.mark.parametrize("cut", [b"\x02", b"\x02su", b"\x02sue\0", b"\x02sue\0hel"])
def test_a_push_that_is_cut_off(cut: bytes) -> None:
    """What the end of the connection leaves incomplete is not pushed, but counted."""
    applications = Applications()
    applications.say(push(b"a", b"1") + cut)
    assert applications.published == [(b"@a", b'"1"')]
    assert applications.port.dropped == {"cut-off": 1}


@pytest.mark.parametrize("size", [1, 100_000])
@pytest.mark.parametrize("command", [b"\0", b"\x03", b"\n", b"\xff", b"POST / HTTP/1.1\r\n\r\n"])
def test_another_command(command: bytes, size: int) -> None:
    """Any other byte where a command must begin closes: what was before it is pushed, nothing after it is."""
    applications = Applications()
    transport = applications.say(push(b"a", b"1") + command + push(b"a", b"2"), size)
    assert applications.published == [(b"@a", b'"1"')]
    assert applications.port.dropped["not-the-protocol"] >= 1
    assert transport.disconnecting
    assert transport.value() == b""


def test_another_command_is_counted_once() -> None:
    """A connection that is being closed is counted once, whatever it still sends."""
    applications = Applications()
    applications.say(b"GET / HTTP/1.1\r\n\r\n", 1)
    assert applications.port.dropped == {"not-the-protocol": 1}


def test_pause() -> None:
    """While the links are full nothing more is read; it goes on when there is room, and may pause again."""
    applications = Applications()
    connection, transport = applications.connect()
    for _ in range(2):
        applications.pressure.is_full = True
        connection.dataReceived(push(b"sue", b"x"))
        assert transport.producerState == "paused"
        applications.pressure.relax()
        assert transport.producerState == "producing"
    assert len(applications.published) == 2


def test_pause_of_a_connection_that_ends() -> None:
    """Room for a connection that ended meanwhile harms nobody."""
    applications = Applications()
    connection, transport = applications.connect()
    applications.pressure.is_full = True
    connection.dataReceived(push(b"sue", b"x"))
    connection.connectionLost(Failure(ConnectionDone()))
    applications.pressure.relax()
    assert transport.producerState == "paused"


class LogTests(SynchronousTestCase):
    """What the log says."""

    def setUp(self) -> None:
        """Listen to the log."""
        self.events: list[LogEvent] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        self.applications = Applications()
        self.applications.publisher.refuse[b"@full"] = "mailbox-full"

    def said(self) -> list[str]:
        """The lines so far."""
        return [formatEvent(event) for event in self.events]

    def test_drops_are_told_once_a_second(self) -> None:
        """Drops are told once a second at most, all of them with their number and reason, the last ones too."""
        say, clock = self.applications.say, self.applications.clock
        say(push(b"", b"x"))
        self.assertEqual(self.said(), ["the classic port dropped 1 bad-id"])
        say(push(b"", b"x") * 3 + push(b"full", b"x") * 2)
        clock.advance(LOG_EVERY_S / 2)
        say(push(b"", b"x"))
        self.assertEqual(self.said()[1:], [])
        clock.advance(LOG_EVERY_S / 2)
        self.assertEqual(self.said()[1:], ["the classic port dropped 4 bad-id, 2 mailbox-full"])
        clock.advance(LOG_EVERY_S)
        self.assertEqual(len(self.said()), 2)
        say(push(b"", b"x"))
        self.assertEqual(self.said()[2:], ["the classic port dropped 1 bad-id"])

    def test_a_quiet_port_waits_for_nothing(self) -> None:
        """Once everything was told no timer is left."""
        self.applications.say(push(b"", b"x") * 3)
        self.applications.clock.pump([LOG_EVERY_S] * 2)
        self.assertEqual(self.applications.clock.getDelayedCalls(), [])

    def test_a_workers_number_is_told_once(self) -> None:
        """Workers of the original that say their number are told of once, and not counted as drops."""
        self.applications.say(b"\x01\x00\x01\x07")
        self.applications.say(b"\x01\x03")
        self.assertEqual(self.said(), ["a worker of the original said its number to the classic port; it is ignored"])
        self.assertFalse(self.applications.port.dropped)

    def test_nothing_to_tell(self) -> None:
        """Pushes that are taken are not on the log."""
        self.applications.say(push(b"sue", b"x") * 3)
        self.assertEqual(self.said(), [])


# -- where it listens


class ListeningTests(SynchronousTestCase):
    """Port 9000, on an interface of either family."""

    def listen(self, interface: str, label: str) -> None:
        reactor = MemoryReactor()
        port = Applications().port
        service = classic_service(reactor, interface, port)
        service.privilegedStartService()
        [(number, factory, _, where)] = reactor.tcpServers
        self.assertEqual((number, factory, where), (9000, port, interface))
        self.assertEqual(classic_label(interface), label)

    def test_ipv4(self) -> None:
        """It listens before privileges are shed, and the ready line names it as what it is: no HTTP."""
        self.listen("127.0.0.1", "tcp://127.0.0.1:9000")

    def test_ipv6(self) -> None:
        """An IPv6 address stands in brackets."""
        self.listen("::1", "tcp://[::1]:9000")

    def test_taken(self) -> None:
        """What cannot be had is known at once."""
        service = classic_service(RaisingMemoryReactor(CannotListenError("127.0.0.1", 9000, OSError())), "::1", None)
        self.assertRaises(CannotListenError, service.privilegedStartService)
