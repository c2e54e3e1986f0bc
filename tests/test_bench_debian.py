"""Peers out of Debian's packages: which are brought, and what is in the way of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.debian import Unpacked, missing_of

SIMULATED = """\
Reading package lists...
NOTE: This is only a simulation!
Inst libpcre2-8-0 [10.42-1] (10.42-1+deb12u2 Debian:12.15/oldstable [amd64])
Inst libzmq5 (4.3.4-6 Debian:12.15/oldstable [amd64])
Inst pushpin (1.36.0-2 Debian:12.15/oldstable [amd64])
Conf libzmq5 (4.3.4-6 Debian:12.15/oldstable [amd64])
"""


def test_missing() -> None:
    """What is wanted is brought also when it is installed; what the machine has in another version stays as it is."""
    assert missing_of(SIMULATED, ("pushpin", "zurl")) == ["pushpin", "zurl", "libzmq5"]


def test_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was unpacked is found before what the machine has, which is found too."""
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    (tmp_path / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    found = Unpacked("Pushpin", ("pushpin",), tmp_path, ("usr/bin/pushpin",)).environment()
    assert found["PATH"] == f"{tmp_path}/usr/bin:/usr/bin"
    assert found["LD_LIBRARY_PATH"] == f"{tmp_path}/usr/lib/x86_64-linux-gnu"
    assert found.keys() - os.environ.keys() == {"LD_LIBRARY_PATH"}


def test_there(tmp_path: Path) -> None:
    """It is there when every file that is needed is."""
    peer = Unpacked("Nchan", ("nginx",), tmp_path, ("a", "b"))
    (tmp_path / "a").touch()
    assert not peer.is_there
    (tmp_path / "b").touch()
    assert peer.is_there


def test_no_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Debian's tools are not there, it says which packages are needed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="Nchan needs Debian's packages nginx and more; there is no apt-get and no"):
        Unpacked("Nchan", ("nginx", "more"), tmp_path, ()).bring()
