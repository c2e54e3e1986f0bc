"""The index of rows by their names: a hash table that closes up when somebody leaves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.model.row_index import RowIndex

ROWS = 200


class Name(bytes):
    """A name whose hash says where in the table it wants to be."""

    def __hash__(self) -> int:
        return int(self.partition(b"/")[0])


def indexed(*names: bytes) -> tuple[list[bytes | None], RowIndex]:
    """An index of these names, in rows 0, 1, 2 …"""
    keys: list[bytes | None] = [*names, *[None] * (ROWS - len(names))]
    index = RowIndex(keys)
    for fd, name in enumerate(names):
        index.add(name, fd)
    return keys, index


def test_found_by_name() -> None:
    """A row is found by its name, and nobody by another."""
    _, index = indexed(b"@sue", b"@joe")
    assert [index.find(name) for name in (b"@joe", b"@sue", b"@tom")] == [1, 0, -1]
    assert (len(index), sorted(index)) == (2, [b"@joe", b"@sue"])


def test_removed() -> None:
    """Who is removed is not found, and cannot be removed again."""
    keys, index = indexed(b"@sue", b"@joe")
    keys[0] = None
    assert [index.remove(b"@sue", 0), index.remove(b"@sue", 0)] == [True, False]
    assert (index.find(b"@sue"), index.find(b"@joe"), len(index)) == (-1, 1, 1)


def test_another_row_of_the_name() -> None:
    """A row that is not in the index is not removed, though its name is there."""
    _, index = indexed(b"@sue")
    assert not index.remove(b"@sue", 7)
    assert index.find(b"@sue") == 0


def test_another_name_of_the_row() -> None:
    """A row is not removed under another name, though that one wants the same slot."""
    _, index = indexed(Name(b"5/sue"))
    assert not index.remove(Name(b"5/joe"), 0)
    assert len(index) == 1


def test_growth() -> None:
    """It grows with its rows, and takes four bytes a slot at no less than three tenths of them in use."""
    names = [b"@%d" % n for n in range(20_000)]
    keys: list[bytes] = list(names)
    index = RowIndex(keys)
    for fd, name in enumerate(names):
        index.add(name, fd)
    assert all(index.find(name) == fd for fd, name in enumerate(names))
    assert len(index._slots) * 4 <= 20_000 * 7 * 2


@pytest.mark.parametrize("gone", range(5))
def test_those_behind_move_up(gone: int) -> None:
    """Names that want the same slots are all found, whoever of them leaves; also round the end of the table."""
    names = [Name(b"62/a"), Name(b"62/b"), Name(b"63/c"), Name(b"62/d"), Name(b"0/e")]
    keys, index = indexed(*names)
    keys[gone] = None
    assert index.remove(names[gone], gone)
    assert [index.find(name) for name in names] == [-1 if fd == gone else fd for fd in range(5)]


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(58, 70)), max_size=200))
def test_like_a_dict(steps: list[tuple[int, int]]) -> None:
    """However rows come and go, those are found that are there; in a crowded stretch of the table too."""
    keys: list[bytes | None] = [None] * 12
    index = RowIndex(keys)
    model: dict[bytes, int] = {}
    for fd, wanted in steps:
        there = keys[fd]
        if there is not None:
            keys[fd] = None
            assert index.remove(there, fd)
            del model[there]
        else:
            name = Name(b"%d/%d" % (wanted, fd))
            keys[fd] = name
            index.add(name, fd)
            model[name] = fd
        assert {name: index.find(name) for name in model} == model
        assert (len(index), set(index)) == (len(model), set(model))
        assert index.find(Name(b"60/nobody")) == -1
