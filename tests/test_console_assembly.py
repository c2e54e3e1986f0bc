"""The console, put together: what survives a restart, and an installation without pages."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from megacomet.console import secret_file, signed_out
from megacomet.console.assembly import Membership, find_files, make_console
from megacomet.console.doors import Console
from megacomet.console.files import NONE
from megacomet.console.sessions import Sessions
from megacomet.console.tokens import Seal
from megacomet.errors import PeerError
from megacomet.model.keys import Keys
from megacomet.wire.http import parse_head
from tests.doors import FakeAudit, FakeSignedOut

NOW = 1_795_860_000.0


def test_over_a_restart(tmp_path: Path) -> None:
    """The next server knows the sessions of this one, and who has signed out of it."""
    keys = Keys([("a-key", "read")])
    first = Membership(str(tmp_path))
    sessions = Sessions(keys, first.seal, first.signed_out)
    stays, left = (sessions.begin(keys.whose(b"a-key"), NOW) for _ in range(2))
    sessions.end(left, NOW)
    first.close()
    second = Membership(str(tmp_path))
    again = Sessions(keys, second.seal, second.signed_out)
    assert again.find([first.seal.token(stays.session)], NOW).session == stays.session
    with pytest.raises(PeerError):
        again.find([first.seal.token(left.session)], NOW)
    second.close()
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {
        secret_file.FILE_NAME: 0o600,
        signed_out.FILE_NAME: 0o600,
    }


def test_made(tmp_path: Path) -> None:
    """The console of this checkout has a page, whose policy its answers have."""
    membership = Membership(str(tmp_path))
    console = make_console(membership, Keys([]), FakeAudit(), lambda: NOW, lambda: NOW)
    assert console.lines.startswith(b"Content-Security-Policy: ")
    assert console.serves(b"/console/")
    membership.close()


def test_the_page_of_nothing() -> None:
    """Where nothing is installed the page says so, and the way to the API is open."""
    keys = Keys([("a-key", "read")])
    console = Console(
        NONE, Sessions(keys, Seal(bytes(32)), FakeSignedOut()), keys, FakeAudit(), lambda: NOW, lambda: NOW
    )
    raw = b"GET /console/ HTTP/1.1\r\nHost: h\r\n\r\n"
    with pytest.raises(PeerError, match="the console's files are not installed with this server"):
        console.visit(parse_head(raw), raw, None, False, "f00-1")


def test_without_pages(tmp_path: Path) -> None:
    """A directory that is not the console's costs the page, and the server says so and runs."""
    assert find_files(None).index is None
    assert find_files(tmp_path).index is None
    (tmp_path / "index.html").mkdir()
    assert find_files(tmp_path).index is None
    os.rmdir(tmp_path / "index.html")
    (tmp_path / "index.html").write_bytes(b"a page")
    assert find_files(tmp_path).index is not None
