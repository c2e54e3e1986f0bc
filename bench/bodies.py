"""Owns what the load clients of pushes send: requests and bodies, made once and sent over and over; no sockets.

The data of a message is the same for all servers, JSON of an exact size. What is around it is each server's own: the
channel stands in MegaComet's and Pushpin's body and in the path of the others.
"""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable
from typing import Final, NamedTuple

_EMPTY: Final = b'{"text":""}'
#: Stands in data for the time at which it is sent, as `bench.readers` looks for it.
STAMP: Final = b"t=" + 20 * b"0"
#: As much as is read at once of a body; a chunk that is larger would only be cut.
CHUNK_BYTES: Final = 64 * 1024
#: A sequence that is the same in every run.
_SEED: Final = 7


class Piece(NamedTuple):
    """A chunk of a batch, with its framing.

    Attributes:
        lines: how many it holds, all of them whole.
    """

    data: bytes
    lines: int


def data_of(size: int) -> bytes:
    """Return a JSON object of exactly so many bytes.

    Raises:
        ValueError: there is none that is so small.
    """
    if size < len(_EMPTY):
        raise ValueError(f"the data has {len(_EMPTY)} bytes at least")
    return _EMPTY[:-2] + b"x" * (size - len(_EMPTY)) + _EMPTY[-2:]


def stamped_data(size: int) -> bytes:
    """Return the same with the stamp at the end of its text.

    Raises:
        ValueError: there is none that is so small.
    """
    return data_of(size - len(STAMP))[:-2] + STAMP + _EMPTY[-2:]


def stamped(request: bytes, now_ns: int) -> bytes:
    """Return a request with the time in the place of its stamp."""
    return request.replace(STAMP, b"t=%020d" % now_ns, 1)


def push_request(port: int, key: str, channel: int, data: bytes) -> bytes:
    """Return a push to MegaComet."""
    body = b'{"channel":"c%d","data":%b}' % (channel, data)
    return _request("/api/push", port, f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n", body)


def publish_request(port: int, key: str, channel: int, data: bytes) -> bytes:
    """Return a publish to a server that takes the data as they are: Nchan, and the plain ones; none asks for a key."""
    return _request(f"/push?channel=c{channel}", port, "Content-Type: application/json\r\n", data)


def grip_request(form: str, before: str, after: str, port: int, key: str, channel: int, data: bytes) -> bytes:
    """Return a publish to Pushpin, which asks for no key.

    Args:
        form: what its clients are sent, `ws-message` or `http-stream`; with `before` and `after` around the data.
    """
    item = {"channel": f"c{channel}", "formats": {form: {"content": before + data.decode() + after}}}
    return _request("/publish/", port, "Content-Type: application/json\r\n", json.dumps({"items": [item]}).encode())


REQUESTS: Final[dict[str, Callable[[int, str, int, bytes], bytes]]] = {
    "megacomet": push_request,
    "nchan": publish_request,
    "plain": publish_request,
    "pushpin-sse": functools.partial(grip_request, "http-stream", "data: ", "\n\n"),
    "pushpin-ws": functools.partial(grip_request, "ws-message", "", ""),
}


def _request(path: str, port: int, headers: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def shuffled(channels: int) -> list[int]:
    """Return the numbers of the channels in an order that is none, the same in every run."""
    numbers = list(range(channels))
    random.Random(_SEED).shuffle(numbers)
    return numbers


def batch_head(port: int, key: str) -> bytes:
    """Return the head of a batch that ends when it likes."""
    return (
        f"POST /api/batch HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    ).encode()


def batch_pieces(channels: int, data: bytes) -> list[Piece]:
    """Return chunks that together have one line for each channel."""
    pieces, held, size = [], list[bytes](), 0
    for channel in shuffled(channels):
        line = b'{"channel":"c%d","data":%b}\n' % (channel, data)
        if size + len(line) > CHUNK_BYTES:
            pieces.append(_piece(held))
            held, size = [], 0
        held.append(line)
        size += len(line)
    return [*pieces, _piece(held)]


def _piece(lines: list[bytes]) -> Piece:
    body = b"".join(lines)
    return Piece(b"%x\r\n%b\r\n" % (len(body), body), len(lines))


BATCH_END: Final = b"0\r\n\r\n"


def answer_size(data: bytes) -> int:
    """Return how many bytes the first answer takes, 0 when its head is not there yet; it must tell its length.

    Raises:
        ValueError: it does not.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 0
    at = data.find(b"\r\nContent-Length: ", 0, end)
    if at < 0:
        at = data[:end].lower().find(b"\r\ncontent-length: ")
        if at < 0:
            raise ValueError(f"an answer without a length: {data[:end]!r}")
    return end + 4 + int(data[at + 18 : data.index(b"\r", at + 18)])


def is_last(answer: bytes) -> bool:
    """Tell whether the server closes the connection behind an answer, by its head."""
    return 0 < answer.find(b"onnection: close") < answer.find(b"\r\n\r\n")
