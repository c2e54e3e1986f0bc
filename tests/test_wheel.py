"""What is installed: wheel and sdist have what browsers load, byte for byte, and the package finds it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Final

import pytest

from megacomet.shipped import ALL, BROWSER_CLIENT, CONSOLE

ROOT: Final = Path(__file__).parents[1]
SOURCES: Final = ("LICENSE", "README.md", "admin-ui", "clients", "megacomet", "pyproject.toml", "setup.py", "twisted")
#: What `pip` calls, without an environment of its own and so without a network.
BUILD: Final = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"
FIND: Final = (
    "from megacomet.console.files import load_files; from megacomet.browser_client import load_client;"
    "from megacomet.shipped import CONSOLE, BROWSER_CLIENT;"
    "from megacomet.worker.interned import intern_all; assert len(intern_all()) > 1000;"
    "load_files(CONSOLE.find()); load_client(BROWSER_CLIENT.find());"
    "print(CONSOLE.find()); print(BROWSER_CLIENT.find())"
)


def build(sources: Path, kind: str, target: Path) -> Path:
    """Build a wheel or an sdist; return its path."""
    made = subprocess.run(
        [sys.executable, "-c", BUILD, f"build_{kind}", str(target)],
        cwd=sources,
        capture_output=True,
        text=True,
        check=True,
    )
    return target / made.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def shipped() -> dict[str, bytes]:
    """All files of the checkout that are shipped, licences too."""
    found = {str(path): (ROOT / path).read_bytes() for each in ALL for path in each.paths(ROOT)}
    assert {"admin-ui/index.html", "clients/js/src/index.js", "clients/js/megacomet.d.ts"} <= found.keys()
    return found


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is packaged: building leaves things behind."""
    copy = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(ROOT / name, copy / name)
    return copy


def test_the_wheel_has_them(sources: Path, shipped: dict[str, bytes], tmp_path: Path) -> None:
    """Whoever installs the wheel has console and client, without a network; of an earlier build nothing is left."""
    for each in ALL:
        gone = sources / "build/lib/megacomet" / each.inside / "gone.js"
        gone.parent.mkdir(parents=True)
        gone.write_bytes(b"")
    with zipfile.ZipFile(build(sources, "wheel", tmp_path)) as wheel:
        found = {}
        for each in ALL:
            place = f"megacomet/{each.inside}/"
            names = [name for name in wheel.namelist() if name.startswith(place)]
            found |= {f"{each.beside}/{name.removeprefix(place)}": wheel.read(name) for name in names}
        assert found == shipped
        wheel.extractall(tmp_path / "installed")
    done = subprocess.run(
        [sys.executable, "-c", FIND],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [
        str(tmp_path / "installed/megacomet" / each.inside) for each in (CONSOLE, BROWSER_CLIENT)
    ]


def test_the_sdist_has_them(sources: Path, shipped: dict[str, bytes], tmp_path: Path) -> None:
    """Whoever builds from the source archive has them too."""
    with tarfile.open(build(sources, "sdist", tmp_path)) as archive:
        found = {}
        for member in archive.getmembers():
            _, _, name = member.name.partition("/")
            if name.startswith(tuple(f"{each.beside}/" for each in ALL)):
                file = archive.extractfile(member)
                found |= {name: file.read()} if file is not None else {}
    assert found == shipped
