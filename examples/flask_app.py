"""A Flask backend whose open pages are told at once what was posted to it.

To run it, and to try it:

    pip install flask requests
    export MEGACOMET_API_KEY=…            a key of scope push: megacomet key new shop --scope push
    flask --app flask_app run --port 5000
    curl -d 'text=hello' http://127.0.0.1:5000/news
"""

import os
import uuid

import requests
from flask import Flask, request

PUSH = os.environ.get("MEGACOMET_URL", "http://127.0.0.1:8080") + "/api/push"
#: The key stays here: pages listen without one.
BEARER = {"Authorization": f"Bearer {os.environ['MEGACOMET_API_KEY']}"}

app = Flask(__name__)
#: In the place of a database.
news: list[str] = []


def push(channel: str, data: object) -> bool:
    """Publish to a channel; return whether the server took it. It never raises: what was saved stays saved."""
    # With a key of its own a push can be repeated when its answer is lost, and is published once.
    body = {"channel": channel, "data": data, "key": uuid.uuid4().hex}
    for _ in range(2):
        try:
            answer = requests.post(PUSH, json=body, headers=BEARER, timeout=(1, 3))
        except requests.RequestException as e:
            app.logger.error("the push to %s failed: %s", channel, e)
            continue
        if answer.ok:
            return True
        app.logger.error("the push to %s was not taken: %s", channel, answer.text)
        if answer.status_code < 500:
            break  # the same again would be refused again
    return False


@app.post("/news")
def post_news() -> tuple[dict[str, object], int]:
    """Save what was posted, then tell the pages that are open."""
    text = request.form.get("text", "").strip()
    if not text:
        return {"error": "text is missing"}, 400
    news.append(text)
    item = {"number": len(news), "text": text}
    return {**item, "live": push("news", item)}, 201
