"""Finding the reactor: the program's own, or one on the loop of asyncio that runs."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Final

_REACTOR: Final = "twisted.internet.reactor"


def running_reactor() -> Any:
    """Return the reactor that the program has; in a program of asyncio, one on the loop that runs.

    Raises:
        RuntimeError: the program's loop is none that the reactor that is installed runs on.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        loop = None
    if loop is not None and _REACTOR not in sys.modules:
        from twisted.internet import asyncioreactor

        asyncioreactor.install(loop)
    from twisted.internet import reactor

    if loop is not None:
        _join(reactor, loop)
    return reactor


def _join(reactor: Any, loop: asyncio.AbstractEventLoop) -> None:
    """Have a reactor run on a loop that runs already, where nobody calls its `run`."""
    if reactor.running:
        return
    if getattr(reactor, "_asyncioEventloop", None) is not loop:
        raise RuntimeError(
            "Twisted's reactor is installed, and does not run on this loop of asyncio: "
            "call twisted.internet.asyncioreactor.install(asyncio.get_running_loop()) before anything imports it"
        )
    reactor.startRunning(installSignalHandlers=False)
