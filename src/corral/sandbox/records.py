"""What the embedded Rancher keeps of each object. Ids are the API's (`1i42`), uuids the metadata's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from corral.model.entities import PortRule


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRecord:
    """A host; `number` counts from 0."""

    id: str
    uuid: str
    number: int
    name: str
    agent_ip: str
    labels: Mapping[str, str] = field(default_factory=dict)
    state: str = "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class StackRecord:
    """A stack."""

    id: str
    uuid: str
    name: str
    system: bool = False
    state: str = "active"


@dataclass(frozen=True, slots=True)
class Sidekick:
    """A secondary launch configuration. `shares_network`: its containers have their primary's network."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    shares_network: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRecord:
    """A service; `links` maps `stack/service` to an alias, `stack` is the stack's id."""

    id: str
    uuid: str
    name: str
    stack: str
    kind: str = "service"
    system: bool = False
    state: str = "active"
    scale: int = 1
    labels: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    sidekicks: tuple[Sidekick, ...] = ()
    port_rules: tuple[PortRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRecord:
    """A container; `host`, `stack`, `service`, `network`, `network_from` and the values of `links` are ids.

    `launch` names the sidekick that it is, and is empty for a service's primary container. `ports` are the published
    ones, as the metadata writes them. `external_id` is Docker's.
    """

    id: str
    uuid: str
    name: str
    host: str
    network: str
    state: str = "creating"
    health: str | None = None
    address: str | None = None
    system: bool = False
    stack: str | None = None
    service: str | None = None
    launch: str = ""
    network_from: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    create_index: int = 1
    start_count: int = 1
    external_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRecord:
    """A network; `cni` is the CNI document of a managed one."""

    id: str
    uuid: str
    name: str
    kind: str
    state: str = "active"
    cni: Mapping[str, object] | None = None
    policy: object = None
    default_policy_action: object = None


Record = HostRecord | StackRecord | ServiceRecord | ContainerRecord | NetworkRecord


@dataclass(slots=True)
class Records:
    """Everything in one environment, by id."""

    name: str
    uuid: str
    hosts: dict[str, HostRecord] = field(default_factory=dict)
    stacks: dict[str, StackRecord] = field(default_factory=dict)
    services: dict[str, ServiceRecord] = field(default_factory=dict)
    containers: dict[str, ContainerRecord] = field(default_factory=dict)
    networks: dict[str, NetworkRecord] = field(default_factory=dict)

    def put(self, record: Record) -> None:
        """Add a record, or replace the one of its id."""
        match record:
            case HostRecord():
                self.hosts[record.id] = record
            case StackRecord():
                self.stacks[record.id] = record
            case ServiceRecord():
                self.services[record.id] = record
            case ContainerRecord():
                self.containers[record.id] = record
            case NetworkRecord():
                self.networks[record.id] = record

    def copy(self) -> Records:
        """The same at this moment; records themselves never change."""
        return Records(
            self.name,
            self.uuid,
            dict(self.hosts),
            dict(self.stacks),
            dict(self.services),
            dict(self.containers),
            dict(self.networks),
        )

    def path(self, service: ServiceRecord) -> str:
        """`stack/service`."""
        return f"{self.stacks[service.stack].name}/{service.name}"
