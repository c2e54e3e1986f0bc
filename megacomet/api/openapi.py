"""The description of the API: an OpenAPI 3.1 document, made from the table of operations and from the types.

It is the same on every server of a version, and made once, when it is asked for first.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final

import msgspec

from megacomet import __version__
from megacomet.api.operation import Answer, Given, Operation, Takes
from megacomet.api.operations import OPERATIONS
from megacomet.api.request import SMALL_BODY_BYTES
from megacomet.errors import CATALOGUE
from megacomet.wire.answers import Problem
from megacomet.wire.described import Channel, Client, Position, Time
from megacomet.wire.problems import CONTENT_TYPE
from megacomet.wire.requests import JSON, REQUEST_ID_PATTERN

Json = dict[str, Any]

SECURITY: Final = "key"
_SCHEMAS: Final = "#/components/schemas/"
_RESPONSES: Final = "#/components/responses/"
_HEADERS: Final = "#/components/headers/"
#: What is described once, for all who refer to it.
_NAMED: Final = {"Channel": Channel, "Client": Client, "Position": Position, "Time": Time}
_FIELD: Final = re.compile(r"([a-z_0-9]+(?:, [a-z_0-9]+)*): (.*)").fullmatch
#: Headers of an answer by its status, beside X-Request-Id; all are always there.
_BY_STATUS: Final = {401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}
_TEXT: Final = f"""\
Every request under `/api` carries a key: `Authorization: Bearer <key>`, never in the address. Only this description \
is told without one. A key has a scope: `push` allows to publish, `read` to look, `admin` everything.

A name in a path is one segment of it, percent-encoded: the client `bob/disconnect` is \
`/api/clients/bob%2Fdisconnect`. Unknown parameters are passed over, unknown fields of a body are refused. A body has \
at most {SMALL_BODY_BYTES} bytes; where messages are published, as many as the server's settings allow. `HEAD` is \
`GET` without the body.

An error is `application/problem+json`; programs look at its `code`.

