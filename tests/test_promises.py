"""The promises of delivery, whatever the interleaving: order, no loss, no repeat, true gaps."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from megacomet.model.directory import Directory
from megacomet.model.hub import Hub
from megacomet.wire import frames
from tests.world import SlowStore, World

SETTINGS = settings(
    max_examples=300,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=True,
)
worker_numbers = st.integers(0, 1)
client_numbers = st.integers(0, 7)


class Delivery(RuleBasedStateMachine):
    """Publishers, clients, workers and links take their steps in any order."""

    parts: dict = {}

    @initialize(history=st.sampled_from([3, 1000]), slow=st.booleans(), completes=st.booleans())
    def begin(self, history, slow, completes):
        self.world = World(clients=8, history_messages=history, **self.parts)
        self.world.store.slow = slow
        self.completes = completes

    @rule(n=st.integers(0, 12), receipt=st.booleans())
    def publish(self, n, receipt):
        self.world.publish(self.world.channels[n], receipt)

    @rule(n=st.integers(5, 12), times=st.integers(1, 3))
    def publish_to_mailbox(self, n, times):
        for _ in range(times):
            self.world.publish(self.world.channels[n])

    @rule(c=client_numbers, w=worker_numbers, limit=st.sampled_from([1, 2, 100]), immediate=st.booleans())
    def poll(self, c, w, limit, immediate):
        self.world.clients[c].poll(self.world.workers[w], limit, immediate)

    @rule(c=client_numbers, w=worker_numbers, limit=st.sampled_from([1, 2, 100]))
    def stream(self, c, w, limit):
        self.world.clients[c].stream(self.world.workers[w], limit)

    @rule(w=worker_numbers)
    def everyone_streams(self, w):
        for n, client in enumerate(self.world.clients):
            client.stream(self.world.workers[(n // 4 + w) % 2])
        self.world.settle()

    @rule(
        c=client_numbers, channel=st.sampled_from([b"a", b"b", b"c"]), since=st.sampled_from(["now", "here", "oldest"])
    )
    def subscribe_late(self, c, channel, since):
        self.world.clients[c].subscribe(channel, since)

    @rule(c=client_numbers)
    def ping(self, c):
        self.world.clients[c].ping()

    @rule(w=worker_numbers, n=st.integers(0, 4), answers=st.integers(0, 2), c=client_numbers, receipt=st.booleans())
    def a_broadcast_stalls(self, w, n, answers, c, receipt):
        """Some have it, some not; and one of them asks where it stands, and goes."""
        for client in self.world.clients:
            client.stream(self.world.workers[w])
        self.world.settle()
        self.world.publish(self.world.channels[n], receipt)
        self.world.store.step()
        self._has_a_turn(self.world.workers[w], answers)
        self.world.clients[c].ping()
        self.world.clients[c].drop()

    @rule(n=st.integers(0, 4))
    def broadcast_at_a_pace(self, n):
        self.world.broadcast(self.world.channels[n])

    @rule(k=st.integers(0, 5), per_s=st.sampled_from([0, 1, 50]))
    def pace(self, k, per_s):
        self.world.pace(k, per_s)

    @rule(k=st.integers(0, 5))
    def cancel(self, k):
        self.world.cancel(k)

    @rule(w=worker_numbers, seconds=st.sampled_from([0.1, 1.0, 3.0]))
    def time_passes(self, w, seconds):
        self.world.time_passes(self.world.workers[w], seconds)

    @rule(w=worker_numbers, n=st.integers(0, 4), rows=st.integers(0, 3), c=client_numbers, polls=st.booleans())
    def a_slow_broadcast_stops_half_way(self, w, n, rows, c, polls):
        """Some have it, some not; and one of them asks where it stands, or its time is over."""
        for client in self.world.clients:
            (client.poll if polls else client.stream)(self.world.workers[w])
        self.world.settle()
        self.world.broadcast(self.world.channels[n])
        self.world.settle()
        self.world.pace(len(self.world.rollouts) - 1, 1000)
        self.world.settle()
        for _ in range(rows):
            self.world.time_passes(self.world.workers[w], 0.001)
            self.world.workers[w].work(100)
        client = self.world.clients[c]
        if polls:
            client.give_up()
        else:
            client.ping()

    @rule(c=client_numbers, answers=st.integers(0, 2), pieces=st.integers(1, 3), stays=st.booleans())
    def catches_up_while_live(self, c, answers, pieces, stays):
        client = self.world.clients[c]
        for _ in range(4):
            self.world.publish(b"b")
        self.world.settle()
        client.subscribe(b"b", "oldest")
        if client.worker is None or client.worker.link is None:
            return
        for _ in range(pieces):  # of the page
            client.worker.say(client.worker.hub.outgoing())
            while client.worker.link.up:
                client.worker.link.take_up()
            self.world.publish(b"a")
            self._has_a_turn(client.worker, answers)
            if client.worker is None or client.worker.link is None:
                return
        if not stays:
            client.drop()

    @staticmethod
    def _has_a_turn(worker, answers):
        if worker.link:
            worker.link.flush()
            while worker.read():
                pass
        worker.work(answers)

    @rule(c=client_numbers)
    def connection_breaks(self, c):
        self.world.clients[c].broken = True

    @rule(w=worker_numbers)
    def everyone_polls(self, w):
        for n, client in enumerate(self.world.clients):
            client.poll(self.world.workers[(n // 4 + w) % 2])

    @rule()
    def everything_arrives_then_a_broadcast(self):
        self.world.settle()
        self.world.publish(self.world.channels[0])

    @rule(c=client_numbers)
    def drop(self, c):
        self.world.clients[c].drop()

    @rule(c=client_numbers)
    def time_out(self, c):
        self.world.clients[c].give_up()

    @rule()
    def everyone_times_out(self):
        for client in self.world.clients:
            client.give_up()

    @rule(w=worker_numbers, answers=st.integers(0, 3))
    def worker_has_a_turn(self, w, answers):
        self._has_a_turn(self.world.workers[w], answers)

    @rule(w=worker_numbers)
    def manager_flushes(self, w):
        if self.world.workers[w].link:
            self.world.workers[w].link.flush()

    @rule(w=worker_numbers)
    def worker_reads(self, w):
        self.world.workers[w].read()

    @rule(w=worker_numbers, answers=st.integers(0, 5))
    def worker_works(self, w, answers):
        self.world.workers[w].work(answers)

    @rule(w=worker_numbers)
    def worker_speaks(self, w):
        worker = self.world.workers[w]
        if worker.link:
            worker.say(worker.hub.outgoing())

    @rule(w=worker_numbers, most=st.integers(1, 4))
    def manager_reads(self, w, most):
        link = self.world.workers[w].link
        while link and link.up and most:
            link.take_up()
            most -= 1

    @rule(most=st.integers(1, 5))
    def store_works(self, most):
        for _ in range(most):
            self.world.store.step()

    @rule(w=worker_numbers, kind=st.sampled_from(["none", "none", "none", "none", "kill", "cut"]))
    def disaster(self, w, kind):
        if kind == "kill":
            self.world.kill(w)
        elif kind == "cut":
            self.world.cut(w)

    @rule(w=worker_numbers)
    def dial_again(self, w):
        worker = self.world.workers[w]
        if worker.link is None:
            worker.connect()

    @rule()
    def settle(self):
        self.world.settle()

    def teardown(self):
        if hasattr(self, "world"):
            self.world.check(self.completes)


def test_every_message_comes_once_in_order_or_a_gap_is_told():
    """Whatever dies, hangs or comes late: a client that resumes from its position misses nothing silently."""
    run_state_machine_as_test(Delivery, settings=SETTINGS)


class ForgetfulStore(SlowStore):
    """Forgets one message when it is read again."""

    def read(self, channels, since, limit, max_bytes, now, done):
        def forget(missed):
            if len(missed.messages) > 1:
                del missed.messages[0]
            done(missed)

        super().read(channels, since, limit, max_bytes, now, forget)


class ForgetfulDirectory(Directory):
    """Forgets one of two workers."""

    def slots(self, channel):
        return super().slots(channel)[:1]


class OvertakingHub(Hub):
    """Gives a row a later message before the fan-outs that it is in."""

    def _answer(self, fd, **more):
        fanouts, self._due.fanouts = self._due.fanouts, deque()
        try:
            return super()._answer(fd, **more)
        finally:
            self._due.fanouts = fanouts
            if self.keys[fd] is None:
                self._due.leave(fd)


class HastyHub(Hub):
    """Tells a stream where it stands before it was given what is due to it."""

    def position(self, fd, **_):
        return b"%b-%d" % (self.epoch, self.head) if self.streams.is_live(fd) else b""


class ImpatientHub(Hub):
    """Does not let live messages wait for what a stream catches up with."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.streams.hold = self._pass

    def _pass(self, fd, session, entry):
        self._answers.write(fd, [entry], b"")


