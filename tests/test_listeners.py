"""What the server binds, and how the processes hold it."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.error import CannotListenError

from megacomet.binding import MOST_SHARERS, bind_all, cannot_listen
from megacomet.errors import StartError
from megacomet.listeners import Address, Listeners
from megacomet.settings import Settings

LOOPBACK = "127.0.0.1"


@pytest.fixture
def closing() -> Iterator[list[Listeners]]:
    """What is put into the list is closed after the test."""
    made: list[Listeners] = []
    yield made
    for each in made:
        each.close()
        each.remove_paths()


def bound(settings: Settings, workers: int, closing: list[Listeners]) -> Listeners:
    listeners = bind_all(settings, workers)
    closing.append(listeners)
    return listeners


def port_of(listeners: Listeners) -> int:
    number: int = listeners.addresses[0].sockets[0].getsockname()[1]
    return number


def knock(port: int, host: str = LOOPBACK) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as client:
        return client.connect_ex((host, port))


def test_both_families_have_one_number(closing: list[Listeners]) -> None:
    """With no interface given, IPv4 and IPv6 are bound at the same port, each by every worker."""
    listeners = bound(Settings(port=0), 3, closing)
    port = port_of(listeners)
    assert listeners.labels == [f"http://0.0.0.0:{port}", f"http://[::]:{port}"]
    ports = {each.socket.getsockname()[1] for number in range(3) for each in listeners.of(number)}
    assert ports == {port}
    assert [len(listeners.of(number)) for number in range(3)] == [2, 2, 2]


@pytest.mark.parametrize(("interface", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_one_interface(interface: str, shown: str, closing: list[Listeners]) -> None:
    """With an interface given, only that one is bound."""
    listeners = bound(Settings(port=0, interface=interface), 2, closing)
    assert listeners.labels == [f"http://{shown}:{port_of(listeners)}"]


def test_nobody_listens_before_the_worker(closing: list[Listeners]) -> None:
    """A client is refused until a worker listens, and served by that worker then."""
    listeners = bound(Settings(port=0, interface=LOOPBACK), 2, closing)
    port = port_of(listeners)
    assert knock(port) == errno.ECONNREFUSED
    one = listeners.of(1)[0].socket
    one.listen()
    with socket.create_connection((LOOPBACK, port)):
        one.accept()[0].close()


def test_accepted_sockets_inherit_the_options(closing: list[Listeners]) -> None:
    """Dead peers are found by the kernel: 60 s idle, four probes 15 s apart, 60 s for what was sent."""
    listeners = bound(Settings(port=0, interface=LOOPBACK), 1, closing)
    one = listeners.of(0)[0].socket
    one.listen()
    with socket.create_connection((LOOPBACK, port_of(listeners))):
        accepted, _ = one.accept()
    with accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        tcp = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        assert [accepted.getsockopt(socket.IPPROTO_TCP, option) for option in tcp] == [60, 15, 4, 60_000]


def test_shutting_a_worker_turns_clients_to_the_others(closing: list[Listeners]) -> None:
    """A shut listener gets no more clients; after another listen on the same socket it does, at the same number."""
    listeners = bound(Settings(port=0, interface=LOOPBACK), 2, closing)
    port = port_of(listeners)
    one = listeners.of(0)[0].socket
    for _ in range(2):
        one.listen()
        assert knock(port) == 0
        listeners.shut(0)
        assert knock(port) == errno.ECONNREFUSED
    other = listeners.of(1)[0].socket
    other.listen()
    assert knock(port) == 0


def test_shutting_what_does_not_listen_is_nothing(closing: list[Listeners]) -> None:
    """The manager may shut a worker's sockets before it ever listened, or twice."""
    listeners = bound(Settings(port=0, interface=LOOPBACK), 1, closing)
    listeners.shut(0)
    listeners.shut(0)


