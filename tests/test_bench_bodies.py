"""What the load clients of pushes send is right for the server, and as large as it says."""

from __future__ import annotations

import json

import pytest

from bench import bodies
from bench.bodies import (
    CHUNK_BYTES,
    answer_size,
    batch_pieces,
    data_of,
    is_last,
    publish_request,
    push_request,
    shuffled,
    stamped,
    stamped_data,
)


@pytest.mark.parametrize("size", [11, 20, 100])
def test_data(size: int) -> None:
    """The data is JSON of exactly so many bytes."""
    data = data_of(size)
    assert len(data) == size
    assert set(json.loads(data)) == {"text"}


def test_data_that_is_too_small() -> None:
    """There is no JSON object with a text in fewer bytes."""
    with pytest.raises(ValueError, match="11 bytes"):
        data_of(10)


def test_requests() -> None:
    """Both servers get the same data for the same channel, and its length."""
    ours, theirs = (make(80, "k", 7, data_of(100)) for make in (push_request, publish_request))
    head, _, body = ours.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/push HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer k\r\n" in head
    assert head.endswith(b"Content-Length: %d" % len(body))
    assert json.loads(body) == {"channel": "c7", "data": json.loads(data_of(100))}
    assert theirs.startswith(b"POST /push?channel=c7 HTTP/1.1\r\n")
    assert theirs.endswith(b"Content-Length: 100\r\n\r\n" + data_of(100))


def test_pieces_of_a_batch() -> None:
    """Each channel has one line, lines are not cut, and each chunk says its size; the order is the same each time."""
    pieces, channels = batch_pieces(2000, data_of(100)), []
    for data, lines in pieces:
        size, _, rest = data.partition(b"\r\n")
        assert rest[int(size, 16) :] == b"\r\n"
        assert len(rest) - 2 <= CHUNK_BYTES
        pushes = [json.loads(line) for line in rest[:-2].splitlines()]
        assert len(pushes) == lines
        channels += [push["channel"] for push in pushes]
    assert len(pieces) > 2
    assert channels == [f"c{n}" for n in shuffled(2000)]
    assert sorted(channels) == sorted(f"c{n}" for n in range(2000))
    assert bodies.batch_head(80, "k").endswith(b"\r\nTransfer-Encoding: chunked\r\n\r\n")


@pytest.mark.parametrize("name", [b"Content-Length", b"content-length"])
def test_the_size_of_an_answer(name: bytes) -> None:
    """It is known when the head is there, however its length is spelled; of two answers that of the first."""
    answer = b"HTTP/1.1 200 OK\r\nServer: a\r\n" + name + b": 12\r\nX: y\r\n\r\nhello, world"
    head = len(answer) - 12
    assert {answer_size(answer[:n]) for n in range(head)} == {0}
    assert {answer_size((answer * 2)[:n]) for n in range(head, 2 * len(answer))} == {len(answer)}


def test_an_answer_without_a_length() -> None:
    """It is told, also when the body looks like the head."""
    with pytest.raises(ValueError, match="without a length"):
        answer_size(b"HTTP/1.1 200 OK\r\n\r\n\r\nContent-Length: 3\r\n")


def test_stamps() -> None:
    """Data may carry the time at which they are sent, at their end, where the readers look; the size stays."""
    data = stamped_data(100)
    assert len(data) == 100
    request = stamped(publish_request(80, "", 7, data), 12_345)
    assert request.endswith(b"t=00000000000000012345" + b'"}')
    assert json.loads(request.partition(b"\r\n\r\n")[2])["text"].startswith("x" * 60)


@pytest.mark.parametrize(
    ("to", "content"), [("pushpin-ws", b'{"text":"x"}'), ("pushpin-sse", b'data: {"text":"x"}\n\n')]
)
def test_pushpin_s_requests(to: str, content: bytes) -> None:
    """Pushpin is told what its clients are sent, by their transport, and may be stamped too."""
    head, _, body = bodies.REQUESTS[to](80, "", 7, data_of(12)).partition(b"\r\n\r\n")
    assert head.endswith(b"Content-Length: %d" % len(body))
    [item] = json.loads(body)["items"]
    [told] = item["formats"].values()
    assert item["channel"] == "c7"
    assert told["content"].encode() == content
    assert bodies.STAMP in bodies.REQUESTS[to](80, "", 7, stamped_data(100))


def test_the_last_answer() -> None:
    """A server says in the head that it closes the connection, however it spells that; a body does not say so."""
    assert is_last(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert is_last(b"HTTP/1.1 200 OK\r\nconnection: close\r\nContent-Length: 0\r\n\r\n")
    assert not is_last(b"HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n\r\nConnection: close")
    assert not is_last(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
