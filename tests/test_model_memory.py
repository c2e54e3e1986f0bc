"""The message store in memory: the contract of stores, its bound in bytes, and a comparison with a naive model."""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

import attrs
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from msgspec.structs import replace

from megacomet.errors import Refused
from megacomet.model import memory
from megacomet.model.gaps import Gaps
from megacomet.model.idempotency import KEY_BYTES
from megacomet.model.memory import MemoryStore
from megacomet.model.message import Appended, Message, Publication
from megacomet.model.position import OLDEST, Since
from megacomet.model.retention import MESSAGE_BYTES, ROW_BYTES
from megacomet.model.store import IMessageStore, Missed, Retention
from tests.store_contract import MAILBOX, T0, StoreContract, retention
from tests.store_model import StoreMachine, walk


class TestMemoryStoreKeepsTheContract(StoreContract):
    """The contract of stores, in memory."""

    def make(self, key_window_s: float = 300.0) -> IMessageStore:
        return MemoryStore(b"3kx9", retention, 10**9, key_window_s)


def push(store: MemoryStore, channel: bytes, *, now: float = T0, **more: object) -> Appended | Refused:
    """Append and return the outcome."""
    outcomes: list[Appended | Refused] = []
    store.append(replace(Publication(channel, b'"x"'), **more), now, outcomes.append)
    return outcomes[0]


def read(store: MemoryStore, *channels: bytes, offset: int = 0, now: float = T0) -> Missed:
    """Read from an offset."""
    answers: list[Missed] = []
    store.read(channels, Since(store.epoch, offset), 1000, 10**6, now, answers.append)
    return answers[0]


def room_for(*channels: tuple[bytes, int], keys: int = 0) -> int:
    """Return the bytes of so many small messages in each channel, and of keys of two bytes."""
    rows = sum(ROW_BYTES + len(channel) + count * (MESSAGE_BYTES + 3) for channel, count in channels)
    return rows + keys * (KEY_BYTES + 2)


def test_the_oldest_of_all_channels_goes_first() -> None:
    """When the store is full, history gets shorter, and who stands before it is told of the gap."""
    store = MemoryStore(b"e", retention, room_for((b"a", 2), (b"b", 2)))
    for channel in (b"a", b"b", b"a", b"b", b"b"):
        assert push(store, channel).kept
    missed = read(store, b"a", b"b")
    assert [m.offset for m in missed.messages] == [2, 3, 4, 5]
    assert missed.gaps == [b"a"]
    assert read(store, b"a", b"b", offset=1).gaps == []


def test_a_channel_may_push_out_its_own_last_message() -> None:
    """A store with room for one message has the newest one."""
    store = MemoryStore(b"e", retention, room_for((b"a", 1)))
    for _ in range(3):
        assert push(store, b"a").kept
    assert [m.offset for m in read(store, b"a").messages] == [3]
    assert read(store, b"a", offset=1).gaps == [b"a"]
    assert read(store, b"a", offset=2).gaps == []
    assert store.counts()["bytes"] == room_for((b"a", 1))


@pytest.mark.parametrize("max_bytes", [0, room_for((b"a", 1)) - 1])
def test_live_delivery_goes_on_when_nothing_can_be_kept(max_bytes: int) -> None:
    """A message for which there is no room is fed unkept, and is a gap for who was away."""
    store = MemoryStore(b"e", retention, max_bytes)
    seen: list[tuple[Message, bool]] = []
    store.feed(lambda message, kept, note: seen.append((message, kept)))
    assert push(store, b"a") == Appended(1, kept=False)
    assert seen == [(Message(1, b"a", b'"x"'), False)]
    assert read(store, b"a").gaps == [b"a"]
    assert read(store, b"a", offset=1).gaps == []
    assert store.counts()["bytes"] == 0


