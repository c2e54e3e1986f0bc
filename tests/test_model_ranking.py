"""Channels by subscribers: the true sums over all tables, in bins; and the places that pages go on behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from megacomet.errors import BadName
from megacomet.model.listing import span_of
from megacomet.model.ranking import BINS, Best, Census, Counting, Place, behind, format_place, parse_place

NAMES = st.text(st.sampled_from("!@Aab:ü\U0010ffff"), min_size=1, max_size=3).map(str.encode)
PREFIXES = st.one_of(st.just(b""), NAMES)
Tables = list[dict[bytes, int]]
TABLES = st.lists(st.dictionaries(NAMES, st.integers(1, 4), max_size=30), max_size=5)
STEPS = st.sampled_from([1, 7, 100, BINS])
MODULUS = (1 << 60) + 12345


def counts_of(table: dict[bytes, int]) -> Callable[..., dict[bytes, int]]:
    return lambda names: {name: table[name] for name in names if name in table}


def takes(table: dict[bytes, int], prefix: bytes = b"", parts: int = 3) -> Census:
    """Take a census of a table in parts, a part at a time."""
    names = sorted(table)
    census = Census(span_of(prefix, b""), MODULUS, [names[n::parts] for n in range(parts)])
    while not census.work(lambda: True):
        pass
    return census


def ranked(tables: Tables, prefix: bytes, most: int, step: int, idle: list[bytes]) -> list[Place]:
    """Rank as the manager does it."""
    best = Best(most)
    parted = [(takes(table, prefix), table) for table in tables]
    for first in range(0, BINS, step):
        sums: Counter[bytes] = Counter()
        for census, table in parted:
            counting = Counting(census.take(first, min(first + step, BINS)), counts_of(table))
            while not counting.work(lambda: True):
                pass
            sums.update(counting.counts)
        best.add(sums.items())
    return best.places(idle)


def wanted(tables: Tables, prefix: bytes, most: int, idle: list[bytes]) -> list[Place]:
    """The rule, in plain words."""
    sums: Counter[bytes] = Counter(dict.fromkeys(idle, 0))
    for table in tables:
        sums.update(table)
    has = prefix.startswith(b"@")
    mine = [(-n, name) for name, n in sums.items() if name.startswith(prefix) and (has or not name.startswith(b"@"))]
    return [Place(*each) for each in sorted(mine)[:most]]


@given(TABLES, PREFIXES, st.integers(1, 40), STEPS)
@example([{b"a": 1, b"x": 1}, {b"b": 1, b"x": 1}, {b"c": 1, b"x": 1}], b"", 1, 100)
def test_the_sums_of_all_tables_count(tables: Tables, prefix: bytes, most: int, step: int) -> None:
    """Also of a channel that is among the last of each table; with as many, they are in the order of their names."""
    assert ranked(tables, prefix, most, step, []) == wanted(tables, prefix, most, [])


@given(TABLES, st.sets(NAMES.filter(lambda name: not name.startswith(b"@"))), st.integers(1, 40))
def test_who_has_no_subscriber_comes_last(tables: Tables, kept: set[bytes], most: int) -> None:
    """By name, and each is there once."""
    idle = sorted(kept)[:most]
    assert ranked(tables, b"", most, BINS, idle) == wanted(tables, b"", most, idle)


def test_a_wrong_way_is_noticed() -> None:
    """To add up the first of each table would miss the channel that all have."""
    tables: Tables = [{b"%c%d" % (97 + t, n): 2 for n in range(5)} | {b"all": 1} for t in range(4)]
    firsts: Counter[bytes] = Counter()
    for table in tables:
        firsts.update(dict(Counter(table).most_common(3)))
    assert firsts.most_common(1)[0][1] == 2
    assert ranked(tables, b"", 1, BINS, []) == [Place(-4, b"all")]


def test_few_of_very_many_are_kept() -> None:
    """However many have as many subscribers."""
    best = Best(10)
    for n in range(0, 50_000, 100):
        best.add([(b"%06d" % (50_000 - k), 1 + (k == 777)) for k in range(n, n + 100)])
        assert len(best._found) <= 20 + 100
    assert best.places([])[:2] == [Place(-2, b"%06d" % (50_000 - 777)), Place(-1, b"000001")]


@pytest.mark.parametrize("form", [b"%d", b"c%d", b"%06d-room", b"channel:%d", b"x" * 200 + b"%d"])
def test_bins_are_of_about_the_same_size(form: bytes) -> None:
    """So that no answer is much longer than another, however long names are and where they differ."""
    census = takes({form % n: 1 for n in range(100 * BINS)})
    sizes = [len(list(census.take(n, n + 1))) for n in range(BINS)]
    assert (sum(sizes), census.found) == (100 * BINS, 100 * BINS)
    assert max(sizes) < 200
    assert list(census.take(0, BINS)) == []


def test_a_search_and_a_count_stop_when_they_are_told_to() -> None:
    """Others have their turn in between."""
    census = Census(span_of(b"", b""), MODULUS, [[b"a"], [b"b"]])
    assert [census.work(lambda: True) for _ in range(3)] == [False, False, True]
    names = [b"%d" % n for n in range(2500)]
    counting = Counting(iter(names), lambda some: dict.fromkeys(some, 1))
    assert [counting.work(lambda: True) for _ in range(4)] == [False, False, False, True]
    assert list(counting.counts) == names


def test_who_left_meanwhile_is_not_counted() -> None:
    """A name that comes twice is counted once."""
    counting = Counting([b"a", b"b", b"a"], counts_of({b"a": 3}))
    assert counting.work(lambda: False)
    assert counting.counts == {b"a": 3}


@given(st.integers(0, 10**9), NAMES.filter(lambda name: name != b"@"))
def test_a_place_comes_back_as_it_was_told(subscribers: int, name: bytes) -> None:
    """Whatever the name."""
    place = Place(-subscribers, name)
    assert parse_place(format_place(place)) == place


def test_no_place() -> None:
    """Pages begin with the first."""
    assert parse_place(b"") is None


@pytest.mark.parametrize(
    "text", [b"news", b"-news", b"1-", b"1", b"+1-a", b"12345678901-a", b"1-a b", b"1-\xff", b"1-@"]
)
def test_what_is_no_place(text: bytes) -> None:
    """It is told from one."""
    with pytest.raises(BadName):
        parse_place(text)


def test_what_comes_behind_a_place() -> None:
    """Also when the one that stood there has gone, or has moved."""
    places = [Place(-3, b"b"), Place(-2, b"a"), Place(-2, b"c"), Place(0, b"a")]
    assert behind(places, None) == places
    assert behind(places, Place(-2, b"a")) == places[2:]
    assert behind(places, Place(-2, b"b")) == places[2:]
    assert behind(places, Place(0, b"a")) == []
