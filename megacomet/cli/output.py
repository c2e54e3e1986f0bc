"""What programs read: the server's JSON as it came, and ours."""

from __future__ import annotations

import json
import sys
from typing import Any


def print_json(body: bytes) -> None:
    """Print an answer as it came."""
    sys.stdout.write(body.decode("utf-8", "replace").rstrip("\n") + "\n")


def print_object(value: Any) -> None:
    """Print a value of ours, in one line, at once."""
    print(json.dumps(value), flush=True)
