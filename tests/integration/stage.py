"""What a scene of the matrix is played on: a server, the proxy before it, a publisher, and the clients that listen.

Everybody listens from the beginning to the end, over all scenes: who is wrong once stays wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from signal import SIGTERM
from typing import Any, Final, Self

from tests.integration.between import Between
from tests.integration.crews import FEED, Crew, Showing, mailbox
from tests.integration.numbers import Api, Check, Publisher, Shown, epoch_of
from tests.integration.server import UNIT_S, Server
from tests.integration.test_workers import ask

#: How many times as fast the clients' clocks run. What they wait for, a minute before they climb up again, half a
#: minute between two attempts, is as it is, and so much shorter here; less so on a machine that is given more time.
HURRY: Final = max(1, min(10, int(50 / UNIT_S)))
#: All is kept, and messages may be as large as they can be.
OPTIONS: Final = (
    *("--interface=127.0.0.1", "--history-s=36000", "--history-messages=1000000", "--message-bytes=1000000"),
    *("--mailbox-ttl-s=36000", "--mailbox-messages=100000"),
)


class Stage:
    """See the module; a context manager.

    Attributes:
        server: the one that runs now.
        between: the proxy.
        publisher: of the numbers.
        crews: those who listen.
        hurry: how many times as fast the clients' clocks run.
        showings: all that was shown.
        lines: of the logs of servers that are gone.
    """

    def __init__(self, directory: Path, hurry: int = HURRY) -> None:
        """
        Args:
            directory: for the server's state.
            hurry: how many times as fast the clients' clocks run: the pings come as often as they expect them.
        """
        self.hurry = hurry
        self._directory = directory
        self._stack = ExitStack()
        self._threads = self._stack.enter_context(ThreadPoolExecutor(1))
        self.crews: list[Crew] = []
        self._checks: dict[tuple[str, str], Check] = {}
        self.showings: list[Showing] = []
        self.lines: list[str] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.push(self._stack)
            self.server = self._start(0)
            self._stack.callback(self._end)
            self.between = self._stack.enter_context(Between(self.server.port, self.hurry))
            self.api = Api(self.server.port, self.server.key)
            self._stack.callback(self.api.close)
            self.publisher = Publisher(self.api, [FEED])
            stack.pop_all()
        return self

    def __exit__(self, *reason: Any) -> None:
        self._stack.__exit__(*reason)

    def _start(self, port: int) -> Server:
        options = (f"--port={port}", f"--ping-s={25 // self.hurry}", *OPTIONS)
        server = Server(self._directory / "state", *options, wrapper=_LEASH)
        try:
            return server.launch().wait_ready()
        except BaseException:
            server.kill_all()
            raise

    def _end(self) -> None:
        try:
            self.server.stop()
            assert not [line for line in self.lines + self.server.lines if "Traceback" in line]
        finally:
            self.server.kill_all()

    def join(self, crew: Crew) -> None:
        """Have a crew, whose clients are connected, listen from now on."""
        self.crews.append(crew)
        epoch = epoch_of(self.ask("GET", f"/api/channels/{FEED}")["position"])
        for client in crew.clients:
            self.publisher.add(mailbox(client))
            for channel in (FEED, mailbox(client)):
                self.publisher.ledgers[channel].lives(epoch)
                self._checks[client, channel] = Check(self.publisher.ledgers[channel])

    def browser_client(self) -> str:
        """Return the browser's client, as the server serves it."""
        head, _, body = self.server.get("/megacomet.js").partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        return body.decode()

    # -- what a scene does

    def publish(self, count: int, amid: Callable[[], object] | None = None) -> None:
        """Publish so many numbers to the feed, and some to each mailbox.

        Args:
            amid: what is done behind the first of them, while they are on their way.
        """
        for start in range(0, count, _ROUND):
            self.publisher.publish(FEED, min(_ROUND, count - start))
            for channel in self.publisher.ledgers:
                if channel != FEED:
                    self.publisher.publish(channel, 1)
            if amid is not None:
                amid()
                amid = None

    def publishing(self, count: int) -> Future[None]:
        """Begin to publish, beside what happens meanwhile."""
        return self._threads.submit(self.publish, count)

    def shown(self, but: Sequence[str] = ()) -> None:
        """Wait until all is shown by everybody who has a transport other than those named."""
        last = {channel: ledger.entries[-1].number for channel, ledger in self.publisher.ledgers.items()}
        for crew in self.crews:
            able = [client for client, transports in crew.clients.items() if set(transports) - set(but)]
            crew.wait({client: {name: last[name] for name in (FEED, mailbox(client))} for client in able})

    def climbed(self) -> None:
        """Wait until everybody has the best transport that it may take."""
        for crew in self.crews:
            for client, transports in crew.clients.items():
                crew.wait_transport(client, transports[0])

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Ask the API; refusals fail the scene."""
        status, answer = ask(self.server, method, path, body)
        assert status < 300, (method, path, status, answer)
        return answer

    def clear(self) -> None:
        """Drop what is kept of the feed."""
        self.ask("DELETE", f"/api/channels/{FEED}/history")
        self.publisher.ledgers[FEED].clear()

    def restart(self, *, is_killed: bool) -> None:
        """End the server, by SIGKILL or in order, and start it again on its port: another epoch."""
        self.api.goes()
        self.lines += self.server.lines
        if is_killed:
            self.server.kill_all()
        else:
            self.server.stop(SIGTERM)
        self._succeed()

    def restart_manager(self) -> None:
        """Kill the manager alone, and start another one, which takes its workers over: another epoch."""
        self.api.goes()
        self.lines += self.server.lines
        self.server.kill("manager")
        before = self.server
        self._succeed()
        self.server.adopt(before)
        for number in range(2):
            self.server.wait_line(f"worker {number}: link to the manager stands")

    def _succeed(self) -> None:
        self.server = self._start(self.server.port)
        self.api.is_back(self.server.port)

    # -- what comes of it

    def faults(self) -> dict[str, list[str]]:
        """Return what clients have shown wrongly since the last time, once they have shown everything."""
        for crew in self.crews:
            for showing in crew.take():
                self.showings.append(showing)
                self._checks[showing.client, showing.channel].take([showing.shown])
        found = {f"{client} on {channel}": check.settle() for (client, channel), check in self._checks.items()}
        return {who: faults for who, faults in found.items() if faults}

    def shown_by(self, channel: str) -> dict[str, list[Shown]]:
        """Return what each client has shown of a channel, as far as it was judged."""
        found: dict[str, list[Shown]] = {}
        for showing in self.showings:
            if showing.channel == channel:
                found.setdefault(showing.client, []).append(showing.shown)
        return found


#: The server goes with whoever has started it, even if that is killed.
_LEASH: Final = ("setpriv", "--pdeathsig", "KILL")
#: Numbers of the feed for each of a mailbox.
_ROUND: Final = 50
