"""What is awaited works in coroutines of Twisted and of asyncio, also where one calls the other."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks, succeed

from megacomet.client.awaiting import Awaited


async def waits(deferred: Deferred[Any]) -> Any:
    """A coroutine that does not care."""
    return await Awaited(deferred)


async def deeper(deferred: Deferred[Any]) -> Any:
    """The same, through more of them."""

    async def through() -> Any:
        return await waits(deferred)

    async for value in values(through()):
        return value
    return None


async def values(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """An asynchronous generator."""
    yield await coroutine


@pytest.mark.parametrize("coroutine", [waits, deeper])
class TestTwisted:
    """Awaited by Twisted."""

    def test_result(self, coroutine: Any) -> None:
        """With a result that is there, or comes."""
        results: list[Any] = []
        Deferred.fromCoroutine(coroutine(succeed(1))).addCallback(results.append)
        later: Deferred[int] = Deferred()
        Deferred.fromCoroutine(coroutine(later)).addCallback(results.append)
        later.callback(2)
        assert results == [1, 2]

    def test_cancelled(self, coroutine: Any) -> None:
        """Given up."""
        later: Deferred[int] = Deferred()
        outer = Deferred.fromCoroutine(coroutine(later))
        outer.cancel()
        errors: list[Any] = []
        outer.addErrback(errors.append)
        assert errors[0].check(CancelledError)


@pytest.mark.parametrize("coroutine", [waits, deeper])
class TestAsyncio:
    """Awaited by a task."""

    def test_result(self, coroutine: Any) -> None:
        """With a result that is there, or comes."""

        async def main() -> list[Any]:
            later: Deferred[int] = Deferred()
            asyncio.get_running_loop().call_soon(later.callback, 2)
            return [await coroutine(succeed(1)), await coroutine(later)]

        assert asyncio.run(main()) == [1, 2]

    def test_error(self, coroutine: Any) -> None:
        """With an error."""

        async def main() -> None:
            later: Deferred[int] = Deferred()
            asyncio.get_running_loop().call_soon(later.errback, ZeroDivisionError())
            await coroutine(later)

        with pytest.raises(ZeroDivisionError):
            asyncio.run(main())

    def test_cancelled(self, coroutine: Any) -> None:
        """A task that is cancelled, or has no more time, cancels what it waits for."""
        cancelled: list[Any] = []

        async def main() -> None:
            async with asyncio.timeout(0):
                await coroutine(Deferred(cancelled.append))

        with pytest.raises(TimeoutError):
            asyncio.run(main())
        assert len(cancelled) == 1


def test_twisted_within_a_task() -> None:
    """A task wakes a coroutine of Twisted's, which then waits for something of ours: Twisted drives it."""
    results: list[Any] = []

    async def main() -> None:
        first: Deferred[int] = Deferred()
        second: Deferred[int] = Deferred()

        async def twisted() -> None:
            results.append(await first)
            results.append(await Awaited(second))

        Deferred.fromCoroutine(twisted())
        first.callback(1)
        second.callback(2)

    asyncio.run(main())
    assert results == [1, 2]


def test_generators_of_old() -> None:
    """`inlineCallbacks` that waits for a coroutine."""

    @inlineCallbacks
    def old(deferred: Deferred[int]) -> Any:
        return (yield Deferred.fromCoroutine(waits(deferred)))

    results: list[Any] = []
    later: Deferred[int] = Deferred()
    old(later).addCallback(results.append)
    later.callback(1)
    assert results == [1]
