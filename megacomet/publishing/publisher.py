"""The manager's way from a push to the router and back.

Owns keys made the publisher's own, receipts waited for, many targets taken in slices so that others get their turn, and
the note of what was pushed to everyone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from msgspec.structs import replace
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from megacomet.errors import Refused
from megacomet.model.message import Publication, Published
from megacomet.model.notes import IAudit
from megacomet.model.position import format_position
from megacomet.model.receipts import Receipt
from megacomet.names import EVERYONE
from megacomet.publishing.pushing import SLICE, IPressure, Outcome, Sender, refused
from megacomet.wire.cutoff import CutOff
from megacomet.wire.push import Push, PushResult

#: Workers report when their connections have taken the message; who waits longer than this knows less, not more.
RECEIPT_S: Final = 5.0


class IPublisher(Protocol):
    """Takes messages, one by one and in order: `model.router.Router`."""

    @property
    def epoch(self) -> bytes:
        """The log's epoch."""

    @property
    def head(self) -> int:
        """The offset of the last message that was handed out."""

    def publish(
        self,
        publication: Publication,
        now: float,
        done: Callable[[Published | Refused], None],
        receipt: Receipt | None = None,
    ) -> None:
        """Publish; see `Router.publish`."""

    def cut_off(self, mailbox: bytes, cut: CutOff, done: Callable[[int], None]) -> None:
        """End the connections of a client; see `Router.cut_off`."""


class Publisher:
    """Publishes pushes; an `IPushing`."""

    def __init__(
        self,
        publisher: IPublisher,
        pressure: IPressure,
        notes: IAudit,
        reactor: IReactorTime,
        now: Callable[[], float],
        max_data_bytes: int,
    ) -> None:
        """
        Args:
            publisher: takes the messages.
            pressure: tells when to wait.
            notes: takes note of what was pushed to everyone.
            reactor: for timers and turns.
            now: the clock of the model, seconds.
            max_data_bytes: the most that the data of a message may have.
        """
        self.publisher = publisher
        self.pressure = pressure
        self.reactor = reactor
        self.now = now
        self.batches = 0
        self.max_data_bytes = max_data_bytes
        self._notes = notes

    def position(self) -> bytes:
        """See `IPushing.position`."""
        return format_position(self.publisher.epoch, self.publisher.head)

    def ask_position(self, done: Callable[[bytes], None]) -> None:
        """See `IPushing.ask_position`."""
        done(self.position())

    def publish(
        self,
        push: Push,
        sender: Sender,
        done: Callable[[Outcome], None],
        *,
        wants_receipt: bool = False,
        handed: Callable[[], None] | None = None,
    ) -> bool:
        """See `IPushing.publish`; who wants a receipt waits for it `RECEIPT_S` at most."""
        if push.everyone:
            done = partial(self._to_everyone, sender, done)
        if len(push.targets) > 1 or wants_receipt or self.pressure.full():
            return _Publishing(self, push, sender, done, wants_receipt, handed).start()
        channel = push.targets[0]

        def answered(outcome: Published | Refused) -> None:
            result = self.result_of(channel, outcome)
            refusal = outcome if isinstance(outcome, Refused) else None
            done(Outcome([result], refusal, refusal is None))

        self.publish_one(push, channel, sender, answered)
        return True

    def publish_one(
        self, push: Push, channel: bytes, sender: Sender, done: Callable[[Published | Refused], None]
    ) -> None:
        """Publish to one target, of one or of many; `done` is called once, perhaps before this returns."""
        self.publisher.publish(self.publication(push, channel, sender), self.now(), done)

    def _to_everyone(self, sender: Sender, done: Callable[[Outcome], None], outcome: Outcome) -> None:
        """Note a push to everyone; one that published nothing, because it repeats another, is none."""
        note = partial(
            self._notes.note,
            "push-everyone",
            key=sender.identity.name,
            address=sender.address(),
            request_id=sender.request_id,
        )
        for result in outcome.results:
            if result.channel == EVERYONE and not result.repeated:
                if result.code:
                    note(result=result.code)
                else:
                    note(id=result.id.decode())
        if outcome.refusal is not None and not outcome.results:  # as a whole: an error of ours, in a later turn
            note(result=outcome.refusal.code)
        done(outcome)

    @staticmethod
    def publication(push: Push, channel: bytes, sender: Sender) -> Publication:
        """Return what is published to one target. Its key is one for each API key and target: no name holds a NUL."""
        key = None if push.key is None else b"%b%b\0%b" % (sender.identity.id, channel, push.key)
        return Publication(channel, push.data, push.ttl_s, key)

    def result_of(self, channel: bytes, outcome: Published | Refused) -> PushResult:
        """Return what the publisher of one message is told."""
        if isinstance(outcome, Refused):
            return PushResult(channel, b"", "refused", code=outcome.code)
        return PushResult(
            channel, format_position(self.publisher.epoch, outcome.offset), outcome.status, outcome.repeated
        )


