"""Fuzzing of a WebSocket's requests: a million inputs, and each is a request as the contract has it, or an error.

Needs atheris (`make bench` installs it). What holds for all: nothing is raised but an `OpError` of the catalogue; a
request that passes names channels that clients may name, and data that is JSON of the allowed size in one line; the
answers to it, and to an error, are JSON. The seeds are `bench/corpus/ops/`.
"""

from __future__ import annotations

import json
import sys
from typing import Final

from bench.figures import Figure, Options
from bench.fuzzing import CORPORA, fuzz, main

CORPUS: Final = CORPORA / "ops"
MOST_DATA_BYTES: Final = 200


def run(options: Options) -> list[Figure]:
    """Fuzz in a process of its own."""
    return fuzz("bench.fuzz_ops", CORPUS, options)


def check(payload: bytes) -> None:
    """Hold one input against what holds for all.

    Raises:
        AssertionError, ValueError: it does not hold.
    """
    from megacomet.errors import OP_CODES, OpError
    from megacomet.wire import ops

    error = None
    try:
        request = ops.parse(payload, MOST_DATA_BYTES)
    except OpError as e:
        error = e
    if error is not None:
        assert error.code in OP_CODES
        answer = json.loads(ops.error(error.id, error.code, error.message))
        assert ("id" in answer) == (error.id is not None)
        return
    assert isinstance(json.loads(payload), dict)
    if isinstance(request, ops.Publish):
        assert len(request.data) <= MOST_DATA_BYTES
        assert b"\n" not in request.data
        json.loads(request.data)
    for channel in _channels(request):
        channel.decode("utf-8")
        assert 1 <= len(channel) <= 255
        assert channel[:1] not in (b"@", b"\0", b"\x01", b" ")
        assert channel != b"*"
    if request.id is not None:
        assert json.loads(ops.ok_position(request.id, b"e-1"))["id"] == json.loads(request.id)


def _channels(request: object) -> tuple[bytes, ...]:
    one = getattr(request, "channel", None)
    return (one,) if one is not None else getattr(request, "channels", ())


if __name__ == "__main__":
    main(sys.argv[1:], check, ["megacomet.wire.ops", "megacomet.wire.jsonbytes"])
