"""The house's floors: who may import whom, what the lower floors must not know, how large a room may be.

A new module or package of `megacomet` is entered in `FLOORS`; one that is missing there fails.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).parents[1]

#: Module or package -> floor. The longest entry that a module's name begins with counts.
FLOORS: Final[Mapping[str, int]] = {
    "megacomet": 0,
    "megacomet.addresses": 0,
    "megacomet.errors": 0,
    "megacomet.names": 0,
    "megacomet.setting_rules": 0,
    "megacomet.setting_table": 0,
    "megacomet.settings": 0,
    "megacomet.doctor": 1,
    "megacomet.rlimits": 1,
    "megacomet.wire": 1,
    "megacomet.model": 2,
    "megacomet.accepting": 3,
    "megacomet.backlog": 3,
    "megacomet.binding": 3,
    "megacomet.collector": 3,
    "megacomet.deadlines": 3,
    "megacomet.hangup": 3,
    "megacomet.kinds": 3,
    "megacomet.browser_client": 3,
    "megacomet.link": 3,
    "megacomet.listeners": 3,
    "megacomet.locality": 3,
    "megacomet.logs": 3,
    "megacomet.merging": 3,
    "megacomet.multisend": 3,
    "megacomet.parking": 3,
    "megacomet.peers": 3,
    "megacomet.proctitle": 3,
    "megacomet.publishing": 3,
    "megacomet.pulse": 3,
    "megacomet.readiness": 3,
    "megacomet.forking": 3,
    "megacomet.rows": 3,
    "megacomet.shipped": 3,
    "megacomet.statedir": 3,
    "megacomet.taking": 3,
    "megacomet.slices": 3,
    "megacomet.turns": 3,
    "megacomet.uring": 3,
    "megacomet.whereabouts": 3,
    "megacomet.zygote": 3,
    "megacomet.worker": 4,
    "megacomet.manager": 4,
    "megacomet.api": 5,
    "megacomet.console": 5,
    "megacomet.metrics": 5,
    "megacomet.core": 6,
    "megacomet.entry": 6,
    "megacomet.options": 6,
    "megacomet.tap": 6,
    "megacomet.cli": 6,
    "megacomet.client": 7,
    "megacomet.swarm": 7,
}
#: The rooms for users stand beside the house: they may know the vocabulary and the codecs, and nobody knows them but
#: the command, which is for users as well.
USERS_FLOOR: Final = 7
USERS_MAY_KNOW: Final = 1
KNOWN_TO: Final[Mapping[str, str]] = {"megacomet.client": "megacomet.cli"}
#: What is pure in a room that is not: the client's rules, which are tried out without a clock, and what the load client
#: makes of figures.
PURE_IN_ROOMS: Final = (
    *("megacomet.client.event_stream", "megacomet.client.feed", "megacomet.client.items", "megacomet.client.objects"),
    *("megacomet.client.pushing", "megacomet.client.rules", "megacomet.client.shelf", "megacomet.client.ways"),
    *("megacomet.swarm.charts", "megacomet.swarm.fitting", "megacomet.swarm.measures", "megacomet.swarm.series"),
    *("megacomet.swarm.bars", "megacomet.swarm.comparison", "megacomet.swarm.soak", "megacomet.swarm.svg"),
)
#: On these floors every package is a role or a door of its own, and knows nothing of its neighbours.
FLOORS_OF_ROLES: Final = (4, 5, USERS_FLOOR)
#: Up to this floor there are no clocks, no sockets and no Twisted (zope.interface is none of it).
PURE: Final = 2

IMPURE: Final = frozenset(
    {"asyncio", "autobahn", "klein", "multiprocessing", "sched", "select", "selectors", "signal", "socket", "ssl"}
    | {"subprocess", "threading", "time", "treq", "twisted", "werkzeug"}
)
#: The native code of Autobahn's codecs, alone: the packages around it bring 1 to 3 MB.
AUTOBAHN_S_CODECS: Final = ("_nvx_utf8validator", "_nvx_xormasker")
CODECS_FLOOR: Final = 1
CLOCKS: Final = frozenset({("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")})
#: What no process may hold that is forked to become a worker: Klein imports the reactor, twisted.web is weight.
NOT_IN_WORKERS: Final = ("autobahn", "klein", "prometheus_client", "twisted.web", "treq", "werkzeug")
IN_THE_ZYGOTE: Final = (
    "megacomet.zygote",
    "megacomet.worker.birth",
    "megacomet.wire.upgrade",
    "megacomet.wire.websocket",
)

MODULE_MAX_LINES: Final = 399
FUNCTION_MAX_LINES: Final = 50


def all_modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    paths = sorted((ROOT / "megacomet").rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


MODULES: Final = all_modules()


def entry_of(module: str) -> str | None:
    """The entry of `FLOORS` that holds for a module; the package itself stands for its own `__init__` only."""
    parts = module.split(".")
    for length in range(len(parts), 1, -1):
        if (name := ".".join(parts[:length])) in FLOORS:
            return name
    return module if module in FLOORS else None


class Import(NamedTuple):
    """One name that is imported.

    Attributes:
        target: its dotted name.
        line: where in the source.
        at_once: whether it is imported when the module is; not so in a function, and not for types only.
        for_types: whether it stands under TYPE_CHECKING.
    """

    target: str
    line: int
    at_once: bool
    for_types: bool


def imports_of(tree: ast.Module) -> Iterator[Import]:
    """Yield every import of a module, also those in functions and under TYPE_CHECKING."""
    todo: list[tuple[ast.AST, bool, bool]] = [(tree, True, False)]
    while todo:
        node, at_once, for_types = todo.pop()
        if isinstance(node, ast.Import):
            yield from (Import(each.name, node.lineno, at_once, for_types) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from (Import(f"{base}.{each.name}", node.lineno, at_once, for_types) for each in node.names)
        for_types = for_types or (isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"))
        at_once = at_once and not (for_types or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))
        todo.extend((child, at_once, for_types) for child in ast.iter_child_nodes(node))


def within(name: str, package: str) -> bool:
    """Whether a dotted name is a package or in it."""
    return name == package or name.startswith(package + ".")


def module_named(target: str) -> str:
    """The module that an imported name of ours belongs to: `megacomet.names.EVERYONE` is in `megacomet.names`."""
    return target if target in MODULES else target.rpartition(".")[0]


def complaints(module: str, source: str) -> list[str]:
    """What a module does that its floor forbids, one line each."""
    entry = entry_of(module)
    if entry is None:
        return [f"{module} stands on no floor: enter it in FLOORS"]
    tree = ast.parse(source)
    found = [f"{module}:{one.line}: {why}" for one in imports_of(tree) for why in _about_import(module, entry, one)]
    found += [f"{module}:{line}: {why}" for line, why in _about_size(source, tree)]
    if FLOORS[entry] <= PURE or module in PURE_IN_ROOMS:
        found += [f"{module}:{line}: reads a clock" for line in _clocks(tree)]
    return found


def _about_import(module: str, entry: str, one: Import) -> Iterator[str]:
    floor = FLOORS[entry]
    if one.target.startswith("."):
        yield "imports by a relative name"
    elif within(one.target, "megacomet"):
        yield from _about_ours(entry, module_named(one.target))
    elif floor <= PURE and one.target.split(".")[0] in IMPURE:
        yield f"floor {floor} does not know {one.target}"
    elif module in PURE_IN_ROOMS and one.target.split(".")[0] in IMPURE:
        yield f"{module} is pure and does not know {one.target}"
    elif floor != CODECS_FLOOR and one.target.split(".")[0] in AUTOBAHN_S_CODECS:
        yield f"only the wire knows {one.target}"
    elif entry == "megacomet.worker" and any(within(one.target, name) for name in NOT_IN_WORKERS):
        yield f"a worker does not know {one.target}"
    if one.at_once and within(one.target, "twisted.internet.reactor") and module != "megacomet.tap":
        yield "imports the reactor when it is imported"


def _about_ours(entry: str, target: str) -> Iterator[str]:
    floor, other = FLOORS[entry], entry_of(target)
    if other is None:
        yield f"imports {target}, which stands on no floor"
    elif floor == USERS_FLOOR:
        if other != entry and FLOORS[other] > USERS_MAY_KNOW:
            yield f"a room for users does not know {target}"
    elif FLOORS[other] > floor and KNOWN_TO.get(other) != entry:
        yield f"floor {floor} imports {target} from floor {FLOORS[other]}"
    elif FLOORS[other] == floor and floor in FLOORS_OF_ROLES and other != entry:
        yield f"{entry} imports its neighbour {target}"


def _about_size(source: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    lines = source.count("\n") + (not source.endswith("\n"))
    if lines > MODULE_MAX_LINES:
        yield 1, f"has {lines} lines, {MODULE_MAX_LINES} at most"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_MAX_LINES:
                yield node.lineno, f"{node.name} has {length} lines, {FUNCTION_MAX_LINES} at most"


def _clocks(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if (owner, node.attr) in CLOCKS:
                yield node.lineno


@pytest.mark.parametrize("module", MODULES)
def test_floors(module: str) -> None:
    """A module imports only what its floor allows and keeps to its size."""
    assert complaints(module, MODULES[module].read_text("utf-8")) == []


def test_no_cycles() -> None:
    """No modules import each other in a circle; two of one package may name each other's types."""
    graph = {
        module: {
            module_named(one.target) for one in imports_of(ast.parse(path.read_text("utf-8"))) if not one.for_types
        }
        for module, path in MODULES.items()
    }
    assert _circle(graph) == []


