"""The description of the API: it tells of every door, and of nothing that is not there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from megacomet.api.app import Api
from megacomet.api.openapi import document, document_json
from megacomet.api.operation import Operation
from megacomet.api.operations import OPERATIONS
from megacomet.errors import CATALOGUE
from megacomet.model.keys import PUSH, READ
from megacomet.wire.keyless import KEYLESS
from tests.doors import KEY, PUSH_KEY, READ_KEY, Answer, Doors, get, post

API_MD = Path(__file__).parents[1] / "docs/reference/api.md"
#: The official schema of OpenAPI 3.1 is in schemathesis; what that brings along stays out of this process.
VALIDATE = """
import sys, json
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR
print(*[f"{error.instance_path}: {error.message}" for error in OPENAPI_31_VALIDATOR.iter_errors(json.load(sys.stdin))])
"""


def path_of(operation: Operation) -> str:
    """Return a path that leads to the operation's door."""
    return re.sub(r"\{\w+\}", "0", operation.path)


def ask(operation: Operation, key: str | None, *headers: str) -> Answer:
    """Use a door of fakes."""
    if operation.method == "POST":
        raw = post(path_of(operation), "{}", *headers, key=key)
    else:
        raw = get(path_of(operation), *headers, method=operation.method, key=key)
    return Answer(Doors().connect().send(raw).transport.value())  # a stream has something behind it


def refs_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from refs_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from refs_in(each)


def resolve(ref: str) -> Any:
    found: Any = document()
    for name in ref.removeprefix("#/").split("/"):
        found = found[name]
    return found


def test_it_is_openapi() -> None:
    """The document is valid by the official schema of OpenAPI 3.1."""
    told = subprocess.run(
        [sys.executable, "-c", VALIDATE], input=document_json(), capture_output=True, check=False, cwd=API_MD.parent
    )
    assert (told.stdout.strip(), told.stderr) == (b"", b"")


def test_it_is_complete_in_itself() -> None:
    """Whatever it refers to stands in it, and whatever could be referred to is."""
    refs = set(refs_in(document()))
    for ref in refs:
        resolve(ref)
    components = document()["components"]
    there = {
        f"#/components/{kind}/{name}"
        for kind, named in components.items()
        for name in named
        if kind != "securitySchemes"
    }
    assert there == refs


def test_every_door_is_described() -> None:
    """The routes of the app are the operations of the document, and the other way round."""
    routes = {
        (method, re.sub(r"<\w+>", "{}", rule.rule))
        for rule in Api.app.url_map.iter_rules()
        for method in rule.methods or ()
        if method != "HEAD"
    }
    described = {
        (method.upper(), re.sub(r"\{\w+\}", "{}", path))
        for path, item in document()["paths"].items()
        for method in item
    }
    assert routes == described
    assert len(described) == len(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_the_reference_names_every_operation(operation: Operation) -> None:
    """The table of docs/reference/api.md has each, with the scope that it needs."""
    [row] = [
        line for line in API_MD.read_text("utf-8").splitlines() if f"| `{operation.method} {operation.path}` |" in line
    ]
    assert row.split(" | ")[1] == (operation.scope or "none")


def test_the_reference_names_every_code() -> None:
    """The table of errors has all that the document tells of."""
    text = API_MD.read_text("utf-8")
    codes = {code for operation in OPERATIONS for code in operation.all_codes}
    assert [code for code in sorted(codes) if f"`{code}`" not in text] == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_keys(operation: Operation) -> None:
    """A door asks for the key that the document says, and for none where it says none."""
    security = document()["paths"][operation.path][operation.method.lower()]["security"]
    if not operation.scope:
        assert security == []
        assert ask(operation, key=None).status == 200
        return
    assert security == [{"key": [operation.scope]}]
    assert ask(operation, key=None).code == "unauthorized"
    for scope, key in ((PUSH, PUSH_KEY), (READ, READ_KEY)):
        answer = ask(operation, key)
        assert (answer.status == 403) == (scope != operation.scope), answer.body


def test_what_needs_no_key() -> None:
    """Under /api it is the description and nothing else, for the workers as for the doors."""
    assert {op.path.encode() for op in OPERATIONS if not op.scope and op.path.startswith("/api")} == KEYLESS


@pytest.mark.parametrize("operation", [op for op in OPERATIONS if op.takes is not None], ids=lambda op: op.id)
def test_content_types(operation: Operation) -> None:
    """A body of another type than those described is refused; parameters of a type are allowed."""
    assert operation.takes is not None
    for given in (b"text/plain", b"application/x-www-form-urlencoded", b"", b"application/jsonp"):
        answer = ask(operation, KEY, f"Content-Type: {given.decode()}")
        assert (answer.status, answer.code) == (415, "unsupported-media-type")
    for given in operation.takes.types:
        assert ask(operation, KEY, f"Content-Type: {given.decode().upper()}; charset=utf-8").status != 415


@pytest.mark.parametrize("door", ["/api/events", "/api/channels/{channel}/tail", "/api/channels/{channel}"])
def test_events_are_described(door: str) -> None:
    """Of every stream of events the document says what is in them; of no other answer."""
    for kind, told in document()["paths"][door]["get"]["responses"]["200"]["content"].items():
        assert ("x-events" in told) == (kind == "text/event-stream")


def test_every_field_is_explained() -> None:
    """Nobody has to guess what a field means."""
    for name, schema in document()["components"]["schemas"].items():
        assert schema.get("description"), name
        for field, told in schema.get("properties", {}).items():
            assert told.get("description"), f"{name}.{field}"
        if "properties" in schema:
            assert "Attributes" not in schema["description"], name
    for path, item in document()["paths"].items():
        for operation in item.values():
            assert operation["summary"]
            for parameter in operation["parameters"]:
                assert "$ref" in parameter or parameter["description"], f"{path} {parameter}"


def test_problems_by_status() -> None:
    """Each status tells the codes that it comes with, and no others."""
    for name, response in document()["components"]["responses"].items():
        status, *codes = name.split(".")
        narrowed = response["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]
        assert narrowed == {"status": {"const": int(status)}, "code": {"enum": codes}}
        assert {CATALOGUE[code][0] for code in codes} == {int(status)}


def test_served_without_a_key() -> None:
    """Anybody may read it, whatever Authorization says; it is the same for everybody, and names no host."""
    doors = Doors()
    for headers in ((), ("Authorization: Bearer wrong",), ("Host: evil.example",)):
        raw = "\r\n".join(
            ["GET /api/openapi.json HTTP/1.1", *([] if "Host" in "".join(headers) else ["Host: h"]), *headers]
        )
        answer = doors.ask(raw.encode() + b"\r\n\r\n")
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        assert answer.json() == json.loads(document_json())
    assert document()["servers"] == [{"url": "/"}]
    assert doors.ask(get("/api/openapi.json", method="POST", key=None)).headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "path", ["/api/openapi.json/", "/api/openapi.jsonx", "/api//openapi.json", "/api/openapi%2Ejson"]
)
def test_what_only_looks_like_it(path: str) -> None:
    """Beside these two paths the key is asked for before anything else is looked at."""
    assert Doors().ask(get(path, key=None)).code == "unauthorized"
    assert Doors().ask(get(path)).code == "not-found"
