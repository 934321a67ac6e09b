"""When all collections are read: tasks and the loop's own clock, no server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from corral.errors import RefusedError, UnreachableError
from corral.sources.backoff import Backoff
from corral.sources.resync import Resync

LONG = 1000.0


class Api:
    """Fails as long as it is told to, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.error: UnreachableError | None = None
        self.news = asyncio.Event()

    async def learn(self) -> None:
        self._ask("learn")

    async def probe(self) -> None:
        self._ask("probe")

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        self.news.set()
        if self.error is not None:
            raise self.error

    async def until(self, count: int) -> list[str]:
        """Wait for so many requests."""
        async with asyncio.timeout(10):
            while len(self.asked) < count:
                self.news.clear()
                await self.news.wait()
        return self.asked


@asynccontextmanager
async def resyncing(api: Api, *, spread: float = 0.0) -> AsyncIterator[Resync]:
    resync = Resync(api.learn, api.probe, spread=spread, backoff=Backoff(first=0.001, limit=0.002), rng=lambda: 1.0)
    resync._refused = Backoff(first=LONG, limit=LONG, rng=lambda: 1.0)
    task = asyncio.create_task(resync.run())
    try:
        yield resync
    finally:
        task.cancel()
        await asyncio.wait([task])


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_nothing_is_asked_without_a_session() -> None:
    api = Api()
    async with resyncing(api) as resync:
        resync.failed(UnreachableError("left over from the last session"))
        await turns()
    assert api.asked == []


async def test_each_session_reads_everything_once() -> None:
    api = Api()
    async with resyncing(api) as resync:
        for session in (1, 2, 3):
            resync.connected()
            assert await api.until(session) == ["learn"] * session
            await turns()
            resync.disconnected()
    assert api.asked == ["learn"] * 3


async def test_a_later_session_waits() -> None:
    api = Api()
    async with resyncing(api, spread=LONG) as resync:
        resync.connected()
        await api.until(1)
        resync.connected()
        await turns()
        assert resync._delay == LONG
    assert api.asked == ["learn"]


async def test_while_it_fails_it_is_only_probed_and_then_read() -> None:
    api = Api()
    api.error = UnreachableError("status 500")
    async with resyncing(api) as resync:
        resync.connected()
        await api.until(4)
        api.error = None
        asked = await api.until(len(api.asked) + 2)
    assert asked[0] == "learn"
    assert asked[-2:] == ["probe", "learn"]
    assert set(asked[1:-1]) == {"probe"}


async def test_a_look_up_that_failed_makes_it_ask_again_and_spread_the_reading() -> None:
    """All agents may have failed at the same look-up."""
    api = Api()
    async with resyncing(api, spread=LONG) as resync:
        resync.connected()
        await api.until(1)
        resync.failed(UnreachableError("status 500"))
        assert await api.until(2) == ["learn", "probe"]
        await turns()
        assert resync._delay == LONG


async def test_refused_keys_have_delays_of_their_own() -> None:
    api = Api()
    api.error = RefusedError("401")
    async with resyncing(api) as resync:
        resync.connected()
        await api.until(1)
        await turns()
        assert resync._delay == LONG


async def test_the_end_of_a_session_ends_it() -> None:
    api = Api()
    api.error = UnreachableError("status 500")
    async with resyncing(api) as resync:
        resync.connected()
        await api.until(2)
        resync.disconnected()
        count = len(api.asked)
        await turns()
        assert len(api.asked) <= count + 1
        api.error = None
        resync.connected()
        assert (await api.until(count + 1))[-1] == "learn"
