"""The environment in memory: the last snapshot, corrected by events, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields as fields_of
from dataclasses import replace
from functools import partial
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple, assert_never

from corral.model.addresses import AddressBook
from corral.model.change import Change, ManagedNetwork
from corral.model.derive import Surroundings
from corral.model.endpoint import Endpoint
from corral.model.entities import (
    DEAD_STATES,
    Container,
    Environment,
    Host,
    Network,
    Service,
    ServiceKey,
    Snapshot,
    Stack,
    StackKey,
)
from corral.model.layer import Difference, Fields, Layer, Overlay
from corral.model.linkgraph import LinkGraph
from corral.model.network import Choice, Facts, choose
from corral.model.placement import Placement
from corral.model.updates import ContainerUpdate, NetworkUpdate, ServiceUpdate, StackUpdate, Update
from corral.types import Address, Problem

_TELLING = {"state", "service", "labels"}
# `replace` of dataclasses takes three times as long, and containers are what events are about.
_CONTAINER_FIELDS = tuple(field.name for field in fields_of(Container))
_values_of = attrgetter(*_CONTAINER_FIELDS)


class Overlays(NamedTuple):
    """What events said, by kind."""

    services: Overlay[ServiceKey]
    containers: Overlay[str]
    stacks: Overlay[StackKey]
    networks: Overlay[str]


class Inventory:
    """Snapshots and events go in; what they changed comes out.

    Times are seconds of any clock that never goes back. What an event said wins over snapshots until one confirms
    it, or until it is `overlay_limit` seconds old. What results depends on the last snapshot and on those fields
    alone: a container that has left the snapshot keeps nothing that only the snapshot said of it.
    """

    def __init__(self, *, overlay_limit: float = 60.0) -> None:
        self._snapshot = Snapshot()
        self._services = Layer(limit=overlay_limit, combine=_combine_service)
        combine_container = partial(_combine_container, self._services.effective)
        self._containers = Layer(limit=overlay_limit, combine=combine_container)
        self._stacks = Layer(limit=overlay_limit, combine=_combine_stack)
        self._networks = Layer(limit=overlay_limit, combine=_combine_network)
        self._placement = Placement()
        self._choice = Choice()
        self._choice_is_stale = True
        self._links = LinkGraph(self._services.effective, self._stacks.effective)
        surroundings = Surroundings(self._services.effective, self._stacks.effective, self._links)
        self._addresses = AddressBook(self._containers.effective, surroundings, self._links.names_container)
        self._problems: tuple[Problem, ...] = ()

    def load(self, snapshot: Snapshot, now: float) -> Change:
        """Replace the base by a new snapshot. Costs by what differs; unchanged objects are best the same ones."""
        before, self._snapshot = self._snapshot, snapshot
        # Containers after what they belong to: each service or stack that differs has all of its containers looked at.
        self._take_services(self._services.load(snapshot.services, now))
        self._take_stacks(self._stacks.load(snapshot.stacks, now))
        self._take_containers(self._containers.load(snapshot.containers, now))
        self._take_networks(self._networks.load(snapshot.networks, now))
        self._take_surroundings(before, snapshot)
        return self._settle(problems=snapshot.problems != before.problems)

    def apply(self, update: Update, now: float) -> Change:
        """Take over what an event says of one resource."""
        match update:
            case ContainerUpdate():
                self._take_containers(self._containers.apply(update.uuid, update.fields, now))
            case ServiceUpdate():
                self._take_services(self._services.apply(update.key, update.fields, now))
            case StackUpdate():
                self._take_stacks(self._stacks.apply(update.key, {"system": update.system}, now))
            case NetworkUpdate():
                self._take_networks(self._networks.apply(update.uuid, update.fields, now))
            case _:
                assert_never(update)
        return self._settle()

    def expire(self, now: float) -> Change:
        """Give up what events said too long ago and no snapshot has confirmed."""
        self._take_containers(self._containers.expire(now))
        self._take_services(self._services.expire(now))
        self._take_stacks(self._stacks.expire(now))
        self._take_networks(self._networks.expire(now))
        return self._settle()

    def forget_idle(self, now: float) -> None:
        """Give up only what changes nothing, of what events said too long ago."""
        for layer in (self._containers, self._services, self._stacks, self._networks):
            layer.forget_idle(now)

    def overlays(self) -> Overlays:
        """A copy of what events said that still counts. With the snapshot it is all that the present picture is of."""
        return Overlays(
            self._services.overlay(), self._containers.overlay(), self._stacks.overlay(), self._networks.overlay()
        )

    def recall(self, overlays: Overlays) -> Change:
        """Take over what events said to another inventory of the same snapshot; this one has heard none yet."""
        self._take_services(self._services.recall(overlays.services))
        self._take_containers(self._containers.recall(overlays.containers))
        self._take_stacks(self._stacks.recall(overlays.stacks))
        self._take_networks(self._networks.recall(overlays.networks))
        return self._settle()

    @property
    def snapshot(self) -> Snapshot:
        """The last snapshot."""
        return self._snapshot

    @property
    def network(self) -> ManagedNetwork | None:
        """The managed network, or None where none can be told."""
        return self._choice.network

    @property
    def endpoints(self) -> Mapping[Address, Endpoint]:
        """All endpoints, by address."""
        return MappingProxyType(self._addresses.endpoints)

    @property
    def containers(self) -> Mapping[str, Container]:
        """All containers, live or not, by uuid."""
        return MappingProxyType(self._containers.effective)

    @property
    def services(self) -> Mapping[ServiceKey, Service]:
        """All services and sidekicks, by key."""
        return MappingProxyType(self._services.effective)

    @property
    def stacks(self) -> Mapping[StackKey, Stack]:
        """All stacks, by key."""
        return MappingProxyType(self._stacks.effective)

    @property
    def networks(self) -> Mapping[str, Network]:
        """All networks that are listed, managed or not, by uuid."""
        return MappingProxyType(self._networks.effective)

    @property
    def hosts(self) -> Mapping[str, Host]:
        """All hosts, by uuid."""
        return self._snapshot.hosts

    @property
    def self_host(self) -> str:
        """The uuid of this host, empty while it is not known."""
        return self._snapshot.self_host

    @property
    def environment(self) -> Environment:
        """What names our own environment."""
        return self._snapshot.own

    @property
    def linked(self) -> Mapping[str, Environment]:
        """The linked environments, by the key that their objects carry."""
        return self._snapshot.linked

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All that is wrong with the input at present, sorted."""
        return self._problems

    def endpoint_of(self, container_uuid: str) -> Address | None:
        """The address of the endpoint that a live container belongs to, or None."""
        return self._addresses.endpoint_of(container_uuid)

    def _take_containers(self, differences: Iterable[Difference[str, Container]]) -> None:
        for uuid, old, new in differences:
            self._addresses.change_container(uuid, old, new)
            if not self._choice.watched.isdisjoint(self._placement.move(old, new)):
                self._choice_is_stale = True

    def _take_services(self, differences: Iterable[Difference[ServiceKey, Service]]) -> None:
        came_or_went = set()
        for key, old, new in differences:
            self._links.change_service(key, old, new)
            self._addresses.touch_service(key)
            if old is None or new is None:
                came_or_went.add(key)
            if self._choice.contested:
                self._choice_is_stale = True
        if came_or_went:
            self._take_containers(self._containers.reconsider("service", came_or_went))

    def _take_stacks(self, differences: Iterable[Difference[StackKey, Stack]]) -> None:
        for key, _, _ in differences:
            self._links.change_stack(key)
            self._addresses.touch_stack(key)

    def _take_networks(self, differences: Iterable[Difference[str, Network]]) -> None:
        for _ in differences:
            self._choice_is_stale = True

    def _take_surroundings(self, before: Snapshot, snapshot: Snapshot) -> None:
        if snapshot.self_host != before.self_host:
            self._placement.settle_on(snapshot.self_host, self._containers.effective.values())
        self._links.change_environments(snapshot.own, snapshot.linked)
        old = (before.self_host, before.hosts, before.linked.keys())
        if old != (snapshot.self_host, snapshot.hosts, snapshot.linked.keys()):
            self._choice_is_stale = True

    def _settle(self, *, problems: bool = False) -> Change:
        """What the input changed in all; `problems`: it brought some of its own."""
        before = self._choice
        network = self._choice_is_stale and self._settle_network()
        links = self._links.settle()
        for group in links.groups:
            for key in self._links.members(group) | {group}:
                self._addresses.touch_service(key)
        if links.containers:
            self._addresses.touch_containers(links.containers)
        endpoints = self._addresses.settle()
        problems = self._addresses.settle_problems() or links.problems or self._choice is not before or problems
        return Change(endpoints, network, problems and self._settle_problems())

    def _settle_network(self) -> bool:
        before = self._choice
        self._choice = choose(
            Facts(
                self_host=self._snapshot.self_host,
                linked=self._snapshot.linked,
                hosts=self._snapshot.hosts,
                networks=self._networks.effective,
                services=self._services.effective,
                containers=self._containers.effective,
                placement=self._placement,
            )
        )
        self._choice_is_stale = False
        self._addresses.change_surroundings(self._choice, self._snapshot.self_host)
        return self._choice.network != before.network

    def _settle_problems(self) -> bool:
        found = {*self._snapshot.problems, *self._choice.problems, *self._links.problems(), *self._addresses.problems()}
        problems = tuple(sorted(found, key=lambda problem: (problem.where, problem.message)))
        before, self._problems = self._problems, problems
        return problems != before


