"""Waiting that works for coroutines of Twisted and of asyncio alike: what is awaited looks who awaits it.

A coroutine is driven by somebody: Twisted's by `twisted.internet.defer`, which takes Deferreds, and asyncio's by a
task, which takes its own futures. Whoever drives is the first frame below the coroutines that is none.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Generator
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR, CO_ITERABLE_COROUTINE
from types import FrameType
from typing import Any, Final, Generic, TypeVar

from twisted.internet.defer import Deferred

T = TypeVar("T")

_COROUTINES: Final = CO_COROUTINE | CO_ITERABLE_COROUTINE | CO_GENERATOR | CO_ASYNC_GENERATOR
_TWISTED: Final = "twisted.internet.defer"


class Awaited(Generic[T]):
    """A Deferred that coroutines of both can await, once. A task that is cancelled cancels it."""

    def __init__(self, deferred: Deferred[T]) -> None:
        self._deferred = deferred

    def __await__(self) -> Generator[Any, Any, T]:
        if not is_asyncio(sys._getframe(1)):
            return self._deferred.__await__()
        return self._deferred.asFuture(asyncio.get_running_loop()).__await__()


def is_asyncio(frame: FrameType | None) -> bool:
    """Tell whether the coroutine of a frame is a task's of asyncio, and not Twisted's."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs: it is some other reactor
        return False
    if task is None:
        return False
    while frame is not None and frame.f_code.co_flags & _COROUTINES:
        frame = frame.f_back
    # A task may have called what has woken one of Twisted's coroutines.
    return frame is None or frame.f_globals.get("__name__") != _TWISTED
