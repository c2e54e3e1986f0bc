"""Who may use the API as a server runs: all keys or none are changed, and what has changed is told."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from megacomet.api import audit, key_file, own_key
from megacomet.api.access import Access, changes_between
from megacomet.errors import PeerError, StartError
from megacomet.model.keys import NamedKey, digest_of
from megacomet.settings import Settings

NOW = 1_795_856_400.25


def key(name: str, scope: str = "push", secret: str = "") -> NamedKey:
    """Return a key; its secret is its name unless given."""
    return NamedKey(name, scope, digest_of((secret or name).encode()), "2026-11-28T09:00:00Z")


class AccessTests(SynchronousTestCase):
    """A start, and what SIGHUP does later."""

    def setUp(self) -> None:
        """Make a state directory, and listen to the log."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name)
        self.logged: list[str] = []
        globalLogPublisher.addObserver(self._logged)
        self.addCleanup(globalLogPublisher.removeObserver, self._logged)

    def _logged(self, event: LogEvent) -> None:
        if event.get("log_namespace") == "megacomet.api.access.Access":
            self.logged.append(str(formatEvent(event)))

    def start(self, **settings: Any) -> Access:
        """Start."""
        access = Access(Settings(state_dir=str(self.path), **settings), lambda: NOW, os.geteuid(), os.getegid())
        self.addCleanup(access.close)
        return access

    def write(self, *named: NamedKey) -> None:
        """Write the key file."""
        key_file.change_keys(str(self.path), lambda _: named)

    def notes(self) -> list[dict[str, Any]]:
        """Return what stands in the audit log."""
        return [json.loads(line) for line in (self.path / audit.FILE_NAME).read_text().splitlines()]

    def opens(self, access: Access, secret: str) -> bool:
        """Tell whether a key opens."""
        try:
            access.keys.check(b"Bearer " + secret.encode())
        except PeerError:
            return False
        return True

    def test_the_first_start(self) -> None:
        """A key is made and told; there is no other, and nothing was changed yet."""
        access = self.start()
        own = (self.path / own_key.FILE_NAME).read_text().strip()
        assert self.opens(access, own)
        assert self.logged == [f"API key {own} (made now, kept in {self.path / own_key.FILE_NAME})"]
        assert self.notes() == []

    def test_keys_of_all_sources(self) -> None:
        """The setting stands in place of the key's file; keys with names stand beside either."""
        self.write(key("shop"))
        access = self.start(api_key="from-the-setting")
        assert self.opens(access, "from-the-setting")
        assert self.opens(access, "shop")
        assert not (self.path / own_key.FILE_NAME).exists()

    def test_a_broken_file_at_the_start(self) -> None:
        """The server does not start with keys that nobody knows; file and line are named."""
        (self.path / key_file.FILE_NAME).write_bytes(b"\nnonsense\n")
        with self.assertRaises(StartError) as caught:
            self.start()
        assert str(caught.exception) == (
            f"the API keys cannot be used: line 2 of {self.path / key_file.FILE_NAME} is not JSON (character 1)"
        )

    def test_reload(self) -> None:
        """New keys open, revoked ones do not, and log and audit log name what has changed."""
        self.write(key("gone"), key("stays"), key("wider"), key("rotated"))
        access = self.start(api_key="own")
        self.write(key("new"), key("stays"), key("wider", "admin"), key("rotated", secret="next"), key("also"))
        access.reload()
        opening = [
            secret for secret in ("new", "gone", "stays", "rotated", "next", "own") if self.opens(access, secret)
        ]
        assert opening == ["new", "stays", "next", "own"]
        assert access.keys.check(b"Bearer wider").scope == "admin"
        assert self.logged == ["the API keys were read again: added also, new; removed gone; changed rotated, wider"]
        assert self.notes() == [
            {
                "time": "2026-11-28T09:00:00.250Z",
                "action": "reload-keys",
                "key": None,
                "address": None,
                "request_id": None,
                "result": "done",
                "added": ["also", "new"],
                "removed": ["gone"],
                "changed": ["rotated", "wider"],
            }
        ]

    def test_nothing_has_changed(self) -> None:
        """A SIGHUP for another reason is no change."""
        self.write(key("shop"))
        access = self.start(api_key="own")
        access.reload()
        assert self.logged == ["the API keys were read again: nothing has changed"]
        assert self.notes() == []

    def test_the_own_key_is_changed(self) -> None:
        """Another key in its file counts from then on; without the file a new one is made, as at a start."""
        access = self.start()
        (self.path / own_key.FILE_NAME).write_text("another\n")
        access.reload()
        assert self.opens(access, "another")
        assert self.logged[-1] == "the API keys were read again: changed api-key"
        (self.path / own_key.FILE_NAME).unlink()
        access.reload()
        assert not self.opens(access, "another")
        assert self.opens(access, (self.path / own_key.FILE_NAME).read_text().strip())
        assert [note["changed"] for note in self.notes()] == [["api-key"], ["api-key"]]

    def test_a_broken_file(self) -> None:
        """All keys stay as they were; the log names file and line, and so does the audit log."""
        self.write(key("shop"))
        access = self.start()
        own = (self.path / own_key.FILE_NAME).read_text().strip()
        (self.path / own_key.FILE_NAME).write_text("another\n")
        (self.path / key_file.FILE_NAME).write_bytes(b"nonsense\n")
        access.reload()
        why = f"line 1 of {self.path / key_file.FILE_NAME} is not JSON (character 1)"
        assert [self.opens(access, secret) for secret in (own, "shop", "another")] == [True, True, False]
        assert self.logged[-1] == f"the API keys stay as they were: {why}"
        [note] = self.notes()
        assert (note["result"], note["why"]) == ("refused", why)

    def test_a_broken_file_of_the_own_key(self) -> None:
        """The keys with names stay with it as they were."""
        access = self.start()
        (self.path / own_key.FILE_NAME).write_bytes(b"")
        self.write(key("shop"))
        access.reload()
        assert not self.opens(access, "shop")
        assert self.logged[-1].startswith("the API keys stay as they were: the API key ")

    def test_the_audit_log_is_opened_again(self) -> None:
        """After a rotation the next note is in the new file."""
        access = self.start()
        (self.path / audit.FILE_NAME).rename(self.path / "rotated")
        self.write(key("shop"))
        access.reload()
        assert [note["added"] for note in self.notes()] == [["shop"]]
        assert (self.path / "rotated").read_bytes() == b""


def test_files_of_root(tmp_path: Path) -> None:
    """What root has made in an earlier start belongs to the user of this one, who reads it at SIGHUP."""
    user = 65_534 if os.geteuid() == 0 else os.geteuid()
    settings = Settings(state_dir=str(tmp_path))
    key_file.change_keys(str(tmp_path), lambda _: (key("shop"),))
    for uid in (None, user):
        Access(settings, lambda: NOW, uid).close()
    assert {path.name: path.stat().st_uid for path in tmp_path.iterdir()} == dict.fromkeys(
        (own_key.FILE_NAME, key_file.FILE_NAME, audit.FILE_NAME), user
    )


def test_changes() -> None:
    """A name that stands for another key or another scope has changed; another date or place is no change."""
    before = [key("a"), key("b"), key("c"), key("d")]
    later = NamedKey("d", "push", digest_of(b"d"), "2030-01-01T00:00:00Z")
    after = [later, key("e"), key("b", "read"), key("a", secret="other")]
    assert changes_between(before, after) == {"added": ["e"], "removed": ["c"], "changed": ["a", "b"]}
    assert changes_between([], []) == {"added": [], "removed": [], "changed": []}
