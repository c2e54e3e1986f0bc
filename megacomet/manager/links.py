"""All links of the manager: who may be which worker, the beat that all have, and when publishers are to wait."""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from megacomet import link
from megacomet.manager.downlink import Downlink, IManager
from megacomet.manager.tally import Tally
from megacomet.model.keys import Keys
from megacomet.model.receipts import Token
from megacomet.model.router import Router
from megacomet.publishing.publisher import Publisher


class _Factory(Factory[Downlink]):
    """Makes the manager's end of each link; Twisted names it once, when it listens."""

    noisy = False

    def logPrefix(self) -> str:
        return "the link to the workers"


class Links:
    """All links of the manager.

    Attributes:
        workers: how many workers the server has.
        written: messages that they have written to connections: what each beat says more than the one before it on the
            same link, so that it stays when the worker is gone.
        tally: what the workers have counted.
        keys: that the API takes; the workers are told whenever they change.
        crowded: the links for which more is gathered than is good.
        publisher: publishes what workers have decoded; to be set before one of them dials.
    """

    publisher: Publisher
    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        router: Router,
        manager: IManager,
        *,
        keys: Keys,
        workers: int,
        nonce: bytes,
        uids: frozenset[int],
        clock: Callable[[], float],
    ) -> None:
        """
        Args:
            reactor: for delayed calls.
            router: attached to every link.
            manager: the rest of the manager.
            keys: that the API takes.
            workers: numbers from 0 to this less one may say hello.
            nonce: what a worker must know.
            uids: of the users that a worker may run as.
            clock: seconds, monotonic.
        """
        self.reactor = reactor
        self.router = router
        self.manager = manager
        self.keys = keys
        self.workers = workers
        self.clock = clock
        self.written = 0
        self.tally = Tally()
        self._nonce = nonce
        self._uids = uids
        self._of: dict[int, Downlink] = {}
        self.crowded: set[Downlink] = set()
        self._easing: list[Deferred[None]] = []
        self._beat = LoopingCall(self._tick)
        self._beat.clock = reactor
        keys.on_change(self._tell_keys)

    def factory(self) -> Factory[Downlink]:
        """Return the factory for the socket that workers dial."""
        return _Factory.forProtocol(lambda: Downlink(self))

    def start(self) -> None:
        """Begin to beat."""
        self._beat.start(link.BEAT_S, now=False).addErrback(
            lambda failure: self._log.failure("the beat of the links ended", failure)
        )

    def stop(self) -> None:
        """Beat no more."""
        if self._beat.running:
            self._beat.stop()

    def check(self, peer: tuple[int, int], number: int, pid: int, nonce: bytes) -> None:
        """Check who says hello.

        Raises:
            LinkRefused: it is no worker of this server.
        """
        if peer[1] not in self._uids:
            raise link.LinkRefused(f"user {peer[1]} is not the server's")
        if not compare_digest(nonce, self._nonce):
            raise link.LinkRefused("does not know the nonce")
        if peer[0] != pid:
            raise link.LinkRefused(f"says it is process {pid}, the system says {peer[0]}")
        if not 0 <= number < self.workers:
            raise link.LinkRefused(f"worker {number} of {self.workers}")
        if number in self._of:
            raise link.LinkRefused(f"worker {number} has its link already")

    def joined(self, downlink: Downlink) -> None:
        """A worker said hello."""
        self._of[downlink.number] = downlink
        self.router.attach(downlink)

    def left(self, downlink: Downlink, unanswered: list[Token]) -> None:
        """A worker's link is lost."""
        del self._of[downlink.number]
        self.router.detach(downlink, unanswered, self.clock())
        self.manager.worker_down(downlink.number)
        self.eased()

    def _tell_keys(self) -> None:
        for downlink in self._of.values():
            downlink.tell_keys()

    def is_current(self, downlink: Downlink) -> bool:
        """Tell whether this is the link of its worker."""
        return self._of.get(downlink.number) is downlink

    def of(self, number: int) -> Downlink | None:
        """Return a worker's link, None when it is down."""
        return self._of.get(number)

    def all(self) -> list[Downlink]:
        """Return the links that stand, by their workers' numbers."""
        return [self._of[number] for number in sorted(self._of)]

    @property
    def ready(self) -> bool:
        """Whether every worker has its link and listens, but for those that were told not to."""
        return len(self._of) == self.workers and all(
            d.counts.get("listening") or d.is_drained for d in self._of.values()
        )

    def _tick(self) -> None:
        now = self.clock()
        for downlink in self.all():
            try:
                downlink.tick(now)
            except Exception:
                self._log.failure("beat of worker {number}", number=downlink.number)
        self.router.expire(now)

    # -- pressure

    def full(self) -> bool:
        """Whether publishers that can wait should."""
        return bool(self.crowded)

    def wait(self) -> Deferred[None]:
        """Return what fires when there is room again."""
        easing: Deferred[None] = Deferred()
        self._easing.append(easing)
        self.eased()
        return easing

    def eased(self) -> None:
        """Something was worked off: let publishers go on when there is room."""
        if self._easing and not self.full():
            easing, self._easing = self._easing, []
            for waiting in easing:
                waiting.callback(None)
