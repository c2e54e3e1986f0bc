"""The client for browsers, as the server has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.logger import LogEvent, globalLogPublisher

from megacomet import __version__
from megacomet.library.files import NONE, PATHS, find_library, load_library


def client(directory: Path) -> Path:
    """Make a small client."""
    (directory / "src").mkdir()
    (directory / "src/index.js").write_text('export { A } from "./a.js";\n')
    (directory / "src/a.js").write_text("// An A.\nexport class A {}\n")
    (directory / "megacomet.d.ts").write_text("// An A.\nexport class A {}\n")
    return directory


def test_three_files(tmp_path: Path) -> None:
    """A script, a module and their types: each has its type, and a tag that changes with it."""
    library = load_library(client(tmp_path))
    assert library.keys() == PATHS == {b"/megacomet.js", b"/megacomet.mjs", b"/megacomet.d.ts"}
    classic, module, types = (library[path] for path in (b"/megacomet.js", b"/megacomet.mjs", b"/megacomet.d.ts"))
    assert classic.content_type == module.content_type == b"text/javascript; charset=utf-8"
    assert types.content_type == b"text/plain; charset=utf-8"
    assert types.body == b"// An A.\nexport class A {}\n"
    assert classic.body.endswith(b"class A {}\nglobalThis.A = A;\n})();\n")
    assert module.body.endswith(b"class A {}\nexport { A };\n")
    for each in (classic, module):
        assert each.body.startswith(b"/*! MegaComet %b, " % __version__.encode())
    assert len({each.tag for each in library.values()}) == 3
    (tmp_path / "src/a.js").write_text("export class A { b() {} }\n")
    changed = load_library(tmp_path)
    assert [changed[path].tag == library[path].tag for path in (b"/megacomet.js", b"/megacomet.d.ts")] == [False, True]


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What the log says of a missing library."""
    whys: list[str] = []

    def observe(event: LogEvent) -> None:
        if event.get("path") == "/megacomet.js":
            whys.append(event["why"])

    globalLogPublisher.addObserver(observe)
    yield whys
    globalLogPublisher.removeObserver(observe)


def test_it_is_there(tmp_path: Path, told: list[str]) -> None:
    """Nothing is said."""
    assert find_library(client(tmp_path)).keys() == PATHS
    assert told == []


def test_it_is_nowhere(told: list[str]) -> None:
    """The installation is not complete: that is said once, and the server goes on."""
    assert find_library(None) == NONE
    assert told == ["this installation is not complete"]


def test_it_has_no_types(tmp_path: Path, told: list[str]) -> None:
    """What is missing is named."""
    (client(tmp_path) / "megacomet.d.ts").unlink()
    assert find_library(tmp_path) == NONE
    [why] = told
    assert "megacomet.d.ts" in why


def test_it_breaks_the_rules(tmp_path: Path, told: list[str]) -> None:
    """File and line are named."""
    (client(tmp_path) / "src/a.js").write_text("\nexport default 1;\n")
    assert find_library(tmp_path) == NONE
    assert told == ["a.js:2: this form is not known here: export default 1;"]


def test_it_is_no_text(tmp_path: Path, told: list[str]) -> None:
    """The file is named."""
    (client(tmp_path) / "src/a.js").write_bytes(b"\xff")
    assert find_library(tmp_path) == NONE
    [why] = told
    assert why.startswith("a.js: ")
