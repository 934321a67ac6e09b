"""The topology: taken of the agent, written for offline use, and read back from a file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import corral
from corral.documents.topology import (
    TopologyContainer,
    TopologyDocument,
    TopologyEndpoint,
    TopologyHost,
    TopologyNetwork,
)
from corral.errors import PolicyError, UnreachableError, UsageError
from corral.model.change import ManagedNetwork
from corral.model.endpoint import Endpoint
from corral.model.entities import Container, Host
from corral.model.topology import Topology
from corral.policy.digest import policy_digest
from corral.policy.document import PolicyDocument, read_document
from corral.policy.rules import OPEN, Policy
from corral.policy.validate import parse_policy
from corral.policy.verdict import Scene
from corral.types import Address, Subnet
from corral.wire.topology import FORMAT, is_topology, read_topology

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from corral.daemon.desk import Desk

STANDARD_INPUT = Path("-")


@dataclass(frozen=True, slots=True)
class LoadedTopology:
    """A topology, and the policy to judge by, understood."""

    topology: Topology
    policy: Policy

    @property
    def scene(self) -> Scene:
        """What `policy.verdict.judge` judges by."""
        return Scene(self.policy, self.subnets, self.endpoints, self.unknown_allowed)

    @property
    def subnets(self) -> tuple[Subnet, ...]:
        """The managed subnets."""
        return self.topology.network.subnets

    @property
    def endpoints(self) -> Mapping[Address, Endpoint]:
        """All endpoints, by address."""
        return self.topology.endpoints

    @property
    def containers(self) -> Mapping[str, Container]:
        """All containers, by uuid."""
        return self.topology.containers

    @property
    def unknown_allowed(self) -> bool:
        """Whether addresses that are no known endpoint are let through."""
        return self.topology.unknown_allowed

    @property
    def raw_policy(self) -> object:
        """The rules as Rancher gave them, or as the policy file has them."""
        return self.topology.network.policy

    @property
    def raw_default(self) -> object:
        """The default action, the same way."""
        return self.topology.network.default_policy_action


def topology_of(desk: Desk, mode: str) -> LoadedTopology:
    """What the desk knows at this moment, as live mappings: see `copied`.

    Raises UnreachableError while it knows nothing.
    """
    scene, network = desk.scene(), desk.network
    if scene is None or network is None:
        raise UnreachableError("nothing is known yet: the agent waits for the metadata service or a first good policy")
    policy, default = desk.raw_policy
    inventory = desk.inventory
    topology = Topology(
        network=replace(network, policy=policy, default_policy_action=default),
        endpoints=scene.endpoints,
        containers=inventory.containers,
        hosts=inventory.hosts,
        self_host=inventory.self_host,
        unknown_allowed=scene.unknown_allowed,
        suspended=desk.facts.opened,
        mode=mode,
        problems=inventory.problems,
    )
    return LoadedTopology(topology, scene.policy)


def copied(loaded: LoadedTopology) -> LoadedTopology:
    """The same with copies of what goes on changing, for another thread."""
    topology = loaded.topology
    copies = replace(topology, endpoints=dict(topology.endpoints), containers=dict(topology.containers))
    return LoadedTopology(copies, loaded.policy)


def load(path: Path, policy: Path | None = None) -> LoadedTopology:
    """Read what `corral topology` printed, or the metadata's root document; `-` is standard input.

    `policy` is a file whose policy replaces the one in there (see `policy.document`). Raises UsageError, which names
    the file, the field and what is allowed.
    """
    return understood(_read(path), "standard input" if path == STANDARD_INPUT else str(path), policy)


def understood(document: bytes, origin: str, policy: Path | None = None) -> LoadedTopology:
    """The same of what has been read from `origin`, which errors name."""
    try:
        topology = read_topology(document) if is_topology(document) else _of_metadata(document)
    except (UsageError, UnreachableError) as error:
        raise UsageError(f"{origin}: {error}") from error
    if policy is None:
        return LoadedTopology(topology, _judged_by(topology, origin))
    given = _policy_of(policy)
    network = replace(topology.network, policy=given.policy, default_policy_action=given.default_policy_action)
    replaced = replace(topology, network=network, suspended=False)
    return LoadedTopology(replaced, _judged_by(replaced, str(policy)))


def topology_document(loaded: LoadedTopology, at: str) -> TopologyDocument:
    """The document for `/v1/topology`; `at` is when it was taken."""
    topology, network = loaded.topology, loaded.topology.network
    return {
        "format": FORMAT,
        "version": corral.__version__,
        "at": at,
        "mode": topology.mode,
        "unknown_endpoints": "allow" if topology.unknown_allowed else "default",
        "suspended": topology.suspended,
        "self_host": topology.self_host,
        "network": _network(network),
        "policy": network.policy,
        "default_policy_action": network.default_policy_action,
        "policy_digest": policy_digest(loaded.policy),
        "hosts": [_host(host) for _, host in sorted(topology.hosts.items())],
        "endpoints": [_endpoint(endpoint) for _, endpoint in sorted(topology.endpoints.items())],
        "containers": [_container(container) for _, container in sorted(topology.containers.items())],
        "problems": [{"where": problem.where, "message": problem.message} for problem in topology.problems],
    }


def topology_in_parts(loaded: LoadedTopology, at: str) -> tuple[TopologyDocument, Mapping[str, Iterator[object]]]:
    """The same with the long lists left empty, and what is in them by name: tens of thousands are made one by one."""
    topology = loaded.topology
    frame = topology_document(LoadedTopology(replace(topology, endpoints={}, containers={}), loaded.policy), at)
    endpoints, containers = topology.endpoints, topology.containers
    return frame, {
        "endpoints": (_endpoint(endpoints[address]) for address in sorted(endpoints)),
        "containers": (_container(containers[uuid]) for uuid in sorted(containers)),
    }


def _read(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error


def _policy_of(path: Path) -> PolicyDocument:
    try:
        return read_document(_read(path).decode())
    except (PolicyError, UnicodeError) as error:
        raise UsageError(f"{path}: {error}") from error


def _judged_by(topology: Topology, origin: str) -> Policy:
    if topology.suspended:
        return OPEN
    try:
        return parse_policy(topology.network.policy, topology.network.default_policy_action)
    except PolicyError as error:
        raise UsageError(f"{origin}: {error}") from error


def _of_metadata(document: bytes) -> Topology:
    """What an agent on the host that the document was fetched on would make of it."""
    from corral.model.inventory import Inventory  # noqa: PLC0415 - a topology needs neither this nor pydantic
    from corral.wire.metadata import SnapshotDecoder  # noqa: PLC0415

    inventory = Inventory()
    inventory.load(SnapshotDecoder().decode(document), 0.0)
    if inventory.network is None:
        problems = "; ".join(map(str, inventory.problems)) or "none has a bridge subnet"
        raise UsageError(f"networks: no managed network found: {problems}")
    return Topology(
        network=inventory.network,
        endpoints=inventory.endpoints,
        containers=inventory.containers,
        hosts=inventory.hosts,
        self_host=inventory.self_host,
        problems=inventory.problems,
    )


def _network(network: ManagedNetwork) -> TopologyNetwork:
    return {
        "uuid": network.uuid,
        "name": network.name,
        "bridge": network.bridge,
        "subnets": [str(subnet) for subnet in network.subnets],
    }


def _host(host: Host) -> TopologyHost:
    return {
        "uuid": host.uuid,
        "name": host.name,
        "environment": host.environment,
        "agent_ip": host.agent_ip,
        "state": host.state,
    }


def _endpoint(endpoint: Endpoint) -> TopologyEndpoint:
    return {
        "address": str(endpoint.address),
        "containers": list(endpoint.containers),
        "local": endpoint.local,
        "system": endpoint.system,
        "stacks": _keys(endpoint.stacks),
        "services": _keys(endpoint.services),
        "labels": [dict(labels) for labels in endpoint.labels],
        "links_to": _keys(endpoint.links_to),
        "links_to_containers": sorted(endpoint.links_to_containers),
        "linked_containers": sorted(endpoint.linked_containers),
    }


def _container(container: Container) -> TopologyContainer:
    return {
        "uuid": container.uuid,
        "name": container.name,
        "environment": container.environment,
        "address": None if container.address is None else str(container.address),
        "network": container.network,
        "network_from": container.network_from,
        "host": container.host,
        "state": container.state,
        "system": container.system,
        "stack": None if container.stack is None else list(container.stack),
        "service": None if container.service is None else list(container.service),
        "ports": list(container.ports),
    }


def _keys(keys: Iterable[tuple[str, ...]]) -> list[list[str]]:
    return [list(key) for key in sorted(keys)]
