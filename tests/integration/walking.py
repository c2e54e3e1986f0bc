"""A tutorial that is walked as it is written: its commands are run, its files saved, its promises of output kept.

What it has is taken from the page's fenced blocks, in their order: `sh` is run, `text` is what the command before says
(an ellipsis stands for anything), all else is a file, saved under the name that the text before the block ends with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from tests.integration.programs import Program, run

_BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
_FILE: Final = re.compile(r"Save this as `([^`]+)`:\s*$")


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        kind: what stands behind the fence.
        text: its lines.
        before: the page's text between the block before and this one.
    """

    kind: str
    text: str
    before: str


def blocks(page: str) -> Iterator[Block]:
    """Cut the fenced blocks out of a page."""
    end = 0
    for found in _BLOCK.finditer(page):
        yield Block(found[1], found[2], page[end : found.start()])
        end = found.end()


class Walk:
    """Somebody who follows a page. Each method takes the next block, which must be of its kind."""

    def __init__(
        self, stack: ExitStack, page: str, cwd: Path, env: dict[str, str], replaced: Mapping[str, str]
    ) -> None:
        """
        Args:
            stack: ends what was started.
            page: the tutorial's text.
            cwd: where the reader is.
            env: of the reader's terminals.
            replaced: what stands for what the page has: ports, which somebody else may have here.
        """
        for old, new in replaced.items():
            assert old in page
            page = page.replace(old, new)
        self._blocks = list(blocks(page))
        self._stack, self._cwd, self._env = stack, cwd, env

    def _next(self, *kinds: str) -> Block:
        block = self._blocks.pop(0)
        assert block.kind in kinds, block
        return block

    def run(self) -> None:
        """Type commands; they do well."""
        lines = self._next("sh").text
        done = run(f"set -e\n{lines}", self._cwd, self._env)
        assert done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}"

    def save(self) -> None:
        """Save a file."""
        block = self._next("html", "python")
        name = _FILE.search(block.before)
        assert name is not None, block.before
        (self._cwd / name[1]).write_text(block.text, "utf-8")

    def start(self, says: str = "") -> Program:
        """Type a command that goes on, and wait until it says what the page tells.

        Args:
            says: a regular expression, where the page does not tell it again.
        """
        line = self._next("sh").text.strip()
        program = self._stack.enter_context(Program(line, self._cwd, self._env))
        if not says:
            told = self._next("text").text.strip()
            says = ".*".join(re.escape(piece) for piece in told.split("…"))
        program.wait_for(says)
        return program

    def assert_over(self) -> None:
        """Fail when the page has something that was not done."""
        assert self._blocks == []
