"""The hosts of the environment, and their agents as Rancher's metadata shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

from corral.daemon.desk import Desk
from corral.documents.hosts import EnvironmentHost, Hosts
from corral.model.entities import AGENT_LABEL, OWN_ENVIRONMENT, Container, Host, ServiceKey, Snapshot
from corral.slices import Slices

AgentState = Literal["this", "running", "unhealthy", "unknown", "missing"]

HOW = (
    "From Rancher's metadata, for agents do not talk to each other: an agent's container is one with the label "
    f"{AGENT_LABEL}=true, or of a service that has such a one, and it is as well as Rancher's health check of it says, "
    "which asks whether it lives, not whether it is ready. That is some seconds old; which policy the others hold, and "
    "agents that Rancher did not start, it does not tell."
)
UNRECOGNISED = (
    f" No container of this host has the label, though this agent runs here: without a label {AGENT_LABEL}=true on "
    "the agents' service, none can be told to be missing."
)

_HEALTH: Mapping[str, AgentState] = {
    "healthy": "running",
    "updating-healthy": "running",
    "unhealthy": "unhealthy",
    "updating-unhealthy": "unhealthy",
}
# What the metadata says of a host that Rancher has lost is what it knew last.
_LOST = frozenset({"disconnected", "disconnecting", "reconnecting"})
# Of several agents' containers on a host, the best one counts: an upgrade has two for a while.
_BEST_FIRST: tuple[AgentState, ...] = ("running", "unknown", "unhealthy")


class HostReport:
    """Implements `corral.web.hosts.HostsView`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._seen: Snapshot | None = None
        self._agents: Mapping[str, AgentState] = {}

    async def hosts(self) -> Hosts:
        """All hosts of this environment. Counting the endpoints gives others their turns."""
        states = self._states()
        endpoints = await self._endpoints()
        snapshot = self._desk.inventory.snapshot
        entries = [_entry(host, states.get(host.uuid, "unknown"), endpoints[host.uuid]) for host in _own(snapshot)]
        return {
            "how": HOW if self._recognised(snapshot) else HOW + UNRECOGNISED,
            "hosts": sorted(entries, key=lambda entry: (entry["name"], entry["uuid"])),
        }

    def counts(self) -> dict[str, int]:
        """How many hosts have an agent in which state; this one runs."""
        numbers = Counter(self._states().values())
        return {
            "running": numbers["running"] + numbers["this"],
            "unhealthy": numbers["unhealthy"],
            "unknown": numbers["unknown"],
            "missing": numbers["missing"],
        }

    def agents(self) -> Mapping[str, AgentState]:
        """The state of the agent of each host of this environment, by the hosts' uuids."""
        return self._states()

    def _states(self) -> Mapping[str, AgentState]:
        """By host; worked out anew for each snapshot only, since it takes a look at each container."""
        snapshot = self._desk.inventory.snapshot
        if snapshot is not self._seen:
            self._agents = agents_of(snapshot)
            self._seen = snapshot
        absent: AgentState = "missing" if self._recognised(snapshot) else "unknown"
        states = {host.uuid: self._agents.get(host.uuid, absent) for host in _own(snapshot)}
        if snapshot.self_host in states:
            states[snapshot.self_host] = "this"
        return states

    def _recognised(self, snapshot: Snapshot) -> bool:
        """Whether this very agent would be found: if not, nor would others."""
        return snapshot.self_host in self._agents

    async def _endpoints(self) -> Counter[str]:
        """Application endpoints by host."""
        slices, numbers = Slices(), Counter[str]()
        containers = self._desk.inventory.containers
        for endpoint in tuple(self._desk.endpoints.values()):
            container = containers.get(endpoint.containers[0])
            if container is not None and not endpoint.system:
                numbers[container.host] += 1
            await slices.rest()
        return numbers


def agents_of(snapshot: Snapshot) -> dict[str, AgentState]:
    """The state of the agent on each host that has one, as the metadata shows it."""
    states: dict[str, AgentState] = {}
    for container in _agent_containers(snapshot):
        host = snapshot.hosts.get(container.host)
        found = "unknown" if host is not None and host.state in _LOST else _state(container)
        before = states.get(container.host, found)
        states[container.host] = min(before, found, key=_BEST_FIRST.index)
    return states


def _agent_containers(snapshot: Snapshot) -> Iterable[Container]:
    containers = snapshot.containers.values()
    labelled = [container for container in containers if _is_labelled(container.labels)]
    services: set[ServiceKey | None] = {container.service for container in labelled}
    services |= {key for key, service in snapshot.services.items() if _is_labelled(service.labels)}
    services.discard(None)
    if not services:
        return labelled
    return [one for one in containers if _is_labelled(one.labels) or one.service in services]


def _is_labelled(labels: Mapping[str, str]) -> bool:
    return bool(labels) and labels.get(AGENT_LABEL, "").lower() == "true"


def _state(container: Container) -> AgentState:
    if not container.live:
        return "unhealthy"
    return _HEALTH.get(container.health, "unknown") if container.state == "running" else "unknown"


def _own(snapshot: Snapshot) -> Iterable[Host]:
    return [host for host in snapshot.hosts.values() if host.environment == OWN_ENVIRONMENT]


def _entry(host: Host, agent: AgentState, endpoints: int) -> EnvironmentHost:
    return {
        "name": host.name,
        "uuid": host.uuid,
        "address": host.agent_ip,
        "state": host.state,
        "this": agent == "this",
        "agent": agent,
        "endpoints": endpoints,
    }
