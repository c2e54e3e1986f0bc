"""The proxy of the clients' tests does to connections just what it is told to, without sockets and clocks."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport

from tests.integration.relaying import Orders, Relay, Relays
from tests.integration.troubles import (
    BUFFER,
    CLOSE,
    CUT,
    CUTS,
    EVENTS,
    OTHER,
    PAGE,
    POLL,
    PORTAL,
    REFUSE,
    SWALLOW,
    WEBSOCKET,
    Passage,
    Request,
    Trouble,
    chunk,
    close_frame,
    file,
    text_frame,
)

GETS = {
    WEBSOCKET: b"GET /comet/ws?channel=a HTTP/1.1\r\nHost: t\r\nSec-WebSocket-Protocol: megacomet.v1\r\n\r\n",
    EVENTS: b"GET /comet/events?channel=a HTTP/1.1\r\nHost: t\r\n\r\n",
    POLL: b"GET /comet/poll?channel=a HTTP/1.1\r\nHost: t\r\n\r\n",
    OTHER: b"GET /megacomet.js HTTP/1.1\r\nHost: t\r\n\r\n",
}
OPENED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
STREAMS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
EVENT = chunk(b'id: a-1\ndata: {"channel":"a","data":1}\n\n')


class Line(StringTransport):
    """A transport that tells how it was ended."""

    ended = ""

    def loseConnection(self) -> None:
        self.ended = self.ended or "end"

    def abortConnection(self) -> None:
        self.ended = self.ended or "reset"


class Street:
    """Clients on one side, servers on the other."""

    def __init__(self, **trouble: Any) -> None:
        self.clock = Clock()
        self.backs: list[Any] = []
        self.is_up = True
        self.relays = Relays(self.clock, self._connect)
        self.relays.stand(Trouble(**trouble))

    def _connect(self, back: Protocol) -> Deferred[Protocol]:
        if not self.is_up:
            return fail(ConnectError())
        self.backs.append(back)
        back.makeConnection(Line())
        return succeed(back)

    def client(self, kind: str = "", *answers: bytes) -> tuple[Relay, Line]:
        """Connect; ask for something of a kind, and let the server answer."""
        relay, line = self.relays.buildProtocol(None), Line()
        relay.makeConnection(line)
        if kind:
            relay.dataReceived(GETS[kind])
        for answer in answers:
            self.backs[-1].dataReceived(answer)
        return relay, line

    def at_server(self, number: int = -1) -> bytes:
        """What has come to a server."""
        data: bytes = self.backs[number].transport.value()
        return data


def test_all_passes() -> None:
    """Without a trouble all bytes come through both ways, whatever pieces they come in, and requests are counted."""
    street = Street()
    relay, line = street.client()
    for byte in GETS[POLL] + GETS[EVENTS]:
        relay.dataReceived(bytes((byte,)))
    assert street.at_server() == GETS[POLL] + GETS[EVENTS]
    street.backs[0].dataReceived(STREAMS)
    street.backs[0].dataReceived(EVENT)
    assert line.value() == STREAMS + EVENT
    assert street.relays.counts == Counter({POLL: 1, EVENTS: 1})
    assert street.relays.open == Counter({EVENTS: 1})


def test_a_body_is_no_request() -> None:
    """What belongs to a POST is passed on with it."""
    street = Street(poll=REFUSE)
    relay, line = street.client()
    post = b"POST /api/push HTTP/1.1\r\nContent-Length: 40\r\n\r\n"
    for piece in (post, GETS[POLL][:10], GETS[POLL][10:40], GETS[OTHER]):
        relay.dataReceived(piece)
    assert street.at_server() == post + GETS[POLL][:40] + GETS[OTHER]
    assert line.value() == b""


def test_frames_are_no_requests() -> None:
    """Behind its handshake a WebSocket is bytes."""
    street = Street()
    relay, _ = street.client(WEBSOCKET, OPENED)
    relay.dataReceived(GETS[POLL])
    assert street.at_server() == GETS[WEBSOCKET] + GETS[POLL]
    assert street.relays.counts == Counter({WEBSOCKET: 1})


@pytest.mark.parametrize(("kind", "status"), [(WEBSOCKET, 502), (EVENTS, 502), (POLL, 502)])
def test_refused(kind: str, status: int) -> None:
    """What is refused is answered, and never comes to the server; all else does."""
    street = Street(**{kind: REFUSE})
    relay, line = street.client(kind)
    assert line.value().startswith(b"HTTP/1.1 %d " % status)
    assert line.ended == "end"
    relay.dataReceived(GETS[OTHER])
    assert street.backs == []
    for other in {WEBSOCKET, EVENTS, POLL, OTHER} - {kind}:
        assert street.client(other, STREAMS)[1].value() == STREAMS


def test_refused_with_advice() -> None:
    """A refusal may have another status, and ask to wait."""
    _, line = Street(poll=REFUSE, status=429, retry_after=7).client(POLL)
    assert line.value().startswith(b"HTTP/1.1 429 ")
    assert b"\r\nRetry-After: 7\r\n" in line.value()


@pytest.mark.parametrize("kind", [WEBSOCKET, EVENTS, POLL])
def test_swallowed(kind: str) -> None:
    """What is swallowed is never answered; what had been open says nothing more."""
    street = Street()
    _, earlier = street.client(kind, OPENED)
    street.relays.stand(Trouble(**{kind: SWALLOW}))
    street.backs[0].dataReceived(EVENT)
    _, line = street.client(kind)
    assert (earlier.value(), earlier.ended) == (OPENED, "")
    assert (line.value(), line.ended, len(street.backs)) == (b"", "", 1)


def test_buffered() -> None:
    """Of a stream that a proxy buffers the head comes, in one piece or many, and nothing else."""
    street = Street(events=BUFFER)
    _, line = street.client(EVENTS, STREAMS[:20], STREAMS[20:] + EVENT, EVENT)
    assert (line.value(), line.ended) == (STREAMS, "")


def test_a_websocket_is_cut_at_its_first_frame() -> None:
    """It opens, and ends before it has said anything."""
    street = Street(websocket=CUT)
    _, at_once = street.client(WEBSOCKET, OPENED + text_frame(b"{}"))
    _, later = street.client(WEBSOCKET, OPENED)
    assert (at_once.value(), at_once.ended) == (OPENED, "end")
    assert (later.value(), later.ended) == (OPENED, "")
    street.backs[1].dataReceived(text_frame(b"{}"))
    assert (later.value(), later.ended) == (OPENED, "end")


def test_a_websocket_is_closed_with_a_code() -> None:
    """It opens, and is closed by a frame."""
    _, line = Street(websocket=CLOSE, code=3500).client(WEBSOCKET, OPENED + text_frame(b"{}"))
    assert (line.value(), line.ended) == (OPENED + close_frame(3500), "end")
    assert close_frame(3500) == b"\x88\x02\x0d\xac"


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("resets", [False, True])
def test_a_stream_is_cut_in_the_middle_of_an_event(size: int, resets: bool) -> None:
    """So many events come whole and a piece of the next one, whatever pieces the server writes in."""
    street = Street(events=CUT, after=2, resets=resets)
    whole = STREAMS + 4 * EVENT
    _, line = street.client(EVENTS, *(whole[at : at + size] for at in range(0, len(whole), size)))
    assert line.ended == ("reset" if resets else "end")
    assert line.value().startswith(STREAMS + EVENT + EVENT[: len(EVENT) - 2])
    rest = line.value().removeprefix(STREAMS).split(b"\n\n")
    assert len(rest) == 3
    assert b"id" in rest[2]


def test_a_poll_is_cut_within_its_answer() -> None:
    """Half of the body comes."""
    _, line = Street(poll=CUT).client(POLL, b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n12345678")
    assert (line.value(), line.ended) == (b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n1234", "end")


def test_portal() -> None:
    """Everything is answered with a page."""
    street = Street()
    street.relays.stand(Trouble.everywhere(PORTAL))
    for kind in GETS:
        _, line = street.client(kind)
        assert line.value().startswith(b"HTTP/1.1 200 ")
        assert line.value().endswith(PAGE)
        assert line.ended == "end"


@pytest.mark.parametrize("resets", [False, True])
def test_cut_now(resets: bool) -> None:
    """All connections end, and the server sees it."""
    street = Street()
    relays = [street.client(kind, OPENED) for kind in GETS]
    street.relays.cut(resets)
    assert {line.ended for _, line in relays} == {"reset" if resets else "end"}
    relays[0][0].connectionLost()
    assert street.backs[0].transport.ended == "reset"


def test_cut_every_so_often() -> None:
    """Again and again, until it is free."""
    street = Street(cut_every_s=2.0, resets=True)
    for _ in range(2):
        _, line = street.client(EVENTS, STREAMS)
        street.clock.advance(1.9)
        assert line.ended == ""
        street.clock.advance(0.1)
        assert line.ended == "reset"
    assert street.relays.counts[CUTS] == 2
    street.relays.stand(Trouble())
    assert street.clock.getDelayedCalls() == []


def test_slow() -> None:
    """Bytes come as fast as the line allows; the server waits while much is under way; the end comes behind them."""
    street = Street(bytes_per_s=100_000)
    relay, line = street.client(EVENTS, STREAMS, b"x" * 200_000)
    assert street.backs[0].transport.producerState == "paused"
    street.clock.pump([0.05] * 20)
    assert len(line.value()) == 100_000
    street.backs[0].connectionLost()
    street.clock.pump([0.05] * 20)
    assert (len(line.value()), line.ended) == (200_000, "")
    street.clock.advance(0.05)
    assert (line.value()[-1:], len(line.value()), line.ended) == (b"x", len(STREAMS) + 200_000, "end")
    relay.connectionLost()
    assert street.clock.getDelayedCalls() == []


def test_slow_no_more() -> None:
    """What has waited comes at once when the line is fast again, and before what follows."""
    street = Street(bytes_per_s=20)
    _, line = street.client(EVENTS, STREAMS)
    street.relays.stand(Trouble())
    street.backs[0].dataReceived(EVENT)
    street.clock.advance(0.05)
    assert line.value() == STREAMS + EVENT
    street.backs[0].dataReceived(EVENT)
    assert line.value() == STREAMS + 2 * EVENT


def test_idle() -> None:
    """A connection over which nothing comes to the client is closed, and one over which something does is not."""
    street = Street(idle_s=3.0)
    _, quiet = street.client(POLL)
    _, busy = street.client(EVENTS, STREAMS)
    for _ in range(3):
        street.clock.advance(2.0)
        street.backs[1].dataReceived(EVENT)
    assert (quiet.ended, busy.ended, street.relays.counts[CUTS]) == ("end", "", 1)
    street.relays.stand(Trouble())
    street.clock.advance(100.0)
    assert busy.ended == ""


def test_a_black_hole() -> None:
    """Nothing comes through in either direction, and nobody is told."""
    street = Street()
    relay, line = street.client(WEBSOCKET, OPENED)
    street.relays.stand(Trouble(is_silent=True))
    relay.dataReceived(b"frame")
    street.backs[0].dataReceived(EVENT)
    street.backs[0].connectionLost()
    assert (line.value(), line.ended, street.at_server()) == (OPENED, "", GETS[WEBSOCKET])
    _, line = street.client(POLL)
    assert (line.value(), line.ended, len(street.backs)) == (b"", "", 1)
    assert street.relays.counts == Counter({WEBSOCKET: 1, POLL: 1})


@pytest.mark.parametrize("trouble", [Trouble(is_silent=True), Trouble(events=SWALLOW)])
def test_no_hole_is_left(trouble: Trouble) -> None:
    """A connection that bytes were swallowed of ends when all is free again; one without goes on."""
    street = Street()
    _, unlucky = street.client(EVENTS, STREAMS)
    _, quiet = street.client(EVENTS, STREAMS)
    street.relays.stand(trouble)
    street.backs[0].dataReceived(EVENT)
    street.relays.stand(Trouble())
    street.backs[0].dataReceived(EVENT)
    street.backs[1].dataReceived(EVENT)
    assert (unlucky.value(), unlucky.ended) == (STREAMS, "reset")
    assert (quiet.value(), quiet.ended) == (STREAMS + EVENT, "")


def test_the_server_is_away() -> None:
    """The client gets a 502 when there is no server, and an end when it ends."""
    street = Street()
    _, line = street.client(EVENTS, STREAMS)
    street.backs[0].connectionLost()
    assert line.ended == "end"
    street.is_up = False
    _, line = street.client(EVENTS)
    assert line.value().startswith(b"HTTP/1.1 502 ")
    assert line.ended == "end"


def test_a_client_that_goes_meanwhile() -> None:
    """A server that is reached too late is let go."""
    street = Street()
    late: Deferred[Protocol] = Deferred()
    backs: list[Any] = []
    street.relays.connect = lambda back: backs.append(back) or late  # type: ignore[func-returns-value]
    relay, _ = street.client(POLL)
    relay.connectionLost()
    backs[0].makeConnection(Line())
    assert backs[0].transport.ended == "reset"


def test_polls_of_fast_clocks() -> None:
    """Where clocks run faster, the server is asked to wait so much less."""
    street = Street()
    street.relays.hurry = 10
    relay, _ = street.client()
    relay.dataReceived(b"GET /comet/poll?timeout=55&since=a-1 HTTP/1.1\r\n\r\n")
    relay.dataReceived(b"GET /comet/poll?x=1&timeout=0 HTTP/1.1\r\n\r\n")
    assert b"?timeout=6&since=a-1 " in street.at_server()
    assert b"?x=1&timeout=0 " in street.at_server()


def test_files() -> None:
    """A file of the proxy's own is not asked of the server, and is no more there than the rest behind a portal."""
    street = Street()
    street.relays.files["/megacomet.js"] = file(b"let x", "text/javascript")
    _, line = street.client(OTHER)
    assert b"\r\nContent-Type: text/javascript\r\n" in line.value()
    assert (line.value()[-9:], line.ended, street.backs) == (b"\r\n\r\nlet x", "end", [])
    street.relays.stand(Trouble.everywhere(PORTAL))
    assert street.client(OTHER)[1].value().endswith(PAGE)


