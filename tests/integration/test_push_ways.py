"""`POST /api/push` and `POST /api/batch` are answered the same to the byte, whichever way they take.

On real servers: one answers the API by itself (`--admin`), the other on its public port. Each row of the tables is sent
to both, over a connection of its own and over one that was used before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import attrs
import pytest
from hypothesis import given

from tests.integration import batch_rows, framing_rows, head_rows, pipeline_rows, push_rows
from tests.integration.sends import sends
from tests.integration.way_servers import Listener, Way, Ways, both_ways
from tests.integration.ways import Row, Talk, comparable, converse


@attrs.frozen
class House:
    """Both servers, and on each somebody who listens."""

    ways: Ways
    listeners: Sequence[Listener]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Start them."""
    with both_ways(tmp_path_factory.mktemp("ways"), *push_rows.OPTIONS) as ways, ExitStack() as stack:
        yield House(ways, [stack.enter_context(Listener(way, push_rows.HEARD)) for way in ways])


class Table:
    """The rows of one table, and a look at the logs behind the last of them."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _logs(cls, house: House) -> Iterator[None]:
        yield
        for way in house.ways:
            way.check_log()

    def check(self, house: House, row: Row) -> None:
        """Send a row on both ways."""
        for kept in (False, True):
            house.ways.check(row, kept)


class TestPush(Table):
    """Whatever a push says."""

    @pytest.mark.parametrize("row", push_rows.ROWS, ids=lambda row: row.name)
    def test_row(self, house: House, row: Row) -> None:
        """The answers are the same, and those that the row tells."""
        self.check(house, row)


class TestBatch(Table):
    """Whatever a batch says."""

    @pytest.mark.parametrize("row", batch_rows.ROWS, ids=lambda row: row.name)
    def test_row(self, house: House, row: Row) -> None:
        """The answers are the same, and those that the row tells."""
        self.check(house, row)


class TestHead(Table):
    """Whatever the head says."""

    @pytest.mark.parametrize("row", head_rows.ROWS, ids=lambda row: row.name)
    def test_row(self, house: House, row: Row) -> None:
        """The answers are the same, and those that the row tells."""
        self.check(house, row)


class TestFraming(Table):
    """However the body is sent."""

    @pytest.mark.parametrize("row", framing_rows.ROWS, ids=lambda row: row.name)
    def test_row(self, house: House, row: Row) -> None:
        """The answers are the same, and those that the row tells."""
        self.check(house, row)


class TestPipeline(Table):
    """Whatever else is sent on the connection."""

    @pytest.mark.parametrize("row", pipeline_rows.ROWS, ids=lambda row: row.name)
    def test_row(self, house: House, row: Row) -> None:
        """The answers are the same, and those that the row tells."""
        self.check(house, row)


@pytest.mark.parametrize("client", pipeline_rows.LEAVING, ids=lambda client: client.name)
def test_a_client_that_leaves(house: House, client: pipeline_rows.Leaving) -> None:
    """What came whole is published and nothing else; the connection ends, with or without the answers that were due."""
    for way, listener in zip(house.ways, house.listeners, strict=True):
        listener.heard()
        before = way.position()
        converse(way.connect(), Row(client.name, client.sent, (), shuts=True))
        assert listener.heard(len(client.heard)) == list(client.heard)
        assert way.position() == before + len(client.heard) + 1


def test_whatever_is_sent(house: House) -> None:
    """Pushes and batches that are right or nearly so, cut anywhere, over connections that are kept."""
    with ExitStack() as stack:
        talks = [stack.enter_context(Talk(way.connect())) for way in house.ways]

        @given(sent=sends())
        def check(sent: Sequence[bytes]) -> None:
            reference, public = (_tell(way, talk, sent) for way, talk in zip(house.ways, talks, strict=True))
            assert public == reference

        check()


def _tell(way: Way, talk: Talk, sent: Sequence[bytes]) -> tuple[bytes, int]:
    """Send one request; return its answer and how many messages it has published. Go on whatever was before."""
    if talk.ended:
        talk.again(way.connect())
    base = way.position()
    for piece in sent:
        talk.send(piece)
    answer = talk.answer()
    assert answer is not None
    if b"\r\nConnection: close\r\n" in answer:
        assert talk.answer() is None
    return comparable(answer, b"".join(sent), base), way.position() - base


def test_what_is_kept(house: House) -> None:
    """What a push was to say is told in the same words afterwards, whoever took it."""
    kept = []
    for way in house.ways:
        names = {told["channel"] for told in way.ask("/api/channels?limit=1000")["channels"]} - {push_rows.PASSING}
        assert "smuggled" not in names
        kept.append({name: way.history(name) for name in names})
    assert kept[0] == kept[1]
