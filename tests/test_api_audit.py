"""The audit log: who has changed what, in one line each, whatever becomes of the disk."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from megacomet.api.audit import FILE_NAME, AuditLog, address_text
from megacomet.api.channel import IHome
from megacomet.publishing.publisher import RECEIPT_S
from tests.doors import PUSH_KEY, READ_KEY, Doors, get, post

NOW = 1_795_856_400.25  # 2026-11-28T09:00:00.250Z
WHO: Any = {"key": "shop", "address": "192.0.2.7:50312", "request_id": "f00-1"}
CUT = "/api/clients/sue/disconnect"


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return what stands in an audit log."""
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


class AuditLogTests(SynchronousTestCase):
    """The file."""

    def setUp(self) -> None:
        """Make a place for it, and listen to the server's log."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / FILE_NAME
        self.logged: list[str] = []
        globalLogPublisher.addObserver(self._logged)
        self.addCleanup(globalLogPublisher.removeObserver, self._logged)

    def _logged(self, event: LogEvent) -> None:
        if event.get("log_namespace") == "megacomet.api.audit.AuditLog":
            self.logged.append(str(formatEvent(event)))

    def open(self, path: Path | None = None) -> AuditLog:
        """Open an audit log that is closed at the end of the test."""
        log = AuditLog(str(path or self.path), lambda: NOW)
        self.addCleanup(log.close)
        return log

    def test_a_note(self) -> None:
        """A line tells who has done what, when, from where and with which result."""
        self.open().note("disconnect", **WHO, client='s"ü\n', disconnected=2)
        assert self.path.read_bytes().count(b"\n") == 1
        assert lines_of(self.path) == [
            {
                "time": "2026-11-28T09:00:00.250Z",
                "action": "disconnect",
                **WHO,
                "result": "done",
                "client": 's"ü\n',
                "disconnected": 2,
            }
        ]

    def test_nobody_else_may_read_it(self) -> None:
        """The file is its owner's alone; one that was opened to others by its owner stays so."""
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        self.open()
        assert stat.S_IMODE(self.path.stat().st_mode) == 0o600
        self.path.chmod(0o640)
        self.open()
        assert stat.S_IMODE(self.path.stat().st_mode) == 0o640

    def test_it_grows(self) -> None:
        """A next start goes on behind what is there."""
        self.open().note("one", **WHO)
        self.open().note("two", **WHO)
        assert [line["action"] for line in lines_of(self.path)] == ["one", "two"]

    def test_rotation(self) -> None:
        """Until it is opened again the moved file is written, then a new one."""
        log = self.open()
        moved = self.path.with_suffix(".1")
        self.path.rename(moved)
        log.note("one", **WHO)
        log.reopen()
        log.note("two", **WHO)
        assert [line["action"] for line in lines_of(moved)] == ["one"]
        assert [line["action"] for line in lines_of(self.path)] == ["two"]

    def test_a_rotation_that_fails(self) -> None:
        """When the new file cannot be made, the old one is written on, and the log says so."""
        log = self.open()
        moved = self.path.with_suffix(".1")
        self.path.rename(moved)
        self.path.mkdir()
        log.reopen()
        log.note("one", **WHO)
        assert [line["action"] for line in lines_of(moved)] == ["one"]
        assert self.logged == [f"the audit log {self.path} cannot be opened: is a directory"]

    def test_a_full_disk(self) -> None:
        """What the disk does not take stands in the server's log, and nothing breaks."""
        log = self.open(Path("/dev/full"))
        log.note("disconnect", **WHO, client="sue")
        [line] = self.logged
        assert line.startswith("the audit log /dev/full has not taken an entry: no space left on device; it was {")
        assert json.loads(line.partition("it was ")[2])["client"] == "sue"

    def test_a_line_that_was_cut(self) -> None:
        """Behind a line that a full disk or a kill has cut, the next one begins on a line of its own."""
        self.path.write_bytes(b'{"time":"2026')
        self.open().note("one", **WHO)
        cut, line = self.path.read_bytes().splitlines()
        assert cut == b'{"time":"2026'
        assert json.loads(line)["action"] == "one"

    def test_a_file_that_cannot_be_opened(self) -> None:
        """The server starts without it, says so, and takes the file as soon as it can be had."""
        self.path.mkdir()
        log = self.open()
        log.note("one", **WHO)
        assert self.logged[0] == f"the audit log {self.path} cannot be opened: is a directory"
        assert self.logged[1].startswith(f"the audit log {self.path} has not taken an entry: is a directory; it was {{")
        self.path.rmdir()
        log.note("two", **WHO)
        assert [line["action"] for line in lines_of(self.path)] == ["two"]

    def test_what_may_stand_in_its_place(self) -> None:
        """A link is not followed, since root opens the file; a pipe does not hold the server up."""
        os.symlink("elsewhere", self.path)
        self.open().note("one", **WHO)
        assert not self.path.with_name("elsewhere").exists()
        self.path.unlink()
        os.mkfifo(self.path)
        log = self.open()
        for _ in range(1000):
            log.note("one", **WHO)
        assert "resource temporarily unavailable" in self.logged[-1]

    def test_a_short_write(self) -> None:
        """When a part of a line got to the disk, that is told, and the next line does not go on in it."""
        self.path.write_bytes(b"\n" * 10)
        log = self.open()
        written: list[bytes] = []

        def some(_: int, data: bytes) -> int:
            written.append(data)
            return 5 if len(written) == 1 else len(data)

        self.patch(os, "write", some)
        log.note("one", **WHO)
        log.note("two", **WHO)
        log.note("three", **WHO)
        assert [data[:2] for data in written] == [b'{"', b"\n{", b'{"']
        [line] = self.logged
        assert f"only 5 of {len(written[0])} bytes were written" in line

    def test_values_that_are_no_json(self) -> None:
        """A door that notes something strange has its line nevertheless."""
        self.open().note("one", **WHO, what={1: b"\xff"})
        assert lines_of(self.path)[0]["what"] == {"1": r"b'\xff'"}