class RepeatingHub(Hub):
    """Says of a message that was written that it was not."""

    def _answer(self, fd, **more):
        results = [(entry.result, entry.result.unwritten.copy()) for entry in self._due.to(fd)]
        is_written = super()._answer(fd, **more)
        for result, unwritten in results:
            result.unwritten = unwritten
        return is_written


class SilentHub(Hub):
    """Never says to how many a broadcast was written whose box was answered before its end."""

    def outgoing(self):
        self.results.outgoing()
        return super().outgoing()


class BoastfulHub(Hub):
    """Tells a stream that it stands behind a broadcast that is still to come at its pace."""

    def position(self, fd, **more):
        return super().position(fd, **more) and b"%b-%d" % (self.epoch, self.head)


class BoastfulToPollsHub(Hub):
    """Tells the same to a poll whose time is over."""

    def expire(self, fd):
        paced, self._due.paced = self._due.paced, []
        super().expire(fd)
        self._due.paced = paced
        self._due.leave(fd)


class HurryingHub(Hub):
    """Lets a message to many pass by a broadcast that goes at a pace."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._due.behind = lambda fds, offset: []


class ForgetfulHub(Hub):
    """Drops what goes at a pace when a row gets something newer."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._take, self._due.take = self._due.take, self._take_without

    def _take_without(self, fd, **more):
        paced = [each.entry for each in self._due.paced]
        entries = self._take(fd, **more)
        return tuple(entry for entry in entries if entry not in paced or len(entries) == 1)


