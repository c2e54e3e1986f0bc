"""The directory: it never misses a worker that listens, and it may be wrong only where two whole hashes are equal."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from megacomet.model.directory import MAX_SLOTS, PER_BUCKET, Directory


def directory_with(slots: int) -> Directory:
    """Return a directory with the slots 0 to `slots` - 1 taken."""
    directory = Directory()
    assert [directory.take_slot() for _ in range(slots)] == list(range(slots))
    return directory


def test_a_channel_that_nobody_listens_to_has_no_slots() -> None:
    """A message to a channel without listeners goes to no worker."""
    assert Directory().slots(b"news") == []


def test_add_tells_news_once() -> None:
    """A worker that says twice that it has listeners is asked once."""
    directory = directory_with(1)
    assert directory.add(b"news", 0)
    assert not directory.add(b"news", 0)
    assert directory.slots(b"news") == [0]
    assert len(directory) == 1


def test_remove_tells_whether_it_was_there() -> None:
    """A worker whose last listener left gets no more messages of the channel."""
    directory = directory_with(2)
    directory.add(b"news", 0)
    directory.add(b"news", 1)
    assert directory.remove(b"news", 0)
    assert not directory.remove(b"news", 0)
    assert directory.slots(b"news") == [1]
    assert len(directory) == 1


@pytest.mark.parametrize("slot", [0, 1, 255, 256, 999])
def test_every_slot_number_comes_back_whole(slot: int) -> None:
    """Slot numbers of one and of two bytes are told apart."""
    directory = directory_with(1000)
    directory.add(b"news", slot)
    assert directory.slots(b"news") == [slot]


def test_a_channel_may_have_listeners_on_many_workers() -> None:
    """`*` is on every worker, all of them in one bucket."""
    directory = directory_with(1000)
    for slot in range(1000):
        assert directory.add(b"*", slot)
    assert sorted(directory.slots(b"*")) == list(range(1000))


def test_bytes_across_two_entries_are_no_entry() -> None:
    """An entry is found at its own place only, whatever bytes stand side by side."""
    directory = directory_with(2)
    # The hash of b"" is 0, so its entries are zeros: also the end of a stranger's entry and the begin of the next.
    stranger = b"\x05" + bytes(8)
    directory._buckets[0] = stranger
    directory._of_slot[0] = directory._entries = 1
    assert directory.slots(b"") == []
    assert not directory.remove(b"", 0)
    assert directory.add(b"", 0)
    assert directory.add(b"", 1)
    assert directory.slots(b"") == [0, 1]
    assert directory.remove(b"", 0)
    assert directory.slots(b"") == [1]
    assert directory._buckets[0][:9] == stranger


def test_a_sweep_looks_at_slots_and_not_at_hashes() -> None:
    """A hash that holds the bytes of a dead slot's number is not taken for it."""
    directory = directory_with(2)
    directory.add(b"", 1)
    directory.add(b"news", 0)
    directory.drop(0)
    while directory.sweep(1):
        pass
    assert directory.slots(b"") == [1]
    assert len(directory) == 1


def test_growth_keeps_every_entry_and_few_a_bucket() -> None:
    """The table grows a bucket at a time, over several doublings, and loses nothing."""
    directory = directory_with(7)
    names = [b"@client-%d" % i for i in range(40_000)]
    for i, name in enumerate(names):
        assert directory.add(name, i % 7)
    assert all(directory.slots(name) == [i % 7] for i, name in enumerate(names))
    assert len(directory._buckets) >= len(names) // PER_BUCKET
    assert not any(directory.slots(b"@stranger-%d" % i) for i in range(1000))
    for i, name in enumerate(names):
        assert directory.remove(name, i % 7)
    assert len(directory) == 0
    assert not any(directory._buckets)