def test_it_belongs_to_who_runs_the_server(tmp_path: Path) -> None:
    """Opened by root at the start, it is writable later; a file that others have put there by another name is not."""
    user = 65_534 if os.geteuid() == 0 else os.geteuid()
    path = tmp_path / FILE_NAME
    AuditLog(str(path), lambda: NOW, user).close()
    assert path.stat().st_uid == user
    path.unlink()
    (tmp_path / "other").write_bytes(b"")
    os.link(tmp_path / "other", path)
    AuditLog(str(path), lambda: NOW, user, os.getegid()).close()
    assert path.stat().st_uid == os.geteuid()


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (IPv4Address("TCP", "192.0.2.7", 5), "192.0.2.7:5"),
        (IPv6Address("TCP", "2001:db8::7", 5), "[2001:db8::7]:5"),
        (UNIXAddress("/run/x"), "unix"),
        (HostnameAddress(b"h", 1), None),
        (None, None),
    ],
)
def test_addresses(address: object, text: str | None) -> None:
    """An address is as it would be written in a URL; who comes by a UNIX socket has none."""
    assert address_text(address) == text


# -- what the doors note


def test_a_disconnect() -> None:
    """Cutting a client off is noted with whom it hit and how."""
    doors = Doors()
    doors.ask(post("/api/clients/s%C3%BCe/disconnect", '{"reconnect":false,"block_s":60}', "X-Request-Id: f00-1"))
    assert doors.audit.notes == [
        {
            "action": "disconnect",
            "result": "done",
            "key": "api-key",
            "address": "192.168.1.1:54321",
            "request_id": "f00-1",
            "client": "süe",
            "disconnected": 1,
            "reconnect": False,
            "block_s": 60,
        }
    ]


@pytest.mark.parametrize(
    "request_",
    [
        post(CUT, "{}", key=READ_KEY),
        post(CUT, "{}", key="wrong"),
        post(CUT, '{"block_s":-1}'),
        post("/api/push", '{"channel":"a","data":1}'),
        post("/api/push", '{"everyone":true,"data":1}', key=PUSH_KEY),
        post("/api/batch", '{"channel":"a","data":1}\n{"data":1}'),
        get("/api/stats"),
    ],
)
def test_what_changes_nothing(request_: bytes) -> None:
    """What is refused has changed nothing; a message to a channel is no change, and neither is a look."""
    doors = Doors()
    doors.ask(request_)
    assert doors.audit.notes == []


