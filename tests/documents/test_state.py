"""What an agent says of itself has the shapes that are documented."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from corral.documents.state import Health, PolicyInForce, State

from ..daemon.running import running_agent, until
from .checking import check


@pytest.mark.parametrize(
    ("path", "document"), [("/healthz", Health), ("/readyz", Health), ("/v1/policy", PolicyInForce)]
)
async def test_health_and_policy(path: str, document: type) -> None:
    async with running_agent() as running:
        check(document, json.loads((await running.get(path))[1]))
        await until(lambda: running.agent.facts.programmed)
        check(document, json.loads((await running.get(path))[1]))


@pytest.mark.parametrize("mode", ["enforce", "off"])
async def test_the_state_from_the_very_start(mode: str) -> None:
    async with running_agent(CORRAL_MODE=mode) as running:
        check(State, json.loads((await running.get("/v1/state"))[1]))
        await until(lambda: running.agent.facts.inventory_loaded)
        state = json.loads((await running.get("/v1/state"))[1])
        check(State, state)
        assert (state["mode"], state["hosts"]) == (mode, {"running": 1, "unhealthy": 0, "unknown": 0, "missing": 0})


async def test_a_rejected_policy() -> None:
    async with running_agent() as running:
        running.environment.set_policy([{"within": "stack", "action": "permit"}], "deny")
        running.publish()
        await until(lambda: bool(running.agent.facts.policy_problems))
        policy = json.loads((await running.get("/v1/policy"))[1])
        check(PolicyInForce, policy)
        assert policy["problems"][0]["where"] == "policy[0].action"
        with pytest.raises(ValidationError):
            check(PolicyInForce, {**policy, "surprise": 1})
