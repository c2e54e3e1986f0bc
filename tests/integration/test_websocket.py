"""Streams with clients that others have written, on real processes: one feed on every transport, deaths, ends, echo."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice, pairwise
from pathlib import Path
from threading import Semaphore
from typing import Any, Final

import pytest
import pytest_twisted

from tests.integration.server import LINE_S, Server, read_all
from tests.integration.websockets import (
    BLOCKING,
    CLOSE,
    PING,
    PONG,
    TEXT,
    WAYS,
    Frame,
    FrameSocket,
    Reader,
    Wsproto,
    autobahn,
    frame,
    handshake,
    open_feed,
)

#: With history for all that a test publishes, and without pings among what it expects.
LOOPBACK: Final = (
    *("--port=0", "--interface=127.0.0.1", "--client-publish"),
    *("--history-s=3600", "--history-messages=10000", "--ping-s=600"),
)
MEGABYTE: Final = 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that clients may publish at."""
    state = tmp_path_factory.mktemp("websocket") / "state"
    with Server(state, *LOOPBACK, "--ws-echo=/echo") as running:
        yield running


class Listener:
    """Somebody who wants every number of a channel, and comes back when the connection ends: each time by another way.

    Attributes:
        numbers: that came.
        ways: by which they came, in turn.
        gaps: the notices that came.
    """

    def __init__(self, server: Server, channel: str, first_way: int) -> None:
        self.numbers: list[int] = []
        self.ways: list[str] = []
        self.gaps: list[dict[str, Any]] = []
        self._server = server
        self._channel = channel
        self._coming = islice(cycle(WAYS), first_way, None)
        self._position = ""

    async def connect(self) -> None:
        """Come by the next way, to where the last one ended; it stands when the first position was told."""
        self.ways.append(next(self._coming))
        query = f"channel={self._channel}&since={self._position}"
        self._reader = await open_feed(self.ways[-1], self._server.port, query)
        self._position = await begun(self._reader)

    async def _hear(self) -> dict[str, Any]:
        while (told := await self._reader.next()) is None:
            await self._reader.close()
            await self.connect()
        self._position = position_in(told)
        return told

    async def hear_until(self, last: int) -> None:
        """Hear up to a number."""
        while not self.numbers or self.numbers[-1] < last:
            told = await self._hear()
            if told["op"] == "message":
                self.numbers.append(told["data"])
            elif told["op"] == "gap":
                self.gaps.append(told)

    async def close(self) -> None:
        await self._reader.close()


async def begun(reader: Reader) -> str:
    """Wait for the first position, and return it."""
    told = await reader.next()
    assert told is not None
    assert told["op"] == "position"
    return position_in(told)


async def next_message(reader: Reader) -> dict[str, Any]:
    """Wait for a message; positions may come before it."""
    while (told := await reader.next()) is not None:
        if told["op"] != "position":
            assert told["op"] == "message", told
            return told
    raise AssertionError("the connection has ended")


def position_in(told: dict[str, Any]) -> str:
    """Return where somebody stands who was told this."""
    position: str = told.get("id") or told["position"]
    return position


def publish(server: Server, channel: str, number: int) -> None:
    """Publish once, however often the server must be asked until it has answered."""
    body = {"channel": channel, "data": number, "key": f"number {number}"}
    for _ in range(10):
        try:
            answer = server.push(body)
        except ConnectionError:
            continue
        if answer:
            assert answer.startswith(b"HTTP/1.1 200 "), answer
            return
    raise AssertionError("the server does not answer")


@pytest_twisted.ensureDeferred
async def test_one_feed_on_every_transport(tmp_path: Path) -> None:
    """Workers are killed twice while a feed runs; all resume by another transport, and nobody misses or repeats any."""
    numbers, under_way = 300, 40
    room = Semaphore(under_way)  # as far as whoever is behind may be behind

    def feed() -> None:
        for number in range(numbers):
            assert room.acquire(timeout=LINE_S)
            publish(server, "feed", number)

    with Server(tmp_path / "state", *LOOPBACK) as server, ThreadPoolExecutor(1) as threads:
        listeners = [Listener(server, "feed", way) for way in range(len(WAYS))]
        for listener in listeners:
            await listener.connect()
        feeding = threads.submit(feed)
        for number in range(numbers):
            for listener in listeners:
                await listener.hear_until(number)
            room.release()
            if number in (100, 200):
                for title in server.processes():
                    if title.startswith("worker"):
                        server.kill(title)
        feeding.result()
        for listener in listeners:
            await listener.close()
    for listener in listeners:
        assert listener.numbers == list(range(numbers))
        assert listener.gaps == []
        assert len(listener.ways) >= 3
        assert all(one != other for one, other in pairwise(listener.ways))


