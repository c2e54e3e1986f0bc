"""Finding the server and the key: what was said, else what the running server says, else what the settings say.

A key is never an option: whatever stands on a command line is shown to every user of the machine by `ps`, and kept by
the shell's history.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
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

#: Where the API is: at the address of its own if there is one, else at the public ones.
_API_DOORS: Final = (API, PUBLIC)
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
    address, server, about = _find_address(asked.url, settings, environ, _API_DOORS)
    key, about_key = _find_key(asked, settings, sources, address)
    return Found(address.called, key, about_key, settings, server, about)


def public_address(options: argparse.Namespace) -> tuple[Address, str]:
    """Return where clients come in at the server that the options are about, and where that comes from, or "".

    Raises:
        SettingError: what was named is none, or cannot be read.
        CallError: nothing tells where the server is.
    """
    settings, _ = load(given_settings(options), os.environ)
    address, _, about = _find_address(options.url, settings, os.environ, (PUBLIC,))
    return address.called, about


def _find_address(
    given: str | None, settings: Settings, environ: Mapping[str, str], doors: Sequence[str]
) -> tuple[Address, Whereabouts | None, str]:
    """Return the address, what the server there has told, and where the address comes from.

    Args:
        given: as an option.
        settings: those of the command.
        environ: the environment.
        doors: kinds of doors, the one to prefer first.
    """
    url = given if given is not None else environ.get(URL_VARIABLE)
    if url or given is not None:
        return _named(url or "", COMMAND_LINE if given is not None else URL_VARIABLE), None, ""
    if (server := whereabouts.read(settings.state_dir)) is not None:
        return _of_server(server, doors), server, f"as process {server.pid} has told"
    about = f"as the settings say; no running server is known from {settings.state_dir}"
    return _of_settings(settings, doors), None, about


def _named(url: str, source: str) -> Address:
    try:
        return address_of_url(url)
    except ValueError as e:
        raise SettingError("url", url, str(e), source) from None


def _of_server(server: Whereabouts, kinds: Sequence[str]) -> Address:
    """Return an address of the first kind that the server has."""
    of_kind = ([door for door in server.addresses if door.serves == kind] for kind in kinds)
    for door in next(filter(None, of_kind), ()):
        try:
            return address_of_url(door.address)
        except ValueError:
            continue  # of systemd
    what = "its API" if API in kinds else "its public address"
    raise CallError(f"where the server (process {server.pid}) has {what} cannot be known: name it with --url")


def _of_settings(settings: Settings, kinds: Sequence[str]) -> Address:
    if settings.admin and API in kinds:
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
