"""A whole MegaComet in one process without sockets: a router, hubs, and links whose every step is chosen by the test.

Clients follow the contract as a browser would; `World.check` holds what they received against what was published.
"""

from __future__ import annotations

from collections import deque

from megacomet.errors import Refused
from megacomet.model.answers import Box
from megacomet.model.directory import Directory
from megacomet.model.hub import Hub
from megacomet.model.memory import MemoryStore
from megacomet.model.message import Publication
from megacomet.model.position import OLDEST
from megacomet.model.receipts import WRITTEN, Receipt, Token, outcomes
from megacomet.model.rollouts import Rollout
from megacomet.model.router import Router
from megacomet.model.row_keys import RowKeys
from megacomet.model.session import Session
from megacomet.model.store import Retention
from megacomet.names import EVERYONE, is_mailbox, mailbox_of
from megacomet.wire import frames

ROWS = 16
#: So few that pages are spread over boxes.
BOX_RECORDS = 3


class SlowStore(MemoryStore):
    """A store that takes its time: appends and reads happen when the test says so."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.slow = False
        self.todo = deque()

    def append(self, publication, now, done, note=None):
        if self.slow:
            self.todo.append(lambda: super(SlowStore, self).append(publication, now, done, note))
        else:
            super().append(publication, now, done, note)

    def read(self, channels, since, limit, max_bytes, now, done):
        if self.slow:
            self.todo.append(lambda: super(SlowStore, self).read(channels, since, limit, max_bytes, now, done))
        else:
            super().read(channels, since, limit, max_bytes, now, done)

    def step(self):
        if self.todo:
            self.todo.popleft()()


class Link:
    """The router's way to a worker, as two queues."""

    listening = True

    def __init__(self, world, worker):
        self.world, self.worker = world, worker
        self.gathered, self.down, self.flights, self.up = [], deque(), deque(), deque()
        self.boxes = self.answered = 0
        self.head = world.router.head

    @property
    def has_room(self) -> bool:
        return len(self.gathered) < 3

    def send(self, record: bytes, token: Token | None) -> None:
        self.gathered.append((record, token, self.answered))

    def flush(self):
        """Put what was gathered into boxes, cut between any two records; also an empty one, for the head."""
        while True:
            some, self.gathered = self.gathered[:BOX_RECORDS], self.gathered[BOX_RECORDS:]
            self.boxes += 1
            tokens = {n: t for n, (_, t, _) in enumerate(some) if t is not None}
            answered = some[0][2] if some else self.answered
            if not self.gathered:  # else records up to the log's head are still to come
                self.head = self.world.router.head
            self.down.append(Box(self.boxes, self.head, answered, b"".join(r for r, _, _ in some)))
            self.flights.append((self.boxes, tokens))
            if not self.gathered:
                return

    def take_up(self):
        """The manager reads one thing that the worker sent."""
        kind, blob = self.up.popleft()
        if kind == "records":
            self.world.router.received(self, blob, self.world.now)
            return
        number, tokens = self.flights.popleft()
        self.answered = number
        found = outcomes(blob)
        for index, token in tokens.items():
            self.world.router.settled(self, token, found.get(index, WRITTEN), self.world.now)
        self.world.router.read_on(self, self.world.now)

    def unanswered(self):
        return [t for _, tokens in self.flights for t in tokens.values()] + [t for _, t, _ in self.gathered if t]


