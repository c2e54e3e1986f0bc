"""Channels by name, page by page, out of tables that are in no order: the search in one table, the merge of all.

Theory of operation. Nobody keeps a list of names. Each process searches its own tables for the next names of a page, a
part of a table at a time, and keeps no more than it may return: once it has enough, only a smaller name is of interest.
A page of a table is *complete up to* its last name, or to the end. So the page of all tables together ends where the
first one of them that has more ends, or when it is long enough: before that no table can have a name that is missing.

What comes and goes during a search may be found or not. What is there all the time is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from heapq import merge as merge_sorted
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

import attrs

from megacomet.names import MAILBOX_NAMESPACE

#: No name begins with a lower byte, ...
_LOWEST: Final = b"!"
#: ... or with this one, which UTF-8 does not have.
_BEYOND: Final = b"\xff"
#: The lowest that no mailbox has.
_BEHIND_MAILBOXES: Final = bytes((MAILBOX_NAMESPACE[0] + 1,))
#: So many names may be found beyond those of a page before the lowest are chosen, which takes half a millisecond; and
#: each time only those below the highest of them are looked for from then on.
_TOO_MANY: Final = 1000


@attrs.frozen
class Span:
    """The names that a page may have.

    Attributes:
        first: the lowest that is possible.
        end: what is above all of them.
        has_mailboxes: whether mailboxes are among them.
    """

    first: bytes
    end: bytes
    has_mailboxes: bool

    def names_in(self, part: Iterable[bytes], end: bytes) -> list[bytes]:
        """Return the names of a part of a table that are in the span and below `end`."""
        first = self.first
        if self.has_mailboxes:
            return [name for name in part if first <= name < end]
        mailboxes, behind = MAILBOX_NAMESPACE, _BEHIND_MAILBOXES  # a call for each name would take twice as long
        return [name for name in part if first <= name < end and not mailboxes <= name < behind]


def span_of(prefix: bytes, after: bytes) -> Span:
    """Return the span of the names that begin with a prefix and come after a name; b"" for any.

    Mailboxes are there when the prefix asks for them: who looks for channels would not find them among a million.
    """
    end = prefix[:-1] + bytes((prefix[-1] + 1,)) if prefix else _BEYOND
    return Span(max(prefix, after and after + b"\0", _LOWEST), end, prefix.startswith(MAILBOX_NAMESPACE))


class Listing:
    """The search for the first names of a span in a table.

    Attributes:
        names: those found so far, in no order; when the search is over, those of the page, in order.
        more: whether the table has more behind them, once the search is over.
    """

    def __init__(self, span: Span, limit: int, parts: Iterable[Iterable[bytes]]) -> None:
        """Begin a search.

        Args:
            span: which names.
            limit: how many at most.
            parts: of the table; each is read at once, and others have their turn in between. A name may be in several.
        """
        self.names: list[bytes] = []
        self.more = False
        self._span = span
        self._end = span.end
        self._limit = limit
        self._parts = iter(parts)

    def work(self, is_over: Callable[[], bool]) -> bool:
        """Search on until `is_over` says so; tells whether the search is over."""
        for part in self._parts:
            self.names += self._span.names_in(part, self._end)
            if len(self.names) > self._limit + _TOO_MANY:
                self._choose()
            if is_over():
                return False
        self._choose()
        self.more = len(self.names) > self._limit
        del self.names[self._limit :]
        return True

    def _choose(self) -> None:
        """Forget all but the lowest names: one more than the page has, which tells that there are more."""
        names = self.names = list(dict.fromkeys(sorted(self.names)))
        del names[self._limit + 1 :]
        if len(names) > self._limit:
            self._end = names[-1]


class Page(NamedTuple):
    """What one table has.

    Attributes:
        names: in order, each with the number of its subscribers.
        more: whether the table has more behind them; then there is one at least.
    """

    names: Sequence[tuple[bytes, int]]
    more: bool


class Merged(NamedTuple):
    """What all tables have together.

    Attributes:
        names: in order, each with its subscribers everywhere.
        after: what the next page is asked for with, None when there is none.
    """

    names: list[tuple[bytes, int]]
    after: bytes | None


def merge(pages: Iterable[Page], limit: int) -> Merged:
    """Put the pages of all tables for one span together; at most `limit` names."""
    pages = list(pages)
    ends = min((page.names[-1][0] for page in pages if page.more), default=None)
    names: list[tuple[bytes, int]] = []
    for name, same in groupby(merge_sorted(*(page.names for page in pages)), itemgetter(0)):
        if ends is not None and name > ends:
            break
        if len(names) == limit:
            return Merged(names, names[-1][0])
        names.append((name, sum(count for _, count in same)))
    return Merged(names, ends)
