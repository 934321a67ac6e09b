"""Stacks, services, containers, hosts and networks as values, free of any wire format.

All names that identify something (stack, service) are lower case: the metadata lowers them, the API does not,
and links name them in any case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from corral.types import Address, Problem

OWN_ENVIRONMENT = ""
AGENT_LABEL = "io.corral.agent"  # marks the containers of agents
NO_LABELS: Mapping[str, str] = MappingProxyType({})

# A container in any other state, a missing or unknown one included, still owns its address:
# Rancher's metadata lists stopped containers with theirs, and a state can stick at "starting".
DEAD_STATES = frozenset({"stopped", "removing", "removed", "purging", "purged", "error", "erroring"})


def _no_labels() -> Mapping[str, str]:
    return NO_LABELS


class StackKey(NamedTuple):
    """A stack by its lower-case name, unique in an environment (OWN_ENVIRONMENT is ours)."""

    environment: str
    name: str

    def __str__(self) -> str:
        return f"{self.environment}/{self.name}" if self.environment else self.name


class ServiceKey(NamedTuple):
    """A service by its lower-case names. A sidekick has a key of its own."""

    environment: str
    stack: str
    name: str

    def __str__(self) -> str:
        path = f"{self.stack}/{self.name}"
        return f"{self.environment}/{path}" if self.environment else path


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A stack, by key; `uuid` serves to resolve references of events."""

    key: StackKey
    uuid: str = ""
    system: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRule:
    """One rule of a load balancer's `lb_config`: it links to what any of its fields names."""

    service: str = ""
    selector: str = ""
    container: str = ""
    environment: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service or sidekick. `primary` is the name of the service it is deployed with (its own, mostly)."""

    key: ServiceKey
    uuid: str = ""
    kind: str = "service"
    system: bool = False
    primary: str = ""
    labels: Mapping[str, str] = field(default_factory=_no_labels)
    links: tuple[str, ...] = ()
    port_rules: tuple[PortRule, ...] = ()

    @property
    def primary_key(self) -> ServiceKey:
        """The key of the service that this one counts as."""
        if self.primary in ("", self.key.name):
            return self.key
        return self.key._replace(name=self.primary)


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container. `network_from` is the uuid of the container whose network it shares; `links` are uuids.

    `ports` are those published, as the metadata writes them (see `published`): few containers have any.
    `health` is what Rancher's health check says, of containers with AGENT_LABEL only: others' is of no use here.
    """

    uuid: str
    name: str = ""
    environment: str = OWN_ENVIRONMENT
    address: Address | None = None
    network: str = ""
    network_from: str = ""
    host: str = ""
    state: str = ""
    system: bool = False
    stack: StackKey | None = None
    service: ServiceKey | None = None
    labels: Mapping[str, str] = field(default_factory=_no_labels)
    links: frozenset[str] = frozenset()
    ports: tuple[str, ...] = ()
    health: str = ""

    @property
    def live(self) -> bool:
        """Whether it owns its address: see DEAD_STATES."""
        return self.state not in DEAD_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host of the environment."""

    uuid: str
    name: str = ""
    environment: str = OWN_ENVIRONMENT
    agent_ip: str = ""
    state: str = ""
    labels: Mapping[str, str] = field(default_factory=_no_labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network as listed. `bridge` and `bridge_subnet` are empty unless it has a CNI document that names them.

    `policy` and `default_policy_action` are kept as decoded JSON: `policy.parse` judges them.
    """

    uuid: str
    name: str = ""
    environment: str = OWN_ENVIRONMENT
    state: str = ""
    bridge: str = ""
    bridge_subnet: str = ""
    policy: object = None
    default_policy_action: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A linked environment (or our own): what names it in `environment/stack/service` links."""

    name: str
    region: str = ""
    uuid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything the metadata service says, at one version, keyed by identity.

    Linked environments' objects are in the same maps, told apart by their `environment`
    (the linked environment's `region/name` in lower case, or `name` where it has no region).
    """

    self_host: str = ""
    own: Environment = Environment(name="")
    linked: Mapping[str, Environment] = field(default_factory=dict)
    hosts: Mapping[str, Host] = field(default_factory=dict)
    stacks: Mapping[StackKey, Stack] = field(default_factory=dict)
    services: Mapping[ServiceKey, Service] = field(default_factory=dict)
    containers: Mapping[str, Container] = field(default_factory=dict)
    networks: Mapping[str, Network] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
