"""The names of our processes in `ps`."""

from __future__ import annotations

import setproctitle


def set_title(role: str) -> None:
    """Name this process "megacomet: <role>".

    Args:
        role: "manager", "zygote" or "worker 3".
    """
    setproctitle.setproctitle(_title(role))


def has_title(pid: int, role: str) -> bool:
    """Tell whether a process runs and has this name."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().rstrip(b" \0") == _title(role).encode()
    except OSError:
        return False


def _title(role: str) -> str:
    return f"megacomet: {role}"
