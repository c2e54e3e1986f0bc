"""A plain aiohttp server, which MegaComet is compared with: `python aiohttp_server.py PORT`.

`/ws?channel=c` and `/events?channel=c` subscribe, `POST /push?channel=c` publishes its body. It is written as one does
it without further thought: a task for each connection, a set of listeners for each channel, nothing is kept. It is
given the long queue of a listener that the other servers have too.
"""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable

from aiohttp import web

#: By channel, what sends to each who listens.
listeners: defaultdict[str, set[Callable[[str], Awaitable[object]]]] = defaultdict(set)


async def over_websocket(request: web.Request) -> web.WebSocketResponse:
    """Send what is published, until the client goes."""
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    here = listeners[request.query["channel"]]
    here.add(websocket.send_str)
    try:
        async for _ in websocket:
            pass
    finally:
        here.discard(websocket.send_str)
    return websocket


async def over_sse(request: web.Request) -> web.StreamResponse:
    """Send what is published, until the client goes: then this is cancelled."""
    stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await stream.prepare(request)

    def send(data: str) -> Awaitable[object]:
        return stream.write(f"data: {data}\n\n".encode())

    here = listeners[request.query["channel"]]
    here.add(send)
    try:
        await asyncio.Event().wait()
    finally:
        here.discard(send)
    return stream


async def publish(request: web.Request) -> web.Response:
    """Send the body to all who listen."""
    data = await request.text()
    for send in list(listeners.get(request.query["channel"], ())):
        try:
            await send(data)
        except ConnectionResetError:
            continue  # it has just gone
    return web.json_response({"status": "sent"})


if __name__ == "__main__":
    app = web.Application()
    app.router.add_get("/ws", over_websocket)
    app.router.add_get("/events", over_sse)
    app.router.add_post("/push", publish)
    where = {"host": "127.0.0.1", "port": int(sys.argv[1]), "backlog": 4096}
    web.run_app(app, **where, print=None, access_log=None, handler_cancellation=True)
