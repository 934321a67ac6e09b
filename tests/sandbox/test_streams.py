from __future__ import annotations

import pytest

from corral.sandbox.world import Sandbox
from corral.types import Address, Flow, Protocol
from tests.sandbox.conftest import Drop


async def test_a_stream_flows_until_it_is_cut(sandbox: Sandbox, drop: Drop) -> None:
    flow = sandbox.flow("one-a-1", "one-a-2", Protocol.TCP, 80)
    async with sandbox.stream(flow) as stream:
        first = await stream.delivery()
        assert await stream.delivery() > first
        with pytest.raises(TimeoutError):
            await stream.cut(quiet=0.05, patience=0.2)
        drop(sandbox, 1, f"ip saddr {flow.client}")
        last = await stream.cut(quiet=0.2)
        assert last >= first
        assert stream.delivered_at == last


async def test_a_stream_that_can_not_open_fails(sandbox: Sandbox) -> None:
    flow = sandbox.flow("one-a-1", "one-a-2", Protocol.TCP, 9)
    with pytest.raises(ConnectionRefusedError):
        async with sandbox.stream(flow):
            pass


async def test_a_prober_loses_nothing_where_nothing_is_dropped(sandbox: Sandbox) -> None:
    async with sandbox.prober(sandbox.flow("one-a-1", "one-a-2", Protocol.UDP, 53), rate=500) as prober:
        for _ in range(20):
            await prober.answer()
        await prober.settle()
    assert prober.lost == 0
    assert prober.arrived == prober.answered == prober.sent >= 20


async def test_a_prober_counts_what_is_dropped(sandbox: Sandbox, drop: Drop) -> None:
    flow = sandbox.flow("one-a-1", "one-a-2", Protocol.UDP, 53)
    drop(sandbox, 1, f"ip saddr {flow.client}")
    async with sandbox.prober(flow, rate=500) as prober:
        with pytest.raises(TimeoutError):
            await prober.answer(patience=0.1)
    assert prober.lost == prober.sent > 0
    assert (prober.arrived, prober.first_answer) == (0, None)


async def test_a_prober_may_start_before_its_server(sandbox: Sandbox) -> None:
    address = sandbox.environment.allocate_address(1)
    flow = Flow(sandbox.address("one-a-1"), Address.parse(address), Protocol.UDP, 53)
    async with sandbox.prober(flow, rate=500) as prober:
        assert prober.arrived == 0
        await sandbox.start_container("one/a", host=1, address=address)
        prober.attach(sandbox.listeners[address])
        answered = await prober.answer()
        assert prober.first_answer is not None
        assert prober.first_answer <= answered
        assert prober.arrived > 0
