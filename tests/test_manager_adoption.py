"""Connections that go from worker to manager and back, on real sockets."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from megacomet.api.channel import Channel
from megacomet.manager.adoption import Adoption, Busy, detach, highest_descriptor, is_own, is_writing
from megacomet.wire.http import find_head_end
from tests.doors import Answer, Doors, get, post

TURNS = 10_000


class Worker:
    """The other end of the link: serves what is not the manager's, and hands over what is."""

    def __init__(self, adopt: Callable[..., None]) -> None:
        self._adopt = adopt
        self.came_back = 0
        self.handed = 0
        self.descriptors: dict[int, bytes] = {}

    def give_back(self, fd: int, unread: bytes) -> Deferred[None]:
        """Take a connection; the link makes a copy of its descriptor."""
        self.came_back += 1
        self.descriptors[os.dup(fd)] = unread
        return succeed(None)

    def work(self) -> None:
        """Read and answer."""
        for fd, unread in list(self.descriptors.items()):
            try:
                unread += os.read(fd, 65536)
            except BlockingIOError:
                pass
            self.descriptors[fd] = unread
            self._serve(fd)

    def _serve(self, fd: int) -> None:
        while (end := find_head_end(self.descriptors[fd], 0)) > 0:
            unread = self.descriptors[fd]
            target = unread.split(b" ", 2)[1]
            if is_own(target):
                self.handed += 1
                copy = os.dup(fd)
                del self.descriptors[fd]
                self._adopt(copy, unread, b"", self.give_back)
                os.close(fd)
                return
            body = b"parked:" + target
            os.write(fd, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            self.descriptors[fd] = unread[end:]

    def close(self) -> None:
        """Close what is parked."""
        while self.descriptors:
            os.close(self.descriptors.popitem()[0])


class Client:
    """A client, told of what arrives when the world turns."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setblocking(False)
        self.received = b""
        self.closed = False

    def read(self, most: int = 1_000_000) -> None:
        """Read what is there."""
        try:
            data = self.sock.recv(most)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        self.closed = self.closed or not data
        self.received += data

    def bodies(self) -> list[bytes]:
        """Return the bodies of all complete answers."""
        rest, bodies = self.received, []
        while b"\r\n\r\n" in rest:
            answer = Answer(rest)
            if len(answer.body) < int(answer.headers["content-length"]):
                break
            bodies.append(answer.body)
            rest = answer.rest
        return bodies


class AdoptionTests(SynchronousTestCase):
    """The manager's side of a hand-over."""

    def setUp(self) -> None:
        """Make a reactor of our own, the doors, and a worker."""
        self.before = len(os.listdir("/proc/self/fd"))
        self.reactor: Any = EPollReactor()
        self.doors = Doors()
        self.adoption = Adoption(self.reactor, self.doors.site, 100_000)
        self.worker = Worker(self.adoption.adopt)
        self.clients: list[Client] = []
        self.addCleanup(self.close)

    def close(self) -> None:
        """Close everything, and see that nothing else was left open."""
        self.worker.close()
        while self.clients:
            self.clients.pop().sock.close()
        self.turn(lambda: self.adoption.held == 0)
        for reader in self.reactor.removeAll():
            reader.connectionLost(Failure(ConnectionDone()))
        self.reactor.waker.connectionLost(Failure(ConnectionDone()))
        self.reactor._poller.close()
        self.assertEqual(len(os.listdir("/proc/self/fd")), self.before)

    def turn(self, until: Callable[[], object], reading: bool = True) -> None:
        """Let the world turn until something is so."""
        for _ in range(TURNS):
            if until():
                return
            self.reactor.iterate(0)
            self.worker.work()
            for client in self.clients if reading else ():
                client.read()
        raise AssertionError("it did not come to that")

    def pair(self, family: int = socket.AF_UNIX, buffer: int = 0) -> tuple[Client, int]:
        """Return a client and the descriptor that a worker has of its connection."""
        if family == socket.AF_UNIX:
            near, far = socket.socketpair()
        else:
            with socket.socket(family) as listener:
                listener.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
                listener.listen()
                far = socket.create_connection(listener.getsockname()[:2])
                near, _ = listener.accept()
        if buffer:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        near.setblocking(False)
        self.clients.append(Client(far))
        return self.clients[-1], near.detach()

    def adopted(self, head: bytes, family: int = socket.AF_UNIX, peer: bytes = b"", buffer: int = 0) -> Client:
        """Hand a connection over; return its client."""
        client, fd = self.pair(family, buffer)
        self.adoption.adopt(fd, head, peer, self.worker.give_back)
        return client

    def channel(self) -> Channel:
        """Return the one open connection."""
        (channel,) = self.doors.site.channels
        return channel

    # -- serving

    def test_every_kind_of_socket(self) -> None:
        """A request that a worker has read is answered over IPv4, IPv6 and UNIX sockets."""
        for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
            client = self.adopted(get("/api/stats"), family)
            self.turn(client.bodies)
            self.assertIn(b'"version"', client.bodies()[0])
        self.assertEqual(self.adoption.held, 3)

    def test_peers(self) -> None:
        """The client's address is the socket's own, or what the worker says."""
        client = self.adopted(get("/api/stats"), socket.AF_INET)
        self.assertEqual(self.channel().getPeer(), IPv4Address("TCP", *client.sock.getsockname()))
        for family, peer, address in (
            (socket.AF_INET6, b"", None),
            (socket.AF_UNIX, b"", UNIXAddress(None)),
            (socket.AF_UNIX, b"192.0.2.7:4711", IPv4Address("TCP", "192.0.2.7", 4711)),
            (socket.AF_INET, b"[2001:db8::1]:80", IPv6Address("TCP", "2001:db8::1", 80)),
            (socket.AF_UNIX, b"nonsense", UNIXAddress(None)),
        ):
            known = set(self.doors.site.channels)
            client = self.adopted(get("/api/stats"), family, peer)
            (channel,) = set(self.doors.site.channels) - known
            if address is None:
                host, port, _, _ = client.sock.getsockname()
                address = IPv6Address("TCP", host, port)
            self.assertEqual(channel.getPeer(), address)

    def test_a_body_in_pieces(self) -> None:
        """The rest of a body is read by the manager, wherever the worker stopped."""
        whole = post("/api/push", '{"channel":"a","data":1}')
        for cut in (whole.index(b"\r\n\r\n") + 4, len(whole) - 10, len(whole)):
            client = self.adopted(whole[:cut])
            client.sock.send(whole[cut:])
            self.turn(client.bodies)
        self.assertEqual(len(self.doors.publisher.published), 3)

    def test_a_batch(self) -> None:
        """A batch that a worker has seen the beginning of is published as it arrives."""
        head = post("/api/batch", b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
        client = self.adopted(head + b"19\r\n" + b'{"channel":"a","data":1}\n' + b"\r\n")
        self.assertEqual(len(self.doors.publisher.published), 1)
        client.sock.send(b"0\r\n\r\n")
        self.turn(client.bodies)

    def test_keep_alive(self) -> None:
        """The manager keeps the connection while its requests are its own."""
        client = self.adopted(get("/api/stats"))
        for n in range(2, 20):
            client.sock.send(get("/api/stats") if n % 2 else post("/api/push", '{"channel":"a","data":1}'))
            self.turn(lambda n=n: len(client.bodies()) == n)  # type: ignore[misc]
        self.assertEqual(self.worker.came_back, 0)

    def test_the_first_request_is_never_sent_back(self) -> None:
        """What a worker hands over is answered here, whatever it is: it would only come again."""
        client = self.adopted(get("/sue.js"))
        self.turn(client.bodies)
        self.assertIn(b"not-found", client.bodies()[0])
        self.assertEqual(self.worker.came_back, 0)

    def test_strangers_take_no_place(self) -> None:
        """Who is told of an error and has shown no key is let go with the answer; who has one may go on."""
        for request in (get("/api/stats", key="wrong"), get("/console/x", key=None), get("/metrics", key=None)):
            client = self.adopted(request)
            self.turn(lambda client=client: client.closed)  # type: ignore[misc]
            self.assertIn(b"Connection: close", client.received)
        self.assertEqual(self.adoption.held, 0)
        client = self.adopted(get("/api/nothing"))
        self.turn(client.bodies)
        client.sock.send(get("/api/stats"))
        self.turn(lambda: len(client.bodies()) == 2)
        self.assertEqual(self.adoption.held, 1)

    def test_a_client_that_closes(self) -> None:
        """A connection that its client closes is gone."""
        client = self.adopted(get("/api/stats"))
        client.sock.close()
        self.clients.clear()
        self.turn(lambda: self.adoption.held == 0)
        self.assertEqual(self.doors.site.channels, set())

    def test_an_idle_connection(self) -> None:
        """An idle connection is closed by the manager."""
        client = self.adopted(get("/api/stats"))
        self.turn(client.bodies)
        self.doors.clock.advance(75)
        self.turn(lambda: client.closed)

    def test_a_bad_second_head(self) -> None:
        """The worker has looked at the first head only; the others are looked at here."""
        client = self.adopted(get("/api/stats"))
        client.sock.send(b"GET /api/stats HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + get("/api/stats"))
        self.turn(lambda: client.closed)
        self.assertEqual(len(client.bodies()), 2)
        self.assertIn(b"bad-request", client.bodies()[1])

    def test_a_large_body_without_a_key(self) -> None:
        """The answer reaches a client that is still sending: the connection is not reset under it."""
        client = self.adopted(
            b"POST /api/push HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n", family=socket.AF_INET
        )
        sent = 0
        for _ in range(20):
            sent += client.sock.send(b"x" * 50_000)
            self.reactor.iterate(0)
        self.turn(lambda: client.closed)
        self.assertIn(b"unauthorized", client.bodies()[0])

    # -- going back

    def test_300_alternations(self) -> None:
        """API and comet requests may alternate on one connection."""
        client = self.adopted(get("/api/stats"), socket.AF_INET)
        self.turn(client.bodies)
        for n in range(300):
            client.sock.send(get(f"/comet/{n}"))
            self.turn(lambda n=n: len(client.bodies()) == 2 * n + 2)  # type: ignore[misc]
            client.sock.send(get("/api/stats"))
            self.turn(lambda n=n: len(client.bodies()) == 2 * n + 3)  # type: ignore[misc]
        bodies = client.bodies()
        self.assertEqual(bodies[1::2], [b"parked:/comet/%d" % n for n in range(300)])
        self.assertTrue(all(b'"version"' in body for body in bodies[::2]))
        self.assertEqual((self.worker.came_back, self.worker.handed), (300, 300))
        self.assertEqual((self.adoption.adopted, self.adoption.given_back, self.adoption.held), (301, 300, 1))

    def test_pipelined(self) -> None:
        """They may be sent at once, cut anywhere; the answers come in their order."""
        everything = b"".join(
            [
                get("/api/stats"),
                get("/comet/a"),
                post("/api/push", '{"channel":"a","data":1}'),
                get("/api/stats"),
                get("/b.js"),
                get("/comet/c"),
                post("/api/push", '{"channel":"b","data":1}'),
            ]
        )
        for first in (len(get("/api/stats")), len(get("/api/stats")) + 7, len(everything)):
            client = self.adopted(everything[:first])
            client.sock.send(everything[first:])
            self.turn(lambda client=client: len(client.bodies()) == 7)  # type: ignore[misc]
            bodies = client.bodies()
            self.assertEqual([bodies[n] for n in (1, 4, 5)], [b"parked:/comet/a", b"parked:/b.js", b"parked:/comet/c"])
            self.assertIn(b'"sent"', bodies[6])

    def test_a_foreign_head_in_pieces(self) -> None:
        """A request goes back whole, also when the manager got it byte by byte."""
        client = self.adopted(get("/api/stats"))
        for byte in get("/comet/a"):
            client.sock.send(bytes((byte,)))
            self.reactor.iterate(0)
        self.turn(lambda: len(client.bodies()) == 2)
        self.assertEqual(client.bodies()[1], b"parked:/comet/a")

    def test_not_before_the_answer(self) -> None:
        """While a request is being answered, the one behind it waits, whosever it is."""
        self.doors.publisher.late = True
        client = self.adopted(post("/api/push", '{"channel":"a","data":1}') + get("/comet/a"))
        for _ in range(5):
            self.reactor.iterate(0)
        self.assertEqual(self.worker.came_back, 0)
        self.doors.publisher.answer_all()
        self.turn(lambda: len(client.bodies()) == 2)

    def test_not_before_all_is_written(self) -> None:
        """A connection goes back when its client has read all answers, and not a byte of them is lost."""
        self.doors.manager.store = {f"name-{n}": n for n in range(20_000)}
        client = self.adopted(get("/api/stats") * 4 + get("/comet/a"), socket.AF_INET, buffer=4096)
        for _ in range(50):
            self.reactor.iterate(0)
        self.assertEqual(self.worker.came_back, 0)
        self.assertTrue(is_writing(self.channel().transport))
        self.turn(lambda: len(client.bodies()) == 5)
        self.assertEqual(client.bodies()[4], b"parked:/comet/a")
        self.assertEqual(len({len(body) for body in client.bodies()[:4]}), 1)

    def test_a_client_that_leaves_meanwhile(self) -> None:
        """A client that goes while its connection is on the way back leaves nothing behind."""
        client = self.adopted(get("/api/stats") + get("/comet/a"))
        self.assertEqual(self.worker.came_back, 0)
        self.channel().transport.abortConnection()
        self.turn(lambda: client.closed)
        self.assertEqual((self.worker.came_back, self.adoption.held), (0, 0))

    def test_a_client_that_never_reads(self) -> None:
        """A connection that cannot go back because nobody reads the last answer is cut."""
        client = self.adopted(get("/api/stats") + get("/comet/a"))
        self.doors.clock.advance(75)
        self.turn(lambda: client.closed)
        self.assertEqual(self.worker.came_back, 0)

    def test_what_comes_meanwhile(self) -> None:
        """Bytes that arrive while the connection is on its way back arrive at the worker."""
        client = self.adopted(get("/api/stats") + get("/comet/a"))
        client.sock.send(get("/comet/b"))
        self.turn(lambda: len(client.bodies()) == 3)
        self.assertEqual(client.bodies()[1:], [b"parked:/comet/a", b"parked:/comet/b"])

    def test_the_descriptor_stays_open_until_it_was_sent(self) -> None:
        """The link sends it when it comes to that: closed before, the worker would get another client's connection."""
        sent: Deferred[None] = Deferred()
        taken: list[int] = []

        def give_back(fd: int, unread: bytes) -> Deferred[None]:
            taken.append(fd)
            return sent

        client, fd = self.pair()
        self.adoption.adopt(fd, get("/api/stats") + get("/comet/a"), b"", give_back)
        self.turn(lambda: taken)
        os.fstat(taken[0])
        self.assertFalse(client.closed)
        sent.callback(None)
        self.assertRaises(OSError, os.fstat, taken[0])

    def test_nobody_takes_it(self) -> None:
        """When the worker is gone the connection is closed; that is no error of ours."""

        def refuse(fd: int, unread: bytes) -> Deferred[None]:
            return fail(Busy("no room"))

        def broken(fd: int, unread: bytes) -> Deferred[None]:
            raise Busy("no link")

        for give_back in (refuse, broken):
            client, fd = self.pair()
            self.adoption.adopt(fd, get("/api/stats") + get("/comet/a"), b"", give_back)
            self.turn(lambda client=client: client.closed)  # type: ignore[misc]
            self.assertEqual(len(client.bodies()), 1)

    def test_detach(self) -> None:
        """What `detach` relies on in Twisted: the transport is out of the reactor and silent, the socket untouched."""
        client = self.adopted(get("/api/stats"))
        self.turn(client.bodies)
        channel = self.channel()
        transport = channel.transport
        self.assertFalse(is_writing(transport))
        lost: list[object] = []
        channel.connectionLost = lost.append  # type: ignore[method-assign, assignment]
        unread = channel.depart()
        transport.unregisterProducer()
        fd = detach(transport)
        self.adoption.held -= 1
        self.assertEqual(unread, b"")
        self.assertNotIn(transport, self.reactor.getReaders() + self.reactor.getWriters())
        client.sock.send(b"still alive")
        self.reactor.iterate(0)
        self.assertEqual(os.read(fd, 100), b"still alive")
        transport.loseConnection()
        transport.write(b"x")
        self.reactor.iterate(0)
        self.assertEqual(os.write(fd, b"both ways"), 9)
        os.close(fd)
        self.turn(lambda: client.closed)
        self.assertTrue(client.received.endswith(b"both ways"))
        self.assertEqual(lost, [])

    # -- bounds

    def test_too_many(self) -> None:
        """The last descriptors are kept free; the worker keeps the connection and may answer it."""
        client, fd = self.pair()
        copy = os.dup(fd)
        self.adoption = Adoption(self.reactor, self.doors.site, fd)
        self.assertRaises(Busy, self.adoption.adopt, fd, get("/api/stats"), b"", self.worker.give_back)
        self.assertRaises(OSError, os.fstat, fd)
        self.assertEqual((self.adoption.held, self.adoption.adopted), (0, 0))
        os.write(copy, b"HTTP/1.1 503 ...")
        os.close(copy)
        self.turn(lambda: client.closed)
        self.assertEqual(client.received, b"HTTP/1.1 503 ...")
        self.assertEqual(self.doors.clock.getDelayedCalls(), [])

    def test_highest_descriptor(self) -> None:
        """Two thousand are kept free, of a small limit half."""
        self.assertEqual([highest_descriptor(n) for n in (20_000, 4000, 1024)], [17_999, 1999, 511])

    def test_what_is_no_connection(self) -> None:
        """Files, datagram and listening sockets are refused, and closed."""
        datagram, other = socket.socketpair(type=socket.SOCK_DGRAM)
        other.close()
        for fd in (os.open("/dev/null", os.O_RDONLY), datagram.detach()):
            self.assertRaises(Busy, self.adoption.adopt, fd, b"", b"", self.worker.give_back)
            self.assertRaises(OSError, os.fstat, fd)

    def test_a_client_that_is_gone_already(self) -> None:
        """A connection that was reset on the way is closed without a word."""
        client, fd = self.pair(socket.AF_INET)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sock.close()
        self.clients.clear()
        self.adoption.adopt(fd, get("/api/stats"), b"", self.worker.give_back)
        self.turn(lambda: self.adoption.held == 0)
        self.assertRaises(OSError, os.fstat, fd)

    def test_an_error_of_ours(self) -> None:
        """A bug in the first request is logged and costs its connection, not the link."""
        self.doors.site.requestFactory = None  # type: ignore[assignment]
        client = self.adopted(get("/api/stats"))
        self.turn(lambda: client.closed)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_is_own(self) -> None:
        """Whole first segments only."""
        for target in (b"/api", b"/api/", b"/api/push", b"/console/", b"/metrics"):
            self.assertTrue(is_own(target), target)
        for target in (b"/", b"/apis", b"/api%2Fpush", b"//api", b"/comet/poll", b"/api.js", b"*", b"/healthz"):
            self.assertFalse(is_own(target), target)
