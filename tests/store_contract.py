"""What every message store must do: one class of tests, to be run against each implementation of `IMessageStore`.

A test class of a store derives from `StoreContract` and says how to make one. A store that answers later than at once
overrides `settle` to bring on what is under way.
"""

from __future__ import annotations

import pytest
from zope.interface.verify import verifyObject

from megacomet.errors import Refused
from megacomet.model.listing import Listing, span_of
from megacomet.model.message import Appended, Message, Publication
from megacomet.model.position import OLDEST, Since
from megacomet.model.store import Held, IMessageStore, Missed, Past, Retention

T0 = 1000.0
MAILBOX = b"@sue"

RETENTIONS = {
    b"@": Retention(60, 5, 100),
    b"few": Retention(60, 3),
    b"small": Retention(60, 100, 30),
    b"long": Retention(60, 700),
    b"none": Retention(0, 100),
    b"zero": Retention(60, 0),
}


def retention(namespace: bytes) -> Retention:
    """Return the retention of the contract's namespaces; a minute and 100 messages for all others."""
    return RETENTIONS.get(namespace, Retention(60, 100))


class StoreContract:
    """The promises of `IMessageStore`."""

    def make(self, key_window_s: float = 300.0) -> IMessageStore:
        """Return an empty store with `retention` and room for everything here."""
        raise NotImplementedError

    def settle(self, store: IMessageStore) -> None:
        """Bring on what is under way in a store that answers later."""

    @pytest.fixture
    def store(self) -> IMessageStore:
        return self.make()

    def push(self, store, channel, data=b'"x"', *, now=T0, ttl_s=None, key=None, note=None) -> Appended | Refused:
        """Append and return the outcome, which comes exactly once."""
        outcomes = []
        store.append(Publication(channel, data, ttl_s, key), now, outcomes.append, note)
        self.settle(store)
        (outcome,) = outcomes
        return outcome

    def read(self, store, channels, since=OLDEST, *, limit=1000, max_bytes=10**6, now=T0) -> Missed:
        """Read and return what was missed, which comes exactly once."""
        answers = []
        store.read(channels, since, limit, max_bytes, now, answers.append)
        self.settle(store)
        (missed,) = answers
        return missed

    def offsets(self, store, channels, since=OLDEST, **more) -> list[int]:
        """Return the offsets of what a read gives."""
        return [m.offset for m in self.read(store, channels, since, **more).messages]

    def gaps(self, store, channels, offset, **more) -> list[bytes]:
        """Return the channels of which a reader at the offset is told a gap."""
        return self.read(store, channels, Since(store.epoch, offset), **more).gaps

    # -- the log

    def test_it_provides_the_interface(self, store):
        """Whoever speaks to a store finds what the interface names."""
        assert verifyObject(IMessageStore, store)
        assert store.head == 0
        assert isinstance(store.epoch, bytes)
        assert 1 <= len(store.epoch) <= 16

    def test_offsets_count_up_over_all_channels(self, store):
        """One position resumes any set of channels."""
        outcomes = [self.push(store, c) for c in (b"a", b"b", MAILBOX, b"none:c", b"a")]
        assert [o.offset for o in outcomes] == [1, 2, 3, 4, 5]
        assert [o.kept for o in outcomes] == [True, True, True, False, True]
        assert store.head == 5

    def test_the_feed_has_every_message_once_and_in_order_before_its_publisher_is_told(self, store):
        """Delivery starts from the feed, and a publisher's answer means that it has started."""
        seen = []
        store.feed(lambda message, kept, note: seen.append((message, kept, note, store.head)))
        store.append(Publication(b"a", b"1"), T0, seen.append, "note")
        self.settle(store)
        assert seen == [(Message(1, b"a", b"1"), True, "note", 1), Appended(1, True)]
        self.push(store, b"none:b", b"2")
        assert seen[2:] == [(Message(2, b"none:b", b"2"), False, None, 2)]

    def test_a_feed_begins_with_the_next_message(self, store):
        """Who comes later reads what was before."""
        self.push(store, b"a")
        first, second = [], []
        store.feed(lambda message, kept, note: first.append(message.offset))
        self.push(store, b"a")
        store.feed(lambda message, kept, note: second.append(message.offset))
        self.push(store, b"a")
        assert (first, second) == ([2, 3], [3])

    def test_a_feed_can_be_left(self, store):
        """Who leaves is given nothing more, and the others are given everything."""
        first, second = [], []

        def take(message, kept, note):
            second.append(message.offset)

        store.feed(lambda message, kept, note: first.append(message.offset))
        store.feed(take)
        self.push(store, b"a")
        store.unfeed(take)
        self.push(store, b"a")
        assert (first, second) == ([1, 2], [1])

    def test_a_message_of_a_mailbox_can_be_claimed_from_the_feed(self, store):
        """The message is in its mailbox when delivery starts."""
        store.feed(lambda message, kept, note: store.claim(message.channel, message.offset))
        self.push(store, MAILBOX)
        assert store.in_flight(MAILBOX)
        assert store.waiting(MAILBOX, T0) == []

    # -- reading

    def test_a_read_gives_what_came_after_in_the_order_of_the_log(self, store):
        """A client that comes back gets what it missed of all its channels, as it was said."""
        for channel in (b"a", b"b", b"a", b"c", b"*", MAILBOX, b"b"):
            self.push(store, channel, b'"%d"' % store.head)
        missed = self.read(store, [b"b", b"a", MAILBOX, b"*"], Since(store.epoch, 1))
        assert missed.messages == [
            Message(2, b"b", b'"1"'),
            Message(3, b"a", b'"2"'),
            Message(5, b"*", b'"4"'),
            Message(6, MAILBOX, b'"5"'),
            Message(7, b"b", b'"6"'),
        ]
        assert (missed.head, missed.gaps, missed.more) == (7, [], False)

    def test_a_channel_named_twice_is_read_once(self, store):
        """`channel=a&channel=a` brings no message twice."""
        self.push(store, b"a")
        assert self.offsets(store, [b"a", b"a"]) == [1]

    def test_a_reader_at_the_head_missed_nothing(self, store):
        """Quiet channels make no gaps, however far the log has gone on."""
        for _ in range(10):
            self.push(store, b"busy")
        assert self.read(store, [b"quiet", b"busy"], Since(store.epoch, 10)) == Missed([], 10, [])

    @pytest.mark.parametrize(
        ("limit", "max_bytes", "given"),
        [
            (100, 1000, 6),
            (6, 1000, 6),
            (5, 1000, 5),
            (1, 1000, 1),
            (100, 60, 6),
            (100, 59, 5),
            (100, 20, 2),
            (100, 1, 1),
        ],
    )
    def test_limits_hold_over_all_channels_and_one_message_always_comes(self, store, limit, max_bytes, given):
        """A page is bounded, and a message larger than the page still comes."""
        for i in range(6):
            self.push(store, (b"a", b"b", MAILBOX)[i % 3], b'"12345678"')
        missed = self.read(store, [b"a", b"b", MAILBOX], Since(store.epoch, 0), limit=limit, max_bytes=max_bytes)
        assert [m.offset for m in missed.messages] == list(range(1, given + 1))
        assert missed.more == (given < 6)
        assert missed.head == 6

    def test_pages_put_together_are_the_whole(self, store):
        """Reading on from each page's last message misses nothing and repeats nothing."""
        for i in range(20):
            self.push(store, (b"a", b"b", b"other")[i % 3])
        at, got, more = 0, [], True
        while more:
            missed = self.read(store, [b"a", b"b"], Since(store.epoch, at), limit=3)
            got += [m.offset for m in missed.messages]
            at, more = got[-1], missed.more
        assert got == [o for o in range(1, 21) if o % 3]

    # -- retention

    @pytest.mark.parametrize(
        ("ttl_s", "after_s", "there"),
        [(None, 59.9, True), (None, 60, False), (10, 9.9, True), (10, 10, False), (600, 599, True), (600, 600, False)],
    )
    @pytest.mark.parametrize("channel", [b"a", MAILBOX])
    @pytest.mark.parametrize("expire", [True, False])
    def test_a_message_is_kept_for_its_time_and_not_longer(self, store, channel, ttl_s, after_s, there, expire):
        """A publisher's ttl holds, shorter or longer, and nobody gets what has run out even before it is dropped."""
        self.push(store, channel, ttl_s=ttl_s)
        if expire:
            store.expire(T0 + after_s)
        assert self.offsets(store, [channel], now=T0 + after_s) == [1] * there
        assert len(store.waiting(channel, T0 + after_s)) == (there and channel == MAILBOX)

    @pytest.mark.parametrize("channel", [b"none:a", b"zero:a"])
    @pytest.mark.parametrize("ttl_s", [None, 60])
    def test_a_namespace_that_keeps_nothing_is_live_only(self, store, channel, ttl_s):
        """The operator's zero holds whatever a publisher asks for, and what is live only leaves no gap."""
        assert self.push(store, channel, ttl_s=ttl_s) == Appended(1, kept=False)
        assert self.read(store, [channel], Since(store.epoch, 0)) == Missed([], 1, [])

    @pytest.mark.parametrize("channel", [b"a", MAILBOX])
    def test_a_ttl_of_zero_is_live_only(self, store, channel):
        """Live only leaves nothing behind, no gap either."""
        assert self.push(store, channel, ttl_s=0) == Appended(1, kept=False)
        assert self.read(store, [channel], Since(store.epoch, 0)) == Missed([], 1, [])
        assert store.waiting(channel, T0) == []
        store.claim(channel, 1)
        assert not store.in_flight(channel)

    def test_a_channel_keeps_its_newest_messages(self, store):
        """`history_messages` holds for each channel by itself."""
        for _ in range(5):
            self.push(store, b"few:a")
            self.push(store, b"few:b")
        assert self.offsets(store, [b"few:a"]) == [5, 7, 9]
        assert self.offsets(store, [b"few:b"]) == [6, 8, 10]

    def test_a_channel_keeps_its_newest_bytes(self, store):
        """A bound in bytes drops the oldest, as many as needed."""
        for size in (8, 8, 8, 18):
            self.push(store, b"small:a", b'"%s"' % (b"x" * size))
        assert self.offsets(store, [b"small:a"]) == [3, 4]
        assert self.gaps(store, [b"small:a"], 1) == [b"small:a"]
        assert self.gaps(store, [b"small:a"], 2) == []

    def test_a_message_larger_than_its_channel_may_keep_is_live_and_a_gap(self, store):
        """Who was away when it came is told that something is gone, and gets what is kept still."""
        self.push(store, b"small:a")
        assert self.push(store, b"small:a", b'"%s"' % (b"x" * 40)) == Appended(2, kept=False)
        missed = self.read(store, [b"small:a"], Since(store.epoch, 0))
        assert ([m.offset for m in missed.messages], missed.gaps) == ([1], [b"small:a"])
        assert self.gaps(store, [b"small:a"], 2) == []

    def test_messages_run_out_in_their_own_time_whatever_came_before(self, store):
        """A short ttl behind a long one is not held up, and a long one before it stays."""
        for ttl_s in (50, 10, 30, 10, None):
            self.push(store, b"a", ttl_s=ttl_s)
        assert self.offsets(store, [b"a"], now=T0 + 10) == [1, 3, 5]
        assert self.offsets(store, [b"a"], now=T0 + 30) == [1, 5]
        assert self.offsets(store, [b"a"], now=T0 + 50) == [5]
        assert self.offsets(store, [b"a"], now=T0 + 60) == []

    def test_a_long_history_is_read_from_any_place(self, store):
        """A channel that keeps many messages, some of them for a shorter time, keeps its order."""
        for i in range(1, 1001):
            self.push(store, b"long:a", ttl_s=10 if i % 3 == 0 else None)
        kept = list(range(301, 1001))
        assert self.offsets(store, [b"long:a"]) == kept
        assert self.offsets(store, [b"long:a"], Since(store.epoch, 777)) == kept[477:]
        assert self.offsets(store, [b"long:a"], now=T0 + 10) == [o for o in kept if o % 3]
        for _ in range(300):
            self.push(store, b"long:a", now=T0 + 10)
        assert self.offsets(store, [b"long:a"], now=T0 + 10) == [o for o in kept if o % 3][67:] + list(
            range(1001, 1301)
        )
        assert self.gaps(store, [b"long:a"], 399, now=T0 + 10) == [b"long:a"]
        assert self.gaps(store, [b"long:a"], 400, now=T0 + 10) == []

    # -- gaps

    @pytest.mark.parametrize("expire", [True, False])
    @pytest.mark.parametrize("channel", [b"a", MAILBOX])
    def test_what_ran_out_by_the_namespace_is_a_gap_for_who_stands_before(self, store, channel, expire):
        """A client that was away for longer than the history is told, and only that client."""
        self.push(store, channel)
        self.push(store, channel, now=T0 + 30)
        if expire:
            store.expire(T0 + 60)
        assert self.gaps(store, [channel], 0, now=T0 + 60) == [channel]
        assert self.gaps(store, [channel], 1, now=T0 + 60) == []
        if expire:
            store.expire(T0 + 90)
        assert self.gaps(store, [channel], 1, now=T0 + 90) == [channel]
        assert self.gaps(store, [channel], 2, now=T0 + 90) == []

    def test_a_gap_is_told_of_its_own_channel_only(self, store):
        """Another channel's losses are nobody's business."""
        for _ in range(4):
            self.push(store, b"few:a")
        self.push(store, b"b")
        missed = self.read(store, [b"b", b"few:a", b"quiet"], Since(store.epoch, 0))
        assert missed.gaps == [b"few:a"]
        assert [m.offset for m in missed.messages] == [2, 3, 4, 5]

    @pytest.mark.parametrize("expire", [True, False])
    @pytest.mark.parametrize("channel", [b"a", MAILBOX])
    def test_what_ran_out_by_its_publishers_shorter_ttl_is_no_gap(self, store, channel, expire):
        """It is what the publisher asked for."""
        self.push(store, channel, ttl_s=10)
        if expire:
            store.expire(T0 + 10)
        assert self.read(store, [channel], Since(store.epoch, 0), now=T0 + 10) == Missed([], 1, [])

    @pytest.mark.parametrize("ttl_s", [60, 120])
    def test_what_ran_out_by_a_ttl_that_is_not_shorter_is_a_gap(self, store, ttl_s):
        """Only a shorter ttl is excused."""
        self.push(store, b"a", ttl_s=ttl_s)
        store.expire(T0 + 120)
        assert self.gaps(store, [b"a"], 0, now=T0 + 120) == [b"a"]

    def test_a_short_message_that_is_crowded_out_before_its_time_is_a_gap(self, store):
        """Its publisher did not ask for that."""
        self.push(store, b"few:a", ttl_s=10)
        for _ in range(3):
            self.push(store, b"few:a", now=T0 + 9)
        assert self.gaps(store, [b"few:a"], 0, now=T0 + 9) == [b"few:a"]

    def test_a_short_message_that_ran_out_is_not_crowded_out_afterwards(self, store):
        """It makes no gap, also when it is only dropped to make room for later ones."""
        self.push(store, b"few:a", ttl_s=10)
        for _ in range(3):
            self.push(store, b"few:a", now=T0 + 10)
        assert self.gaps(store, [b"few:a"], 0, now=T0 + 10) == []

    def test_a_gap_is_remembered_when_nothing_of_the_channel_is_kept(self, store):
        """An empty channel still knows what it has lost, and a new message in it does not hide that."""
        self.push(store, b"a")
        self.push(store, b"a")
        store.expire(T0 + 60)
        self.push(store, b"a", now=T0 + 100)
        assert self.gaps(store, [b"a"], 1, now=T0 + 100) == [b"a"]
        assert self.gaps(store, [b"a"], 2, now=T0 + 100) == []

    @pytest.mark.parametrize(
        "since", [Since(b"another", 1), Since(b"another", -1)], ids=["another epoch", "other partitions"]
    )
    def test_a_position_of_another_log_is_a_gap_in_every_channel(self, store, since):
        """After a restart every client is told, also of channels where nothing was said."""
        for _ in range(2):
            self.push(store, b"a")
        self.push(store, MAILBOX)
        missed = self.read(store, [b"a", b"quiet", MAILBOX], since)
        assert [m.offset for m in missed.messages] == [1, 2, 3]
        assert (missed.gaps, missed.is_foreign) == ([b"a", b"quiet", MAILBOX], True)

    @pytest.mark.parametrize("offset", [-1, 3, 10**18])
    def test_an_impossible_position_is_a_gap_in_every_channel(self, store, offset):
        """A position ahead of the head, or with other partitions, is not this log's."""
        self.push(store, b"a")
        self.push(store, b"a")
        missed = self.read(store, [b"quiet", b"a"], Since(store.epoch, offset))
        assert [m.offset for m in missed.messages] == [1, 2]
        assert (missed.gaps, missed.is_foreign) == ([b"quiet", b"a"], True)

    def test_oldest_gives_all_that_is_kept_without_a_gap(self, store):
        """Who asks for what there is, is not told what there is not."""
        for _ in range(5):
            self.push(store, b"few:a")
        missed = self.read(store, [b"few:a", MAILBOX], OLDEST)
        assert ([m.offset for m in missed.messages], missed.gaps) == ([3, 4, 5], [])

    # -- mailboxes

    def test_a_mailbox_gives_what_waits_the_oldest_first(self, store):
        """A client that comes back gets its messages in order."""
        for data in (b"1", b"2", b"3"):
            self.push(store, MAILBOX, data)
        assert store.waiting(MAILBOX, T0) == [Message(i, MAILBOX, b"%d" % i) for i in (1, 2, 3)]
        assert store.waiting(b"@bob", T0) == []
        assert store.counts()["waiting"] == 3

    def test_what_is_claimed_is_given_to_nobody_else_and_waits_again_in_its_old_place(self, store):
        """A message on its way to one poll is not handed to another; unwritten, it is the oldest again."""
        self.push(store, MAILBOX)
        self.push(store, MAILBOX)
        assert not store.in_flight(MAILBOX)
        store.claim(MAILBOX, 1)
        assert store.in_flight(MAILBOX)
        assert [m.offset for m in store.waiting(MAILBOX, T0)] == [2]
        store.returned(MAILBOX, 1)
        assert not store.in_flight(MAILBOX)
        assert [m.offset for m in store.waiting(MAILBOX, T0)] == [1, 2]

    def test_what_was_written_waits_no_more_and_is_read_by_position(self, store):
        """Once without a position; a client with a position may read it again until its time is over."""
        self.push(store, MAILBOX)
        store.claim(MAILBOX, 1)
        store.written(MAILBOX, 1)
        assert not store.in_flight(MAILBOX)
        assert store.waiting(MAILBOX, T0) == []
        assert self.offsets(store, [MAILBOX], Since(store.epoch, 0)) == [1]
        assert self.offsets(store, [MAILBOX], Since(store.epoch, 1)) == []
        assert store.counts()["waiting"] == 0

    def test_what_is_on_its_way_is_read_by_position(self, store):
        """A tab with a position gets what another tab of the client is being given."""
        self.push(store, MAILBOX)
        store.claim(MAILBOX, 1)
        assert self.offsets(store, [MAILBOX], Since(store.epoch, 0)) == [1]

    def test_two_workers_both_return_it(self, store):
        """It waits again only when the last one has returned it."""
        self.push(store, MAILBOX)
        store.claim(MAILBOX, 1)
        store.claim(MAILBOX, 1)
        store.returned(MAILBOX, 1)
        assert store.in_flight(MAILBOX)
        assert store.waiting(MAILBOX, T0) == []
        store.returned(MAILBOX, 1)
        assert not store.in_flight(MAILBOX)
        assert len(store.waiting(MAILBOX, T0)) == 1

    @pytest.mark.parametrize("written_first", [True, False])
    def test_of_two_workers_one_writes_it(self, store, written_first):
        """One write is enough, in whatever order the reports come."""
        self.push(store, MAILBOX)
        store.claim(MAILBOX, 1)
        store.claim(MAILBOX, 1)
        for report in (store.written, store.returned) if written_first else (store.returned, store.written):
            report(MAILBOX, 1)
        assert not store.in_flight(MAILBOX)
        assert store.waiting(MAILBOX, T0) == []

    def test_a_written_message_is_written_for_good(self, store):
        """Later claims and reports, as of a page that was read by position, do not make it wait again."""
        self.push(store, MAILBOX)
        store.claim(MAILBOX, 1)
        store.written(MAILBOX, 1)
        store.claim(MAILBOX, 1)
        assert not store.in_flight(MAILBOX)
        store.returned(MAILBOX, 1)
        store.written(MAILBOX, 1)
        assert store.waiting(MAILBOX, T0) == []
        assert store.counts()["waiting"] == 0

    @pytest.mark.parametrize("report", ["written", "returned", "claim"])
    @pytest.mark.parametrize("offset", [1, 2, 3, 99])
    def test_reports_on_what_is_gone_change_nothing(self, store, report, offset):
        """A message may run out while it is on its way, and a report may name what never was."""
        self.push(store, MAILBOX, ttl_s=10)
        self.push(store, b"a")
        store.claim(MAILBOX, 1)
        store.expire(T0 + 10)
        assert not store.in_flight(MAILBOX)
        getattr(store, report)(MAILBOX, offset)
        assert store.waiting(MAILBOX, T0 + 10) == []
        assert not store.in_flight(MAILBOX)
        assert store.counts()["waiting"] == 0
        self.push(store, MAILBOX, now=T0 + 11)
        getattr(store, report)(MAILBOX, 1)
        assert [m.offset for m in store.waiting(MAILBOX, T0 + 11)] == [3]

    def test_a_full_mailbox_refuses_and_drops_nothing_that_waits(self, store):
        """A client that is away loses no older message to a newer one."""
        for _ in range(5):
            assert isinstance(self.push(store, MAILBOX), Appended)
        store.claim(MAILBOX, 2)
        refused = self.push(store, MAILBOX, key=b"k")
        assert isinstance(refused, Refused)
        assert refused.code == "mailbox-full"
        assert store.head == 5
        assert [m.offset for m in store.waiting(MAILBOX, T0)] == [1, 3, 4, 5]
        assert isinstance(self.push(store, b"@bob"), Appended)
        store.written(MAILBOX, 2)
        assert self.push(store, MAILBOX, key=b"k") == Appended(7, kept=True)

    def test_a_mailbox_is_full_in_bytes_too(self, store):
        """Its bytes are counted over what waits, and one message may be too large by itself."""
        assert self.push(store, b"@bob", b'"%s"' % (b"x" * 99)).code == "mailbox-full"
        self.push(store, MAILBOX, b'"%s"' % (b"x" * 58))
        assert self.push(store, MAILBOX, b'"%s"' % (b"x" * 39)).code == "mailbox-full"
        assert self.push(store, MAILBOX, b'"%s"' % (b"x" * 38)) == Appended(2, kept=True)

    def test_a_full_mailbox_still_takes_what_is_live_only(self, store):
        """Nothing is kept of it, so it needs no room."""
        for _ in range(5):
            self.push(store, MAILBOX)
        assert self.push(store, MAILBOX, ttl_s=0) == Appended(6, kept=False)

    def test_what_ran_out_makes_room_in_a_mailbox(self, store):
        """A mailbox is full with what waits, not with what has run out and is not yet dropped."""
        for _ in range(5):
            self.push(store, MAILBOX, ttl_s=10)
        assert isinstance(self.push(store, MAILBOX, now=T0 + 10), Appended)

    def test_written_messages_make_room_in_a_mailbox_the_oldest_first(self, store):
        """They are a gap then for who stands before them; what waits among them stays."""
        for i in range(1, 6):
            self.push(store, MAILBOX)
            if i != 2:
                store.claim(MAILBOX, i)
                store.written(MAILBOX, i)
        self.push(store, MAILBOX)
        self.push(store, MAILBOX)
        assert self.offsets(store, [MAILBOX]) == [2, 4, 5, 6, 7]
        assert self.gaps(store, [MAILBOX], 2) == [MAILBOX]
        assert self.gaps(store, [MAILBOX], 3) == []
        assert [m.offset for m in store.waiting(MAILBOX, T0)] == [2, 6, 7]

    def test_written_bytes_make_room_in_a_mailbox(self, store):
        """No more is dropped than the new message needs."""
        for _ in range(4):
            offset = self.push(store, MAILBOX, b'"%s"' % (b"x" * 23)).offset
            store.claim(MAILBOX, offset)
            store.written(MAILBOX, offset)
        self.push(store, MAILBOX, b'"%s"' % (b"x" * 28))
        assert self.offsets(store, [MAILBOX]) == [3, 4, 5]

    def test_a_reader_gets_what_waits_from_before_its_position(self, store):
        """Nothing else would ever bring it; what is on its way, or may have been written, is left out."""
        for _ in range(5):
            self.push(store, MAILBOX)
        store.claim(MAILBOX, 2)
        store.claim(MAILBOX, 3)
        store.returned(MAILBOX, 3, doubtful=True)
        store.claim(MAILBOX, 4)
        store.written(MAILBOX, 4)
        self.push(store, b"a")
        self.push(store, MAILBOX)
        missed = self.read(store, [b"a", MAILBOX], Since(store.epoch, 5))
        assert [m.offset for m in missed.messages] == [1, 5, 6, 7]
        assert missed.gaps == []

    def test_what_a_dead_worker_may_have_written_waits_until_a_reader_stands_behind_it(self, store):
        """Without a position it comes again (at most twice); a position that includes it says that it arrived."""
        for _ in range(3):
            self.push(store, MAILBOX)
        for offset in (1, 2):
            store.claim(MAILBOX, offset)
            store.returned(MAILBOX, offset, doubtful=True)
        assert [m.offset for m in store.waiting(MAILBOX, T0)] == [1, 2, 3]
        for since in (OLDEST, Since(b"another", 3), Since(store.epoch, -1), Since(store.epoch, 99)):
            store.acknowledge(MAILBOX, since)
            store.acknowledge(b"@bob", since)
        assert [m.offset for m in store.waiting(MAILBOX, T0)] == [1, 2, 3]
        store.acknowledge(MAILBOX, Since(store.epoch, 1))
        assert [m.offset for m in store.waiting(MAILBOX, T0)] == [2, 3]
        store.acknowledge(MAILBOX, Since(store.epoch, 3))
        assert [m.offset for m in store.waiting(MAILBOX, T0)] == [3]

    def test_a_doubtful_message_that_is_on_its_way_again_is_not_settled_by_a_position(self, store):
        """The worker that has it now will report on it."""
        self.push(store, MAILBOX)
        store.claim(MAILBOX, 1)
        store.returned(MAILBOX, 1, doubtful=True)
        store.claim(MAILBOX, 1)
        store.acknowledge(MAILBOX, Since(store.epoch, 1))
        assert store.in_flight(MAILBOX)
        store.returned(MAILBOX, 1)
        assert len(store.waiting(MAILBOX, T0)) == 1

    # -- keys

    @pytest.mark.parametrize("channel", [b"a", MAILBOX, b"none:a"])
    def test_a_repeat_publishes_nothing_and_is_answered_as_the_first_time(self, store, channel):
        """A publisher that is not sure whether it was heard asks again with the same key."""
        seen = []
        store.feed(lambda message, kept, note: seen.append(message.offset))
        first = self.push(store, channel, key=b"k")
        store.answered(b"k", "sent")
        self.push(store, b"b")
        again = self.push(store, channel, b'"another body"', key=b"k", now=T0 + 299)
        assert again == Appended(1, first.kept, repeated=True, status="sent")
        assert seen == [1, 2]
        assert store.head == 2

    def test_a_key_is_forgotten_after_its_window(self, store):
        """Five minutes later the same key is a new message, also before anything was dropped."""
        self.push(store, b"a", key=b"k")
        assert self.push(store, b"a", key=b"k", now=T0 + 300) == Appended(2, kept=True)
        assert self.push(store, b"a", key=b"k", now=T0 + 301).repeated

    def test_a_key_outlives_its_message(self, store):
        """The answer is remembered for the key's window, not for the message's."""
        self.push(store, b"a", key=b"k", ttl_s=1)
        store.expire(T0 + 100)
        assert self.push(store, b"a", key=b"k", now=T0 + 100).offset == 1

    def test_a_refused_publication_does_not_use_up_its_key(self, store):
        """What was refused may be tried again."""
        for _ in range(5):
            self.push(store, MAILBOX)
        assert isinstance(self.push(store, MAILBOX, key=b"k"), Refused)
        store.answered(b"k", "sent")
        assert self.push(store, MAILBOX, key=b"k", now=T0 + 60) == Appended(6, kept=True)

    def test_an_answer_to_a_key_that_is_forgotten_is_dropped(self, store):
        """A late answer makes no key of its own."""
        store.answered(b"k", "sent")
        assert self.push(store, b"a", key=b"k") == Appended(1, kept=True)

    # -- looking and clearing

    def history(self, store, channel, since=None, *, limit=1000, max_bytes=10**6, now=T0, **more) -> Past:
        """Look at a history and return it, which comes exactly once."""
        answers = []
        store.history(channel, since, limit, max_bytes, now, answers.append, **more)
        self.settle(store)
        (past,) = answers
        return past

    def names(self, store, prefix=b"", after=b"", limit=10) -> tuple[list[bytes], bool]:
        """Return a page of the channels of which something is kept, and whether there are more."""
        listing: Listing = store.listing(span_of(prefix, after), limit)
        while not listing.work(lambda: True):
            pass
        return listing.names, listing.more

    def test_what_is_held_of_a_channel(self, store):
        """What was never used has nothing, what ran out has nothing any more."""
        assert store.held(b"a", T0) == store.held(MAILBOX, T0) == Held(0, 0)
        self.push(store, b"a")
        self.push(store, b"a", ttl_s=1)
        assert store.held(b"a", T0) == Held(2, 0)
        assert store.held(b"a", T0 + 1) == Held(1, 0)

    def test_what_is_held_of_a_mailbox(self, store):
        """What is on its way was not written yet, what was written is still kept."""
        for _ in range(3):
            self.push(store, MAILBOX)
        for offset in (1, 2):
            store.claim(MAILBOX, offset)
        store.written(MAILBOX, 1)
        assert store.held(MAILBOX, T0) == Held(3, 2)

    def test_a_history_is_what_is_kept_with_its_times(self, store):
        """Of a channel all of it, whenever it was published and for however long."""
        for n, ttl_s in enumerate((None, 20, 90)):
            self.push(store, b"a", b"%d" % n, now=T0 + n, ttl_s=ttl_s)
        self.push(store, b"b", now=T0 + 3)
        past = self.history(store, b"a", now=T0 + 3)
        assert past == Past([(1, b"0", T0), (2, b"1", T0 + 1), (3, b"2", T0 + 2)], 4, gap=False, more=False)
        assert self.history(store, b"c") == Past([], 4, gap=False, more=False)

    @pytest.mark.parametrize(
        ("limit", "max_bytes", "count"), [(2, 10**6, 2), (3, 10**6, 3), (9, 10**6, 3), (9, 2, 2), (9, 1, 1), (9, 0, 1)]
    )
    @pytest.mark.parametrize("newest_first", [False, True])
    def test_a_history_has_bounds(self, store, limit, max_bytes, count, newest_first):
        """It is cut off behind what fits, whichever end it begins at; one message always comes."""
        for _ in range(3):
            self.push(store, b"a", b"1")
        past = self.history(store, b"a", limit=limit, max_bytes=max_bytes, newest_first=newest_first)
        offsets = [3, 2, 1] if newest_first else [1, 2, 3]
        assert ([m.offset for m in past.messages], past.more) == (offsets[:count], count < 3)

    @pytest.mark.parametrize("newest_first", [False, True])
    @pytest.mark.parametrize("channel", [b"a", MAILBOX])
    def test_a_history_from_a_position(self, store, channel, newest_first):
        """What came after it, and nothing from before, whether it was written or not; a gap is told."""
        for _ in range(3):
            self.push(store, channel)
        store.claim(channel, 3)
        store.written(channel, 3)
        past = self.history(store, channel, Since(store.epoch, 1), newest_first=newest_first)
        assert (sorted(m.offset for m in past.messages), past.gap) == ([2, 3], False)
        assert self.history(store, channel, Since(b"other", 1), newest_first=newest_first).gap
        assert self.history(store, channel, Since(store.epoch, 2), now=T0 + 60).gap
        assert not self.history(store, channel, OLDEST, now=T0 + 60).gap

    @pytest.mark.parametrize("channel", [b"a", MAILBOX])
    @pytest.mark.parametrize(
        ("since", "before", "offsets"),
        [(0, 9, [2, 4]), (0, 4, [2]), (2, 5, [4]), (2, 3, []), (4, 2, []), (0, 1, []), (0, 0, [])],
    )
    def test_a_history_before_a_position(self, store, channel, since, before, offsets):
        """What lies between the two, whether there is a message at them or not; in the order that was asked for."""
        for n in range(4):
            self.push(store, channel if n % 2 else b"b")
        asked = Since(store.epoch, since)
        for newest_first, wanted in ((False, offsets), (True, offsets[::-1])):
            past = self.history(store, channel, asked, before=before, newest_first=newest_first)
            assert ([m.offset for m in past.messages], past.more) == (wanted, False)

    def test_a_history_is_paged_back_to_its_oldest(self, store):
        """Each page begins before the last message of the one that came before it."""
        for _ in range(5):
            self.push(store, b"a")
        pages, before = [], None
        while not pages or pages[-1].more:
            pages.append(self.history(store, b"a", before=before, limit=2, newest_first=True))
            before = pages[-1].messages[-1].offset
        assert [[m.offset for m in page.messages] for page in pages] == [[5, 4], [3, 2], [1]]

    def test_the_history_of_a_mailbox_is_what_waits(self, store):
        """Without a position: nobody who looks wants to search for it among what has arrived."""
        for _ in range(3):
            self.push(store, MAILBOX)
        for offset in (1, 2):
            store.claim(MAILBOX, offset)
        store.written(MAILBOX, 1)
        assert [m.offset for m in self.history(store, MAILBOX).messages] == [2, 3]
        assert [m.offset for m in self.history(store, MAILBOX, newest_first=True).messages] == [3, 2]
        assert [m.offset for m in self.history(store, MAILBOX, OLDEST).messages] == [1, 2, 3]

    @pytest.mark.parametrize("channel", [b"a", MAILBOX])
    def test_who_stands_before_what_was_cleared_is_told_of_a_gap(self, store, channel):
        """It is lost to them; to who stands behind it nothing is."""
        for _ in range(3):
            self.push(store, channel)
        self.push(store, b"b")
        assert store.clear(channel, store.head, 100, T0) == 3
        assert self.read(store, [channel]).messages == []
        assert [self.gaps(store, [channel, b"b"], offset) for offset in range(5)] == [[channel]] * 3 + [[], []]
        assert store.held(channel, T0) == Held(0, 0)
        assert store.waiting(channel, T0) == []
        assert store.counts()["messages"] == 1

    def test_clearing_what_is_not_there(self, store):
        """Nothing is removed, and nobody is told of a gap."""
        self.push(store, b"a", ttl_s=0)
        self.push(store, b"b", ttl_s=1)
        assert store.clear(b"a", 1, 100, T0) == 0
        assert store.clear(b"b", 2, 100, T0 + 1) == 0
        assert self.gaps(store, [b"a", b"b"], 0, now=T0 + 1) == []

    def test_what_was_to_be_short_is_a_gap_when_it_is_cleared(self, store):
        """Its publisher did not ask for that."""
        self.push(store, b"a", ttl_s=1)
        assert store.clear(b"a", 1, 100, T0) == 1
        assert self.gaps(store, [b"a"], 0) == [b"a"]

    def test_clearing_goes_step_by_step_and_leaves_what_came_later(self, store):
        """A long history is cleared in several calls, and ends with what was there at the first."""
        for _ in range(5):
            self.push(store, b"a")
        last = store.head
        assert store.clear(b"a", last, 2, T0) == 2
        self.push(store, b"a")
        assert [store.clear(b"a", last, 2, T0) for _ in range(3)] == [2, 1, 0]
        assert self.offsets(store, [b"a"]) == [6]

    def test_what_is_cleared_on_its_way_is_gone(self, store):
        """Whether it arrives or comes back, it waits no more."""
        for _ in range(2):
            self.push(store, MAILBOX)
            store.claim(MAILBOX, store.head)
        assert store.clear(MAILBOX, store.head, 100, T0) == 2
        assert not store.in_flight(MAILBOX)
        store.written(MAILBOX, 1)
        store.returned(MAILBOX, 2)
        assert (store.held(MAILBOX, T0), store.waiting(MAILBOX, T0)) == (Held(0, 0), [])

    def test_a_cleared_channel_goes_on(self, store):
        """What is published next is kept."""
        self.push(store, b"a")
        store.clear(b"a", 1, 100, T0)
        assert self.push(store, b"a") == Appended(2, kept=True)
        assert self.offsets(store, [b"a"]) == [2]

    def test_what_is_withdrawn_is_read_by_nobody_and_no_gap(self, store):
        """Who resumes from before a message that was taken back gets what is around it, and is told of no gap."""
        for _ in range(3):
            self.push(store, b"a")
        self.push(store, b"b")
        assert store.withdraw(b"a", 2, T0)
        assert self.offsets(store, [b"a", b"b"], Since(store.epoch, 0)) == [1, 3, 4]
        assert self.gaps(store, [b"a"], 0) == []
        assert store.held(b"a", T0) == Held(2, 0)
        self.push(store, b"a")
        assert self.offsets(store, [b"a"], Since(store.epoch, 1)) == [3, 5]

    def test_what_is_withdrawn_as_the_last_of_its_channel(self, store):
        """A channel that has nothing left is gone, and remembers the losses that it had before."""
        for _ in range(4):
            self.push(store, b"few:a")
        store.clear(b"few:a", 3, 10, T0)
        assert store.withdraw(b"few:a", 4, T0)
        assert (self.gaps(store, [b"few:a"], 2), self.gaps(store, [b"few:a"], 3)) == ([b"few:a"], [])
        assert set(store.counts().values()) == {0}

    @pytest.mark.parametrize("channel", [b"a", b"b", b"none:a"])
    def test_what_is_not_kept_cannot_be_withdrawn(self, store, channel):
        """What ran out, was never kept, or is of another channel stays as it was."""
        self.push(store, b"a", ttl_s=5)
        self.push(store, b"none:a")
        self.push(store, b"b")
        assert not store.withdraw(channel, {b"a": 1, b"none:a": 2, b"b": 1}[channel], T0 + 10)
        assert self.offsets(store, [b"b"], now=T0 + 10) == [3]

    def test_channels_are_listed_by_name(self, store):
        """Those of which something is kept; mailboxes when they are asked for."""
        for channel in (b"b", b"news:1", b"a", MAILBOX, b"@bob", b"none:c", b"*", b"b"):
            self.push(store, channel)
        assert self.names(store) == ([b"*", b"a", b"b", b"news:1"], False)
        assert self.names(store, limit=2) == ([b"*", b"a"], True)
        assert self.names(store, after=b"a", limit=2) == ([b"b", b"news:1"], False)
        assert self.names(store, b"@") == ([b"@bob", MAILBOX], False)
        assert self.names(store, b"n") == ([b"news:1"], False)

    # -- figures

    def test_counts_come_back_to_zero(self, store):
        """What the operator sees is what is kept."""
        self.push(store, b"a", key=b"k")
        self.push(store, b"a")
        self.push(store, MAILBOX)
        self.push(store, b"none:a")
        counts = store.counts()
        assert (counts["messages"], counts["channels"], counts["waiting"]) == (3, 2, 1)
        assert counts["bytes"] > 0
        store.expire(T0 + 60)
        assert store.counts()["messages"] == 0
        store.expire(T0 + 300)
        assert store.counts() == {"messages": 0, "bytes": 0, "channels": 0, "waiting": 0}