@pytest.mark.parametrize("reuse", [False, True])
def test_port_in_use(reuse: bool, closing: list[Listeners]) -> None:
    """A port that another server listens on is refused by its address, even if that one would share."""
    with socket.socket() as other:
        if reuse:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind((LOOPBACK, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(StartError, match=f"cannot listen on {LOOPBACK}:{port}: the port is in use"):
            bind_all(Settings(port=port, interface=LOOPBACK), 2)
    bound(Settings(port=port, interface=LOOPBACK), 2, closing)  # nothing of the first try is left


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(port=0, interface="192.0.2.7"), "192.0.2.7:0: it is not an address of this machine"),
        (Settings(listen=("tcp:nine",)), "the port must be a number from 0 to 65535"),
        (Settings(listen=("tcp:70000",)), "the port must be a number from 0 to 65535"),
        (Settings(listen=("unix:/nowhere/at/all.sock",)), "no such file or directory"),
        (Settings(listen=("unix:/tmp/x:mode=rw",)), "must be unix:PATH or unix:PATH:mode=660"),
        (Settings(listen=("unix:/" + 120 * "x",)), "path too long"),
        (Settings(listen=("systemd:domain=INET:index=0",)), "no such socket was handed to this process"),
        (Settings(listen=("systemd:domain=INET:name=web",)), "no such socket was handed to this process"),
    ],
)
def test_bad_addresses(settings: Settings, said: str) -> None:
    """Each address that cannot be had is named together with the reason."""
    with pytest.raises(StartError, match="cannot listen on") as caught:
        bind_all(settings, 2)
    assert said in str(caught.value)


def test_the_same_address_twice() -> None:
    """An address that is asked for twice is an error, not a group of sockets that nobody serves."""
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        port = free.getsockname()[1]
    text = f"tcp:{port}:interface={LOOPBACK}"
    with pytest.raises(StartError, match="asked for twice"):
        bind_all(Settings(listen=(text, text)), 1)


@pytest.mark.parametrize(
    ("host", "other"),
    [(LOOPBACK, LOOPBACK), ("0.0.0.0", LOOPBACK), (LOOPBACK, "0.0.0.0"), ("::1", "::1"), ("::1", "::"), ("::", "::1")],
)
def test_an_address_that_another_door_of_the_server_has(host: str, other: str, closing: list[Listeners]) -> None:
    """An endpoint of `admin`, or the binary port, that lies where clients are to come in by is told as just that."""
    listeners = bound(Settings(port=0, interface=host), 2, closing)
    port = port_of(listeners)
    cause = bind_error(other, port)
    assert cause is not None
    assert cause.errno == errno.EADDRINUSE
    error = CannotListenError(other, port, cause)
    shown = f"[{other}]:{port}" if ":" in other else f"{other}:{port}"
    twice = f"cannot listen on {shown}: it is asked for twice, by admin or as the classic port 9000"
    assert str(cannot_listen(error, listeners.addresses)) == twice
    assert str(cannot_listen(error, ())) == f"cannot listen on {shown}: the port is in use"


def test_an_address_that_another_server_has(closing: list[Listeners]) -> None:
    """Nothing of ours is in the way: the port is in use, whatever else is bound here."""
    listeners = bound(Settings(port=0, interface=LOOPBACK), 2, closing)
    taken = OSError(errno.EADDRINUSE, "")
    for host, port in (
        (LOOPBACK, port_of(listeners) - 1),
        ("127.0.0.2", port_of(listeners)),
        ("::1", port_of(listeners)),
    ):
        error = CannotListenError(host, port, taken)
        assert str(cannot_listen(error, listeners.addresses)).endswith(": the port is in use")


