"""Pushes that a worker has decoded, on their way to the publisher and back.

Boxes are worked off in their order, a slice a turn, and none while there is no room: so a worker whose boxes stay
unanswered decodes no more. What is not known yet when a box is through, since workers still count, is told later.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from megacomet.errors import Refused
from megacomet.model.keys import ADMIN, PUSH, UNKNOWN_KEY, Keys
from megacomet.model.message import Published
from megacomet.model.position import format_position
from megacomet.publishing.pace import Pace
from megacomet.publishing.publisher import Publisher
from megacomet.publishing.pushing import Outcome, Sender, refused
from megacomet.wire.push import PushResult
from megacomet.wire.pushed import SentPush, decode_pushes, encode_told, encode_told_one

_LESS = "the key does not allow this any more"


@attrs.define(eq=False)
class _Box:
    """A box of pushes: how many are still to be given to the publisher, and what became of the others."""

    left: int
    told: list[bytes] = attrs.field(factory=list)


class Intake:
    """What one worker pushes."""

    _log = Logger()

    def __init__(
        self, publisher: Publisher, keys: Keys, tell: Callable[[bytes, int], None], broken: Callable[[], None]
    ) -> None:
        """
        Args:
            publisher: publishes.
            keys: those that are accepted; the worker's may be those of a moment ago.
            tell: takes what became of pushes, and how many of their boxes are worked off.
            broken: called after an error of ours: nothing is taken any more.
        """
        self._publisher = publisher
        self._keys = keys
        self._tell = tell
        self._broken = broken
        self._pace: Pace[tuple[SentPush | None, _Box]] = Pace(publisher, self._publish, lambda: None, self._failed)
        #: those who may push, by the id of their key, as long as the keys stay
        self._senders: dict[bytes, Sender] = {}
        self._version = keys.version
        self._unhanded: _Box | None = None
        self._late: list[bytes] = []
        self._turn: IDelayedCall | None = None
        self._is_lost = False

    def take(self, pushes: bytes) -> None:
        """Publish a box of pushes, behind those that came before; an empty one is worked off when those are.

        Raises:
            ValueError: it is none.
        """
        sent: list[SentPush | None] = [*decode_pushes(pushes)] or [None]
        box = _Box(len(sent))
        self._pace.put((push, box) for push in sent)

    def lost(self) -> None:
        """The worker's link is lost: what it has pushed is published, and nobody is told."""
        self._is_lost = True
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _publish(self, item: tuple[SentPush | None, _Box]) -> bool:
        sent, box = item
        if self._keys.version != self._version:
            self._version = self._keys.version
            self._senders.clear()
        if sent is None:
            self._leave(box)
            return True
        push, sender = sent.push, self._senders.get(sent.identity)
        if sender is None or len(push.targets) > 1 or push.everyone or sent.wants_receipt:
            return self._publish_rare(sent, box)
        self._publisher.publish_one(push, push.targets[0], sender, partial(self._done_one, sent.number, box))
        self._leave(box)
        return True

    def _publish_rare(self, sent: SentPush, box: _Box) -> bool:
        """Publish what is not to one target, or wants more than that, or is a publisher's first."""
        number, push = sent.number, sent.push
        identity = self._keys.by_id(sent.identity)
        if identity is None:
            self._done(number, box, refused(Refused("unauthorized", UNKNOWN_KEY)))
        elif not identity.allows(ADMIN if push.everyone else PUSH):
            # Its worker has accepted it: the key was taken back a moment ago, or since its batch began.
            self._done(number, box, refused(Refused("forbidden", _LESS)))
        else:
            sender = self._senders[identity.id] = Sender(identity)
            if sent.origin:
                sender = Sender(identity, *_read_origin(sent.origin))
            done = partial(self._done, number, box)
            self._unhanded = box
            self._pace.spend(len(push.targets))
            if not self._publisher.publish(push, sender, done, wants_receipt=sent.wants_receipt, handed=self._handed):
                return False
            self._unhanded = None
        self._leave(box)
        return True

    def _handed(self) -> None:
        box, self._unhanded = self._unhanded, None
        assert box is not None
        self._leave(box)
        self._pace.handed()

    def _leave(self, box: _Box) -> None:
        box.left -= 1
        if not box.left and not self._is_lost:
            self._tell(b"".join(box.told), 1)

    def _done_one(self, number: int, box: _Box, outcome: Published | Refused) -> None:
        if isinstance(outcome, Refused):
            result = PushResult(b"", b"", "refused", code=outcome.code)
            told = encode_told(number, [result], (outcome.code, outcome.detail))
        else:
            id_ = format_position(self._publisher.publisher.epoch, outcome.offset)
            told = encode_told_one(number, id_, outcome.status, outcome.repeated)
        self._note(box, told)

    def _done(self, number: int, box: _Box, outcome: Outcome) -> None:
        why = None if outcome.refusal is None else (outcome.refusal.code, outcome.refusal.detail)
        self._note(box, encode_told(number, outcome.results, why))

    def _note(self, box: _Box, told: bytes) -> None:
        if box.left:
            box.told.append(told)
        elif not self._is_lost:
            self._late.append(told)
            if self._turn is None:
                self._turn = self._publisher.reactor.callLater(0, self._tell_late)

    def _tell_late(self) -> None:
        self._turn = None
        late, self._late = self._late, []
        self._tell(b"".join(late), 0)

    def _failed(self, failure: Failure) -> None:
        self._log.failure("what a worker pushes cannot be published", failure)
        if not self._is_lost:
            self._broken()


def _read_origin(origin: bytes) -> tuple[str, Callable[[], str | None]]:
    """Return request id and address of a push that is to be noted."""
    request_id, address = json.loads(origin)
    return request_id, lambda: address