class Worker:
    """A worker process: a hub, its connections, and the link when there is one."""

    def __init__(self, world, hub_class):
        self.world = world
        self.keys = RowKeys()
        self.keys.grow(ROWS)
        self.hub = hub_class(self.keys, self, few=1, window=2, page_messages=2)
        self.client_of: dict[int, Client] = {}
        self.link = None
        self.connect()

    def connect(self):
        self.link = Link(self.world, self)
        self.world.router.attach(self.link)
        self.say(self.hub.linked(self.world.router.epoch, self.world.router.head))

    def say(self, records):
        if records and self.link:
            self.link.up.append(("records", b"".join(records)))

    def disconnect(self):
        link, self.link = self.link, None
        if link:
            self.world.router.detach(link, link.unanswered(), self.world.now)
            self.hub.unlinked()

    def answer(self, fd, key, messages, position, gaps):
        """The hub's IAnswers."""
        client = self.client_of.pop(fd)
        client.answered(messages, position, gaps, plain=not isinstance(key, Session))
        return True

    # the hub's IAnswers for streams

    def _stream(self, fd):
        """The client of a stream, None when the connection turns out to be broken."""
        client = self.client_of[fd]
        if client.broken:
            client.drop()
            return None
        return client

    def page(self, fd, session, page):
        client = self._stream(fd)
        if client is None:
            return False
        client.paged(session, page)
        return True

    def write(self, fd, entries, position):
        client = self._stream(fd)
        if client is None:
            return False
        assert not client.waits_for_more, f"{client.name}: overtaken in the middle of what it catches up with"
        client.take(entries)
        client.stand_at(position)
        return True

    def spread(self, fds, entry):
        polls = [fd for fd in fds if not self.client_of[fd].is_stream]
        written = [fd for fd in fds if self.client_of[fd].is_stream and self.write(fd, [entry], b"")]
        return len(written), polls

    def give_up(self, fd):
        self.client_of[fd].drop()

    def read(self):
        """The worker reads a box; from the end of a page on its client is live."""
        if self.link and self.link.down:
            box = self.link.down.popleft()
            for frame in frames.decode(box.blob):
                if frame.kind == frames.PAGE_END and (
                    client := self.client_of.get(self.hub._told.joining(frame.number))
                ):
                    client.floor = frame.offset
            self.hub.received(box)
            return True
        return False

    def work(self, answers):
        """Work off until so many turns of the clock are over."""
        left = [answers]

        def out_of_time():
            left[0] -= 1
            return left[0] < 0

        results = self.hub.work(out_of_time)
        if self.link:
            self.say(self.hub.outgoing())
            self.link.up.extend(("results", r) for r in results)


