"""The backend behind Pushpin: `python grip_origin.py PORT`.

It answers what Pushpin asks it for each connection that comes: hold it, and subscribe it to the channel that stands in
its path. For a WebSocket (`/ws?channel=c`) that is asked as a request whose body has the event that it was opened, and
answered by a command in the body; for a stream (`/events?channel=c`) it is answered by headers. See
https://pushpin.org/docs/protocols/.
"""

from __future__ import annotations

import json
import sys

from aiohttp import web


async def websocket(request: web.Request) -> web.Response:
    """Accept a WebSocket; what else happens to one needs no answer."""
    headers = {"Content-Type": "application/websocket-events"}
    if not (await request.read()).startswith(b"OPEN\r\n"):
        return web.Response(headers=headers)
    command = b"c:" + json.dumps({"type": "subscribe", "channel": request.query["channel"]}).encode()
    events = b"OPEN\r\nTEXT %x\r\n%b\r\n" % (len(command), command)
    return web.Response(body=events, headers={**headers, "Sec-WebSocket-Extensions": "grip"})


async def stream(request: web.Request) -> web.Response:
    """Hold a stream."""
    hold = {"Grip-Hold": "stream", "Grip-Channel": request.query["channel"]}
    return web.Response(headers={"Content-Type": "text/event-stream", **hold})


if __name__ == "__main__":
    app = web.Application()
    app.router.add_post("/ws", websocket)
    app.router.add_get("/events", stream)
    where = {"host": "127.0.0.1", "port": int(sys.argv[1]), "backlog": 4096}
    web.run_app(app, **where, print=None, access_log=None)
