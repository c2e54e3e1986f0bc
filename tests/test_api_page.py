"""The page that describes the API to people."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from megacomet.api.openapi import document
from megacomet.api.page import render
from tests.doors import Doors, get

EVIL = "<script>alert('x')</script>\"><img src=x onerror=`alert(1)`>"


class Read(HTMLParser):
    """A page, read: its tags with their attributes, the ids, the links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, attribute: str) -> list[str]:
        """Return the values of an attribute, wherever it stands."""
        return [value or "" for _, attributes in self.tags for name, value in attributes.items() if name == attribute]


def page() -> Any:
    return Doors().ask(get("/api/docs", key=None))


def test_headers() -> None:
    """Nothing is loaded or run, and the one style is known by its hash."""
    answer = page()
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    [style] = re.findall(r"<style>(.*?)</style>", answer.body.decode(), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_it_is_complete_in_itself() -> None:
    """It loads nothing, runs nothing, and every link leads somewhere on this server."""
    read = Read(page().body.decode())
    ids = read.all("id")
    assert len(ids) == len(set(ids))
    for link in read.all("href"):
        assert link == "/api/openapi.json" or link.removeprefix("#") in ids, link
    assert read.all("src") == read.all("style") == []
    assert not {tag for tag, _ in read.tags} & {"script", "link", "iframe", "form", "img", "object", "base"}
    assert not [name for _, attributes in read.tags for name in attributes if name.startswith("on")]


def test_everything_of_the_document_is_there() -> None:
    """Every operation, every type and every code has its place."""
    ids = set(Read(page().body.decode()).all("id"))
    operations = [operation["operationId"] for item in document()["paths"].values() for operation in item.values()]
    assert {f"operation-{name}" for name in operations} <= ids
    assert {f"type-{name}" for name in document()["components"]["schemas"]} <= ids
    codes = {code for name in document()["components"]["responses"] for code in name.split(".")[1:]}
    assert {f"error-{code}" for code in codes} <= ids


def poisoned(value: Any, key: str = "") -> Any:
    """Return a document of which all that is shown is an attack."""
    if isinstance(value, dict):
        return {name: poisoned(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [poisoned(each, key) for each in value]
    if isinstance(value, str) and key in ("title", "description", "summary", "version", "type", "examples", "default"):
        return EVIL
    return value


def test_what_is_told_is_text() -> None:
    """Whatever the document says, the page shows it and does not do it."""
    evil = poisoned(copy.deepcopy(document()))
    evil["paths"][f"/api/{EVIL}"] = {"get": {**evil["paths"]["/api/stats"]["get"], "operationId": EVIL, "tags": [EVIL]}}
    evil["tags"].append({"name": EVIL})
    evil["components"]["schemas"][EVIL] = {"type": "object", "properties": {EVIL: {"enum": [EVIL], "const": EVIL}}}
    text = render(evil)
    assert "<script" not in text
    assert "<img" not in text
    read = Read(text)
    assert not [name for _, attributes in read.tags for name in attributes if name not in ALLOWED]
    assert text.count("&lt;script&gt;") > 100


ALLOWED = {"lang", "charset", "name", "content", "class", "href", "id", "aria-label"}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_only_get(method: str) -> None:
    """Whoever sends something there is told what is allowed."""
    assert Doors().ask(get("/api/docs", method=method, key=None)).status == 200
    answer = Doors().ask(get("/api/docs", method="DELETE", key=None))
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_nothing_of_a_request_is_on_it() -> None:
    """The page is the same for whatever Host, path parameters or query it is asked with."""
    plain = page().body
    for query in ("?q=<script>", "?%3Cscript%3E", "?x=%22%3E%3Cscript%3E"):
        assert Doors().ask(get(f"/api/docs{query}", "X-Forwarded-Host: evil.example", key=None)).body == plain
    for host in ("evil.example", "[::1]:99999", "x:y@z", "'%3Cscript%3E"):
        raw = f"GET /api/docs HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        answer = Doors().ask(raw)
        assert answer.status == 400 or answer.body == plain
        assert host.encode() not in answer.body.replace(b"[::1]", b"")