Pages hear of messages at the public port, which also has the client for browsers, without a key: `/megacomet.js` is a \
script, `/megacomet.mjs` an ES module, `/megacomet.d.ts` has their types.
"""


@cache
def document() -> Json:
    """Return the document."""
    schemas, refs = _schemas()
    responses: Json = {}
    paths: Json = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, refs, responses)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "MegaComet",
            "version": __version__,
            "description": _TEXT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(operation.group for operation in OPERATIONS)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": dict(sorted(responses.items())),
            "headers": _headers(),
            "parameters": {"X-Request-Id": _REQUEST_ID},
            "securitySchemes": {SECURITY: {"type": "http", "scheme": "bearer", "description": "A key of the API."}},
        },
    }


@cache
def document_json() -> bytes:
    """Return the body of `GET /api/openapi.json`."""
    return msgspec.json.encode(document())


# -- types


class _Refs:
    """The schemas of all types that the operations name."""

    def __init__(self, shapes: list[Any], refs: Iterable[Json]) -> None:
        self._known = list(zip(shapes, refs, strict=True))

    def of(self, shape: Any) -> Json:
        """Return the schema of a type."""
        if isinstance(shape, tuple):
            return {"oneOf": [self.of(each) for each in shape]}
        return next(dict(ref) for known, ref in self._known if known is shape)


def _schemas() -> tuple[Json, _Refs]:
    shapes = list(_shapes())
    refs, schemas = msgspec.json.schema_components(shapes, ref_template=_SCHEMAS + "{name}")
    schemas = _name(schemas)
    for name, shape in schemas.items():
        _explain(shape)
        for takes in (operation.takes for operation in OPERATIONS if operation.takes is not None):
            if takes.shape.__name__ == name:
                shape.update(takes.rules)
    return dict(sorted((schemas | _named_schemas()).items())), _Refs(shapes, _name(refs))


@cache
def _named_schemas() -> Json:
    return {name: msgspec.json.schema(shape) for name, shape in _NAMED.items()}


def _name(schema: Any) -> Any:
    """Return a schema, or whatever holds some, that refers to those which have a name of their own."""
    if isinstance(schema, list | tuple):
        return [_name(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    for name, named in _named_schemas().items():
        if schema == named:
            return {"$ref": _SCHEMAS + name}
    return {key: _name(value) for key, value in schema.items()}


def _shapes() -> Iterator[Any]:
    yield Problem
    for operation in OPERATIONS:
        yield from (given.shape for given in operation.given)
        for answer in operation.answers:
            if answer.shape is not None:
                yield from answer.shape if isinstance(answer.shape, tuple) else (answer.shape,)
            yield from answer.events.values()
        if operation.takes is not None:
            yield operation.takes.shape


def _explain(schema: Json) -> None:
    """Put the texts of a docstring where they belong: msgspec takes all of it for the text of the type."""
    text, _, fields = inspect.cleandoc(schema.pop("description", "")).partition("\n\nAttributes:\n")
    if text:
        schema["description"] = " ".join(text.split())
    for names, about in _fields(fields):
        for name in names:
            schema["properties"][name]["description"] = about


def _fields(text: str) -> Iterator[tuple[list[str], str]]:
    """Yield names and text of each entry of an Attributes section; what goes on is indented further."""
    joined = re.sub(r"\n {5,}", " ", text)
    for line in joined.splitlines():
        found = _FIELD(line.strip())
        if found is not None:
            about = found[2]
            yield found[1].split(", "), about[0].upper() + about[1:]


# -- operations


def _operation(operation: Operation, refs: _Refs, responses: Json) -> Json:
    told: Json = {"operationId": operation.id, "tags": [operation.group], "summary": operation.title}
    if operation.text:
        told["description"] = operation.text
    told["security"] = [{SECURITY: [operation.scope]}] if operation.scope else []
    told["parameters"] = [
        *(_parameter(given, refs) for given in operation.given),
        {"$ref": "#/components/parameters/X-Request-Id"},
    ]
    if operation.takes is not None:
        told["requestBody"] = _body(operation.takes, refs)
    told["responses"] = _responses(operation, refs, responses)
    return told


def _parameter(given: Given, refs: _Refs) -> Json:
    return {
        "name": given.name,
        "in": given.where,
        "required": given.where == "path",
        "description": given.text,
        "schema": refs.of(given.shape),
    }


def _body(takes: Takes, refs: _Refs) -> Json:
    content: Json = {}
    for content_type in sorted(takes.types, key=lambda each: each != JSON):  # what has a schema first
        # Of lines of JSON, OpenAPI 3.1 cannot say that each has the schema: the text does.
        content[content_type.decode()] = {"schema": refs.of(takes.shape)} if content_type == JSON else {}
    return {"description": takes.text, "required": takes.required, "content": content}


def _responses(operation: Operation, refs: _Refs, responses: Json) -> Json:
    told: Json = {str(answer.status): _answer(operation, answer, refs) for answer in operation.answers}
    by_status: dict[int, list[str]] = {}
    for code in operation.all_codes:
        by_status.setdefault(CATALOGUE[code][0], []).append(code)
    for status, codes in sorted(by_status.items()):
        problem = _problem(status, codes)
        if str(status) in told:  # an answer that is no problem has the status too; so not every header is there
            told[str(status)]["content"].update(problem["content"])
            continue
        name = ".".join([str(status), *sorted(codes)])
        responses[name] = problem
        told[str(status)] = {"$ref": _RESPONSES + name}
    return told


def _answer(operation: Operation, answer: Answer, refs: _Refs) -> Json:
    content: Json = {} if answer.shape is None else {"schema": refs.of(answer.shape)}
    if answer.events:  # OpenAPI 3.1 has no word for what a stream is made of
        content["x-events"] = {name: refs.of(shape) for name, shape in answer.events.items()}
    return {
        "description": answer.text,
        "headers": _named(["X-Request-Id"] if operation.path.startswith("/api") else []),
        "content": {answer.type.decode().partition(";")[0]: content},
    }


def _problem(status: int, codes: list[str]) -> Json:
    schema = {
        "allOf": [
            {"$ref": f"{_SCHEMAS}{Problem.__name__}"},
            {"properties": {"status": {"const": status}, "code": {"enum": sorted(codes)}}},
        ]
    }
    return {
        "description": "; ".join(f"`{code}`: {CATALOGUE[code][1]}" for code in sorted(codes)),
        "headers": _named(["X-Request-Id", *([_BY_STATUS[status]] if status in _BY_STATUS else [])]),
        "content": {CONTENT_TYPE.decode(): {"schema": schema}},
    }


# -- headers


_REQUEST_ID: Final[Json] = {
    "name": "X-Request-Id",
    "in": "header",
    "required": False,
    "description": f"Stands in the answer and in the log; another than `{REQUEST_ID_PATTERN}` is replaced.",
    "schema": {"type": "string"},
    "example": "f00-1",
}


def _named(names: list[str]) -> Json:
    return {name: {"$ref": _HEADERS + name} for name in names}


def _headers() -> Json:
    texts: dict[str, tuple[str, Json]] = {
        "X-Request-Id": ("The request's, or a new one.", {"type": "string", "pattern": f"^{REQUEST_ID_PATTERN}$"}),
        "WWW-Authenticate": ("How a key is sent.", {"type": "string", "const": "Bearer"}),
        "Allow": ("The methods that there are.", {"type": "string"}),
        "Retry-After": ("Seconds to wait.", {"type": "integer", "minimum": 1}),
    }
    return {name: {"description": text, "required": True, "schema": schema} for name, (text, schema) in texts.items()}
