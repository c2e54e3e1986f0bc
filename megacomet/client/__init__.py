"""The client for Python programs, on Twisted or asyncio: listens without missing a message, and pushes."""

from megacomet.client.client import Client
from megacomet.client.items import Change, Gap, Message, Pushed
from megacomet.client.listening import Listening

__all__ = ["Change", "Client", "Gap", "Listening", "Message", "Pushed"]
