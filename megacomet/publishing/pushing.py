"""What a push is on its way: who sends it, who takes it, and what its sender is told.

The manager publishes by itself (`publisher`); a worker has its manager do it. Whoever decodes pushes, one or a batch of
them, knows only what stands here, so that a push is the same whichever way it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from megacomet.errors import PeerError, Refused
from megacomet.model.keys import ADMIN, Identity
from megacomet.wire.push import Push, PushResult, decode_push

#: Publications in one turn of the reactor: 2-4 ms.
SLICE: Final = 200


def _nowhere() -> None:
    """Return the address of nobody."""


class Sender(msgspec.Struct, frozen=True):
    """Who pushes.

    Attributes:
        identity: whose key it is.
        request_id: of the request.
        address: returns from where, as the audit log has it; asked for where something is to be noted.
    """

    identity: Identity
    request_id: str = ""
    address: Callable[[], str | None] = _nowhere


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of a push.

    Attributes:
        results: one for each target, in the order of the push; none when it was refused as a whole.
        refusal: why the first one that was refused was; None: none was.
        accepted: whether at least one was not refused.
    """

    results: list[PushResult]
    refusal: Refused | None
    accepted: bool


def refused(refusal: Refused) -> Outcome:
    """Return the outcome of a push that was refused as a whole."""
    return Outcome([], refusal, False)


class IPressure(Protocol):
    """Tells when no more messages should be taken for now: the store or a link is full."""

    def full(self) -> bool:
        """Tell whether to wait."""

    def wait(self) -> Deferred[None]:
        """Return what fires when there is room again; it never fails."""


class IPushing(Protocol):
    """Publishes pushes.

    Attributes:
        batches: that wait for their next turn; each takes its part of a turn's `SLICE`.
        reactor: for timers and turns.
        pressure: tells when to wait; who does not is made to.
        max_data_bytes: the most that the data of a message may have.
    """

    batches: int

    @property
    def reactor(self) -> IReactorTime: ...

    @property
    def pressure(self) -> IPressure: ...

    @property
    def max_data_bytes(self) -> int: ...

    def position(self) -> bytes:
        """Return a position that everything is up to of which it is known what became of it."""

    def ask_position(self, done: Callable[[bytes], None]) -> None:
        """Have the position told that everything published so far is up to, by whomever."""

    def publish(
        self,
        push: Push,
        sender: Sender,
        done: Callable[[Outcome], None],
        *,
        wants_receipt: bool = False,
        handed: Callable[[], None] | None = None,
    ) -> bool:
        """Publish to all targets of a push.

        Args:
            push: what to publish.
            sender: whose keys are meant, and who is noted.
            done: called once, when every target is answered; perhaps before this returns.
            wants_receipt: whether to wait for the number of connections too.
            handed: called when what is published next can no longer overtake it, unless this returns True.

        Returns:
            whether nothing can overtake it already.
        """


def decode(body: bytes, sender: Sender, max_data_bytes: int) -> Push:
    """Decode a push and check that its sender may do it.

    Raises:
        PeerError: `bad-json`, `bad-fields`, `too-large` or `forbidden`.
    """
    push = decode_push(body, max_data_bytes)
    if push.everyone and not sender.identity.allows(ADMIN):
        raise PeerError("forbidden", "a push to everyone needs a key of scope admin")
    return push
