"""The API's description as a page for people: made from the document, complete in itself, without scripts.

It must not know the operations: what is not in the document is not on the page.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator
from functools import cache
from html import escape
from typing import Any, Final
from urllib.parse import quote

from megacomet.api.openapi import Json, document
from megacomet.api.page_style import STYLE
from megacomet.wire.keyless import DOCUMENT

#: Nothing is loaded, run, sent or framed; the one style is known by its hash.
_POLICY: Final = (
    "Content-Security-Policy: default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n"
)
_BOUNDS: Final = (
    ("multipleOf", "a multiple of {}"),
    ("minimum", "at least {}"),
    ("maximum", "at most {}"),
    ("minLength", "at least {} long"),
    ("maxLength", "at most {} long"),
    ("minItems", "at least {} of them"),
    ("maxItems", "at most {} of them"),
    ("const", "always {}"),
    ("default", "without it {}"),
)
_CODE: Final = re.compile(r"`([^`]*)`")


@cache
def page_html() -> bytes:
    """Return the body of `GET /api/docs`."""
    return render(document()).encode()


@cache
def page_headers() -> bytes:
    """Return what the page's answer has in its head besides."""
    digest = hashlib.sha256(STYLE.encode()).digest()
    return _POLICY.format(hash=base64.b64encode(digest).decode()).encode()


def render(document: Json) -> str:
    """Return the page of an OpenAPI document, of which everything may come from anywhere."""
    return "".join(_Page(document).whole())


