"""Doubles of the seam between who decodes pushes and who publishes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.base import DelayedCall
from twisted.internet.task import Clock

from megacomet.errors import Refused
from megacomet.model.keys import Identity
from megacomet.publishing.pushing import Outcome, Sender
from megacomet.wire.push import Push, PushResult

from .doors import FakePressure

ADMIN = Sender(Identity(b"i" * 8, "admin", "shop"), "r-1", lambda: "192.0.2.1")


def push_to(*targets: bytes, data: bytes = b"1", key: bytes | None = None) -> Push:
    """Return a push."""
    return Push(targets, len(targets) == 1, data, None, key, b"*" in targets)


class Steps(Clock):
    """A clock whose turns are seen one by one: `Clock.advance` also makes calls that were added meanwhile."""

    #: What a turn takes, in seconds that add up exactly.
    TURN_S = 2.0**-20

    def callLater(self, when: float, what: Callable[..., object], *args: Any, **named: Any) -> DelayedCall:
        return super().callLater(when or self.TURN_S, what, *args, **named)

    def turn(self) -> None:
        """Turn once."""
        self.advance(self.TURN_S)


class FakePushing:
    """Publishes when the test says so; an `IPushing`.

    Attributes:
        given: what it was given, in order.
        waiting: what would answer each push that is not answered.
        unhanded: what would say of the last push that nothing can overtake it.
        asking: who waits for a position.
        is_late: whether pushes, and who asks for a position, are answered when the test says so, not at once.
        is_slow: whether pushes can be overtaken until the test says no.
        is_repeated: whether all was published before.
        broken: raised by the next push.
    """

    def __init__(self) -> None:
        self.reactor = Steps()
        self.pressure = FakePressure()
        self.batches = 0
        self.max_data_bytes = 65536
        self.given: list[tuple[Push, Sender, bool]] = []
        self.waiting: list[Callable[[], None]] = []
        self.asking: list[Callable[[bytes], None]] = []
        self.unhanded: Callable[[], None] | None = None
        self.is_late = self.is_slow = self.is_repeated = False
        self.refuse: dict[bytes, str] = {}
        self.broken: Exception | None = None

    def position(self) -> bytes:
        """Return how much it was given."""
        return b"e1-%d" % len(self.given)

    def ask_position(self, done: Callable[[bytes], None]) -> None:
        """See `IPushing.ask_position`."""
        self.asking.append(done)
        if not self.is_late:
            self.tell_position()

    def tell_position(self) -> None:
        """Tell all who asked; others have published a hundred."""
        asking, self.asking = self.asking, []
        for done in asking:
            done(b"e1-%d" % (len(self.given) + 100))

    def publish(
        self,
        push: Push,
        sender: Sender,
        done: Callable[[Outcome], None],
        *,
        wants_receipt: bool = False,
        handed: Callable[[], None] | None = None,
    ) -> bool:
        """See `IPushing.publish`."""
        if self.broken is not None:
            raise self.broken
        assert self.unhanded is None, "this overtakes the one before"
        self.given.append((push, sender, wants_receipt))
        outcome = self._outcome(push)
        if self.is_late:
            self.waiting.append(lambda: done(outcome))
        else:
            done(outcome)
        if self.is_slow:
            self.unhanded = handed or (lambda: None)
        return not self.is_slow

    def _outcome(self, push: Push) -> Outcome:
        results = []
        for channel in push.targets:
            code = self.refuse.get(channel, "")
            id_ = b"" if code else b"e1-%d" % len(self.given)
            results.append(PushResult(channel, id_, "refused" if code else "sent", self.is_repeated, code=code))
        codes = [result.code for result in results if result.code]
        return Outcome(results, Refused(codes[0], "full") if codes else None, len(codes) < len(results))

    def hand(self) -> None:
        """Nothing can overtake the last push any more."""
        unhanded, self.unhanded = self.unhanded, None
        if unhanded is not None:
            unhanded()

    def answer(self, order: Sequence[int] | None = None) -> None:
        """Answer what waits, in this order."""
        waiting, self.waiting = self.waiting, []
        for index in order or range(len(waiting)):
            waiting[index]()

    def targets(self) -> list[bytes]:
        """Return what was published to, in order."""
        return [target for push, _, _ in self.given for target in push.targets]