def test_an_unkept_message_is_a_gap_behind_what_is_kept() -> None:
    """One that is too large for what mailboxes leave does not empty the channel in vain."""
    store = MemoryStore(b"e", retention, room_for((b"a", 2)))
    push(store, b"a")
    assert not push(store, b"a", data=b"1" * 500).kept
    missed = read(store, b"a", offset=1)
    assert (missed.messages, missed.gaps) == ([], [b"a"])
    assert [m.offset for m in read(store, b"a").messages] == [1]


def test_mailboxes_take_half_of_the_store_at_most() -> None:
    """Beyond that a message is refused, whatever room the channels leave, and nothing that waits is dropped."""
    store = MemoryStore(b"e", retention, 2 * room_for((b"@a", 2), (b"@b", 1)))
    assert [push(store, c).offset for c in (b"@a", b"@b", b"@a")] == [1, 2, 3]
    for channel in (b"@a", b"@c"):
        assert push(store, channel).code == "store-full"
    assert [m.offset for m in store.waiting(b"@a", T0)] == [1, 3]
    assert push(store, b"a").kept
    assert push(store, b"@c", ttl_s=0) == Appended(5, kept=False)


def test_written_messages_give_way_in_the_order_in_which_they_were_written() -> None:
    """They are for readers with a position only, who are told of the gap."""
    store = MemoryStore(b"e", retention, 2 * room_for((b"@a", 2), (b"@b", 2)))
    for channel in (b"@a", b"@b", b"@a", b"@b"):
        push(store, channel)
    for channel, offset in ((b"@b", 2), (b"@a", 1)):
        store.claim(channel, offset)
        store.written(channel, offset)
    assert push(store, b"@a").kept
    assert read(store, b"@a").gaps == []
    assert read(store, b"@b").gaps == [b"@b"]
    assert push(store, b"@a").kept
    assert read(store, b"@a").gaps == [b"@a"]
    assert push(store, b"@a").code == "store-full"
    assert store.counts()["waiting"] == 4


def test_history_gives_way_to_mailboxes() -> None:
    """What waits is worth more than what was said."""
    store = MemoryStore(b"e", retention, 2 * room_for((b"@a", 2)))
    for _ in range(6):
        push(store, b"a")
    assert push(store, b"@a").kept
    assert push(store, b"@a").kept
    assert store.counts()["bytes"] <= 2 * room_for((b"@a", 2))
    assert read(store, b"a").gaps == [b"a"]
    assert len(store.waiting(b"@a", T0)) == 2


def test_what_ran_out_gives_way_before_a_message_is_refused() -> None:
    """A mailbox that nobody will empty does not keep others out when its time is over."""
    store = MemoryStore(b"e", retention, 2 * room_for((b"@a", 1)))
    push(store, b"@a")
    assert push(store, b"@b", now=T0 + 59).code == "store-full"
    assert push(store, b"@b", now=T0 + 60).kept


@pytest.mark.parametrize("channel", [b"a", b"none:a", b"@a"])
def test_without_room_for_its_key_a_publication_is_refused(channel: bytes) -> None:
    """A key that cannot be remembered would break its promise, so the publisher is told."""
    store = MemoryStore(b"e", retention, 2 * room_for((b"@a", 1)))
    push(store, b"@b")
    keys = 0
    while isinstance(push(store, b"none:x", key=b"%02d" % keys), Appended):
        keys += 1
    assert keys == (room_for((b"@a", 1))) // (KEY_BYTES + 2)
    refused = push(store, channel, key=b"kk")
    assert isinstance(refused, Refused)
    assert refused.code == "store-full"
    assert store.head == keys + 1
    assert push(store, b"none:x", key=b"00").repeated
    assert push(store, b"a") == Appended(keys + 2, kept=False)
    assert push(store, channel, key=b"kk", now=T0 + 300).offset == keys + 3


