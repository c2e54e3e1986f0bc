"""The names of our processes in `ps`."""

from __future__ import annotations

import setproctitle


def set_title(role: str) -> None:
    """Name this process "megacomet: <role>".

    Args:
        role: "manager", "zygote" or "worker 3".
    """
    setproctitle.setproctitle(f"megacomet: {role}")
