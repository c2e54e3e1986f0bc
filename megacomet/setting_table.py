"""The table of the settings: every row with its type, default, rule and meaning.

`setting_rules.py` owns the rules, `settings.py` puts values together from their sources. The option texts,
`megacomet config` and the reference page are made from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from megacomet.errors import SettingError
from megacomet.setting_rules import Address, Choice, Flag, Many, Rule, Seconds, Text, Whole

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
PREFIX: Final = "MEGACOMET_"
#: What is printed instead of a secret.
HIDDEN: Final = "(hidden)"
#: The longest message: what the link can carry in one box without starving other traffic, and what the contract says.
MESSAGE_MAX_BYTES: Final = 1 << 20

_ENDPOINT: Final = r"[a-z0-9]+:.+"


@attrs.frozen
class About:
    """What a row of the table tells beside its name and default.

    Attributes:
        rule: what a value must be.
        text: what the setting does, one or two sentences.
        zero: what 0, or nothing, means; "" when it is not allowed or means nothing special.
        unit: "s", "bytes" or "".
        secret: whether the value must not be shown.
    """

    rule: Rule
    text: str
    zero: str = ""
    unit: str = ""
    secret: bool = False


def wrong_value(name: str, value: object, rule: str, source: str = "") -> SettingError:
    """Return the error for a value that breaks the rule of a row; a secret is not in it."""
    field = getattr(attrs.fields(Settings), name)
    visible = list(value) if isinstance(value, tuple) else value
    return SettingError(name, HIDDEN if field.metadata["about"].secret else visible, rule, source)


def _keep_rule(_settings: object, field: attrs.Attribute[Any], value: object) -> None:
    try:
        field.metadata["about"].rule.check(value)
    except ValueError as e:
        raise wrong_value(field.name, value, str(e)) from None


def _row(default: object, rule: Rule, text: str, *, zero: str = "", unit: str = "", secret: bool = False) -> Any:
    about = About(rule, text, zero, unit, secret)
    return attrs.field(default=default, validator=_keep_rule, repr=not secret, metadata={"about": about})


def _seconds(default: float, most: int, text: str, *, zero: str = "") -> Any:
    return _row(float(default), Seconds(most, zero=bool(zero)), text, zero=zero, unit="s")


def _bytes(default: int, least: int, most: int, text: str) -> Any:
    return _row(default, Whole(least, most), text, unit="bytes")


_LISTEN: Final = Text(r"(tcp|tcp6|unix|systemd):.+", "an endpoint that begins with tcp:, tcp6:, unix: or systemd:")
_ORIGIN: Final = Text(r"[a-z][a-z0-9+.-]*://[^\s/?#@,A-Z]+|null", "an origin as browsers send it: https://example.com")


@attrs.frozen(kw_only=True)
class Settings:
    """What the server was told to be: validated, never changed. Raises `SettingError` when a value breaks its rule."""

    port: int = _row(80, Whole(0, 65535), "TCP port of the public door.", zero="a free port, told in the ready line")
    interface: str = _row(
        "",
        Address(empty=True),
        "IP address that the port is opened on, and with classic the ports 8000-8007.",
        zero="all, IPv4 and IPv6",
    )
    listen: tuple[str, ...] = _row(
        (),
        Many(_LISTEN),
        "Endpoints of the public door, such as unix:/run/megacomet.sock. They stand in place of port.",
        zero="port alone",
    )
    admin: str = _row(
        "",
        Text(_ENDPOINT, "an endpoint, such as tcp:8081:interface=127.0.0.1", empty=True),
        "Endpoint that serves the API, the console and metrics, which then leave the public door.",
        zero="they are served at the public door",
    )
    workers: int = _row(0, Whole(0, 250), "Worker processes.", zero="one per core, more when capacity needs them")
    capacity: int = _row(
        0,
        Whole(0, 100_000_000),
        "Connections to make room for; beyond it new ones are answered 503.",
        zero="as many as the workers' descriptors allow",
    )
    classic: bool = _row(False, Flag(), "Open the original's doors: ports 8000-8007 and the binary protocol on 9000.")
    classic_interface: str = _row(
        "127.0.0.1", Address(), "IP address of the binary protocol's port 9000, which asks for no key."
    )
    api_key: str = _row(
        "",
        Text(r"[\x21-\x7e]{1,256}", "1 to 256 visible ASCII characters without spaces", empty=True),
        "Bearer key of the API with scope admin. On the command line every user of the machine sees it.",
        zero="the key in <state_dir>/api-key, which is made when it is missing",
        secret=True,
    )
    state_dir: str = _row(
        "",
        Text(r"[^\0]+", "a path", empty=True),
        "Directory of what must outlive the process. A relative one counts from the directory of the start.",
        zero="systemd's STATE_DIRECTORY, else /var/lib/megacomet as root, else ~/.local/state/megacomet",
    )
    poll_timeout_s: float = _seconds(50, 15 * MINUTE, "How long a /comet/poll waits unless it says otherwise.")
    ping_s: float = _seconds(25, HOUR, "Pause between signs of life on a stream or WebSocket where nothing else flows.")
    pong_s: float = _seconds(10, HOUR, "How long the answer to a WebSocket ping may take.")
    keep_alive_s: float = _seconds(75, HOUR, "How long a connection may be idle between two requests.")
    head_timeout_s: float = _seconds(10, HOUR, "How long a request head may take from its first byte to its last.")
    stop_s: float = _seconds(10, HOUR, "How long an orderly stop may take; then what is left is cut off.")
    mailbox_ttl_s: float = _seconds(
        60,
        30 * DAY,
        "How long a message for a client is kept unless its publisher says otherwise.",
        zero="nothing is kept: only who is connected gets it",
    )
    mailbox_messages: int = _row(
        1000, Whole(1, 1_000_000), "Messages that may wait in one mailbox; one more is refused."
    )
    mailbox_bytes: int = _bytes(
        1_000_000,
        1,
        1_000_000_000,
        "Bytes that may wait in one mailbox; what exceeds them is refused. Not more than store_bytes.",
    )
    history_s: float = _seconds(
        60, 30 * DAY, "How long a message on a channel is kept for who comes back.", zero="nothing is kept"
    )
    history_messages: int = _row(
        100, Whole(0, 1_000_000), "Messages kept per channel; the oldest goes first.", zero="nothing is kept"
    )
    store_bytes: int = _bytes(
        256_000_000, 1000, 1_000_000_000_000, "Bytes of all kept messages; half of them at most for mailboxes."
    )
    message_bytes: int = _bytes(
        65536, 1, MESSAGE_MAX_BYTES, "The longest data of one message. Not more than store_bytes."
    )
    backlog_bytes: int = _bytes(
        1_000_000,
        1000,
        1_000_000_000,
        "Bytes that a connection may owe its reader; beyond them it is closed as slow. Set it above message_bytes. "
        "The answer of a poll always has room.",
    )
    channels_per_connection: int = _row(128, Whole(1, 1000), "Channels that one connection may hear.")
    client_publish: bool = _row(False, Flag(), "Whether browsers may publish over their WebSocket.")
    ws_echo: str = _row(
        "",
        Text(r"/[!-~]{1,200}", "a path, such as /echo", empty=True),
        "Path of a WebSocket that sends back what comes, up to 16 MB a message: for conformance suites.",
        zero="there is none",
    )
    origins: tuple[str, ...] = _row((), Many(_ORIGIN), "Origins whose pages may connect.", zero="any")
    metrics_open: bool = _row(False, Flag(), "Whether /metrics is served without a key.")
    log_format: str = _row(
        "text", Choice(("text", "json")), "Form of the log: lines of text, or one JSON object a line."
    )


@attrs.frozen
class Row:
    """One row of the table, for who shows it.

    Attributes:
        name: as in the file and as attribute of `Settings`.
        default: the built-in value.
        about: the rest.
    """

    name: str
    default: Any
    about: About

    @property
    def nothing(self) -> Any:
        """The value that `about.zero` tells of: 0, "" or ()."""
        return type(self.default)()

    @property
    def option(self) -> str:
        """The option of the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The variable of the environment."""
        return PREFIX + self.name.upper()


ROWS: Final[Mapping[str, Row]] = {
    field.name: Row(field.name, field.default, field.metadata["about"]) for field in attrs.fields(Settings)
}
