"""A restart on the real kernel: the next process finds what the last one left, in all that can be in force.

A kernel that read something back in another way than it was written would have the agent replace its table for ever.
So this runs on other kernels, too (`make test-kernels`), with and without what they may lack.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from corral.daemon.engine import Engine
from corral.daemon.facts import Facts
from corral.dataplane.base import Dump
from corral.dataplane.kernel import KernelDataplane
from corral.nft.tracker import Tracker
from corral.policy.compiler import Compiler
from corral.policy.enforcement import ENFORCE, Enforcement
from tests.daemon.running import until
from tests.packets.test_audit import DENYING
from tests.packets.test_open_flows import EVERYBODY
from tests.policy.strategies import BRIDGE, SUBNETS

EVERY_WAY = [ENFORCE, Enforcement(audit=True), Enforcement(log=False), Enforcement(audit=True, log=False)]


class Seen(KernelDataplane):
    """Counts how often the table was read."""

    dumps = 0

    async def dump(self) -> Dump | None:
        dumped = await super().dump()
        self.dumps += 1
        return dumped


@asynccontextmanager
async def process(enforcement: Enforcement) -> AsyncIterator[tuple[Seen, Facts]]:
    """What one process makes of the environment, in force: it comes with no past, and compares all the time."""
    tracker, facts = Tracker(), Facts()
    compiler = Compiler(tracker, unknown_allowed=False)
    compiler.set_boundary(SUBNETS, BRIDGE)
    compiler.update(EVERYBODY)
    compiler.set_policy(DENYING)
    compiler.set_enforcement(enforcement)
    async with Seen() as kernel:
        engine = Engine(kernel, tracker, facts, enforceable=lambda: True, compare_interval=0.01)
        running = asyncio.create_task(engine.run())
        engine.wake()
        await until(lambda: facts.programmed)
        try:
            yield kernel, facts
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("enforcement", EVERY_WAY, ids=["enforce", "audit", "no log", "audit, no log"])
async def test_nothing_is_written_that_is_there(enforcement: Enforcement) -> None:
    async with process(enforcement) as (kernel, facts):
        assert facts.commits > 0
        await until(lambda: kernel.dumps >= 3)
        written = await kernel.dump()
        assert facts.repairs == 0
    async with process(enforcement) as (kernel, facts):
        await until(lambda: kernel.dumps >= 3)
        found = await kernel.dump()
        assert (facts.commits, facts.repairs) == (0, 0)
    assert written is not None
    assert written == found  # the generation, too: not one commit more
    assert found.alien == ()


@pytest.mark.usefixtures("namespace")
async def test_a_kernel_that_can_log_no_more_or_again_changes_what_concerns_the_log_alone() -> None:
    """As when the host has come up without a module, or got it back, under a table that stands."""
    for enforcement in (ENFORCE, Enforcement(log=False), ENFORCE):
        async with process(enforcement) as (kernel, facts):
            await until(lambda: kernel.dumps >= 3)
            dump = await kernel.dump()
            assert dump is not None
            logging = [name for name, chain in dump.ruleset.chains.items() if "Log(" in str(chain.rules)]
            assert bool(logging) == enforcement.log
            assert facts.repairs <= 1
