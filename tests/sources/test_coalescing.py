from __future__ import annotations

import asyncio

from corral.sources.coalescing import CoalescingQueue


async def drained(queue: CoalescingQueue[str]) -> list[str]:
    queue.close()
    items = []
    while (item := await queue.get()) is not None:
        items.append(item)
    return items


async def test_only_the_last_item_of_a_key_counts() -> None:
    queue: CoalescingQueue[str] = CoalescingQueue()
    for key, item in (("a", "a1"), ("b", "b1"), ("a", "a2"), ("c", "c1")):
        queue.put(key, item)
    assert await drained(queue) == ["a2", "b1", "c1"]


async def test_behind_everything() -> None:
    queue: CoalescingQueue[str] = CoalescingQueue()
    for key, item in (("a", "a1"), ("b", "b1"), ("a", "a2")):
        queue.put_last(key, item)
    assert await drained(queue) == ["b1", "a2"]


async def test_a_consumer_waits() -> None:
    queue: CoalescingQueue[str] = CoalescingQueue()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.put("a", "a1")
    assert await waiting == "a1"
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.close()
    assert await waiting is None
