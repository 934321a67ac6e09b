from __future__ import annotations

import asyncio

import pytest

from corral.sources import slices
from corral.sources.slices import Slices


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


def test_a_slice_is_short() -> None:
    """The health endpoint is to answer within 100 ms, and several tasks take slices."""
    assert slices.SLICE <= 0.005
