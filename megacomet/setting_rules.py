"""The rules that a setting's value can have: how it is written, what it must be, how the rule is told.

A rule knows nothing of names and sources; `settings.py` puts them together. Each rule has

    phrase           what a value must be, fits after "must be"
    check(value)     the value in its own type, from a typed source (TOML, code); ValueError when it breaks the rule
    parse(text)      the same from text (environment, command line)
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Any, ClassVar, Final, Protocol

import attrs

_WHOLE: Final = re.compile(r"-?[0-9]{1,18}(_[0-9]{1,18}){0,18}").fullmatch
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?").fullmatch
_TRUE: Final = frozenset({"true", "yes", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "0"})


class Rule(Protocol):
    """What a value of one setting must be; see the module."""

    @property
    def phrase(self) -> str: ...

    def check(self, value: object) -> Any: ...

    def parse(self, text: str) -> Any: ...


@attrs.frozen
class Whole:
    """A whole number from `least` to `most`, both included; text may group digits by `_` as Python and TOML do."""

    least: int
    most: int

    @property
    def phrase(self) -> str:
        return f"a whole number from {self.least} to {self.most}"

    def check(self, value: object) -> int:
        # bool is an int in Python, and is not meant here.
        if type(value) is not int or not self.least <= value <= self.most:
            raise ValueError(self.phrase)
        return value

    def parse(self, text: str) -> int:
        return self.check(int(text) if _WHOLE(text) else None)


@attrs.frozen
class Seconds:
    """A duration up to `most` seconds; 0 only where `zero` allows it."""

    most: int
    zero: bool = False

    @property
    def phrase(self) -> str:
        return f"a number of seconds, {'from 0 to' if self.zero else 'more than 0 and at most'} {self.most}"

    def check(self, value: object) -> float:
        # Written so that NaN fails; bool is an int in Python, and is not meant here.
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(self.phrase)
        if not (0 < value <= self.most or (self.zero and value == 0)):
            raise ValueError(self.phrase)
        return float(value)

    def parse(self, text: str) -> float:
        return self.check(float(text) if _NUMBER(text) else None)


@attrs.frozen
class Flag:
    """Yes or no."""

    phrase: ClassVar[str] = "true or false"

    def check(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError(self.phrase)
        return value

    def parse(self, text: str) -> bool:
        word = text.lower()
        if word not in _TRUE | _FALSE:
            raise ValueError(self.phrase)
        return word in _TRUE


@attrs.frozen
class Text:
    """A text that `pattern` matches as a whole; `""` too where `empty` allows it."""

    pattern: str
    phrase: str
    empty: bool = False

    def check(self, value: object) -> str:
        if not isinstance(value, str) or not (re.fullmatch(self.pattern, value) or (self.empty and not value)):
            raise ValueError(self.phrase)
        return value

    def parse(self, text: str) -> str:
        return self.check(text)


@attrs.frozen
class Address:
    """An IP address as a number, IPv4 or IPv6; `""` too where `empty` allows it."""

    empty: bool = False
    phrase: ClassVar[str] = "an IPv4 or IPv6 address, such as 127.0.0.1 or ::1"

    def check(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(self.phrase)
        if value or not self.empty:
            try:
                ipaddress.ip_address(value)
            except ValueError:
                raise ValueError(self.phrase) from None
        return value

    def parse(self, text: str) -> str:
        return self.check(text)


@attrs.frozen
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def phrase(self) -> str:
        return " or ".join(self.words)

    def check(self, value: object) -> str:
        if value not in self.words:
            raise ValueError(self.phrase)
        return str(value)

    def parse(self, text: str) -> str:
        return self.check(text)


@attrs.frozen
class Many:
    """A list of texts that each keep the rule `item`; in one text they stand with commas between them."""

    item: Text

    @property
    def phrase(self) -> str:
        return f"a list, each item {self.item.phrase}"

    def check(self, value: object) -> tuple[str, ...]:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise ValueError(self.phrase)
        try:
            return tuple(self.item.check(one) for one in value)
        except ValueError:
            raise ValueError(self.phrase) from None

    def parse(self, text: str) -> tuple[str, ...]:
        return self.check([one.strip() for one in text.split(",")])
