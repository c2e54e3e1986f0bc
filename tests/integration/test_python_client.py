"""The Python client in whole programs, on each reactor, and the command that uses it; the server is in trouble."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.integration.server import START_S, Server, environ

LOOPBACK: Final = ("--port=0", "--interface=127.0.0.1")
COMMAND: Final = (sys.executable, "-c", "from megacomet.cli.main import run; run()")

#: A program that pushes by its own client what it waits for: URL, key, name, how many.
PROGRAM: Final = """
import json, sys
from megacomet.client import Client, Message

async def main():
    url, key, name, count = sys.argv[1:]
    async with Client(url, key) as client, client.listen("news", client_id=name) as listening:
        await listening.connected()
        await client.push("own", client=name)
        async for item in listening:
            if item.channel == "news":
                print(json.dumps(item.data), flush=True)
                if item.data == int(count) - 1:
                    return
            else:
                print(json.dumps([item.channel, item.data, listening.transport]), flush=True)
"""
ON_ASYNCIO: Final = f"import asyncio{PROGRAM}asyncio.run(main())"
ON_TWISTED: Final = f"""{PROGRAM}
from twisted.internet import task
from twisted.internet.defer import Deferred
task.react(lambda reactor: Deferred.fromCoroutine(main()))
"""
ON_BOTH: Final = f"""
import asyncio
from twisted.internet import asyncioreactor
asyncioreactor.install()
{PROGRAM}
from twisted.internet import task
from twisted.internet.defer import Deferred
task.react(lambda reactor: Deferred.fromFuture(asyncio.ensure_future(main())))
"""

#: One loop after the other, and a name instead of a number; what is left open at the end is told. URL, key.
LOOPS: Final = """
import asyncio, sys
from megacomet.client import Client
from megacomet.errors import NoServer

async def main(name):
    async with Client("http://no.such.invalid") as client:
        try:
            await client.push(1, channel="a")
        except NoServer:
            print("no server")
    async with Client(sys.argv[1], sys.argv[2]) as client, client.listen(client_id=name) as listening:
        await client.push(name, client=name)
        async with asyncio.timeout(30):
            print((await anext(listening)).data)
        try:
            async with asyncio.timeout(0.01):
                await anext(listening)
        except TimeoutError:
            print("nothing more")

for name in ("first", "second"):
    asyncio.run(main(name))
"""


def started(*command: str, url: str = "") -> subprocess.Popen[str]:
    """Start a program, at home in a terminal as far as Ctrl-C is concerned."""
    env = {**environ(), **({"MEGACOMET_URL": url} if url else {})}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def lines(program: subprocess.Popen[str], count: int) -> list[Any]:
    """Return the next lines that a program prints, as JSON."""
    assert program.stdout is not None
    return [json.loads(program.stdout.readline()) for _ in range(count)]


def ended(program: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for its end; return status, what else it has printed, and its errors."""
    out, err = program.communicate(timeout=START_S)
    return program.returncode, out, err


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for the programs."""
    with Server(tmp_path_factory.mktemp("client") / "state", *LOOPBACK) as running:
        yield running


def url_of(server: Server) -> str:
    """Where it listens."""
    return f"http://{server.host}:{server.port}"


def test_programs(server: Server) -> None:
    """On asyncio's loop, on Twisted's reactor and on both: each number once and in order, while workers are killed."""
    programs = {
        name: started(sys.executable, "-c", program, url_of(server), server.key, name, "30")
        for name, program in (("asyncio", ON_ASYNCIO), ("twisted", ON_TWISTED), ("both", ON_BOTH))
    }
    for name, program in programs.items():
        assert lines(program, 1) == [[f"@{name}", "own", "websocket"]]
    for n in range(30):
        if n in (10, 20):
            seen = len(server.lines)
            server.kill(f"worker {n // 10 - 1}")
        server.push({"channel": "news", "data": n})
        if n in (15, 25):
            server.wait_line("all workers are up again", after=seen)
    for program in programs.values():
        assert lines(program, 30) == [*range(30)]
        assert ended(program) == (0, "", "")


def test_loops(server: Server) -> None:
    """A program of asyncio may have one loop after the other, and ends, with nothing left open."""
    url = f"http://localhost:{server.port}"
    program = started(sys.executable, "-X", "dev", "-c", LOOPS, url, server.key)
    each = "no server\n{}\nnothing more\n"
    assert ended(program) == (0, each.format("first") + each.format("second"), "")


def test_the_command(server: Server) -> None:
    """`megacomet listen` while the workers die: that is told, and nothing is missing; Ctrl-C ends it."""
    server.push({"channel": "command", "data": 1})
    listen = (*COMMAND, "listen", "command", "--json", "--since", "oldest")
    # One that may take any transport may be back by another one, which happens to be tried when the server is.
    command = started(*listen, "--count", "3", "--transport", "websocket", url=url_of(server))
    other = started(*listen, "--transport", "sse", url=url_of(server))
    for each in (command, other):
        assert [line["data"] for line in lines(each, 1)] == [1]
    other.send_signal(signal.SIGINT)
    assert ended(other) == (130, "", "")
    for worker in ("worker 0", "worker 1"):
        server.kill(worker)
    server.push({"channel": "command", "data": 2})
    server.push({"channel": "command", "data": 3})
    status, out, err = ended(command)
    assert (status, [json.loads(line)["data"] for line in out.splitlines()]) == (0, [2, 3])
    told = [line.removeprefix("megacomet listen: ").partition(":")[0] for line in err.splitlines()]
    assert told == ["the connection is lost", "connected again, by websocket"]
