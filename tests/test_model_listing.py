"""Channels by name, page by page: what one table finds, and what all tables have together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.model.listing import Listing, Merged, Page, merge, span_of

NAMES = st.text(st.sampled_from("!@Aab:ü\U0010ffff"), min_size=1, max_size=3).map(str.encode)
PREFIXES = st.one_of(st.just(b""), NAMES)
LIMITS = st.integers(1, 5)
Tables = list[dict[bytes, int]]
TABLES = st.lists(st.dictionaries(NAMES, st.integers(1, 9), max_size=12), max_size=4)


def wanted(names: set[bytes], prefix: bytes, after: bytes) -> list[bytes]:
    """The rule, in plain words."""
    return sorted(
        n for n in names if n.startswith(prefix) and n > after and (prefix.startswith(b"@") or not n.startswith(b"@"))
    )


def search(parts: list[list[bytes]], prefix: bytes, after: bytes, limit: int) -> Listing:
    listing = Listing(span_of(prefix, after), limit, parts)
    while not listing.work(lambda: True):
        pass
    return listing


@given(st.lists(st.lists(NAMES, max_size=9), max_size=5), PREFIXES, PREFIXES, LIMITS)
def test_a_table_finds_the_next_names(parts: list[list[bytes]], prefix: bytes, after: bytes, limit: int) -> None:
    """In order, each once, however the table is cut; and it knows whether there are more."""
    listing = search(parts, prefix, after, limit)
    names = wanted({name for part in parts for name in part}, prefix, after)
    assert (listing.names, listing.more) == (names[:limit], len(names) > limit)


@pytest.mark.parametrize("junk", [b"", b"\x01\x03abc", b"\x01"])
def test_what_is_no_name_is_not_listed(junk: bytes) -> None:
    """Rows hold other things than names."""
    assert search([[junk, b"a"]], b"", b"", 9).names == [b"a"]


def test_a_search_stops_when_it_is_told_to() -> None:
    """Others have their turn between two parts."""
    read: list[int] = []

    def parts() -> object:
        for n in range(3):
            read.append(n)
            yield [b"%d" % n]

    listing = Listing(span_of(b"", b""), 9, parts())  # type: ignore[arg-type]
    assert not listing.work(lambda: True)
    assert read == [0]
    assert listing.work(lambda: False)
    assert (read, listing.names) == ([0, 1, 2], [b"0", b"1", b"2"])


def page_of(table: dict[bytes, int], prefix: bytes, after: bytes, limit: int) -> Page:
    names = wanted(set(table), prefix, after)
    return Page([(name, table[name]) for name in names[:limit]], len(names) > limit)


Merge = Callable[[list[Page], int], Merged]


def all_pages(tables: Tables, prefix: bytes, limit: int, way: Merge) -> list[tuple[bytes, int]]:
    """Turn the pages over as a reader does."""
    found: list[tuple[bytes, int]] = []
    after = b""
    for _ in range(200):
        merged = way([page_of(table, prefix, after, limit) for table in tables], limit)
        assert len(merged.names) <= limit
        found += merged.names
        if merged.after is None:
            return found
        assert merged.after > after
        after = merged.after
    raise AssertionError("it goes on for ever")


def check(tables: Tables, prefix: bytes, limit: int, way: Merge = merge) -> None:
    """Whoever turns all pages over has seen every channel once, with its subscribers everywhere."""
    total: Counter[bytes] = Counter()
    for table in tables:
        total.update(table)
    names = wanted(set(total), prefix, b"")
    assert all_pages(tables, prefix, limit, way) == [(name, total[name]) for name in names]


@given(TABLES, PREFIXES, LIMITS)
def test_pages_of_many_tables(tables: Tables, prefix: bytes, limit: int) -> None:
    """A channel of several workers is listed once, no channel is left out, none comes twice."""
    check(tables, prefix, limit)


@given(TABLES, LIMITS)
def test_a_page_is_full_when_there_is_more(tables: Tables, limit: int) -> None:
    """A short page is the last one."""
    merged = merge([page_of(table, b"", b"", limit) for table in tables], limit)
    assert merged.after is None or len(merged.names) == limit


def check_all(tables: Tables, way: Merge) -> None:
    for limit in (1, 2, 3, 4):
        check(tables, b"", limit, way)


def side_by_side(pages: list[Page], limit: int) -> Merged:
    """Takes a channel of two workers for two."""
    names = sorted(name for page in pages for name in page.names)
    return Merged(names[:limit], names[limit - 1][0] if len(names) > limit else None)


def one_after_the_other(pages: list[Page], limit: int) -> Merged:
    """Gives the first table's names first."""
    names = list(islice(dict(pair for page in pages for pair in page.names).items(), limit))
    return Merged(names, names[-1][0] if any(page.more for page in pages) else None)


def ends_too_early(pages: list[Page], limit: int) -> Merged:
    """Says that nothing comes behind a page that every table could fill."""
    merged = merge(pages, limit)
    return merged._replace(after=merged.after if any(page.more for page in pages) else None)


def goes_on_too_far(pages: list[Page], limit: int) -> Merged:
    """Goes on behind the last name that it was told, and not behind the last that it gave."""
    merged = merge(pages, limit)
    last = max((page.names[-1][0] for page in pages if page.names), default=None)
    return merged._replace(after=merged.after and last)


@pytest.mark.parametrize("way", [side_by_side, one_after_the_other, ends_too_early, goes_on_too_far])
def test_a_wrong_merge_is_noticed(way: Merge) -> None:
    """Each of these would list something twice, or never."""
    tables: Tables = [{b"a": 1, b"c": 1, b"x": 1}, {b"b": 2, b"c": 2, b"y": 2}, {b"d": 3, b"z": 3}]
    with pytest.raises(AssertionError):
        check_all(tables, way)
