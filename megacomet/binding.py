"""Binding what the workers will listen on, while privileges allow it. Errors name the address and the reason.

Accepted sockets inherit the options that are set here: no system call per connection.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError

from megacomet.addresses import parse_endpoint
from megacomet.errors import StartError
from megacomet.listeners import BACKLOG, CLASSIC, PUBLIC, Address, Listeners
from megacomet.settings import Settings

CLASSIC_PORTS: Final = tuple(range(8000, 8008))

#: Workers that share one socket wake each other up for every connection (measured: 42 microseconds an accept with 8
#: sharers, 152 with 32, 5-15 with SO_REUSEPORT).
MOST_SHARERS: Final = 4

#: A peer that vanished is noticed after 60 + 4 * 15 s without traffic, or 60 s after something was sent to it.
_KEEP_IDLE_S: Final = 60
_KEEP_INTERVAL_S: Final = 15
_KEEP_COUNT: Final = 4
_USER_TIMEOUT_MS: Final = 60_000

_TCP_OPTIONS: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEP_IDLE_S),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEP_INTERVAL_S),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEP_COUNT),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS),
)
#: Whoever has one of these has the port of all addresses.
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})
_TWICE: Final = "{} is asked for twice (port, listen and the classic ports 8000-8007 must differ)"
#: How often a free number is looked for when port 0 was asked for and the number is taken in the other family.
_PORT_TRIES: Final = 16


def inherited_descriptor(text: str) -> int:
    """Return the descriptor that a `systemd:` endpoint string names; Twisted has read the environment already.

    Raises:
        Exception: of any kind, when there is none.
    """
    descriptor: int = serverFromString(None, text).fileno
    return descriptor


def bind_all(
    settings: Settings,
    workers: int,
    inherited: Callable[[str], int] = inherited_descriptor,
    classic_ports: Sequence[int] = CLASSIC_PORTS,
) -> Listeners:
    """Bind every socket that the settings ask for.

    Args:
        settings: `port` and `interface`, or `listen` instead of them, and `classic` count here.
        workers: how many workers there will be.
        inherited: gives the descriptor of a `systemd:` endpoint.
        classic_ports: where the original listened.

    Raises:
        StartError: an address is bad, taken, or not allowed; what was bound before is closed again.
    """
    everyone = range(workers)
    listeners = Listeners([])
    try:
        if not settings.listen:
            listeners.addresses.extend(_bind_tcp(settings.interface, settings.port, PUBLIC, everyone))
        for text in settings.listen:
            listeners.addresses.extend(_bind_endpoint(text, everyone, inherited))
        if settings.classic:
            for place, port in enumerate(classic_ports):
                takers = _classic_takers(place, len(classic_ports), workers)
                listeners.addresses.extend(_bind_tcp(settings.interface, port, CLASSIC, takers))
        _refuse_twins(listeners.addresses)
    except _PortTaken as e:
        is_ours = _is_ours(listeners.addresses, e.family, e.host, e.port)
        listeners.close()
        listeners.remove_paths()
        where = _show(e.family, (e.host,), e.port)
        raise StartError(_TWICE.format(where) if is_ours else f"cannot listen on {where}: the port is in use") from None
    except BaseException:
        listeners.close()
        listeners.remove_paths()
        raise
    return listeners


def _classic_takers(place: int, ports: int, workers: int) -> list[int]:
    """Return the workers of a classic port: every port has a worker, and every worker has a port."""
    return [each % workers for each in range(max(workers, ports)) if each % ports == place]


def _refuse_twins(bound: Sequence[Address]) -> None:
    seen: set[str] = set()
    for each in bound:
        if each.label in seen:
            raise StartError(_TWICE.format(each.label))
        seen.add(each.label)


def _is_ours(bound: Sequence[Address], family: int, host: str, port: int) -> bool:
    """Whether one of our own sockets is in the way of another."""
    names = [each.getsockname()[:2] for address in bound for each in address.sockets.values() if each.family == family]
    return any(its == port and (own == host or not _EVERYWHERE.isdisjoint((own, host))) for own, its in names)


# TCP


def _bind_tcp(interface: str, port: int, kind: str, workers: Sequence[int], family: int = 0) -> list[Address]:
    """Bind every address of the interface, all with the same port number."""
    for last in range(_PORT_TRIES):
        taken: list[Address] = []
        number = port
        try:
            for address_family, address in _families(interface, family):
                each = _bind_address(
                    address_family, address, number, kind, workers, optional=not interface and bool(taken)
                )
                if each is not None:
                    taken.append(each)
                    number = next(iter(each.sockets.values())).getsockname()[1]
            return taken
        except _PortTaken:
            Listeners(taken).close()
            if port or last == _PORT_TRIES - 1:
                raise
        except BaseException:
            Listeners(taken).close()
            raise
    raise AssertionError("the loop returns or raises")


class _PortTaken(Exception):
    """Raised when somebody else has the address, or we have."""

    def __init__(self, family: int, host: str, port: int) -> None:
        super().__init__(family, host, port)
        self.family, self.host, self.port = family, host, port


def _families(interface: str, family: int) -> list[tuple[int, tuple[Any, ...]]]:
    """Return the families and socket addresses of an interface; of all interfaces for ""."""
    if not interface and not family:
        return [(socket.AF_INET, ("0.0.0.0", 0)), (socket.AF_INET6, ("::", 0, 0, 0))]
    try:
        found = socket.getaddrinfo(
            interface or None, 0, family=family, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError):
        raise StartError(f"cannot listen on {interface!r}: it is not an address of this machine") from None
    return list(dict.fromkeys((entry[0], entry[4]) for entry in found))


def _bind_address(
    family: int, address: tuple[Any, ...], port: int, kind: str, workers: Sequence[int], optional: bool
) -> Address | None:
    """Bind one socket a worker to an address; None when it is optional and the machine has no such addresses.

    Raises:
        _PortTaken: it is taken.
        StartError: it cannot be had at all.
    """
    sockets: dict[int, socket.socket] = {}
    try:
        with contextlib.ExitStack() as while_binding:
            if not port:
                # It finds a number. Those that are served must be bound to it by name, else the kernel takes it back
                # when one is shut.
                scout = while_binding.enter_context(_bind(family, address, 0, share=True))
                port = scout.getsockname()[1]
            _bind_group(sockets, family, address, port, workers)
    except OSError as e:
        for each in sockets.values():
            each.close()
        if optional and e.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT):
            return None
        if e.errno == errno.EADDRINUSE:
            raise _PortTaken(family, address[0], port) from None
        raise StartError(f"cannot listen on {_show(family, address, port)}: {_why(e, port)}") from None
    return Address(f"http://{_show(family, address, port)}", kind, False, sockets)


def _bind_group(
    sockets: dict[int, socket.socket], family: int, address: tuple[Any, ...], port: int, workers: Sequence[int]
) -> None:
    """Bind one socket a worker, so that nobody else can have the address from now on, though none of them listens.

    Sockets of ours would quietly join a group that another server of the same user has opened, and its clients would
    come to us. So the first one shares with nobody, and listens: of several servers that start at the same instant
    one can do that at most. The others join it then, and it ends to listen: nobody is there yet to take whoever comes.

    Without SO_REUSEADDR they keep others off that do not listen yet either. They get it back for the listening, see
    `Listener.listen`.

    Args:
        sockets: what is bound is put there, by worker.

    Raises:
        OSError: it cannot be had.
    """
    for number in workers:
        one = sockets[number] = _bind(family, address, port, share=bool(sockets))
        if len(sockets) == 1:
            one.listen(1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    sockets[workers[0]].shutdown(socket.SHUT_RD)


def _bind(family: int, address: tuple[Any, ...], port: int, share: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for level, option, value in _TCP_OPTIONS:
            made.setsockopt(level, option, value)
        made.bind((address[0], port, *address[2:]))
    except BaseException:
        made.close()
        raise
    return made


def _show(family: int, address: tuple[Any, ...], port: int) -> str:
    return f"[{address[0]}]:{port}" if family == socket.AF_INET6 else f"{address[0]}:{port}"


def _why(error: OSError, port: int) -> str:
    if error.errno == errno.EACCES and 0 < port < 1024:
        return "permission denied (a port below 1024 needs root or CAP_NET_BIND_SERVICE)"
    if error.errno == errno.EADDRNOTAVAIL:
        return "it is not an address of this machine"
    return (error.strerror or str(error)).lower()


def cannot_listen(error: CannotListenError, bound: Sequence[Address]) -> StartError:
    """Say of an address that Twisted could not listen on, for `admin` or the binary port, what we say of ours.

    Args:
        bound: what is ours.
    """
    port, cause = error.port, error.socketError
    if not isinstance(port, int):  # the path of a UNIX socket
        return StartError(f"cannot listen on unix:{os.fsdecode(port)}: {(cause.strerror or str(cause)).lower()}")
    host = error.interface or "0.0.0.0"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    where = _show(family, (host,), port)
    in_use = cause.errno == errno.EADDRINUSE
    if in_use and _is_ours(bound, family, host, port):
        return StartError(f"cannot listen on {where}: it is asked for twice, by admin or as the classic port 9000")
    return StartError(f"cannot listen on {where}: {'the port is in use' if in_use else _why(cause, port)}")


# Endpoint strings


def _bind_endpoint(text: str, workers: Sequence[int], inherited: Callable[[str], int]) -> list[Address]:
    """Bind what an endpoint string asks for.

    Raises:
        StartError: the string is none that can be listened on here.
    """
    words, named = parse_endpoint(text)
    kinds: dict[str, Callable[[], list[Address]]] = {
        "tcp": lambda: _bind_tcp(
            named.get("interface", "0.0.0.0"), _port(text, words, named), PUBLIC, workers, socket.AF_INET
        ),
        "tcp6": lambda: _bind_tcp(
            named.get("interface", "::"), _port(text, words, named), PUBLIC, workers, socket.AF_INET6
        ),
        "unix": lambda: [_bind_unix(text, words, named, workers)],
        "systemd": lambda: [_take_inherited(text, workers, inherited)],
    }
    make = kinds.get(words[0])
    if make is None:
        raise StartError(f"cannot listen on {text!r}: it must begin with tcp:, tcp6:, unix: or systemd:")
    return make()


def _port(text: str, words: Sequence[str], named: dict[str, str]) -> int:
    given = named.get("port", words[1] if len(words) > 1 else "")
    if not given.isdecimal() or not 0 <= int(given) <= 65_535:
        raise StartError(f"cannot listen on {text!r}: the port must be a number from 0 to 65535")
    return int(given)


def _bind_unix(text: str, words: Sequence[str], named: dict[str, str], workers: Sequence[int]) -> Address:
    path = named.get("address", words[1] if len(words) > 1 else "")
    mode = named.get("mode", "666")
    if not path or not mode.isdecimal():
        raise StartError(f"cannot listen on {text!r}: it must be unix:PATH or unix:PATH:mode=660")
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _clear_stale(path)
        made.bind(path)
        os.chmod(path, int(mode, 8))
        made.setblocking(False)
        made.listen(BACKLOG)
    except (OSError, ValueError) as e:
        made.close()
        raise StartError(f"cannot listen on {text!r}: {(getattr(e, 'strerror', None) or str(e)).lower()}") from None
    return Address(f"unix:{path}", PUBLIC, True, _share(made, workers), path=os.path.abspath(path))


def _clear_stale(path: str) -> None:
    """Remove a UNIX socket that nobody listens on.

    Raises:
        OSError: somebody listens on it, or something else stands at its place.
    """
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise OSError(errno.EEXIST, "something that is no socket stands there")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        if knock.connect_ex(path) == 0:
            raise OSError(errno.EADDRINUSE, "another server listens on it")
    os.unlink(path)


def _take_inherited(text: str, workers: Sequence[int], inherited: Callable[[str], int]) -> Address:
    """Take a socket that systemd opened for us."""
    try:
        descriptor = inherited(text)
    except Exception:
        # What Twisted raises for a wrong index, a wrong name, both or neither has no type in common.
        raise StartError(f"cannot listen on {text!r}: no such socket was handed to this process") from None
    taken = socket.socket(fileno=os.dup(descriptor))
    taken.setblocking(False)
    taken.listen(BACKLOG)
    if taken.family == socket.AF_UNIX:
        return Address(f"unix:{taken.getsockname()}", PUBLIC, True, _share(taken, workers))
    for level, option, value in _TCP_OPTIONS:
        taken.setsockopt(level, option, value)
    address = taken.getsockname()
    return Address(f"http://{_show(taken.family, address, address[1])}", PUBLIC, True, _share(taken, workers))


def _share(one: socket.socket, workers: Sequence[int]) -> dict[int, socket.socket]:
    return dict.fromkeys(workers[:MOST_SHARERS], one)
