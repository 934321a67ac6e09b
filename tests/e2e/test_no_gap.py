"""The kernel keeps the policy while the agent comes and goes: 1,000 packets a second, none judged wrongly."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from corral.sandbox.streams import Prober
from corral.sandbox.world import Sandbox
from corral.types import Protocol

from .places import WITHIN_STACK, one_host

KILLS = int(os.environ.get("CORRAL_KILLS", "100"))
RATE = 1000.0


@asynccontextmanager
async def under_probe(sandbox: Sandbox) -> AsyncIterator[tuple[Prober, Prober]]:
    """Probe what must pass and what must not; in the end, no packet of either was judged wrongly."""
    allowed = sandbox.prober(sandbox.flow("front-web-1", "front-db-1", Protocol.UDP, 53), rate=RATE)
    forbidden = sandbox.prober(sandbox.flow("back-job-1", "front-db-1", Protocol.UDP, 53), rate=RATE)
    async with allowed, forbidden:
        await allowed.answer()
        yield allowed, forbidden
        await allowed.settle()
        await forbidden.pause()
    assert allowed.sent > 100
    assert (allowed.lost, forbidden.arrived) == (0, 0)


async def test_stop_and_start_leave_no_gap() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        async with under_probe(sandbox):
            for _ in range(3):
                assert await sandbox.agents[0].stop() == 0
                sandbox.agents[0].start()
                await sandbox.enforced()


@pytest.mark.timeout(900)
async def test_kill_at_any_moment_leaves_no_gap() -> None:
    seed = random.randrange(2**32)  # noqa: S311
    print(f"moments of the kills from seed {seed}")  # noqa: T201 - shown when the test fails
    moments = random.Random(seed)  # noqa: S311
    async with Sandbox(one_host(), lag=0.05) as sandbox:
        await sandbox.enforced()
        async with under_probe(sandbox) as (allowed, _):
            for number in range(KILLS):
                # Something is always to be committed while it dies, in the middle of its start too.
                newcomer = await sandbox.start_container("back/job")
                for _ in range(moments.randrange(0, 2000)):
                    await allowed.answer()
                await sandbox.agents[0].kill()
                sandbox.agents[0].start()
                await sandbox.remove_container(newcomer.name)
                if number % 10 == 0:
                    await sandbox.enforced()
            await sandbox.enforced()


async def test_a_restart_with_another_policy_and_without_rancher_leaves_no_gap() -> None:
    async with Sandbox(one_host(), lag=0.05) as sandbox:
        await sandbox.enforced()
        agent = sandbox.agents[0]
        async with under_probe(sandbox) as (allowed, _):
            await agent.stop()
            by_label = [{"between": {"groupBy": "io.rancher.stack.name"}, "action": "allow"}]
            sandbox.environment.set_policy(by_label, "deny")
            sandbox.metadata[0].publish()
            agent.start()
            await sandbox.enforced()
            await sandbox.rancher.stop()
            await sandbox.metadata[0].stop()
            await agent.kill()
            agent.start()
            for _ in range(1000):
                await allowed.answer()
            await sandbox.metadata[0].start()
            await sandbox.rancher.start()
            sandbox.environment.set_policy(WITHIN_STACK, "deny")
            await sandbox.enforced()
