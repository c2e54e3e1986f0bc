"""The console's files, as they are read at the start."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from pathlib import Path

import pytest

from megacomet.console.files import TYPES, load_files, policy
from megacomet.shipped import CONSOLE

PAGE = b"""<!DOCTYPE html>
<link rel="stylesheet" href="/console/@/style/a.css">
<script type="importmap">{"imports": {"x": "/console/@/vendor/x.mjs"}}</script>
<script type="module" src="/console/@/app.js"></script>
"""


def pages(path: Path, **more: bytes) -> Path:
    """Make a console of a few files."""
    for name, body in {
        "index.html": PAGE,
        "app.js": b"// app " * 50,
        "style/a.css": b"a {}",
        "vendor/x.mjs": b"export {}",
        **more,
    }.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(body)
    return path


def place_of(page: bytes) -> bytes:
    """Return under which address a page has its files."""
    found = set(re.findall(rb"/console/@[^/]*/", page))
    assert len(found) == 1
    return found.pop()


def test_read(tmp_path: Path) -> None:
    """Every file stands under the address of all of them, with its type; the page says which."""
    loaded = load_files(pages(tmp_path))
    assert loaded.index is not None
    place = place_of(loaded.index.body)
    assert re.fullmatch(rb"/console/@[0-9a-f]{16}/", place)
    assert {path.removeprefix(place): file.content_type for path, file in loaded.by_path.items()} == {
        b"app.js": b"text/javascript; charset=utf-8",
        b"style/a.css": b"text/css; charset=utf-8",
        b"vendor/x.mjs": b"text/javascript; charset=utf-8",
    }
    app = loaded.by_path[place + b"app.js"]
    assert app.body == b"// app " * 50
    assert app.zipped is not None
    assert gzip.decompress(app.zipped) == app.body
    assert loaded.by_path[place + b"style/a.css"].zipped is None  # it would be larger
    zipped = (app.zipped, loaded.index.zipped or b"")
    bodies = [loaded.index.body, *(file.body for file in loaded.by_path.values()), *zipped]
    assert loaded.size == sum(map(len, bodies))


def test_the_address_changes_with_any_file(tmp_path: Path) -> None:
    """A changed, added, renamed or removed file gives all of them a new address; the same files have the same."""
    first = load_files(pages(tmp_path / "a"))
    assert load_files(pages(tmp_path / "b")) == first
    seen = {next(iter(first.by_path)).split(b"/")[2]}
    changes = (
        {"app.js": b"// other"},
        {"new.js": b""},
        {"style/b.css": b"a {}"},
        {"index.html": PAGE + b"\n"},
        {"data.json": b"{}"},
    )
    for n, change in enumerate(changes):
        loaded = load_files(pages(tmp_path / str(n), **change))
        seen.add(next(iter(loaded.by_path)).split(b"/")[2])
    assert len(seen) == len(changes) + 1


def test_what_is_not_served(tmp_path: Path) -> None:
    """Licences and texts, hidden files, links out of the directory and odd names are none of the console's."""
    pages(
        tmp_path / "pages",
        **{
            "LICENSE": b"MIT",
            "README.md": b"text",
            "notes.txt": b"text",
            ".secret.js": b"x",
            ".git/a.js": b"x",
            "a b.js": b"x",
            "a%2e.js": b"x",
            "é.js": b"x",
            "app.js.map": b"x",
        },
    )
    (tmp_path / "outside.js").write_bytes(b"x")
    (tmp_path / "pages" / "link.js").symlink_to(tmp_path / "outside.js")
    (tmp_path / "pages" / "folder.js").mkdir()
    names = {path.split(b"/", 3)[3] for path in load_files(tmp_path / "pages").by_path}
    assert names == {b"app.js", b"style/a.css", b"vendor/x.mjs"}


def test_no_page(tmp_path: Path) -> None:
    """Files without a page are no console."""
    (tmp_path / "app.js").write_bytes(b"")
    with pytest.raises(ValueError, match=f"{tmp_path} has no index.html"):
        load_files(tmp_path)


def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    """It is told, not passed over: a page would be without its modules."""
    with pytest.raises(FileNotFoundError, match="nothing"):
        load_files(tmp_path / "nothing")


def test_too_many(tmp_path: Path) -> None:
    """A directory of anything else is not read into memory."""
    pages(tmp_path)
    with pytest.raises(ValueError, match="more than 3 files"):
        load_files(tmp_path, most_files=3)
    assert load_files(tmp_path, most_files=4) == load_files(tmp_path)
    with pytest.raises(ValueError, match="or 100 bytes"):
        load_files(tmp_path, most_bytes=100)


def test_the_policy() -> None:
    """Pages load and run what is ours, and the import map as it is; nothing unsafe is in it."""
    text = b'{"imports":{}}'
    digest = base64.b64encode(hashlib.sha256(text).digest())
    lines = policy(text)
    assert b"script-src 'self' 'sha256-%b';" % digest in lines
    assert b"unsafe" not in lines
    assert policy(text.replace(b"{", b"\n{")) == policy(text.replace(b"{", b"\r\n{"))
    assert b"script-src 'self';" in policy(b"")
    for line in (b"Referrer-Policy: no-referrer", b"Cross-Origin-Opener-Policy: same-origin"):
        assert line in lines.split(b"\r\n")


def test_the_policy_follows_the_page(tmp_path: Path) -> None:
    """The import map that is allowed is the one that stands in the page that is sent."""
    loaded = load_files(pages(tmp_path))
    assert loaded.index is not None
    assert b'<script type="importmap">%b</script>' % loaded.import_map in loaded.index.body
    assert place_of(loaded.import_map) == place_of(loaded.index.body)


# -- those of this checkout


def test_the_console_is_here() -> None:
    """A checkout has its pages beside the package, and they can be read."""
    directory = CONSOLE.find()
    assert directory is not None
    assert directory.name == "admin-ui"
    assert load_files(directory).index is not None


def test_the_console_is_whole() -> None:
    """All that the page and its modules refer to is served, and the page has no script that would not run."""
    directory = CONSOLE.find()
    assert directory is not None
    loaded = load_files(directory)
    assert loaded.index is not None
    page = loaded.index.body
    place = place_of(page)
    wanted = set(re.findall(rb'"(/console/@[^"]*)"', page))
    assert {each for each in wanted if each not in loaded.by_path and not each.endswith(b"/")} == set()
    scripts = re.findall(rb"<script([^>]*)>(.*?)</script>", page, re.DOTALL)
    inline = [text for attributes, text in scripts if b"src=" not in attributes]
    assert inline in ([], [loaded.import_map])
    assert not re.search(rb"<style|\sstyle=|\son[a-z]+=", page)
    for path, file in loaded.by_path.items():
        if path.endswith((b".js", b".mjs")) and b"/vendor/" not in path:
            folder = path.rpartition(b"/")[0]
            for name in re.findall(rb"""(?:from|import)\s*\(?["'](\.{1,2}/[^"']+)["']""", file.body):
                parts = (folder + b"/" + name).split(b"/")
                while b".." in parts:
                    at = parts.index(b"..")
                    parts[at - 1 : at + 1] = []
                target = b"/".join(part for part in parts if part != b".")
                assert target in loaded.by_path, f"{path.decode()} imports {name.decode()}"
    assert all(path.startswith(place) for path in loaded.by_path)
    assert {Path(path.decode()).suffix for path in loaded.by_path} <= TYPES.keys()
