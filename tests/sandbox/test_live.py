"""Without agents nothing is enforced: each demonstration must say so. With agents: see `test_demo`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from corral.sandbox.live import container_starts, label_changes, rule_is_revoked
from corral.sandbox.scenarios import demo_blueprint
from corral.sandbox.world import Sandbox


@pytest.fixture
async def unguarded() -> AsyncIterator[Sandbox]:
    async with Sandbox(demo_blueprint(2), lag=0.0, agents=False) as made:
        yield made


async def test_a_leak_to_a_new_container_is_a_disagreement(unguarded: Sandbox) -> None:
    observation = await container_starts(unguarded)
    assert "forbidden datagrams reached stack_one-service_one-3" in observation.disagreements[0]


async def test_a_peer_that_stays_is_a_disagreement(unguarded: Sandbox) -> None:
    observation = await label_changes(unguarded)
    assert observation.disagreements == ("stack_three-service_one-1 still answers engineering",)


async def test_a_stream_that_goes_on_is_a_disagreement(unguarded: Sandbox) -> None:
    observation = await rule_is_revoked(unguarded, patience=0.5)
    assert observation.disagreements == ("the rule is revoked, but the open stream goes on",)
