"""The checks that hold for every test, tried on tests that break them."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

RULES = (Path(__file__).parent / "conftest.py").read_text("utf-8")


@pytest.fixture
def house(pytester: pytest.Pytester) -> pytest.Pytester:
    """A directory of tests with the house's conftest."""
    pytester.makeconftest(RULES)
    return pytester


def run(house: pytest.Pytester, body: str) -> pytest.RunResult:
    """Run one test file in a process of its own: there can be one reactor only."""
    house.makepyfile(body)
    return house.runpytest_subprocess("-p", "no:cacheprovider")


def test_leaked_call(house: pytest.Pytester) -> None:
    """A test that leaves a delayed call behind fails, and the next one does not suffer from it."""
    result = run(
        house,
        """
        def test_leaks():
            from twisted.internet import reactor
            reactor.callLater(60, print)

        def test_next():
            pass
        """,
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*delayed calls were left in the reactor*"])


def test_logged_failure(house: pytest.Pytester) -> None:
    """A plain test that logs a failure fails; one that expects it and flushes it does not."""
    result = run(
        house,
        """
        from twisted.logger import Logger

        def log_one():
            try:
                1 / 0
            except ZeroDivisionError:
                Logger().failure("dividing")

        def test_unnoticed():
            log_one()

        def test_expected(logged_failures):
            log_one()
            assert len(logged_failures.flush(ZeroDivisionError)) == 1

        def test_other(logged_failures):
            log_one()
            logged_failures.flush(KeyError)
        """,
    )
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines(["*failures were logged*"])


def test_twisted_test_case(house: pytest.Pytester) -> None:
    """A test case of Twisted's keeps its own books: flushing there is enough, forgetting fails there."""
    result = run(
        house,
        """
        from twisted.logger import Logger
        from twisted.trial.unittest import SynchronousTestCase

        def log_one():
            try:
                1 / 0
            except ZeroDivisionError:
                Logger().failure("dividing")

        class Tests(SynchronousTestCase):
            def test_flushed(self):
                log_one()
                self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

            def test_forgotten(self):
                log_one()
        """,
    )
    result.assert_outcomes(passed=1, failed=1)


def test_coroutine(house: pytest.Pytester) -> None:
    """A coroutine on the real reactor may wait, and is held to the same."""
    result = run(
        house,
        """
        import pytest_twisted
        from twisted.internet.task import deferLater

        @pytest_twisted.ensureDeferred
        async def test_waits():
            from twisted.internet import reactor
            await deferLater(reactor, 0, lambda: None)

        @pytest_twisted.ensureDeferred
        async def test_leaks():
            from twisted.internet import reactor
            reactor.callLater(60, print)
        """,
    )
    result.assert_outcomes(passed=2, errors=1)
