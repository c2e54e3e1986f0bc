"""Who listens where inside a worker."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.model.frozen import freeze_stream
from megacomet.model.row_keys import RowKeys
from megacomet.model.session import Session
from megacomet.model.subscriptions import Subscriptions

SUE = b"@sue"
#: Whether rows are plain polls, whose key is their channel, or have a session.
PLAIN = pytest.mark.parametrize("plain", [True, False], ids=["plain", "session"])


class Listeners(Subscriptions):
    """Subscriptions, and the rows that have their keys as the hub gives them."""

    def __init__(self, *fds: int, plain: bool = True) -> None:
        """Begin with these listeners on one channel."""
        self.keys: dict[int, Any] = defaultdict(lambda: None)
        super().__init__(self.keys)  # type: ignore[arg-type]
        for fd in fds:
            self.come(fd, SUE, plain)

    def come(self, fd: int, channel: bytes = SUE, plain: bool = True) -> bool:
        self.keys[fd] = channel if plain else object()
        return self.add(channel, fd)

    def go(self, fd: int, channel: bytes = SUE) -> bool:
        if fd in self.of(channel):
            self.keys[fd] = None
        return self.remove(channel, fd)


@PLAIN
def test_the_first_listener_is_told_as_such(plain: bool) -> None:
    """Only the first listener of a channel makes it a channel with listeners."""
    subs = Listeners()
    assert [subs.come(1, plain=plain), subs.come(2), subs.come(3, plain=False)] == [True, False, False]
    assert sorted(subs.of(SUE)) == [1, 2, 3]


@PLAIN
def test_the_last_listener_is_told_as_such(plain: bool) -> None:
    """Only the last listener that leaves makes it a channel without listeners."""
    subs = Listeners(1, 2, 3, plain=plain)
    assert [subs.go(2), subs.go(1), subs.go(3)] == [False, False, True]
    assert (list(subs.of(SUE)), SUE in subs, len(subs)) == ([], False, 0)


@PLAIN
@pytest.mark.parametrize("there", [(1,), (1, 2)], ids=["alone", "among others"])
def test_subscribing_twice(there: tuple[int, ...], plain: bool) -> None:
    """Who subscribes twice is there once."""
    subs = Listeners(*there, 1, plain=plain)
    assert sorted(subs.of(SUE)) == list(there)


@PLAIN
@pytest.mark.parametrize("there", [(), (1,), (1, 2)])
def test_a_stranger_leaves(there: tuple[int, ...], plain: bool) -> None:
    """Who was not there can leave, and nothing changes."""
    subs = Listeners(*there, plain=plain)
    assert not subs.go(9)
    assert sorted(subs.of(SUE)) == list(there)


def test_channels() -> None:
    """The channels with listeners can be counted and listed."""
    subs = Listeners(1, 2)
    subs.come(3, b"@joe")
    subs.come(1, b"news", plain=False)
    assert (len(subs), sorted(subs)) == (3, [b"@joe", SUE, b"news"])
    assert (b"@joe" in subs, b"news" in subs, b"old" in subs) == (True, True, False)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["plain", "session", "frozen", "thawed", "leaves"]),
            st.sampled_from([b"@a", b"@b"]),
            st.sampled_from([0, 1, 2, 300, 70_000]),
        )
    )
)
def test_like_a_dict_of_sets(steps: list[tuple[str, bytes, int]]) -> None:
    """However they come and go, are frozen and thawed, the listeners are those who came and have not left."""
    subs, model = Listeners(), {b"@a": set[int](), b"@b": set[int]()}
    for what, channel, fd in steps:
        before = bool(model[channel])
        if what == "leaves":
            model[channel].discard(fd)
            # an equal number, not the same object
            assert subs.go(int(str(fd)), channel) == (before and not model[channel])
        elif what in ("frozen", "thawed"):
            channels = tuple(name for name, fds in model.items() if fd in fds)
            if channels and subs.keys[fd] not in model:
                subs.put(fd, freeze_stream(channels) if what == "frozen" else Session(channels, None))
        elif any(fd in fds for fds in model.values()) and isinstance(subs.keys[fd], bytes):
            continue  # a plain poll has one channel, and does not change; a frozen stream is thawed before
        elif what == "plain" and any(fd in fds for fds in model.values()):
            continue
        else:
            model[channel].add(fd)
            first = subs.come(int(str(fd)), channel, what == "plain")
            assert not first or model[channel] == {fd}
            assert first or before
        assert {c: set(subs.of(c)) for c in model} == model
        assert subs.counts([*model, b"old"]) == {c: len(fds) for c, fds in model.items() if fds}
        assert set(subs) == {c for c, fds in model.items() if fds}
        assert len(subs) == len(set(subs))


def test_alone_in_the_index() -> None:
    """Who is frozen and waits for its mailbox only costs no more than a plain poll; thawed it is still found."""
    keys = RowKeys()
    keys.grow(4)
    subs = Subscriptions(keys)
    keys[1] = Session((SUE,), None)
    assert subs.add(SUE, 1)
    dict_of_sets = subs._of
    for key, there in ((freeze_stream((SUE,)), 0), (Session((SUE,), None), 1), (freeze_stream((SUE, b"news")), 1)):
        subs.put(1, key)
        assert (len(dict_of_sets), list(subs.of(SUE)), keys[1]) == (there, [1], key)
    subs.put(1, freeze_stream((SUE,)))
    keys[1] = None
    assert subs.remove(SUE, 1)
    assert (len(subs), list(subs.of(SUE))) == (0, [])


def test_parts_have_every_channel() -> None:
    """Those of plain polls, of sessions and of streams, alone or not; beside what rows hold that is no name."""
    keys = RowKeys()
    keys.grow(3000)
    subs = Subscriptions(keys)
    for fd in range(3000):
        channel = b"@%d" % (fd // 2)
        keys[fd] = object() if fd % 3 else channel
        subs.add(channel if fd % 3 != 1 else b"ab", fd)
        if fd % 3 == 1:
            subs.put(fd, freeze_stream((b"ab",)))
        elif fd % 3 == 2:
            subs.put(fd, freeze_stream((channel,)))
    found = {name for part in subs.parts() for name in part if name}
    assert found == set(subs)


def test_without_mailboxes_rows_are_not_looked_through() -> None:
    """Those that have a name as their key are polls of a mailbox; what else there is, is still found."""
    keys = RowKeys()
    keys.grow(4)
    subs = Subscriptions(keys)
    for fd, channel in enumerate((b"@a", b"@b", b"news", b"@c")):
        keys[fd] = channel if fd < 2 else object()
        subs.add(channel, fd)
    assert {name for part in subs.parts(has_mailboxes=False) for name in part} == {b"news", b"@c"}


def test_parts_while_polls_come_and_go() -> None:
    """A channel that has a listener all the time is found, whoever else comes in between."""
    keys = RowKeys()
    keys.grow(4096)
    subs = Subscriptions(keys)

    def come(fd: int, channel: bytes) -> None:
        keys[fd] = channel
        subs.add(channel, fd)

    for fd in range(0, 4096, 2):
        come(fd, b"@stays-%d" % fd)
    found: set[bytes] = set()
    for n, part in enumerate(subs.parts()):
        found.update(part)
        if n < 2048:
            fd = (n * 977 % 2048) * 2
            come(fd + 1, b"@stays-%d" % fd)  # a second one: the channel moves to the other table
    assert {b"@stays-%d" % fd for fd in range(0, 4096, 2)} <= found
