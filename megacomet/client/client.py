"""The client of a server: programs listen and push by it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final, overload
from weakref import WeakSet

from twisted.internet.defer import Deferred

from megacomet.client.awaiting import Awaited
from megacomet.client.calls import post_push
from megacomet.client.checks import check_client, check_listened, check_since
from megacomet.client.http import Http
from megacomet.client.items import POLL, SSE, TRANSPORTS, WEBSOCKET, Pushed
from megacomet.client.link import Link
from megacomet.client.listening import Listening, Watch
from megacomet.client.places import Place, place_of
from megacomet.client.polling import LIMIT, Polled, PollWay, poll
from megacomet.client.pushing import Targets, body_of, targets_of
from megacomet.client.reactors import running_reactor
from megacomet.client.sse import SseWay
from megacomet.client.subscribing import Subscribing
from megacomet.client.ways import Wanted, Way
from megacomet.client.websocket import WebSocketWay
from megacomet.errors import PeerError

TIMEOUT_S: Final = 10.0


class Client:
    """A server, for listening and pushing; `async with` closes it, and all that it listens to."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        reactor: Any = None,
        transports: Sequence[str] = TRANSPORTS,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """
        Args:
            url: `http://HOST:PORT`, `https://HOST/PREFIX` or `unix:/PATH`.
            key: of the API, for pushes; None: nothing is pushed.
            reactor: Twisted's; None: the program's own, or one on the loop of asyncio that runs when it is first used.
            transports: that may be taken, the best one first.
            timeout_s: how long a push may take.

        Raises:
            ValueError: the URL is none, or there is no such transport.
        """
        unknown = [name for name in transports if name not in TRANSPORTS]
        if unknown or not transports:
            raise ValueError(f"transports are {', '.join(TRANSPORTS)}, not {', '.join(unknown) or 'none'}")
        self._place: Place = place_of(url)
        self._key = key
        self._reactor = reactor
        self._transports = tuple(dict.fromkeys(transports))
        self._timeout_s = timeout_s
        self._http: Http | None = None
        self._websockets: WebSocketWay | None = None
        self._listenings: WeakSet[Listening] = WeakSet()
        self._pushes: set[Deferred[list[Pushed]]] = set()

    def listen(
        self, *channels: str, client_id: str | None = None, since: str | None = None, watch: Watch | None = None
    ) -> Listening:
        """Connect, and return what is to be iterated over.

        Args:
            channels: to be heard.
            client_id: whose mailbox; None: nobody's.
            since: a position, to hear what was missed since then, or "oldest": what is kept. None: from now.
            watch: is told of each change of the connection.

        Raises:
            BadName, BadPosition: a name or position is none.
            PeerError: `no-channel`, nothing is to be heard; `reserved-channel`.
        """
        if not channels and client_id is None:
            raise PeerError("no-channel", "name a channel or a client_id")
        for channel in channels:
            check_listened(channel)
        if client_id is not None:
            check_client(client_id)
        check_since(since)
        reactor, http = self._running(), self._requests()
        if self._websockets is None:
            self._websockets = WebSocketWay(reactor, self._place)
        ways: dict[str, Way] = {
            WEBSOCKET: self._websockets,
            SSE: SseWay(http),
            POLL: PollWay(http, reactor),
        }
        listening = Listening(since or "", client_id is not None, watch)
        link = Link(
            ways, self._transports, channels, client_id or "", listening.feed, listening, reactor, random.random
        )
        self._listenings.add(listening)
        listening.begin(link, Subscribing(link, self._fetch, listening, reactor, random.random))
        return listening

    @overload
    async def push(
        self,
        data: Any,
        *,
        channel: str,
        ttl: float | None = None,
        key: str | None = None,
        receipt: bool = False,
    ) -> Pushed: ...

    @overload
    async def push(
        self,
        data: Any,
        *,
        client: str,
        ttl: float | None = None,
        key: str | None = None,
        receipt: bool = False,
    ) -> Pushed: ...

    @overload
    async def push(
        self,
        data: Any,
        *,
        everyone: bool,
        ttl: float | None = None,
        key: str | None = None,
        receipt: bool = False,
    ) -> Pushed: ...

    @overload
    async def push(
        self,
        data: Any,
        *,
        channels: Sequence[str] | None = None,
        clients: Sequence[str] | None = None,
        ttl: float | None = None,
        key: str | None = None,
        receipt: bool = False,
    ) -> list[Pushed]: ...

    async def push(
        self,
        data: Any,
        *,
        channel: str | None = None,
        client: str | None = None,
        channels: Sequence[str] | None = None,
        clients: Sequence[str] | None = None,
        everyone: bool = False,
        ttl: float | None = None,
        key: str | None = None,
        receipt: bool = False,
    ) -> Pushed | list[Pushed]:
        """Publish a message.

        Args:
            data: what JSON has: None, numbers, strings, lists, dictionaries.
            channel, client, channels, clients, everyone: one of them says where to.
            ttl: seconds that it is kept, 0: only for who listens now; None: as the server does.
            key: who repeats it within 300 s with the same key publishes nothing.
            receipt: tell to how many connections it was written.

        Returns:
            What became of it: a list, in the order that was asked for, where a list of targets was given.

        Raises:
            BadName, BadData, PeerError: it cannot be sent like this.
            Rejected: the server refuses it.
            NoServer: nobody answers; `Unanswered`: it may have been published.
            CallError: the answer is none of MegaComet's.
        """
        targets = targets_of(channel, client, channels, clients, everyone)
        body = body_of(targets, data, ttl, key)
        pushing = Deferred.fromCoroutine(self._push(targets, body, receipt))
        self._pushes.add(pushing)
        try:
            results = await Awaited(pushing)
        finally:
            self._pushes.discard(pushing)
        return results[0] if targets.is_single else results

    async def _push(self, targets: Targets, body: bytes, receipt: bool) -> list[Pushed]:
        return await post_push(self._requests(), self._running(), self._key, targets, body, receipt, self._timeout_s)

    async def close(self) -> None:
        """Close all connections; whoever waits for a push is told that it is `Unanswered`."""
        for listening in tuple(self._listenings):
            listening.close()
        for pushing in tuple(self._pushes):
            pushing.cancel()
        http, self._http = self._http, None
        if http is not None:
            await Awaited(http.close())
        websockets, self._websockets = self._websockets, None
        if websockets is not None:
            await Awaited(Deferred.fromCoroutine(websockets.left()))

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _fetch(self, channels: Sequence[str], since: str) -> Deferred[Polled]:
        return Deferred.fromCoroutine(poll(self._requests(), Wanted(channels, "", since), 0, LIMIT))

    def _running(self) -> Any:
        """Return the reactor; it is looked for when it is first needed, since a program of asyncio begins without."""
        if self._reactor is None:
            self._reactor = running_reactor()
        return self._reactor

    def _requests(self) -> Http:
        if self._http is None:
            self._http = Http(self._running(), self._place)
        return self._http
