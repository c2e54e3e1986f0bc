"""What has run stands together before a process is forked."""

from __future__ import annotations

import inspect
import sys
import weakref
from collections.abc import Callable, Iterator
from types import CodeType, ModuleType
from typing import Any

import pytest

from megacomet.locality import move_functions, move_together, names_of, ran_during


class Greeter:
    """Somebody with a method, and one that is never called."""

    def greet(self, name: str = "Sue") -> str:
        """Say hello."""
        return "".join(part + end for part, end in zip(("hello ", name), ("", "!"), strict=True))

    def shout(self) -> str:
        """Be loud."""
        return "HELLO"


def counted() -> Callable[[], int]:
    """Return a function that has a variable of its own outside."""
    times = 0

    def count() -> int:
        nonlocal times
        times += 1
        return times

    return count


def letters() -> Iterator[str]:
    """Give the first letters."""
    yield "a"
    yield "b"


def _of(function: Callable[..., object]) -> CodeType:
    return function.__code__


def test_what_ran_is_told_in_its_order() -> None:
    """Each code that ran is told once, what came first first, and nothing else."""

    def play() -> None:
        Greeter().greet()
        list(letters())
        Greeter().greet()

    before = sys.getprofile()
    ran = ran_during(play)
    named = [code.co_name for code in ran]
    assert named == ["play", "greet", "<genexpr>", "letters"]
    assert ran[1] is _of(Greeter.greet)
    assert sys.getprofile() is before


def test_functions_have_a_copy_of_their_code() -> None:
    """What was moved does what it did, and what did not run stays where it is."""
    count = counted()
    shout = _of(Greeter.shout)
    ran = ran_during(lambda: (Greeter().greet(), list(letters()), count()))
    old = [_of(Greeter.greet), _of(letters), _of(count)]
    assert move_together(ran) >= 3
    new = [_of(Greeter.greet), _of(letters), _of(count)]
    assert new == old
    assert not any(a is b for a, b in zip(old, new, strict=True))
    assert _of(Greeter.shout) is shout
    assert (Greeter().greet(), list(letters()), count()) == ("hello Sue!", ["a", "b"], 2)


def test_functions_that_share_their_code_go_on_sharing_it() -> None:
    """Closures of one function have one code; copies for each would be more memory, not less."""
    first, second = counted(), counted()
    move_together(ran_during(first))
    assert _of(first) is _of(second)
    assert (first(), second()) == (2, 1)


def test_a_generator_goes_on() -> None:
    """What runs at the moment is not disturbed."""
    going = letters()
    assert next(going) == "a"
    move_together([_of(letters)])
    assert next(going) == "b"


#: A module with functions of all kinds, made anew for each test: nothing else may know them.
SOURCE = """
import functools

def marked(function):
    function.mark = ["here"]
    return function

@marked
def plain(a: int, b: str = "b", *rest, c: float = 1.5, **more) -> str:
    'Say what was given.'
    return f"{a} {b} {rest} {c} {more}"

def known(): return "known"
ALSO = known

def watched(): return "watched"

class Thing:
    def __init__(self, n): self.n = n
    def __len__(self): return self.n
    def method(self): return self.n + 1
    @property
    def double(self): return 2 * self.n
    @staticmethod
    def still(): return "still"
    @functools.lru_cache
    def cached(self): return self.n
    def called(self): return self.n
    def parent(self): return __class__.__name__

class Child(Thing):
    def method(self): return super().method() * 10
"""


@pytest.fixture
def module() -> ModuleType:
    """Made of `SOURCE`."""
    made = ModuleType("made")
    exec(SOURCE, vars(made))
    return made


def functions_of(module: ModuleType) -> list[Any]:
    """Return the functions that a module and its classes have, and those within what decorates them."""
    classes = [each for each in vars(module).values() if isinstance(each, type)]
    values = [value for owner in (module, *classes) for value in vars(owner).values()]
    return list({id(each): each for each in values if inspect.isfunction(each)}.values())


def test_functions_are_moved(module: ModuleType) -> None:
    """The copies are the same in all that can be asked of them; what has run already finds them, too."""
    thing = module.Child(4)
    assert [thing.method() for _ in range(20)] == [50] * 20  # adapted to where it was found
    old = {"plain": id(module.plain), "method": id(module.Child.method)}
    said = (inspect.signature(module.plain), inspect.getdoc(module.plain), module.plain.__qualname__)
    assert move_functions(functions_of(module)) == 9
    assert old["plain"] != id(module.plain)
    assert old["method"] != id(module.Child.method)
    assert said == (inspect.signature(module.plain), inspect.getdoc(module.plain), module.plain.__qualname__)
    assert (module.plain.mark, module.plain.__module__) == (["here"], "made")
    assert module.plain(1, "x", 2, c=2.0, d=3) == "1 x (2,) 2.0 {'d': 3}"
    assert (thing.method(), len(thing), thing.double, thing.still(), thing.cached()) == (50, 4, 8, "still", 4)
    assert (thing.called(), thing.parent(), module.Thing(1).method()) == (4, "Thing", 2)


def test_what_others_know_stays(module: ModuleType) -> None:
    """A function with two names, one that is referred to weakly, a method that is bound: all are where they were."""
    watching = weakref.ref(module.watched)
    thing = module.Thing(3)
    bound = thing.called
    move_functions(functions_of(module))
    assert module.known is module.ALSO
    assert watching() is module.watched
    assert bound == thing.called
    assert (bound.__func__, bound()) == (module.Thing.called, 3)


def test_names() -> None:
    """What code looks up, and constants that look like names, in keywords too; each once."""

    def code() -> None:
        print(sys.argv, end="word", file=sys.stderr)
        print("two words", 7)

    assert names_of([_of(code), _of(code)]) == ["print", "sys", "argv", "stderr", "word", "end", "file"]
