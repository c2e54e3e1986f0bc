"""What runs in forks, moved together before them.

A function that is called has its references counted in itself, in its code, and in the constants and names that it
loads: the pages are written to, and a fork has copies of them. They stand where their module was imported, what runs
between what does not, so a fork that runs a tenth of all copies most pages. What has run once in the process that forks
is therefore made anew, side by side and in the order in which it ran (bench/RESULTS.md has what each step brings).
"""

from __future__ import annotations

import gc
import marshal
import sys
from collections.abc import Callable, Iterable, Sequence
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, Final
from weakref import getweakrefcount

#: What a function is made of, in the order of its constructor, and what it is given besides.
_MADE_OF: Final = ("__code__", "__globals__", "__name__", "__defaults__", "__closure__")
_GIVEN: Final = (
    *("__kwdefaults__", "__qualname__", "__module__", "__doc__"),
    # To ask for annotations has them evaluated, from 3.14 on, which may fail.
    "__annotate__" if sys.version_info >= (3, 14) else "__annotations__",
    *(("__type_params__",) if sys.version_info >= (3, 12) else ()),
)
#: Of classes that are made by a program, Py_TPFLAGS_HEAPTYPE; the others cannot be changed.
_HEAP_TYPE: Final = 1 << 9


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
    """Give all functions with that code a copy of it, its constants included, one beside the other; then move these.

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
    functions.sort(key=lambda function: rank[id(function.__code__)])
    for function in functions:
        function.__code__ = moved[id(function.__code__)]
    move_functions(functions)
    sys._clear_type_cache()
    return len(moved)


class _Alone:
    """Has a function that nothing else refers to."""

    def function(self) -> None:
        """Do nothing."""


def _references(functions: Sequence[object]) -> list[int]:
    """Return how many references each has, with those that it has here."""
    return [sys.getrefcount(each) for each in functions]


def move_functions(functions: Sequence[FunctionType]) -> int:
    """Put copies of functions, made one after the other, into their places in classes and modules.

    Only of those that nothing but that one place refers to: nobody can tell them from their copies.

    Returns:
        how many were moved.
    """
    places = _places_of({id(each) for each in functions})
    [alone] = _references([_Alone.function])
    moved = 0
    for function, references in zip(functions, _references(functions), strict=True):
        place = places.get(id(function))
        if place is None or references != alone or getweakrefcount(function):
            continue
        copy = FunctionType(*(getattr(function, each) for each in _MADE_OF))
        for each in _GIVEN:
            setattr(copy, each, getattr(function, each))
        vars(copy).update(vars(function))
        owner, name = place
        if isinstance(owner, ModuleType):
            vars(owner)[name] = copy
        else:
            type.__setattr__(owner, name, copy)
        moved += 1
    return moved


def _places_of(functions: set[int]) -> dict[int, tuple[Any, str]]:
    """Return the class or module that has each of the functions, given by their ids, and its name there."""
    return {
        id(value): (owner, name)
        for owner in gc.get_objects()
        if type(owner) is ModuleType or (issubclass(type(owner), type) and owner.__flags__ & _HEAP_TYPE)
        for name, value in vars(owner).items()
        if id(value) in functions
    }


def names_of(codes: Iterable[CodeType]) -> list[str]:
    """Return the names that code looks up, and the strings among its constants that look like names; each once."""
    names: dict[str, None] = {}
    for code in codes:
        names.update(dict.fromkeys(code.co_names))
        constants = [each for known in code.co_consts for each in (known if type(known) is tuple else (known,))]
        names.update(dict.fromkeys(each for each in constants if type(each) is str and each.isidentifier()))
    return list(names)
