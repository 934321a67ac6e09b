"""The engine on the real kernel, with notifications lost: noticed or not, the table ends as it should be."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from corral.daemon.engine import Engine
from corral.daemon.facts import Facts
from corral.daemon.watch import watch_foreign_changes
from corral.dataplane.decode import TableDecoder
from corral.dataplane.kernel import KernelDataplane
from corral.nft.tracker import Tracker
from corral.nft.transaction import AddCounter, DeleteCounter, Transaction
from corral.nft.values import Ruleset
from tests.daemon.running import until
from tests.dataplane.rulesets import WORKED_EXAMPLE
from tests.kernel.namespaces import Namespace

FLUSH = "nft flush chain inet corral forward"


@dataclass
class Running:
    kernel: KernelDataplane
    facts: Facts
    engine: Engine

    async def table(self) -> Ruleset | None:
        dump = await self.kernel.dump()
        return dump.ruleset if dump else None


@asynccontextmanager
async def engine(kernel: KernelDataplane, *, compare_interval: float, watching: bool) -> AsyncIterator[Running]:
    """An engine that wants the worked example, and has it."""
    facts = Facts()
    made = Engine(kernel, Tracker(WORKED_EXAMPLE), facts, enforceable=lambda: True, compare_interval=compare_interval)
    tasks = [asyncio.create_task(made.run())]
    if watching:
        tasks.append(asyncio.create_task(watch_foreign_changes(kernel, made)))
    made.wake()
    await until(lambda: facts.programmed)
    try:
        yield Running(kernel, facts, made)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_change_that_nobody_told_of_is_found_by_the_periodic_comparison(
    kernel: KernelDataplane, namespace: Namespace
) -> None:
    async with engine(kernel, compare_interval=0.2, watching=False) as running:
        namespace.run(FLUSH)
        await until(lambda: running.facts.repairs == 1)
        assert running.facts.last_repair == "periodic comparison"
        assert await running.table() == WORKED_EXAMPLE


async def test_notifications_that_did_not_fit_cause_a_comparison(kernel: KernelDataplane, namespace: Namespace) -> None:
    async with engine(kernel, compare_interval=60.0, watching=True) as running:
        kernel._notifications._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        flood = "\n".join(f"add chain inet other chain-{number}" for number in range(1000))
        # Meanwhile the loop is held: what does not fit is lost.
        namespace.run("nft -f -", text=f"add table inet other\n{flood}\nflush chain inet corral forward\n")
        await until(lambda: running.facts.repairs == 1)
        assert running.facts.last_repair == "notifications of ruleset changes were lost"
        assert await running.table() == WORKED_EXAMPLE


async def test_where_others_commit_under_every_dump_the_table_is_replaced_unread(
    kernel: KernelDataplane, namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = kernel._read_objects

    async with KernelDataplane() as other, engine(kernel, compare_interval=60.0, watching=False) as running:

        async def read_and_be_disturbed(decoder: TableDecoder) -> None:
            await read(decoder)
            await other.commit(Transaction((AddCounter("theirs"), DeleteCounter("theirs"))))

        monkeypatch.setattr(kernel, "_read_objects", read_and_be_disturbed)
        namespace.run(FLUSH)
        running.engine.doubt("somebody")
        await until(lambda: running.facts.kernel_error is not None)
        assert not running.facts.programmed
        await until(lambda: running.facts.repairs == 1)
        assert "attempts to read it" in str(running.facts.last_repair)
        monkeypatch.undo()
        assert await running.table() == WORKED_EXAMPLE
