"""Owns one peer: Pushpin, out of Debian's packages, which are not installed, with a backend behind it.

    python -m bench.versus.pushpin

brings the packages and tells the versions; the benchmark does so too when it was not done, but needs the network for
it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from bench import measure, processes
from bench.debian import Unpacked
from bench.processes import ROOT, Server

#: Pushpin is a proxy and a distributor; condure takes its connections, zurl asks its backend. They speak ZeroMQ.
PACKAGES: Final = Unpacked(
    *("Pushpin", ("pushpin", "condure", "zurl"), ROOT / "build" / "pushpin"),
    *(("usr/bin/pushpin", "usr/bin/condure", "usr/bin/zurl"), True),
)
#: Each connection is a request to its backend, and few of these may wait for zurl: who comes beyond that is answered
#: 502. Seen with 500 and with 100 at once, and once in 2,000 with 64.
UNANSWERED: Final = 32
#: Each push is a connection, and 50 may wait to be accepted; who comes beyond that tries again after a second.
PUSH_CONNECTIONS: Final = 32
#: Debian's limit of connections. Each of condure's two threads has numbers for half of them, and in 45 s gives a sign
#: of life for each number in turn.
MAX_CONNECTIONS: Final = 50_000
_TURNS_S: Final = 45.0
#: Of the connections one thread may have so many times its half.
_UNEVEN: Final = 1.25
_LIBRARY: Final = PACKAGES.folder / "usr" / "lib" / "pushpin"
_ORIGIN: Final = Path(__file__).parent / "grip_origin.py"
#: Where Debian's zurl, a service of its own, takes requests; here it is one that Pushpin starts.
_THEIR_ZURL: Final = "/var/run/zurl/"
_OUR_ZURL: Final = "{rundir}/{ipc_prefix}"
#: Debian's settings, but for paths, ports and what says why. Logged is what is worse than a warning, of no request.
_CONFIG: Final = """
[global]
libdir={folder}/library
include={{libdir}}/internal.conf
rundir={folder}/run
ipc_prefix=pushpin-
port_offset=0

[runner]
services=condure,zurl,pushpin-proxy,pushpin-handler
http_port=127.0.0.1:{port}
logdir={folder}/log
log_level=0
client_buffer_size=8192
client_maxconn={most}
condure_bin=condure
zurl_bin=zurl

[proxy]
routesfile=routes

[handler]
push_in_spec=ipc://{{rundir}}/{{ipc_prefix}}push-in
push_in_http_addr=127.0.0.1
push_in_http_port={push_port}
command_spec=ipc://{{rundir}}/{{ipc_prefix}}command
# No limit of messages a second. With one (Debian's is 2,500) messages wait for a pause in what is published: those of
# two seconds at 500 a second came at their end, whatever the limit was.
message_rate=0
"""


def standing_s(transport: str, clients: int) -> float:
    """Return how long it must have stood, in s, before so many streams may begin as fast as they are answered.

    A stream is answered by the proxy and then passed to the handler. If its turn of condure's signs of life comes
    meanwhile, that goes to the proxy, the handler misses a number of the sequence, and ends the stream when the next
    sign, or the receipt of a message, comes ("received message out of sequence, canceling"). Among streams that come
    now and then that is one in thousands. But numbers are given one after the other, as turns are: where more streams
    come in a second than turns do (556 a thread), they catch up with the turns of a server that has just started and
    run beside them for a while. Of 10,000 streams that began within two seconds of the start 6 to 132 were lost with
    the first message, in all of ten runs; of those that began when the turns had passed their last number none. A
    WebSocket stays with the proxy.
    """
    return _TURNS_S * _UNEVEN * clients / MAX_CONNECTIONS if transport == "sse" else 0.0


def brought() -> None:
    """Have Pushpin in the cache directory; nothing is installed and no service started.

    Raises:
        RuntimeError: it cannot be had here; the text says which packages are missing and why.
    """
    if not PACKAGES.is_there:
        PACKAGES.bring()


@contextlib.contextmanager
def pushpin(workers: int) -> Iterator[Server]:
    """Run Pushpin in a directory of its own, and a backend, which is no process of the server.

    `/events?channel=c` and `/ws?channel=c` subscribe, `POST /publish/` at the other port publishes. Pushpin has no
    number of workers: condure runs two threads, all else one process each.
    """
    brought()
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/output", "wb") as log, _origin(log) as origin:
        port, push_port = processes.free_port(), processes.free_port()
        _set_up(Path(folder), port, push_port, origin)
        command = [str(PACKAGES.folder / "usr" / "bin" / "pushpin"), f"--config={folder}/pushpin.conf"]
        with processes.running(command, PACKAGES.environment(), log) as process:
            try:
                measure.wait_for(lambda: _up(process, port, push_port), 30, "Pushpin")
            except BaseException:
                for path in (Path(folder, "output"), *Path(folder, "log").iterdir()):
                    sys.stderr.write(path.read_text(errors="replace")[-2000:])
                raise
            yield Server(process, port, push_port=push_port)


def _set_up(folder: Path, port: int, push_port: int, origin: int) -> None:
    for name in ("library/runner", "run", "log", "runner/certs"):
        Path(folder, name).mkdir(parents=True)
    inside = Path(_LIBRARY, "internal.conf").read_text().replace(_THEIR_ZURL, _OUR_ZURL)
    Path(folder, "library", "internal.conf").write_text(inside)
    for template in Path(_LIBRARY, "runner").iterdir():
        Path(folder, "library", "runner", template.name).write_bytes(template.read_bytes())
    Path(folder, "routes").write_text(f"* 127.0.0.1:{origin},over_http\n")
    values = {"folder": folder, "port": port, "push_port": push_port, "most": MAX_CONNECTIONS}
    Path(folder, "pushpin.conf").write_text(_CONFIG.format(**values))


@contextlib.contextmanager
def _origin(log: IO[bytes]) -> Iterator[int]:
    port = processes.free_port()
    with processes.running([sys.executable, str(_ORIGIN), str(port)], dict(os.environ), log) as process:
        measure.wait_for(lambda: _up(process, port), 30, "the backend of Pushpin")
        yield port


def _up(process: subprocess.Popen[bytes], *ports: int) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"a process of Pushpin ended with status {process.returncode}; see its output above")
    return all(processes.listens(port) for port in ports)


if __name__ == "__main__":
    brought()
    print("\n".join(PACKAGES.versions()))
