"""The operations of the API. `app.py` opens a door for each, and the description (`openapi.py`) tells of each.

What stands here is for those who use the API: it is shown to them as it is.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta

from megacomet.api.broadcasting import BROADCAST_OPERATIONS
from megacomet.api.channels import SORTS
from megacomet.api.events import MOST_READERS
from megacomet.api.health import TEXT
from megacomet.api.metrics import PATH as METRICS_PATH
from megacomet.api.operation import Answer, Given, Operation, Takes
from megacomet.api.query import LIMIT, MOST_LIMIT
from megacomet.api.reader import EVENTS
from megacomet.api.stats import Stats
from megacomet.api.tails import MOST_MESSAGES, MOST_TAILS, TailFrame
from megacomet.model.keys import ADMIN, PUSH, READ
from megacomet.model.ranking import MOST
from megacomet.names import CHANNEL_MAX_BYTES, NAME_PATTERN, POSITION_PATTERN
from megacomet.publishing.publisher import RECEIPT_S
from megacomet.wire import keyless
from megacomet.wire.answers import (
    AuditPage,
    BatchDone,
    ChannelInfo,
    ChannelList,
    ClientInfo,
    Config,
    Disconnected,
    History,
    Pushed,
    PushedMany,
    Readiness,
    Removed,
)
from megacomet.wire.batch import MAX_BATCH_ERRORS
from megacomet.wire.cutoff import CUT_OFF_RULES, CutOffBody
from megacomet.wire.described import AFTER_RULES, Channel, Client
from megacomet.wire.doctor import DoctorReport
from megacomet.wire.live import LiveFrame, TrendList
from megacomet.wire.push import BATCH_PATH, BATCH_TYPES, PUSH_PATH, PUSH_RULES, PUSH_TYPES, PushBody
from megacomet.wire.requests import JSON
from megacomet.wire.workers import MOST_PER_S, PER_S, DrainBody, WorkerList, WorkerState

HTML: Final = b"text/html; charset=utf-8"

_Number = Annotated[int, Meta(extra_json_schema={"minimum": 0})]
_Limit = Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": MOST_LIMIT, "default": LIMIT})]
_OR_NOTHING: Final = {"minLength": 0, "pattern": NAME_PATTERN.replace("+$", "*$")}
_Prefix = Annotated[str, Meta(extra_json_schema={"maxLength": CHANNEL_MAX_BYTES} | _OR_NOTHING)]
_After = Annotated[str, Meta(extra_json_schema=AFTER_RULES | _OR_NOTHING)]
_Sort = Annotated[str, Meta(extra_json_schema={"enum": ["", *SORTS], "default": SORTS[0]})]
_Since = Annotated[str, Meta(extra_json_schema={"pattern": f"^(oldest|{POSITION_PATTERN})?$"})]
_Position = Annotated[str, Meta(extra_json_schema={"pattern": f"^({POSITION_PATTERN})?$"})]
_Before = Annotated[str, Meta(extra_json_schema={"pattern": "^([0-9]{1,20}-[0-9]{1,19})?$"})]
_One = Annotated[str, Meta(examples=["1"])]

_CHANNEL: Final = Given("channel", "path", Channel, "The channel, as one percent-encoded segment.")
_CLIENT: Final = Given("client", "path", Client, "The client's id, as one percent-encoded segment.")
_WORKER: Final = Given("worker", "path", _Number, "The worker's number.")

MESSAGES: Final = "Messages"
CHANNELS: Final = "Channels"
CLIENTS: Final = "Clients"
WORKERS: Final = "Workers"
SERVER: Final = "Server"

PUSH_ONE: Final = Operation(
    "push",
    "POST",
    PUSH_PATH,
    PUSH,
    MESSAGES,
    "Publish one message, to one target or to many",
    "A target that is named by itself is answered by an object, a list of targets by a list. The status is 200 when at "
    "least one target took the message. A push to everyone needs a key of scope `admin`.",
    (Answer(200, "At least one target took the message", (Pushed, PushedMany)),),
    (
        Given(
            "receipt",
            "query",
            _One,
            f"`1`: tell to how many connections each message was written; that takes {RECEIPT_S:g} s at most.",
        ),
    ),
    Takes(PUSH_TYPES, PushBody, PUSH_RULES, required=True, text="What to publish, and to whom.", is_checked_early=True),
    ("mailbox-full", "store-full"),
)
BATCH: Final = Operation(
    "batch",
    "POST",
    BATCH_PATH,
    PUSH,
    MESSAGES,
    "Publish many messages, one push per line",
    "Lines are published in order, as they arrive; the answer comes at the end. Blank lines and CRLF are allowed. "
    f"The first {MAX_BATCH_ERRORS} errors are told.",
    (
        Answer(200, "At least one line was published, or there was none", BatchDone),
        Answer(422, "All lines failed", BatchDone),
    ),
    takes=Takes(
        BATCH_TYPES, PushBody, PUSH_RULES, text="Pushes as NDJSON; each line is one of them.", is_checked_early=True
    ),
)
LIST_CHANNELS: Final = Operation(
    "listChannels",
    "GET",
    "/api/channels",
    READ,
    CHANNELS,
    "List channels, by name or by subscribers",
    "Those that somebody hears or of which messages are kept; mailboxes only with a prefix that begins with `@`. By "
    f"subscribers, the first {MOST:,}: the most first, then by name.",
    (Answer(200, "A page of channels", ChannelList),),
    (
        Given("sort", "query", _Sort, "What they are sorted by."),
        Given("prefix", "query", _Prefix, "Only channels whose names begin with it."),
        Given("limit", "query", _Limit, "So many at most."),
        Given("after", "query", _After, "Only what comes behind: the `after` of the page before. By name, any name."),
    ),
    codes=("bad-name",),
)
READ_CHANNEL: Final = Operation(
    "readChannel",
    "GET",
    "/api/channels/{channel}",
    READ,
    CHANNELS,
    "Tell how a channel stands",
    "One that was never used has zeros.",
    (Answer(200, "The channel", ChannelInfo),),
    (_CHANNEL,),
    codes=("bad-name",),
)
READ_HISTORY: Final = Operation(
    "readHistory",
    "GET",
    "/api/channels/{channel}/history",
    READ,
    CHANNELS,
    "Tell what is kept of a channel",
    "",
    (Answer(200, "Messages of the channel", History),),
    (
        _CHANNEL,
        Given("since", "query", _Since, "Only what comes behind a position; `oldest`, or nothing: all that is kept."),
        Given("limit", "query", _Limit, "So many messages at most."),
        Given("before", "query", _Position, "Only what comes before a position: the `id` of a message."),
        Given("reverse", "query", _One, "`1`: the newest message first."),
    ),
    codes=("bad-name", "bad-position"),
)
TAIL_CHANNEL: Final = Operation(
    "tailChannel",
    "GET",
    "/api/channels/{channel}/tail",
    READ,
    CHANNELS,
    "Tell what is published to a channel, as it is published",
    f"Server-sent events, for as long as the reader stays and reads; {MOST_TAILS} tails at most. It is no subscriber: "
    f"nothing is counted, and nothing taken out of a mailbox. The data of the event `messages` is the newest "
    f"{MOST_MESSAGES} messages since the event before, and how many were skipped.",
    (Answer(200, "The messages, without an end", type=EVENTS, events={"messages": TailFrame}),),
    (_CHANNEL,),
    codes=("bad-name",),
)
CLEAR_HISTORY: Final = Operation(
    "clearHistory",
    "DELETE",
    "/api/channels/{channel}/history",
    ADMIN,
    CHANNELS,
    "Drop what is kept of a channel",
    "Whoever resumes from before is told of a gap.",
    (Answer(200, "What was dropped", Removed),),
    (_CHANNEL,),
    codes=("bad-name",),
)
READ_CLIENT: Final = Operation(
    "readClient",
    "GET",
    "/api/clients/{client}",
    READ,
    CLIENTS,
    "Tell how a client stands",
    "One that is not connected, and for which nothing waits, is not found.",
    (Answer(200, "The client", ClientInfo),),
    (_CLIENT,),
    codes=("bad-name",),
)
DISCONNECT: Final = Operation(
    "disconnectClient",
    "POST",
    "/api/clients/{client}/disconnect",
    ADMIN,
    CLIENTS,
    "Cut a client off, wherever it is connected",
    "Nobody to disconnect is no error.",
    (Answer(200, "Who was cut off", Disconnected),),
    (_CLIENT,),
    Takes((JSON,), CutOffBody, CUT_OFF_RULES, text="How; nothing: the client is to come back."),
    ("bad-name",),
)
LIST_WORKERS: Final = Operation(
    "listWorkers",
    "GET",
    "/api/workers",
    READ,
    WORKERS,
    "Tell how the workers stand",
    "",
    (Answer(200, "All workers, by number", WorkerList),),
)
RESTART: Final = Operation(
    "restartWorker",
    "POST",
    "/api/workers/{worker}/restart",
    ADMIN,
    WORKERS,
    "Have a worker end in order and replaced",
    "It lets its connections go first, as fast as it goes; its clients come back to the others.",
    (Answer(202, "It was asked to end", WorkerState),),
    (_WORKER,),
    codes=("conflict",),
)
DRAIN: Final = Operation(
    "drainWorker",
    "POST",
    "/api/workers/{worker}/drain",
    ADMIN,
    WORKERS,
    "Have a worker listen no more and let its connections go",
    "",
    (Answer(202, "It lets them go", WorkerState),),
    (_WORKER,),
    Takes((JSON,), DrainBody, text=f"How fast; nothing: {PER_S} connections a second, at most {MOST_PER_S}."),
    ("conflict",),
)
UNDRAIN: Final = Operation(
    "undrainWorker",
    "DELETE",
    "/api/workers/{worker}/drain",
    ADMIN,
    WORKERS,
    "Have a drained worker listen again",
    "",
    (Answer(202, "It listens", WorkerState),),
    (_WORKER,),
    codes=("conflict",),
)
READ_STATS: Final = Operation(
    "readStats", "GET", "/api/stats", READ, SERVER, "Tell the server's numbers", "", (Answer(200, "Numbers", Stats),)
)
READ_CONFIG: Final = Operation(
    "readConfig",
    "GET",
    "/api/config",
    READ,
    SERVER,
    "Tell the settings in force, and where they came from",
    "Secrets are hidden.",
    (Answer(200, "All settings", Config),),
)
READ_DOCTOR: Final = Operation(
    "readDoctor",
    "GET",
    "/api/doctor",
    READ,
    SERVER,
    "Tell what the machine allows, and what stands in the way",
    "For the setting `capacity`, or else for as many connections as the workers' descriptors allow. It is looked at "
    "once in 5 s at most.",
    (Answer(200, "What was found", DoctorReport),),
)
FOLLOW_EVENTS: Final = Operation(
    "followEvents",
    "GET",
    "/api/events",
    READ,
    SERVER,
    "Tell what happens, as it happens",
    f"Server-sent events, for as long as the reader stays and reads; {MOST_READERS} readers at most.",
    (Answer(200, "The events, without an end", type=EVENTS, events={"stats": Stats, "live": LiveFrame}),),
    (
        Given("stats", "query", _One, "`1`: the event `stats` comes each second."),
        Given("live", "query", _One, "`1`: the event `live`, what a console shows, comes at once and each second."),
        Given("kept", "query", _One, "`1`: who does not go on behind an event begins with all those that are kept."),
        Given("lastEventId", "query", str, "Go on behind this event, where there is no header for it."),
        Given("Last-Event-ID", "header", str, "Go on behind this event."),
    ),
)
READ_TRENDS: Final = Operation(
    "readTrends",
    "GET",
    "/api/trends",
    READ,
    SERVER,
    "Tell how the server's figures went over the last hour",
    "",
    (Answer(200, "All series", TrendList),),
)
READ_AUDIT: Final = Operation(
    "readAudit",
    "GET",
    "/api/audit",
    ADMIN,
    SERVER,
    "Tell who has changed what",
    "The audit log backwards. A page may be shorter than asked for and not be the last.",
    (Answer(200, "A page of entries", AuditPage),),
    (
        Given("limit", "query", _Limit, "So many at most."),
        Given("before", "query", _Before, "Only older entries: the `before` of the page before."),
    ),
)
DESCRIBE: Final = Operation(
    "describe",
    "GET",
    keyless.DOCUMENT.decode(),
    "",
    SERVER,
    "Describe the API to programs",
    "",
    (Answer(200, "This document, OpenAPI 3.1", dict[str, Any]),),
)
DOCS: Final = Operation(
    "docs",
    "GET",
    keyless.PAGE.decode(),
    "",
    SERVER,
    "Describe the API to people",
    "",
    (Answer(200, "A page made from the document", type=HTML),),
)
METRICS: Final = Operation(
    "readMetrics",
    "GET",
    METRICS_PATH.decode(),
    READ,
    SERVER,
    "Tell the metrics, for Prometheus",
    "Without a key where the setting `metrics_open` is true. OpenMetrics for who asks for it by `Accept`.",
    (Answer(200, "The metrics", type=TEXT),),
    codes=("overloaded",),
)
HEALTH: Final = Operation(
    "health",
    "GET",
    "/healthz",
    "",
    SERVER,
    "Tell that the process answers",
    "On the public port the worker answers itself.",
    (Answer(200, "`ok`", type=TEXT),),
)
READINESS: Final = Operation(
    "readiness",
    "GET",
    "/readyz",
    "",
    SERVER,
    "Tell whether the server can serve",
    "",
    (Answer(200, "Every worker listens", Readiness), Answer(503, "Not yet, or not any more", Readiness)),
)

OPERATIONS: Final = (
    *(PUSH_ONE, BATCH),
    *(LIST_CHANNELS, READ_CHANNEL, READ_HISTORY, CLEAR_HISTORY, TAIL_CHANNEL),
    *(READ_CLIENT, DISCONNECT),
    *BROADCAST_OPERATIONS,
    *(LIST_WORKERS, RESTART, DRAIN, UNDRAIN),
    *(READ_STATS, READ_TRENDS, READ_CONFIG, READ_DOCTOR, FOLLOW_EVENTS, READ_AUDIT),
    *(DESCRIBE, DOCS, METRICS, HEALTH, READINESS),
)
