"""Events for several readers, each at its own pace."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.daemon.hub import EventHub, Subscription
from corral.errors import UnreachableError

Told = tuple[str, Mapping[str, Any]] | None


async def read(subscription: Subscription, count: int) -> list[Told]:
    told: list[Told] = []
    async for event in subscription.events(5.0):
        told.append(event)
        if len(told) == count:
            break
    return told


async def test_each_reader_gets_what_it_wants_from_its_subscription_on() -> None:
    hub = EventHub()
    hub.publish("state", {"n": 0})
    with hub.subscribed() as every, hub.subscribed(lambda kind, data: kind == "state" and data["n"] > 1) as some:
        for number in (1, 2):
            hub.publish("state", {"n": number})
        hub.publish("change", {"n": 3})
        assert await read(every, 3) == [("state", {"n": 1}), ("state", {"n": 2}), ("change", {"n": 3})]
        hub.close()
        assert await read(some, 9) == [("state", {"n": 2})]


async def test_a_reader_that_waits_is_woken() -> None:
    hub = EventHub()
    with hub.subscribed() as subscription:
        reading = asyncio.create_task(read(subscription, 1))
        await asyncio.sleep(0)
        hub.publish("state", {})
        assert await reading == [("state", {})]


async def test_a_quiet_time_is_told() -> None:
    with EventHub().subscribed() as subscription:
        events = subscription.events(0.001)
        assert await anext(events) is None
        subscription.put("state", {})
        assert await anext(events) == ("state", {})


@given(st.integers(1, 8), st.integers(0, 30))
def test_a_slow_reader_loses_the_oldest_and_is_told_how_many(queue: int, published: int) -> None:
    async def check() -> None:
        hub = EventHub(queue=queue)
        with hub.subscribed() as slow:
            for number in range(published):
                hub.publish("state", {"n": number})
            hub.close()
            told = await read(slow, published + 2)
        lost = max(0, published - queue)
        expected: list[Told] = [("lost", {"events": lost})] if lost else []
        assert told == [*expected, *(("state", {"n": number}) for number in range(lost, published))]

    asyncio.run(check())


async def test_there_is_an_end_to_the_readers() -> None:
    hub = EventHub(most=2)
    with hub.subscribed():
        with hub.subscribed(), pytest.raises(UnreachableError, match="2 readers"), hub.subscribed():
            pass
        with hub.subscribed():
            pass


async def test_listening_is_known() -> None:
    hub = EventHub()
    waiting = asyncio.create_task(hub.listened())
    await asyncio.sleep(0)
    assert not hub.listening
    assert not waiting.done()
    with hub.subscribed():
        assert hub.listening
        await waiting
    assert not hub.listening


async def test_closing_ends_those_that_wait_and_those_that_come() -> None:
    hub = EventHub()
    with hub.subscribed() as one:
        reading = asyncio.create_task(read(one, 1))
        await asyncio.sleep(0)
        hub.close()
        assert await reading == []
    with hub.subscribed() as late:
        assert await read(late, 1) == []