class Client:
    """One client: plain ones poll their mailbox without a position, the others resume from theirs, on any transport."""

    def __init__(self, world, name, channels, plain):
        self.world, self.name, self.plain = world, name, plain
        self.mailbox = mailbox_of(name)
        self.channels = list(channels)
        #: by channel, from which offset on it must have everything; a channel that is missing was promised nothing
        self.since: dict[bytes, int] = {}
        self.position = b""
        self.received: list[tuple[bytes, int]] = []
        self.gaps: set[bytes] = set()
        self.floor = -1
        self.has_subscribed_late = False
        #: channels that it catches up with: where it stands on them, until one position holds for all
        self.catching: dict[bytes, bytes] = {}
        self.worker = None
        self.fd = -1
        self.is_stream = self.broken = self.waits_for_more = False

    # coming and going

    def _arrive(self, worker):
        self.worker, self.fd = worker, list(worker.keys).index(None)
        worker.client_of[self.fd] = self
        self.is_stream = self.broken = self.waits_for_more = False

    def poll(self, worker, limit=100, immediate=False):
        if self.worker is not None:
            return
        self._arrive(worker)
        if self.plain:
            worker.hub.park_mailbox(self.fd, self.mailbox)
        else:
            channels = (*self.channels, self.mailbox)
            session = Session(channels, b"", since=self.position, limit=limit, immediate=immediate)
            worker.hub.park_session(self.fd, session)

    def stream(self, worker, limit=100):
        if self.worker is not None or self.plain:
            return
        self._arrive(worker)
        self.is_stream = True
        session = Session((*self.channels, self.mailbox), None, since=self.position, limit=limit, is_stream=True)
        worker.hub.park_session(self.fd, session)

    def subscribe(self, channel, since):
        """Hear another channel: from now, from where the client stands, or from the beginning."""
        if self.worker is None or not self.is_stream or channel in self.channels:
            return
        hub = self.worker.hub
        if not self.ping(whole=True):
            return
        since = {"now": b"", "here": self.position, "oldest": b"oldest"}[since]
        since = self.catching.get(channel, since)
        hub.streams.subscribe(self.fd, (channel,), since, since)

    def ping(self, whole=False):
        """Be told a position; tells whether there was one."""
        if self.worker is None or not self.is_stream:
            return False
        position = self.worker.hub.position(self.fd, whole=whole)
        if position:
            assert self._offset(position) >= self._offset(self.position), f"{self.name}: was taken back by a ping"
            self.stand_at(position)
        return bool(position)

    def drop(self):
        """The connection is gone."""
        if self.worker is not None:
            worker, self.worker = self.worker, None
            del worker.client_of[self.fd]
            worker.hub.leave(self.fd)

    def give_up(self):
        """The poll's time is over; a stream ends in order."""
        if self.worker is not None and self.is_stream:
            self.ping()
            self.drop()
        elif self.worker is not None:
            self.worker.hub.expire(self.fd)

    # what comes

    def take(self, entries):
        """Messages came; the id of the last one is where a stream stands."""
        for entry in entries:
            assert self.world.log[entry.offset] == (entry.channel, entry.data), "a message changed on its way"
            assert entry.offset not in self.world.gone, f"{self.name}: got {entry.offset} after it was cancelled"
            self.received.append((entry.channel, entry.offset))
            self.stand_at(entry.id)

    def stand_at(self, position):
        self.position = position or self.position

    def paged(self, session, page):
        """A stream's page: its first one, one after a lost link, or one of late channels."""
        self.gaps |= set(page.gaps)
        if session.joins_late:
            self._paged_late(session, page)
            return
        if not session.is_open:
            if not self.since:
                self._begin()
            self.stand_at(page.first)
        if page.gaps:
            self.stand_at(page.passed)
        self.take(page.entries)
        self.stand_at(page.last)

    def _paged_late(self, session, page):
        """As a careful client does: what comes on a channel that it catches up with does not take back the others."""
        (channel,) = session.late
        self.has_subscribed_late = True
        if session.token is not None:  # the ok
            since = session.token
            if b"-" not in since:  # what is kept, or from now
                first = next((e.offset - 1 for e in page.entries if e.channel == channel), self._offset(page.first))
                since = b"e-%d" % first
            self.since.setdefault(channel, self._offset(since))
            self.catching.setdefault(channel, page.first)
        if page.gaps:
            self.catching[channel] = page.passed
        for entry in page.entries:
            if entry.channel == channel:
                stood = self.position
                self.take([entry])
                self.position = stood
                self.catching[channel] = entry.id
            else:
                self.take([entry])
        is_complete = page.last or not session.late_since
        if session.token is not None and not page.entries and not page.gaps:
            self.stand_at(page.first)
            is_complete = True
        self.waits_for_more = not is_complete
        if is_complete:
            self.stand_at(page.last)
            self.catching.pop(channel, None)
            self.channels.append(channel)

    def _offset(self, position):
        return int(position.split(b"-")[1]) if b"-" in position else 0

    def _begin(self):
        self.since = dict.fromkeys((*self.channels, EVERYONE), self.floor)

    def answered(self, messages, position, gaps, plain):
        """A poll's answer."""
        self.worker = None
        for channel, id_, data in messages:
            offset = self._offset(id_)
            assert self.world.log[offset] == (channel, data), "a message changed on its way"
            assert offset not in self.world.gone, f"{self.name}: got {offset} after it was cancelled"
            self.received.append((channel, offset))
        if plain:
            return
        if position and not self.since:
            self._begin()
        self.gaps |= set(gaps)
        assert self._offset(position) >= self._offset(self.position), f"{self.name}: was taken back by an answer"
        self.position = position


