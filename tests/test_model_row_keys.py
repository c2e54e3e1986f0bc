"""The keys of the rows: short names side by side, everything else in a dict, and nobody sees which."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.model.row_keys import RowKeys

ROWS = 40


def keys(rows: int = ROWS) -> RowKeys:
    """Keys of so many rows, without any."""
    made = RowKeys()
    made.grow(rows)
    return made


@pytest.mark.parametrize("length", [1, 2, 14, 15, 16, 17, 31, 63, 64, 255, 256])
def test_a_name_of_any_length(length: int) -> None:
    """A name comes out as it was put in, and leaves its neighbours alone."""
    column = keys(3)
    name = bytes(range(length % 256)) or b"x" * length
    column[1] = name
    assert list(column) == [None, name, None]
    column[1] = None
    assert list(column) == [None, None, None]


def test_a_shorter_name_in_the_same_place() -> None:
    """Nothing of the name before is left."""
    column = keys(1)
    column[0] = b"@a-long-name"
    column[0] = b"@x"
    assert column[0] == b"@x"


def test_other_objects() -> None:
    """What is no name is kept as it is, the same object."""
    column, session = keys(2), object()
    column[0] = session
    assert column[0] is session
    column[0] = b"@sue"
    assert column[0] == b"@sue"
    column[0] = session
    column[0] = None
    assert column[0] is None
    assert not column._elsewhere


@pytest.mark.parametrize(("length", "most"), [(14, 18), (37, 66), (100, 350)])
def test_what_it_costs(length: int, most: int) -> None:
    """A short name costs 16 bytes, one of some dozens 64, and only longer ones are objects."""
    rows = 4096
    column = keys(rows)
    for fd in range(rows):
        column[fd] = b"%*d" % (length, fd)
    own = len(column._fields) + sys.getsizeof(column._elsewhere)
    objects = sum(map(sys.getsizeof, column._elsewhere.values()))
    assert (own + objects) / rows < most
    assert [column[fd] for fd in range(rows)] == [b"%*d" % (length, fd) for fd in range(rows)]


def test_a_few_long_names_do_not_widen_all() -> None:
    """Where nearly all names are short the fields stay as they are."""
    column = keys(4096)
    for fd in range(4096):
        column[fd] = b"@%d" % fd if fd % 10 else b"@a-name-that-is-too-long-%d" % fd
    assert column._width == 16


def test_sessions_do_not_widen() -> None:
    """Rows that have no names want no fields."""
    column = keys(4096)
    for fd in range(4096):
        column[fd] = (fd,)
    assert column._width == 16


def test_names_that_are_sessions_first() -> None:
    """They widen all the same, though there is one session more in the dict with each that comes."""
    rows = 4096
    column = keys(rows)
    for fd in range(rows):
        column[fd] = (fd,)
        if fd >= 100:
            column[fd - 100] = b"@a-name-that-is-too-long-%d" % fd
    assert column._width == 32
    assert len(column._elsewhere) < rows / 8


values = st.one_of(st.none(), st.binary(min_size=1, max_size=70), st.tuples(st.integers(0, 9)))


@given(st.lists(st.tuples(st.integers(0, ROWS - 1), values), max_size=300), st.integers(0, 300))
def test_like_a_list(steps: list[tuple[int, Any]], growth: int) -> None:
    """It is a list, whatever is put in, while rows are added and fields widened on the way."""
    column, model = keys(), [None] * ROWS
    for n, (fd, key) in enumerate(steps):
        if n == growth:
            column.grow(ROWS + 7)
            model += [None] * 7
        column[fd] = model[fd] = key
    assert list(column) == model
    assert [column[fd] for fd in range(len(column))] == model


@given(st.lists(st.binary(min_size=1, max_size=70), min_size=100, max_size=200))
def test_widening(names: list[bytes]) -> None:
    """However long the names are, none is lost when the fields become wider."""
    column = keys(len(names))
    for fd, name in enumerate(names):
        column[fd] = name
    assert list(column) == names


@given(
    st.lists(st.one_of(st.none(), st.binary(min_size=1, max_size=70), st.just("session")), max_size=ROWS),
    st.integers(0, ROWS),
    st.integers(0, ROWS + 9),
)
def test_texts_of_some_rows(values: list[Any], begin: int, end: int) -> None:
    """All at once, the same as one by one: short and long ones, and nothing of what is no text or was there before."""
    column = keys()
    for fd in range(ROWS):
        column[fd] = b"before-%d" % fd
        column[fd] = None
    for fd, value in enumerate(values):
        column[fd] = value
    there = [value for value in values[begin:end] if isinstance(value, bytes)]
    assert sorted(text for text in column.texts(begin, end) if text) == sorted(there)
