from __future__ import annotations

import asyncio
import socket
import threading
from dataclasses import replace

import pytest

from corral.errors import UnreachableError, UsageError
from corral.policy.verdict import judge
from corral.sandbox.blueprint import Blueprint, ServiceSpec, StackSpec, StandaloneSpec
from corral.sandbox.probes import Outcome
from corral.sandbox.records import Sidekick
from corral.sandbox.world import Sandbox
from corral.types import Action, Address, Protocol
from tests.sandbox.conftest import SMALL, open_descriptors


async def test_is_built_as_described(sandbox: Sandbox) -> None:
    assert [container.name for container in sandbox.containers()] == ["one-a-1", "one-a-2", "one-b-1", "two-a-1"]
    hosts = [sandbox.environment.records.hosts[container.host].number for container in sandbox.containers()]
    assert hosts == [0, 1, 0, 1]
    assert sandbox.address("one-b-1") == Address.parse("10.42.1.3")


async def test_containers_come_stop_return_and_go(sandbox: Sandbox) -> None:
    container = await sandbox.start_container("one/b", host=1)
    flow = sandbox.flow("one-a-1", container.name, Protocol.TCP, 80)
    assert await sandbox.probe(flow) is Outcome.ANSWERED
    await sandbox.stop_container(container.name)
    assert sandbox.environment.container(container.name).state == "stopped"
    assert container.name not in {each.name for each in sandbox.containers()}
    await sandbox.restart_container(container.name)
    assert await sandbox.probe(flow) is Outcome.ANSWERED
    await sandbox.remove_container(container.name)
    assert await sandbox.probe(flow) is Outcome.SILENT
    again = await sandbox.start_container("two/a", host=0, address=container.address)
    assert (again.address, await sandbox.probe(flow)) == (container.address, Outcome.ANSWERED)


async def test_sidekicks_standalone_containers_and_aliases() -> None:
    sidekicks = (Sidekick("log", shares_network=True), Sidekick("cache"))
    services = (ServiceSpec(name="web", sidekicks=sidekicks), ServiceSpec(name="alias", kind="dnsService", scale=0))
    blueprint = Blueprint(
        hosts=1,
        stacks=(StackSpec("shop", services), StackSpec("infra", (ServiceSpec(name="dns"),), system=True)),
        standalone=(StandaloneSpec(name="one"), StandaloneSpec(name="two", links={"peer": "one"})),
    )
    async with Sandbox(blueprint, agents=False) as sandbox:
        assert [container.name for container in sandbox.containers()] == [
            "one",
            "shop-web-1",
            "shop-web-cache-1",
            "two",
        ]
        assert sandbox.address("shop-web-log-1") == sandbox.address("shop-web-1")
        assert sandbox.environment.container("infra-dns-1").system
        linked = sandbox.scene().endpoints[sandbox.address("two")].links_to_containers
        assert linked == {sandbox.environment.container("one").uuid}


async def test_the_scene_follows_the_environment(sandbox: Sandbox) -> None:
    flow = sandbox.flow("one-a-1", "two-a-1", Protocol.TCP, 80)
    assert judge(sandbox.scene(), flow).action is Action.ALLOW
    await sandbox.put_policy([{"within": "stack", "action": "allow"}], "deny")
    assert judge(sandbox.scene(), flow).action is Action.DENY
    sandbox.environment.set_system("two", system=True)
    assert sandbox.environment.container("two-a-1").system is False
    assert judge(sandbox.scene(), flow).action is Action.ALLOW


async def test_agents_follow_what_happens() -> None:
    async with Sandbox(replace(SMALL, default_policy_action="deny")) as sandbox:
        flow = sandbox.flow("one-a-1", "one-a-2", Protocol.TCP, 80)
        await sandbox.enforced()
        assert await sandbox.probe(flow) is Outcome.SILENT
        await sandbox.put_policy([{"within": "service", "action": "allow"}], "deny")
        await sandbox.enforced()
        assert await sandbox.probe(flow) is Outcome.ANSWERED
        # What no agent hears of is never enforced, and the wait says what agents say instead.
        for server in sandbox.metadata:
            server.hold()
        await sandbox.rancher.stop()
        sandbox.environment.set_policy([], "deny")
        with pytest.raises(UnreachableError, match="host1"):
            await sandbox.enforced(patience=0.3)


async def test_everything_is_gone_afterwards_also_after_a_cancellation() -> None:
    before = open_descriptors(), socket.if_nameindex(), threading.active_count()
    agents = []

    async def work(started: asyncio.Event) -> None:
        async with Sandbox(SMALL) as sandbox:
            agents.extend(sandbox.agents)
            started.set()
            await asyncio.get_running_loop().create_future()

    started = asyncio.Event()
    task = asyncio.create_task(work(started))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(agents) == 2
    assert not any(agent.alive for agent in agents)
    await asyncio.get_running_loop().shutdown_default_executor()
    assert (open_descriptors(), socket.if_nameindex(), threading.active_count()) == before


async def test_a_failed_build_leaves_nothing() -> None:
    before = open_descriptors()
    broken = replace(SMALL, standalone=(StandaloneSpec(name="x", host=9),))
    with pytest.raises(UsageError, match="host number 9"):
        await Sandbox(broken, agents=False).__aenter__()
    assert open_descriptors() == before
