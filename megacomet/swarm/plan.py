"""Owns what the clients of one process are told to do."""

from __future__ import annotations

import attrs

from megacomet.swarm.mix import SCRIPT_NUMBER, SCRIPTS, Mix
from megacomet.swarm.options import Address
from megacomet.swarm.rooms import NO_ROOMS, Rooms


@attrs.frozen
class Plan:
    """What the clients of one process do.

    Attributes:
        first: index of the first client over all processes; its name is the prefix and the index.
        count: how many.
        rate: connects/s of this process; 0: as fast as it goes.
        since: go on from the last position, everywhere.
        began_ns: the run's begin on the monotonic clock; older messages are another run's.
        mix: who uses which transport.
        rooms: whom each client listens to besides its mailbox, where its transport can.
        switch_s: mean time after which a client drops its connection and takes another transport; 0: never.
        away_s: how long some of those stay away; 0: none does.
        everyone: numbered messages go to everyone too.
    """

    first: int
    count: int
    addresses: tuple[Address, ...]
    family: int
    host: str
    prefix: str = "c"
    sources: tuple[str, ...] = ()
    rate: float = 0.0
    since: bool = False
    began_ns: int = 0
    mix: Mix = SCRIPTS
    rooms: Rooms = NO_ROOMS
    switch_s: float = 0.0
    away_s: float = 0.0
    everyone: bool = False

    def listens(self, client: int) -> bool:
        """Whether a client, by its index over all processes, listens to rooms."""
        return self.rooms.channels > 0 and self.mix.listens(client)

    def learns_of_gaps(self, client: int) -> bool:
        """Whether a client, by its index over all processes, never takes a script: that has no words for a gap."""
        return self.listens(client) or SCRIPT_NUMBER not in self.mix.numbers
