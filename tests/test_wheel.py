"""What is installed: the wheel and the sdist have the console's pages, byte for byte, and the package finds them."""

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

ROOT: Final = Path(__file__).parents[1]
SOURCES: Final = ("LICENSE", "README.md", "admin-ui", "megacomet", "pyproject.toml", "setup.py", "twisted")
#: What `pip` calls, without an environment of its own and so without a network.
BUILD: Final = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"
FIND: Final = (
    "from megacomet.console.files import find_directory, load_files; d = find_directory(); print(d); load_files(d)"
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
def pages() -> dict[str, bytes]:
    """All files of the checkout's `admin-ui`, licences too."""
    paths = [path for path in (ROOT / "admin-ui").rglob("*") if path.is_file()]
    found = {path.relative_to(ROOT / "admin-ui").as_posix(): path.read_bytes() for path in paths}
    assert "index.html" in found
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


def test_the_wheel_has_the_pages(sources: Path, pages: dict[str, bytes], tmp_path: Path) -> None:
    """Whoever installs the wheel has the whole console, without a network; of an earlier build nothing is left."""
    (sources / "build/lib/megacomet/console/pages").mkdir(parents=True)
    (sources / "build/lib/megacomet/console/pages/gone.js").write_bytes(b"")
    with zipfile.ZipFile(build(sources, "wheel", tmp_path)) as wheel:
        place = "megacomet/console/pages/"
        names = [name for name in wheel.namelist() if name.startswith(place)]
        assert {name.removeprefix(place): wheel.read(name) for name in names} == pages
        wheel.extractall(tmp_path / "installed")
    found = subprocess.run(
        [sys.executable, "-c", FIND],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == str(tmp_path / "installed" / place.rstrip("/"))


def test_the_sdist_has_the_pages(sources: Path, pages: dict[str, bytes], tmp_path: Path) -> None:
    """Whoever builds from the source archive has them too."""
    with tarfile.open(build(sources, "sdist", tmp_path)) as archive:
        found = {}
        for member in archive.getmembers():
            top, _, name = member.name.partition("/admin-ui/")
            if name and "/" not in top and (file := archive.extractfile(member)) is not None:
                found[name] = file.read()
    assert found == pages
