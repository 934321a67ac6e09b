"""The environments of the end-to-end tests, and how to look at them from outside."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


_DONE_BY_PACKETS = re.compile(r"^\s*packets \d+ bytes \d+$| expires ")


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


async def run_on_host(sandbox: Sandbox, *command: str, host: int = 0, text: str = "") -> Ran:
    """Run a command in a host's namespace; it reads the text."""

    def run() -> Ran:
        process = _started(sandbox, command, host)
        output, errors = process.communicate(text, timeout=30)
        return Ran(process.returncode, output, errors)

    return await asyncio.to_thread(run)


def _started(sandbox: Sandbox, command: Sequence[str], host: int) -> subprocess.Popen[str]:
    with sandbox.topology.hosts[host].namespace:
        return subprocess.Popen(  # noqa: S603 - commands of the tests
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "CORRAL_LISTEN": LISTEN},
        )


async def corral(sandbox: Sandbox, *arguments: str) -> Ran:
    return await run_on_host(sandbox, sys.executable, "-m", "corral", *arguments)


@contextmanager
def corral_started(sandbox: Sandbox, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on until it is told to end, or the context does."""
    with _started(sandbox, (sys.executable, "-m", "corral", *arguments), 0) as process:
        try:
            yield process
        finally:
            process.kill()


async def nft(sandbox: Sandbox, *arguments: str, text: str = "") -> str:
    ran = await run_on_host(sandbox, "nft", *arguments, text=text)
    assert ran.status == 0, ran.errors
    return ran.output


def without_counts(listing: str) -> list[str]:
    """A listing without what packets do to it: what the counters have counted, and which clients were logged."""
    return [line for line in listing.splitlines() if not _DONE_BY_PACKETS.search(line)]


# Of others: another family's of our name, one that merely begins like ours, and whatever else there may be.
FOREIGN_TABLES = """
table ip corral { set subnets { type ipv4_addr; flags interval; elements = { 10.42.0.0/16 }; }; }
table inet corral2 { chain forward { type filter hook forward priority 5; ct state established accept; }; }
table inet firewall {
    map ports { type inet_service : verdict; elements = { 22 : accept, 80 : jump web }; }
    set banned { type ipv4_addr; flags timeout; elements = { 192.0.2.77 }; }
    chain web { tcp dport 80 accept comment "ours"; }
    chain input { type filter hook input priority 0; policy accept; tcp dport vmap @ports; }
}
table bridge firewall { chain forward { type filter hook forward priority 0; ether type arp accept; }; }
"""


async def foreign_tables(sandbox: Sandbox) -> list[str]:
    """Each table of others as nft lists it, handles included."""
    tables = json.loads(await nft(sandbox, "-j", "list", "tables"))["nftables"]
    named = [(entry["table"]["family"], entry["table"]["name"]) for entry in tables if "table" in entry]
    others = [name for name in named if name != ("inet", "corral")]
    return [await nft(sandbox, "-s", "-a", "-j", "list", "table", *name) for name in others]


def log_lines(agent: Agent, event: str) -> list[dict[str, Any]]:
    """What the agent has logged of one kind."""
    lines = [json.loads(line) for line in agent.log(1 << 24).splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def cpu_seconds(agent: Agent) -> float:
    """What the process has used so far."""
    fields = Path(f"/proc/{agent.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
