"""What programs read: the server's JSON as it came, and ours."""

from __future__ import annotations

import json
import sys
from typing import Any

from megacomet.cli.text import is_safe


def print_json(body: bytes) -> None:
    """Print an answer as it came; to a terminal, with escapes of JSON for what it would obey instead of show."""
    text = body.decode("utf-8", "replace").rstrip("\n")
    if sys.stdout.isatty():
        text = "".join(sign if sign == "\n" or is_safe(sign) else json.dumps(sign)[1:-1] for sign in text)
    sys.stdout.write(text + "\n")


def print_object(value: Any) -> None:
    """Print a value of ours, in one line, at once."""
    print(json.dumps(value), flush=True)