def bind_error(host: str, port: int) -> OSError | None:
    """Return why a socket that shares with nobody, as Twisted makes them, cannot be bound there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if door.family == socket.AF_INET6:
            door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            door.bind((host, port))
        except OSError as e:
            return e
    return None


@pytest.mark.parametrize("workers", [1, 3])
def test_nobody_has_it_besides_before_workers_listen(workers: int, closing: list[Listeners]) -> None:
    """A second server that starts before the workers of the first listen is refused, and clients are until then."""
    listeners = bound(Settings(port=0, interface=LOOPBACK), workers, closing)
    port = port_of(listeners)
    for listening in range(workers):
        with pytest.raises(StartError, match=f"cannot listen on {LOOPBACK}:{port}: the port is in use"):
            bind_all(Settings(port=port, interface=LOOPBACK), workers)
        if not listening:
            assert knock(port) == errno.ECONNREFUSED
        listeners.of(listening)[0].listen()
    with pytest.raises(StartError, match="the port is in use"):
        bind_all(Settings(port=port, interface=LOOPBACK), workers)
    assert knock(port) == 0


def test_connections_that_have_just_ended(closing: list[Listeners]) -> None:
    """They keep no server from the address: it may be started anew at once."""
    listeners = bound(Settings(port=0, interface=LOOPBACK), 2, closing)
    port = port_of(listeners)
    for _ in range(2):
        one = listeners.of(0)[0]
        one.listen()
        with socket.create_connection((LOOPBACK, port)) as client:
            one.socket.accept()[0].close()
            assert client.recv(1) == b""
        listeners.close()  # and the connection is in TIME_WAIT
        listeners = bound(Settings(port=port, interface=LOOPBACK), 2, closing)


#: Binds the port of each line that it reads, says whether it could, and gives it back with the next line.
BINDER = """
import sys
from megacomet.binding import bind_all
from megacomet.errors import StartError
from megacomet.settings import Settings
print("ready", flush=True)
for line in sys.stdin:
    try:
        listeners = bind_all(Settings(port=int(line), interface="127.0.0.1"), 3)
    except StartError as e:
        listeners = None
        print(e, flush=True)
    else:
        print("bound", flush=True)
    sys.stdin.readline()
    if listeners is not None:
        listeners.close()
    print("over", flush=True)
"""


def test_two_that_start_at_the_same_instant() -> None:
    """At most one of them has the port, over and over; the other one says that it is in use."""
    with contextlib.ExitStack() as children:
        two = [
            children.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", BINDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for _ in range(2)
        ]

        def heard() -> list[str]:
            return [one.stdout.readline().strip() for one in two if one.stdout is not None]

        def tell(line: str) -> None:
            for one in two:
                assert one.stdin is not None
                one.stdin.write(line)
                one.stdin.flush()

        assert heard() == ["ready", "ready"]
        with socket.socket() as free:
            free.bind((LOOPBACK, 0))
            port = free.getsockname()[1]
        won = 0
        for _ in range(200):
            tell(f"{port}\n")
            told = heard()
            assert set(told) <= {"bound", f"cannot listen on {LOOPBACK}:{port}: the port is in use"}
            assert told.count("bound") <= 1
            won += told.count("bound")
            tell("over\n")
            assert heard() == ["over", "over"]
        assert won


def test_an_address_that_is_shared_is_listened_on_already(closing: list[Listeners], tmp_path: Path) -> None:
    """UNIX sockets have queues from the start, and keep them."""
    path = tmp_path / "x.sock"
    bound(Settings(listen=(f"unix:{path}",)), 2, closing)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(path))


def test_listen_instead_of_port(closing: list[Listeners]) -> None:
    """Endpoint strings say where to listen, and then the port does not."""
    listeners = bound(
        Settings(port=80, listen=(f"tcp:0:interface={LOOPBACK}", "tcp6:port=0:interface=\\:\\:1")), 2, closing
    )
    first, second = listeners.labels
    assert first.startswith(f"http://{LOOPBACK}:")
    assert second.startswith("http://[::1]:")


def test_unix_socket(tmp_path: Path, closing: list[Listeners]) -> None:
    """A UNIX socket listens at once, has its mode, is shared by at most four workers, and is removed at the end."""
    path = tmp_path / "mega comet.sock"
    listeners = bound(Settings(listen=(f"unix:{path}:mode=660",)), 6, closing)
    assert listeners.labels == [f"unix:{path}"]
    assert path.stat().st_mode & 0o777 == 0o660
    assert [len(listeners.of(number)) for number in range(6)] == [1] * MOST_SHARERS + [0] * (6 - MOST_SHARERS)
    assert listeners.workers == MOST_SHARERS
    assert all(each.shared for each in listeners.of(0))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        listeners.shut(0)  # does not hurt the others
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    listeners.close()
    listeners.remove_paths()
    assert not path.exists()


def test_unix_socket_that_is_stale_or_taken(tmp_path: Path, closing: list[Listeners]) -> None:
    """The socket of a server that died is replaced; one that answers, or a file, is not."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    bound(Settings(listen=(f"unix:{path}",)), 1, closing)
    with pytest.raises(StartError, match="another server listens on it"):
        bind_all(Settings(listen=(f"unix:{path}",)), 1)
    file = tmp_path / "file"
    file.write_text("precious")
    with pytest.raises(StartError, match="no socket"):
        bind_all(Settings(listen=(f"unix:{file}",)), 1)
    assert file.read_text() == "precious"