@pytest.mark.parametrize(
    "body", ['{"everyone":true,"data":1}', '{"channel":"*","data":1}', '{"channels":["a","*","b"],"data":1}']
)
@pytest.mark.parametrize("path", ["/api/push", "/api/batch"])
def test_a_push_to_everyone(path: str, body: str) -> None:
    """What every client hears is noted, under whatever name it was asked for, with its position, without its data."""
    doors = Doors()
    doors.ask(post(path, body, "X-Request-Id: f00-1"))
    [note] = doors.audit.notes
    assert note == {
        "action": "push-everyone",
        "result": "done",
        "key": "api-key",
        "address": "192.168.1.1:54321",
        "request_id": "f00-1",
        "id": f"e1-{[p.channel for p in doors.publisher.published].index(b'*') + 1}",
    }


def test_a_push_to_everyone_that_is_refused() -> None:
    """One that the store did not take is noted with the reason."""
    doors = Doors()
    doors.publisher.refuse = {b"*": "store-full"}
    assert doors.ask(post("/api/push", '{"everyone":true,"data":1}')).status == 507
    [note] = doors.audit.notes
    assert (note["action"], note["result"]) == ("push-everyone", "store-full")


def test_a_repeated_push_to_everyone() -> None:
    """One that publishes nothing, because it is sent again, is not noted again."""
    doors = Doors()
    for _ in range(2):
        doors.ask(post("/api/push", '{"everyone":true,"data":1,"key":"k"}'))
    assert len(doors.audit.notes) == 1


def test_a_client_that_does_not_wait() -> None:
    """Who goes away before the answer is noted with the address that they had."""
    doors = Doors()
    counted: list[Any] = []
    doors.publisher.cut_off = lambda mailbox, cut, done: counted.append(done)  # type: ignore[method-assign]
    connection = doors.connect().send(post(CUT, "{}"))
    connection.lose()
    counted[0](3)
    connection = doors.connect().send(post("/api/push?receipt=1", '{"everyone":true,"data":1}'))
    connection.lose()
    assert doors.audit.notes[0]["address"] == "192.168.1.1:54321"
    doors.clock.advance(RECEIPT_S)
    assert [(note["action"], note.get("disconnected")) for note in doors.audit.notes] == [
        ("disconnect", 3),
        ("push-everyone", None),
    ]


class RequestIdTests(SynchronousTestCase):
    """The id of a request in the log."""

    def test_errors_of_ours(self) -> None:
        """What goes wrong in a request is logged with the id that its client was answered."""
        events: list[LogEvent] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        push = '{"channel":"a","data":1}'
        for path, body in ((CUT, "{}"), ("/api/push", push), ("/api/batch", push)):
            doors = Doors()
            doors.publisher.cut_off = doors.publisher.publish = None  # type: ignore[assignment]
            answer = doors.ask(post(path, body, "X-Request-Id: f00-1"))
            assert (answer.status, answer.json()["request_id"]) == (500, "f00-1")
            [event] = [each for each in events if each.get("log_failure") is not None]
            assert str(formatEvent(event)) == f"POST {path} failed, request f00-1"
            assert len(self.flushLoggedErrors(TypeError)) == 1
            events.clear()


class Home:
    """Where a connection came from."""

    peer = IPv6Address("TCP", "2001:db8::7", 5)

    def is_foreign(self, target: bytes) -> bool:
        """Tell that nothing is."""
        return False


def test_the_address_behind_a_worker() -> None:
    """A connection that a worker handed over has the address that the worker saw."""
    doors = Doors()
    channel = doors.site.buildProtocol(None)
    channel.home = cast(IHome, Home())
    channel.makeConnection(StringTransport())
    channel.dataReceived(post(CUT, "{}"))
    assert doors.audit.notes[0]["address"] == "[2001:db8::7]:5"
