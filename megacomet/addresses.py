"""Where a server is called: URLs as people write them, endpoint strings as settings have them, both taken apart.

Knows no sockets and asks no name server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import attrs

HTTP: Final = "http"
HTTPS: Final = "https"
UNIX: Final = "unix"

_PORTS: Final = {HTTP: 80, HTTPS: 443}
#: An address of all interfaces is none to call; the loopback is one of them.
_CALLED: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
_LOOPBACK: Final = re.compile(r"127\.[0-9.]+|::1|localhost").fullmatch
_HOST: Final = re.compile(r"[!-~]+").fullmatch
_KINDS: Final = {"tcp": HTTP, "tcp6": HTTP, "ssl": HTTPS}


@attrs.frozen
class Address:
    """Where a server is called.

    Attributes:
        scheme: `HTTP`, `HTTPS` or `UNIX`.
        host: a name or a number, without brackets; "" of a UNIX socket.
        port: 0 of a UNIX socket.
        path: of a UNIX socket, else "".
    """

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.scheme == UNIX:
            return f"{UNIX}:{self.path}"
        return f"{self.scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether nobody else than this machine is called, whatever the network says."""
        return self.scheme == UNIX or _LOOPBACK(self.host) is not None

    @property
    def called(self) -> Address:
        """The address to call: of all interfaces, the loopback."""
        if self.scheme == UNIX:
            return self
        return attrs.evolve(self, host=_CALLED.get(self.host, self.host))


def address_of_url(url: str) -> Address:
    """Take apart `http://HOST:PORT`, `https://…` or `unix:/PATH`.

    Raises:
        ValueError: it is none of them; the text says what it must be.
    """
    if url.startswith(f"{UNIX}:") and len(url) > len(f"{UNIX}:") and url.isprintable():
        return Address(UNIX, path=url.removeprefix(f"{UNIX}:"))
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if port == 0 or not _HOST(host):
        host = ""
    if not host or not url.isprintable() or parts.scheme not in _PORTS or parts.path not in ("", "/"):
        raise ValueError("http://HOST:PORT, https://HOST:PORT or unix:PATH")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("http://HOST:PORT, https://HOST:PORT or unix:PATH, and nothing else")
    return Address(parts.scheme, host, port or _PORTS[parts.scheme])


def address_of_endpoint(text: str) -> Address | None:
    """Return what to call where a server listens at an endpoint, as far as the string tells.

    Returns:
        None: it does not, as `systemd:index=0`, or a port of 0.
    """
    words, named = parse_endpoint(text)
    first = words[1] if len(words) > 1 else ""
    if words[0] == UNIX:
        path = named.get("address", first)
        return Address(UNIX, path=path) if path else None
    port = named.get("port", first)
    if words[0] not in _KINDS or not port.isdecimal() or not 0 < int(port) < 65_536:
        return None
    everywhere = "::" if words[0] == "tcp6" else "0.0.0.0"
    return Address(_KINDS[words[0]], named.get("interface") or everywhere, int(port))


def parse_endpoint(text: str) -> tuple[list[str], dict[str, str]]:
    """Take an endpoint string apart: `\\` escapes, `:` parts, `name=value` names."""
    words: list[str] = []
    named: dict[str, str] = {}
    for part in _parts(text):
        name, value = part
        if name:
            named[name] = value
        else:
            words.append(value)
    return words, named


def _parts(text: str) -> Iterator[tuple[str, str]]:
    name, value, escaped = "", "", False
    for sign in text:
        if escaped or sign not in ":=\\":
            value, escaped = value + sign, False
        elif sign == "\\":
            escaped = True
        elif sign == "=" and not name:
            name, value = value, ""
        elif sign == ":":
            yield name, value
            name, value = "", ""
        else:
            value += sign
    yield name, value
