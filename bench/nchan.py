"""Owns the peer of the broadcasts: an nginx of its own with Nchan, out of Debian's packages, which are not installed.

    python -m bench.nchan

brings the packages and tells the version; the benchmarks do so too when it was not done, but need the network for it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench import measure, processes
from bench.debian import Unpacked
from bench.processes import ROOT, Server

#: nginx and the module are built for each other, so both come from the same distribution.
PACKAGES: Final = Unpacked(
    *("Nchan", ("nginx", "libnginx-mod-nchan"), ROOT / "build" / "nchan"),
    ("usr/sbin/nginx", "usr/lib/nginx/modules/ngx_nchan_module.so"),
)
_NGINX, _MODULE = (PACKAGES.folder / file for file in PACKAGES.files)
#: The module makes a directory for large messages at a place that only root may write to, and takes no other: what is
#: configured comes too late. So the path is replaced in the copy by one of the same length below nginx's prefix.
_THEIR_PLACE: Final = b"/var/lib/nginx/body\0"
_OUR_PLACE: Final = b"nchan-message-files\0"

#: As MegaComet is set up: as many workers, each with its own queue of the port, 100 messages kept for a minute, no log,
#: connections that may make as many requests as they like. Pings are off unless asked for. An accepted connection is
#: one descriptor, of which a process has 20,000.
_CONFIG: Final = """
daemon off;
{user}
pid nginx.pid;
error_log error.log warn;
load_module {module};
worker_processes {workers};
events {{
    use epoll;
    worker_connections 19500;
}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    nchan_shared_memory_size 256m;
    nchan_message_buffer_length 100;
    nchan_message_timeout 60s;
    nchan_subscriber_timeout 0;
    server {{
        nchan_subscriber_first_message newest;
        listen 127.0.0.1:{port} reuseport backlog=4096;
        location = /events {{ nchan_subscriber eventsource; nchan_channel_id $arg_channel; }}
        location = /ws {{ nchan_subscriber websocket; nchan_channel_id $arg_channel; }}
        location = /push {{ nchan_publisher http; nchan_channel_id $arg_channel; }}
    }}
}}
"""


def brought() -> None:
    """Have nginx and the module in the cache directory; nothing is installed and no service started.

    Raises:
        RuntimeError: they cannot be had here; the text says which packages are missing and why.
    """
    if not PACKAGES.is_there:
        PACKAGES.bring()
        _MODULE.write_bytes(_MODULE.read_bytes().replace(_THEIR_PLACE, _OUR_PLACE))


@contextlib.contextmanager
def nchan(workers: int) -> Iterator[Server]:
    """Run nginx with Nchan in a directory of its own.

    `/events?channel=c` and `/ws?channel=c` subscribe, `POST /push?channel=c` publishes its body.
    """
    brought()
    with tempfile.TemporaryDirectory() as prefix, open(f"{prefix}/output", "wb") as log:
        port = processes.free_port()
        user = "user root;" if os.geteuid() == 0 else ""  # the workers, in a directory that only root may enter
        config = Path(prefix, "nginx.conf")
        config.write_text(_CONFIG.format(user=user, module=_MODULE, workers=workers, port=port))
        command = [str(_NGINX), "-p", prefix, "-c", str(config), "-e", "error.log"]
        with processes.running(command, dict(os.environ), log) as process:
            try:
                measure.wait_for(lambda: _up(process, port), 30, "nginx")
            except BaseException:
                for name in ("output", "error.log"):
                    with contextlib.suppress(OSError):
                        sys.stderr.write(Path(prefix, name).read_text(errors="replace")[-2000:])
                raise
            yield Server(process, port)


def _up(process: subprocess.Popen[bytes], port: int) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"nginx ended with status {process.returncode}; see its output above")
    return processes.listens(port)


def publish(server: Server) -> int:
    """Publish one message to the channel `bench`; returns its time."""
    now = time.monotonic_ns()
    status, body = server.call("POST", "/push?channel=bench", f"t={now:020d}")
    if status not in (200, 201, 202):
        raise RuntimeError(f"Nchan refused the message: {status} {body[:200]!r}")
    return now


if __name__ == "__main__":
    brought()
    print(subprocess.run([str(_NGINX), "-v"], capture_output=True, text=True, check=True).stderr.strip())
    print("\n".join(PACKAGES.versions()))
