"""`POST /api/push` and `POST /api/batch` are answered the same to the byte, whichever way they take.

On real servers: one answers the API by itself (`--admin`), the other on its public port.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration import batch_rows, http_rows, push_rows
from tests.integration.ways import Row, Ways, both_ways


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    """Both servers, and on each somebody who listens."""
    with both_ways(tmp_path_factory.mktemp("ways"), *push_rows.OPTIONS) as ways:
        listeners = [way.listen(push_rows.HEARD) for way in ways]
        yield ways
        for listener in listeners:
            listener.close()


@pytest.mark.parametrize("row", push_rows.ROWS, ids=lambda row: row.name)
def test_push(ways: Ways, row: Row) -> None:
    """Whatever a push says."""
    for kept in (False, True):
        ways.check(row, kept)


@pytest.mark.parametrize("row", batch_rows.ROWS, ids=lambda row: row.name)
def test_batch(ways: Ways, row: Row) -> None:
    """Whatever a batch says."""
    for kept in (False, True):
        ways.check(row, kept)


@pytest.mark.parametrize("row", [row for rows in http_rows.ROWS.values() for row in rows], ids=lambda row: row.name)
def test_http(ways: Ways, row: Row) -> None:
    """However it is sent."""
    for kept in (False, True):
        ways.check(row, kept)
