"""What is told of an operation of the API, once, for the door that opens it and for the description of it.

The table of all of them is `operations.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import attrs

from megacomet.wire.requests import JSON

#: What any request may be answered with, as it comes to no door at all.
EVERYWHERE: Final = (
    "bad-request",
    "method-not-allowed",
    "head-timeout",
    "too-large",
    "uri-too-long",
    "head-too-large",
    "internal",
    "not-implemented",
    "overloaded",
    "shutting-down",
    "version-not-supported",
)


@attrs.frozen
class Given:
    """A parameter.

    Attributes:
        name: its name.
        where: it stands; in a path it is one segment, percent-encoded.
        shape: its type.
        text: what it does.
    """

    name: str
    where: Literal["path", "query", "header"]
    shape: Any
    text: str = ""


@attrs.frozen
class Takes:
    """A body.

    Attributes:
        types: its content types; none given is the first.
        shape: its type, as JSON.
        rules: of JSON Schema, what the type cannot say.
        required: whether there must be one.
        text: what it is.
        is_checked_early: whether its type is checked by the head alone, and its length with it: see `request.Body`.
    """

    types: tuple[bytes, ...]
    shape: Any
    rules: Mapping[str, object] = {}
    required: bool = False
    text: str = ""
    is_checked_early: bool = False


@attrs.frozen
class Answer:
    """An answer that is no problem.

    Attributes:
        status: of it.
        text: what it means.
        shape: its type, as JSON, or a tuple of those that it may have; None: it is no JSON.
        type: its content type.
        events: of one that is a stream of events, the types of those whose data is described, by their names.
    """

    status: int
    text: str
    shape: Any = None
    type: bytes = JSON
    events: Mapping[str, Any] = {}


@attrs.frozen
class Operation:
    """An operation.

    Attributes:
        id: its name, for programs.
        method: GET includes HEAD.
        path: with its parameter in braces.
        scope: that a key must have; "": no key is asked for.
        group: where it stands in the description.
        title: what it does, as a command.
        text: what else there is to know.
        answers: those that are no problem.
        given: its parameters.
        takes: its body.
        codes: of problems, beside those that follow from the rest.
    """

    id: str
    method: str
    path: str
    scope: str
    group: str
    title: str
    text: str
    answers: tuple[Answer, ...]
    given: tuple[Given, ...] = ()
    takes: Takes | None = None
    codes: tuple[str, ...] = ()

    @property
    def all_codes(self) -> tuple[str, ...]:
        """The codes of all problems that it may be answered with."""
        codes = [*EVERYWHERE, *self.codes]
        if self.scope:
            codes += ["unauthorized", "forbidden"]
        if "{" in self.path:
            codes.append("not-found")
        if self.takes is not None:
            codes += ["bad-json", "bad-fields", "unsupported-media-type"]
        return tuple(dict.fromkeys(codes))
