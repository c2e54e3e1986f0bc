"""A Django backend whose open pages are told at once what was posted to it: for a project, take push() and the view.

To run it, and to try it:

    pip install django requests
    export MEGACOMET_API_KEY=…            a key of scope push: megacomet key new shop --scope push
    python django_app.py runserver --noreload 5000
    curl -d 'text=hello' http://127.0.0.1:5000/news
"""

import logging
import os
import sys
import uuid

import requests
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

PUSH = os.environ.get("MEGACOMET_URL", "http://127.0.0.1:8080") + "/api/push"
BEARER = {"Authorization": f"Bearer {os.environ['MEGACOMET_API_KEY']}"}  # it stays here: pages listen without it
settings.configure(ROOT_URLCONF=__name__, SECRET_KEY=uuid.uuid4().hex, ALLOWED_HOSTS=["127.0.0.1", "localhost"])
log = logging.getLogger(__name__)
news: list[str] = []  # in the place of a model


def push(channel: str, data: object) -> bool:
    """Publish to a channel; return whether the server took it. Within a transaction: by transaction.on_commit."""
    # With a key of its own a push can be repeated when its answer is lost, and is published once.
    body = {"channel": channel, "data": data, "key": uuid.uuid4().hex}
    for _ in range(2):
        try:
            answer = requests.post(PUSH, json=body, headers=BEARER, timeout=(1, 3))
        except requests.RequestException as e:
            log.error("the push to %s failed: %s", channel, e)
            continue
        if answer.ok:
            return True
        log.error("the push to %s was not taken: %s", channel, answer.text)
        if answer.status_code < 500:
            break  # the same again would be refused again
    return False


@csrf_exempt  # for curl; a form of yours sends its token
@require_POST
def post_news(request: HttpRequest) -> JsonResponse:
    """Save what was posted, then tell the pages that are open."""
    news.append(request.POST.get("text", ""))
    item = {"number": len(news), "text": news[-1]}
    return JsonResponse({**item, "live": push("news", item)}, status=201)


urlpatterns = [path("news", post_news)]
if __name__ == "__main__":
    execute_from_command_line(sys.argv)
