"""Runs a fuzzer: atheris (libFuzzer for Python, which `make bench` installs) in a process of its own.

The seeds are kept in `bench/corpus/`; what is found on the way is kept for one run only.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bench.figures import Figure, Options, all_of

ROOT: Final = Path(__file__).parents[1]
CORPORA: Final = ROOT / "bench" / "corpus"
INPUTS: Final = 1_000_000
MAX_INPUT_BYTES: Final = 2048
#: An input takes less than a millisecond; one that takes seconds is not linear.
INPUT_S: Final = 5

_DONE: Final = re.compile(r"Done (\d+) runs? in (\d+) second").search
_COVERED: Final = re.compile(r"cov: (\d+)").findall


def fuzz(module: str, corpus: Path, options: Options) -> list[Figure]:
    """Run a module that calls `main`, and return how many inputs kept what it checks.

    Raises:
        RuntimeError: with the input that broke it.
    """
    inputs = options.inputs or INPUTS
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", module, f"-runs={inputs}", f"-max_len={MAX_INPUT_BYTES}"]
        command += [f"-timeout={INPUT_S}", "-print_final_stats=1", f"-artifact_prefix={scratch}/", scratch, str(corpus)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
        found = [path.read_bytes() for pattern in ("crash-*", "timeout-*") for path in Path(scratch).glob(pattern)]
    finished = _DONE(done.stderr)
    if done.returncode or finished is None:
        raise RuntimeError(f"input {found}:\n{(done.stdout + done.stderr)[-4000:]}")
    covered = _COVERED(done.stderr)[-1]
    detail = f"{int(finished[1]) / max(1, int(finished[2])):,.0f} a second, {covered} places in the code reached"
    return [
        all_of("inputs that keep the invariant", int(finished[1]), inputs),
        Figure("of them", inputs, "", "", None, detail),
    ]


def main(arguments: Sequence[str], check: Callable[[bytes], None], watched: Sequence[str]) -> None:
    """Fuzz with these arguments of libFuzzer, which ends the process.

    Args:
        check: raises when an input breaks what it should not.
        watched: the modules whose code the fuzzer is to reach.
    """
    import atheris

    os.chdir(ROOT)
    with atheris.instrument_imports(include=["megacomet.wire"]):
        for module in watched:
            importlib.import_module(module)
    atheris.Setup([sys.argv[0], *arguments], check)
    atheris.Fuzz()