@pytest_twisted.ensureDeferred
async def test_gap_after_a_restart(tmp_path: Path) -> None:
    """A restart forgets: who resumes is told so for each channel, then gets what is kept by now, then what is new."""
    with Server(tmp_path / "state", *LOOPBACK) as server:
        reader = await open_feed("wsproto", server.port, "channel=news")
        await begun(reader)
        publish(server, "news", 1)
        position = position_in(await reader.next())
        await reader.close()
    with Server(tmp_path / "state", *LOOPBACK) as server:
        publish(server, "news", 2)
        for way in WAYS:
            reader = await open_feed(way, server.port, f"channel=news&channel={way}&since={position}")
            assert await begun(reader) == position
            gaps = [await reader.next() for _ in range(1 if way == "events" else 2)]
            assert {told["op"] for told in gaps} == {"gap"}
            assert sorted(channel for told in gaps for channel in channels_in(told)) == sorted(["news", way])
            told = await next_message(reader)
            assert (told["channel"], told["data"]) == ("news", 2)
            publish(server, way, 3)
            told = await next_message(reader)
            assert (told["channel"], told["data"]) == (way, 3)
            await reader.close()
        client = await autobahn(server.port, f"/comet/ws?since={position}")  # it hears what everyone does
        assert await begun(client) == position
        assert channels_in(await client.next()) == ["*"]
        await client.close()


def channels_in(gap: dict[str, Any]) -> list[str]:
    """Return the channels that a notice of a gap names."""
    return gap["channels"] if "channels" in gap else [gap["channel"]]


@pytest_twisted.ensureDeferred
async def test_the_next_manager(tmp_path: Path) -> None:
    """Connections outlive the manager; from the next one they are told of a gap, then of what is new."""
    first = Server(tmp_path / "state", *LOOPBACK)
    second = Server(tmp_path / "state", *LOOPBACK)
    try:
        first.launch().wait_ready()
        readers = [await open_feed(way, first.port, "channel=news") for way in WAYS]
        for reader in readers:
            await begun(reader)
        first.kill("manager")
        second.launch().wait_ready()
        second.adopt(first)
        for worker in ("worker 0", "worker 1"):
            second.wait_line(f"{worker}: link to the manager stands")
        publish(second, "news", 1)
        for reader in readers:
            told = await reader.next()
            assert (told["op"], channels_in(told)) == ("gap", ["news"])
            assert (await next_message(reader))["data"] == 1
            await reader.close()
        second.stop()
    finally:
        second.kill_all()
        first.kill_all()


@pytest_twisted.ensureDeferred
async def test_the_end_of_the_server(tmp_path: Path) -> None:
    """An orderly stop tells each client to come back: by a close code, by a time to wait, by a plain end."""
    with Server(tmp_path / "state", *LOOPBACK, "--ws-echo=/echo") as server:
        echo, *readers = (
            await autobahn(server.port, "/echo"),
            *[await open_feed(way, server.port, "channel=a") for way in WAYS],
        )
        client, wsproto, events, _ = readers
        for reader in readers:
            await begun(reader)
        events.retry_ms = 0
        server.stop()
    for reader in (echo, *readers):
        assert await reader.next() is None
        await reader.close()
    assert echo.ended == client.ended == (True, 3001, "shutdown")
    assert wsproto.code == 3001
    assert 2000 <= events.retry_ms <= 5000


# -- the vocabulary


