"""The link between a worker and the manager: AMP commands over a UNIX socket, and what both ends must agree on.

The worker dials. Down the link everything is one ordered stream of boxes (`DELIVER`), numbered from 1, each answered
when it was worked off (`WORKED`). Up the link go the worker's listeners (`Want`), its beats, and descriptors to adopt.
What the values hold is defined in `megacomet.wire.frames`. Beside them go the pushes that a worker has decoded, and
down what became of them (`PUSHES`), with the values of `megacomet.wire.pushed`.

What goes with each message is no command: AMP looks up, decodes and answers commands for 30 us at both ends, and such
boxes cannot be sent as rarely as others. It is a box with one value, sent in this turn (`LinkEnd.send_value`).
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Mapping
from typing import Any, ClassVar, Final, cast

from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import connectionDone
from twisted.internet.unix import Server
from twisted.protocols import amp
from twisted.python.failure import Failure

from megacomet.errors import MegaCometError

#: A worker of another version than the manager's is not let in.
PROTOCOL: Final = 9
#: Each end sends something so often, seconds.
BEAT_S: Final = 1.0
#: An end that was silent for so many of our own beats is given up. Beats are counted and not seconds, so that an end
#: that was stopped itself, or starved on a crowded machine, does not take the other for dead when it comes round.
SILENCE_BEATS: Final = 10
#: A worker keeps its connections for so many beats without a manager.
ORPHAN_BEATS: Final = 30
#: So many boxes are on their way to a worker at once; then the manager gathers on.
BOXES_IN_FLIGHT: Final = 8
#: A box is cut when it has so many bytes; a worker reads it whole before it answers the first connection.
BOX_BYTES: Final = 256 * 1024
#: What is gathered for a worker that does not keep up; beyond it the worker is killed and replaced.
LINK_BYTES: Final = 64 * 1024 * 1024
#: From so many gathered bytes on, publishers that can wait are made to.
PRESSURE_BYTES: Final = 4 * 1024 * 1024
#: From so many on, those who come back wait for what they missed: half, so that they hold nobody up who publishes.
#: A page has a megabyte of data at most.
PAGES_BYTES: Final = 2 * 1024 * 1024
#: A worker that is asked what it has answers within this time, or whoever wants to know is told that it does not.
LOOK_S: Final = 2.0

#: The boxes that are no commands, by the name of their value.
PUSHES: Final = b"pushes"
DELIVER: Final = b"deliver"
WORKED: Final = b"worked"

_PART_BYTES: Final = 0xFFFF
_LENGTH: Final = struct.Struct("!H").pack


class LinkRefused(MegaCometError):
    """Raised when the other end does not take what was asked; the text says why."""


class Blob(amp.Argument):
    """Bytes of any length: AMP carries 65,535 in a value, so they are spread over `name`, `name.1`, `name.2` …"""

    def fromBox(self, name: bytes, strings: amp.AmpBox, objects: dict[str, Any], proto: amp.AMP) -> None:
        """Put the parts together again."""
        parts = [strings[name]]
        while (part := strings.get(b"%b.%d" % (name, len(parts)))) is not None:
            parts.append(part)
        objects[name.decode()] = b"".join(parts)

    def toBox(self, name: bytes, strings: amp.AmpBox, objects: dict[str, Any], proto: amp.AMP) -> None:
        """Spread the value."""
        value = objects[name.decode()]
        strings[name] = value[:_PART_BYTES]
        for n, at in enumerate(range(_PART_BYTES, len(value), _PART_BYTES), 1):
            strings[b"%b.%d" % (name, n)] = value[at : at + _PART_BYTES]


class LinkEnd(amp.AMP):
    """`amp.AMP`, and boxes that are no commands.

    What it leaves out are two lines of the log at each connection, with the names of classes in them: two methods do
    not call AMP's own, which does nothing besides; who has these connections says what there is to say.
    """

    #: by the name of its value, the method that takes such a box; a box of commands never begins with one of them
    takes: ClassVar[Mapping[bytes, str]] = {}

    def makeConnection(self, transport: ITransport) -> None:
        amp.BinaryBoxProtocol.makeConnection(self, transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        amp.BinaryBoxProtocol.connectionLost(self, reason)
        # A descriptor comes with the first byte of its box. When that was the last of a process that was killed, nobody
        # else would ever close it, and whoever is at its other end would wait for ever.
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])
        self.transport = None

    def send_value(self, name: bytes, value: bytes) -> None:
        """Send a box that is no command, and all that was written before it, in this turn."""
        box = [_part(name, value[:_PART_BYTES])]
        for n, at in enumerate(range(_PART_BYTES, len(value), _PART_BYTES), 1):
            box.append(_part(b"%b.%d" % (name, n), value[at : at + _PART_BYTES]))
        transport = transport_of(self)
        transport.write(b"%b\0\0" % b"".join(box))
        if not transport.disconnecting:  # else only the reactor is told that all is written, and ends the connection
            transport.doWrite()  # what does not fit, and what has failed, the reactor deals with

    def ampBoxReceived(self, box: amp.AmpBox) -> None:
        name = next(iter(box), b"")
        take = self.takes.get(name)
        if take is None:
            super().ampBoxReceived(box)
            return
        value = box[name]
        if len(box) > 1:
            value += b"".join([box[b"%b.%d" % (name, n)] for n in range(1, len(box))])
        getattr(self, take)(value)


def _part(key: bytes, value: bytes) -> bytes:
    return b"%b%b%b%b" % (_LENGTH(len(key)), key, _LENGTH(len(value)), value)


def connect(path: str) -> socket.socket:
    """Connect to a UNIX socket, now or not at all: the kernel has the other end's queue at hand.

    Raises:
        OSError: nobody listens there, or too many wait there.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


