"""Small random environments, policies and changes of both; small, so that things meet."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from hypothesis import strategies as st

from corral.model.endpoint import Endpoint
from corral.model.entities import ServiceKey, StackKey
from corral.policy.enforcement import ENFORCE, Enforcement
from corral.policy.rules import Between, Form, FromTo, GroupBy, Policy, Ports, Rule, Scope, Within
from corral.selector import Selector
from corral.types import Action, Address, Flow, Protocol, Subnet

# How many random environments and sequences a property meets; CI asks for more.
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "100"))

SUBNETS = (Subnet.parse("10.42.0.0/16"),)
BRIDGE = "docker0"
ADDRESSES = tuple(Address.parse(f"10.42.0.{number}") for number in range(2, 8))
UNKNOWN = Address.parse("10.42.9.9")
OUTSIDE = Address.parse("192.0.2.1")

_SERVICES = tuple(
    ServiceKey(environment, stack, name)
    for environment, stack, name in (
        ("", "one", "web"),
        ("", "one", "db"),
        ("", "two", "web"),
        ("", "two", "odd name"),
        ("east/other", "one", "web"),
    )
)
NAMES = tuple(f"c{number}" for number in range(8))
_KEYS = ("dept", "Role", "com.rancher.department")
_VALUES = ("qa", "QA", "eng", "a b", "a_b", "")
_SELECTORS = tuple(
    map(
        Selector.parse,
        (
            "dept=qa",
            "dept!=qa",
            "dept",
            "role in (qa, eng)",
            "role notin (qa)",
            "dept=eng, role",
            "com.rancher.department=qa",
        ),
    )
)
_PORTS = (
    Ports(80, 80),
    Ports(80, 80, Protocol.TCP),
    Ports(53, 53, Protocol.UDP),
    Ports(8000, 8080, Protocol.TCP),
    Ports(1, 65535),
)
_PROBES = (
    (Protocol.TCP, 80),
    (Protocol.TCP, 8040),
    (Protocol.UDP, 53),
    (Protocol.UDP, 80),
    (Protocol.ICMP, None),
)


@dataclass(frozen=True)
class Container:
    """What the environment knows of one container; containers with one address share an endpoint."""

    address: Address
    local: bool
    system: bool
    service: ServiceKey | None
    labels: Mapping[str, str]
    links: frozenset[ServiceKey]
    links_to_containers: frozenset[str]


containers = st.builds(
    Container,
    address=st.sampled_from(ADDRESSES),
    local=st.booleans(),
    system=st.sampled_from((False, False, False, False, True)),
    service=st.one_of(st.sampled_from(_SERVICES), st.none()),
    labels=st.dictionaries(st.sampled_from(_KEYS), st.sampled_from(_VALUES), max_size=2),
    links=st.frozensets(st.sampled_from(_SERVICES), max_size=2),
    links_to_containers=st.frozensets(st.sampled_from(NAMES), max_size=2),
)
worlds = st.dictionaries(st.sampled_from(NAMES), containers, max_size=len(NAMES))


def endpoints_of(world: Mapping[str, Container]) -> dict[Address, Endpoint]:
    """Gather containers by address, as the model does."""
    linked = frozenset(name for container in world.values() for name in container.links_to_containers)
    by_address: dict[Address, dict[str, Container]] = {}
    for name in sorted(world):
        by_address.setdefault(world[name].address, {})[name] = world[name]
    return {address: _endpoint(address, sharing, linked) for address, sharing in by_address.items()}


def _endpoint(address: Address, sharing: Mapping[str, Container], linked: frozenset[str]) -> Endpoint:
    every = tuple(sharing.values())
    services = frozenset(container.service for container in every if container.service)
    return Endpoint(
        address=address,
        containers=tuple(sharing),
        local=any(container.local for container in every),
        system=any(container.system for container in every),
        stacks=frozenset(StackKey(service.environment, service.stack) for service in services),
        services=services,
        labels=tuple(container.labels for container in every),
        links_to=frozenset(service for container in every for service in container.links),
        links_to_containers=frozenset(name for container in every for name in container.links_to_containers),
        linked_containers=linked.intersection(sharing),
    )


forms: st.SearchStrategy[Form] = st.one_of(
    st.builds(Within, st.sampled_from(Scope)),
    st.builds(GroupBy, st.sampled_from(_KEYS)),
    st.builds(Between, st.sampled_from(_SELECTORS)),
    st.builds(
        FromTo,
        st.sampled_from(_SELECTORS),
        st.sampled_from(_SELECTORS),
        st.lists(st.sampled_from(_PORTS), max_size=2).map(tuple),
    ),
)
rules = st.builds(Rule, forms, st.sampled_from(Action))
policies = st.builds(Policy, st.lists(rules, max_size=4).map(tuple), st.sampled_from(Action), st.just(value=True))
enforcements = st.builds(Enforcement, audit=st.booleans(), log=st.booleans())
boundaries = st.sampled_from(
    (
        (SUBNETS, BRIDGE),
        (SUBNETS, ""),
        ((Subnet.parse("10.42.0.0/17"), Subnet.parse("10.43.0.0/16")), BRIDGE),
    )
)


@dataclass(frozen=True)
class Put:
    """A container comes or changes."""

    name: str
    container: Container


@dataclass(frozen=True)
class Remove:
    """Containers go."""

    names: frozenset[str]


@dataclass(frozen=True)
class SetPolicy:
    policy: Policy


@dataclass(frozen=True)
class SetBoundary:
    boundary: tuple[tuple[Subnet, ...], str]


@dataclass(frozen=True)
class SetEnforcement:
    enforcement: Enforcement


@dataclass(frozen=True)
class Clear:
    """The managed network is gone."""


Edit = Put | Remove | SetPolicy | SetBoundary | SetEnforcement | Clear

_puts = st.builds(Put, st.sampled_from(NAMES), containers)
edits: st.SearchStrategy[Edit] = st.one_of(
    _puts,
    _puts,
    _puts,
    st.builds(Remove, st.frozensets(st.sampled_from(NAMES), min_size=1, max_size=3)),
    st.builds(SetPolicy, policies),
    st.builds(SetBoundary, boundaries),
    st.builds(SetEnforcement, enforcements),
    st.just(Clear()),
)


@dataclass
class Environment:
    """An environment that edits move, and the endpoints that it has."""

    world: dict[str, Container] = field(default_factory=dict)
    policy: Policy | None = None
    boundary: tuple[tuple[Subnet, ...], str] | None = None
    enforcement: Enforcement = ENFORCE

    def edit(self, edit: Edit) -> None:
        match edit:
            case Put(name, container):
                self.world[name] = container
            case Remove(names):
                self.world = {name: one for name, one in self.world.items() if name not in names}
            case SetPolicy(policy):
                self.policy = policy
            case SetBoundary(boundary):
                self.boundary = boundary
            case SetEnforcement(enforcement):
                self.enforcement = enforcement
            case Clear():
                self.boundary = None

    @property
    def endpoints(self) -> dict[Address, Endpoint]:
        return endpoints_of(self.world)


def difference(before: Mapping[Address, Endpoint], after: Mapping[Address, Endpoint]) -> dict[Address, Endpoint | None]:
    """What a model would tell of the step from one to the other."""
    return {address: after.get(address) for address in (*before, *after) if before.get(address) != after.get(address)}


def flows(addresses: Iterable[Address] = (*ADDRESSES, UNKNOWN, OUTSIDE)) -> Iterator[Flow]:
    """Every pair, with every kind of protocol and port that rules tell apart."""
    ends = tuple(addresses)
    for client in ends:
        for server in ends:
            for protocol, port in _PROBES:
                yield Flow(client, server, protocol, port)
