"""The console's files as they lie there: complete, small, and within the policy that the server sends with them."""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Final

import pytest

PAGES: Final = Path(__file__).parents[1] / "admin-ui"
INDEX: Final = (PAGES / "index.html").read_text("utf-8")
NAMES: Final = {path.relative_to(PAGES).as_posix() for path in PAGES.rglob("*") if path.is_file()}
MODULES: Final = sorted(name for name in NAMES if name.endswith(".js") and not name.startswith("vendor/"))
STYLES: Final = sorted(name for name in NAMES if name.endswith(".css") and not name.startswith("vendor/"))
NAMED: Final = re.findall(r'"/console/@/([^"]+)"', INDEX)
IMPORTS: Final = re.compile(r'^(?:import|export)\b[^;]*?\bfrom "([^"]+)";|^import "([^"]+)";', re.MULTILINE)
#: What a policy without unsafe-* forbids, or what would make markup of somebody's text.
FORBIDDEN: Final = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|dangerouslySet|\beval\(|new Function|[\s<\"'`]style="
)
#: All words of the modules without their comments, and of uPlot, which names the parts of a chart.
DRAWN: Final = {
    word
    for name in [*MODULES, "vendor/uplot/uPlot.iife.min.js"]
    for word in re.findall(
        r"[\w-]+",
        re.sub(r"/\*.*?\*/|^\s*//.*?$", "", (PAGES / name).read_text("utf-8"), flags=re.DOTALL | re.MULTILINE),
    )
}
MOST_LINES: Final = 300
#: Of the files that a browser asks for at the first visit, as they are, before gzip. It is for people on slow lines.
MOST_BYTES: Final = 400_000


def _imports(name: str) -> list[str]:
    return [a or b for a, b in IMPORTS.findall((PAGES / name).read_text("utf-8"))]


def _path(name: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), target))


def _bare() -> dict[str, str]:
    found = re.search(r'<script type="importmap">(.*?)</script>', INDEX, re.DOTALL)
    assert found is not None
    return json.loads(found[1])["imports"]


def test_the_page_names_only_files_that_exist():
    """Nothing is missing when the console is opened."""
    assert NAMED
    assert set(NAMED) <= NAMES


def test_the_page_names_every_module_and_style_sheet():
    """All files are asked for at once, not one after the other as each is found in the one before."""
    unnamed = {*MODULES, *STYLES} - set(NAMED)

    assert not unnamed, 'add to index.html: <link rel="modulepreload" href="/console/@/…"> or rel="stylesheet"'


def test_every_module_is_used():
    """Nobody loads what no page needs."""
    reached: set[str] = set()
    to_come = ["app.js"]
    while to_come:
        name = to_come.pop()
        if name not in reached:
            reached.add(name)
            to_come += [_path(name, target) for target in _imports(name) if target.startswith(".")]

    assert set(MODULES) - reached == set()


@pytest.mark.parametrize("name", STYLES)
def test_a_style_sheet_has_no_rule_for_what_is_not_there(name):
    """What a page does not draw any more leaves nothing behind."""
    text = re.sub(r"/\*.*?\*/|\{[^{}]*\}", "", (PAGES / name).read_text("utf-8"), flags=re.DOTALL)
    classes = set(re.findall(r"\.([a-z][\w-]*)", text))

    # Looks are put together: `is-${tone}`.
    assert sorted(each for each in classes if not {each, each.removeprefix("is-")} & DRAWN) == []


def test_the_page_has_no_script_and_no_style_of_its_own():
    """The policy allows none but the import map."""
    assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", INDEX) == ['<script type="importmap">']
    assert "<style" not in INDEX
    assert not re.search(r'\s(on\w+|style)="', INDEX)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_what_is_there(name):
    """A page does not end at an import that leads nowhere."""
    for target in _imports(name):
        if target.startswith("."):
            assert _path(name, target) in NAMES, target
        else:
            assert _bare()[target].removeprefix("/console/@/") in NAMES, target


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_small_and_keeps_to_the_policy(name):
    """One can read it, and it works under a policy without unsafe-*."""
    text = (PAGES / name).read_text("utf-8")

    assert text.count("\n") < MOST_LINES
    assert FORBIDDEN.findall(text) == []


@pytest.mark.parametrize("name", STYLES)
def test_a_style_sheet_has_no_figures_of_its_own(name):
    """Colours and sizes of text are those of the tokens, so that light, dark and contrast hold on every page."""
    text = re.sub(r"/\*.*?\*/", "", (PAGES / name).read_text("utf-8"), flags=re.DOTALL)
    defined = re.findall(r"(--[\w-]+):", (PAGES / "style/tokens.css").read_text("utf-8"))

    assert set(re.findall(r"var\((--[\w-]+)", text)) <= set(defined)
    if name != "style/tokens.css":
        assert re.findall(r"#[0-9a-fA-F]{3,8}\b|\brgb\(|\bhsl\(", text) == []
        assert re.findall(r"font-size: (?!var\(|0\.\d+em)[^;]+", text) == []


def test_the_console_is_small():
    """It opens on a slow line too."""
    assert sum((PAGES / name).stat().st_size for name in {"index.html", *NAMED}) < MOST_BYTES
