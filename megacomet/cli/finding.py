"""Finding the server and the key: what was said, else what the running server says, else what the settings say.

A key is never an option: whatever stands on a command line is shown to every user of the machine by `ps`, and kept by
the shell's history.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import Final, NamedTuple

import attrs

from megacomet import whereabouts
from megacomet.addresses import HTTP, Address, address_of_endpoint, address_of_url
from megacomet.api.own_key import FILE_NAME, read_key
from megacomet.cli.arguments import given_settings
from megacomet.errors import CallError, SettingError, StartError
from megacomet.listeners import PUBLIC
from megacomet.settings import BUILT_IN, COMMAND_LINE, URL_VARIABLE, Settings, load
from megacomet.whereabouts import API, Whereabouts

_NOBODY_S_CHOICE: Final = (BUILT_IN, "STATE_DIRECTORY")


class Asked(NamedTuple):
    """What the options say.

    Attributes:
        url: of the server; None: nothing.
        api_key_file: the key's file; None: none.
    """

    url: str | None
    api_key_file: str | None


@attrs.frozen
class Found:
    """A server, and what opens it.

    Attributes:
        address: to call.
        key: to show; "": there is none.
        about_key: where it comes from, or why there is none: for whoever is refused.
        settings: of this command.
        server: what the running server of the state directory says; None: nothing, or another one was named.
        about_address: where the address comes from, for whoever finds nobody there; "": it was named.
    """

    address: Address
    key: str = attrs.field(repr=False)
    about_key: str
    settings: Settings
    server: Whereabouts | None = None
    about_address: str = ""


def server_of(options: argparse.Namespace) -> Found:
    """Return the server that the options of `arguments.server_options` are about; see `find` for what is raised."""
    settings, sources = load(given_settings(options), os.environ)
    return find(Asked(options.url, options.api_key_file), settings, sources, os.environ)


def find(asked: Asked, settings: Settings, sources: Mapping[str, str], environ: Mapping[str, str]) -> Found:
    """Return where the server is and what opens it.

    Args:
        asked: what the options say.
        settings: those of the command.
        sources: where each of them came from.
        environ: the environment.

    Raises:
        SettingError: what was named is none, or cannot be read.
        CallError: the key of the state directory cannot be read, or nothing tells where the server is.
    """
    url = asked.url if asked.url is not None else environ.get(URL_VARIABLE)
    server, about = None, ""
    if url or asked.url is not None:
        address = _named(url or "", COMMAND_LINE if asked.url is not None else URL_VARIABLE)
    elif (server := whereabouts.read(settings.state_dir)) is not None:
        address, about = _of_server(server), f"as process {server.pid} has told"
    else:
        address = _of_settings(settings)
        about = f"as the settings say; no running server is known from {settings.state_dir}"
    key, about_key = _find_key(asked, settings, sources, address)
    return Found(address.called, key, about_key, settings, server, about)


def _named(url: str, source: str) -> Address:
    try:
        return address_of_url(url)
    except ValueError as e:
        raise SettingError("url", url, str(e), source) from None


def _of_server(server: Whereabouts) -> Address:
    """Return where the API is: at the address of its own if there is one, else at the public ones."""
    doors = [door for door in server.addresses if door.serves == API]
    doors = doors or [door for door in server.addresses if door.serves == PUBLIC]
    for door in doors:
        try:
            return address_of_url(door.address)
        except ValueError:
            continue  # of systemd
    raise CallError(f"where the server (process {server.pid}) has its API cannot be known: name it with --url")


def _of_settings(settings: Settings) -> Address:
    if settings.admin:
        found = address_of_endpoint(settings.admin)
    elif settings.listen:
        found = next(filter(None, map(address_of_endpoint, settings.listen)), None)
    else:
        found = Address(HTTP, settings.interface, settings.port) if settings.port else None
    if found is None:
        raise CallError("the settings do not tell where the server is: name it with --url")
    return found


def _find_key(asked: Asked, settings: Settings, sources: Mapping[str, str], address: Address) -> tuple[str, str]:
    """Return the key, and where it comes from or why there is none."""
    if asked.api_key_file is not None:
        return _key_in(asked.api_key_file), f"the key is that of {asked.api_key_file}"
    if settings.api_key:
        return settings.api_key, f"the key is that of {sources['api_key']}"
    path = os.path.join(settings.state_dir, FILE_NAME)
    if sources["state_dir"] in _NOBODY_S_CHOICE and not address.called.is_local:
        # Nobody has said that it is this server's, and who has it may do everything here.
        return "", f"no key was sent: that of {path} is sent to this machine only; --api-key-file names another"
    try:
        key = read_key(path)
    except StartError as e:
        raise CallError(str(e)) from None
    if key is None:
        return "", f"no key was sent: {path} is not there; --api-key-file names another"
    return key, f"the key is that of {path}"


def _key_in(path: str) -> str:
    try:
        key = read_key(path)
    except StartError as e:
        raise SettingError("api-key-file", path, f"a file with a key: {e}", COMMAND_LINE) from None
    if key is None:
        raise SettingError("api-key-file", path, "a file with a key: it is not there", COMMAND_LINE)
    return key
