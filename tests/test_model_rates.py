"""Rates from what workers have told, beside what they really did: they die, begin, and beat out of step."""

from __future__ import annotations

from array import array

import attrs
from hypothesis import given
from hypothesis import strategies as st

from megacomet.model.rates import BORN_S, OF_MANAGER, OF_WORKERS, Happened, Look, Looks, Told, happened, latencies

CLASSES = 15
NOTHING = (0,) * len(OF_WORKERS)


def told(pid: int, uptime_s: float, *counted: float, took: tuple[float, ...] = ()) -> Told:
    """What a worker has told; what is left out is 0."""
    counts = [*counted, *(0,) * (len(OF_WORKERS) - len(counted)), *took, *(0,) * (CLASSES - len(took))]
    return Told(pid, uptime_s, array("d", counts))


def look(at_s: float, own: tuple[float, ...] = (0,) * len(OF_MANAGER), **workers: Told) -> Look:
    """A look at workers `w0`, `w1` and so on."""
    return Look(at_s, own, {int(name[1:]): each for name, each in workers.items()})


def between(before: Look, now: Look) -> Happened:
    """What happened between looks that tell it."""
    done = happened(before, now)
    assert done is not None
    return done


def test_a_worker() -> None:
    """What it counted is divided by what passed on its own clock, not by the time between the looks."""
    done = between(look(10, w0=told(100, 60.0, 5, 100)), look(11.4, w0=told(100, 62.0, 9, 150)))
    assert done.workers == {0: (2, 25, 0, 0, 0)}
    assert (done.rates["accepts"], done.rates["out"]) == (2, 25)


def test_the_manager() -> None:
    """Its own counts are of the moment; what both count is added."""
    before, now = look(10, (4, 1, 10, 0.5), w0=told(100, 60)), look(12, (8, 2, 20, 1), w0=told(100, 61, 0, 0, 0, 7, 1))
    rates = between(before, now).rates
    assert rates == {"in": 2, "refused": 7.5, "requests": 6, "cpu": 0.25, "accepts": 0, "out": 0, "bytes_out": 0}


def test_no_beat_between() -> None:
    """A worker that has told nothing new has done nothing, and divides by nothing."""
    same = told(100, 60, 5)
    assert between(look(10, w0=same), look(11, w0=same)) == Happened(dict.fromkeys([*OF_WORKERS, *OF_MANAGER], 0.0), {})


def test_a_successor() -> None:
    """What the dead one told last and what its successor has done lie between the looks; the sum never falls."""
    before = look(10, w0=told(100, 3600, 50, took=(1, 2)))
    now = look(12, w0=told(101, 0.5, 58, took=(1, 2, 3)))
    assert between(before, now).workers == {0: (4, 0, 0, 0, 0)}
    assert latencies(before, now) == [0, 0, 3, *[0] * (CLASSES - 3)]


def test_a_new_worker() -> None:
    """One that was born between the looks did all that it did there."""
    assert between(look(10), look(15, w0=told(100, 4.0, 10))).workers == {0: (2, 0, 0, 0, 0)}
    assert between(look(10), look(15, w0=told(100, 5 + BORN_S, 10))).workers == {0: (2, 0, 0, 0, 0)}


def test_a_worker_that_is_older_than_the_manager() -> None:
    """What it did under another manager is nobody's rate: its first figures are where it begins."""
    first, second = look(15, w0=told(100, 3600, 10**9)), look(20, w0=told(100, 3605, 10**9 + 50))
    assert happened(look(10), first) is None
    assert latencies(look(10), first) == []
    assert between(first, second).workers == {0: (10, 0, 0, 0, 0)}


def test_a_worker_that_is_gone() -> None:
    """One that has told something and has no successor yet has done nothing more."""
    before, now = look(10, w0=told(100, 60, 5), w1=told(101, 60, 5)), look(12, w0=told(100, 62, 7), w1=told(101, 60, 5))
    assert between(before, now).workers == {0: (1, 0, 0, 0, 0)}


# -- beside a plain model


@attrs.define
class Worker:
    """A worker that does something a second, and tells it at its own moments."""

    pid: int
    beat_at: float
    born_at: float
    did: int = 0
    past: int = 0
    last: tuple[int, float, int] | None = None

    def beat(self, now: float) -> None:
        """Tell."""
        self.last = (self.pid, now - self.born_at, self.past + self.did)


_acts = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["work", "die", "work", "work"])), max_size=30)


@given(_acts, st.lists(st.floats(0, 0.99), min_size=3, max_size=3), st.integers(1, 7))
def test_workers_that_die(acts: list[tuple[int, str]], phases: list[float], every: int) -> None:
    """Whoever dies when, no rate is negative, none is more than was done, and all that was told is in one of them."""
    workers = [Worker(100 + n, phase, 0.0) for n, phase in enumerate(phases)]
    second, pid, total = 0.0, 200, 0.0
    before = look(0.0)
    for n, (number, act) in enumerate(acts):
        worker = workers[number]
        if act == "die":
            worker.past = worker.last[2] if worker.last is not None else 0
            worker.pid, worker.did, worker.born_at = pid, 0, second
            pid += 1
        worker.did += 10
        second += 1
        for each in workers:
            each.beat(second - 1 + each.beat_at)
        if n % every == 0:
            found = {f"w{n}": told(w.last[0], w.last[1], w.last[2]) for n, w in enumerate(workers) if w.last}
            now = look(second, **found)
            done = between(before, now)
            assert min(done.rates.values()) >= 0
            for number, (rate, *_) in done.workers.items():
                grown = now.workers[number].counted[0] - (
                    before.workers[number].counted[0] if number in before.workers else 0
                )
                assert 0 <= rate <= grown * 1.0001
                total += grown
            before = now
    assert total == sum(each.counted[0] for each in before.workers.values())


def test_looking_back() -> None:
    """The newest look that is old enough; what nobody will ask for is not kept."""
    looks = Looks(10)
    assert looks.back(0) is None
    made = [look(float(n)) for n in range(0, 40, 2)]
    for each in made:
        looks.add(each)
    assert looks.back(0) is made[-1]
    assert looks.back(1.5) is made[-2]
    assert looks.back(10) is made[-6]
    assert looks.back(10.5) is None
    looks.add(look(4000.0))
    assert looks.back(10) is made[-1]


def test_silence() -> None:
    """How long a worker has told nothing is known from the looks; another process begins anew."""
    looks = Looks(10)
    assert looks.silent_s(0, 2) == 0
    looks.add(look(0.0))
    assert looks.silent_s(0, 2) == 0
    for at_s, uptime_s in ((1.0, 5.0), (2.0, 6.0), (3.0, 6.0), (4.5, 6.0)):
        looks.add(look(at_s, w0=told(100, uptime_s), w1=told(101, at_s)))
    assert (looks.silent_s(0, 2), looks.silent_s(1, 2)) == (2.5, 0)
    looks.add(look(5.0, w0=told(102, 6.0)))
    assert looks.silent_s(0, 2) == 0
    looks.add(look(8.0, w0=told(102, 6.0)))
    assert looks.silent_s(0, 2) == 0
    looks.add(look(9.0, w0=told(102, 6.0)))
    assert (looks.silent_s(0, 2), looks.silent_s(0, 3)) == (1, 4)
