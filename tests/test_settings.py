"""Settings: the table, its rules, the four sources and their order, what is told about a wrong one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from megacomet.errors import SettingError
from megacomet.setting_rules import Flag, Many, Seconds, Whole
from megacomet.settings import BUILT_IN, COMMAND_LINE, HIDDEN, ROWS, Settings, from_json, load, shown, to_json

#: The wire contract, section 9, and what the design names beside it.
CONTRACT = {
    "port": 80,
    "interface": "",
    "listen": (),
    "admin": "",
    "workers": 0,
    "capacity": 0,
    "classic": False,
    "classic_interface": "127.0.0.1",
    "api_key": "",
    "poll_timeout_s": 50,
    "ping_s": 25,
    "pong_s": 10,
    "keep_alive_s": 75,
    "head_timeout_s": 10,
    "stop_s": 10,
    "mailbox_ttl_s": 60,
    "mailbox_messages": 1000,
    "mailbox_bytes": 1_000_000,
    "history_s": 60,
    "history_messages": 100,
    "store_bytes": 256_000_000,
    "message_bytes": 65536,
    "backlog_bytes": 1_000_000,
    "channels_per_connection": 128,
    "client_publish": False,
    "ws_echo": "",
    "origins": (),
    "metrics_open": False,
    "log_format": "text",
}


def refused(command_line: Mapping[str, object], environ: Mapping[str, str] | None = None) -> SettingError:
    """The error that these sources lead to."""
    with pytest.raises(SettingError) as caught:
        load(command_line, environ or {})
    return caught.value


def from_file(tmp_path: Path, text: str | bytes) -> dict[str, object]:
    """A command line that names a file with this text."""
    path = tmp_path / "megacomet.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return {"config": str(path)}


# What is built in


def test_built_in() -> None:
    """Without any source every setting has the value that the contract names."""
    settings, sources = load({}, {"HOME": "/home/me"})
    values = attrs.asdict(settings)
    del values["state_dir"]
    assert values == CONTRACT
    assert set(sources.values()) == {BUILT_IN}
    assert list(sources) == list(ROWS)


def test_frozen() -> None:
    """What is in force does not change."""
    settings = Settings()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        settings.port = 81  # type: ignore[misc]


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_every_row_is_documented(row: Any) -> None:
    """Every row says what it does and must be; where zero is allowed, what zero means; units are in the name."""
    assert row.about.text.endswith(".")
    assert row.about.rule.phrase
    row.about.rule.check(row.default)
    assert (row.about.unit == "s") == row.name.endswith("_s") == isinstance(row.about.rule, Seconds)
    assert (row.about.unit == "bytes") == row.name.endswith("_bytes")
    if isinstance(row.about.rule, Whole | Seconds | Many):
        try:
            row.about.rule.check(row.nothing)
        except ValueError:
            assert not row.about.zero
        else:
            assert row.about.zero


# Sources


def test_a_later_source_wins(tmp_path: Path) -> None:
    """Built in, file, environment, command line: each wins over those before it."""
    line = from_file(tmp_path, "port = 1\nworkers = 1\ncapacity = 1\n")
    environ = {"MEGACOMET_PORT": "2", "MEGACOMET_WORKERS": "2"}
    settings, sources = load({**line, "port": "3"}, environ)
    assert (settings.port, settings.workers, settings.capacity, settings.ping_s) == (3, 2, 1, 25)
    assert [sources[name] for name in ("port", "workers", "capacity", "ping_s")] == [
        COMMAND_LINE,
        "MEGACOMET_WORKERS",
        line["config"],
        BUILT_IN,
    ]


def test_types_of_the_file(tmp_path: Path) -> None:
    """The file has its own types: whole numbers, numbers, flags, texts, arrays."""
    text = """
        port = 8_080
        ping_s = 2
        pong_s = 0.5
        classic = true
        interface = "::1"
        origins = ["https://a.example", "null"]
    """
    settings, _ = load(from_file(tmp_path, text), {})
    assert (settings.port, settings.ping_s, settings.pong_s) == (8080, 2.0, 0.5)
    assert (settings.classic, settings.interface, settings.origins) == (True, "::1", ("https://a.example", "null"))


def test_texts_of_the_environment() -> None:
    """The environment has texts only: digits, words for a flag, commas in a list; an empty one is not set."""
    environ = {
        "MEGACOMET_PORT": "8_080",
        "MEGACOMET_PING_S": "2.5",
        "MEGACOMET_CLASSIC": "Yes",
        "MEGACOMET_METRICS_OPEN": "off",
        "MEGACOMET_ORIGINS": "https://a.example, https://b.example:8443",
        "MEGACOMET_WORKERS": "",
        "MEGACOMET_CONFIG": "",
        "PATH": "/bin",
    }
    settings, sources = load({}, environ)
    assert (settings.port, settings.ping_s, settings.classic, settings.metrics_open) == (8080, 2.5, True, False)
    assert settings.origins == ("https://a.example", "https://b.example:8443")
    assert sources["workers"] == BUILT_IN


def test_command_line() -> None:
    """The command line gives texts, flags as they are, and lists as lists."""
    given_ = {"port": "0", "classic": True, "client_publish": False, "listen": ["unix:/a,b", "tcp6:81"]}
    settings, _ = load(given_, {"MEGACOMET_CLIENT_PUBLISH": "true", "MEGACOMET_LISTEN": "unix:/c"})
    assert (settings.port, settings.classic, settings.client_publish) == (0, True, False)
    assert settings.listen == ("unix:/a,b", "tcp6:81")


def test_file_named_by_the_environment(tmp_path: Path) -> None:
    """MEGACOMET_CONFIG names the file unless --config does."""
    first = str(from_file(tmp_path, "port = 1")["config"])
    other = tmp_path / "other.toml"
    other.write_text("port = 2")
    assert load({}, {"MEGACOMET_CONFIG": first})[0].port == 1
    assert load({"config": str(other)}, {"MEGACOMET_CONFIG": first})[0].port == 2


@pytest.mark.parametrize(
    ("given_", "environ", "expected", "source"),
    [
        ({"state_dir": "/a/../b"}, {"MEGACOMET_STATE_DIR": "/c"}, "/b", COMMAND_LINE),
        ({}, {"MEGACOMET_STATE_DIR": "/c", "STATE_DIRECTORY": "/d"}, "/c", "MEGACOMET_STATE_DIR"),
        ({}, {"STATE_DIRECTORY": "/d:/e"}, "/d", "STATE_DIRECTORY"),
        ({}, {"MEGACOMET_STATE_DIR": "var"}, f"{os.getcwd()}/var", "MEGACOMET_STATE_DIR"),
    ],
)
def test_state_dir(given_: dict[str, object], environ: dict[str, str], expected: str, source: str) -> None:
    """The state directory comes from the setting, else from systemd; it is absolute, since a daemon changes its own."""
    settings, sources = load(given_, environ)
    assert (settings.state_dir, sources["state_dir"]) == (expected, source)


@pytest.mark.parametrize(("uid", "expected"), [(0, "/var/lib/megacomet"), (1000, "/home/me/.local/state/megacomet")])
def test_state_dir_by_user(monkeypatch: pytest.MonkeyPatch, uid: int, expected: str) -> None:
    """Without being told, root and other users keep their state at different places."""
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert load({}, {"HOME": "/home/me"})[0].state_dir == expected


# Wrong values


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("port", "99999"),
        ("port", "-1"),
        ("port", "80.0"),
        ("port", "eighty"),
        ("port", "٨٠"),
        ("port", " 80"),
        ("port", "9" * 5000),
        ("workers", "251"),
        ("message_bytes", "1048577"),
        ("message_bytes", "0"),
        ("poll_timeout_s", "0"),
        ("poll_timeout_s", "901"),
        ("poll_timeout_s", "nan"),
        ("poll_timeout_s", "inf"),
        ("ping_s", "-1"),
        ("interface", "localhost"),
        ("interface", "1.2.3"),
        ("classic_interface", "::x"),
        ("admin", "8081"),
        ("listen", "udp:53"),
        ("origins", "https://a.example/"),
        ("origins", "https://a.example,,https://b.example"),
        ("origins", "a.example"),
        ("log_format", "xml"),
        ("classic", "maybe"),
        ("state_dir", "a\0b"),
    ],
)
def test_wrong_text(name: str, text: str) -> None:
    """A wrong value is told with setting, value, rule and source; from the command line as from the environment."""
    variable = f"MEGACOMET_{name.upper()}"
    for error, source in [
        (refused({name: text}), COMMAND_LINE),
        (refused({}, {variable: text}), variable),
    ]:
        assert (error.setting, error.value, error.source) == (name, text, source)
        assert error.rule == ROWS[name].about.rule.phrase
        assert all(part in str(error) for part in (name, repr(text), error.rule, source))


@pytest.mark.parametrize(
    "line",
    [
        'port = "80"',
        "port = 80.0",
        "port = true",
        "port = [80]",
        "ping_s = true",
        "ping_s = nan",
        "ping_s = inf",
        'ping_s = "5"',
        f"ping_s = 1{'0' * 400}",
        'classic = "true"',
        "classic = 1",
        "interface = 1",
        'origins = "https://a.example"',
        "origins = [1]",
        "log_format = 1979-05-27",
        "[port]\nx = 1",
    ],
)
def test_wrong_type_in_the_file(tmp_path: Path, line: str) -> None:
    """The file's types are not guessed at."""
    name = line.strip("[").partition(" ")[0].partition("]")[0]
    given_ = from_file(tmp_path, line)
    error = refused(given_)
    assert (error.setting, error.source, error.rule) == (name, given_["config"], ROWS[name].about.rule.phrase)


