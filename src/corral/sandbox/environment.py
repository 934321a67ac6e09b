"""The embedded Rancher's environment: what exists, and the verbs that change it. No I/O, no clock."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from types import MappingProxyType
from typing import Any, TypedDict, TypeVar

from corral.errors import UsageError
from corral.model.entities import PortRule
from corral.sandbox.records import (
    ContainerRecord,
    HostRecord,
    NetworkRecord,
    Record,
    Records,
    ServiceRecord,
    Sidekick,
    StackRecord,
)
from corral.sandbox.resources import Json, render_resource, resource_type
from corral.sandbox.topology import BRIDGE, host_address

MANAGED_SUBNET = "10.42.0.0/16"
NOTHING: Mapping[str, str] = MappingProxyType({})
ADDRESSES_OF_BLOCK = 250

_Named = TypeVar("_Named", StackRecord, ContainerRecord)
_Changed = TypeVar("_Changed", StackRecord, ServiceRecord, ContainerRecord, NetworkRecord)


class _Identity(TypedDict):
    id: str
    uuid: str


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """What an event tells: a resource, as the API shows it right after the change."""

    type: str
    id: str
    resource: Json


class Environment:
    """Hosts, stacks, services, containers and networks. `listeners` are called at every change, in order.

    A new environment has the infrastructure that Rancher puts on every host: the overlay's router, its CNI driver
    and the metadata service. Services are named `stack/service`, containers by their name. `bridge` is what the managed
    network's containers hang on.
    """

    def __init__(self, name: str = "Default", *, hosts: int = 2, namespace: str = "1a5", bridge: str = BRIDGE) -> None:
        self._seed = uuid.uuid5(uuid.NAMESPACE_OID, namespace)
        self._ids: dict[str, count[int]] = {}
        self._addresses: dict[str, count[int]] = {}
        self.project_id = namespace
        self.records = Records(name, str(self._seed))
        self.listeners: list[Callable[[ResourceChange], None]] = []
        self._managed = self._add_networks(bridge)
        self._add_infrastructure()
        for _ in range(hosts):
            self.add_host()

    @property
    def network(self) -> NetworkRecord:
        """The managed network, which carries the policy."""
        return self.records.networks[self._managed]

    def host(self, number: int) -> HostRecord:
        """The host `number`, counted from 0. Raises UsageError, as all look-ups do."""
        for host in self.records.hosts.values():
            if host.number == number:
                return host
        raise UsageError(f"the sandbox has no host number {number}")

    def service(self, path: str) -> ServiceRecord:
        """The service `stack/service`."""
        for service in self.records.services.values():
            if self.records.path(service) == path:
                return service
        raise UsageError(f"the sandbox has no service {path!r}")

    def container(self, name: str) -> ContainerRecord:
        """The container of that name."""
        return _by_name(self.records.containers.values(), name, "container")

    def containers_of(self, path: str) -> list[ContainerRecord]:
        """The containers of a service, sidekicks included."""
        service = self.service(path)
        return [container for container in self.records.containers.values() if container.service == service.id]

    def router(self, number: int) -> ContainerRecord:
        """The overlay's router container on the host `number`."""
        return self.container(f"ipsec-ipsec-{number + 1}")

    def add_host(self, labels: Mapping[str, str] = NOTHING) -> HostRecord:
        """A further host, with the infrastructure's containers running on it."""
        number = len(self.records.hosts)
        name, address = f"host{number + 1}", host_address(number)
        host = HostRecord(**self._identity("h"), number=number, name=name, agent_ip=address, labels=dict(labels))
        self._put(host)
        self._start_infrastructure(host)
        return host

    def add_stack(self, name: str, *, system: bool = False) -> StackRecord:
        """A stack without services."""
        stack = StackRecord(**self._identity("st"), name=name, system=system)
        self._put(stack)
        return stack

    def add_service(
        self,
        path: str,
        *,
        kind: str = "service",
        labels: Mapping[str, str] = NOTHING,
        links: Mapping[str, str] = NOTHING,
        sidekicks: Sequence[Sidekick] = (),
        port_rules: Sequence[PortRule] = (),
        system: bool = False,
    ) -> ServiceRecord:
        """A service without containers, in a stack that exists."""
        stack, _, name = path.partition("/")
        service = ServiceRecord(
            **self._identity("s"),
            name=name,
            stack=_by_name(self.records.stacks.values(), stack, "stack").id,
            kind=kind,
            system=system,
            labels=dict(labels),
            links=dict(links),
            sidekicks=tuple(sidekicks),
            port_rules=tuple(port_rules),
        )
        self._put(service)
        return service

    def create_container(
        self,
        service: str | None = None,
        *,
        host: int = 0,
        name: str | None = None,
        launch: str = "",
        network_from: str | None = None,
        labels: Mapping[str, str] = NOTHING,
        links: Mapping[str, str] = NOTHING,
        network: str | None = None,
    ) -> ContainerRecord:
        """A container in state `creating`, still without an address; standalone when no service is named.

        `launch` makes it one of the service's sidekicks, `network_from` shares the network of another container,
        `links` maps link names to names of containers, and `network` names another network than the managed one.
        """
        owner = self.service(service) if service else None
        name = name or self._container_name(owner, launch)
        identity = self._identity("i")
        own = self._labels(identity["uuid"], name, owner, launch)
        networks = {record.name: record.id for record in self.records.networks.values()}
        container = ContainerRecord(
            **identity,
            name=name,
            host=self.host(host).id,
            network=networks[network] if network else self._managed,
            system=bool(owner and owner.system),
            stack=owner.stack if owner else None,
            service=owner.id if owner else None,
            launch=launch,
            network_from=self.container(network_from).id if network_from else None,
            labels={**own, **labels},
            links={alias: self.container(target).id for alias, target in links.items()},
            create_index=len(self.records.containers) + 1,
        )
        self._put(container)
        return container

    def allocate_address(self, host: int) -> str:
        """The next address for a container of this host."""
        number = next(self._addresses.setdefault(self.host(host).id, count(0)))
        block, offset = divmod(number, ADDRESSES_OF_BLOCK)
        return f"10.42.{host + 1 + 16 * block}.{offset + 1}"

    def set_running(self, name: str, address: str | None, *, external_id: str | None = None) -> ContainerRecord:
        """The container runs at `address`; None for one that shares another's network or is on none.

        `external_id` is Docker's id for it, where there is a Docker.
        """
        container = self.container(name)
        docker_id = external_id or container.external_id or container.uuid.replace("-", "") * 2
        return self._update(container, state="running", address=address, external_id=docker_id)

    def set_state(self, name: str, state: str) -> ContainerRecord:
        """Put a container into any state."""
        return self._update(self.container(name), state=state)

    def set_health(self, name: str, health: str | None) -> ContainerRecord:
        """What the health check says of a container; None without one."""
        return self._update(self.container(name), health=health)

    def stop_container(self, name: str) -> ContainerRecord:
        """Stop a container. It stays listed, with its address, as in Rancher."""
        self.set_state(name, "stopping")
        return self.set_state(name, "stopped")

    def remove_container(self, name: str) -> None:
        """Remove a container for good; its last event shows it as removed."""
        self.set_state(name, "removing")
        container = self.set_state(name, "removed")
        del self.records.containers[container.id]

    def set_container_labels(self, name: str, labels: Mapping[str, str]) -> ContainerRecord:
        """Replace what a user gave to a container as labels; Rancher's own stay."""
        container = self.container(name)
        own = {key: value for key, value in container.labels.items() if key.startswith("io.rancher.")}
        return self._update(container, labels={**own, **labels})

    def publish_ports(self, name: str, *ports: str) -> ContainerRecord:
        """Say that ports of a container's host lead to it, such as `0.0.0.0:8080:80/tcp`."""
        return self._update(self.container(name), ports=ports)

    def set_service_labels(self, path: str, labels: Mapping[str, str]) -> None:
        """Replace the labels of a service and of its primary containers."""
        self._update(self.service(path), labels=dict(labels))
        for container in self.containers_of(path):
            if not container.launch:
                self.set_container_labels(container.name, labels)

    def set_links(self, path: str, links: Mapping[str, str]) -> ServiceRecord:
        """Replace the links of a service: `stack/service` (or `environment/stack/service`) to alias."""
        return self._update(self.service(path), links=dict(links))

    def set_system(self, stack: str, *, system: bool) -> StackRecord:
        """Make a stack infrastructure, or not."""
        return self._update(_by_name(self.records.stacks.values(), stack, "stack"), system=system)

    def set_policy(self, policy: object, default_action: object) -> NetworkRecord:
        """Replace the managed network's policy; nothing is validated."""
        return self._update(self.network, policy=policy, default_policy_action=default_action)

    def _add_networks(self, bridge: str) -> str:
        for name in ("host", "none", "container", "bridge"):
            kind = f"docker{name.title()}" if name != "none" else "dockerNone"
            self._put(NetworkRecord(**self._identity("n"), name=name, kind=kind))
        cni = {
            "name": "rancher-cni-network",
            "type": "rancher-bridge",
            "bridge": bridge,
            "bridgeSubnet": MANAGED_SUBNET,
        }
        managed = NetworkRecord(**self._identity("n"), name="ipsec", kind="cniNetwork", cni=cni)
        self._put(managed)
        return managed.id

    def _add_infrastructure(self) -> None:
        for stack in ("ipsec", "network-services"):
            self.add_stack(stack, system=True)
        self.add_service("ipsec/ipsec", system=True)
        self.add_service("ipsec/cni-driver", kind="networkDriverService", system=True)
        self.add_service("network-services/metadata", system=True)

    def _start_infrastructure(self, host: HostRecord) -> None:
        router = self.create_container("ipsec/ipsec", host=host.number)
        self.set_running(router.name, self.allocate_address(host.number))
        for path in ("ipsec/cni-driver", "network-services/metadata"):
            container = self.create_container(path, host=host.number, network="host")
            self.set_running(container.name, host.agent_ip)

    def _container_name(self, service: ServiceRecord | None, launch: str) -> str:
        if service is None:
            return f"standalone-{len(self.records.containers) + 1}"
        prefix = "-".join(filter(None, (self.records.stacks[service.stack].name, service.name, launch)))
        taken = {container.name for container in self.records.containers.values()}
        return next(name for number in count(1) if (name := f"{prefix}-{number}") not in taken)

    def _labels(self, container_uuid: str, name: str, service: ServiceRecord | None, launch: str) -> dict[str, str]:
        """What Rancher writes on a container itself, and what it copies from the service."""
        own = {"io.rancher.container.uuid": container_uuid, "io.rancher.container.name": name}
        if service is None:
            return own
        given = next((sidekick.labels for sidekick in service.sidekicks if sidekick.name == launch), service.labels)
        return {
            **own,
            "io.rancher.stack.name": self.records.stacks[service.stack].name,
            "io.rancher.stack_service.name": self.records.path(service),
            "io.rancher.service.launch.config": launch or "io.rancher.service.primary.launch.config",
            **given,
        }

    def _identity(self, prefix: str) -> _Identity:
        number = next(self._ids.setdefault(prefix, count(1)))
        resource_id = f"1{prefix}{number}"
        return {"id": resource_id, "uuid": str(uuid.uuid5(self._seed, resource_id))}

    def _update(self, record: _Changed, **fields: Any) -> _Changed:
        changed = replace(record, **fields)
        self._put(changed)
        return changed

    def _put(self, record: Record) -> None:
        self.records.put(record)
        change = ResourceChange(resource_type(record), record.id, render_resource(self.records, record))
        for listener in self.listeners:
            listener(change)


def _by_name(records: Iterable[_Named], name: str, kind: str) -> _Named:
    for record in records:
        if record.name == name:
            return record
    raise UsageError(f"the sandbox has no {kind} {name!r}")
