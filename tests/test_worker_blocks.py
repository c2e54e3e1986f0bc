"""Clients that an operator cuts off, on all transports, and those that are kept out for a while."""

from __future__ import annotations

import json
import re

from megacomet.wire import frames
from megacomet.worker.blocks import Blocks

from .event_stream import chunks
from .fronts import House, message
from .lots import read_all
from .socket_clients import HANDSHAKE, SocketClient


def cut(house: House, code: int, *, reconnect: bool, block_s: int = 0, before: tuple[bytes, ...] = ()) -> int:
    """Have the manager cut sue off; how many connections were ended."""
    flags = frames.RECONNECT if reconnect else 0
    record = frames.encode(frames.CUT_OFF, flags=flags, number=code, offset=block_s, channel=b"@sue")
    [receipt] = frames.decode(house.box(*before, record, head=house.hub.head))
    assert (receipt.kind, receipt.number) == (frames.RECEIPT, len(before))
    return receipt.offset


def test_blocks() -> None:
    """By mailbox and time; a later one counts, and what is over is forgotten."""
    now = [100.0]
    blocks = Blocks(lambda: now[0])
    assert not blocks.is_any([b"@sue"])
    blocks.block(b"@sue", 10)
    assert [blocks.is_any(channels) for channels in ([b"a", b"@sue"], [b"a"], [])] == [True, False, False]
    now[0] = 109
    assert blocks.is_any([b"@sue"])
    blocks.block(b"@bob", 10)
    now[0] = 110
    assert [blocks.is_any([name]) for name in (b"@sue", b"@bob")] == [False, True]
    blocks.block(b"@bob", 1)
    now[0] = 111
    assert not blocks.is_any([b"@bob"])


def test_all_transports_are_told_to_come_back(house: House) -> None:
    """Behind what is due to them; others are left alone."""
    events, lines = (house.get(f"/comet/{name}?client=sue") for name in ("events", "stream"))
    socket, other = SocketClient(house, "/comet/ws?client=sue"), SocketClient(house, "/comet/ws?client=bob")
    for client in (events, lines):
        client.recv(1 << 16)
    for client in (socket, other):
        client.frames()
    assert cut(house, 3011, reconnect=True, before=(message(b"@sue", b"1", 4),)) == 3
    *told, retry = chunks(read_all(events)).pieces
    assert told == [b'id: e1-4\ndata: {"channel":"@sue","data":1}\n\n']
    assert re.fullmatch(rb"retry: [2-5][0-9]{3}\n", retry)
    assert chunks(read_all(lines)).is_ended
    [one, closed] = socket.frames()
    assert (json.loads(one.payload)["data"], closed.payload) == (1, (3011).to_bytes(2, "big") + b"reconnect asked for")
    assert other.frames() == []
    assert house.waiting() == [other.fd]
    again = SocketClient(house, "/comet/ws?client=sue")
    assert again.shown() == ["at e1-4"] or again.head.startswith(b"HTTP/1.1 101")


def test_polls(house: House) -> None:
    """They get their empty answer and the connection ends; a stream that waits for its page is refused."""
    script, poll, lines = (house.get(t) for t in ("/sue.js", "/comet/poll?client=sue", "/comet/stream?client=sue"))
    assert cut(house, 3011, reconnect=True) == 3
    assert house.read(script).status == 204
    answer = house.read(poll)
    assert (answer.status, json.loads(answer.body)["messages"], answer.headers["connection"]) == (200, [], "close")
    assert house.read(lines).status == 503
    assert house.waiting() == []


def test_kept_out(house: House) -> None:
    """No retry, 3503, and for so long 204 to polls and streams, 403 to WebSockets; then it may come again."""
    events = house.get("/comet/events?client=sue")
    house.pages(head=3)
    events.recv(1 << 16)
    socket = SocketClient(house, "/comet/ws?client=sue")
    socket.frames()
    assert cut(house, 3503, reconnect=False, block_s=60) == 2
    assert read_all(events) == b"0\r\n\r\n"
    assert socket.ended() == (3503, b"cut off by an operator")
    for target in ("/sue.js", "/sue.js?timeout=9", "/comet/poll?client=sue", "/comet/events?client=sue"):
        assert house.ask(target).status == 204
    answer = house.ask("/comet/ws?client=sue", *HANDSHAKE)
    assert (answer.status, json.loads(answer.body)["code"]) == (403, "forbidden")
    assert house.waiting() == []
    house.get("/bob.js")
    house.clock.advance(60)
    house.get("/sue.js")
    assert len(house.waiting()) == 2


def test_kept_out_before_it_has_begun(house: House) -> None:
    """Streams that wait for their page are told to stay away as well."""
    events, lines = (house.get(f"/comet/{name}?client=sue") for name in ("events", "stream"))
    socket = house.get("/comet/ws?client=sue", *HANDSHAKE)
    assert cut(house, 3503, reconnect=False, block_s=60) == 3
    assert [house.read(client).status for client in (events, lines, socket)] == [204, 204, 403]
    assert house.waiting() == []


def test_the_codes_of_an_application(house: House) -> None:
    """They have no reason of ours; without seconds nobody is kept out."""
    socket = SocketClient(house, "/comet/ws?client=sue")
    socket.frames()
    assert cut(house, 4700, reconnect=False) == 1
    assert socket.ended() == (4700, b"")
    house.get("/sue.js")
    assert len(house.waiting()) == 1


def test_nobody_is_there(house: House) -> None:
    """None were ended; who comes is kept out nevertheless."""
    assert cut(house, 3503, reconnect=False, block_s=5) == 0
    assert house.ask("/sue.js").status == 204
