"""A small sandbox without agents, and a bare network."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from corral.sandbox.blueprint import Blueprint, ServiceSpec, StackSpec
from corral.sandbox.namespace import Namespace
from corral.sandbox.topology import Topology
from corral.sandbox.world import Sandbox

SMALL = Blueprint(
    stacks=(
        StackSpec("one", (ServiceSpec(name="a", scale=2, labels={"tier": "a"}), ServiceSpec(name="b"))),
        StackSpec("two", (ServiceSpec(name="a", labels={"tier": "a"}),)),
    )
)
Drop = Callable[[Sandbox, int, str], None]


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def load_rules(namespace: Namespace, chain: str) -> None:
    text = f"table ip witness {{\n chain c {{\n {chain}\n }}\n}}\n"
    with namespace:
        subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)  # noqa: S607


@pytest.fixture
def topology() -> Iterator[Topology]:
    made = Topology(["10.42.1.1", "10.42.2.1"])
    yield made
    made.close()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(SMALL, lag=0.0, agents=False) as made:
        yield made


@pytest.fixture
def drop() -> Drop:
    """Drops what matches, on one host, with bridged packets shown to netfilter."""

    def install(sandbox: Sandbox, host: int, match: str) -> None:
        namespace = sandbox.topology.hosts[host].namespace
        namespace.write_sysctl("net/bridge/bridge-nf-call-iptables", 1)
        load_rules(namespace, f"type filter hook forward priority 0;\n {match} drop")

    return install
