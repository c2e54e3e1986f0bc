"""One connection that is kept: opened, watched, opened again, and moved to a better transport when there is one.

Theory of operation. There is one leg at a time that counts; it is waited for, tried, or stands. What does not open
makes room for the next transport down, at once, and when all have failed for a delay (`rules`). Beside a leg that
stands another one may be opened, on a better transport or for other channels: as soon as it has a position it takes the
first one's place, and what it repeats is dropped by ids (`feed`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from megacomet.client.feed import Feed
from megacomet.client.items import CONNECTED, CONNECTING, DISCONNECTED, Change
from megacomet.client.leg import Leg, Timers
from megacomet.client.objects import Value
from megacomet.client.rules import LATE_S, LOOK_S, SILENCE_S, Backoff, Ending, Ladder, Probing, Random, comes_back
from megacomet.client.ways import Wanted, Way

_NOTHING: Final = Ending(0, "")


class Owner(Protocol):
    """Whom the link tells."""

    def changed(self, change: Change) -> None:
        """The connection is another one, or none."""

    def came(self) -> None:
        """There may be something on the shelf."""

    def complain(self, text: str) -> None:
        """Something came that no MegaComet says."""

    def answered(self, value: Value) -> None:
        """A request was answered."""

    def refused_channels(self, channels: Sequence[str], ending: Ending) -> None:
        """Channels that were added cannot be heard."""

    def finished(self, ending: Ending) -> None:
        """The server does not want the client back."""


class Link:
    """The connection of one listening.

    Attributes:
        channels: those that are heard; who changes them calls `renew`.
        feed: is told what comes.
        change: what was told last.
    """

    def __init__(
        self,
        ways: Mapping[str, Way],
        transports: Sequence[str],
        channels: Sequence[str],
        client_id: str,
        feed: Feed,
        owner: Owner,
        clock: Timers,
        random: Random,
    ) -> None:
        """
        Args:
            ways: a way for each transport.
            transports: that may be taken, the best one first.
            channels: to be heard.
            client_id: whose mailbox; "": nobody's.
            feed: is told what comes.
            owner: is told everything else.
            clock: Twisted's.
            random: gives numbers from 0 to 1.
        """
        self.channels = dict.fromkeys(channels)
        self.feed = feed
        self.owner = owner
        self.clock = clock
        self.change = Change(CONNECTING, transports[0])
        self._ways = ways
        self._client_id = client_id
        self._ladder = Ladder(transports)
        self._backoff = Backoff(random)
        self._probing = Probing()
        self._advice_s = 0.0
        self._leg: Leg | None = None
        self._beside: Leg | None = None
        self._to_probe: list[str] = []
        self._probe_due_s: float | None = None
        self._timers: dict[str, Any] = {}
        self._look_due_s = 0.0
        self._is_put_off = False
        self._is_closed = False

    # -- what the owner does

    def start(self) -> None:
        """Connect."""
        self._wait(0.0, _NOTHING)

    def close(self) -> None:
        """Disconnect, and tell nothing more."""
        self._is_closed = True
        for name in tuple(self._timers):
            self._stop(name)
        for leg in (self._leg, self._beside):
            if leg is not None:
                leg.close()
        self._leg = self._beside = None

    def read_on(self) -> None:
        """Note that something was taken: a connection that was left unread may be read again, or opened at last."""
        leg = self._leg
        if leg is not None and leg.is_paused and self.feed.has_room:
            leg.resume()
        if self._is_put_off and self.feed.shelf.has_room:
            self._is_put_off = False
            self._start("attempt", 0.0, self._attempt)

    def send(self, op: dict[str, Any]) -> bool:
        """Send a request; False: no connection stands that takes any."""
        if self._leg is None or not self._leg.is_open or not self._leg.send(op):
            return False
        if self._beside is not None:
            # A better transport that is being tried was not asked for what is new.
            self._drop_beside()
            self._plan_probe()
        return True

    def renew(self) -> None:
        """Have the channels heard that are now wanted, by a connection that takes the present one's place."""
        if self._leg is not None and self._leg.is_open:
            self._drop_beside()
            self._open_beside(self._leg.transport)

    @property
    def hears(self) -> set[str]:
        """The channels that come by the connection that stands; who changes that changes the set."""
        return self._leg.hears if self._leg is not None else set()

    @property
    def is_open(self) -> bool:
        """Whether a connection stands."""
        return self._leg is not None and self._leg.is_open

    # -- trying

    def _wait(self, delay_s: float, ending: Ending) -> None:
        self._leg = None
        self._change(CONNECTING, ending, delay_s)
        self._start("attempt", delay_s, self._attempt)

    def _attempt(self) -> None:
        # Each connection would bring something beyond what is held already, and be closed as slow.
        self._is_put_off = self.feed.shelf.is_full
        if self._is_put_off:
            return
        self._leg = leg = self._new_leg(self._ladder.current)
        leg.open(self._ways[leg.transport])

    def _new_leg(self, transport: str) -> Leg:
        wanted = Wanted(tuple(self.channels), self._client_id, self.feed.cursor)
        return Leg(self, transport, wanted, self.feed, self.clock)

    def _is_final(self, ending: Ending) -> bool:
        """Whether the server does not want the client back; what stands before it does not decide while there is
        another way past it."""
        return not comes_back(ending.code) and (ending.is_server_s or self._ladder.is_lowest)

    def _failed(self, ending: Ending) -> None:
        if self._is_final(ending):
            self._finish(ending)
            return
        self._advice_s = max(self._advice_s, ending.wait_s)
        if not (ending.wait_s and ending.is_server_s) and self._ladder.failed():
            self._wait(0.0, ending)
        else:
            advice_s, self._advice_s = self._advice_s, 0.0
            self._wait(self._backoff.delay(advice_s), ending)

    def _broke(self, leg: Leg, ending: Ending) -> None:
        self._drop_beside()
        self._stop("probe")
        self._stop("look")
        if self._is_final(ending):
            self._finish(ending)
            return
        if self._ladder.broke(self.clock.seconds() - leg.opened_s, leg.has_brought):
            self._backoff.reset()
        self._wait(self._backoff.delay(ending.wait_s), ending)

    def _finish(self, ending: Ending) -> None:
        self.close()
        self._change(DISCONNECTED, ending, 0.0)
        self.owner.finished(ending)

    def _change(self, state: str, ending: Ending, delay_s: float) -> None:
        transport = "" if state == DISCONNECTED else self._ladder.current
        self.change = Change(state, transport, ending.code, ending.reason, delay_s)
        self.owner.changed(self.change)

    # -- from the legs

    def leg_opened(self, leg: Leg) -> None:
        """A leg has a position."""
        if leg is self._beside:
            self._beside, self._to_probe = None, []
            if self._leg is not None:
                self._leg.close()
            self._leg = leg
            self.feed.switched()
        if leg.transport != self._ladder.current:
            self._probing.reset()
            self._probe_due_s = None
        self._ladder.opened(leg.transport)
        self._advice_s = 0.0
        self._change(CONNECTED, _NOTHING, 0.0)
        self._plan_probe()
        self._plan_look()

    def leg_read(self, leg: Leg) -> None:
        """A leg has told what was read."""
        if leg.has_missed:
            leg.has_missed = False
            self._open_beside_anew()
        self.owner.came()
        if self.feed.is_full and leg.is_open and not self._is_closed:  # what opens is read up to its position
            leg.pause()

    def leg_ended(self, leg: Leg, ending: Ending) -> None:
        """A leg did not open, or has ended."""
        if leg is self._beside:
            self._beside_failed(ending)
        elif leg is self._leg:
            if leg.is_open:
                self._broke(leg, ending)
            else:
                self._failed(ending)

    def leg_answered(self, value: Value) -> None:
        """A request was answered."""
        self.owner.answered(value)

    def leg_complains(self, text: str) -> None:
        """Something came that is not understood."""
        self.owner.complain(text)

    # -- beside

    def _plan_probe(self) -> None:
        self._stop("probe")
        if self._ladder.better:
            now = self.clock.seconds()
            if self._probe_due_s is None:
                self._probe_due_s = now + self._probing.delay()
            self._start("probe", max(0.0, self._probe_due_s - now), self._probe)

    def _probe(self) -> None:
        self._probe_due_s = None
        self._to_probe = list(self._ladder.better)
        self._open_beside(self._to_probe.pop(0))

    def _open_beside(self, transport: str) -> None:
        self.feed.overlap()
        self._beside = leg = self._new_leg(transport)
        leg.open(self._ways[transport])

    def _open_beside_anew(self) -> None:
        """After a gap: what is opened beside was asked for from before it, and would tell of it again."""
        beside = self._beside
        if beside is not None:
            self._drop_beside()
            self._open_beside(beside.transport)

    def _beside_failed(self, ending: Ending) -> None:
        leg, self._beside = self._beside, None
        self.feed.stayed()
        if self._leg is None or leg is None:
            return
        if leg.transport == self._leg.transport:
            self._not_renewed(leg, ending)
        elif self._to_probe:
            self._open_beside(self._to_probe.pop(0))
        else:
            self._plan_probe()

    def _not_renewed(self, leg: Leg, ending: Ending) -> None:
        """Go on without what a connection for other channels was opened for, or try again from the beginning."""
        added = [channel for channel in leg.wanted.channels if channel not in self.hears]
        if added and self._is_final(ending):
            self.owner.refused_channels(added, ending)
            self._plan_probe()
        elif self._leg is not None:
            self._leg.close()
            self._broke(self._leg, ending)

    def _drop_beside(self) -> None:
        if self._beside is not None:
            self._beside.close()
            self._beside = None
            self.feed.stayed()

    # -- silence

    def _plan_look(self) -> None:
        self._look_due_s = self.clock.seconds() + LOOK_S
        self._start("look", LOOK_S, self._look)

    def _look(self) -> None:
        now, leg = self.clock.seconds(), self._leg
        late_s = now - self._look_due_s
        self._plan_look()
        if leg is None or leg.is_paused:
            return
        if late_s > LATE_S:
            leg.ask()
        elif now - leg.heard_s >= SILENCE_S[leg.transport]:
            leg.close()
            self._broke(leg, Ending(0, f"nothing came for {now - leg.heard_s:.0f} s"))

    # -- timers

    def _start(self, name: str, delay_s: float, what: Callable[[], None]) -> None:
        self._stop(name)
        if not self._is_closed:  # as it may be since the owner was told something
            self._timers[name] = self.clock.callLater(delay_s, what)

    def _stop(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None and timer.active():
            timer.cancel()
