"""The API against its own description: schemathesis asks a real server whatever the document allows, and forbids."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from megacomet.api.operations import OPERATIONS
from tests.integration.server import UNIT_S, Server

CONFIG = Path(__file__).with_name("schemathesis.toml")
#: It takes some 20 s.
RUN_S = 12 * UNIT_S
#: The three that the configuration leaves out, and the document, which schemathesis has asked for already.
LEFT_OUT = 4


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    """What is described is what happens: no error of ours, no answer and no header that is not described."""
    with Server(tmp_path / "state", "--port=0", "--interface=127.0.0.1") as server:
        url = f"http://{server.host}:{server.port}/api/openapi.json"
        done = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "--no-color", "run", url],
            cwd=tmp_path,  # it leaves its files where it stands
            env={**os.environ, "API_KEY": server.key},
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"Tested: {len(OPERATIONS) - LEFT_OUT}\n" in done.stdout, done.stdout
