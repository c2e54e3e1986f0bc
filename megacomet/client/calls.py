"""Calls of the API, on treq."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.python.failure import Failure
from twisted.web.client import RequestTransmissionFailed

from megacomet.client.http import Http, head_of, said, whole_body
from megacomet.client.items import Pushed
from megacomet.client.objects import JSON, PROBLEM
from megacomet.client.pushing import Targets, pushed_of, rejected_of
from megacomet.errors import CallError, MegaCometError, NoServer, Unanswered

_NOT_SENT: Final = (ConnectError, DNSLookupError, OSError, RequestTransmissionFailed)


async def post_push(
    http: Http, reactor: Any, key: str | None, targets: Targets, body: bytes, receipt: bool, timeout_s: float
) -> list[Pushed]:
    """Push; see `Client.push`."""
    headers = {"Content-Type": JSON, "Accept": f"{JSON}, {PROBLEM}"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    path = "/api/push?receipt=1" if receipt else "/api/push"
    asked = http.post(path, headers, body)
    timer = reactor.callLater(timeout_s, asked.cancel)
    try:
        response = await asked
        head = head_of(response)
        reading = whole_body(response)
        timer.cancel()
        timer = reactor.callLater(timeout_s, reading.cancel)
        answer = await reading
    except MegaCometError:
        raise
    except Exception as e:
        raise _failed(e, http, timeout_s) from None
    finally:
        if timer.active():
            timer.cancel()
    if head.kind == PROBLEM:
        raise rejected_of(head.status, answer)
    if head.status != 200 or head.kind != JSON:
        what = f"{head.status} and {head.kind or 'no type'}"
        raise CallError(f"{http.place} answers with {what}, and nothing of MegaComet's")
    return pushed_of(answer, targets)


def _failed(error: Exception, http: Http, timeout_s: float) -> CallError:
    if isinstance(error, _NOT_SENT):
        return NoServer(f"no server answers at {http.place}: {said(Failure(error))}")
    why = f"no answer within {timeout_s:g} s" if isinstance(error, CancelledError) else said(Failure(error))
    return Unanswered(f"{http.place}: {why}; the message may have been published")
