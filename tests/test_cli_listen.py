"""megacomet listen: lines of messages, what is told beside them, how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel

from megacomet.addresses import Address
from megacomet.cli import finding, listen
from megacomet.cli.running import Run, Warnings
from megacomet.errors import CallError, NoServer
from tests.client_wires import Line, Network

ADDRESS = Address("http", "192.0.2.1", 8080)


class World:
    """A command that listens."""

    def __init__(self, *arguments: str) -> None:
        self.network = Network()
        options = listen.parser().parse_args(["news", *arguments])
        self.outcome: list[Any] = []
        self.lines: list[Line] = []
        self.listening = Deferred.fromCoroutine(
            listen.listen(self.network.reactor, ADDRESS, "as somebody says", options)
        )
        self.listening.addBoth(self.outcome.append)
        self.network.reactor.advance(0)

    def connected(self) -> Line:
        """Have it connect."""
        line = self.network.accept()
        self.lines.append(line)
        line.switch()
        line.frame(b'{"op":"position","position":"e-1"}')
        return line

    def ended(self) -> Any:
        """End what is left, and return the outcome."""
        self.listening.cancel()
        self.network.reactor.advance(1)
        self.lines.pop().lose()
        [outcome] = self.outcome
        return outcome


def message(n: int, data: str) -> bytes:
    """A message."""
    return b'{"op":"message","channel":"news","id":"e-%d","data":%b}' % (n, data.encode())


def test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A line is a message: its channel, position and data, harmless on a terminal."""
    world = World()
    line = world.connected()
    line.frame(message(2, '{"title":"\u00e4","n":1.0}'))
    line.frame(message(3, '"a\\n\\u001b[31m\u202e"'))
    out = capsys.readouterr()
    assert out.out == 'news  e-2  {"title": "\u00e4", "n": 1.0}\nnews  e-3  "a\\n\\u001b[31m\\u202e"\n'
    assert out.err == ""
    assert world.ended().check(CancelledError)


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """An object is a message, for programs."""
    world = World("--json")
    world.connected().frame(message(2, '{"a":[1,null,"\u00e4"]}'))
    [out] = capsys.readouterr().out.splitlines()
    assert json.loads(out) == {"channel": "news", "id": "e-2", "data": {"a": [1, None, "\u00e4"]}}
    world.ended()


def test_count(capsys: pytest.CaptureFixture[str]) -> None:
    """After so many messages it is done; what else has come is not shown."""
    world = World("--count", "2")
    line = world.connected()
    line.frame(message(2, "2"))
    assert world.outcome == []
    line.say(b"".join(bytes([0x81, len(message(n, str(n)))]) + message(n, str(n)) for n in (3, 4)))
    line.lose()
    assert (world.outcome, len(capsys.readouterr().out.splitlines())) == ([None], 2)
    assert world.network.reactor.getDelayedCalls() == []


def test_gaps_and_breaks(capsys: pytest.CaptureFixture[str]) -> None:
    """They are told beside the messages, each once."""
    world = World("--transport", "websocket")
    line = world.connected()
    line.frame(b'{"op":"gap","channel":"news","position":"e-7"}')
    line.close(3001, "stopping")
    for attempt in range(2, 4):
        while world.network.attempts < attempt:
            world.network.reactor.advance(1)
        world.network.refuse()
    assert capsys.readouterr().err == (
        "megacomet listen: messages of news are missing: they are no longer kept\n"
        "megacomet listen: the connection is lost: stopping; connecting again\n"
    )
    world.ended()


def test_back_again(capsys: pytest.CaptureFixture[str]) -> None:
    """That it is connected again is told, and by what."""
    world = World()
    world.connected().close(3001)
    world.network.reactor.advance(1)
    world.connected().frame(message(2, "2"))
    assert capsys.readouterr().err.splitlines()[1] == "megacomet listen: connected again, by websocket"
    world.ended()


def test_nobody() -> None:
    """Nobody answers within the time: where it was looked for, and why."""
    world = World("--timeout", "2")
    for _ in range(20):
        if world.network.attempts:
            world.network.refuse()
        world.network.reactor.advance(0.2)
    [failure] = world.outcome
    assert failure.check(NoServer)
    assert "http://192.0.2.1:8080 within 2 s: Connection was refused by other side: nobody (as somebody says)" in str(
        failure.value
    )
    world.network.reactor.advance(1)
    assert world.network.reactor.getDelayedCalls() == []


