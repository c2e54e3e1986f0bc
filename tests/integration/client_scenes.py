"""The scenes of the matrix: what happens between clients and their server while numbers are published.

Each ends with everything free again and everything shown. Nothing here waits for time to pass: a scene goes on when
something was published, when requests have come to the proxy, or when clients have shown what they must.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from tests.integration.crews import FEED
from tests.integration.server import START_S
from tests.integration.stage import Stage
from tests.integration.troubles import (
    BUFFER,
    CUT,
    EVENTS,
    POLL,
    PORTAL,
    REFUSE,
    SWALLOW,
    WEBSOCKET,
    Trouble,
    chunk,
    text_frame,
)

_EVENTS: Final = (b"message", b"position", b"later")
#: What no MegaComet says: no JSON, no object, without what it must have, of another time.
_SAID: Final = (
    *(b"<html>", b"[1,2", b"7", b"null", b"[]", b"{}", b'{"op":7}', b'{"op":"message"}', b'{"op":"gap"}'),
    *(b'{"op":"position"}', b'{"op":"position","position":7}', b'{"op":"later","of":{"a":[1]}}', b'{"op":"ok"}'),
    *(b'{"op":"message","channel":"feed"}', b'{"op":"message","channel":7,"id":"x","data":1}'),
    b'{"op":"error","code":100,"message":"no"}',
)
GARBAGE: Final = {
    WEBSOCKET: b"".join(map(text_frame, _SAID)),
    EVENTS: b"".join(chunk(b"event: %s\ndata: %s\n\n" % (name, said)) for said in _SAID for name in _EVENTS),
    POLL: b'{"position":',
}
#: Of one message, with what goes around it.
MESSAGE_BYTES: Final = 999_000

Scene = Callable[[Stage], None]
#: Numbers of the feed for one part of a scene.
SOME: Final = 150
#: The transports as clients call them.
NAMES: Final = {WEBSOCKET: "websocket", EVENTS: "sse", POLL: "poll"}
#: Of a line that is slow.
BYTES_PER_S: Final = 20_000
#: A proxy's patience, and how often a bad network breaks, by the clients' clocks.
IDLE_S: Final = 30.0
CUT_EVERY_S: Final = 3.0


def nothing(stage: Stage) -> None:
    """Nothing stands in the way."""
    stage.publish(SOME)
    stage.shown()
    stage.publish(SOME)


def worker_killed(stage: Stage) -> None:
    """Both workers die, one after the other, while numbers come."""
    for number in range(2):
        seen = len(stage.server.lines)
        stage.publish(SOME, partial(stage.server.kill, f"worker {number}"))
        stage.server.wait_line("all workers are up again", START_S, seen)
        stage.shown()


def worker_drained(stage: Stage) -> None:
    """A worker lets all its clients go, and has them back when the other one does."""
    for number in range(2):
        drain = partial(stage.ask, "POST", f"/api/workers/{number}/drain", {"per_s": 1000})
        stage.publish(SOME, drain)
        stage.shown()
        stage.ask("DELETE", f"/api/workers/{number}/drain")


def server_killed(stage: Stage) -> None:
    """The whole server dies in the middle of a batch, and another one starts: what was not shown yet is gone."""
    under_way = stage.publishing(SOME)
    stage.restart(is_killed=True)
    under_way.result()
    stage.publish(SOME)


def server_restarted(stage: Stage) -> None:
    """The server is stopped in order and started again."""
    under_way = stage.publishing(SOME)
    stage.restart(is_killed=False)
    under_way.result()
    stage.publish(SOME)


def manager_killed(stage: Stage) -> None:
    """The manager alone dies; its clients stay connected, and are told of a gap by the next one."""
    under_way = stage.publishing(SOME)
    stage.restart_manager()
    under_way.result()
    stage.publish(SOME)


def history_cleared(stage: Stage) -> None:
    """What clients that are away have not got is cleared."""
    stage.between.stand(Trouble(is_gone=True))
    stage.publish(SOME)
    stage.clear()
    stage.publish(SOME)
    stage.between.free()


def blocked(kind: str, way: str) -> Scene:
    """One transport is blocked, and what was connected by it is cut; who can takes another one."""

    def play(stage: Stage) -> None:
        stage.between.stand(Trouble(**{kind: way}), cut=True)
        stage.publish(SOME)
        stage.shown(but=[NAMES[kind]])
        stage.between.free()
        stage.publish(SOME)

    return play


def only_polls(stage: Stage) -> None:
    """WebSocket and events are blocked; with both free again everybody climbs up to the best it may take."""
    stage.climbed()
    stage.between.stand(Trouble(websocket=REFUSE, events=BUFFER), cut=True)
    stage.publish(SOME)
    stage.shown(but=["websocket", "sse"])
    for crew in stage.crews:
        for client, transports in crew.clients.items():
            if transports[-1] == "poll":
                crew.wait_transport(client, "poll")
    stage.between.free()
    stage.publish(SOME)
    stage.shown()
    stage.climbed()


def black_hole(stage: Stage) -> None:
    """Connections stay, and nothing comes through any more, until clients have given them up."""
    connected = stage.between.open()
    stage.between.stand(Trouble(is_silent=True))
    stage.publish(SOME)
    stage.between.wait(**{kind: connected[kind] for kind in (WEBSOCKET, EVENTS, POLL)})
    stage.between.free()
    stage.publish(SOME)


def cut(*, resets: bool) -> Scene:
    """All connections are cut every few seconds while numbers come, by ends or by resets."""

    def play(stage: Stage) -> None:
        stage.between.stand(Trouble(cut_every_s=CUT_EVERY_S / stage.hurry, resets=resets), cut=True)
        for _ in range(3):
            stage.publish(SOME // 3)
            stage.between.wait(cuts=2)
        stage.between.free()
        stage.publish(SOME)

    return play


def cut_amid_events(stage: Stage) -> None:
    """Streams are cut in the middle of an event, again and again."""
    stage.between.stand(Trouble(events=CUT, after=20), cut=True)
    stage.publish(SOME)
    stage.shown(but=["sse"])
    stage.between.wait(events=2)
    stage.between.free()
    stage.publish(SOME)


def slow(stage: Stage) -> None:
    """Lines are slow."""
    stage.between.stand(Trouble(bytes_per_s=BYTES_PER_S))
    stage.publish(SOME)
    stage.shown()
    stage.between.free()
    stage.publish(SOME)


def idle(stage: Stage) -> None:
    """A proxy closes what is quiet for half a minute."""
    stage.between.stand(Trouble(idle_s=IDLE_S / stage.hurry))
    stage.publish(SOME)
    stage.shown()
    stage.between.wait(cuts=1)
    stage.publish(SOME)
    stage.shown()


def portal(stage: Stage) -> None:
    """A captive portal answers everything with a page for a while."""
    stage.between.stand(Trouble.everywhere(PORTAL), cut=True)
    stage.publish(SOME)
    stage.between.wait(websocket=2, events=2, poll=2)
    stage.between.free()
    stage.publish(SOME)


def gone(stage: Stage) -> None:
    """Nobody is there for a while."""
    stage.between.stand(Trouble(is_gone=True))
    stage.publish(SOME)
    stage.between.free()
    stage.publish(SOME)


def older_server(stage: Stage) -> None:
    """A server that knows no subprotocol, and so tells no positions between messages."""
    stage.between.stand(Trouble(hides_protocol=True), cut=True)
    stage.publish(SOME)
    stage.shown()


def garbage(kind: str, said: bytes) -> Scene:
    """What is no message comes among them, from whatever stands between."""

    def play(stage: Stage) -> None:
        stage.between.stand(Trouble(says=said, kind_said=kind), cut=True)
        stage.publish(SOME)
        stage.shown(but=["poll"] if kind == POLL else [])
        stage.between.wait(**{kind: 2})

    return play


def large(stage: Stage) -> None:
    """A message is as large as a server may allow."""
    stage.publisher.publish(FEED, 1, MESSAGE_BYTES)
    stage.publish(SOME)


def asleep(stage: Stage) -> None:
    """Clients sleep for an hour, as a laptop does: nothing of them runs, and their connections are forgotten."""
    for crew in stage.crews:
        crew.sleep()
    stage.publish(SOME)
    stage.between.cut(resets=True)
    stage.publish(SOME)
    for crew in stage.crews:
        crew.wake()


SCENES: Final[dict[str, Scene]] = {
    "nothing": nothing,
    "only polls": only_polls,
    "large message": large,
    "worker killed": worker_killed,
    "worker drained": worker_drained,
    **{f"{kind} {way}": blocked(kind, way) for kind in (WEBSOCKET, EVENTS, POLL) for way in (REFUSE, SWALLOW)},
    "websocket cut": blocked(WEBSOCKET, CUT),
    "events buffered": blocked(EVENTS, BUFFER),
    "events cut": cut_amid_events,
    "poll cut": blocked(POLL, CUT),
    "server killed": server_killed,
    "slow": slow,
    "cut by ends": cut(resets=False),
    "cut by resets": cut(resets=True),
    "idle": idle,
    "manager killed": manager_killed,
    "portal": portal,
    "gone": gone,
    "history cleared": history_cleared,
    "black hole": black_hole,
    "server restarted": server_restarted,
    "older server": older_server,
    **{f"garbage by {kind}": garbage(kind, said) for kind, said in GARBAGE.items()},
    "asleep": asleep,
}
#: Those that take as long as a client takes to notice that an answer will never come: once is enough.
SLOW: Final = ("poll swallow",)
QUICK: Final = tuple(name for name in SCENES if name not in SLOW)


def play(name: str, stage: Stage) -> None:
    """Play a scene to its end: all is free and shown; fails with what was shown wrongly, and by whom."""
    SCENES[name](stage)
    stage.between.free()
    stage.shown()
    faults = stage.faults()
    assert not faults, "\n".join([f"{name}:", *(f"  {who}: {', '.join(what)}" for who, what in faults.items())])
