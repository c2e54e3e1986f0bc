"""The client for browsers, as the server has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.logger import LogEvent, globalLogPublisher

from megacomet.browser_client import NONE, PATHS, find_client, load_client


def client(directory: Path) -> Path:
    """Make a small client."""
    (directory / "dist").mkdir()
    (directory / "dist/megacomet.js").write_text("globalThis.A = 1;")
    (directory / "dist/megacomet.mjs").write_text("export const A = 1;")
    (directory / "megacomet.d.ts").write_text("export const A: 1;")
    return directory


def test_three_files(tmp_path: Path) -> None:
    """A script, a module and their types: each has its type, and a tag that changes with it."""
    made = load_client(client(tmp_path))
    assert made.keys() == PATHS == {b"/megacomet.js", b"/megacomet.mjs", b"/megacomet.d.ts"}
    classic, module, types = (made[path] for path in (b"/megacomet.js", b"/megacomet.mjs", b"/megacomet.d.ts"))
    assert [each.body for each in (classic, module, types)] == [
        *(b"globalThis.A = 1;", b"export const A = 1;", b"export const A: 1;"),
    ]
    assert classic.content_type == module.content_type == b"text/javascript; charset=utf-8"
    assert types.content_type == b"text/plain; charset=utf-8"
    assert len({each.tag for each in made.values()}) == 3
    (tmp_path / "dist/megacomet.js").write_text("globalThis.A = 2;")
    changed = load_client(tmp_path)
    assert [changed[path].tag == made[path].tag for path in (b"/megacomet.js", b"/megacomet.d.ts")] == [False, True]


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What the log says of a missing client."""
    whys: list[str] = []

    def observe(event: LogEvent) -> None:
        if event.get("path") == "/megacomet.js":
            whys.append(event["why"])

    globalLogPublisher.addObserver(observe)
    yield whys
    globalLogPublisher.removeObserver(observe)


def test_it_is_there(tmp_path: Path, told: list[str]) -> None:
    """Nothing is said."""
    assert find_client(client(tmp_path)).keys() == PATHS
    assert told == []


def test_it_is_nowhere(told: list[str]) -> None:
    """The installation is not complete: that is said once, and the server goes on."""
    assert find_client(None) == NONE
    assert told == ["this installation is not complete"]


def test_it_has_no_types(tmp_path: Path, told: list[str]) -> None:
    """What is missing is named."""
    (client(tmp_path) / "megacomet.d.ts").unlink()
    assert find_client(tmp_path) == NONE
    [why] = told
    assert "megacomet.d.ts" in why