def _combine_container(
    services: Mapping[ServiceKey, Service], uuid: str, base: Container | None, fields: Fields
) -> Container | None:
    """A container that only events know exists once they tell all that a rule may ask, and if it is not dead.

    Half of it could be granted more than the whole: its labels may be what a denying rule is about, and so may those
    of its service, so that has to be known too.
    """
    if base is not None:
        return Container(**{**dict(zip(_CONTAINER_FIELDS, _values_of(base), strict=True)), **fields})
    placed = fields.get("network_from") or ("address" in fields and "network" in fields)
    if not placed or not fields.keys() >= _TELLING or fields["state"] in DEAD_STATES:
        return None
    if fields["service"] is not None and fields["service"] not in services:
        return None
    return Container(uuid=uuid, **fields)


def _combine_service(key: ServiceKey, base: Service | None, fields: Fields) -> Service | None:
    """A service that only events know exists once they tell more than its links: its removal tells that it has none."""
    if base is None and fields.keys() <= {"links"}:
        return None
    return replace(base or Service(key=key), **fields)


def _combine_stack(key: StackKey, base: Stack | None, fields: Fields) -> Stack:
    return replace(base or Stack(key=key), **fields)


def _combine_network(uuid: str, base: Network | None, fields: Fields) -> Network:
    return replace(base or Network(uuid=uuid), **fields)