class _Publishing:
    """One push to many targets, or one that waits."""

    _log = Logger()

    def __init__(
        self,
        publisher: Publisher,
        push: Push,
        sender: Sender,
        done: Callable[[Outcome], None],
        wants_receipt: bool,
        handed: Callable[[], None] | None,
    ) -> None:
        self._publisher = publisher
        self._push = push
        self._sender = sender
        self._done = done
        self._wants_receipt = wants_receipt
        self._handed = handed
        self._next = 0
        self._results: dict[int, PushResult] = {}
        self._receipts: dict[int, Receipt] = {}
        self._total = self._uncounted = len(push.targets)
        self._refusal: Refused | None = None
        self._accepted = False
        self._is_over = False
        self._timer: IDelayedCall | None = None

    def start(self) -> bool:
        """Begin; return whether all targets were given to the publisher."""
        self._go_on()
        if self._next == self._total:
            return True
        # Only now: what is not handed on at once is handed on in another turn.
        self._go_on_later()
        return False

    def _go_on(self) -> None:
        """Publish to the next targets."""
        targets, publisher = self._push.targets, self._publisher
        now, end = publisher.now(), min(self._next + SLICE, self._total)
        while self._next < end and not publisher.pressure.full():
            index = self._next
            self._next += 1
            if self._wants_receipt:
                self._receipts[index] = Receipt(self._counted)
            publisher.publisher.publish(
                publisher.publication(self._push, targets[index], self._sender),
                now,
                partial(self._published, index),
                self._receipts.get(index),
            )

    def _go_on_later(self) -> None:
        publisher = self._publisher
        if publisher.pressure.full():
            publisher.pressure.wait().addCallback(lambda _: self._another_slice())
        else:
            publisher.reactor.callLater(0, self._another_slice)

    def _another_slice(self) -> None:
        try:
            self._go_on()
        except Exception:  # nobody who waits for the answer is there to catch it
            self._fail()
        if self._next < self._total:
            self._go_on_later()
        elif self._handed is not None:
            self._handed()

    def _fail(self) -> None:
        """An error of ours: publish no more of it."""
        self._log.failure("a push to {targets} targets failed at number {at}", targets=self._total, at=self._next)
        self._next = self._total
        if not self._is_over:
            self._over(refused(Refused("internal")))

    def _over(self, outcome: Outcome) -> None:
        self._is_over = True  # what is told or counted from now on comes too late
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._done(outcome)

    def _published(self, index: int, outcome: Published | Refused) -> None:
        self._results[index] = self._publisher.result_of(self._push.targets[index], outcome)
        if isinstance(outcome, Refused):
            self._refusal = self._refusal or outcome
        else:
            self._accepted = True
        if isinstance(outcome, Refused) or outcome.repeated:
            self._uncounted -= 1  # nobody will
        self._check()

    def _counted(self, _: int) -> None:
        self._uncounted -= 1
        self._check()

    def _check(self) -> None:
        """Answer when nothing is awaited any more."""
        if self._is_over or len(self._results) < self._total:
            return
        if not self._wants_receipt or not self._uncounted:
            self._finish()
        elif self._timer is None:
            self._timer = self._publisher.reactor.callLater(RECEIPT_S, self._finish)

    def _finish(self) -> None:
        results = [self._results[i] for i in range(self._total)]
        if self._wants_receipt:
            # Also of a message of which not all workers have told it yet: what is known by now.
            results = [replace(r, connections=self._receipts[i].connections) for i, r in enumerate(results)]
        self._over(Outcome(results, self._refusal, self._accepted))