def test_a_dropped_slot_is_left_out_at_once() -> None:
    """A message is not sent to a worker that died, also before its entries are removed."""
    directory = directory_with(2)
    directory.add(b"news", 0)
    directory.add(b"news", 1)
    directory.drop(0)
    assert directory.slots(b"news") == [1]
    assert len(directory) == 1
    assert not directory.add(b"news", 0)
    assert not directory.remove(b"news", 0)


def test_a_dropped_slot_number_is_reused_only_when_it_is_swept() -> None:
    """A new worker never inherits the channels of a dead one."""
    directory = directory_with(2)
    for i in range(5000):
        directory.add(b"channel-%d" % i, i % 2)
    directory.drop(0)
    assert directory.take_slot() == 2
    calls = 0
    while directory.sweep(10):
        calls += 1
        assert directory.take_slot() > 2
    assert calls > 10
    assert directory.take_slot() == 0
    assert not any(0 in directory.slots(b"channel-%d" % i) for i in range(5000))
    assert len(directory) == 2500


def test_sweeping_is_right_while_the_table_grows_and_workers_die() -> None:
    """Buckets that split behind the sweep, and a second death in the middle of it, leave nothing behind."""
    directory = directory_with(3)
    for i in range(6000):
        directory.add(b"channel-%d" % i, i % 3)
    directory.drop(0)
    for i in range(6000, 12_000):
        directory.add(b"channel-%d" % i, 2)
        directory.sweep(1)
        if i == 6100:
            directory.drop(1)
    while directory.sweep(100):
        pass
    assert sorted([directory.take_slot(), directory.take_slot()]) == [0, 1]
    assert len(directory) == 8000 == sum(map(len, directory._buckets)) // 9


def test_a_slot_without_entries_is_free_after_one_sweep() -> None:
    """A worker that died before it had a listener blocks no number."""
    directory = directory_with(1)
    directory.drop(0)
    assert not directory.sweep(1)
    assert directory.take_slot() == 0


@pytest.mark.parametrize("slot", [-1, 1, 70_000])
def test_only_a_taken_slot_can_be_dropped(slot: int) -> None:
    """Dropping a number that nobody has is a bug and is told."""
    with pytest.raises(ValueError, match="not taken"):
        directory_with(1).drop(slot)


def test_a_free_slot_cannot_be_dropped_again() -> None:
    """Else one number could be given to two workers."""
    directory = directory_with(1)
    directory.drop(0)
    directory.sweep(1)
    with pytest.raises(ValueError, match="not taken"):
        directory.drop(0)


def test_there_are_65536_slots() -> None:
    """Two bytes hold a slot number; the next one is refused."""
    directory = directory_with(MAX_SLOTS)
    assert directory.add(b"news", MAX_SLOTS - 1)
    assert directory.slots(b"news") == [MAX_SLOTS - 1]
    with pytest.raises(RuntimeError):
        directory.take_slot()


#: Few enough that channels are added, removed and added again; the table grows through `fill`.
CHANNELS = [b"channel-%d" % i for i in range(12)]


