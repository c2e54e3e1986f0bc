"""The promises of delivery, whatever the interleaving: order, no loss, no repeat, true gaps."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from megacomet.model.directory import Directory
from megacomet.model.hub import Hub
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

    @initialize(history=st.sampled_from([3, 1000]), slow=st.booleans())
    def begin(self, history, slow):
        self.world = World(clients=8, history_messages=history, **self.parts)
        self.world.store.slow = slow

    @rule(n=st.integers(0, 11), receipt=st.booleans())
    def publish(self, n, receipt):
        self.world.publish(self.world.channels[n], receipt)

    @rule(n=st.integers(4, 11), times=st.integers(1, 3))
    def publish_to_mailbox(self, n, times):
        for _ in range(times):
            self.world.publish(self.world.channels[n])

    @rule(c=client_numbers, w=worker_numbers, limit=st.sampled_from([1, 2, 100]), immediate=st.booleans())
    def poll(self, c, w, limit, immediate):
        self.world.clients[c].poll(self.world.workers[w], limit, immediate)

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
        worker = self.world.workers[w]
        if worker.link:
            worker.link.flush()
            while worker.read():
                pass
        worker.work(answers)

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
            self.world.check()


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
    """Ends a box before its fan-out is over: the head moves on, the rest would be answered later."""

    def _answer_due(self, out_of_time):
        super()._answer_due(out_of_time)
        return True  # what is still due is forgotten with the box


class RepeatingHub(Hub):
    """Says of a message that was written that it was not."""

    def _answer(self, fd):
        results = [(entry.result, entry.result.unwritten.copy()) for entry in self._due.to(fd)]
        super()._answer(fd)
        for result, unwritten in results:
            result.unwritten = unwritten


@pytest.mark.parametrize(
    "parts",
    [
        {"store_class": ForgetfulStore},
        {"directory_class": ForgetfulDirectory},
        {"hub": OvertakingHub},
        {"hub": RepeatingHub},
    ],
    ids=["a store that forgets", "a directory that forgets", "a fan-out that is overtaken", "a hub that repeats"],
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
