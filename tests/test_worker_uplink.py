"""The worker's end of the link: it dials, tells, works off, and copes with a manager that is silent or gone."""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
from collections import deque
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.protocols import amp
from twisted.trial.unittest import SynchronousTestCase

from megacomet import link
from megacomet.link import connect
from megacomet.manager.links import Links
from megacomet.model.entries import Entry
from megacomet.model.hub import FEW, Hub
from megacomet.model.message import Publication
from megacomet.model.receipts import Receipt
from megacomet.model.row_keys import RowKeys
from megacomet.model.session import Session
from megacomet.slices import LONG_S, LOOK_S, SLICE_S
from megacomet.turns import ASK_S, Turns
from megacomet.wire import frames
from megacomet.wire.answers import as_json
from megacomet.worker.heartbeat import Heartbeat
from megacomet.worker.pacing import STEP_S
from megacomet.worker.pusher import Pusher
from megacomet.worker.uplink import REDIAL_S, TELL_S, Uplink
from tests.ends import NONCE, WatchedRouter, connect_ends, links_of
from tests.forks import Fork, MemoryReactor

PATH = "/run/megacomet/link.sock"
SUE = b"@sue"
ROWS = 8


class Worker:
    """The rest of a worker: what the link tells it, and the answers of its connections.

    Attributes:
        held_back: whether it is to take no new connections.
        found: the answer to what it is asked.
        answer_s: so long it takes to write one answer, in seconds of `late`.
        late: what was spent that way.
        wakes: how often it was told that something is about to happen.
    """

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.answers: list[tuple[int, list[tuple[bytes, bytes, bytes]], bytes]] = []
        self.answer_s = self.late = 0.0
        self.broken: type[Exception] | None = None
        self.held_back = False
        self.found: Deferred[bytes] = Deferred()
        self.wakes = 0

    def wake(self) -> None:
        self.wakes += 1

    def counts(self) -> dict[str, object]:
        if self.broken is not None:
            raise self.broken
        return {"listening": True, "rows": {"waiting": 1, "streaming": 0}, "messages": 0}

    def take_back(self, fd: int, unread: bytes) -> None:
        self.told.append(("take back", fd, unread))

    def linked(self) -> None:
        self.told.append(("linked",))

    def hold_back(self, is_behind: bool) -> None:
        self.held_back = is_behind

    def stop(self) -> None:
        self.told.append(("stop",))

    def drain(self, per_s: int) -> None:
        if self.broken is not None:
            raise self.broken
        self.told.append(("drain", per_s))

    def look(self, question: bytes) -> Deferred[bytes]:
        self.told.append(("look", question))
        if self.broken is not None:
            raise self.broken
        return self.found

    def orphaned(self) -> None:
        self.told.append(("orphaned",))

    def answer(
        self,
        fd: int,
        key: bytes | Session,
        messages: list[tuple[bytes, bytes, bytes]],
        position: bytes,
        gaps: list[bytes],
    ) -> bool:
        self.answers.append((fd, messages, position))
        self.late += self.answer_s
        return True

    def spread(self, fds: list[int], entry: Entry) -> tuple[int, list[int]]:
        if self.broken is not None:
            raise self.broken
        return 0, fds  # all of them polls


class ManagerEnd(link.LinkEnd):
    """A manager's end of which the test says how it behaves.

    Attributes:
        refusing: names of the commands that it refuses.
        records: what each `Want` brought.
    """

    takes: ClassVar = {link.WORKED: "worked_off"}

    def __init__(self) -> None:
        super().__init__()
        self.hellos: list[tuple[int, int, int, bytes]] = []
        self.records: list[list[frames.Frame]] = []
        self.counts: list[object] = []
        self.adopted: list[tuple[int, bytes, bytes]] = []
        self.refusing: set[str] = set()
        self.ready = True
        self.hello_answer: Deferred[dict[str, object]] | None = None
        self.outcomes: deque[list[bytes]] = deque()

    def deliver(self, number: int, head: int, records: bytes, accepted_s: float = 0.0) -> list[bytes]:
        """Send a box; its answer comes into the list."""
        outcome: list[bytes] = []
        self.outcomes.append(outcome)
        self.send_value(link.DELIVER, frames.encode_box(number, head, 0, accepted_s, records))
        return outcome

    def worked_off(self, results: bytes) -> None:
        self.outcomes.popleft().append(results)

    def _may(self, what: str) -> None:
        if what in self.refusing:
            raise link.LinkRefused(f"no {what} now")

    @link.Hello.responder
    def hello(self, protocol: int, number: int, pid: int, nonce: bytes) -> object:
        self._may("hello")
        self.hellos.append((protocol, number, pid, nonce))
        return self.hello_answer or {"epoch": b"e1", "head": 7, "keys": b"[]"}

    @link.Want.responder
    def want(self, records: bytes) -> dict[str, object]:
        self.records.append(list(frames.decode(records)))
        return {}

    @link.Beat.responder
    def beat(self, counts: bytes) -> dict[str, object]:
        self._may("beat")
        self.counts.append(json.loads(counts))
        return {"ready": self.ready, "workers": 2}

    @link.Adopt.responder
    def adopt(self, fd: int, head: bytes, peer: bytes) -> dict[str, object]:
        self._may("adopt")
        self.adopted.append((fd, head, peer))
        return {}


