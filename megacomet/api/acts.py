"""What a request changes: the answer, and the line in the audit log, written also when nobody waits any more."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred

from megacomet.api.request import Request


class Act(NamedTuple):
    """What was done.

    Attributes:
        body: of the answer, JSON.
        noted: what the audit log says of it besides, see `IAudit.note`.
    """

    body: bytes
    noted: dict[str, Any]


def act(request: Request, action: str, doing: Coroutine[Deferred[Any], Any, Act], status: int = 200) -> Deferred[None]:
    """Do something, note it when it is done, and answer.

    Args:
        request: asks for it.
        action: what the audit log calls it.
        doing: does it; a `PeerError` of it is the answer, and is not noted: nothing has changed.
        status: of the answer.

    Returns:
        what fires when the answer is written. To cancel it, as Klein does when the client goes away, ends the wait for
        the answer and not what is done.
    """
    answered: Deferred[Act] = Deferred()

    def done(what: Act) -> None:
        request.audit(action, **what.noted)
        answered.callback(what)

    Deferred.fromCoroutine(doing).addCallback(done).addErrback(answered.errback)
    return answered.addCallback(lambda what: request.reply(status, what.body))
