"""Parameters of a query that several doors have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from megacomet.errors import PeerError

#: Entries of a page, of whatever kind: unless asked for, ...
LIMIT: Final = 100
#: ... and at most: a thousand take the manager some milliseconds.
MOST_LIMIT: Final = 1000

_COUNT: Final = re.compile(rb"[0-9]{1,4}").fullmatch

#: A query: by name all the values that were given.
Query = Mapping[bytes, list[bytes]]


def last_of(query: Query, name: bytes) -> bytes:
    """Return what a parameter says, b"" without it; of one that is given twice the last one holds."""
    return query.get(name, (b"",))[-1]


def limit_in(query: Query) -> int:
    """Return how many are asked for at most.

    Raises:
        PeerError: `bad-request`.
    """
    asked = last_of(query, b"limit")
    if not asked:
        return LIMIT
    if _COUNT(asked) is None or not 1 <= int(asked) <= MOST_LIMIT:
        raise PeerError("bad-request", f"a limit is a whole number from 1 to {MOST_LIMIT}")
    return int(asked)
