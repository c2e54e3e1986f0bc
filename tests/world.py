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
from megacomet.model.receipts import Token
from megacomet.model.router import Router
from megacomet.model.row_keys import RowKeys
from megacomet.model.session import Session
from megacomet.model.store import Retention
from megacomet.names import EVERYONE, is_mailbox, mailbox_of
from megacomet.wire import frames

ROWS = 16


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

    @property
    def has_room(self) -> bool:
        return len(self.gathered) < 3

    def send(self, record: bytes, token: Token | None) -> None:
        self.gathered.append((record, token))

    def flush(self):
        """Put what was gathered into a box; also an empty one, for the head."""
        self.boxes += 1
        tokens = {n: t for n, (_, t) in enumerate(self.gathered) if t is not None}
        blob = b"".join(r for r, _ in self.gathered)
        self.gathered = []
        self.down.append(Box(self.boxes, self.world.router.head, self.answered, blob))
        self.flights.append((self.boxes, tokens))

    def take_up(self):
        """The manager reads one thing that the worker sent."""
        kind, blob = self.up.popleft()
        if kind == "records":
            self.world.router.received(self, blob, self.world.now)
            return
        number, tokens = self.flights.popleft()
        self.answered = number
        results = list(frames.decode(blob))
        returned = {f.number for f in results if f.kind == frames.RETURNED}
        counts = {f.number: f.offset for f in results if f.kind == frames.RECEIPT}
        for index, token in tokens.items():
            self.world.router.settled(self, token, index not in returned, counts.get(index, 0), self.world.now)
        self.world.router.read_on(self, self.world.now)

    def unanswered(self):
        return [t for _, tokens in self.flights for t in tokens.values()] + [t for _, t in self.gathered if t]


class Worker:
    """A worker process: a hub, its connections, and the link when there is one."""

    def __init__(self, world, hub_class):
        self.world = world
        self.keys = RowKeys()
        self.keys.grow(ROWS)
        self.hub = hub_class(self.keys, self)
        self.poll_of: dict[int, Client] = {}
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
        client = self.poll_of.pop(fd)
        client.answered(messages, position, gaps, plain=not isinstance(key, Session))
        return True

    def spread(self, fds, entry):
        """The hub's IAnswers: there are polls only."""
        return 0, fds

    def read(self):
        """The worker reads a box; from the end of a page on its client is live."""
        if self.link and self.link.down:
            box = self.link.down.popleft()
            for frame in frames.decode(box.blob):
                if frame.kind == frames.PAGE_END and (client := self.poll_of.get(self.hub._told.joining(frame.number))):
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
    """One client: plain ones poll their mailbox without a position, the others resume from theirs."""

    def __init__(self, world, name, channels, plain):
        self.world, self.name, self.channels, self.plain = world, name, channels, plain
        self.mailbox = mailbox_of(name)
        self.position = b""
        self.received: list[int] = []
        self.gaps: list[tuple[list[bytes], int]] = []
        self.started = self.floor = -1
        self.worker = None
        self.fd = -1

    def poll(self, worker, limit=100, immediate=False):
        if self.worker is not None:
            return
        fd = list(worker.keys).index(None)
        self.worker, self.fd = worker, fd
        worker.poll_of[fd] = self
        if self.plain:
            worker.hub.park_mailbox(fd, self.mailbox)
        else:
            self.session = Session(
                (*self.channels, self.mailbox), None, since=self.position, limit=limit, immediate=immediate
            )
            worker.hub.park_session(fd, self.session)

    def answered(self, messages, position, gaps, plain):
        self.worker = None
        offsets = [int(position.split(b"-")[1]) for _, position, _ in messages]
        for (channel, _, data), offset in zip(messages, offsets, strict=True):
            assert self.world.log[offset] == (channel, data), "a message changed on its way"
        self.received += offsets
        if plain:
            return
        if position and self.started < 0:
            self.started = self.floor
        if gaps:
            self.gaps.append((gaps, len(self.received) - len(offsets)))
        self.position = position

    def drop(self):
        """The connection is gone."""
        if self.worker is not None:
            worker, self.worker = self.worker, None
            del worker.poll_of[self.fd]
            worker.hub.leave(self.fd)

    def give_up(self):
        """The poll's time is over."""
        if self.worker is not None:
            self.worker.hub.expire(self.fd)


class World:
    """Everything, and what was promised."""

    def __init__(
        self, workers=2, clients=4, history_messages=1000, store_class=SlowStore, directory_class=Directory, hub=Hub
    ):
        self.now = 100.0
        self.epochs = 0
        self.log: dict[int, tuple[bytes, bytes]] = {}
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
        self.channels = [b"a", b"b", b"a", EVERYONE, *(mailbox_of(n) for n in names)]

    def publish(self, channel, receipt=False):
        data = b'"%d"' % (len(self.log) + self.refused)
        counted = []

        def done(outcome):
            if isinstance(outcome, Refused):
                self.refused += 1
            else:
                self.log[outcome.offset] = (channel, data)

        # The feed runs before the answer, so the log must know the message when a hub answers: hubs work later.
        self.router.publish(Publication(channel, data), self.now, done, counted.append if receipt else None)

    def kill(self, n):
        """kill -9 of a worker; its successor is there at once."""
        worker = self.workers[n]
        link, worker.link = worker.link, None
        self.deaths += 1
        for client in list(worker.poll_of.values()):
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

    def check(self):
        """Hold what clients received against what was published, after everyone has come back for the rest."""
        self.settle()
        for client in self.clients:
            client.give_up()
        for _ in range(3 + 2 * len(self.log)):
            before = [len(c.received) for c in self.clients]
            for n, client in enumerate(self.clients):
                client.poll(self.workers[n % len(self.workers)], immediate=True)
            self.settle()
            if before == [len(c.received) for c in self.clients]:
                break
        for client in self.clients:
            if client.plain:
                self._check_plain(client)
            else:
                self._check_resuming(client)

    def _check_plain(self, client):
        mine = [o for o, (channel, _) in self.log.items() if channel == client.mailbox]
        for offset in mine:
            times = client.received.count(offset)
            assert times >= 1, f"{client.name}: {offset} was lost"
            assert times <= 1 + self.deaths, f"{client.name}: {offset} came {times} times"
        if not self.deaths:
            got = [o for o in client.received if o in set(mine)]
            assert got == sorted(got), f"{client.name}: out of order {got}"

    def _check_resuming(self, client):
        assert client.received == sorted(set(client.received)), f"{client.name}: repeated or disordered"
        got = set(client.received)
        gaps = {channel for channels, _ in client.gaps for channel in channels}
        for offset, (channel, _) in self.log.items():
            if is_mailbox(channel):
                due = channel == client.mailbox
            else:
                due = (channel in client.channels or channel == EVERYONE) and offset > client.started
            if due and offset not in got:
                assert channel in gaps, f"{client.name}: {offset} on {channel} was lost silently"
        for channel in gaps:
            assert self._dropped(channel), f"{client.name}: told of a gap on {channel} that is none"

    def _dropped(self, channel):
        """Whether something of the channel is no longer kept."""
        kept = []
        self.store.read([channel], OLDEST, 10**9, 10**12, self.now, lambda missed: kept.extend(missed.messages))
        return len(kept) < sum(1 for c, _ in self.log.values() if c == channel)