@pytest.mark.parametrize(
    ("name", "near"), [("prot", "port"), ("poll_timeout", "poll_timeout_s"), ("xyzzy", ""), ("", "")]
)
def test_unknown_setting(tmp_path: Path, name: str, near: str) -> None:
    """A name that is no setting's is an error in every source, and the nearest one is named."""
    given_ = from_file(tmp_path, f'"{name}" = 1')
    variable = f"MEGACOMET_{name.upper()}"
    for error, source in [
        (refused({name: "1"}), COMMAND_LINE),
        (refused({}, {variable: "1"}), variable),
        (refused(given_), given_["config"]),
    ]:
        assert (error.setting, error.source) == (name, source)
        assert error.rule == "the name of a setting" + (f" (perhaps {near})" if near else "")


@pytest.mark.parametrize(
    ("given_", "environ"),
    [
        ({"api_key": "two words"}, {}),
        ({}, {"MEGACOMET_API_KEY": "two words"}),
        ({}, {"MEGACOMET_APIKEY": "two words"}),
        ({"api_kye": "two words"}, {}),
        ({"api_key": "x" * 257}, {}),
        ({"api_key": 5}, {}),
    ],
)
def test_a_secret_is_not_told(given_: dict[str, object], environ: dict[str, str]) -> None:
    """The value of a key stays out of messages, also when its name is misspelt."""
    assert refused(given_, environ).value == HIDDEN