class _Page:
    def __init__(self, document: Json) -> None:
        self._document = document
        self._operations = [
            (method, path, operation) for path, item in document["paths"].items() for method, operation in item.items()
        ]
        codes = [set(self._codes(operation)) for _, _, operation in self._operations]
        self._common = set.intersection(*codes) if codes else set()

    def whole(self) -> Iterator[str]:
        info = self._document["info"]
        title = escape(info["title"])
        yield "<!DOCTYPE html>\n<html lang=en>\n<meta charset=utf-8>\n"
        yield "<meta name=viewport content='width=device-width, initial-scale=1'>\n"
        yield f"<title>{title}: the HTTP API</title>\n<style>{STYLE}</style>\n"
        yield "<a class=skip href='#operations'>To the operations</a>\n"
        yield from self._contents()
        yield f"<header><h1>{title}<small>{escape(info['version'])}</small></h1>\n"
        yield f"{_prose(info.get('description', ''))}"
        yield f"<p>For programs: <a href='{DOCUMENT.decode()}'>OpenAPI {escape(self._document['openapi'])}</a>.</p>"
        yield "</header>\n<main id=operations>\n"
        for group in self._groups():
            yield f"<section aria-label='{escape(group)}'><h2 id='{_anchor('group', group)}'>{escape(group)}</h2>\n"
            for method, path, operation in self._of(group):
                yield from self._operation(method, path, operation)
            yield "</section>\n"
        yield from self._errors()
        yield from self._types()
        yield "</main>\n<footer>Made by the server from its own types.</footer>\n</html>\n"

    def _groups(self) -> list[str]:
        return [tag["name"] for tag in self._document["tags"]]

    def _of(self, group: str) -> Iterator[tuple[str, str, Json]]:
        return (each for each in self._operations if group in each[2]["tags"])

    def _contents(self) -> Iterator[str]:
        yield "<nav aria-label=Contents>\n"
        for group in self._groups():
            yield f"<h2>{escape(group)}</h2><ul>\n"
            for method, path, operation in self._of(group):
                link = _anchor("operation", operation["operationId"])
                yield f"<li><a href='#{link}'>{_method(method)}{_path(path)}</a>\n"
            yield "</ul>\n"
        yield "<h2>Common</h2><ul><li><a href='#errors'>Errors</a><li><a href='#types'>Types</a></ul></nav>\n"

    # -- an operation

    def _operation(self, method: str, path: str, operation: Json) -> Iterator[str]:
        anchor = _anchor("operation", operation["operationId"])
        yield f"<article id='{anchor}'><h3><a href='#{anchor}'>{_method(method)}<code>{_path(path)}</code></a></h3>\n"
        yield f"<p class=title>{_inline(operation['summary'])}</p>\n<p class=key>{self._key(operation)}</p>\n"
        yield _prose(operation.get("description", ""))
        yield f"<pre><code>{escape(self._command(method, path, operation))}</code></pre>\n"
        parameters = [parameter for parameter in operation["parameters"] if "$ref" not in parameter]
        if parameters:
            yield _list("Parameters", (self._parameter(each) for each in parameters))
        if "requestBody" in operation:
            body = operation["requestBody"]
            kinds = [
                (f"<code>{escape(kind)}</code>", f"<p>{_inline(body['description'])}</p>{self._shape(media)}")
                for kind, media in body["content"].items()
            ]
            yield _list("Body" if body["required"] else "Body, which may be left out", kinds)
        yield _list("Answers", self._answers(operation))
        yield "</article>\n"

    def _key(self, operation: Json) -> str:
        scopes = [scope for way in operation["security"] for each in way.values() for scope in each]
        return f"Needs a key of scope {' or '.join(map(escape, scopes))}" if scopes else "Needs no key"

    def _command(self, method: str, path: str, operation: Json) -> str:
        """Return what to type into a shell."""
        words = ["curl"]
        if operation["security"]:
            words.append('-H "Authorization: Bearer $KEY"')
        body = operation.get("requestBody", {"content": {}})["content"]
        examples = [one for media in body.values() for one in self._examples(media.get("schema", {}))]
        if examples:
            words.append(f"--json {shlex.quote(json.dumps(examples[0], ensure_ascii=False))}")
        elif method != "get":
            words.append(f"-X {method.upper()}")
        for parameter in operation["parameters"]:
            if parameter.get("in") == "path":
                example = str(next(iter(self._examples(parameter["schema"])), 0))
                path = path.replace(f"{{{parameter['name']}}}", quote(example, safe=""))
        words.append(f'"$SERVER{path}"')
        return " \\\n  ".join([" ".join(words[:2]), *words[2:]])

    def _examples(self, schema: Json) -> list[Any]:
        return list(self._resolved(schema).get("examples", ()))

    def _parameter(self, parameter: Json) -> tuple[str, str]:
        where = parameter["in"]
        return (
            f"<code>{escape(parameter['name'])}</code> <span class=what>in the {escape(where)}</span>",
            f"<p>{_inline(parameter['description'])}</p>{self._told(parameter['schema'])}",
        )

    def _answers(self, operation: Json) -> Iterator[tuple[str, str]]:
        for status, given in operation["responses"].items():
            response = self._resolved(given)
            shapes = "".join(self._shape(media, kind) for kind, media in response["content"].items())
            if "$ref" not in given:
                yield escape(status), f"<p>{_inline(response['description'])}</p>{shapes}"
                continue
            codes = [code for code in self._codes_of(response) if code not in self._common]
            if codes:
                links = ", ".join(f"<a href='#{_anchor('error', code)}'>{escape(code)}</a>" for code in codes)
                yield escape(status), f"<p>{links}</p>"

    def _shape(self, media: Json, kind: str = "") -> str:
        if kind in ("", "application/json"):
            return self._told(media["schema"]) if "schema" in media else ""
        events = ", ".join(
            f"<code>{escape(name)}</code>: {self._type(schema)}" for name, schema in media.get("x-events", {}).items()
        )
        return f"<p class=what>{escape(kind)}{f'; data of {events}' if events else ''}</p>"

    # -- errors and types

    def _codes(self, operation: Json) -> Iterator[str]:
        for given in operation["responses"].values():
            yield from self._codes_of(self._resolved(given))

    def _codes_of(self, response: Json) -> Iterator[str]:
        problem = response["content"].get("application/problem+json", {"schema": {}})
        for part in problem["schema"].get("allOf", ()):
            yield from part.get("properties", {}).get("code", {}).get("enum", ())

    def _errors(self) -> Iterator[str]:
        yield "<section aria-label=Errors><h2 id=errors>Errors</h2>\n"
        yield _prose("Those marked with * may come from any operation, and are not named with each.")
        problem = self._document["components"]["schemas"].get("Problem", {"properties": {"code": {"oneOf": []}}})
        titles = {each["const"]: each["title"] for each in problem["properties"]["code"]["oneOf"]}
        statuses = {
            code: status
            for _, _, operation in self._operations
            for status, given in operation["responses"].items()
            for code in self._codes_of(self._resolved(given))
        }
        ordered = sorted(statuses.items(), key=lambda each: (each[1], each[0]))
        yield _list("", (self._error(code, status, titles.get(code, "")) for code, status in ordered))
        yield "</section>\n"

    def _error(self, code: str, status: str, title: str) -> tuple[str, str]:
        mark = " *" if code in self._common else ""
        name = f"<span id='{_anchor('error', code)}'>{escape(status)} <code>{escape(code)}</code>{mark}</span>"
        return name, f"<p>{_inline(title)}</p>"

    def _types(self) -> Iterator[str]:
        yield "<section aria-label=Types><h2 id=types>Types</h2>\n"
        for name, schema in self._document["components"]["schemas"].items():
            anchor = _anchor("type", name)
            yield f"<article id='{anchor}'><h3><a href='#{anchor}'>{escape(name)}</a></h3>\n"
            yield _prose(schema.get("description", ""))
            if "properties" in schema:
                required = schema.get("required", ())
                fields = ((field, about, field in required) for field, about in schema["properties"].items())
                yield _list("", (self._field(*each) for each in fields))
            else:
                yield self._told(schema)
            for example in schema.get("examples", ()):
                yield f"<pre><code>{escape(json.dumps(example, ensure_ascii=False))}</code></pre>\n"
            yield "</article>\n"
        yield "</section>\n"

    def _field(self, name: str, schema: Json, is_required: bool) -> tuple[str, str]:
        label = f"<code>{escape(name)}</code>" + ("" if is_required else " <span class=what>optional</span>")
        return label, f"<p>{_inline(schema.get('description', ''))}</p>{self._told(schema)}"

    def _told(self, schema: Json) -> str:
        """Return what a schema says, in a line."""
        bounds = [text.format(json.dumps(schema[name])) for name, text in _BOUNDS if name in schema]
        return f"<p class=what>{'; '.join([self._type(schema), *map(escape, bounds)])}</p>"

    def _type(self, schema: Json) -> str:
        """Return the type that a schema asks for."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return f"<a href='#{_anchor('type', name)}'>{escape(name)}</a>"
        for several in ("anyOf", "oneOf"):
            if several in schema and "type" not in schema:
                return " or ".join(self._type(each) for each in schema[several])
        if "enum" in schema:
            return "one of " + ", ".join(f"<code>{escape(str(each))}</code>" for each in schema["enum"])
        kind = schema.get("type", "any JSON value")
        if kind == "array":
            return f"list of {self._type(schema['items'])}"
        if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
            return f"object, each value {self._type(schema['additionalProperties'])}"
        return escape(kind)

    def _resolved(self, given: Json) -> Json:
        if "$ref" not in given:
            return given
        found: Any = self._document
        for name in given["$ref"].split("/")[1:]:
            found = found[name]
        return dict(found)


def _anchor(kind: str, name: str) -> str:
    return escape(f"{kind}-{quote(name, safe='')}")


def _method(method: str) -> str:
    return f"<span class='method {escape(method)}'>{escape(method.upper())}</span>"


def _path(path: str) -> str:
    return escape(path).replace("/", "/<wbr>").replace("/<wbr>", "/", 1)


def _inline(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _prose(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>\n" for part in text.split("\n\n") if part.strip())


def _list(title: str, entries: Iterable[tuple[str, str]]) -> str:
    """Return a list of terms and what is said of each, which are HTML already."""
    told = "".join(f"<dt>{term}</dt><dd>{text}</dd>\n" for term, text in entries)
    return (f"<h4>{escape(title)}</h4>\n" if title else "") + (f"<dl>\n{told}</dl>\n" if told else "")
