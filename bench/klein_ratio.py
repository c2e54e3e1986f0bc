"""Single pushes over keep-alive against a bare Klein endpoint: CPU per request of the server process, as a ratio.

    python bench/klein_ratio.py [PAIRS [REQUESTS]]

Both sites run in this process and are asked in turn by a client process, over 32 connections. The bare endpoint reads
the JSON and answers JSON: the least that anybody would write. Ours has a publisher that only counts.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

CONNECTIONS = 32
KEY = "a-key-for-the-benchmark"
BODY = b'{"client":"sue","data":{"text":"hello, this is a message of a common length","n":1207}}'

CLIENT = """
import socket, sys
port, total, connections = map(int, sys.argv[1:4])
path, key, body = sys.argv[4], sys.argv[5], sys.argv[6].encode()
request = (f"POST {path} HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\nUser-Agent: bench\\r\\nAccept: */*\\r\\n"
           f"Authorization: Bearer {key}\\r\\nContent-Type: application/json\\r\\n"
           f"Content-Length: {len(body)}\\r\\n\\r\\n").encode() + body
sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
for s in sockets:
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
done = 0
while done < total:
    for s in sockets:
        s.sendall(request)
    for s in sockets:
        answer = s.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200"), answer
    done += len(sockets)
print(done)
"""


def make_bare() -> Any:
    """Return a bare Klein site."""
    from klein import Klein
    from twisted.web.server import Site

    app = Klein()

    @app.route("/api/push", methods=["POST"])
    def push(request: Any) -> bytes:
        asked = json.loads(request.content.read())
        request.setHeader(b"Content-Type", b"application/json")
        return json.dumps({"id": "e1-1", "status": "sent", "to": asked["client"]}).encode()

    return Site(app.resource())


def make_ours(reactor: Any) -> Any:
    """Return the manager's site with a publisher that only counts."""
    from twisted.internet.defer import Deferred, succeed

    from megacomet.api.site import Behind, make_site
    from megacomet.model.keys import Keys
    from megacomet.model.message import Publication, Published
    from megacomet.settings import BUILT_IN, ROWS, Settings

    class Publisher:
        epoch = b"e1"
        head = 0

        def publish(
            self, publication: Publication, now: float, done: Callable[[Published], None], counted: object = None
        ) -> None:
            self.head += 1
            done(Published(self.head, "sent"))

    class Pressure:
        def full(self) -> bool:
            return False

        def wait(self) -> Deferred[None]:
            return succeed(None)

    return make_site(
        Settings(state_dir="/nowhere"),
        Behind(
            publisher=Publisher(),
            pressure=Pressure(),
            lookup=None,  # type: ignore[arg-type]
            broadcasts=None,  # type: ignore[arg-type]
            keys=Keys([(KEY, "admin")]),
            audit=None,  # type: ignore[arg-type]
            stats=None,  # type: ignore[arg-type]
            readiness=None,  # type: ignore[arg-type]
            workers=None,  # type: ignore[arg-type]
            events=None,  # type: ignore[arg-type]
            sources=dict.fromkeys(ROWS, BUILT_IN),
            metrics=None,  # type: ignore[arg-type]
        ),
        reactor,
        time.monotonic,
    )


def ask(port: int, requests: int) -> float:
    """Ask one site; return the seconds of CPU that this process took for a request."""
    before = time.process_time()
    client = [sys.executable, "-c", CLIENT, str(port), str(requests), str(CONNECTIONS), "/api/push", KEY, BODY.decode()]
    done = int(subprocess.run(client, check=True, capture_output=True).stdout)
    return (time.process_time() - before) / done


def compare(reactor: Any, ports: tuple[int, int], pairs: int, requests: int) -> None:
    """Ask both in turn and print the medians."""
    for port in ports:
        ask(port, 200)
    bare, ours, ratios = [], [], []
    for _ in range(pairs):
        bare.append(ask(ports[0], requests))
        ours.append(ask(ports[1], requests))
        ratios.append(bare[-1] / ours[-1])
    print(f"bare Klein  {statistics.median(bare) * 1e6:6.0f} us of CPU a request")
    print(f"push        {statistics.median(ours) * 1e6:6.0f} us of CPU a request")
    print(f"ratio       {statistics.median(ratios):6.2f} of a bare Klein endpoint's requests/s (budget: >= 0.75)")
    reactor.callFromThread(reactor.stop)


def main() -> None:
    """Run the benchmark."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    requests = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
    from twisted.internet import epollreactor

    epollreactor.install()
    from twisted.internet import reactor as installed

    reactor: Any = installed
    sites = make_bare(), make_ours(reactor)
    ports = [reactor.listenTCP(0, site, backlog=128, interface="127.0.0.1").getHost().port for site in sites]
    threading.Thread(target=compare, args=(reactor, (ports[0], ports[1]), pairs, requests), daemon=True).start()
    reactor.run()


if __name__ == "__main__":
    main()