def test_written_mail_and_history_give_way_to_keys() -> None:
    """A key is a promise, history is a cache."""
    store = MemoryStore(b"e", retention, 2 * room_for((b"@a", 2)))
    push(store, b"@a")
    store.claim(b"@a", 1)
    store.written(b"@a", 1)
    push(store, b"a")
    keys = 0
    while isinstance(push(store, b"none:x", key=b"%02d" % keys), Appended):
        keys += 1
    assert store.counts() == {"messages": 0, "bytes": room_for(keys=keys), "channels": 0, "waiting": 0}
    assert read(store, b"a", b"@a").gaps == [b"a", b"@a"]


def test_a_store_does_not_grow_over_its_bound() -> None:
    """Whatever comes, the bound holds, and the shelves' bookkeeping does not grow beside it."""
    store = MemoryStore(b"e", retention, 50_000)
    for i in range(20_000):
        push(store, b"channel-%d" % (i % 997), ttl_s=1 + i % 50, now=T0 + i / 1000)
        push(store, b"@client-%d" % (i % 97), ttl_s=5, now=T0 + i / 1000)
        store.claim(b"@client-%d" % (i % 97), store.head)
        store.written(b"@client-%d" % (i % 97), store.head)
        assert store.counts()["bytes"] <= 50_000
    for shelf in (store._history, store._mailboxes):
        assert len(shelf.age._messages) <= 2 * shelf.messages + 65
        assert sum(map(len, shelf._wheel._seconds.values())) == len(shelf.rows)
    store.expire(T0 + 1000)
    assert store.counts() == {"messages": 0, "bytes": 0, "channels": 0, "waiting": 0}


def test_the_work_of_one_call_is_bounded() -> None:
    """Many messages that run out at once do not hold up delivery; nobody gets them, and appends help to drop them."""
    store = MemoryStore(b"e", retention, 10**9)
    count = 3 * memory.EXPIRED_A_CALL
    for i in range(count):
        push(store, b"channel-%d" % i)
    store.expire(T0 + 60)
    left = store.counts()["messages"]
    assert count - memory.EXPIRED_A_CALL <= left < count
    assert not any(read(store, b"channel-%d" % i, now=T0 + 60).messages for i in range(0, count, 100))
    before = store.counts()["messages"]
    push(store, b"none:a", now=T0 + 60)
    assert before - memory.EXPIRED_AN_APPEND <= store.counts()["messages"] < before
    for _ in range(6):
        store.expire(T0 + 61)
    assert store.counts()["messages"] == 0


def test_what_lives_for_a_month_is_kept_for_a_month() -> None:
    """A ttl beyond the wheel's horizon is looked at on the way, and runs out in its second."""
    store = MemoryStore(b"e", retention, 10**9)
    month_s = 30 * 86_400
    push(store, b"a", ttl_s=month_s)
    for hours in range(1, 720):
        store.expire(T0 + 3600 * hours)
    assert store.counts()["messages"] == 1
    store.expire(T0 + month_s - 1)
    assert store.counts()["messages"] == 1
    store.expire(T0 + month_s)
    assert store.counts()["messages"] == 0


def test_the_retention_of_a_namespace_may_change() -> None:
    """A setting that is changed holds for the next message."""
    rules = {b"": Retention(60, 10)}
    store = MemoryStore(b"e", rules.__getitem__, 10**9)
    for _ in range(5):
        push(store, b"a")
    rules[b""] = Retention(60, 2)
    push(store, b"a")
    assert [m.offset for m in read(store, b"a").messages] == [5, 6]


def test_readers_share_the_bytes_that_are_kept() -> None:
    """A message is not copied for each reader."""
    store = MemoryStore(b"e", retention, 10**9)
    data = b'"shared"'
    push(store, b"a", data=data)
    push(store, MAILBOX, data=data)
    assert all(m.data is data for m in read(store, b"a", MAILBOX).messages)


MODERATE = settings(max_examples=200, stateful_step_count=30, deadline=None, derandomize=True)


def test_random_steps_agree_with_the_model() -> None:
    """Order, true gaps, caps, claims and bytes: whatever comes, the store answers as a list of all messages would."""
    run_state_machine_as_test(StoreMachine, settings=MODERATE)