class DirectoryMachine(RuleBasedStateMachine):
    """A directory and, beside it, a dict of sets."""

    make = Directory

    def __init__(self) -> None:
        super().__init__()
        self.directory = self.make()
        self.model: dict[bytes, set[int]] = {}
        self.alive = [self.directory.take_slot() for _ in range(3)]
        self.dead: set[int] = set()
        self.filled = 0

    def slot(self, pick: int) -> int:
        return self.alive[pick % len(self.alive)]

    @rule()
    def take(self) -> None:
        slot = self.directory.take_slot()
        assert slot not in self.alive
        assert slot not in self.dead, "a number is reused before it was swept"
        self.alive.append(slot)

    @rule(channels=st.lists(st.sampled_from(CHANNELS), min_size=1), pick=st.integers(0, 9))
    def add(self, channels: list[bytes], pick: int) -> None:
        for channel in channels:
            heard = self.model.setdefault(channel, set())
            assert self.directory.add(channel, self.slot(pick)) == (self.slot(pick) not in heard)
            heard.add(self.slot(pick))

    @rule(channels=st.lists(st.sampled_from(CHANNELS), min_size=1), pick=st.integers(0, 9))
    def remove(self, channels: list[bytes], pick: int) -> None:
        for channel in channels:
            heard = self.model.get(channel, set())
            assert self.directory.remove(channel, self.slot(pick)) == (self.slot(pick) in heard)
            heard.discard(self.slot(pick))

    @rule(pick=st.integers(0, 9), count=st.integers(1, 3000))
    def fill(self, pick: int, count: int) -> None:
        for i in range(self.filled, self.filled + count):
            self.directory.add(b"filler-%d" % i, self.slot(pick))
            self.model[b"filler-%d" % i] = {self.slot(pick)}
        self.filled += count

    @precondition(lambda self: len(self.alive) > 1)
    @rule(pick=st.integers(0, 9))
    def drop(self, pick: int) -> None:
        slot = self.slot(pick)
        self.directory.drop(slot)
        self.alive.remove(slot)
        self.dead.add(slot)
        for heard in self.model.values():
            heard.discard(slot)

    @rule(buckets=st.integers(0, 300))
    def sweep(self, buckets: int) -> None:
        more = self.directory.sweep(buckets)
        self.dead &= set(self.directory._dead)
        assert more == bool(self.dead)

    @invariant()
    def same_as_the_model(self) -> None:
        for channel in [*CHANNELS, *list(self.model)[::41]]:
            assert sorted(self.directory.slots(channel)) == sorted(self.model.get(channel, ()))
        assert len(self.directory) == sum(map(len, self.model.values()))


def walk(machine: DirectoryMachine, seed: int, steps: int) -> None:
    """Drive the machine far, through several deaths and sizes of the table."""
    pick = Random(seed)
    for _ in range(steps):
        step = pick.random()
        if step < 0.3:
            machine.add(pick.choices(CHANNELS, k=5), pick.randrange(10))
        elif step < 0.5:
            machine.remove(pick.choices(CHANNELS, k=4), pick.randrange(10))
        elif step < 0.6:
            machine.fill(pick.randrange(10), pick.randrange(1, 3000))
        elif step < 0.7:
            machine.take()
        elif step < 0.74 and len(machine.alive) > 1:
            machine.drop(pick.randrange(10))
        else:
            machine.sweep(pick.randrange(300))
        machine.same_as_the_model()


class ForgetfulDirectory(Directory):
    """Forgets the second worker of a channel."""

    def slots(self, channel: bytes) -> list[int]:
        return super().slots(channel)[:1]


class HastyDirectory(Directory):
    """Gives a dead worker's number away before its entries are removed."""

    def drop(self, slot: int) -> None:
        super().drop(slot)
        self._free.add(slot)


class CarelessDirectory(Directory):
    """Loses the last entry of each bucket that is split."""

    def _grow(self) -> None:
        self._buckets[self._split] = self._buckets[self._split][:-9]
        super()._grow()


MODERATE = settings(max_examples=60, stateful_step_count=30, deadline=None, derandomize=True)


def test_random_steps_agree_with_a_dict_of_sets() -> None:
    """Whatever comes in whatever order, the directory answers as a plain dict would."""
    run_state_machine_as_test(DirectoryMachine, settings=MODERATE)


@pytest.mark.parametrize("seed", range(6))
def test_a_long_walk_agrees_with_a_dict_of_sets(seed: int) -> None:
    """The same after hundreds of steps."""
    walk(DirectoryMachine(), seed, 200)


@pytest.mark.parametrize("double", [ForgetfulDirectory, HastyDirectory, CarelessDirectory])
def test_a_directory_that_is_wrong_is_caught(double: type[Directory]) -> None:
    """The comparison above notices what it is there for."""
    machine = type("DoubleMachine", (DirectoryMachine,), {"make": double})
    with pytest.raises(AssertionError):
        walk(machine(), 1, 200)
