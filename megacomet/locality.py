"""Code that runs in forks, moved together before them.

A function that is called has its references counted in its code object, and in the constants that it loads: the page
is written to, and a fork has a copy of it. Code stands where its module was imported, what runs between what does not,
so a fork that runs a tenth of all copies most pages. What has run once in the process that forks is therefore made
anew, side by side and in the order in which it ran: each of 54 workers has 0.4 MB less for itself (bench/RESULTS.md).
"""

from __future__ import annotations

import gc
import marshal
import sys
from collections.abc import Callable, Iterable
from types import CodeType, FrameType, FunctionType


def ran_during(call: Callable[[], object]) -> list[CodeType]:
    """Return the code of Python that runs in this thread during the call, in the order of its first time."""
    ran: dict[int, CodeType] = {}  # equal code of two functions is two

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            ran.setdefault(id(frame.f_code), frame.f_code)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return list(ran.values())


def move_together(codes: Iterable[CodeType]) -> int:
    """Give all functions with that code a copy of it, its constants included, one beside the other.

    What runs at the moment goes on with the old one. Lookups of attributes that are remembered are forgotten: those of
    imports would be pushed out one by one, and each has a reference to count.

    Returns:
        how many were moved.
    """
    rank = {id(code): place for place, code in enumerate(codes)}
    functions = [each for each in gc.get_objects() if type(each) is FunctionType and id(each.__code__) in rank]
    old = {id(each.__code__): each.__code__ for each in functions}
    order = sorted(old, key=rank.__getitem__)
    fresh = marshal.loads(marshal.dumps([old[each] for each in order]))
    moved = dict(zip(order, fresh, strict=True))
    for function in functions:
        function.__code__ = moved[id(function.__code__)]
    sys._clear_type_cache()
    return len(moved)
