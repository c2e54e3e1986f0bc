"""Where the files are that come along and are no Python: what browsers load.

In a checkout they stand beside the package, which is where they are written; in a wheel they are inside of it, where
`setup.py` puts them, by this table. It is read without the package's dependencies, so it has none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple


class Shipped(NamedTuple):
    """Files that come along.

    Attributes:
        beside: their directory in a checkout, from its root.
        inside: their directory in a wheel, from that of `megacomet`.
        sign: a file that is there when they are.
        without: names of files and directories that nobody needs where they are installed.
    """

    beside: str
    inside: str
    sign: str
    without: frozenset[str] = frozenset()

    def find(self, package: Path = Path(__file__).parent) -> Path | None:
        """Return the directory that has them, None: they are nowhere.

        Args:
            package: the directory of `megacomet`.
        """
        inside, root = package / self.inside, package.parent
        if (inside / self.sign).is_file():
            return inside
        beside = root / self.beside
        # Of somebody else a directory of this name may stand beside us where packages are installed.
        return beside if (beside / self.sign).is_file() and (root / "setup.py").is_file() else None

    def paths(self, root: Path) -> list[Path]:
        """Return what is shipped of a checkout, from its root, in order."""
        paths = [path.relative_to(root) for path in sorted((root / self.beside).rglob("*")) if path.is_file()]
        return [path for path in paths if not any(each.startswith(".") or each in self.without for each in path.parts)]


CONSOLE: Final = Shipped("admin-ui", "console/pages", "index.html")
BROWSER_CLIENT: Final = Shipped("clients/js", "client_js", "dist/megacomet.mjs", frozenset({"node_modules", "test"}))
ALL: Final = (CONSOLE, BROWSER_CLIENT)