def test_inherited_socket(closing: list[Listeners]) -> None:
    """A socket of systemd is used by several workers, and gets our options."""
    with socket.socket() as given:
        given.bind((LOOPBACK, 0))
        listeners = bind_all(Settings(listen=("systemd:domain=INET:index=0",)), 2, lambda _: given.fileno())
        closing.append(listeners)
        assert listeners.labels == [f"http://{LOOPBACK}:{given.getsockname()[1]}"]
    assert knock(port_of(listeners)) == 0
    assert listeners.of(1)[0].socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000


@pytest.mark.parametrize(("workers", "spread"), [(1, [8]), (3, [3, 3, 2]), (8, [1] * 8), (10, [1] * 10)])
def test_classic_ports(workers: int, spread: list[int], closing: list[Listeners]) -> None:
    """Each of the original's ports has a worker, each worker has one of them."""
    free = []
    for _ in range(9):
        one = socket.socket()
        one.bind((LOOPBACK, 0))
        free.append(one)
    public, *classic = (one.getsockname()[1] for one in free)  # port 0 might be one of those that are free again
    for one in free:
        one.close()
    ports = tuple(classic)
    listeners = bind_all(Settings(port=public, interface=LOOPBACK, classic=True), workers, classic_ports=ports)
    closing.append(listeners)
    assert [sum(each.classic for each in listeners.of(number)) for number in range(workers)] == spread
    assert listeners.labels[1:] == [f"http://{LOOPBACK}:{port}" for port in ports]


def test_another_process_has_the_same(tmp_path: Path, closing: list[Listeners]) -> None:
    """What is packed and unpacked is the same listeners, on copies of the same sockets."""
    listeners = bound(Settings(listen=(f"tcp:0:interface={LOOPBACK}", f"unix:{tmp_path / 's'}")), 2, closing)
    layout, descriptors = listeners.pack()
    assert len(descriptors) == 3
    copy = Listeners.unpack(layout, [os.dup(fd) for fd in descriptors])
    closing.append(copy)
    assert copy.labels == listeners.labels
    assert copy.of(1)[0].socket.getsockname() == listeners.of(1)[0].socket.getsockname()
    copy.of(1)[0].socket.listen()
    assert knock(port_of(listeners)) == 0


def test_a_worker_keeps_only_its_own() -> None:
    """A new worker closes the sockets of the others, and none that it shares with them."""
    sockets = {number: socket.socket() for number in range(3)}
    one = socket.socket()
    listeners = Listeners(
        [
            Address("a", "public", False, sockets),
            Address("b", "public", True, {0: one, 1: one}),
        ]
    )
    assert listeners.descriptors_of_others(1) == [sockets[0].fileno(), sockets[2].fileno()]
    listeners.close()
    assert one.fileno() < 0
