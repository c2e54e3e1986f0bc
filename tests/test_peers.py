"""What the kernel knows of a connection."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import pytest

from megacomet import peers


@pytest.fixture(params=["127.0.0.1", "::1"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection, the server's first."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.create_server((request.param, 0), family=family) as listener:
        client = socket.create_connection(listener.getsockname()[:2])
        server, _ = listener.accept()
    with server, client:
        yield server, client


def test_address(pair: tuple[socket.socket, socket.socket]) -> None:
    """It is the client's, with its port; the descriptor stays open."""
    server, client = pair
    host, port = client.getsockname()[:2]
    assert peers.address_of(server.fileno()) == (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    assert os.fstat(server.fileno())


def test_a_peer_that_is_gone(pair: tuple[socket.socket, socket.socket]) -> None:
    """A connection that was reset has no address any more."""
    server, client = pair
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    with pytest.raises(ConnectionResetError):
        server.recv(1)
    assert peers.address_of(server.fileno()) is None


def test_unix_sockets() -> None:
    """They have no addresses and no TCP, but a time."""
    one, other = socket.socketpair()
    with one, other:
        assert peers.address_of(one.fileno()) == "unix"
        assert peers.silent_s(one.fileno()) is None
        peers.mark(one.fileno())
        assert peers.marked_at(one.fileno())


def test_a_mark_is_a_time(pair: tuple[socket.socket, socket.socket]) -> None:
    """It is the time of the mark, and each end has its own. (The kernel's clock ticks 100 times a second.)"""
    server, client = pair
    os.utime(client.fileno(), (1.0, 1.0))
    before = time.time()
    peers.mark(server.fileno())
    after = time.time()
    marked = peers.marked_at(server.fileno())
    assert marked is not None
    assert before - 0.02 <= marked <= after
    assert peers.marked_at(client.fileno()) == 1.0


def test_a_kernel_that_cannot_mark() -> None:
    """Nothing is told then, and nobody is harmed."""
    read, write = os.pipe()
    os.close(read)
    os.close(write)
    peers.mark(write)


def test_silence(pair: tuple[socket.socket, socket.socket]) -> None:
    """It is counted from the last byte that came."""
    server, client = pair
    began = time.monotonic()
    client.sendall(b"x")
    server.recv(1)
    silent = peers.silent_s(server.fileno())
    assert silent is not None
    assert 0 <= silent <= time.monotonic() - began + 0.02
