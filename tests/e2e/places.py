"""The environments of the end-to-end tests, and how to look at them from outside."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass

from corral.sandbox.agents import LISTEN, Agent
from corral.sandbox.blueprint import Blueprint, ServiceSpec, StackSpec
from corral.sandbox.world import Sandbox
from corral.types import Flow, Protocol

WITHIN_STACK = [{"within": "stack", "action": "allow"}]
TWO_STACKS = (
    StackSpec("front", (ServiceSpec(name="web", hosts=(0,)), ServiceSpec(name="db", hosts=(0,)))),
    StackSpec("back", (ServiceSpec(name="job", hosts=(0,)),)),
)


def one_host(policy: object = WITHIN_STACK, default: str = "deny") -> Blueprint:
    return Blueprint(hosts=1, stacks=TWO_STACKS, policy=policy, default_policy_action=default)


def allowed(sandbox: Sandbox) -> Flow:
    return sandbox.flow("front-web-1", "front-db-1", Protocol.TCP, 80)


def forbidden(sandbox: Sandbox) -> Flow:
    return sandbox.flow("back-job-1", "front-db-1", Protocol.TCP, 80)


async def verdicts(sandbox: Sandbox) -> tuple[bool, bool]:
    """Whether the allowed and the forbidden flow pass."""
    outcomes = await sandbox.probe_all([allowed(sandbox), forbidden(sandbox)])
    return outcomes[allowed(sandbox)].passed, outcomes[forbidden(sandbox)].passed


ENFORCED = (True, False)


async def reasons(agent: Agent) -> tuple[int, list[str]]:
    answer = await agent.get("/readyz")
    return answer.status, answer.json()["reasons"]


@dataclass(frozen=True)
class Ran:
    status: int
    output: str
    errors: str


async def run_on_host(sandbox: Sandbox, *command: str, host: int = 0) -> Ran:
    """Run a command in a host's namespace."""

    def run() -> Ran:
        with sandbox.topology.hosts[host].namespace:
            process = subprocess.Popen(  # noqa: S603 - commands of the tests
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "CORRAL_LISTEN": LISTEN},
            )
        output, errors = process.communicate(timeout=30)
        return Ran(process.returncode, output, errors)

    return await asyncio.to_thread(run)


async def corral(sandbox: Sandbox, *arguments: str) -> Ran:
    return await run_on_host(sandbox, sys.executable, "-m", "corral", *arguments)


async def nft(sandbox: Sandbox, *arguments: str) -> str:
    ran = await run_on_host(sandbox, "nft", *arguments)
    assert ran.status == 0, ran.errors
    return ran.output


def without_counts(listing: str) -> list[str]:
    """A listing without what the counters have counted meanwhile."""
    return [line for line in listing.splitlines() if "packets" not in line]
