"""Calls of the API, on treq."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.python.failure import Failure

from megacomet.client.failures import said
from megacomet.client.http import Http, head_of, whole_body
from megacomet.client.items import Pushed
from megacomet.client.objects import JSON, PROBLEM
from megacomet.client.pushing import Targets, pushed_of, rejected_of
from megacomet.errors import CallError, NoServer, Unanswered

T = TypeVar("T")

_NOT_SENT: Final = (ConnectError, DNSLookupError, OSError)


class _Deadline:
    """Cancels what is waited for when it takes too long.

    Attributes:
        has_passed: whether it did.
    """

    def __init__(self, reactor: Any, timeout_s: float) -> None:
        self.has_passed = False
        self._reactor = reactor
        self._timeout_s = timeout_s

    async def wait(self, deferred: Deferred[T]) -> T:
        """Wait for a result."""
        timer = self._reactor.callLater(self._timeout_s, self._pass, deferred)
        try:
            return await deferred
        finally:
            if timer.active():
                timer.cancel()

    def _pass(self, deferred: Deferred[Any]) -> None:
        self.has_passed = True
        deferred.cancel()


async def post_push(
    http: Http, reactor: Any, key: str | None, targets: Targets, body: bytes, receipt: bool, timeout_s: float
) -> list[Pushed]:
    """Push; see `Client.push`.

    Args:
        http: where.
        reactor: Twisted's.
        key: of the API; None: none.
        targets: where the push goes.
        body: of the request.
        receipt: whether to wait until it is written, and to how many connections.
        timeout_s: how long to wait for the answer, and then for all of it.
    """
    headers = {"Content-Type": JSON, "Accept": f"{JSON}, {PROBLEM}"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    deadline = _Deadline(reactor, timeout_s)
    try:
        response = await deadline.wait(http.post("/api/push?receipt=1" if receipt else "/api/push", headers, body))
        head = head_of(response)
        answer = await deadline.wait(whole_body(response))
    except Exception as e:
        why = f"no answer within {timeout_s:g} s" if deadline.has_passed else said(Failure(e))
        if isinstance(e, _NOT_SENT):
            raise NoServer(f"no server answers at {http.place}: {why}") from None
        raise Unanswered(f"{http.place}: {why}; the message may have been published") from None
    if head.kind == PROBLEM:
        raise rejected_of(head.status, answer)
    if head.status != 200 or head.kind != JSON:
        what = f"{head.status} and {head.kind or 'no type'}"
        raise CallError(f"{http.place} answers with {what}, and nothing of MegaComet's")
    return pushed_of(answer, targets)
