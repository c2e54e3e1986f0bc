"""A bare Klein endpoint, which single pushes are compared with: `python bare_klein.py PORT`.

It decodes the body of `POST /api/push`, answers a fixed JSON object and does nothing else. A `GET` waits for ever, so
that the same load client can hold its clients here.
"""

from __future__ import annotations

import io
import json
import sys
from typing import Any

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.web.server import Request

app = Klein()


@app.route("/api/push", methods=["POST"])
def push(request: Request) -> bytes:
    """Answer a push."""
    json.loads(request.content.read() if request.content else b"")
    request.setHeader(b"content-type", b"application/json")
    return b'{"id":"e-1","status":"sent"}'


@app.route("/<client>", methods=["GET"])
def wait(request: Request, client: str) -> Deferred[Any]:
    """Hold a poll."""
    waiting: Deferred[Any] = Deferred()
    request.notifyFinish().addErrback(lambda _: None)
    return waiting


class _Nowhere(io.StringIO):
    """A log that keeps nothing."""

    def write(self, text: str) -> int:
        """Take it and forget it."""
        return len(text)


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]), logFile=_Nowhere())