@pytest_twisted.ensureDeferred
async def test_a_conversation(server: Server) -> None:
    """A client publishes, subscribes later from where it was, reads a history, leaves, and hears what it asked for."""
    client = await autobahn(server.port, "/comet/ws?channel=talk", protocols=["other", "megacomet.v1"])
    assert client.subprotocol == "megacomet.v1"
    start = await begun(client)
    for number, channel in enumerate(("talk", "late", "late")):
        client.ask(op="publish", channel=channel, data={"n": number}, id=number)
    told = [await client.next() for _ in range(4)]
    ids = [each["message"] for each in told if each["op"] == "ok"]
    assert [each["id"] for each in told if each["op"] == "ok"] == [0, 1, 2]
    assert [each for each in told if each["op"] == "message"] == [message("talk", ids[0], 0)]
    client.ask(op="subscribe", channels=["late"], since=start, id="late")
    assert await client.next() == {"op": "ok", "id": "late", "position": start}
    assert [await client.next() for _ in range(2)] == [message("late", ids[1], 1), message("late", ids[2], 2)]
    assert await begun(client) == ids[2]  # the catch-up is complete
    client.ask(op="ping", id="last")
    assert await client.next() == {"op": "ok", "id": "last", "position": ids[2]}
    client.ask(op="history", channel="late", limit=1, id=4)
    kept = {"channel": "late", "id": ids[1], "data": {"n": 1}}
    assert await client.next() == {"op": "ok", "id": 4, "messages": [kept], "position": ids[1], "gap": False}
    client.ask(op="unsubscribe", channels=["late"], id=5)
    assert await client.next() == {"op": "ok", "id": 5}
    client.ask(op="publish", channel="late", data={"n": 3}, key="once", id=6)
    client.ask(op="publish", channel="late", data={"n": 4}, key="once", id=7)
    sixth, seventh = await client.next(), await client.next()
    assert sixth["message"] == seventh["message"]
    await client.close()
    assert client.ended[:2] == (True, 1000)


def message(channel: str, position: str, number: int) -> dict[str, Any]:
    """A message with a number, as an object."""
    return {"op": "message", "channel": channel, "id": position, "data": {"n": number}}


@pytest_twisted.ensureDeferred
async def test_five_bad_requests(server: Server) -> None:
    """Errors do not close, five bad requests in a row do; a good one between them begins the count anew."""
    client = await autobahn(server.port, "/comet/ws", deflate=False)
    await client.next()
    for _ in range(4):
        client.sendMessage(b"[]")
    client.ask(op="ping", id=1)
    for _ in range(5):
        client.sendMessage(b"{")
    told = [await client.next() for _ in range(11)]
    assert [each and each.get("code", each["op"]) for each in told] == [107] * 4 + ["ok"] + [107] * 5 + [None]
    assert client.ended == (True, 3501, "bad request")


# -- clients that are slow, or go


@pytest.mark.parametrize("way", BLOCKING)
@pytest_twisted.ensureDeferred
async def test_a_client_that_does_not_read(server: Server, way: str) -> None:
    """It is closed when it is owed too much, and comes back for the rest: all of it, once and in order."""
    channel, text = f"slow-{way}", "x" * 60_000
    most_in_kernel = int(Path("/proc/sys/net/ipv4/tcp_wmem").read_text().split()[2])
    numbers = (most_in_kernel + 4 * MEGABYTE) // len(text)
    slow = BLOCKING[way](server.port, f"channel={channel}", receive_bytes=4096)
    position = await begun(slow)
    for number in range(numbers):
        assert b" 200 " in server.push({"channel": channel, "data": [number, text]})
    heard = []
    while (told := await slow.next()) is not None:
        position = position_in(told)
        heard.append(told["data"][0])
    assert len(heard) < numbers
    assert not isinstance(slow, Wsproto) or slow.code == 3008
    await slow.close()
    again = BLOCKING[way](server.port, f"channel={channel}&since={position}")
    assert await begun(again) == position
    while len(heard) < numbers:
        heard.append((await next_message(again))["data"][0])
    await again.close()
    assert heard == list(range(numbers))


def json_of(frame: Frame) -> dict[str, Any]:
    """The object in a frame."""
    told: dict[str, Any] = json.loads(frame.payload)
    return told