def transport_of(protocol: amp.AMP) -> Server:
    """Return the UNIX transport that every end of a link has."""
    return cast(Server, protocol.transport)


class Hello(amp.Command):
    """Worker to manager: who I am. The answer says where the log stands, and the keys of the API as `Keys` does; then
    come `Want` boxes."""

    arguments = [
        (b"protocol", amp.Integer()),
        (b"number", amp.Integer()),
        (b"pid", amp.Integer()),
        (b"nonce", amp.String()),
    ]
    response = [(b"epoch", amp.String()), (b"head", amp.Integer()), (b"keys", Blob())]
    errors = {LinkRefused: b"REFUSED"}


class Want(amp.Command):
    """Worker to manager: WANT, LEAVE and JOIN records. The answer says that there is time for more."""

    arguments = [(b"records", Blob())]
    response: ClassVar[list[tuple[bytes, amp.Argument]]] = []
    errors = {LinkRefused: b"REFUSED"}


class Keys(amp.Command):
    """Manager to worker: the keys that the API takes from now on, as `megacomet.model.keys.Keys.pack` has them."""

    arguments = [(b"keys", Blob())]
    response: ClassVar[list[tuple[bytes, amp.Argument]]] = []
    errors = {LinkRefused: b"REFUSED"}


class Beat(amp.Command):
    """Worker to manager, every second or after a rest: its counts as JSON; the answer says how the server stands."""

    arguments = [(b"counts", Blob())]
    response = [(b"ready", amp.Boolean()), (b"workers", amp.Integer())]
    errors = {LinkRefused: b"REFUSED"}


class Adopt(amp.Command):
    """Worker to manager: serve this connection; `head` was read from it already. Close yours on the answer."""

    arguments = [(b"fd", amp.Descriptor()), (b"head", Blob()), (b"peer", amp.String())]
    response: ClassVar[list[tuple[bytes, amp.Argument]]] = []
    errors = {LinkRefused: b"REFUSED"}


class GiveBack(amp.Command):
    """Manager to worker: this connection asks for something of yours; `unread` was read from it already."""

    arguments = [(b"fd", amp.Descriptor()), (b"unread", Blob())]
    response: ClassVar[list[tuple[bytes, amp.Argument]]] = []
    errors = {LinkRefused: b"REFUSED"}


class Look(amp.Command):
    """Manager to worker: what have you? Question and answer are those of `megacomet.wire.looking`."""

    arguments = [(b"question", Blob())]
    response = [(b"answer", Blob())]
    errors = {LinkRefused: b"REFUSED"}


class Stop(amp.Command):
    """Manager to worker: listen no more, answer everybody, end."""

    arguments: ClassVar[list[tuple[bytes, amp.Argument]]] = []
    response: ClassVar[list[tuple[bytes, amp.Argument]]] = []
    errors = {LinkRefused: b"REFUSED"}


class Drain(amp.Command):
    """Manager to worker: listen no more, let your connections go, so many a second; the answer is what a beat says."""

    arguments = [(b"per_s", amp.Integer())]
    response = [(b"counts", Blob())]
    errors = {LinkRefused: b"REFUSED"}


class Undrain(amp.Command):
    """Manager to worker: take back `Drain`; the answer is what a beat says."""

    arguments: ClassVar[list[tuple[bytes, amp.Argument]]] = []
    response = [(b"counts", Blob())]
    errors = {LinkRefused: b"REFUSED"}