@pytest.mark.parametrize("seed", range(12))
def test_a_long_walk_agrees_with_the_model(seed: int) -> None:
    """The same after hundreds of steps, with and without pressure on the store."""
    walk(StoreMachine(), seed, 400)


class ForgetsAMessage(MemoryStore):
    """Loses the fifth message without a word."""

    def read(
        self,
        channels: object,
        since: Since,
        limit: int,
        max_bytes: int,
        now: float,
        done: Callable[[Missed], None],
    ) -> None:
        def forget(missed: Missed) -> None:
            done(attrs.evolve(missed, messages=[m for m in missed.messages if m.offset != 5]))

        super().read(channels, since, limit, max_bytes, now, forget)


class NoGaps(Gaps):
    """Remembers nothing."""

    def note(self, channel: bytes, offset: int) -> None:
        pass


class ForgetsGaps(MemoryStore):
    """Forgets what was lost when nothing of the channel is kept any more."""

    def feed(self, take: Callable[[Message, bool, object], None]) -> None:
        super().feed(take)
        self._gaps = self._history._gaps = self._mailboxes._gaps = NoGaps()


class GivesClaimedMessages(MemoryStore):
    """Hands a message that is on its way to the next poll too."""

    def claim(self, channel: bytes, offset: int) -> None:
        pass


class TellsGapsOfTheExcused(MemoryStore):
    """Tells a gap for what ran out by its publisher's own shorter ttl."""

    def append(self, publication: Publication, now: float, done: object, note: object = None) -> None:
        super().append(publication, now, done, note)
        for row in [self._history.rows[name] for name in self._history.rows]:
            for kept in row.messages:
                kept.flags = 0


class DropsWhatWaits(MemoryStore):
    """Makes room in a full mailbox at the expense of what waits."""

    def append(self, publication: Publication, now: float, done: object, note: object = None) -> None:
        row = self._mailboxes.row(publication.channel, now)
        if row is not None and len(row.messages) >= 4:
            self._mailboxes.drop(row, row.messages[0], now)
        super().append(publication, now, done, note)


class Overgrows(MemoryStore):
    """Does not count the bytes of its keys."""

    def _bytes(self) -> int:
        return self._history.bytes + self._mailboxes.bytes


class ClearsInSilence(MemoryStore):
    """Tells nobody of what was cleared."""

    def clear(self, channel: bytes, last: int, most: int, now: float) -> int:
        shelf = self._mailboxes if channel.startswith(b"@") else self._history
        row = shelf.row(channel, now)
        lost = 0 if row is None else row.lost
        count = super().clear(channel, last, most, now)
        if row is not None:
            row.lost = lost
            self._gaps._lost[crc32(channel) & 0xFFFF] = lost
        return count


DOUBLES = [
    ClearsInSilence,
    ForgetsAMessage,
    ForgetsGaps,
    GivesClaimedMessages,
    TellsGapsOfTheExcused,
    DropsWhatWaits,
    Overgrows,
]


@pytest.mark.parametrize("double", DOUBLES)
def test_a_store_that_breaks_a_promise_is_caught(double: type[MemoryStore]) -> None:
    """The comparison notices what it is there for."""
    machine = type("DoubleMachine", (StoreMachine,), {"make": double})
    # What is tried depends on the source of all modules; so many that the rarest is found whatever that is.
    unshrunk = settings(MODERATE, max_examples=4000, phases=[Phase.generate], report_multiple_bugs=False)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine, settings=unshrunk)


def test_oldest_is_not_the_position_zero() -> None:
    """The word asks for no notice, the position asks for one."""
    store = MemoryStore(b"e", retention, 0)
    push(store, b"a")
    answers: list[Missed] = []
    store.read([b"a"], OLDEST, 10, 1000, T0, answers.append)
    assert answers[0].gaps == []
    assert read(store, b"a", offset=0).gaps == [b"a"]
