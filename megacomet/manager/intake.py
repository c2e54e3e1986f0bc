"""Pushes that a worker has decoded, on their way to the publisher and back.

Boxes are worked off in their order, a slice a turn, and none while there is no room: so a worker whose boxes stay
unanswered decodes no more. What is not known yet when a box is through, since workers still count, is told later.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from megacomet.errors import Refused
from megacomet.model.keys import ADMIN, PUSH, UNKNOWN_KEY, Keys
from megacomet.publishing.pace import Pace
from megacomet.publishing.pushing import IPushing, Outcome, Sender, refused
from megacomet.wire.pushed import SentPush, decode_pushes, encode_told

_LESS = "the key does not allow this any more"


@attrs.define(eq=False)
class _Box:
    """A box of pushes: how many are still to be given to the publisher, and what became of the others."""

    left: int
    answer: Deferred[bytes]
    told: list[bytes] = attrs.field(factory=list)


class Intake:
    """What one worker pushes."""

    _log = Logger()

    def __init__(
        self, pushing: IPushing, keys: Keys, tell: Callable[[bytes], None], broken: Callable[[], None]
    ) -> None:
        """
        Args:
            pushing: publishes.
            keys: those that are accepted; the worker's may be those of a moment ago.
            tell: takes what became of pushes whose box was answered before.
            broken: called after an error of ours: nothing is taken any more.
        """
        self._pushing = pushing
        self._keys = keys
        self._tell = tell
        self._broken = broken
        self._pace: Pace[tuple[SentPush, _Box]] = Pace(pushing, self._publish, lambda: None, self._failed)
        self._unhanded: _Box | None = None
        self._late: list[bytes] = []
        self._turn: IDelayedCall | None = None
        self._is_lost = False

    def take(self, pushes: bytes) -> Deferred[bytes]:
        """Publish a box of pushes, behind those that came before.

        Returns:
            what fires with what became of them, as far as it is known then, when another box may come.

        Raises:
            ValueError: it is none.
        """
        sent = list(decode_pushes(pushes))
        answer: Deferred[bytes] = Deferred()
        box = _Box(len(sent), answer)
        if sent:
            self._pace.put((push, box) for push in sent)
        else:
            answer.callback(b"")
        return answer

    def lost(self) -> None:
        """The worker's link is lost: what it has pushed is published, and nobody is told."""
        self._is_lost = True
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _publish(self, item: tuple[SentPush, _Box]) -> bool:
        sent, box = item
        number, push, identity_id, wants_receipt, origin = sent
        identity = self._keys.by_id(identity_id)
        done = partial(self._done, number, box)
        if identity is None or not identity.allows(ADMIN if push.everyone else PUSH):
            # Its worker has accepted it: the key was taken back a moment ago, or since its batch began.
            done(refused(Refused("unauthorized", UNKNOWN_KEY) if identity is None else Refused("forbidden", _LESS)))
            self._leave(box)
            return True
        sender = Sender(identity, *_read_origin(origin)) if origin else Sender(identity)
        self._unhanded = box
        self._pace.spend(len(push.targets))
        if self._pushing.publish(push, sender, done, wants_receipt=wants_receipt, handed=self._handed):
            self._unhanded = None
            self._leave(box)
            return True
        return False

    def _handed(self) -> None:
        box, self._unhanded = self._unhanded, None
        assert box is not None
        self._leave(box)
        self._pace.handed()

    def _leave(self, box: _Box) -> None:
        box.left -= 1
        if not box.left and not self._is_lost:
            box.answer.callback(b"".join(box.told))

    def _done(self, number: int, box: _Box, outcome: Outcome) -> None:
        results, refusal, _ = outcome
        told = encode_told(number, results, None if refusal is None else (refusal.code, refusal.detail))
        if box.left:
            box.told.append(told)
        elif not self._is_lost:
            self._late.append(told)
            if self._turn is None:
                self._turn = self._pushing.reactor.callLater(0, self._tell_late)

    def _tell_late(self) -> None:
        self._turn = None
        late, self._late = self._late, []
        self._tell(b"".join(late))

    def _failed(self, failure: Failure) -> None:
        self._log.failure("what a worker pushes cannot be published", failure)
        if not self._is_lost:
            self._broken()


def _read_origin(origin: bytes) -> tuple[str, Callable[[], str | None]]:
    """Return request id and address of a push that is to be noted."""
    request_id, address = json.loads(origin)
    return request_id, lambda: address
