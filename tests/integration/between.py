"""A proxy between clients and a server, told while it runs what stands in the way: a process of its own.

    with Between(server.port) as between:
        clients go to between.url
        between.stand(Trouble(websocket=REFUSE), cut=True)      # from now on; what was open is cut
        between.wait(websocket=2)                               # two have tried since then
        between.free()

Each order is answered when it is obeyed, so what the test does next meets the new trouble.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.integration.server import LINE_S, START_S, environ
from tests.integration.troubles import CUTS, KINDS, Trouble

_ROOT: Final = Path(__file__).parents[2]


class Between:
    """The proxy, from its start to its end; a context manager.

    Attributes:
        port: where it listens, on the loopback.
    """

    def __init__(self, server_port: int, hurry: int = 1) -> None:
        """
        Args:
            server_port: of the server, on the loopback.
            hurry: how many times as fast the clients' clocks run: so much shorter is the time that a poll asks for.
        """
        command = [sys.executable, "-m", "tests.integration.between"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ(), cwd=_ROOT, bufsize=0
        )
        self._before = Counter[str]()
        self.port: int = self._tell(START_S, begin=server_port, hurry=hurry)["port"]

    @property
    def url(self) -> str:
        """Where clients go."""
        return f"http://127.0.0.1:{self.port}/"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            code = self._process.wait(LINE_S)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
        assert code == 0 or kind is not None, f"the proxy ended with {code}"

    def stand(self, trouble: Trouble, *, cut: bool = False) -> None:
        """Let something stand in the way of what comes, in place of what did.

        Args:
            trouble: what.
            cut: whether what is open is cut too; it is when nobody listens any more.
        """
        self._before = Counter(self._tell(stand=trouble.to_json(), cut=cut or trouble.is_gone)["counts"])

    def free(self, **left: Any) -> None:
        """Let nothing stand in the way any more, but what is named."""
        self.stand(Trouble(**left))

    def cut(self, *, resets: bool = False) -> None:
        """Cut all connections now."""
        self._tell(stand=None, cut=True, resets=resets)

    def leads_to(self, server_port: int) -> None:
        """Have another server behind it."""
        self._tell(server=server_port)

    def serve(self, path: str, body: str, kind: str = "text/html; charset=utf-8") -> None:
        """Answer a path itself, with a body of a media type."""
        self._tell(path=path, body=body, kind=kind)

    def counts(self) -> dict[str, int]:
        """Return how many requests of each kind have come since something else stands in the way, and `CUTS`."""
        told = Counter(self._tell(stand=None)["counts"])
        return {kind: told[kind] - self._before[kind] for kind in (*KINDS, CUTS)}

    def open(self) -> dict[str, int]:
        """Return how many connections there are, by the kind of their last request."""
        told: dict[str, int] = self._tell(stand=None)["open"]
        return told

    def wait(self, seconds: float = START_S, **kinds: int) -> None:
        """Wait until so much of each has happened since something else stands in the way; see `counts`."""
        wanted = Counter(kinds)
        self._tell(seconds, when=dict(self._before + wanted))

    def _tell(self, seconds: float = LINE_S, **order: Any) -> Any:
        """Give an order, and return the answer to it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        line = b""
        while not line.endswith(b"\n"):
            there, _, _ = select.select([self._process.stdout], [], [], seconds)
            assert there, f"the proxy does not answer to {order}"
            piece = self._process.stdout.read(65_536)
            assert piece, f"the proxy ended at {order}"
            line += piece
        return json.loads(line)


def main() -> None:
    """Run the proxy: orders come as lines of JSON, one answer goes out for each, and it ends with its input."""
    from twisted.internet import reactor, stdio

    from tests.integration.relaying import Orders

    loop: Any = reactor
    stdio.StandardIO(Orders(loop))
    loop.run()


if __name__ == "__main__":
    main()
