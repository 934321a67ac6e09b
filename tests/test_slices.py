from __future__ import annotations

import asyncio

import pytest

from corral import slices
from corral.slices import Slices


@pytest.mark.parametrize(("length", "turns"), [(0.0, 3), (3600.0, 0)])
async def test_others_get_a_turn_once_it_lasted_long_enough(
    monkeypatch: pytest.MonkeyPatch, length: float, turns: int
) -> None:
    monkeypatch.setattr(slices, "SLICE", length)
    seen = 0

    async def other() -> None:
        nonlocal seen
        while True:
            await asyncio.sleep(0)
            seen += 1

    task = asyncio.create_task(other())
    await asyncio.sleep(0)
    seen, work = 0, Slices()
    for _ in range(3):
        await work.rest()
    assert seen == turns
    task.cancel()


async def test_others_have_a_turn_now_and_then_but_not_at_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many one of the others has while we work through a hundred steps of 1 ms or so each."""
    count = 0

    async def other() -> None:
        nonlocal count
        while True:
            count += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(other())
    await asyncio.sleep(0)
    before, clock = count, iter(step * 0.001 for step in range(1000))
    monkeypatch.setattr(slices, "monotonic", lambda: next(clock))
    work = Slices(0.005)
    for _ in range(100):
        await work.rest()
    task.cancel()
    assert 5 < count - before < 50


def test_a_slice_is_short() -> None:
    """The health endpoint is to answer within 100 ms, and several tasks take slices."""
    assert slices.SLICE <= 0.005
