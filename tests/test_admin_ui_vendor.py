"""What of others the console is made of: unmodified, at fixed versions, with its licences, and nothing besides."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

VENDOR: Final = Path(__file__).parents[1] / "admin-ui" / "vendor"
PACKAGES: Final[list[dict[str, Any]]] = json.loads((VENDOR / "vendor.json").read_text("utf-8"))
FILES: Final = [(package["package"], file) for package in PACKAGES for file in package["files"]]
#: Words of the licences that we may pass on, by their names in SPDX.
LICENCES: Final = {"MIT": "Permission is hereby granted, free of charge", "Apache-2.0": "Apache License\n"}


@pytest.mark.parametrize(("package", "file"), FILES, ids=[file["file"] for _, file in FILES])
def test_a_file_is_as_its_package_has_it(package, file):
    """Nobody has changed what is not ours."""
    body = (VENDOR / file["file"]).read_bytes()

    assert file["file"].startswith(f"{package}/")
    assert hashlib.sha256(body).hexdigest() == file["sha256"]


def test_nothing_else_lies_there():
    """What is served of others is what was looked at."""
    there = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()}

    assert there == {"vendor.json", *(file["file"] for _, file in FILES)}


@pytest.mark.parametrize("package", PACKAGES, ids=[package["package"] for package in PACKAGES])
def test_a_package_has_a_version_a_checksum_and_its_licence(package):
    """One can find the package again, and may pass it on."""
    text = (VENDOR / package["package"] / "LICENSE").read_text("utf-8")

    assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
    assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", package["integrity"])
    assert LICENCES[package["licence"]] in text
