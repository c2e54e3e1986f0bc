"""The kind of a row of the lot: one byte, half of it the state that the connection is in, half of it flags.

READING    a request is being received, or none has begun on a new connection     deadline: the head's
IDLE       between two requests                                                   deadline: keep-alive
PARKED     a request waits for its answer                                         deadline: the front's
CROWDED    the same, and more bytes came: EPOLLIN is off, they stay in the kernel deadline: the front's
WRITING    an answer is on its way and did not fit                                deadline: a peer takes nothing
RESUMING   answered; what was read before is used in the next turn
DRAINING   answered and shut for writing: read and dropped, lest a reset          deadline: linger
           overtake the answer
STREAM     a stream that nothing is expected from: what comes is dropped             deadline: the next ping
SOCKET     a WebSocket                                                            deadline: the next ping, or the pong
ASKING     a WebSocket of which a request is under way: EPOLLIN is off            deadline: the same
TAKING     the body of a request to the API is being received                     deadline: silence
CALLING    a request to the API is with the manager; what comes behind it waits
AWAY       being handed to somebody else: not in the set, held open until they have it
"""

from __future__ import annotations

from typing import Final

FREE: Final = 0
LISTENER: Final = 1
READING: Final = 2
IDLE: Final = 3
PARKED: Final = 4
CROWDED: Final = 5
WRITING: Final = 6
RESUMING: Final = 7
DRAINING: Final = 8
AWAY: Final = 9
STREAM: Final = 10
SOCKET: Final = 11
ASKING: Final = 12
TAKING: Final = 13
CALLING: Final = 14

#: What of a kind is the state; the rest are the flags.
STATE: Final = 0x0F
#: The answer is followed by the end of the connection, ...
CLOSES: Final = 0x10
#: ... and the peer may still be sending: it gets the time to read why.
LINGERS: Final = 0x20
#: The front's own flag of a request, or of a stream, ...
FRONT: Final = 0x40
#: ... and of the listener that the connection came in by, for as long as it lasts.
ENTRANCE: Final = 0x80

_NAMES: Final = {
    "reading": (READING, TAKING),
    "idle": (IDLE, RESUMING),
    "waiting": (PARKED, CROWDED),
    "streaming": (STREAM, SOCKET, ASKING),
    "writing": (WRITING, DRAINING),
    "calling": (CALLING,),
    "away": (AWAY,),
}
_WITHOUT_FLAGS: Final = bytes(kind & STATE for kind in range(256))


def census(kinds: bytearray) -> dict[str, int]:
    """Count the rows by what they are about: `reading`, `idle`, `waiting`, `streaming`, `calling`, `away` and so on."""
    states = kinds.translate(_WITHOUT_FLAGS)
    return {name: sum(states.count(state) for state in of) for name, of in _NAMES.items()}