def test_a_secret_is_not_in_the_repr() -> None:
    """Settings that are logged do not give the key away."""
    assert "open-sesame" not in repr(Settings(api_key="open-sesame"))
    with pytest.raises(SettingError) as caught:
        Settings(api_key="two words")
    assert caught.value.value == HIDDEN


def test_settings_check_themselves() -> None:
    """However an object is made, its values keep their rules."""
    with pytest.raises(SettingError, match="port = 70000"):
        Settings(port=70_000)
    with pytest.raises(SettingError, match="ping_s"):
        attrs.evolve(Settings(), ping_s=0)


@pytest.mark.parametrize(
    "text", ["port 80", "port = 1\nport = 2", b"\xff", b"a = " + b"[" * 5000, "port = " + "9" * 5000]
)
def test_broken_file(tmp_path: Path, text: str | bytes) -> None:
    """A file that is not TOML is told with its name and the reason."""
    given_ = from_file(tmp_path, text)
    error = refused(given_)
    assert (error.setting, error.value, error.source) == ("config", given_["config"], COMMAND_LINE)
    assert error.rule.startswith("a TOML file in UTF-8 (")


def test_unreadable_file(tmp_path: Path) -> None:
    """A file that cannot be read is told with its name, the reason, and who named it."""
    missing = str(tmp_path / "missing.toml")
    error = refused({}, {"MEGACOMET_CONFIG": missing})
    assert (error.value, error.source) == (missing, "MEGACOMET_CONFIG")
    assert "No such file" in str(error)
    assert "Is a directory" in str(refused({"config": str(tmp_path)}))
    assert "null byte" in str(refused({"config": "a\0b"}))


