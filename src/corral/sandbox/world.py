"""The whole sandbox: environment, network, servers and agents, put together and taken apart."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from itertools import cycle
from typing import Any, Self, TypeVar

from msgspec.json import encode

from corral.errors import UnreachableError
from corral.model.inventory import Inventory
from corral.policy.validate import parse_policy
from corral.policy.verdict import Scene
from corral.sandbox.agents import Agent
from corral.sandbox.blueprint import Blueprint, ServiceSpec
from corral.sandbox.documents import render_root
from corral.sandbox.environment import NOTHING, Environment
from corral.sandbox.exchange import request
from corral.sandbox.listeners import Listeners
from corral.sandbox.metadata_server import MetadataServer
from corral.sandbox.namespace import Namespace
from corral.sandbox.probes import PATIENCE, Outcome, probe, probe_all
from corral.sandbox.rancher_server import RancherServer
from corral.sandbox.records import ContainerRecord
from corral.sandbox.streams import Prober, Stream
from corral.sandbox.topology import Topology
from corral.types import Address, Flow, Protocol
from corral.wire.metadata import SnapshotDecoder

POLL = 0.02

_Result = TypeVar("_Result")


class Sandbox:
    """`async with Sandbox(blueprint) as sandbox:` builds it, starts its servers and agents, and ends it all.

    Containers are named as in `environment`. `lag` is how far the metadata trails, `settings` go to every agent as
    environment variables. Agents are started but not waited for: see `ready` and `enforced`.
    """

    def __init__(
        self,
        blueprint: Blueprint,
        *,
        lag: float = 1.0,
        agents: bool = True,
        settings: Mapping[str, str] = NOTHING,
        least_privilege: bool = False,
    ) -> None:
        self.environment = Environment(hosts=blueprint.hosts)
        self.metadata: list[MetadataServer] = []
        self.agents: list[Agent] = []
        self.listeners: dict[str, Listeners] = {}
        self.topology: Topology
        self.rancher: RancherServer
        self._blueprint = blueprint
        self._lag = lag
        self._settings = settings
        self._least_privilege = least_privilege
        self._with_agents = agents
        self._turn = cycle(range(blueprint.hosts))
        self._open = AsyncExitStack()
        # Everything that speaks netlink happens in this one thread.
        self._builder = ThreadPoolExecutor(1, thread_name_prefix="sandbox-builder")

    async def __aenter__(self) -> Self:
        try:
            await self._build()
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    # ---- what is there

    @property
    def hosts(self) -> range:
        """The numbers of all hosts."""
        return range(len(self.topology.hosts))

    def containers(self) -> list[ContainerRecord]:
        """Every running application container that has a network of its own, by name."""
        here = [
            container
            for container in self.environment.records.containers.values()
            if container.address in self.listeners and not container.system and container.state == "running"
        ]
        return sorted(here, key=lambda container: container.name)

    def address(self, name: str) -> Address:
        """The address that a container answers at, its own or that of the container whose network it shares."""
        container = self.environment.container(name)
        if container.network_from is not None:
            container = self.environment.records.containers[container.network_from]
        return Address.parse(container.address or "")

    def namespace(self, name: str) -> Namespace:
        """The namespace of a container."""
        return self.topology.containers[str(self.address(name))]

    def flow(self, client: str, server: str, protocol: Protocol, port: int | None = None) -> Flow:
        """A flow between two containers, by their names."""
        return Flow(self.address(client), self.address(server), protocol, port)

    def scene(self) -> Scene:
        """What the reference verdict judges by, from this environment as the metadata shows it."""
        return scene_of(self.environment)

    # ---- traffic

    async def probe(self, flow: Flow, *, patience: float = PATIENCE) -> Outcome:
        """Probe one flow."""
        return await probe(self.topology.containers[str(flow.client)], flow, patience=patience)

    async def probe_all(self, flows: Sequence[Flow], *, patience: float = PATIENCE) -> dict[Flow, Outcome]:
        """Probe many flows side by side."""
        return await probe_all(self.topology.containers, flows, patience=patience)

    def stream(self, flow: Flow) -> Stream:
        """An open TCP stream, to be entered by `async with`."""
        return Stream(self.topology.containers[str(flow.client)], self.listeners[str(flow.server)], flow)

    def prober(self, flow: Flow, *, rate: float = 200.0) -> Prober:
        """A steady series of datagrams; the server need not exist yet."""
        server = self.listeners.get(str(flow.server))
        return Prober(self.topology.containers[str(flow.client)], server, flow, rate=rate)

    # ---- changes

    async def start_container(
        self,
        service: str | None = None,
        *,
        host: int = 0,
        name: str | None = None,
        address: str | None = None,
        launch: str = "",
        network_from: str | None = None,
        labels: Mapping[str, str] = NOTHING,
        links: Mapping[str, str] = NOTHING,
    ) -> ContainerRecord:
        """Create a container and start it, as Rancher does: its network first, then the news that it runs."""
        container = self.environment.create_container(
            service, host=host, name=name, launch=launch, network_from=network_from, labels=labels, links=links
        )
        self.environment.set_state(container.name, "starting")
        if network_from is not None:
            return self.environment.set_running(container.name, None)
        address = address or self.environment.allocate_address(host)
        await self._plug(host, address)
        return self.environment.set_running(container.name, address)

    async def stop_container(self, name: str) -> None:
        """Stop a container; Rancher goes on listing it, with its address."""
        self.environment.set_state(name, "stopping")
        await self._unplug(name)
        self.environment.set_state(name, "stopped")

    async def restart_container(self, name: str) -> None:
        """Start a stopped container again, at the address it had."""
        container = self.environment.set_state(name, "starting")
        if container.address is not None:
            await self._plug(self.environment.records.hosts[container.host].number, container.address)
        self.environment.set_running(name, container.address)

    async def remove_container(self, name: str) -> None:
        """Remove a container for good; its address is free."""
        await self._unplug(name)
        self.environment.remove_container(name)

    async def put_policy(self, policy: object, default_action: object) -> None:
        """Set the policy through the API, as a user does. Raises UnreachableError when the API refuses it."""
        url = f"{self.rancher.url.removesuffix('/v1')}/v2-beta/projects/{self.environment.project_id}"
        answer = await request(
            self.topology.underlay,
            f"{url}/networks/{self.environment.network.id}",
            method="PUT",
            keys=(self.rancher.access_key, self.rancher.secret_key),
            body={"policy": policy, "defaultPolicyAction": default_action},
        )
        if answer.status != 200:
            raise UnreachableError(f"the Rancher API refuses the policy: {answer.body.decode()}")

    # ---- waiting

    async def ready(self, patience: float = 20.0) -> None:
        """Wait until every agent says that it is ready. Raises UnreachableError with what each says instead."""
        await self._until(lambda state: state["status"] == "ready", patience)

    async def enforced(self, patience: float = 20.0) -> None:
        """Wait until every agent enforces the present policy and knows every endpoint. Raises UnreachableError."""
        scene = self.scene()
        await self._until(lambda state: in_force(scene, state), patience)

    async def _until(self, holds: Callable[[dict[str, Any]], bool], patience: float) -> None:
        last: dict[str, object] = {}
        waiting = list(self.agents)
        try:
            async with asyncio.timeout(patience):
                while waiting:
                    for agent in tuple(waiting):
                        last[agent.name] = state = await _state_of(agent)
                        if isinstance(state, dict) and holds(state):
                            waiting.remove(agent)
                    await asyncio.sleep(POLL if waiting else 0)
        except TimeoutError:
            told = "\n".join(f"{agent.name}: {last.get(agent.name)}\n{agent.log()}" for agent in waiting)
            raise UnreachableError(f"after {patience:g} s agents are not where they should be:\n{told}") from None

    # ---- building

    async def _build(self) -> None:
        _allow_many_sockets()
        self._open.callback(self._builder.shutdown)
        hosts = range(self._blueprint.hosts)
        routers = [self.environment.router(number).address or "" for number in hosts]
        self.topology = await self._in_builder(Topology, routers)
        self._open.push_async_callback(self._in_builder, self.topology.close)
        self._open.callback(self._close_listeners)
        for address in routers:
            self.listeners[address] = Listeners(self.topology.containers[address])
        await self._populate()
        await self._start_servers()
        if self._with_agents:
            self._start_agents()

    async def _populate(self) -> None:
        blueprint = self._blueprint
        self.environment.set_policy(blueprint.policy, blueprint.default_policy_action)
        for stack in blueprint.stacks:
            self.environment.add_stack(stack.name, system=stack.system)
            for service in stack.services:
                await self._add_service(f"{stack.name}/{service.name}", service, system=stack.system)
        for spec in blueprint.standalone:
            await self.start_container(host=spec.host, name=spec.name, labels=spec.labels, links=spec.links)

    async def _add_service(self, path: str, spec: ServiceSpec, *, system: bool) -> None:
        self.environment.add_service(
            path,
            kind=spec.kind,
            labels=spec.labels,
            links=spec.links,
            sidekicks=spec.sidekicks,
            port_rules=spec.port_rules,
            system=spec.system or system,
        )
        hosts = cycle(spec.hosts) if spec.hosts else self._turn
        for _ in range(spec.scale):
            host = next(hosts)
            primary = await self.start_container(path, host=host)
            for sidekick in spec.sidekicks:
                shared = primary.name if sidekick.shares_network else None
                await self.start_container(path, host=host, launch=sidekick.name, network_from=shared)

    async def _start_servers(self) -> None:
        self.rancher = RancherServer(self.environment, self.topology.underlay)
        self._open.push_async_callback(self.rancher.stop)
        await self.rancher.start()
        for host in self.topology.hosts:
            server = MetadataServer(self.environment, host.number, host.namespace, lag=self._lag)
            self.metadata.append(server)
            self._open.push_async_callback(server.close)
            await server.start()

    def _start_agents(self) -> None:
        settings = {
            "CATTLE_URL": self.rancher.url,
            "CATTLE_ACCESS_KEY": self.rancher.access_key,
            "CATTLE_SECRET_KEY": self.rancher.secret_key,
            **self._settings,
        }
        self._open.push_async_callback(self._stop_agents)
        for host in self.topology.hosts:
            name = self.environment.host(host.number).name
            agent = Agent(name, host.namespace, settings, least_privilege=self._least_privilege)
            self.agents.append(agent)
            agent.start()

    async def _stop_agents(self) -> None:
        try:
            await asyncio.gather(*(agent.stop() for agent in self.agents))
        finally:
            for agent in self.agents:
                agent.close()

    async def _plug(self, host: int, address: str) -> None:
        namespace = await self._in_builder(self.topology.add_container, host, address)
        self.listeners[address] = Listeners(namespace)

    async def _unplug(self, name: str) -> None:
        container = self.environment.container(name)
        listeners = self.listeners.pop(container.address or "", None)
        if listeners is not None and container.address is not None:
            listeners.close()
            host = self.environment.records.hosts[container.host].number
            await self._in_builder(self.topology.remove_container, host, container.address)

    def _close_listeners(self) -> None:
        for listeners in self.listeners.values():
            listeners.close()

    async def _in_builder(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._builder, work, *arguments)


def scene_of(environment: Environment) -> Scene:
    """What the reference verdict judges by, from an environment as the metadata shows it."""
    network = environment.network
    inventory = Inventory()
    document = render_root(environment.records, environment.host(0))
    inventory.load(SnapshotDecoder().decode(encode(document)), 0.0)
    return Scene(
        policy=parse_policy(network.policy, network.default_policy_action),
        subnets=inventory.network.subnets if inventory.network else (),
        endpoints=inventory.endpoints,
    )


def in_force(scene: Scene, state: Mapping[str, Any]) -> bool:
    """Whether an agent says that the kernel holds the scene's policy, for every endpoint of it."""
    policy = state["policy"]
    default = str(scene.policy.default) if scene.policy.default_is_set else "not set (allow)"
    return (
        state["status"] == "ready"
        and policy["in_force"]
        and (policy["default"], policy["rules"]) == (default, [str(rule) for rule in scene.policy.rules])
        and state["inventory"]["endpoints"] == len(scene.endpoints)
        and not state["kernel"]["pending"]
    )


async def _state_of(agent: Agent) -> dict[str, Any] | str:
    """What an agent says; an error that time may heal is text."""
    try:
        return await agent.state()
    except UnreachableError as error:
        if not agent.alive:
            raise
        return str(error)


def _allow_many_sockets() -> None:
    """Hundreds of probes at once need more descriptors than the usual soft limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