def _circle(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as e:
        return list(e.args[1])
    return []


def test_every_entry_has_a_room() -> None:
    """The table names nothing that is gone."""
    assert [name for name in FLOORS if name not in MODULES] == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("megacomet.names", "import megacomet.wire.http", "floor 0 imports megacomet.wire.http from floor 1"),
        ("megacomet.names", "def f():\n    from megacomet import wire", "floor 0 imports megacomet.wire from floor 1"),
        ("megacomet.wire.http", "from megacomet.model import store", "floor 1 imports megacomet.model.store"),
        ("megacomet.model.hub", "from megacomet.model.store import x\nfrom time import monotonic", "time.monotonic"),
        ("megacomet.model.hub", "import socket", "floor 2 does not know socket"),
        ("megacomet.model.hub", "if TYPE_CHECKING:\n    from twisted.internet import defer", "does not know twisted"),
        ("megacomet.model.hub", "import datetime\nx = datetime.datetime.now()", "reads a clock"),
        ("megacomet.model.hub", "from . import store", "relative"),
        ("megacomet.wire.http", "from autobahn.websocket import utf8validator", "floor 1 does not know autobahn"),
        ("megacomet.parking", "from _nvx_xormasker import lib", "only the wire knows _nvx_xormasker.lib"),
        ("megacomet.parking", "from twisted.internet import reactor", "imports the reactor"),
        ("megacomet.parking", "class A:\n    import twisted.internet.reactor", "imports the reactor"),
        ("megacomet.parking", "from megacomet.worker import front", "floor 3 imports megacomet.worker"),
        ("megacomet.worker.front", "import twisted.web.http", "a worker does not know twisted.web.http"),
        ("megacomet.worker.front", "from klein import Klein", "a worker does not know klein.Klein"),
        ("megacomet.worker.front", "import autobahn.nvx", "a worker does not know autobahn.nvx"),
        ("megacomet.worker.front", "from megacomet.manager import links", "its neighbour megacomet.manager.links"),
        ("megacomet.worker.front", "from megacomet.api.site import x", "floor 4 imports megacomet.api.site"),
        ("megacomet.manager.links", "import megacomet.worker", "its neighbour megacomet.worker"),
        ("megacomet.swarm.main", "from megacomet.settings import x\nfrom megacomet.model import hub", "users"),
        ("megacomet.cli.main", "import megacomet.swarm.main", "floor 6 imports megacomet.swarm.main from floor 7"),
        ("megacomet.tap", "import megacomet.client", "floor 6 imports megacomet.client from floor 7"),
        ("megacomet.manager.links", "from megacomet.client import Client", "floor 4 imports megacomet.client"),
        ("megacomet.client.client", "from megacomet.model import hub", "a room for users does not know"),
        ("megacomet.client.rules", "import treq", "is pure and does not know treq"),
        ("megacomet.client.feed", "import datetime\nx = datetime.datetime.now()", "reads a clock"),
        ("megacomet.cellar", "", "stands on no floor"),
        ("megacomet.names", "import megacomet.cellar.shelf", "which stands on no floor"),
        ("megacomet.names", "x = 1\n" * 400, "has 400 lines"),
        ("megacomet.names", "def f():\n" + "    x = 1\n" * 50, "f has 51 lines"),
    ],
)
def test_the_test_sees(module: str, source: str, complaint: str) -> None:
    """Each rule, broken, is noticed, and nothing else is complained about."""
    [found] = complaints(module, source)
    assert found.startswith(module)
    assert complaint in found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("megacomet.tap", "from twisted.internet import reactor\nfrom megacomet.options import Options"),
        ("megacomet.wire.masking", "from _nvx_xormasker import ffi, lib"),
        ("megacomet.parking", "def f():\n    from twisted.internet import reactor"),
        ("megacomet.worker.front", "from twisted.internet.defer import Deferred\nimport megacomet.parking"),
        ("megacomet.model.hub", "from zope.interface import Interface\nfrom megacomet.names import EVERYONE"),
        ("megacomet.model.hub", "from megacomet.model.store import IMessageStore\nfrom datetime import UTC, datetime"),
        ("megacomet.cli.listen", "from megacomet.client import Client"),
        ("megacomet.names", "x = 1\n" * 399),
    ],
)
def test_the_test_lets_pass(module: str, source: str) -> None:
    """What a floor may do is not complained about."""
    assert complaints(module, source) == []


def test_the_test_sees_circles() -> None:
    """A circle of imports is noticed."""
    assert _circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert set(_circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}


@pytest.mark.parametrize("module", [name for name in IN_THE_ZYGOTE if name in MODULES])
def test_what_is_forked_holds_no_reactor(module: str) -> None:
    """What the zygote imports, however indirectly, brings neither a reactor nor Klein, twisted.web or Autobahn."""
    unwanted = ["twisted.internet.reactor", *NOT_IN_WORKERS]
    code = f"import sys, {module}; print(*[name for name in {unwanted!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), result.stderr) == ("", "")


def test_no_server_process_loads_the_client() -> None:
    """Neither the manager nor whatever it starts is larger for it: no client, no treq, no package of Autobahn's."""
    unwanted = ["autobahn", "megacomet.client", "treq"]
    code = f"import sys, megacomet.entry, megacomet.tap; print(*[name for name in {unwanted!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), result.stderr) == ("", "")


def test_the_plugin_stands_alone() -> None:
    """Beside the plugin there is no __init__.py: twisted and twisted.plugins are Twisted's packages."""
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "twisted").rglob("*.py")}
    assert files == {"twisted/plugins/megacomet_plugin.py"}
