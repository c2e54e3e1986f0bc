"""What holds for every test: nothing is left behind in the reactor, and no failure is logged unnoticed.

trial checks both; pytest by itself checks neither.
"""

from __future__ import annotations

import signal
import sys
import unittest
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from twisted.logger import LogEvent, globalLogPublisher

from megacomet.rlimits import raise_descriptor_limit

if TYPE_CHECKING:
    from tests.fronts import House
    from tests.pushing import Manager

# Who is started in the background by a shell without job control ignores Ctrl-C, and so do its children: the servers
# under test are to have it as at a terminal.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Machines differ in speed and are shared, so no example has a deadline; what failed once is printed to be run again.
hypothesis.settings.register_profile("house", deadline=None, max_examples=100, print_blob=True)
hypothesis.settings.load_profile("house")

# As the server's own processes do: a login shell allows 1,024, some tests hold more connections.
raise_descriptor_limit()


class LoggedFailures(list[LogEvent]):
    """The events with a failure that were logged during a test; what is left in it at the end fails the test."""

    def flush(self, *kinds: type[BaseException]) -> list[Any]:
        """Return and forget the failures of these kinds, of all without any."""
        taken = [event for event in self if not kinds or event["log_failure"].check(*kinds)]
        self[:] = [event for event in self if event not in taken]
        return [event["log_failure"] for event in taken]


@pytest.fixture(autouse=True)
def logged_failures(request: pytest.FixtureRequest) -> Iterator[LoggedFailures]:
    """Fail a plain function that logged a failure and did not flush it; a test case of Twisted's does so itself."""
    seen = LoggedFailures()

    def observe(event: LogEvent) -> None:
        if event.get("log_failure") is not None:
            seen.append(event)

    globalLogPublisher.addObserver(observe)
    yield seen
    globalLogPublisher.removeObserver(observe)
    if seen and not (request.cls and issubclass(request.cls, unittest.TestCase)):
        pytest.fail("failures were logged:\n" + "\n".join(e["log_failure"].getTraceback() for e in seen))


@pytest.fixture(autouse=True)
def no_delayed_calls_left() -> Iterator[None]:
    """Fail a test that leaves delayed calls behind in the global reactor, and cancel them for those that follow."""
    before = set(_delayed_calls())
    yield
    left = [call for call in _delayed_calls() if call not in before and call.active()]
    for call in left:
        call.cancel()
    if left:
        pytest.fail("delayed calls were left in the reactor:\n" + "\n".join(map(str, left)))


@pytest.fixture
def make() -> Iterator[Callable[..., House]]:
    """Make fronts under test, each with its settings; all are closed at the end of the test."""
    from tests.fronts import House

    houses = []

    def made(**settings: Any) -> House:
        houses.append(House(**settings))
        return houses[-1]

    yield made
    for house in houses:
        house.close()


@pytest.fixture
def house(make: Callable[..., House]) -> House:
    """A front under test with usual settings."""
    return make()


@pytest.fixture
def opened(make: Callable[..., House]) -> Iterator[Callable[..., Manager]]:
    """Make fronts that publish, each with its manager; at the end nothing may be left of anybody at their doors."""
    from tests.pushing import Manager, check_nothing_left, descriptors

    managers = []

    def made(**settings: Any) -> Manager:
        house = make(**settings)
        managers.append((Manager(house), descriptors()))
        return managers[-1][0]

    yield made
    for manager, before in managers:
        check_nothing_left(manager.house)
        assert descriptors() <= before


@pytest.fixture
def manager(opened: Callable[..., Manager]) -> Manager:
    """A front that publishes, with usual settings, and the manager behind it."""
    return opened()


def _delayed_calls() -> list[Any]:
    reactor: Any = sys.modules.get("twisted.internet.reactor")
    return list(reactor.getDelayedCalls()) if reactor is not None else []