def test_clients_that_go_at_any_moment(tmp_path: Path) -> None:
    """Clients break off after each byte of what they say, while messages come: nothing is left of them, or logged."""
    hello = handshake("/comet/ws?channel=hot&client=sue")
    says = hello + b"".join(
        frame(TEXT, json.dumps(request).encode())
        for request in (
            {"op": "subscribe", "channels": ["more"], "since": "oldest", "id": 1},
            {"op": "publish", "channel": "more", "data": 1, "id": 2},
            {"op": "history", "channel": "hot", "id": 3},
        )
    )
    with Server(tmp_path / "state", *LOOPBACK) as server:
        before = descriptors(server)
        for at in range(len(hello) - 20, len(says)):
            with server.connect() as client:
                client.sendall(says[:at])
                if at % 3:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close resets
                if at % 2 and at >= len(hello):
                    assert client.recv(100)
                publish(server, "hot", at)
        until = time.monotonic() + LINE_S
        while descriptors(server) != before or sum(connections(server).values()):
            assert time.monotonic() < until, "connections are left"
    assert not [line for line in server.lines if "Traceback" in line or "failed" in line]


def descriptors(server: Server) -> dict[str, int]:
    """How many descriptors each worker has."""
    return {title: one.num_fds() for title, one in server.processes().items() if title.startswith("worker")}


def connections(server: Server) -> dict[str, int]:
    """How many connections of each kind the server says that it has."""
    head = f"GET /api/stats HTTP/1.1\r\nHost: test\r\nConnection: close\r\nAuthorization: Bearer {server.key}\r\n\r\n"
    with server.connect() as client:
        client.sendall(head.encode())
        stats: dict[str, dict[str, int]] = json.loads(read_all(client).partition(b"\r\n\r\n")[2])
    return stats["connections"]


def test_half_a_frame_and_silence(tmp_path: Path) -> None:
    """Who stops in the middle of a frame is pinged, and closed when nothing comes."""
    with (
        Server(tmp_path / "state", *LOOPBACK, "--ping-s=1", "--pong-s=1") as server,
        FrameSocket(server.port, "/comet/ws?channel=a") as client,
    ):
        assert client.next().opcode == TEXT
        client.send(frame(TEXT, b"x" * 100)[:50])
        assert list(client.rest()) == [Frame(PING, b""), Frame(CLOSE, struct.pack(">H", 3012) + b"no pong")]


def test_a_flood_of_pings(server: Server) -> None:
    """A hundred thousand pings in a row are all answered to a client that reads, in order with its requests."""
    pings = 100_000
    with FrameSocket(server.port, "/comet/ws") as client, ThreadPoolExecutor(1) as threads:
        client.next()
        sent = threads.submit(client.send, frame(PING, b"!") * pings, frame(TEXT, b'{"op":"ping","id":1}'))
        assert all(client.next() == Frame(PONG, b"!") for _ in range(pings))
        assert json_of(client.next())["id"] == 1
        sent.result()


# -- echo

SIZES: Final = (0, 1, 125, 126, 127, 65_535, 65_536, MEGABYTE, 16 * MEGABYTE)


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("fragment_bytes", [None, 65_000])
@pytest_twisted.ensureDeferred
async def test_echo(server: Server, deflate: bool, fragment_bytes: int | None) -> None:
    """What Autobahn sends comes back as it was: of every size, text and binary, whole and in fragments, compressed."""
    client = await autobahn(server.port, "/echo", deflate=deflate)
    text = "κόσμε, 😀 and all that is ASCII; " * 64
    noise = os.urandom(MEGABYTE)
    for size in SIZES:
        whole = text.encode() * (size // len(text.encode()) + 1)
        cut = whole[:size].decode(errors="ignore")
        for payload in (cut + "." * (size - len(cut.encode())), (noise * (size // MEGABYTE + 1))[:size]):
            is_binary = isinstance(payload, bytes)
            data = payload if is_binary else payload.encode()
            assert len(data) == size
            client.sendMessage(data, is_binary, fragmentSize=fragment_bytes)
            assert await client.receive() == payload
    await client.close()
    assert client.ended == (True, 1000, None)
