"""A dict in parts: it does what a dict does, and can be looked through while it changes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from megacomet.model.shards import PARTS, Shards

NAMES = st.sampled_from([b"c%d" % n for n in range(12)])


@given(st.lists(st.tuples(st.sampled_from(["set", "delete"]), NAMES, st.integers())))
def test_it_is_a_dict(steps: list[tuple[str, bytes, int]]) -> None:
    """Whatever comes and goes, the same is there as in a dict."""
    shards: Shards[int] = Shards()
    plain: dict[bytes, int] = {}
    for step, name, value in steps:
        if step == "set":
            shards[name] = plain[name] = value
        elif name in plain:
            del shards[name], plain[name]
        assert (shards.get(name), name in shards, len(shards)) == (plain.get(name), name in plain, len(plain))
        assert sorted(shards) == sorted(plain)
    assert {name: shards[name] for name in shards} == plain
    names = [b"c%d" % n for n in range(12)]
    assert shards.of_each(names) == [plain.get(name) for name in names]


def test_parts_are_of_about_the_same_size() -> None:
    """No part takes much longer to look through than another."""
    shards: Shards[int] = Shards()
    for n in range(100 * PARTS):
        shards[b"channel-%d" % n] = n
    sizes = [len(part) for part in shards.parts()]
    assert len(sizes) == PARTS
    assert max(sizes) < 200


def test_what_is_there_all_the_time_is_found_while_others_come_and_go() -> None:
    """The same with a dict would end at the first change."""
    shards: Shards[None] = Shards()
    staying = {b"stays-%d" % n for n in range(1000)}
    for name in staying:
        shards[name] = None
    found: set[bytes] = set()
    for n, part in enumerate(shards.parts()):
        found |= part.keys()
        for k in range(20):
            shards[b"comes-%d-%d" % (n, k)] = None
        if n:
            for k in range(20):
                del shards[b"comes-%d-%d" % (n - 1, k)]
    assert staying <= found
