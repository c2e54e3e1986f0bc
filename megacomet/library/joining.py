"""Makes one file of the modules of the JavaScript client: a classic script, and an ES module.

It is no parser. The modules keep to a few forms, each on a line of its own, and what looks like another is refused with
file and line, so that nothing is served that is not what stands there:

    import { a, b } from "./x.js";
    export const | function | async function | class NAME          no default, no other name
    export { A, B } from "./x.js";                                  in index.js only: what the whole offers

All of them become one scope, so a name at the beginning of a line stands in one module only. Lines that are comments
are left out, all else stays as it is. In a classic script `import.meta.url` is where the script was loaded from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NoReturn

import attrs

ENTRY: Final = "index.js"

_REFERS: Final = re.compile(
    r"""(import|export) \{ ([A-Za-z_$][\w$]*(?:, [A-Za-z_$][\w$]*)*) \} from "\./([\w.-]+)";"""
).fullmatch
_DECLARED: Final = re.compile(
    r"(export )?(?:(?:async )?function(?: ?\* ?| )|class |const |(?(1)(?!)|(?:let|var) ))([A-Za-z_$][\w$]*)\b(?! *,)"
).match
#: Statements that are none of the forms above; behind the name of a property, or of a call, something else stands.
_OTHER_FORM: Final = re.compile(
    r"\s*(?:import|export)\b(?!\s*[:,.()=\]])|(?:async\s+)?(?:function|class|const|let|var)\b"
).match
_META: Final = "import.meta.url"
_IMPORTS_LATER: Final = re.compile(r"\bimport\s*(?:\(|\.(?!meta\.url\b))").search
#: There is no document in a worker, and no location in Node.
_SCRIPT_URL: Final = "(globalThis.document ? document.currentScript?.src : globalThis.location?.href)"


@attrs.frozen
class Joined:
    """The modules as one.

    Attributes:
        names: what they offer.
        module: an ES module that exports the names.
        classic: a script that makes the first name a global, and the others properties of it.
    """

    names: tuple[str, ...]
    module: str
    classic: str


class _Module:
    def __init__(self) -> None:
        self.imports: list[tuple[int, str, list[str]]] = []  # line, file, names
        self.names: dict[str, int] = {}  # of all that is declared, with its line
        self.offered: list[str] = []
        self.code: list[str] = []


def _refuse(name: str, line: int, why: str) -> NoReturn:
    raise ValueError(f"{name}:{line}: {why}")


def join(sources: Mapping[str, str], head: str) -> Joined:
    """Join the modules that the entry leads to.

    Args:
        sources: the modules' text by their name.
        head: a comment for the first line.

    Raises:
        ValueError: one of them breaks the rules; says which, where and why.
    """
    modules: dict[str, _Module] = {}  # in the order of their code: who is imported comes first
    _visit(sources, f"{ENTRY}:1", (ENTRY,), modules)
    if not (names := tuple(modules[ENTRY].offered)):
        _refuse(ENTRY, 1, "it exports nothing")
    code = "\n".join(line for module in modules.values() for line in module.code if line.strip())
    first, *others = names
    more = f"Object.assign({first}, {{ {', '.join(others)} }})" if others else first
    return Joined(
        names,
        f"{head}\n{code}\nexport {{ {', '.join(names)} }};\n",
        f'{head}\n(() => {{\n"use strict";\n{code.replace(_META, _SCRIPT_URL)}\nglobalThis.{first} = {more};\n}})();\n',
    )


def _visit(sources: Mapping[str, str], where: str, path: tuple[str, ...], modules: dict[str, _Module]) -> None:
    """Enter the last module of a path of imports, behind all that it imports itself."""
    name = path[-1]
    if name in path[:-1]:
        raise ValueError(f"{where}: a circle of imports: {' > '.join(path[path.index(name) :])}")
    if name not in sources:
        raise ValueError(f"{where}: there is no {name}")
    module = _read(name, sources[name])
    for line, imported, names in module.imports:
        if imported not in modules:
            _visit(sources, f"{name}:{line}", (*path, imported), modules)
        if missing := set(names) - set(modules[imported].offered):
            _refuse(name, line, f"{imported} exports no {min(missing)}")
    for owner, other in modules.items():
        if both := module.names.keys() & other.names.keys():
            _refuse(name, module.names[min(both)], f"{min(both)} stands in {owner} too, and all become one scope")
    modules[name] = module


def _read(name: str, text: str) -> _Module:
    module = _Module()
    for number, line in _lines(name, text):
        if (found := _REFERS(line)) and (found[1] == "import" or name == ENTRY):
            names = found[2].split(", ")
            module.imports.append((number, found[3], names))
            module.offered += names if found[1] == "export" else []
        elif _IMPORTS_LATER(line):
            _refuse(name, number, f"of import( and import. only {_META} can be joined")
        elif found := _DECLARED(line):
            if found[2] in module.names:
                _refuse(name, number, f"{found[2]} stands in line {module.names[found[2]]} already")
            module.names[found[2]] = number
            module.offered += [found[2]] if found[1] else []
            module.code.append(line.removeprefix("export "))
        elif _OTHER_FORM(line):
            _refuse(name, number, f"this form is not known here: {line.strip()}")
        else:
            module.code.append(line)
    return module


def _lines(name: str, text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that are no comments, with their numbers."""
    begun = 0
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        inside = line.strip()
        if not begun and inside.startswith("//"):
            continue
        if begun or inside.startswith("/*"):
            _, is_end, rest = (inside if begun else inside[2:]).partition("*/")
            if rest and begun:
                _refuse(name, number, "code stands behind a comment of several lines")
            if not rest:
                begun = 0 if is_end else begun or number
                continue
        if line.replace("\\`", "").count("`") % 2:
            _refuse(name, number, "a template goes over several lines, in which a comment would be none")
        yield number, line
    if begun:
        _refuse(name, begun, "the comment has no end")
