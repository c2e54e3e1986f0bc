"""What twistd finds: the service without TLS, which is heavy, unless the settings want it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from megacomet.entry import wants_tls
from megacomet.settings import Settings

#: Makes the service as twistd does, in a process that has imported nothing.
MAKE = """
import sys
from megacomet.entry import Options, makeService
options = Options()
options.parseOptions(sys.argv[1:])
makeService(options)
print(sys.modules.get("OpenSSL") is not None)
"""


@pytest.mark.parametrize(
    ("admin", "wants"),
    [
        ("", False),
        ("tcp:8081", False),
        ("tcp6:8081", False),
        ("unix:/run/megacomet.sock", False),
        ("systemd:domain=INET:index=0", False),
        ("ssl:8443:privateKey=key.pem", True),
    ],
)
def test_who_wants_tls(admin: str, wants: bool) -> None:
    """Only endpoints that are known to be plain do without."""
    assert wants_tls(Settings(state_dir="/nowhere", admin=admin)) is wants


@pytest.mark.parametrize(("admin", "imported"), [("tcp:8081", "False"), ("ssl:8443", "True")])
def test_what_is_imported(admin: str, imported: str) -> None:
    """OpenSSL is imported for an endpoint with TLS, and for nothing else."""
    arguments = ["--state-dir", "/nowhere", "--admin", admin]
    done = subprocess.run([sys.executable, "-c", MAKE, *arguments], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == (imported, "")