#: Rows of a step of a broadcast: one takes several.
WINDOW = 8


class UplinkTestCase(SynchronousTestCase):
    """An uplink that dials in memory, with a hub of a few rows."""

    number = 1

    def setUp(self) -> None:
        self.reactor = MemoryReactor()
        self.dialled: list[str] = []
        self.nobody_listens = False
        self.worker = Worker()
        self.keys = RowKeys()
        self.keys.grow(ROWS)
        self.pusher = Pusher(self.reactor, 65536)
        self.turns = Turns(1, self.reactor.seconds)
        self.hub = Hub(self.keys, self.worker, window=WINDOW)
        self.uplink = Uplink(
            self.reactor,
            self.hub,
            self.worker,
            self.pusher,
            nonce=NONCE,
            clock=lambda: self.reactor.seconds() + self.worker.late,
            connect=self.connect,
            turns=self.turns,
        )
        self.heartbeat = Heartbeat(self.reactor, lambda _: self.uplink.tick(), lambda: link.BEAT_S, lambda _: None)
        self.heartbeat.start()
        self.uplink.dial(self.number, PATH)

    def connect(self, path: str) -> socket.socket:
        """Note that it dials; nobody is at the other end of the socket."""
        self.dialled.append(path)
        if self.nobody_listens:
            raise ConnectionRefusedError
        return socket.socket(socket.AF_UNIX)

    def meet(self, manager: amp.AMP) -> None:
        """Let the connection that was dialled last end at a manager."""
        _, family, factory = self.reactor.adoptedStreamConnections[-1]
        assert (self.dialled[-1], family) == (PATH, socket.AF_UNIX)
        self.pump = connect_ends(manager, factory.buildProtocol(None), self.reactor)

    def link(self, **changed: object) -> ManagerEnd:
        """Let a manager take the connection that was dialled last."""
        self.manager = ManagerEnd()
        for name, value in changed.items():
            setattr(self.manager, name, value)
        self.meet(self.manager)
        self.pump.flush()
        return self.manager

    def deliver(self, *records: bytes, number: int = 1, head: int = 8) -> list[bytes]:
        """Send a box; its answer comes into the list that is returned."""
        return self.manager.deliver(number, head, b"".join(records))

    def second(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            self.reactor.advance(1)
            self.pump.flush()

    def lose(self) -> None:
        link.transport_of(self.manager).loseConnection()
        self.pump.flush()


def message(channel: bytes, offset: int = 8, data: bytes = b"1") -> bytes:
    return frames.encode(frames.MESSAGE, offset=offset, channel=channel, data=data)


def kinds(records: list[frames.Frame]) -> list[tuple[int, bytes]]:
    return [(record.kind, record.channel) for record in records]


class DialTests(UplinkTestCase):
    """The way to a standing link."""

    def test_hello(self) -> None:
        """A worker says who it is, and is linked when the manager has answered."""
        manager = self.link()
        self.assertEqual(manager.hellos, [(link.PROTOCOL, 1, os.getpid(), NONCE)])
        self.assertTrue(self.uplink.up)
        self.assertEqual(self.worker.told, [("linked",)])
        self.assertEqual((self.hub.epoch, self.hub.head), (b"e1", 7))

    def test_everything_is_told(self) -> None:
        """Whoever came before the link stood is told to the manager with the hello."""
        self.hub.park_mailbox(3, SUE)
        self.hub.park_session(4, Session((b"news", b"@tom"), None))
        self.uplink.touch()
        manager = self.link()
        (records,) = manager.records
        self.assertEqual(kinds(records), [(frames.WANT, SUE), (frames.JOIN, b"")])

    def test_the_first_beat(self) -> None:
        """A linked worker beats at once, and learns how the server stands."""
        manager = self.link()
        self.assertEqual(manager.counts, [{"listening": True, "rows": {"waiting": 1, "streaming": 0}, "messages": 0}])
        self.assertEqual((self.uplink.ready, self.uplink.workers), (True, 2))

    def test_refused(self) -> None:
        """A worker that is refused hangs up and tries again."""
        self.link(refusing={"hello"})
        self.assertEqual((self.uplink.up, self.worker.told), (False, []))
        self.assertEqual(len(self.dialled), 1)
        self.reactor.advance(REDIAL_S)
        self.assertEqual(len(self.dialled), 2)
        self.link()
        self.assertTrue(self.uplink.up)

    def test_nobody_listens(self) -> None:
        """Where nobody listens a worker tries on, until somebody does."""
        self.link()
        self.nobody_listens = True
        self.lose()
        for tries in range(1, 5):
            self.assertEqual(len(self.dialled), tries)
            self.reactor.advance(REDIAL_S)
        self.nobody_listens = False
        self.reactor.advance(REDIAL_S)
        self.link()
        self.assertTrue(self.uplink.up)

    def test_connecting(self) -> None:
        """A connection is made at once, or there is an error."""
        with tempfile.TemporaryDirectory() as place, socket.socket(socket.AF_UNIX) as listener:
            with self.assertRaises(OSError):
                connect(f"{place}/nobody")
            listener.bind(f"{place}/somebody")
            listener.listen()
            with connect(f"{place}/somebody") as connection:
                self.assertFalse(connection.getblocking())
                self.assertEqual(connection.getpeername(), f"{place}/somebody")

    def test_a_welcome_that_comes_too_late(self) -> None:
        """The answer of a manager that is given up already links nobody."""
        answer: Deferred[dict[str, object]] = Deferred()
        self.link(hello_answer=answer)
        protocol = self.uplink._protocol
        assert protocol is not None
        self.uplink.lost(protocol)
        answer.callback({"epoch": b"e1", "head": 7, "keys": b"[]"})
        self.pump.flush()
        self.assertEqual((self.uplink.up, self.worker.told), (False, []))

    def test_many_listeners(self) -> None:
        """What is told is cut into values of 256 KiB, between two records."""
        name = b"@" + b"x" * 199
        for n in range(3000):
            self.hub._told.listen(name + b"%d" % n, 1)
        manager = self.link()
        self.assertEqual(len(manager.records), 3)
        self.assertEqual(sum(map(len, manager.records)), 3000)


class LossTests(UplinkTestCase):
    """A link that is lost, a manager that is silent, and no manager at all."""

    def test_lost(self) -> None:
        """A lost link is dialled again, and everything that listens is told again."""
        self.hub.park_mailbox(3, SUE)
        self.link()
        self.assertTrue(self.uplink.ready)
        self.lose()
        self.assertEqual((self.uplink.up, self.uplink.ready), (False, False))
        self.reactor.advance(REDIAL_S)
        manager = self.link()
        self.assertEqual([kinds(records) for records in manager.records], [[(frames.WANT, SUE)]])
        self.assertEqual(self.worker.told, [("linked",), ("linked",)])

    def test_a_session_goes_on_where_it_stood(self) -> None:
        """Without a link a session keeps waiting; it joins again from the position that it had."""
        self.link()
        self.hub.park_session(3, Session((b"news",), None))
        self.uplink.touch()
        self.pump.flush()
        join = self.manager.records[-1][0]
        self.deliver(frames.encode(frames.PAGE_END, number=join.number, offset=7), head=9)
        self.pump.flush()
        self.lose()
        self.reactor.advance(REDIAL_S)
        manager = self.link()
        self.assertEqual(kinds(manager.records[0]), [(frames.JOIN, b"e1-9")])

    def test_silence(self) -> None:
        """A manager that says nothing for more than ten seconds is hung up on and dialled again."""
        manager = self.link()
        never: Deferred[object] = Deferred()
        manager.locateResponder = lambda name: lambda box: never  # type: ignore[method-assign]
        self.second(10)
        self.assertTrue(self.uplink.up)
        self.second()
        self.assertFalse(self.uplink.up)
        self.reactor.advance(REDIAL_S)
        self.assertEqual(len(self.dialled), 2)

    def test_a_manager_that_is_behind(self) -> None:
        """While the manager owes the answers of two beats nothing is read from clients; then it is again."""
        manager = self.link()
        owed: list[Deferred[object]] = []

        def late(name: bytes) -> Any:
            return lambda box: owed.append(Deferred()) or owed[-1]

        manager.locateResponder = late  # type: ignore[method-assign]
        self.second()
        self.assertFalse(self.worker.held_back)
        self.second()
        self.assertTrue(self.worker.held_back)
        for answer in owed:
            answer.callback(amp.AmpBox({b"ready": b"True", b"workers": b"2"}))
        self.pump.flush()
        self.assertFalse(self.worker.held_back)

    def test_a_manager_that_is_behind_and_gone(self) -> None:
        """Without a manager clients are read, however many answers it owed."""
        never: Deferred[object] = Deferred()
        self.link().locateResponder = lambda name: lambda box: never  # type: ignore[method-assign]
        self.second(5)
        self.assertTrue(self.worker.held_back)
        self.lose()
        self.assertFalse(self.worker.held_back)
        self.reactor.advance(REDIAL_S)
        self.link()
        self.second(3)
        self.assertFalse(self.worker.held_back)

    def test_a_worker_that_was_stopped_itself(self) -> None:
        """A worker that does not come round for a minute neither takes its manager for dead nor gives up."""
        self.link()
        self.reactor.advance(60)
        self.assertTrue(self.uplink.up)
        self.lose()
        self.reactor.advance(60)
        self.assertNotIn(("orphaned",), self.worker.told)

    def test_a_manager_that_answers(self) -> None:
        """As long as its beats are answered a worker keeps its link."""
        manager = self.link()
        self.second(40)
        self.assertTrue(self.uplink.up)
        self.assertEqual(len(manager.counts), 41)
        self.assertEqual(self.worker.told, [("linked",)])

    def test_a_calm_link(self) -> None:
        """Beats may be left out when all workers listen and the manager has answered all beats before the last."""
        self.assertFalse(self.uplink.is_calm)
        manager = self.link(ready=False)
        self.second(2)
        self.assertFalse(self.uplink.is_calm)
        manager.ready = True
        self.second(2)
        self.assertTrue(self.uplink.is_calm)
        never: Deferred[object] = Deferred()
        manager.locateResponder = lambda name: lambda box: never  # type: ignore[method-assign]
        self.second()
        self.assertTrue(self.uplink.is_calm)
        self.second()
        self.assertFalse(self.uplink.is_calm)

    def test_no_calm_while_something_is_awaited(self) -> None:
        """Beats go on while somebody waits for what the manager has to say of pushes."""
        self.link()
        self.second(2)
        self.assertTrue(self.uplink.is_calm)
        self.pusher.ask_position(lambda _: None)
        self.reactor.advance(0)
        self.assertFalse(self.uplink.is_calm)

    def test_what_comes_down_the_link_wakes(self) -> None:
        """A box with records is something that happens, a head is not; the end of the link is."""
        self.link()
        self.second()
        self.deliver(head=8)
        self.pump.flush()
        self.assertEqual(self.worker.wakes, 0)
        self.deliver(message(b"news", 9), number=2, head=9)
        self.pump.flush()
        self.assertEqual(self.worker.wakes, 1)
        self.lose()
        self.assertEqual(self.worker.wakes, 2)

    def test_readiness(self) -> None:
        """A worker knows from the last beat whether all others listen."""
        manager = self.link(ready=False)
        self.assertFalse(self.uplink.ready)
        manager.ready = True
        self.second()
        self.assertTrue(self.uplink.ready)

    def test_a_beat_that_is_refused(self) -> None:
        """A manager that refuses the beat is hung up on."""
        self.link().refusing.add("beat")
        self.second()
        self.assertFalse(self.uplink.up)

    def test_never_a_manager(self) -> None:
        """A worker that finds no manager for thirty seconds gives up, not earlier."""
        for _ in range(30):
            self.reactor.advance(1)
        self.assertEqual(self.worker.told, [])
        self.reactor.advance(1)
        self.assertEqual(self.worker.told, [("orphaned",)])

    def test_no_manager_any_more(self) -> None:
        """The thirty seconds count from the loss of the link."""
        self.link()
        self.second(100)
        self.lose()
        self.second(30)
        self.assertNotIn(("orphaned",), self.worker.told)
        self.second()
        self.assertIn(("orphaned",), self.worker.told)

    def test_refusals_do_not_count_as_a_manager(self) -> None:
        """A worker that is only ever refused gives up, too."""
        for _ in range(31):
            self.link(refusing={"hello"})
            self.second()
        self.assertIn(("orphaned",), self.worker.told)

    def test_a_beat_that_breaks(self) -> None:
        """A worker that cannot beat any longer gives up."""

        class Broken(Exception):
            pass

        self.link()
        self.worker.broken = Broken
        self.second()
        self.assertIn(("orphaned",), self.worker.told)
        self.assertEqual(len(self.flushLoggedErrors(Broken)), 1)

    def test_requests_on_a_lost_link(self) -> None:
        """What was asked of a manager that went away fails, and is no refusal."""
        manager = self.link()
        never: Deferred[object] = Deferred()
        manager.locateResponder = lambda name: lambda box: never  # type: ignore[method-assign]
        outcome: list[Any] = []
        self.uplink.adopt(os.open(os.devnull, os.O_RDONLY), b"", b"").addBoth(outcome.append)
        self.pump.flush()
        self.assertEqual(outcome, [])
        self.lose()
        outcome[0].trap(ConnectionDone, ConnectionLost)


class BoxTests(UplinkTestCase):
    """Boxes down the link, records up the link."""

    def setUp(self) -> None:
        super().setUp()
        self.link()

    def test_worked_off(self) -> None:
        """A box is answered when its messages were written."""
        self.hub.park_mailbox(3, SUE)
        outcome = self.deliver(message(SUE))
        self.pump.flush()
        self.assertEqual(self.worker.answers, [(3, [(SUE, b"e1-8", b"1")], b"e1-8")])
        self.assertEqual(outcome, [b""])
        self.assertEqual(self.hub.head, 8)

    def test_returned(self) -> None:
        """A message that finds nobody goes back in the answer of its box."""
        outcome = self.deliver(message(SUE))
        self.pump.flush()
        self.assertEqual(outcome, [frames.encode(frames.RETURNED, flags=frames.ABSENT)])

    def test_a_slice_at_a_time(self) -> None:
        """A long box is worked off in slices, and others have their turn in between; its answer comes at the end."""
        for fd in range(6):
            self.hub.park_session(fd, Session((b"news",), None))
        self.uplink.touch()
        self.pump.flush()
        ends = [frames.encode(frames.PAGE_END, number=r.number, offset=7) for r in self.manager.records[-1]]
        self.deliver(*ends, number=1)
        self.pump.flush()
        self.worker.answer_s = SLICE_S / 2
        first = self.deliver(message(b"news"), number=2)
        second = self.deliver(number=3, head=9)
        self.pump.pump(advanceClock=False)
        self.assertEqual((len(self.worker.answers), first), (2, []))
        self.pump.flush()
        self.assertEqual(len(self.worker.answers), 6)
        self.assertEqual((first, second), ([b""], [b""]))

    def test_leaving_is_told_before_the_answer(self) -> None:
        """The manager hears who left by a box before it hears that the box was worked off."""
        self.hub.park_mailbox(3, SUE)
        self.uplink.touch()
        self.pump.flush()
        heard: list[list[tuple[int, bytes]]] = []
        self.manager.worked_off = lambda _: heard.append(kinds(self.manager.records[-1]))  # type: ignore[method-assign]
        self.deliver(message(SUE))
        self.deliver(number=2, head=9)
        self.pump.flush()
        self.assertEqual(heard, [[(frames.LEAVE, SUE)]] * 2)

    def test_one_value_a_turn(self) -> None:
        """All that happens in one turn is told at its end, in one value."""
        before = len(self.manager.records)
        for fd, channel in enumerate([b"@a", b"@b", b"@c"]):
            self.hub.park_mailbox(fd, channel)
            self.uplink.touch()
        self.pump.flush()
        (records,) = self.manager.records[before:]
        self.assertEqual(kinds(records), [(frames.WANT, b"@a"), (frames.WANT, b"@b"), (frames.WANT, b"@c")])

    def test_not_too_often(self) -> None:
        """Who comes while nothing is going on is told at once; who comes right behind is told a little later."""
        before = len(self.manager.records)
        self.hub.park_mailbox(1, b"@a")
        self.uplink.touch()
        self.pump.flush()
        self.hub.park_mailbox(2, b"@b")
        self.uplink.touch()
        self.pump.flush()
        self.assertEqual([kinds(records) for records in self.manager.records[before:]], [[(frames.WANT, b"@a")]])
        self.reactor.advance(TELL_S)
        self.pump.flush()
        self.assertEqual(kinds(self.manager.records[-1]), [(frames.WANT, b"@b")])

    def test_while_the_manager_takes_its_time(self) -> None:
        """What comes before the manager has taken the last box is gathered, and the next one has it all."""
        taken: Deferred[object] = Deferred()
        respond = self.manager.locateResponder
        self.manager.locateResponder = lambda name: lambda box: taken  # type: ignore[method-assign]
        before = len(self.manager.records)
        self.hub.park_mailbox(1, b"@a")
        self.uplink.touch()
        self.pump.flush()
        self.manager.locateResponder = respond  # type: ignore[method-assign]
        for fd, channel in ((2, b"@b"), (3, b"@c"), (4, b"@d")):
            self.hub.park_mailbox(fd, channel)
            self.uplink.touch()
            self.second()
        self.hub.leave(3)
        self.assertEqual(len(self.manager.records), before)
        taken.callback(amp.AmpBox())
        self.pump.flush()
        (records,) = self.manager.records[before:]
        self.assertEqual(kinds(records), [(frames.WANT, b"@b"), (frames.WANT, b"@d")])

    def test_hanging_up(self) -> None:
        """A worker that ends tells what it has gathered, closes its link behind that, and dials no more."""
        self.hub.park_mailbox(1, b"@a")
        self.uplink.touch()
        self.pump.flush()
        self.hub.leave(1)
        self.uplink.touch()
        ended: list[None] = []
        self.uplink.hang_up().addCallback(ended.append)
        self.pump.flush()
        self.assertEqual(kinds(self.manager.records[-1]), [(frames.LEAVE, b"@a")])
        self.assertEqual(ended, [None])
        self.reactor.advance(60)
        self.assertEqual((len(self.dialled), self.worker.told), (1, [("linked",)]))

    def test_hanging_up_without_a_link(self) -> None:
        """Where there is no link there is nothing to close, and nobody dials again."""
        self.lose()
        self.assertIsNone(self.successResultOf(self.uplink.hang_up()))
        self.reactor.advance(60)
        self.assertEqual(len(self.dialled), 1)

    def test_a_box_does_not_wait(self) -> None:
        """What is gathered may wait, a box that takes several turns does not."""
        for fd in range(4):
            self.hub.park_mailbox(fd, b"@%d" % fd)
            self.uplink.touch()
            self.pump.flush()
        self.worker.answer_s = SLICE_S / 2
        self.deliver(*(message(b"@%d" % fd, 8 + fd) for fd in range(4)))
        for _ in range(4):
            self.pump.pump(advanceClock=False)
            self.reactor.advance(0)
        self.assertEqual(len(self.worker.answers), 4)

    def test_a_turn_without_a_link(self) -> None:
        """Without a link nothing is told, and nothing is lost."""
        self.lose()
        self.hub.park_mailbox(3, SUE)
        self.uplink.touch()
        self.reactor.advance(0)
        self.reactor.advance(REDIAL_S)
        self.assertEqual(kinds(self.link().records[0]), [(frames.WANT, SUE)])

    def test_a_box_that_was_not_worked_off(self) -> None:
        """A box that the link's loss interrupts is dropped: it is the manager's again."""
        for fd in range(4):
            self.hub.park_mailbox(fd, b"@%d" % fd)
        self.worker.answer_s = SLICE_S
        self.deliver(*(message(b"@%d" % fd, 8 + fd) for fd in range(4)))
        self.pump.pump(advanceClock=False)
        self.assertEqual(len(self.worker.answers), 1)
        protocol = self.uplink._protocol
        assert protocol is not None
        protocol.connectionLost()
        self.reactor.advance(0)
        self.assertEqual((len(self.worker.answers), self.hub.busy), (1, False))

    def test_a_box_of_nonsense(self) -> None:
        """A box with a record that is none for a worker ends the link."""
        self.assertEqual(self.deliver(frames.encode(frames.WANT, channel=SUE)), [])
        self.pump.flush()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertFalse(self.uplink.up)

    def test_a_box_that_is_cut_off(self) -> None:
        """A box that is too short to be one ends the link, too."""
        self.manager.send_value(link.DELIVER, b"short")
        self.pump.flush()
        (failure,) = self.flushLoggedErrors(ValueError)
        self.assertEqual(failure.getErrorMessage(), "a box of the link is cut off in its header")
        self.assertFalse(self.uplink.up)


class HandOverTests(UplinkTestCase):
    """Connections that change sides, and the order to stop."""

    def ask(self, command: Any, **values: object) -> list[Any]:
        outcome: list[Any] = []
        self.manager.callRemote(command, **values).addBoth(outcome.append)
        self.pump.flush()
        return outcome

    def test_how_long_messages_take(self) -> None:
        """A message counts with the time from its acceptance in the manager; a box without one counts for nothing."""
        self.link()
        self.reactor.advance(2.5)
        message = frames.encode(frames.MESSAGE, offset=8, channel=b"news", data=b"1")
        for records in (message * 3, b""):
            self.manager.deliver(1, 8, records, accepted_s=0.5)
            self.pump.flush()
        latency = self.uplink.meters.latency
        self.assertEqual((sum(latency.counts), latency.sum_s), (3, 6.0))
        self.assertEqual(sum(self.uplink.meters.fanout.counts), 0)

    def test_adopt(self) -> None:
        """A connection goes to the manager with what was read from it."""
        manager = self.link()
        adopted = self.uplink.adopt(5, b"POST /push HTTP/1.1\r\n", b"1.2.3.4:5")
        self.assertNoResult(adopted)
        self.pump.flush()
        self.assertEqual(self.successResultOf(adopted), {})
        self.assertEqual(manager.adopted, [(5, b"POST /push HTTP/1.1\r\n", b"1.2.3.4:5")])

    def test_adopt_refused(self) -> None:
        """The worker learns why the manager does not take a connection, and keeps its link."""
        self.link(refusing={"adopt"})
        outcome: list[Any] = []
        self.uplink.adopt(5, b"", b"").addBoth(outcome.append)
        self.pump.flush()
        outcome[0].trap(link.LinkRefused)
        self.assertTrue(self.uplink.up)

    def test_take_back(self) -> None:
        """A connection comes back with what was read from it."""
        self.link()
        self.assertEqual(self.ask(link.GiveBack, fd=9, unread=b"GET /sue.js"), [{}])
        self.assertEqual(self.worker.told[-1], ("take back", 9, b"GET /sue.js"))

    def test_stop(self) -> None:
        """The manager asks the worker to end."""
        self.link()
        self.assertEqual(self.ask(link.Stop), [{}])
        self.assertEqual(self.worker.told[-1], ("stop",))

    def test_drain(self) -> None:
        """The manager has the worker drained, and takes it back; the answer is what a beat says."""
        self.link()
        said = {"counts": as_json(self.worker.counts())}
        self.assertEqual(self.ask(link.Drain, per_s=50), [said])
        self.assertEqual(self.worker.told[-1], ("drain", 50))
        self.assertEqual(self.ask(link.Undrain), [said])
        self.assertEqual(self.worker.told[-1], ("drain", 0))

    def test_drain_refused(self) -> None:
        """A worker that ends says so, and keeps its link."""
        self.link()
        self.worker.broken = link.LinkRefused
        [refusal] = self.ask(link.Drain, per_s=50)
        refusal.trap(link.LinkRefused)
        self.assertTrue(self.uplink.up)


class BothEndsTests(UplinkTestCase):
    """The worker's end against the manager's own."""

    number = 0

    def join(self, links: Links) -> None:
        downlink = links.factory().buildProtocol(None)
        assert downlink is not None
        self.meet(downlink)
        self.pump.flush()

    def publish(self, router: WatchedRouter, channel: bytes, counted: Any = None) -> list[Any]:
        outcome: list[Any] = []
        receipt = Receipt(counted) if counted else None
        router.publish(Publication(channel, b'"hi"'), self.reactor.seconds(), outcome.append, receipt)
        self.pump.flush()
        return outcome

    def setUp(self) -> None:
        super().setUp()
        self.links, self.router, self.told = links_of(self.reactor)
        self.links.start()
        self.join(self.links)

    def test_a_message_arrives(self) -> None:
        """What is published to a waiting client is written to it, and the publisher is told how often."""
        counts: list[int] = []
        self.hub.park_mailbox(3, SUE)
        self.uplink.touch()
        self.pump.flush()
        (outcome,) = self.publish(self.router, SUE, counts.append)
        self.assertEqual(outcome.status, "sent")
        self.assertEqual(self.worker.answers, [(3, [(SUE, b"e1-1", b'"hi"')], b"e1-1")])
        self.assertEqual(counts, [1])

    def broadcast(self) -> tuple[Fork, list[int]]:
        """Broadcast while another worker has the only turn; returns that one, and what the publisher is told."""
        self.keys.grow(FEW + 2)
        for fd in range(1, FEW + 2):
            self.hub.park_session(fd, Session((b"news",), None))
        self.uplink.touch()
        self.pump.flush()
        other = Fork(self.turns)
        self.addCleanup(other.end)
        self.assertTrue(other.does(b"t"))
        counts: list[int] = []
        self.publish(self.router, b"news", counts.append)
        self.reactor.advance(0)
        self.assertEqual((self.worker.answers, self.reactor.getReaders()), ([], [self.turns]))
        return other, counts

    def test_a_broadcast_that_waits_holds_nothing_up(self) -> None:
        """More messages to a client than boxes may be on their way come while a counted broadcast waits."""
        other, counts = self.broadcast()
        for n in range(2 * link.BOXES_IN_FLIGHT):
            self.hub.park_mailbox(0, SUE)
            self.uplink.touch()
            self.second()
            self.publish(self.router, SUE)
            self.assertEqual(len(self.worker.answers), n + 1)
        self.assertEqual(counts, [])
        self.assertTrue(other.does(b"g"))
        self.turns.doRead()
        self.reactor.advance(0)
        self.pump.flush()
        self.assertEqual(counts, [FEW + 1])
        self.assertEqual(self.reactor.getReaders(), [])

    def go_on(self, other: Fork, step_s: float = LOOK_S) -> None:
        """Give a broadcast that waits its turn; each of its steps takes a little more than `step_s`."""
        self.worker.answer_s = step_s / WINDOW * 1.01
        self.assertTrue(other.does(b"g"))
        self.turns.doRead()
        self.turn_of_the_reactor()

    def turn_of_the_reactor(self) -> None:
        """Make the calls that are due now; those that they ask for come later."""
        for call in [call for call in self.reactor.calls if call.getTime() <= self.reactor.seconds()]:
            self.reactor.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)

    def test_a_broadcast_goes_on_while_nothing_waits(self) -> None:
        """All its steps in one turn of the reactor, and it is looked behind each."""
        other, _ = self.broadcast()
        self.go_on(other)
        self.assertEqual(len(self.worker.answers), FEW + 1)
        self.assertEqual(self.reactor.asked, FEW // WINDOW)

    def test_a_broadcast_makes_way(self) -> None:
        """For what waits, behind each step; it keeps its turn meanwhile, and nobody is left out."""
        other, counts = self.broadcast()
        self.reactor.waits = True
        self.go_on(other)
        for steps in range(1, FEW // WINDOW + 1):
            self.assertEqual(len(self.worker.answers), steps * WINDOW)
            self.assertFalse(other.does(b"t"))
            self.turn_of_the_reactor()
        self.turn_of_the_reactor()
        self.pump.flush()
        self.assertEqual((len(self.worker.answers), counts), (FEW + 1, [FEW + 1]))

    def test_a_broadcast_lasts_no_longer_than_a_slice(self) -> None:
        """Whatever comes, timers have their turn."""
        other, _ = self.broadcast()
        self.go_on(other, LONG_S / 2)
        self.assertEqual(len(self.worker.answers), 2 * WINDOW)

    def test_a_turn_is_free_when_the_broadcast_is_over(self) -> None:
        """The other worker can have it then."""
        other, counts = self.broadcast()
        self.assertTrue(other.does(b"g"))
        self.turns.doRead()
        self.reactor.advance(0)
        self.pump.flush()
        self.assertEqual(counts, [FEW + 1])
        self.assertTrue(other.does(b"t"))

    def test_a_turn_is_free_when_a_broadcast_fails(self) -> None:
        """It ends the link, and with it the broadcast: others need not wait for it."""
        other, counts = self.broadcast()
        self.assertTrue(other.does(b"g"))
        self.worker.broken = ValueError
        self.turns.doRead()
        self.reactor.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertFalse(other.does(b"t"))
        self.pump.flush()
        self.assertEqual((self.uplink.up, self.hub.busy, counts), (False, False, [0]))
        self.assertTrue(other.does(b"t"))

    def test_a_worker_that_dies_with_its_turn(self) -> None:
        """Nobody wakes the others: they ask again by themselves."""
        other, counts = self.broadcast()
        os.kill(other.pid, signal.SIGKILL)
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        self.reactor.advance(ASK_S)
        self.pump.flush()
        self.assertEqual(counts, [FEW + 1])

    def test_a_message_waits(self) -> None:
        """What is published to nobody waits for the client's next poll."""
        (outcome,) = self.publish(self.router, SUE)
        self.assertEqual(outcome.status, "queued")
        self.hub.park_mailbox(3, SUE)
        self.uplink.touch()
        self.pump.flush()
        self.assertEqual([answer[0] for answer in self.worker.answers], [3])

    def test_all_are_ready(self) -> None:
        """With its only worker linked the server is ready, and the worker knows."""
        self.second(2)
        self.assertEqual((self.links.ready, self.uplink.ready, self.uplink.workers), (True, True, 1))

    def test_a_quiet_hour(self) -> None:
        """Two ends that have nothing to say keep each other."""
        self.second(60)
        self.assertEqual([told[0] for told in self.told.told], ["up"])
        self.assertEqual(self.worker.told, [("linked",)])

    def test_the_head_reaches_a_quiet_worker(self) -> None:
        """A worker learns where the log stands also when nothing of it concerns it."""
        self.publish(self.router, b"elsewhere")
        self.assertEqual(self.hub.head, 0)
        self.second()
        self.assertEqual(self.hub.head, 1)

    def test_another_manager(self) -> None:
        """A worker that outlives its manager is known to the next one, which delivers to who waited all along."""
        self.hub.park_mailbox(3, SUE)
        self.uplink.touch()
        self.pump.flush()
        protocol = self.links.all()[0]
        link.transport_of(protocol).loseConnection()
        self.pump.flush()
        self.links.stop()
        self.reactor.advance(REDIAL_S)
        links, router, _ = links_of(self.reactor)
        self.join(links)
        self.publish(router, SUE)
        self.assertEqual([answer[0] for answer in self.worker.answers], [3])


class LookTests(UplinkTestCase):
    """What the manager asks."""

    def look(self) -> list[Any]:
        """Ask; the list has the answer once it is there."""
        outcome: list[Any] = []
        self.manager.callRemote(link.Look, question=b"who?").addBoth(outcome.append)
        self.pump.flush()
        return outcome

    def test_a_question(self) -> None:
        """It is the worker's to answer, whenever it can, and the link goes on meanwhile."""
        self.link()
        outcome = self.look()
        self.assertEqual((outcome, self.worker.told[-1]), ([], ("look", b"who?")))
        self.deliver(number=1)
        self.pump.flush()
        self.worker.found.callback(b"x" * 200_000)
        self.pump.flush()
        self.assertEqual(outcome, [{"answer": b"x" * 200_000}])

    def test_what_cannot_be_answered(self) -> None:
        """The manager is told so, and the link stands; an error of ours is logged."""
        self.link()
        outcome = self.look()
        self.worker.found.errback(link.LinkRefused("too late"))
        self.pump.flush()
        self.assertEqual(outcome[0].check(link.LinkRefused), link.LinkRefused)
        self.worker.broken = ZeroDivisionError
        outcome = self.look()
        self.assertEqual(outcome[0].check(link.LinkRefused), link.LinkRefused)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.worker.broken = None
        self.assertTrue(self.uplink.up)

    def test_a_link_that_is_lost_meanwhile(self) -> None:
        """Nobody is told, and nothing fails."""
        self.link()
        outcome = self.look()
        self.lose()
        self.worker.found.callback(b"x")
        self.assertIsNotNone(outcome[0].check(ConnectionDone, ConnectionLost))


class PaceTests(UplinkTestCase):
    """A message at a pace: its time is the reactor's, and the manager hears of it without being asked."""

    def setUp(self) -> None:
        super().setUp()
        self.link()
        for fd in range(ROWS):
            self.hub.park_mailbox(fd, b"@%d" % fd)
        self.uplink.touch()
        self.pass_s(TELL_S)
        self.deliver(frames.encode(frames.MESSAGE, flags=frames.PACED, offset=8, channel=b"*", data=b"1"))
        self.pump.flush()

    def pass_s(self, seconds: float) -> None:
        self.reactor.advance(seconds)
        self.pump.flush()
        self.reactor.advance(0)
        self.pump.flush()

    def pace(self, per_s: int, flags: int = 0) -> list[Any]:
        outcome = self.deliver(frames.encode(frames.PACE, flags=flags, offset=8, number=per_s * 1000), number=2)
        self.pump.flush()
        return outcome

    def told(self) -> list[frames.Progress]:
        """Return what the manager was told of it."""
        records = [record for box in self.manager.records for record in box if record.kind == frames.PROGRESS]
        return [frames.decode_progress(record) for record in records]

    def test_evenly(self) -> None:
        """So many rows with each step, and the manager hears each second and at the end."""
        self.assertEqual(self.told(), [(ROWS, 0, ROWS)])
        self.pass_s(5)
        self.assertEqual(self.worker.answers, [])
        self.pace(20)
        for n in range(1, ROWS + 1):
            self.pass_s(STEP_S * 1.01)  # a little late, as timers are
            self.assertEqual(len(self.worker.answers), n)
        self.pass_s(TELL_S)
        self.assertEqual(self.told()[-1], (ROWS, ROWS, 0))

    def test_no_calm_before_it_is_over(self) -> None:
        """The worker does not rest meanwhile, be it that it pauses."""
        self.second(2)
        self.assertFalse(self.uplink.is_calm)
        self.pace(0, frames.WITHDRAWN)
        self.second(2)
        self.assertTrue(self.uplink.is_calm)

    def test_it_waits_for_its_turn(self) -> None:
        """While others have theirs nothing is written, and boxes are answered."""
        self.pace(20)
        other = Fork(self.turns)
        self.addCleanup(other.end)
        self.assertTrue(other.does(b"t"))
        self.pass_s(STEP_S * 1.01)
        self.assertEqual(self.worker.answers, [])
        outcome = self.deliver(message(b"@3", 9), number=3)
        self.pump.flush()
        self.assertEqual(outcome, [frames.encode(frames.RETURNED, number=0, flags=frames.ABSENT)])
        self.assertEqual([messages[0][1] for _, messages, _ in self.worker.answers], [b"e1-8"])
        self.assertTrue(other.does(b"g"))
        self.turns.doRead()
        self.pass_s(0)
        self.assertEqual(len(self.worker.answers), 2)

    def test_a_cancel_is_answered_when_nobody_is_written_it_any_more(self) -> None:
        """The answer of its box comes behind the last word on it."""
        self.pace(20)
        self.pass_s(STEP_S * 1.01)
        outcome = self.pace(0, frames.WITHDRAWN)
        self.assertEqual((outcome, self.told()[-1]), ([b""], (ROWS, 1, ROWS - 1)))
        self.pass_s(60)
        self.assertEqual(len(self.worker.answers), 1)

    def test_a_lost_link(self) -> None:
        """It is forgotten, and its timer with it."""
        self.pace(20)
        self.lose()
        self.pass_s(STEP_S)
        self.assertEqual(self.worker.answers, [])
        self.assertFalse(self.hub.spreading.is_paced)
