"""Something that goes on beside what is measured, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def meanwhile(act: Callable[[threading.Event], None]) -> Iterator[None]:
    """Do something during the block.

    Args:
        act: is called once, and returns soon after its event was set: the block is over.

    Raises:
        Exception: at the end, what it has raised.
    """
    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(act, over)
        try:
            yield
        finally:
            over.set()
        acting.result()
