"""Files that come along and are no Python: where they are found, and which of them are."""

from __future__ import annotations

from pathlib import Path

import pytest

from megacomet.shipped import ALL, BROWSER_CLIENT, CONSOLE, Shipped


def touch(path: Path) -> Path:
    """Make an empty file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


@pytest.mark.parametrize("shipped", ALL, ids=lambda shipped: shipped.beside)
def test_where_they_are(shipped: Shipped, tmp_path: Path) -> None:
    """In the package where it is installed, beside it in a checkout; what only has the name beside it is not taken."""
    package, beside = tmp_path / "megacomet", tmp_path / shipped.beside
    assert shipped.find(package) is None
    touch(beside / shipped.sign)
    assert shipped.find(package) is None  # a directory of packages, in which somebody else has one of this name
    touch(tmp_path / "setup.py")
    assert shipped.find(package) == beside
    touch(package / shipped.inside / shipped.sign)
    assert shipped.find(package) == package / shipped.inside


def test_a_checkout_has_them() -> None:
    """Beside the package."""
    root = Path(__file__).parents[1]
    assert [shipped.find() for shipped in (CONSOLE, BROWSER_CLIENT)] == [root / "admin-ui", root / "clients/js"]


def test_which_are_shipped(tmp_path: Path) -> None:
    """All but what is hidden, and what nobody needs where it is installed."""
    for name in ("src/index.js", "src/.hidden", ".git/x", "test/a.test.js", "node_modules/x/index.js", "a.d.ts"):
        touch(tmp_path / "clients/js" / name)
    assert [str(path) for path in BROWSER_CLIENT.paths(tmp_path)] == ["clients/js/a.d.ts", "clients/js/src/index.js"]
    assert CONSOLE.paths(tmp_path) == []