def test_an_older_server() -> None:
    """The subprotocol that the client offers does not come to the server."""
    street = Street(hides_protocol=True)
    street.client(WEBSOCKET, OPENED)
    assert street.at_server() == b"GET /comet/ws?channel=a HTTP/1.1\r\nHost: t\r\n\r\n"


def test_garbage() -> None:
    """Bytes are put behind the head of an answer of one kind; a poll gets nothing else."""
    street = Street(says=text_frame(b"not JSON"), kind_said=WEBSOCKET)
    _, line = street.client(WEBSOCKET, OPENED + text_frame(b"{}"))
    assert line.value() == OPENED + b"\x81\x08not JSON\x81\x02{}"
    assert street.client(EVENTS, STREAMS)[1].value() == STREAMS
    street = Street(says=b"[1,", kind_said=POLL)
    _, line = street.client(POLL, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert line.value().startswith(b"HTTP/1.1 200 ")
    assert line.value().endswith(b"\r\n\r\n[1,")
    assert text_frame(b"x" * 300)[:4] == b"\x81\x7e\x01\x2c"


def test_what_is_no_way() -> None:
    """A way that does not exist is named when it is asked for."""
    with pytest.raises(ValueError, match="'refused' is none of refuse, swallow"):
        Trouble(websocket="refused")


def test_a_trouble_travels() -> None:
    """What the proxy is told is what was meant."""
    trouble = Trouble(websocket=CUT, says=b"\x81\x00\xff", idle_s=1.5)
    assert Trouble.from_json(json.loads(json.dumps(trouble.to_json()))) == trouble


def test_a_head_in_pieces() -> None:
    """The head of an answer may come in any pieces."""
    passage = Passage(WEBSOCKET, Trouble(websocket=CLOSE))
    passed = [passage.take(OPENED[at : at + 1]) for at in range(len(OPENED))]
    assert passed[-1] == (OPENED + close_frame(3500), True)
    assert {one.data for one in passed[:-1]} == {b""}


def test_requests() -> None:
    """The kind of a request is told by its path."""
    found = Request.of(b"POST /comet/stream?channel=%2F HTTP/1.1\r\nContent-Length:12\r\n\r\n")
    assert found[:2] == (EVENTS, "/comet/stream?channel=%2F")
    assert found.body_bytes == 12


class TestOrders:
    """Lines that the proxy is given."""

    def setup_method(self) -> None:
        """Begin."""
        self.reactor = MemoryReactorClock()
        self.orders, self.line = Orders(self.reactor), StringTransport()
        self.orders.makeConnection(self.line)
        self.told = self.tell(begin=8080)

    def tell(self, **order: Any) -> Any:
        """Give an order, return the answer, None without one."""
        self.line.clear()
        self.orders.dataReceived(json.dumps(order).encode() + b"\n")
        return json.loads(self.line.value()) if self.line.value() else None

    def ask(self, kind: str) -> Line:
        """A client asks for something."""
        relay, line = self.reactor.tcpServers[-1][1].buildProtocol(None), Line()
        relay.makeConnection(line)
        relay.dataReceived(GETS[kind])
        return line

    def test_begin(self) -> None:
        """It listens, and says where."""
        assert self.told["port"] == self.reactor.tcpServers[0][0]
        self.ask(POLL)
        assert self.reactor.tcpClients[-1][:2] == ("127.0.0.1", 8080)
        self.tell(server=8081)
        self.ask(POLL)
        assert self.reactor.tcpClients[-1][:2] == ("127.0.0.1", 8081)

    def test_a_file(self) -> None:
        """It serves what it is given."""
        assert self.tell(path="/megacomet.js", body="let x", kind="text/javascript")
        assert self.ask(OTHER).value().endswith(b"let x")

    def test_stand_and_cut(self) -> None:
        """What stands in the way does so from the answer on; cuts are ends or resets."""
        line = self.ask(EVENTS)
        told = self.tell(stand=Trouble(poll=REFUSE).to_json(), cut=False)
        assert told == {
            "counts": {WEBSOCKET: 0, EVENTS: 1, POLL: 0, OTHER: 0, CUTS: 0},
            "open": {WEBSOCKET: 0, EVENTS: 1, POLL: 0, OTHER: 0},
        }
        assert self.ask(POLL).ended == "end"
        self.tell(stand=None, cut=True, resets=True)
        assert line.ended == "reset"

    def test_gone(self) -> None:
        """Nobody listens, until somebody does again at the same port."""
        line = self.ask(EVENTS)
        assert self.tell(stand=Trouble(is_gone=True).to_json(), cut=True)
        assert line.ended == "end"
        assert self.tell(stand=Trouble(is_gone=True).to_json(), cut=True)
        assert len(self.reactor.tcpServers) == 1
        self.tell(stand=Trouble().to_json())
        assert self.reactor.tcpServers[-1][0] == self.told["port"]

    def test_when(self) -> None:
        """It tells when requests have come, at once if they have."""
        assert self.tell(when={POLL: 1, EVENTS: 1}) is None
        self.ask(POLL)
        assert self.line.value() == b""
        self.ask(EVENTS)
        assert json.loads(self.line.value())["counts"][EVENTS] == 1
        assert self.tell(when={POLL: 1})["counts"][POLL] == 1

    def test_the_end(self) -> None:
        """It ends with its input."""
        self.orders.connectionLost()
        assert self.reactor.hasStopped
