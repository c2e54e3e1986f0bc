"""What has run stands together before a process is forked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import CodeType

from megacomet.locality import move_together, ran_during


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
