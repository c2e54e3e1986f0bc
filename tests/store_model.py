"""A naive message store, a list of all messages that ever were, and the machine that holds `MemoryStore` against it.

The model does everything by searching the whole list, so that each rule stands there in one place and in plain words.
It shares nothing with the store but the constants of what a message, a row and a key cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from zlib import crc32

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from megacomet.errors import Refused
from megacomet.model.idempotency import KEY_BYTES
from megacomet.model.memory import MemoryStore
from megacomet.model.message import Appended, Message, Publication
from megacomet.model.position import OLDEST, Since
from megacomet.model.retention import MESSAGE_BYTES, ROW_BYTES
from megacomet.model.store import Held, Missed, Past, Retention

EPOCH = b"e"
KEY_WINDOW_S = 7
#: No pressure; now and then; always, with half of it less than two full mailboxes; hardly room for anything.
BOUNDS = (10**9, 7000, 4200, 1500)
LENGTHS = (2, 10, 25, 45)
TTLS = (None, None, None, None, 0, 1, 3, 20)
KEYS = (None, None, None, None, None, None, b"k1", b"key-2" * 20)
REPORTS = ("claim", "claim", "claim", "written", "returned", "doubt")
RETENTIONS = {
    b"@": Retention(6, 4, 80),
    b"few": Retention(8, 3),
    b"small": Retention(8, 9, 40),
    b"none": Retention(0, 9),
}
MAILBOXES = (b"@sue", b"@bob")
CHANNELS = (*MAILBOXES, b"a", b"few:b", b"small:c", b"none:d", b"*")
#: Else one channel might be told of another's gap, and the model could not ask for exactly the true ones.
assert len({crc32(c) & 0xFFFF for c in CHANNELS}) == len(CHANNELS)


def retention(namespace: bytes) -> Retention:
    """Return the retention of a namespace."""
    return RETENTIONS.get(namespace, Retention(8, 6))


def namespace(channel: bytes) -> bytes:
    """Return the namespace of one of `CHANNELS`."""
    return b"@" if channel in MAILBOXES else channel.partition(b":")[0] if b":" in channel else b""


@attrs.define(eq=False)
class Fact:
    """A message that was published.

    Attributes:
        fate: "kept", "live" (never kept, as asked for), "excused" (ran out by its publisher's wish), "lost".
        claims: workers that have it on their way.
        written: when it was written, counted; 0 for not written.
        doubtful: whether a worker died with it.
    """

    offset: int
    channel: bytes
    data: bytes
    deadline: float
    excused: bool
    fate: str
    claims: int = 0
    written: int = 0
    doubtful: bool = False
    published: float = 0.0

    @property
    def message(self) -> Message:
        return Message(self.offset, self.channel, self.data)

    @property
    def open(self) -> bool:
        return self.fate == "kept" and self.channel in MAILBOXES and not self.written


class Model:
    """The store as a list."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.facts: list[Fact] = []
        self.keys: dict[bytes, tuple[Appended, float]] = {}
        self.reports = 0

    def pass_time(self, now: float) -> None:
        """Let run out what runs out."""
        for fact in self.kept():
            if fact.deadline <= now:
                fact.fate = "excused" if fact.excused else "lost"
        self.keys = {k: (a, until) for k, (a, until) in self.keys.items() if until > now}

    # -- what is there

    def kept(self, *channels: bytes) -> list[Fact]:
        return [f for f in self.facts if f.fate == "kept" and (f.channel in channels or not channels)]

    def history(self) -> list[Fact]:
        return [f for f in self.kept() if f.channel not in MAILBOXES]

    def open(self, *channels: bytes) -> list[Fact]:
        return [f for f in self.kept(*channels) if f.open]

    def written(self) -> list[Fact]:
        return sorted((f for f in self.kept() if f.written), key=lambda f: f.written)

    def key_bytes(self, *more: bytes) -> int:
        return sum(KEY_BYTES + len(key) for key in (*self.keys, *more))

    # -- publishing

    def append(self, publication: Publication, now: float) -> Appended | str:
        """Return what the publisher is told, or the code of the refusal."""
        key = [] if publication.key is None else [publication.key]
        if key and key[0] in self.keys:
            return self.keys[key[0]][0]
        rule = retention(namespace(publication.channel))
        ttl_s = rule.ttl_s if publication.ttl_s is None else publication.ttl_s
        offset = len(self.facts) + 1
        new = Fact(
            offset, publication.channel, publication.data, now + ttl_s, ttl_s < rule.ttl_s, "live", published=now
        )
        if ttl_s and rule.ttl_s and new.channel in MAILBOXES:
            refused = self.post(new, rule, key)
            if refused:
                return refused
        else:
            if size(self.open()) + self.key_bytes(*key) > self.max_bytes:
                return "store-full"
            while key and size(self.kept()) + self.key_bytes(*key) > self.max_bytes:
                lose((self.history() or self.written())[0])
            if ttl_s and rule.ttl_s:
                self.record(new, rule, key)
        self.facts.append(new)
        if key:
            self.keys[key[0]] = Appended(offset, new.fate == "kept", repeated=True), now + KEY_WINDOW_S
        return Appended(offset, new.fate == "kept")

    def post(self, new: Fact, rule: Retention, key: Sequence[bytes]) -> str:
        """Put into a mailbox."""
        if not within([*self.open(new.channel), new], rule):
            return "mailbox-full"
        half, never = self.max_bytes // 2, size([*self.open(), new])
        if never > half or never + self.key_bytes(*key) > self.max_bytes:
            return "store-full"
        while not within([*self.kept(new.channel), new], rule):
            lose(next(f for f in self.kept(new.channel) if f.written))
        while size([*self.kept(*MAILBOXES), new]) > half:
            lose(self.written()[0])
        while size([*self.kept(), new]) + self.key_bytes(*key) > self.max_bytes:
            lose((self.history() or self.written())[0])
        new.fate = "kept"
        return ""

    def record(self, new: Fact, rule: Retention, key: Sequence[bytes]) -> None:
        """Put into a channel's history."""
        room = self.max_bytes - size(self.kept(*MAILBOXES)) - self.key_bytes(*key)
        new.fate = "lost"
        if not within([new], rule) or size([new]) > room:
            return
        while not within([*self.kept(new.channel), new], rule):
            lose(self.kept(new.channel)[0])
        while size([*self.history(), new]) > room:
            lose(self.history()[0])
        new.fate = "kept"

    # -- reading

    def read(self, channels: Sequence[bytes], since: Since, limit: int, max_bytes: int) -> Missed:
        ours = since.epoch == EPOCH and 0 <= since.offset <= len(self.facts)
        start = since.offset if ours else 0
        found = [f for f in self.kept(*channels) if f.offset > start or (f.open and not f.claims and not f.doubtful)]
        gaps = [
            c
            for c in channels
            if since != OLDEST
            and (not ours or any(f.fate == "lost" and f.channel == c and f.offset > start for f in self.facts))
        ]
        messages = [f.message for f in found]
        while len(messages) > 1 and (len(messages) > limit or sum(len(m.data) for m in messages) > max_bytes):
            messages.pop()
        is_foreign = not ours and since != OLDEST
        return Missed(messages, len(self.facts), gaps, len(messages) < len(found), is_foreign)

    def past(self, channel: bytes, since: Since | None, limit: int, max_bytes: int, newest_first: bool) -> Past:
        ours = since is not None and since.epoch == EPOCH and 0 <= since.offset <= len(self.facts)
        start = since.offset if since is not None and ours else 0
        found = [f for f in self.kept(channel) if f.offset > start and (since or channel not in MAILBOXES or f.open)]
        given = found[::-1] if newest_first else found
        while len(given) > 1 and (len(given) > limit or sum(len(f.data) for f in given) > max_bytes):
            given = given[:-1]
        lost = any(f.fate == "lost" and f.channel == channel and f.offset > start for f in self.facts)
        gap = since is not None and since != OLDEST and (not ours or lost)
        messages = [(f.offset, f.data, f.published) for f in given]
        return Past(messages, len(self.facts), gap, len(given) < len(found))

    def clear(self, channel: bytes, last: int, most: int) -> int:
        """Drop the oldest of a channel; here what waits is dropped too."""
        gone = [f for f in self.kept(channel) if f.offset <= last][:most]
        for fact in gone:
            fact.fate = "lost"
        return len(gone)

    # -- reports on mailboxes

    def find(self, channel: bytes, offset: int) -> Fact | None:
        return next((f for f in self.open(channel) if f.offset == offset), None)

    def write(self, fact: Fact) -> None:
        self.reports += 1
        fact.written, fact.claims = self.reports, 0

    def counts(self) -> dict[str, int]:
        kept = self.kept()
        return {
            "messages": len(kept),
            "bytes": size(kept) + self.key_bytes(),
            "channels": len({f.channel for f in kept}),
            "waiting": len(self.open()),
        }


def lose(fact: Fact) -> None:
    """Drop a message before its time."""
    assert not fact.open, "what waits is never pushed out"
    fact.fate = "lost"


def size(facts: Sequence[Fact]) -> int:
    """Return what messages cost, with the rows that they need."""
    rows = sum(ROW_BYTES + len(channel) for channel in {f.channel for f in facts})
    return rows + sum(MESSAGE_BYTES + len(f.data) for f in facts)


def within(facts: Sequence[Fact], rule: Retention) -> bool:
    """Tell whether messages of one channel are within its own bounds."""
    return len(facts) <= rule.messages and not (rule.data_bytes and sum(len(f.data) for f in facts) > rule.data_bytes)


class StoreMachine(RuleBasedStateMachine):
    """Random publications, reads and reports on a store and its model, which must agree after every step."""

    make = MemoryStore

    @initialize(max_bytes=st.sampled_from(BOUNDS))
    def start(self, max_bytes: int) -> None:
        self.store = self.make(EPOCH, retention, max_bytes, KEY_WINDOW_S)
        self.model = Model(max_bytes)
        # Under pressure the model's bytes are the store's only when the store has dropped what has run out.
        self.tight = max_bytes < 10**9
        self.now = 100.0
        self.swept = self.now
        self.fed: list[tuple[Message, bool]] = []
        self.store.feed(lambda message, kept, note: self.fed.append((message, kept)))

    @rule(
        channels=st.lists(st.sampled_from(CHANNELS + MAILBOXES), min_size=1, max_size=8),
        times=st.sampled_from([1, 1, 3]),
        length=st.sampled_from(LENGTHS),
        ttl_s=st.sampled_from(TTLS),
        key=st.sampled_from(KEYS),
    )
    def push(self, channels: list[bytes], times: int, length: int, ttl_s: float | None, key: bytes | None) -> None:
        for channel in channels * times:
            # A key stands for one target.
            self.push_one(channel, length, ttl_s, key and channel + key)

    def push_one(self, channel: bytes, length: int, ttl_s: float | None, key: bytes | None) -> None:
        publication = Publication(channel, b"%0*d" % (length, len(self.model.facts) + 1), ttl_s, key)
        outcomes: list[Appended | Refused] = []
        fed = len(self.fed)
        expected = self.model.append(publication, self.now)
        self.store.append(publication, self.now, outcomes.append)
        (outcome,) = outcomes
        assert (outcome.code if isinstance(outcome, Refused) else outcome) == expected
        news = [] if isinstance(expected, str) or expected.repeated else [(self.model.facts[-1].message, expected.kept)]
        assert self.fed[fed:] == news

    @rule(seconds=st.sampled_from([0.25, 1, 1, 2, 5]), expire=st.booleans())
    def pass_time(self, seconds: float, expire: bool) -> None:
        self.now += seconds
        if self.tight:
            # The wheel turns by whole seconds: a quarter later some of what has run out is still counted.
            self.now = float(round(self.now))
        self.model.pass_time(self.now)
        if self.tight or expire:
            self.store.expire(self.now)
            self.swept = self.now

    @rule(
        channels=st.lists(st.sampled_from(CHANNELS), unique=True, min_size=1),
        back=st.integers(-1, 30),
        epoch=st.sampled_from([EPOCH] * 9 + [b"other", b""]),
        limit=st.sampled_from([1, 3, 100]),
        max_bytes=st.sampled_from([1, 60, 10**6]),
    )
    def read(self, channels: list[bytes], back: int, epoch: bytes, limit: int, max_bytes: int) -> None:
        since = Since(epoch, max(-1, len(self.model.facts) - back)) if epoch else OLDEST
        answers: list[Missed] = []
        self.store.read(channels, since, limit, max_bytes, self.now, answers.append)
        assert answers == [self.model.read(channels, since, limit, max_bytes)]
        for asked, newest_first in ((since, False), (since, True), (None, False), (None, True)):
            self.look(channels[0], asked, limit, max_bytes, newest_first)

    def look(self, channel: bytes, since: Since | None, limit: int, max_bytes: int, newest_first: bool) -> None:
        answers: list[Past] = []
        self.store.history(channel, since, limit, max_bytes, self.now, answers.append, newest_first=newest_first)
        assert answers == [self.model.past(channel, since, limit, max_bytes, newest_first)]

    @rule(channel=st.sampled_from(CHANNELS), back=st.sampled_from([0, 0, 0, 1, 5]), most=st.sampled_from([1, 3, 100]))
    def clear(self, channel: bytes, back: int, most: int) -> None:
        last = len(self.model.facts) - back
        assert self.store.clear(channel, last, most, self.now) == self.model.clear(channel, last, most)

    @precondition(lambda self: self.model.open())
    @rule(pick=st.integers(0, 99), what=st.sampled_from(REPORTS))
    def report(self, pick: int, what: str) -> None:
        facts = self.model.open()
        self.report_on(facts[pick % len(facts)].channel, facts[pick % len(facts)].offset, what)

    @precondition(lambda self: self.model.open())
    @rule()
    def deliver_all(self) -> None:
        for fact in self.model.open():
            for what in ("claim", "written"):
                self.report_on(fact.channel, fact.offset, what)

    @rule(channel=st.sampled_from(CHANNELS), offset=st.integers(0, 99), what=st.sampled_from(REPORTS))
    def stray_report(self, channel: bytes, offset: int, what: str) -> None:
        self.report_on(channel, offset, what)

    def report_on(self, channel: bytes, offset: int, what: str) -> None:
        fact = self.model.find(channel, offset)
        if what == "claim":
            self.store.claim(channel, offset)
            if fact:
                fact.claims += 1
        elif what == "written":
            self.store.written(channel, offset)
            if fact:
                self.model.write(fact)
        else:
            self.store.returned(channel, offset, doubtful=what == "doubt")
            if fact and fact.claims:
                fact.claims -= 1
                fact.doubtful = fact.doubtful or what == "doubt"

    @rule(channel=st.sampled_from(MAILBOXES), back=st.integers(-1, 9), epoch=st.sampled_from([EPOCH] * 4 + [b"other"]))
    def acknowledge(self, channel: bytes, back: int, epoch: bytes) -> None:
        since = Since(epoch, len(self.model.facts) - back)
        self.store.acknowledge(channel, since)
        if epoch == EPOCH and back >= 0:
            for fact in self.model.open(channel):
                if fact.offset <= since.offset and fact.doubtful and not fact.claims:
                    self.model.write(fact)

    @invariant()
    def same_as_the_model(self) -> None:
        head = len(self.model.facts)
        assert self.store.head == head
        answers: list[Missed] = []
        for since in (OLDEST, Since(EPOCH, 0), Since(EPOCH, head // 2), Since(EPOCH, max(0, head - 2))):
            self.store.read(CHANNELS, since, 1000, 10**6, self.now, answers.append)
            assert answers.pop() == self.model.read(CHANNELS, since, 1000, 10**6)
        for channel in MAILBOXES:
            open_ = self.model.open(channel)
            assert self.store.waiting(channel, self.now) == [f.message for f in open_ if not f.claims]
            assert self.store.in_flight(channel) == any(f.claims for f in open_)
        for channel in CHANNELS:
            held = Held(len(self.model.kept(channel)), len(self.model.open(channel)))
            assert self.store.held(channel, self.now) == held
        counts = self.store.counts()
        assert min(counts.values()) >= 0
        assert counts["bytes"] <= self.model.max_bytes
        if self.swept == self.now == round(self.now):
            assert counts == self.model.counts()

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.expire(self.now + 100)
            assert self.store.counts() == {"messages": 0, "bytes": 0, "channels": 0, "waiting": 0}


def walk(machine: StoreMachine, seed: int, steps: int) -> None:
    """Drive the machine far: hypothesis finds the small counterexamples, a long walk the full stores."""
    pick = Random(seed)
    machine.start(BOUNDS[seed % len(BOUNDS)])
    for _ in range(steps):
        step = pick.random()
        if step < 0.5:
            machine.push_one(
                pick.choice(CHANNELS + MAILBOXES * 2), pick.choice(LENGTHS), pick.choice(TTLS), pick.choice(KEYS)
            )
        elif step < 0.65:
            machine.pass_time(pick.choice((0.25, 0.5, 1, 1, 3)), pick.random() < 0.5)
        elif step < 0.85 and machine.model.open():
            machine.report(pick.randrange(100), pick.choice(REPORTS))
        elif step < 0.87 and machine.model.open():
            machine.deliver_all()
        elif step < 0.88:
            machine.clear(pick.choice(CHANNELS), pick.choice((0, 2)), pick.choice((1, 100)))
        elif step < 0.9:
            machine.acknowledge(pick.choice(MAILBOXES), pick.randrange(-1, 10), EPOCH)
        else:
            channels = pick.sample(CHANNELS, pick.randrange(1, len(CHANNELS)))
            machine.read(channels, pick.randrange(-1, 60), EPOCH, pick.choice((1, 3, 100)), pick.choice((1, 60, 10**6)))
        machine.same_as_the_model()
    machine.teardown()