def test_bounds_that_depend_on_each_other() -> None:
    """What is built in gives way to a smaller store; two choices that contradict each other are an error."""
    settings, sources = load({"store_bytes": "5000"}, {})
    assert (settings.mailbox_bytes, settings.message_bytes) == (5000, 5000)
    assert sources["mailbox_bytes"] == "built-in, lowered to store_bytes"
    error = refused({"store_bytes": "5000"}, {"MEGACOMET_MESSAGE_BYTES": "6000"})
    assert (error.setting, error.value, error.source) == ("message_bytes", 6000, "MEGACOMET_MESSAGE_BYTES")
    assert error.rule == "not more than store_bytes (5000, command line)"
    assert refused({"mailbox_bytes": "999999999"}).rule == "not more than store_bytes (256000000, built-in)"


# Passing on, showing


def test_json_round_trip() -> None:
    """Another process gets the same settings."""
    settings, _ = load({"origins": ["https://a.example"], "api_key": "k", "classic": True, "ping_s": "0.5"}, {})
    assert from_json(to_json(settings)) == settings


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("port", 80, "80"),
        ("ping_s", 2.0, "2"),
        ("ping_s", 2.5, "2.5"),
        ("classic", True, "true"),
        ("interface", "", '""'),
        ("listen", ("a", "b"), '["a", "b"]'),
        ("api_key", "", '""'),
        ("api_key", "k", HIDDEN),
    ],
)
def test_shown(name: str, value: object, text: str) -> None:
    """Values are shown as the file would have them, a secret is not."""
    assert shown(name, value) == text


MAY_BE_EMPTY = ("state_dir", "interface", "admin", "api_key", "ws_echo")


@given(name=st.sampled_from(sorted(ROWS)), text=st.text(max_size=20))
def test_any_text(name: str, text: str) -> None:
    """Whatever is written, it is either a value that keeps its rule or an error that names the setting."""
    try:
        settings, _ = load({name: text}, {})
    except SettingError as e:
        assert e.setting == name  # noqa: PT017
    else:
        ROWS[name].about.rule.check(getattr(settings, name))
        assert isinstance(ROWS[name].about.rule, Flag) or text or name in MAY_BE_EMPTY


def test_the_variable_of_the_command(tmp_path: Path) -> None:
    """MEGACOMET_URL is for the megacomet command: it keeps no server from starting, and is no setting."""
    settings, _ = load({"state_dir": str(tmp_path)}, {"MEGACOMET_URL": "http://127.0.0.1:8080"})
    assert settings.port == 80
    with pytest.raises(SettingError, match="URLS"):
        load({}, {"MEGACOMET_URLS": "x"})
