"""Pushes on the link, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from megacomet.names import EVERYONE
from megacomet.wire.push import MAX_KEY_BYTES, MAX_TARGETS, MAX_TTL_S, Push, PushResult
from megacomet.wire.pushed import (
    SentPush,
    ToldPush,
    decode_pushes,
    decode_told,
    decode_verdict,
    encode_push,
    encode_told,
    encode_told_one,
    encode_verdict,
)

NUMBERS = st.integers(0, 2**32 - 1)
NAMES = st.one_of(st.just(EVERYONE), st.binary(min_size=1, max_size=255))


def push_of(targets: Sequence[bytes], single: bool, data: bytes, ttl_s: float | None, key: bytes | None) -> Push:
    return Push(tuple(targets), single, data, ttl_s, key, EVERYONE in targets)


PUSHES = st.builds(
    push_of,
    st.lists(NAMES, min_size=1, max_size=5, unique=True),
    st.booleans(),
    st.binary(max_size=300),
    st.none() | st.floats(0, MAX_TTL_S),
    st.none() | st.binary(min_size=1, max_size=MAX_KEY_BYTES),
)
SENT = st.builds(SentPush, NUMBERS, PUSHES, st.binary(min_size=8, max_size=8), st.booleans(), st.binary(max_size=100))
CONNECTIONS = st.none() | st.integers(0, 2**32 - 2)
TAKEN = st.tuples(
    st.binary(max_size=255), st.sampled_from(["sent", "queued", "unheard"]), st.booleans(), CONNECTIONS, st.just("")
)
NOT_TAKEN = st.tuples(
    st.just(b""), st.just("refused"), st.just(False), CONNECTIONS, st.sampled_from(["mailbox-full", "store-full"])
)
RESULTS = st.builds(lambda channel, rest: PushResult(channel, *rest), NAMES, TAKEN | NOT_TAKEN)
REFUSALS = st.tuples(st.text(st.characters(codec="ascii", categories=["L", "Pd"]), min_size=1), st.text())
TOLD: st.SearchStrategy[ToldPush] = st.one_of(
    st.tuples(NUMBERS, st.lists(RESULTS, min_size=1, max_size=5), st.none() | REFUSALS),
    st.tuples(NUMBERS, st.just([]), REFUSALS),
)

PLAIN = Push((b"news",), True, b"1")
SOME = [
    SentPush(1, PLAIN, b"i" * 8, False, b""),
    SentPush(2, push_of([b"a", EVERYONE], False, b'"x"', 0.0, b"k"), b"j" * 8, True, b'["id", "::1"]'),
]
SOME_TOLD: list[ToldPush] = [
    (1, [PushResult(b"a", b"e1-1", "sent", True, 3), PushResult(b"b", b"e1-2", "queued")], None),
    (2, [], ("unauthorized", "the key is not known here")),
    (3, [PushResult(b"c", b"", "refused", code="store-full")], ("store-full", "full")),
]


def sent(pushes: Sequence[SentPush]) -> bytes:
    return b"".join(encode_push(*astuple(push)) for push in pushes)


def told(pushes: Sequence[ToldPush]) -> bytes:
    return b"".join(encode_told(*push) for push in pushes)


def read_told(blob: bytes, pushes: Sequence[ToldPush]) -> list[ToldPush]:
    """Read what became of pushes, of which the worker knows the targets as long as they are not told."""
    known = {number: [result.channel for result in results] or [b"a"] for number, results, _ in pushes}
    return list(decode_told(blob, lambda number: known.get(number, ())))


# ------------------------------------------------------------------------------------------------------------- up


@given(st.lists(SENT, max_size=4))
def test_pushes_survive(pushes: list[SentPush]) -> None:
    """Any pushes, one after the other, come out as they went in, in their order."""
    assert list(decode_pushes(sent(pushes))) == pushes


@pytest.mark.parametrize("count", [1, 2, MAX_TARGETS])
@pytest.mark.parametrize("size", [5, 255])
def test_targets_of_any_number_and_size(count: int, size: int) -> None:
    """A push has up to 10,000 targets, the longest names among them, and may have no data at all."""
    targets = tuple(f"{n:0>{size}}".encode() for n in range(count))
    push = SentPush(2**32 - 1, Push(targets, count == 1, b""), bytes(8), False, b"")
    assert list(decode_pushes(sent([push]))) == [push]


def test_a_name_that_looks_like_two() -> None:
    """A name may hold what would be the length of another one."""
    for targets in [(b"a\x01b",), (b"a", b"b"), (b"\x01",), (b"\x00",)]:
        (push,) = decode_pushes(sent([SentPush(1, Push(targets, False, b"1"), bytes(8), False, b"")]))
        assert push.push.targets == targets


def test_live_only_is_not_without_a_ttl() -> None:
    """A ttl of zero and none at all, an empty key and none, are told apart."""
    for ttl_s in (None, 0.0):
        for key in (None, b""):
            push = SentPush(1, Push((b"a",), True, b"1", ttl_s, key), bytes(8), False, b"")
            assert list(decode_pushes(sent([push]))) == [push]


@pytest.mark.parametrize("pushes", [SOME[:1], SOME[1:], SOME])
def test_pushes_cut_off(pushes: list[SentPush]) -> None:
    """A value that ends within a push is an error, wherever it ends; those before it are read all the same."""
    whole = sent(pushes)
    starts = [len(sent(pushes[:n])) for n in range(len(pushes))]
    for end in range(1, len(whole)):
        if end in starts:
            continue
        reader = decode_pushes(whole[:end])
        before = sum(1 for start in starts[1:] if start <= end)
        assert [next(reader) for _ in range(before)] == pushes[:before]
        with pytest.raises(ValueError, match="cut off"):
            next(reader)


@given(st.binary(max_size=200))
def test_no_pushes(blob: bytes) -> None:
    """Whatever is no pushes is a ValueError and nothing else."""
    try:
        for push in decode_pushes(blob):
            assert push.push.everyone == (EVERYONE in push.push.targets)
    except ValueError:
        pass


# ----------------------------------------------------------------------------------------------------------- down


@given(st.lists(TOLD, max_size=4, unique_by=lambda push: push[0]))
def test_results_survive(pushes: list[ToldPush]) -> None:
    """What became of any pushes, one after the other, comes out as it went in."""
    assert read_told(told(pushes), pushes) == pushes


@given(NUMBERS, TAKEN)
def test_one_result(number: int, taken: tuple[bytes, str, bool, int | None, str]) -> None:
    """The short form of what nearly all pushes are is the long one, to the byte."""
    id_, status, repeated, _, _ = taken
    result = PushResult(b"a", id_, status, repeated)
    assert encode_told_one(number, id_, status, repeated) == encode_told(number, [result], None)


def test_results_of_the_largest_push() -> None:
    """10,000 targets have a result each."""
    results = [PushResult(b"%d" % n, b"e1-%d" % n, "sent", False, n) for n in range(MAX_TARGETS)]
    push: ToldPush = (7, results, None)
    assert read_told(told([push]), [push]) == [push]


def test_nobody_counted_is_not_nobody_got_it() -> None:
    """Written to no connection, and not counted, are told apart."""
    results = [PushResult(b"a", b"e1-1", "sent", connections=n) for n in (0, None, 2**32 - 2)]
    push: ToldPush = (1, results, None)
    assert read_told(told([push]), [push]) == [push]


@pytest.mark.parametrize(
    ("detail", "read"),
    [
        ("", ""),
        ("two\nlines", "two\nlines"),
        ("a\0b", "a\0b"),
        ("voll: \u00fc\U0001f600", "voll: \u00fc\U0001f600"),
        ("half a \ud83d", "half a ?"),
        ("x" * 70_000, "x" * (0xFFFF - len("store-full\0"))),
        # The cut is in the middle of a character here.
        ("\u00fc" * 40_000, "\u00fc" * ((0xFFFF - len("store-full\0")) // 2)),
        ("x" + "\u00fc" * 40_000, "x" + "\u00fc" * ((0xFFFF - len("store-full\0x")) // 2) + "\ufffd"),
    ],
)
def test_details_of_refusals(detail: str, read: str) -> None:
    """Any text says why a push was refused; what cannot be sent of it is left out, and the next one is not harmed."""
    blob = encode_told(1, [], ("store-full", detail)) + encode_told(2, [], ("unauthorized", ""))
    found = list(decode_told(blob, lambda _: [b"a"]))
    assert found == [(1, [], ("store-full", read)), (2, [], ("unauthorized", ""))]


def test_results_of_unknown_pushes() -> None:
    """What nobody waits for any more is passed over, whatever it has; the others are told."""
    first, second, third = SOME_TOLD
    assert read_told(told(SOME_TOLD), [first, third]) == [first, third]
    assert read_told(told([second, first]), [first]) == [first]
    assert read_told(told(SOME_TOLD), []) == []


def test_told_once() -> None:
    """Who has heard of a push asks for no more: the second time it is passed over."""
    waiting = {1: [b"a", b"b"]}
    found = []
    for push in decode_told(told(SOME_TOLD[:1] * 2), lambda number: waiting.get(number, ())):
        del waiting[push[0]]
        found.append(push)
    assert found == SOME_TOLD[:1]


@pytest.mark.parametrize("targets", [[b"a"], [b"a", b"b", b"c"]])
@pytest.mark.parametrize("refusal", [None, ("store-full", "full")])
def test_as_many_results_as_targets(targets: list[bytes], refusal: tuple[str, str] | None) -> None:
    """Results that are not one for each target are an error."""
    blob = encode_told(1, SOME_TOLD[0][1], refusal)
    with pytest.raises(ValueError, match="has not one result for each target"):
        list(decode_told(blob, lambda _: targets))


@pytest.mark.parametrize("targets", [[b"a"], []])
def test_neither_results_nor_a_refusal(targets: list[bytes]) -> None:
    """A push of which nothing is told was not told of, known or not."""
    with pytest.raises(ValueError, match="neither published nor refused"):
        list(decode_told(encode_told(1, [], None), lambda _: targets))


def test_no_such_status() -> None:
    """A status that this version does not know is an error."""
    blob = bytearray(encode_told(1, [PushResult(b"a", b"", "sent")], None))
    blob[8] = 5
    with pytest.raises(ValueError, match="no push has the status 5"):
        list(decode_told(bytes(blob), lambda _: [b"a"]))


@pytest.mark.parametrize("pushes", [SOME_TOLD[:1], SOME_TOLD[1:2], SOME_TOLD])
def test_results_cut_off(pushes: list[ToldPush]) -> None:
    """A value that ends within the results of a push is an error, wherever it ends, known or not."""
    whole = told(pushes)
    starts = [len(told(pushes[:n])) for n in range(len(pushes))]
    for end in range(1, len(whole)):
        if end not in starts:
            for known in (pushes, []):
                with pytest.raises(ValueError, match="cut off"):
                    read_told(whole[:end], known)


@given(st.binary(max_size=200))
def test_no_results(blob: bytes) -> None:
    """Whatever is no results is a ValueError and nothing else; whoever is told is told of all targets or of why."""
    try:
        for _, results, refusal in decode_told(blob, lambda _: [b"a"]):
            assert len(results) == 1 or (not results and refusal is not None)
    except ValueError:
        pass


def test_a_verdict() -> None:
    """Boxes, head and what is told come out as they went in; a value that is cut off in the first two is none."""
    value = encode_verdict(2, 2**40, b"told")
    assert decode_verdict(value) == (2, 2**40, b"told")
    for size in range(len(value) - len(b"told")):
        with pytest.raises(ValueError, match="cut off"):
            decode_verdict(value[:size])
