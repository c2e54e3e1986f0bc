"""Owns the bringing of peers out of Debian's packages: unpacked into a directory, not installed, no service started."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import attrs

#: A line of `apt-get --simulate install` for a package that this machine has not; one that it has in another version
#: names that in brackets, and stays as it is.
_MISSING: Final = re.compile(r"^Inst (\S+) \(", re.MULTILINE)
#: Where Debian's libraries are, below the directory: in that of the machine's architecture.
_LIBRARIES: Final = "usr/lib/*-linux-gnu"


@attrs.frozen
class Unpacked:
    """A peer's packages.

    Attributes:
        name: of the peer.
        packages: which it consists of.
        folder: where they are unpacked, `usr/bin` and all.
        files: what is needed of them, below the folder.
        with_libraries: also what they depend on, as far as this machine has not installed it.
    """

    name: str
    packages: tuple[str, ...]
    folder: Path
    files: tuple[str, ...]
    with_libraries: bool = False

    @property
    def is_there(self) -> bool:
        """Whether all was unpacked."""
        return all((self.folder / file).exists() for file in self.files)

    def bring(self) -> None:
        """Have the packages in the folder.

        Raises:
            RuntimeError: they cannot be had here; the text says which packages are missing and why.
        """
        names = " and ".join(self.packages)
        if missing := [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]:
            tools = " and no ".join(missing)
            raise RuntimeError(f"{self.name} needs Debian's packages {names}; there is no {tools} here")
        self.folder.mkdir(parents=True, exist_ok=True)
        hint = "(`apt-get update` first?)"
        wanted = list(self.packages)
        if self.with_libraries:
            asked = ["apt-get", "--simulate", "--no-install-recommends", "install", *self.packages]
            wanted = missing_of(self._done(asked, f"what {names} need is not known {hint}"), self.packages)
        self._done(["apt-get", "download", *wanted], f"the packages {names} could not be downloaded {hint}")
        for package in sorted(self.folder.glob("*.deb")):
            self._done(["dpkg-deb", "-x", str(package), str(self.folder)], f"{package.name} could not be unpacked")

    def environment(self) -> dict[str, str]:
        """Return this process' environment, with the unpacked programs and libraries before those of the machine."""
        before = {
            "PATH": [str(self.folder / "usr" / "bin")],
            "LD_LIBRARY_PATH": [str(each) for each in sorted(self.folder.glob(_LIBRARIES))],
        }
        joined = {name: ":".join([*paths, *filter(None, [os.environ.get(name)])]) for name, paths in before.items()}
        return {**os.environ, **joined}

    def _done(self, command: list[str], otherwise: str) -> str:
        ended = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
        )
        if ended.returncode:
            raise RuntimeError(f"{self.name}: {otherwise}: {ended.stderr.strip()[-500:]}")
        return ended.stdout

    def versions(self) -> list[str]:
        """Return the names of the packages' files, which tell their versions."""
        return [package.name for package in sorted(self.folder.glob("*.deb"))]


def missing_of(simulated: str, packages: tuple[str, ...]) -> list[str]:
    """Return the packages, and what else an installation would bring that this machine has in no version.

    Args:
        simulated: what `apt-get --simulate install` said; packages that are installed do not appear there.
        packages: that are wanted in any case.
    """
    return [*packages, *(name for name in _MISSING.findall(simulated) if name not in packages)]
