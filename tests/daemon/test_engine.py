"""Desired to kernel: refusals, silence and foreign hands all end with the kernel as it should be."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from corral.daemon.desk import Desk
from corral.daemon.engine import Engine
from corral.dataplane.fake import FakeDataplane
from corral.nft.transaction import AddChain, AddTable, DeleteTable, Transaction
from corral.nft.values import Chain, Ruleset
from corral.types import Subnet

from .running import desk_of, small_environment, snapshot_of, until


class Bench:
    """A desk, an engine and a table in memory."""

    def __init__(self) -> None:
        self.environment = small_environment()
        self.desk: Desk = desk_of(self.environment)
        self.dataplane = FakeDataplane()
        self.engine = Engine(
            self.dataplane, self.desk.tracker, self.desk.facts, enforceable=lambda: self.desk.enforceable
        )

    async def table(self) -> Ruleset | None:
        dump = await self.dataplane.dump()
        return dump.ruleset if dump else None

    async def settled(self) -> None:
        """Wait until the kernel holds what is desired."""

        async def holds() -> bool:
            return self.desk.facts.programmed and await self.table() == self.desk.tracker.desired_ruleset()

        await until(holds)


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    task = asyncio.create_task(made.engine.run())
    try:
        made.engine.wake()
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_first_round_installs_everything_in_one_transaction() -> None:
    async with bench() as made:
        await made.settled()
        assert len(made.dataplane.committed) == 1
        assert made.desk.facts.commits == 1
        assert made.desk.facts.repairs == 0


async def test_an_intact_table_is_adopted_without_a_message() -> None:
    async with bench() as first:
        await first.settled()
    second = Bench()
    second.engine = Engine(
        first.dataplane, second.desk.tracker, second.desk.facts, enforceable=lambda: second.desk.enforceable
    )
    second.dataplane = first.dataplane
    task = asyncio.create_task(second.engine.run())
    second.engine.wake()
    await second.settled()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert second.desk.facts.commits == 0
    assert len(first.dataplane.committed) == 1


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.EBUSY, errno.EINVAL])
async def test_a_refused_transaction_is_told_and_tried_again_after_a_comparison(number: int) -> None:
    async with bench() as made:
        await made.settled()
        made.dataplane.fail_next(number)
        made.environment.remove_container("back-job-1")
        made.desk.load(snapshot_of(made.environment), 1.0)
        made.engine.wake()
        await made.settled()
        assert made.desk.facts.failed_commits == 1
        assert made.desk.facts.kernel_error is None


async def test_what_can_not_be_written_is_told_and_ends_nothing() -> None:
    async with bench() as made:
        await made.settled()
        subnets = (Subnet.parse("10.42.0.0/16"),)
        made.desk._compiler.set_boundary(subnets, "a-name-too-long-for-any-interface")
        made.engine.wake()
        await until(lambda: made.desk.facts.kernel_error is not None)
        assert "not committed" in str(made.desk.facts.kernel_error)
        assert not made.desk.facts.ready
        made.desk._compiler.set_boundary(subnets, "docker0")
        made.engine.wake()
        await made.settled()
        assert made.desk.facts.kernel_error is None


@pytest.mark.parametrize("applied", [True, False])
async def test_a_lost_acknowledgement_is_settled_by_comparing(applied: bool) -> None:
    async with bench() as made:
        await made.settled()
        made.dataplane.lose_next_acknowledgement(applied=applied)
        made.environment.remove_container("back-job-1")
        made.desk.load(snapshot_of(made.environment), 1.0)
        made.engine.wake()
        await made.settled()
        assert made.desk.facts.failed_commits == 1


@pytest.mark.parametrize(
    "interference",
    [Transaction((AddTable(), DeleteTable())), Transaction((AddChain(Chain("foreign", ())),))],
    ids=["table deleted", "chain added"],
)
async def test_what_others_did_is_undone_and_counted_once(interference: Transaction) -> None:
    async with bench() as made:
        await made.settled()
        made.dataplane.interfere(interference)
        made.engine.doubt("somebody")
        await until(lambda: made.desk.facts.repairs > 0)
        await made.settled()
        assert (made.desk.facts.repairs, made.desk.facts.last_repair) == (1, "somebody")


async def test_a_comparison_that_finds_nothing_writes_nothing() -> None:
    async with bench() as made:
        await made.settled()
        made.desk.facts.programmed = False
        made.engine.doubt("SIGHUP")
        await made.settled()
        assert (made.desk.facts.commits, made.desk.facts.repairs) == (1, 0)


async def test_what_nothing_refers_to_any_more_is_removed_later() -> None:
    async with bench() as made:
        await made.settled()
        made.environment.set_policy([], "deny")
        made.desk.load(snapshot_of(made.environment), 1.0)
        made.engine.wake()
        await made.settled()
        assert made.desk.facts.commits >= 3