def test_refused() -> None:
    """The server does not let it: why, and its code."""
    world = World()
    world.connected().close(3503, "cut off by an operator")
    [failure] = world.outcome
    assert failure.check(CallError)
    assert "cut off by an operator (3503)" in str(failure.value)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], "CHANNEL"),
        (["a b"], "CHANNEL"),
        (["@sue"], "CHANNEL"),
        (["news", "--client", "a b"], "--client"),
        (["news", "--since", "yesterday"], "--since"),
        (["news", "--count", "0"], "--count"),
        (["news", "--transport", "pigeon"], "--transport"),
        (["news", "--api-key-file", "x"], "--api-key-file"),
    ],
)
def test_wrong_use(arguments: list[str], names: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that names what is wrong."""
    assert listen.main(arguments) == 2
    out = capsys.readouterr()
    assert out.out == ""
    [line] = out.err.splitlines()
    assert line.startswith("megacomet listen: ")
    assert names in line


def test_where_clients_come_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at the address of the API, which has no channels."""
    for name in ("MEGACOMET_URL", "MEGACOMET_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "megacomet.toml"
    config.write_text('admin = "tcp:9999:interface=127.0.0.1"\nport = 8080\ninterface = "127.0.0.1"\n')
    options = listen.parser().parse_args(["news", "--config", str(config), "--state-dir", str(tmp_path)])
    address, about = finding.public_address(options)
    assert str(address) == "http://127.0.0.1:8080"
    assert "as the settings say" in about
    named = listen.parser().parse_args(["news", "--url", "unix:/run/m.sock"])
    assert finding.public_address(named) == (Address("unix", path="/run/m.sock"), "")


class RunReactor(MemoryReactorClock):
    """A reactor that runs what is due until it is stopped."""

    def run(self, installSignalHandlers: bool = True) -> None:
        self.running = True
        for what, arguments, rest in self.whenRunningHooks:
            what(*arguments, **rest)
        while not self.hasStopped:
            self.advance(1)

    def stop(self) -> None:
        super().stop()
        self.running = False

    def callFromThread(self, what: Any, *args: Any, **rest: Any) -> None:
        self.callLater(0, what, *args, **rest)


class TestRun:
    """A coroutine on a reactor."""

    def test_result(self) -> None:
        """What it returns."""

        async def main(reactor: Any) -> str:
            waiting: Deferred[str] = Deferred()
            reactor.callLater(5, waiting.callback, "done")
            return await waiting

        assert Run(RunReactor(), main).run() == "done"

    def test_at_once(self) -> None:
        """One that does not wait."""

        async def main(reactor: Any) -> int:
            return 1

        assert Run(RunReactor(), main).run() == 1

    def test_error(self) -> None:
        """What it raises."""

        async def main(reactor: Any) -> None:
            raise BrokenPipeError

        with pytest.raises(BrokenPipeError):
            Run(RunReactor(), main).run()

    def test_interrupted(self) -> None:
        """Ctrl-C: it may clean up."""
        cleaned: list[bool] = []

        async def main(reactor: Any) -> None:
            reactor.callLater(3, running.interrupt)
            try:
                await Deferred()
            finally:
                cleaned.append(True)

        running = Run(RunReactor(), main)
        with pytest.raises(KeyboardInterrupt):
            running.run()
        assert cleaned == [True]

    def test_interrupted_twice(self) -> None:
        """One that does not end is not waited for."""

        async def main(reactor: Any) -> None:
            reactor.callLater(3, running.interrupt)
            reactor.callLater(4, running.interrupt)
            try:
                await Deferred()
            except CancelledError:
                await Deferred()

        running = Run(RunReactor(), main)
        with pytest.raises(KeyboardInterrupt):
            running.run()


def test_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    """What the client has to say is told; what it only notes is not."""
    tell = Warnings("listen")
    for level in (LogLevel.debug, LogLevel.info, LogLevel.warn):
        tell({"log_level": level, "log_format": "{what}", "what": f"{level.name}\x1b"})
    assert capsys.readouterr().err == "megacomet listen: warn\\x1b\n"
