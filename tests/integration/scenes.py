"""The console's pages, and something to show on each: names of every kind, messages, events, an audit log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote

from megacomet.names import CLIENT_MAX_BYTES
from tests.integration.consoles import Site

#: What an operator may meet: markup, quotes, another direction of writing, pictures, nothing to see, long.
ODD: Final = (
    *(
        "<script>alert('1')</script>",
        '"it\'s"&amp;',
        "\u05e9\u05dc\u05d5\u05dd\u202eabc",
        "\N{SNOWMAN}\U0001f680a/b?c=d#e%20",
    ),
    *("zero\u200bwidth", "x" * CLIENT_MAX_BYTES),
)
CHANNEL: Final = ODD[0]
CLIENT: Final = ODD[2]
#: Name -> address.
PAGES: Final = {
    "overview": "#/",
    "channels": "#/channels",
    "channel": f"#/channels/{quote(CHANNEL, safe='')}",
    "clients": "#/clients",
    "client": f"#/clients/{quote(CLIENT, safe='')}",
    "workers": "#/workers",
    "broadcasts": "#/broadcasts",
    "events": "#/events",
    "audit": "#/audit",
    "doctor": "#/doctor",
    "settings": "#/settings",
}
_MESSAGES: Final = 12


@contextmanager
def busy(site: Site) -> Iterator[None]:
    """Clients are connected, messages were published, somebody was cut off, requests were refused."""
    channels = [f"channel={quote(name, safe='')}" for name in ODD]
    clients = [f"client={quote(name, safe='')}&{channels[0]}" for name in ODD]
    with site.streams(*channels, *clients):
        for n in range(_MESSAGES):
            site.push(CHANNEL, {"n": n, "text": "a line that is long enough to be cut " * (n % 3), "odd": ODD[n % 5]})
        for n in range(3):
            site.ask("POST", "/api/push", {"client": CLIENT, "data": n})
        with site.streams("client=gone"):
            site.ask("POST", "/api/clients/gone/disconnect", {})
        for path in ("/nothing", "/comet/events", "/comet/poll?channel=%2A"):
            site.server.get(path)
        site.ask("POST", "/api/push", {"client": "nobody", "data": json.loads('{"deep": [[[[[[1]]]]]]}')})
        yield
