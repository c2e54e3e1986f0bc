"""The listening sockets of the public port, as the manager, the zygote and the workers each hold them.

Theory of operation. An address has one SO_REUSEPORT socket for each worker; the kernel spreads connections over those
that listen. The manager binds them while it may (before privileges are shed, see `binding`), does not listen, and keeps
a copy of each, so that what is queued at a dead worker waits for its successor. UNIX and inherited (systemd) sockets
cannot be split: some workers share the one there is, and it listens from the start.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable, Sequence
from typing import Any, Final

import attrs

#: What is spoken on a address: everything of the public port, or only what the original's ports 8000-8007 took.
PUBLIC: Final = "public"
CLASSIC: Final = "classic"

#: The kernel cuts it to net.core.somaxconn.
BACKLOG: Final = 65_535


@attrs.frozen
class Address:
    """One address that clients come in by.

    Attributes:
        label: the address as the ready line shows it.
        kind: `PUBLIC` or `CLASSIC`.
        shared: whether the workers at it have one and the same socket.
        sockets: worker number -> its socket.
        path: of a UNIX socket that was made here, else "".
    """

    label: str
    kind: str
    shared: bool
    sockets: dict[int, socket.socket]
    path: str = ""


@attrs.frozen
class Listener:
    """One socket of a worker.

    Attributes:
        socket: bound, perhaps listened on.
        classic: whether only what the original took is spoken there.
        shared: whether other workers have the same.
    """

    socket: socket.socket
    classic: bool
    shared: bool

    def listen(self) -> None:
        """Let clients queue.

        Raises:
            OSError: the kernel does not let us.
        """
        if not self.shared:
            # What is accepted inherits it: without, no server could bind the address while connections of this one are
            # in TIME_WAIT.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.listen(BACKLOG)


class Listeners:
    """All addresses of a server, in the process that holds them: manager, zygote or worker."""

    def __init__(self, addresses: Iterable[Address]) -> None:
        self.addresses = list(addresses)

    @property
    def labels(self) -> list[str]:
        """The addresses, each once, in the order of the settings."""
        return list(dict.fromkeys(address.label for address in self.addresses))

    @property
    def workers(self) -> int:
        """How many workers clients come in by: of those that share a socket the first few alone have it."""
        return len({number for address in self.addresses for number in address.sockets})

    def of(self, number: int) -> list[Listener]:
        """Return what the worker listens on."""
        return [
            Listener(address.sockets[number], address.kind == CLASSIC, address.shared)
            for address in self.addresses
            if number in address.sockets
        ]

    def shut(self, number: int) -> None:
        """Stop the listening on a worker's own sockets: the kernel hands their share to the others.

        What was queued there is reset. A later `listen` on any copy of the sockets opens them again.
        """
        for address in self.addresses:
            if not address.shared and number in address.sockets:
                # ENOTCONN: it does not listen at the moment.
                with contextlib.suppress(OSError):
                    address.sockets[number].shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Close all copies that this process has."""
        for each in self._unique():
            each.close()

    def remove_paths(self) -> None:
        """Remove the UNIX sockets' names, so that the next server finds their place free."""
        for address in self.addresses:
            if address.path:
                with contextlib.suppress(OSError):
                    os.unlink(address.path)

    def descriptors_of_others(self, number: int) -> list[int]:
        """Return the descriptors of what a worker does not listen on."""
        mine = {id(each.socket) for each in self.of(number)}
        return [each.fileno() for each in self._unique() if id(each) not in mine]

    def pack(self) -> tuple[list[dict[str, Any]], list[int]]:
        """Return a layout of plain data, and the descriptors that it refers to by their place in the list."""
        sockets = self._unique()
        place = {id(each): at for at, each in enumerate(sockets)}
        layout = [
            {
                "label": address.label,
                "kind": address.kind,
                "shared": address.shared,
                "path": address.path,
                "sockets": {str(n): place[id(each)] for n, each in address.sockets.items()},
            }
            for address in self.addresses
        ]
        return layout, [each.fileno() for each in sockets]

    @classmethod
    def unpack(cls, layout: Sequence[dict[str, Any]], descriptors: Sequence[int]) -> Listeners:
        """Make the object anew from what `pack` gave; the descriptors belong to it from now on."""
        sockets = [socket.socket(fileno=fd) for fd in descriptors]
        for each in sockets:
            each.setblocking(False)
        return cls(
            Address(
                label=row["label"],
                kind=row["kind"],
                shared=row["shared"],
                path=row["path"],
                sockets={int(n): sockets[at] for n, at in row["sockets"].items()},
            )
            for row in layout
        )

    def _unique(self) -> list[socket.socket]:
        return list({id(each): each for address in self.addresses for each in address.sockets.values()}.values())