class DeafHub(Hub):
    """Does not hear that a broadcast was cancelled."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._pace, self.spreading.pace = self.spreading.pace, self._hear

    def _hear(self, frame):
        if not frame.flags & frames.WITHDRAWN:
            self._pace(frame)


@pytest.mark.parametrize(
    "parts",
    [
        {"store_class": ForgetfulStore},
        {"directory_class": ForgetfulDirectory},
        {"hub": OvertakingHub},
        {"hub": HastyHub},
        {"hub": ImpatientHub},
        {"hub": RepeatingHub},
        {"hub": SilentHub},
        {"hub": BoastfulHub},
        {"hub": BoastfulToPollsHub},
        {"hub": HurryingHub},
        {"hub": ForgetfulHub},
        {"hub": DeafHub},
    ],
    ids=[
        *("a store that forgets", "a directory that forgets", "a fan-out that is overtaken"),
        *("a position too early", "a catch-up that is overtaken", "a hub that repeats"),
        "a receipt that is forgotten",
        *("a position before a pace", "a poll's position before a pace", "a pace that is overtaken"),
        *("a pace that is skipped", "a cancel that is not heard"),
    ],
)
def test_the_checker_catches(parts):
    """A double that breaks one promise is found out."""

    class Broken(Delivery):
        pass

    Broken.parts = parts
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            Broken, settings=settings(SETTINGS, max_examples=400, phases=[Phase.generate], print_blob=False)
        )


def test_a_message_is_not_overtaken_by_one_that_was_gathered_before_its_return_was_read():
    """What was put on the stream before the manager knew of a returned message says so, whenever its box leaves."""
    world = World(workers=1, clients=1)
    (worker,), (client,) = world.workers, world.clients
    client.poll(worker)
    world.settle()

    def turn():
        worker.link.flush()
        while worker.read():
            pass
        worker.work(10)

    for _ in range(2):  # the second one finds nobody
        world.publish(client.mailbox)
        turn()
    world.publish(client.mailbox)
    client.poll(worker)
    while worker.link.up:
        worker.link.take_up()
    turn()
    world.check()
    assert [offset for _, offset in client.received] == [1, 2, 3]
