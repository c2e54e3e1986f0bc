"""The middle of the manager, put together: what takes messages, what gives them to the workers, and who looks on."""

from __future__ import annotations

import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from megacomet.api.access import Access
from megacomet.api.audit_pages import AuditPages
from megacomet.api.site import Behind, Site, make_site
from megacomet.api.stats import Stats
from megacomet.console.assembly import Membership, make_console
from megacomet.listeners import Listeners
from megacomet.manager.adoption import Adoption, highest_descriptor
from megacomet.manager.broadcasts import Broadcasts
from megacomet.manager.checkup import Checkup
from megacomet.manager.events import Events
from megacomet.manager.links import Links
from megacomet.manager.live import Live, Shown
from megacomet.manager.looks import Counted
from megacomet.manager.lookup import Lookup
from megacomet.manager.machine import available_bytes, elapsed_s
from megacomet.manager.main import Manager
from megacomet.manager.tapping import Tapping
from megacomet.manager.vitals import Vitals
from megacomet.manager.watch import Watch
from megacomet.manager.workforce import Workforce
from megacomet.metrics.page import Page
from megacomet.metrics.readings import Sources, readings
from megacomet.model.directory import Directory
from megacomet.model.memory import MemoryStore
from megacomet.model.router import Router
from megacomet.model.store import Retention
from megacomet.names import MAILBOX_NAMESPACE
from megacomet.publishing.publisher import Publisher
from megacomet.rlimits import connections_for
from megacomet.settings import Settings
from megacomet.statedir import StateDir


@attrs.frozen
class Ground:
    """What the server stands on once it is prepared.

    Attributes:
        state: the state directory.
        access: who may use the API.
        membership: who has signed in to the console.
        workers: how many.
        limit: descriptors that a process may have.
        listeners: the sockets.
        nonce: hexadecimal; what workers show at the link.
        is_inherited: whether an earlier manager's zygote has the same.
        identity: what workers are made from.
        started: when the server did, Unix time.
    """

    state: StateDir
    access: Access
    membership: Membership
    workers: int
    limit: int
    listeners: Listeners
    nonce: str
    is_inherited: bool
    identity: str
    started: float

    @property
    def since(self) -> str:
        """When the server started, RFC 3339."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started))

    def room(self, capacity: int) -> int:
        """Return how many connections there is room for; `capacity` is the setting."""
        room = connections_for(self.listeners.workers or self.workers, self.limit)
        return min(room, capacity or room)


@attrs.frozen
class Core:
    """What takes messages and gives them to the workers.

    Attributes:
        broadcasts: the messages that go to many at a pace.
        dropped: what the original's port drops, by reason, is counted there.
    """

    store: MemoryStore
    router: Router
    links: Links
    manager: Manager
    events: Events
    watch: Watch
    vitals: Vitals
    broadcasts: Broadcasts
    dropped: Counter[str]
    site: Site
    live: Live


def make_core(
    settings: Settings, sources: Mapping[str, str], reactor: Any, ground: Ground, stats: Callable[[], Stats]
) -> Core:
    """Put together what takes messages and what gives them away.

    Args:
        settings: all of them.
        sources: where each of them came from.
        reactor: the global one.
        ground: what all stands on.
        stats: gives the server's numbers.
    """
    store, directory, manager = _make_store(settings), Directory(), Manager()
    router = Router(store, directory)
    links = manager.links = _make_links(reactor, router, manager, ground)
    events = Events(secrets.token_hex(4), time.time)
    workforce = Workforce(manager, ground.listeners, events.tell, time.monotonic)
    publisher = _make_publisher(settings, reactor, ground, router, links)
    vitals, dropped = Vitals(reactor, time.monotonic), Counter[str]()
    counted = Counted(manager, router, vitals, lambda: site)
    lookup = Lookup(store, router, links, time.time)
    broadcasts = _make_broadcasts(manager, router, links, lookup, events)
    live = Live(reactor, _shown(settings.capacity, ground, counted, store, workforce, events, broadcasts))
    site = make_site(
        settings,
        Behind(
            publisher=publisher,
            lookup=lookup,
            broadcasts=broadcasts,
            keys=ground.access.keys,
            audit=ground.access.audit,
            stats=_Numbers(stats),
            readiness=manager,
            workers=workforce,
            events=events,
            tap=Tapping(store, time.time),
            sources=sources,
            doctor=Checkup(settings, manager, time.monotonic),
            metrics=Page(lambda: readings(measured), time.monotonic),
            console=make_console(ground.membership, ground.access.keys, ground.access.audit, time.time, time.monotonic),
            live=live,
            audit_pages=AuditPages(ground.access.audit_path),
        ),
        reactor,
    )
    watch = Watch(reactor, events.tell, links=links.all, site_refused=site.refused, store_refused=store.refused)
    manager.adoption = Adoption(reactor, site, highest_descriptor(ground.limit))
    rest = (dropped, ground.started, ground.room(settings.capacity), ground.limit, time.monotonic)
    measured = Sources(manager, router, directory, store, workforce, vitals, site, *rest)
    return Core(store, router, links, manager, events, watch, vitals, broadcasts, dropped, site, live)


def _shown(
    capacity: int,
    ground: Ground,
    counted: Counted,
    store: MemoryStore,
    workforce: Workforce,
    events: Events,
    broadcasts: Broadcasts,
) -> Shown:
    return Shown(
        manager=counted.manager,
        store=store,
        workforce=workforce,
        counted=counted,
        started=ground.since,
        epoch=events.epoch,
        room=ground.room(capacity),
        limit=ground.limit,
        cores=len(os.sched_getaffinity(0)),
        available=available_bytes,
        broadcasts=broadcasts.look,
        now=time.monotonic,
        elapsed=elapsed_s,
        unix_s=time.time,
    )


def _make_publisher(settings: Settings, reactor: Any, ground: Ground, router: Router, links: Links) -> Publisher:
    links.publisher = publisher = Publisher(
        router, links, ground.access.audit, reactor, time.monotonic, settings.message_bytes
    )
    return publisher


def _make_links(reactor: Any, router: Router, manager: Manager, ground: Ground) -> Links:
    return Links(
        reactor,
        router,
        manager,
        keys=ground.access.keys,
        workers=ground.workers,
        nonce=bytes.fromhex(ground.nonce),
        uids=frozenset({os.geteuid(), ground.state.owner}),
        clock=time.monotonic,
    )


def _make_broadcasts(manager: Manager, router: Router, links: Links, lookup: Lookup, events: Events) -> Broadcasts:
    async def subscribers(channel: bytes) -> int:
        return (await lookup.channel(channel)).subscribers

    return Broadcasts(
        router,
        links,
        events.tell,
        time.monotonic,
        time.time,
        everyone=lambda: sum(manager.connections().values()),
        subscribers=subscribers,
    )


def _make_store(settings: Settings) -> MemoryStore:
    mailbox = Retention(settings.mailbox_ttl_s, settings.mailbox_messages, settings.mailbox_bytes)
    channel = Retention(settings.history_s, settings.history_messages)
    return MemoryStore(
        secrets.token_hex(5).encode(),
        lambda namespace: mailbox if namespace == MAILBOX_NAMESPACE else channel,
        settings.store_bytes,
    )


@attrs.frozen
class _Numbers:
    """See `megacomet.api.stats.IStats`."""

    stats: Callable[[], Stats]
