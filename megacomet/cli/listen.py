"""`megacomet listen`: what is published to channels, or to a client, a line a message."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from megacomet.addresses import Address
from megacomet.cli.arguments import Parser, address_options
from megacomet.cli.finding import public_address
from megacomet.cli.output import print_object
from megacomet.cli.statuses import FINE, complain, ending
from megacomet.cli.text import safe
from megacomet.client import Change, Client, Gap, Listening, Message
from megacomet.client.checks import OLDEST, check_client, check_listened, check_since
from megacomet.client.items import CONNECTED, CONNECTING, TRANSPORTS
from megacomet.errors import CallError, Disconnected, NoServer, PeerError
from megacomet.setting_rules import Whole

_COUNT: Final = Whole(1, 1_000_000_000)

Tell = Callable[[str], None]


def main(arguments: Sequence[str]) -> int:
    """Show what is published until it is enough; return the exit status."""
    return ending("listen", lambda: _listen(parser().parse_args(arguments)))


def parser() -> Parser:
    """Return the parser of the command."""
    about = "Shows what is published to channels, or to a client, as it comes, a line a message."
    p = Parser(prog="megacomet listen", parents=[address_options()], description=about)
    p.add_argument("channel", nargs="*", metavar="CHANNEL", type=_checked(check_listened), help="to listen to")
    p.add_argument("--client", metavar="ID", type=_checked(check_client), help="listen to a client's mailbox, too")
    since_help = f"from a position on, or {OLDEST}: with what is kept"
    p.add_argument("--since", metavar="P", type=_checked(check_since), help=since_help)
    p.add_argument("--count", type=_count, metavar="N", help="end after so many messages")
    p.add_argument("--transport", choices=TRANSPORTS, metavar="T", help=f"{', '.join(TRANSPORTS)}; else the best one")
    return p


def _checked(check: Callable[[str], None]) -> Callable[[str], str]:
    def checked(text: str) -> str:
        try:
            check(text)
        except PeerError as e:
            raise argparse.ArgumentTypeError(e.detail) from None
        return text

    return checked


def _count(text: str) -> int:
    try:
        return _COUNT.parse(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(f"{text!r} must be {e}") from None


def _listen(options: argparse.Namespace) -> int:
    if not options.channel and options.client is None:
        parser().error("CHANNEL is missing, or --client")
    from megacomet.cli.running import run  # brings the reactor

    address, about = public_address(options)
    run("listen", lambda reactor: listen(reactor, address, about, options))
    return FINE


async def listen(reactor: Any, address: Address, about: str, options: argparse.Namespace) -> None:
    """Print what comes, until it is enough.

    Args:
        reactor: Twisted's.
        address: of the server.
        about: where the address comes from, for whoever finds nobody there; "": it was named.
        options: of the command.

    Raises:
        NoServer: nothing has answered within the time.
        CallError: the server does not let this be listened to.
    """
    transports = (options.transport,) if options.transport else TRANSPORTS
    news = News(lambda text: complain("listen", text))
    async with Client(str(address), reactor=reactor, transports=transports) as client:
        listening = client.listen(*options.channel, client_id=options.client, since=options.since, watch=news.changed)
        timer = reactor.callLater(options.timeout, lambda: None if news.was_connected else listening.close())
        try:
            await show(listening, news, options.json, options.count)
        except Disconnected as e:
            raise CallError(f"{address} does not let this be listened to: {e.reason} ({e.code})") from None
        finally:
            if timer.active():
                timer.cancel()
    if not news.was_connected:
        whose = f" ({about})" if about else ""
        raise NoServer(f"no server answers at {address} within {options.timeout:g} s: {news.reason}{whose}")


async def show(listening: Listening, news: News, as_json: bool, count: int | None) -> None:
    """Print messages, as many as are wanted; tell of gaps."""
    printed = 0
    async for item in listening:
        if isinstance(item, Gap):
            news.gap(item)
            continue
        if as_json:
            print_object({"channel": item.channel, "id": item.id, "data": item.data})
        else:
            print(line(item), flush=True)
        printed += 1
        if printed == count:
            return


def line(message: Message) -> str:
    """Return a message for people: its channel, its position and its data as JSON."""
    data = json.dumps(message.data, ensure_ascii=False)
    return safe(f"{message.channel}  {message.id}  {data}")


class News:
    """Tells of the connection what people want to know: that it broke, and that it is back.

    Attributes:
        was_connected: whether it ever was.
        reason: why it is not.
    """

    def __init__(self, tell: Tell) -> None:
        self.was_connected = False
        self.reason = "it does not answer"
        self._tell = tell
        self._is_lost = False

    def changed(self, change: Change) -> None:
        """Take a change of the connection."""
        if change.state == CONNECTED:
            if self._is_lost:
                self._tell(f"connected again, by {change.transport}")
            self.was_connected, self._is_lost = True, False
        elif change.state == CONNECTING and change.reason:
            self.reason = change.reason
            if self.was_connected and not self._is_lost:
                self._is_lost = True
                self._tell(f"the connection is lost: {change.reason}; connecting again")

    def gap(self, gap: Gap) -> None:
        """Take a gap."""
        self._tell(f"messages of {', '.join(gap.channels)} are missing: they are no longer kept")
