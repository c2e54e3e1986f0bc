"""The operations of broadcasts; see `operations`, whose table they are part of."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from megacomet.api.operation import Answer, Given, Operation, Takes
from megacomet.model.keys import ADMIN, READ
from megacomet.wire.broadcasts import (
    BROADCAST_RULES,
    PER_S,
    Broadcast,
    BroadcastBody,
    BroadcastEstimate,
    BroadcastList,
)
from megacomet.wire.described import Position
from megacomet.wire.requests import JSON

BROADCASTS: Final = "Broadcasts"

_BROADCAST: Final = Given("broadcast", "path", Position, "The broadcast's id.")
_TOLD: Final = (Answer(200, "The broadcast as it stands then", Broadcast),)

START: Final = Operation(
    "broadcast",
    "POST",
    "/api/broadcasts",
    ADMIN,
    BROADCASTS,
    "Publish one message to many, at a pace",
    f"It is written to `per_s` connections a second, {PER_S} unless the request says, and holds no other message up.",
    (
        Answer(202, "It has begun", Broadcast),
        Answer(200, "With `estimate`: what it would be", BroadcastEstimate),
    ),
    (
        Given(
            "estimate",
            "query",
            Annotated[str, Meta(examples=["1"])],
            "`1`: check everything, publish nothing, and tell to how many connections it would go.",
        ),
    ),
    Takes((JSON,), BroadcastBody, BROADCAST_RULES, required=True, text="What, and where to.", is_checked_early=True),
    ("conflict", "store-full"),
)
LIST: Final = Operation(
    "listBroadcasts",
    "GET",
    "/api/broadcasts",
    READ,
    BROADCASTS,
    "Tell how the last broadcasts stand",
    "The newest first; the list begins anew when the manager does.",
    (Answer(200, "The last ones", BroadcastList),),
)
READ_ONE: Final = Operation(
    "readBroadcast",
    "GET",
    "/api/broadcasts/{broadcast}",
    READ,
    BROADCASTS,
    "Tell how a broadcast stands",
    "",
    (Answer(200, "The broadcast", Broadcast),),
    (_BROADCAST,),
)
PAUSE: Final = Operation(
    "pauseBroadcast",
    "POST",
    "/api/broadcasts/{broadcast}/pause",
    ADMIN,
    BROADCASTS,
    "Have a broadcast wait",
    "When it is answered, it goes on only to connections that are written something newer.",
    _TOLD,
    (_BROADCAST,),
    codes=("conflict",),
)
RESUME: Final = Operation(
    "resumeBroadcast",
    "POST",
    "/api/broadcasts/{broadcast}/resume",
    ADMIN,
    BROADCASTS,
    "Have a broadcast go on that was paused",
    "",
    _TOLD,
    (_BROADCAST,),
    codes=("conflict",),
)
CANCEL: Final = Operation(
    "cancelBroadcast",
    "DELETE",
    "/api/broadcasts/{broadcast}",
    ADMIN,
    BROADCASTS,
    "Take a broadcast back",
    "When it is answered, nobody is written it any more, neither live nor from what is kept.",
    _TOLD,
    (_BROADCAST,),
    codes=("conflict",),
)

BROADCAST_OPERATIONS: Final = (START, LIST, READ_ONE, PAUSE, RESUME, CANCEL)
