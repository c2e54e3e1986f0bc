"""Who listens where inside a worker."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.model.subscriptions import Subscriptions

SUE = b"@sue"


def subscriptions(*fds: int) -> Subscriptions:
    """Return subscriptions with these listeners on one channel."""
    subs = Subscriptions()
    for fd in fds:
        subs.add(SUE, fd)
    return subs


def test_the_first_listener_is_told_as_such() -> None:
    """Only the first listener of a channel makes it a channel with listeners."""
    subs = Subscriptions()
    assert [subs.add(SUE, 1), subs.add(SUE, 2), subs.add(SUE, 3)] == [True, False, False]
    assert sorted(subs.of(SUE)) == [1, 2, 3]


def test_the_last_listener_is_told_as_such() -> None:
    """Only the last listener that leaves makes it a channel without listeners."""
    subs = subscriptions(1, 2, 3)
    assert [subs.remove(SUE, 2), subs.remove(SUE, 1), subs.remove(SUE, 3)] == [False, False, True]
    assert (list(subs.of(SUE)), SUE in subs, len(subs)) == ([], False, 0)


@pytest.mark.parametrize("there", [(1,), (1, 2)], ids=["alone", "among others"])
def test_subscribing_twice(there: tuple[int, ...]) -> None:
    """Who subscribes twice is there once."""
    subs = subscriptions(*there, 1)
    assert sorted(subs.of(SUE)) == list(there)


@pytest.mark.parametrize("there", [(), (1,), (1, 2)])
def test_a_stranger_leaves(there: tuple[int, ...]) -> None:
    """Who was not there can leave, and nothing changes."""
    subs = subscriptions(*there)
    assert not subs.remove(SUE, 9)
    assert sorted(subs.of(SUE)) == list(there)


def test_channels() -> None:
    """The channels with listeners can be counted and listed."""
    subs = subscriptions(1, 2)
    subs.add(b"news", 1)
    assert (len(subs), list(subs), b"news" in subs, b"old" in subs) == (2, [SUE, b"news"], True, False)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([b"a", b"b"]), st.sampled_from([0, 1, 2, 300, 70_000]))))
def test_like_a_dict_of_sets(steps: list[tuple[bool, bytes, int]]) -> None:
    """However they come and go, the listeners are those who came and have not left."""
    subs, model = Subscriptions(), {b"a": set[int](), b"b": set[int]()}
    for adds, channel, fd in steps:
        before = bool(model[channel])
        if adds:
            model[channel].add(fd)
            first = subs.add(channel, int(str(fd)))  # an equal number, not the same object
            assert not first or model[channel] == {fd}
            assert first or before
        else:
            model[channel].discard(fd)
            assert subs.remove(channel, int(str(fd))) == (before and not model[channel])
        assert {c: set(subs.of(c)) for c in model} == model
        assert set(subs) == {c for c, fds in model.items() if fds}
