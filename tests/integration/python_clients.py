"""A process of Python clients that listen, and tell what they show as lines of JSON; its own end is that of its input.

python -m tests.integration.python_clients PORT HURRY twisted|asyncio '{"name": {"transports": ["sse"]}, …}'

{"client":"name","channel":"feed","number":7,"id":"3kx9-12"}      a message
{"client":"name","channel":"feed"}                                a gap
{"client":"name","state":"connected","transport":"sse"}           how it is connected now
{"client":"name","error":"…"}                                     it has ended
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.integration.crews import FEED, mailbox
from tests.integration.numbers import number_of


class FastReactor:
    """A reactor whose clock runs so many times as fast."""

    def __init__(self, reactor: Any, hurry: int) -> None:
        self._reactor = reactor
        self._hurry = hurry

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def seconds(self) -> float:
        """See IReactorTime."""
        now: float = self._reactor.seconds()
        return now * self._hurry

    def callLater(self, delay: float, what: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """See IReactorTime."""
        return self._reactor.callLater(delay / self._hurry, what, *args, **named)


async def listen(port: int, reactor: Any, name: str, options: Mapping[str, Any]) -> None:
    """Listen for ever, and tell."""
    from megacomet.client import Client, Gap

    def watch(change: Any) -> None:
        tell(client=name, state=change.state, transport=change.transport, reason=change.reason)

    client = Client(f"http://127.0.0.1:{port}", reactor=reactor, **options)
    try:
        async for item in client.listen(FEED, client_id=mailbox(name)[1:], watch=watch):
            if isinstance(item, Gap):
                for channel in item.channels:
                    tell(client=name, channel=channel)
            else:
                tell(client=name, channel=item.channel, number=number_of(item.data), id=item.id)
    except Exception as e:
        tell(client=name, error=repr(e))


def tell(**what: object) -> None:
    """Write a line."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def run_twisted(port: int, hurry: int, clients: Mapping[str, Any]) -> None:
    """Run the clients on Twisted's own reactor."""
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred

    loop: Any = reactor

    def wait() -> None:
        # Twisted's StandardIO would make the output non-blocking too: of a reader that is slow a line would be lost.
        sys.stdin.read()
        loop.callFromThread(loop.stop)

    for name, options in clients.items():
        Deferred.fromCoroutine(listen(port, FastReactor(reactor, hurry), name, options))
    threading.Thread(target=wait, daemon=True).start()
    loop.run()


async def run_asyncio(port: int, hurry: int, clients: Mapping[str, Any]) -> None:
    """Run the clients in a program of asyncio."""
    from megacomet.client.reactors import running_reactor

    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    loop.add_reader(sys.stdin, lambda: sys.stdin.read(1) or ended.done() or ended.set_result(None))
    reactor = FastReactor(running_reactor(), hurry)
    tasks = [asyncio.create_task(listen(port, reactor, name, options)) for name, options in clients.items()]
    await ended
    for task in tasks:
        task.cancel()


def main(arguments: Sequence[str]) -> None:
    """See the module."""
    port, hurry, kind, clients = int(arguments[0]), int(arguments[1]), arguments[2], json.loads(arguments[3])
    if kind == "asyncio":
        asyncio.run(run_asyncio(port, hurry, clients))
    else:
        run_twisted(port, hurry, clients)


if __name__ == "__main__":
    main(sys.argv[1:])
