"""A FastAPI backend whose open pages are told at once what was posted to it.

To run it, and to try it:

    pip install fastapi uvicorn httpx
    export MEGACOMET_API_KEY=…            a key of scope push: megacomet key new shop --scope push
    uvicorn fastapi_app:app --port 5000
    curl --json '{"text": "hello"}' http://127.0.0.1:5000/news
"""

import logging
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import Body, FastAPI

URL = os.environ.get("MEGACOMET_URL", "http://127.0.0.1:8080")
BEARER = {"Authorization": f"Bearer {os.environ['MEGACOMET_API_KEY']}"}  # it stays here: pages listen without it
log = logging.getLogger(__name__)
news: list[str] = []  # in the place of a database


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Hold one client, which keeps its connections, for as long as the app runs."""
    async with httpx.AsyncClient(base_url=URL, headers=BEARER, timeout=3) as app.state.comet:
        yield


app = FastAPI(lifespan=lifespan)


async def push(channel: str, data: object) -> bool:
    """Publish to a channel; return whether the server took it. It never raises: what was saved stays saved."""
    # With a key of its own a push can be repeated when its answer is lost, and is published once.
    body = {"channel": channel, "data": data, "key": uuid.uuid4().hex}
    for _ in range(2):
        try:
            answer = await app.state.comet.post("/api/push", json=body)
        except httpx.HTTPError as e:
            log.error("the push to %s failed: %r", channel, e)
            continue
        if answer.is_success:
            return True
        log.error("the push to %s was not taken: %s", channel, answer.text)
        if answer.status_code < 500:
            break  # the same again would be refused again
    return False


@app.post("/news", status_code=201)
async def post_news(text: Annotated[str, Body(embed=True)]) -> dict[str, object]:
    """Save what was posted, then tell the pages that are open."""
    news.append(text)
    item = {"number": len(news), "text": text}
    return {**item, "live": await push("news", item)}