class World:
    """Everything, and what was promised."""

    def __init__(
        self, workers=2, clients=4, history_messages=1000, store_class=SlowStore, directory_class=Directory, hub=Hub
    ):
        self.now = 100.0
        self.epochs = 0
        self.log: dict[int, tuple[bytes, bytes]] = {}
        #: of each message that is counted what its publisher was told
        self.receipts: list[list[int]] = []
        #: messages that are paced, by offset
        self.rollouts: dict[int, Rollout] = {}
        #: of these, what was taken back; -> whether it was kept until then
        self.withdrawn: dict[int, bool] = {}
        #: of these, what nobody may get any more
        self.gone: set[int] = set()
        self.refused = 0
        self.deaths = 0
        self.store = store_class(
            b"e1", lambda ns: Retention(1e6, 100_000 if ns == b"@" else history_messages, 0), 10**9
        )
        self.router = Router(self.store, directory_class())
        self.hub_class = hub
        self.workers = [Worker(self, hub) for _ in range(workers)]
        names = [b"c%d" % n for n in range(clients)]
        groups = [(), (b"a",), (b"a", b"b"), (b"b",)]
        self.clients = [Client(self, n, groups[i % 4], plain=i % 4 == 0) for i, n in enumerate(names)]
        self.channels = [b"a", b"b", b"a", b"c", EVERYONE, *(mailbox_of(n) for n in names)]

    def publish(self, channel, receipt=False):
        data = b'"%d"' % (len(self.log) + self.refused)
        counted = []

        def done(outcome):
            if isinstance(outcome, Refused):
                self.refused += 1
            else:
                self.log[outcome.offset] = (channel, data)
                if receipt:
                    self.receipts.append(counted)

        # The feed runs before the answer, so the log must know the message when a hub answers: hubs work later.
        self.router.publish(Publication(channel, data), self.now, done, Receipt(counted.append) if receipt else None)

    def broadcast(self, channel):
        """Publish a message that goes nowhere before it is paced."""
        data = b'"%d"' % (len(self.log) + self.refused)
        rollout = Rollout(lambda: None)

        def done(outcome):
            self.log[outcome.offset] = (channel, data)
            self.rollouts[outcome.offset] = rollout
            self.router.rollouts.begin(outcome.offset, rollout)

        self.router.publish(Publication(channel, data), self.now, done, rollout.receipt)

    def pace(self, n, per_s):
        """Have one of these go on at a rate; 0: pause."""
        going = [rollout for offset, rollout in self.rollouts.items() if offset not in self.withdrawn]
        if going:
            going[n % len(going)].pace(per_s)

    def time_passes(self, worker, seconds):
        worker.hub.spreading.grant(seconds)
        worker.hub.spreading.report()

    def cancel(self, n):
        """Take one of these back."""
        going = [offset for offset in self.rollouts if offset not in self.withdrawn]
        if not going:
            return
        offset = going[n % len(going)]
        channel = self.log[offset][0]
        self.withdrawn[offset] = offset in self._kept(channel)
        self.router.withdraw(channel, offset, self.now, lambda _: self.gone.add(offset))

    def complete(self):
        """Have all that is paced go on to its end."""
        for rollout in self.rollouts.values():
            assert rollout.is_begun, "not every worker has it, or is gone"
            rollout.pace(1_000_000)
        self.settle()
        for _ in range(10):
            for worker in self.workers:
                self.time_passes(worker, 1000)
            self.settle()
        for rollout in self.rollouts.values():
            assert rollout.is_over or rollout.offset in self.withdrawn, "a broadcast has no end"
            assert rollout.lost >= 0, "more was written than was due"
        assert set(self.withdrawn) == self.gone, "a broadcast was cancelled without an end"

    def kill(self, n):
        """kill -9 of a worker; its successor is there at once."""
        worker = self.workers[n]
        link, worker.link = worker.link, None
        self.deaths += 1
        for client in list(worker.client_of.values()):
            client.worker = None
        if link:
            self.router.detach(link, link.unanswered(), self.now)
        self.workers[n] = Worker(self, self.hub_class)

    def cut(self, n):
        """The link is lost, the worker lives on."""
        self.deaths += 1
        self.workers[n].disconnect()

    def settle(self):
        """Let everything that is on its way arrive."""
        self.store.slow = False
        for worker in self.workers:  # the manager's beat: the head goes out though nothing else does
            if worker.link:
                worker.link.flush()
        for _ in range(200):
            while self.store.todo:
                self.store.step()
            for worker in self.workers:
                if worker.link is None:
                    worker.connect()
                worker.say(worker.hub.outgoing())
                if worker.link.gathered:
                    worker.link.flush()
                while worker.read():
                    pass
                worker.work(10**6)
                while worker.link.up:
                    worker.link.take_up()
            if not any(w.link.gathered or w.link.up or w.hub.busy for w in self.workers) and not self.store.todo:
                return
        raise AssertionError("the world does not come to rest")

    def check(self, completes=True):
        """Hold what clients received against what was published, after everyone has come back for the rest.

        Args:
            completes: what is paced goes on to its end before; else whoever still waits for it reads it when it comes
                back.
        """
        self.settle()
        if completes:
            self.complete()
        for client in self.clients:
            client.give_up()
        for _ in range(3 + 2 * len(self.log)):
            before = [len(c.received) for c in self.clients]
            for n, client in enumerate(self.clients):
                client.poll(self.workers[n % len(self.workers)], immediate=True)
            self.settle()
            for client in self.clients:
                client.give_up()
            if before == [len(c.received) for c in self.clients]:
                break
        for counted in self.receipts:
            assert len(counted) == 1, f"a receipt was given {len(counted)} times"
        for client in self.clients:
            if client.plain:
                self._check_plain(client)
            else:
                self._check_resuming(client)

    def _check_plain(self, client):
        mine = [o for o, (channel, _) in self.log.items() if channel == client.mailbox]
        got = [offset for channel, offset in client.received if channel == client.mailbox]
        for offset in mine:
            times = got.count(offset)
            assert times >= 1, f"{client.name}: {offset} was lost"
            assert times <= 1 + self.deaths, f"{client.name}: {offset} came {times} times"
        if not self.deaths:
            assert got == sorted(got), f"{client.name}: out of order {got}"

    def _check_resuming(self, client):
        for channel in {*client.channels, client.mailbox, EVERYONE}:
            got = [offset for c, offset in client.received if c == channel]
            assert got == sorted(set(got)), f"{client.name}: repeated or disordered on {channel}: {got}"
        if not client.has_subscribed_late:
            got = [offset for channel, offset in client.received if not is_mailbox(channel)]
            assert got == sorted(got), f"{client.name}: out of order over its channels: {got}"
        got = set(client.received)
        for offset, (channel, _) in self.log.items():
            is_due = channel not in client.catching and offset > client.since.get(channel, offset)
            is_due = (is_due or channel == client.mailbox) and offset not in self.withdrawn
            if is_due and (channel, offset) not in got:
                assert channel in client.gaps, f"{client.name}: {offset} on {channel} was lost silently"
        for channel in client.gaps:
            assert self._dropped(channel), f"{client.name}: told of a gap on {channel} that is none"

    def _dropped(self, channel):
        """Whether something of the channel is no longer kept, other than by having been taken back."""
        published = {offset for offset, (c, _) in self.log.items() if c == channel}
        return bool(published - self._kept(channel) - {offset for offset, kept in self.withdrawn.items() if kept})

    def _kept(self, channel):
        kept = set()
        take = lambda missed: kept.update(message.offset for message in missed.messages)  # noqa: E731
        MemoryStore.read(self.store, [channel], OLDEST, 10**9, 10**12, self.now, take)
        return kept
