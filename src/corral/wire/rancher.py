"""Rancher's API resources and event messages, translated into updates of the model.

References are API ids. A resource that refers to one not known yet yields no update at all: half of what it
says could grant more than the whole (its labels an allowing rule, its service the denying one before). The
unknown ids are reported instead; once they are learned, the message is translated anew. What is dead needs no
references. Labels are users' to write, so they never tell a container's stack or service: they only choose
among the sidekicks of the service that the server names. Events are to come in the order of their times: see
`wire.latest`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import NamedTuple

from msgspec import UNSET
from pydantic import ValidationError

from corral.model.entities import DEAD_STATES, StackKey
from corral.model.updates import (
    ContainerFields,
    ContainerUpdate,
    NetworkFields,
    NetworkUpdate,
    ServiceFields,
    ServiceUpdate,
    StackUpdate,
    Update,
)
from corral.types import Problem
from corral.wire.decode import decode
from corral.wire.directory import Directory, Lookups, Reference, UnresolvedError
from corral.wire.events import Event, Kind
from corral.wire.fields import problem_of
from corral.wire.labels import launch_config
from corral.wire.resources import (
    GONE,
    TELLING_NULLS,
    ContainerResource,
    HostResource,
    NetworkResource,
    PlainContainer,
    Resource,
    ServiceResource,
    SidekickResource,
    StackResource,
    without_nulls,
)

MODELS: Mapping[str, type[Resource]] = {
    "hosts": HostResource,
    "networks": NetworkResource,
    "stacks": StackResource,
    "services": ServiceResource,
    "containers": ContainerResource,
}


class Translation(NamedTuple):
    """What a message, or a collection, says. `unresolved` are ids to learn before it is translated anew."""

    kind: Kind
    updates: tuple[Update, ...] = ()
    problems: tuple[Problem, ...] = ()
    unresolved: tuple[Reference, ...] = ()


class EventTranslator:
    """Knows what API ids stand for, from collections (`learn`) and from events (`translate`)."""

    def __init__(self) -> None:
        self._directory = Directory()

    def learn(self, collection: str, resources: Iterable[object]) -> Translation:
        """Take up resources of a collection, and say what they tell."""
        parts = [self._translated(collection, resource) for resource in resources]
        return Translation(
            Kind.CHANGE,
            tuple(update for part in parts for update in part.updates),
            tuple(problem for part in parts for problem in part.problems),
            tuple(dict.fromkeys(reference for part in parts for reference in part.unresolved)),
        )

    def forget_others(self, collection: str, there: Set[Reference]) -> None:
        """Forget all of a collection but what is there."""
        self._directory.forget_others(collection, {reference.id for reference in there})

    def translate(self, event: Event) -> Translation:
        """Translate one event. Never raises, whatever its resource is."""
        if event.reference is None:
            return Translation(event.kind)
        if event.resource is None:
            return Translation(event.kind, unresolved=(event.reference,))
        if isinstance(event.resource, PlainContainer):
            return self._told(event.resource)
        return self._translated(event.reference.collection, event.resource)

    def _translated(self, collection: str, raw: object) -> Translation:
        if collection not in MODELS:
            raise ValueError(f"{collection}: not a collection that is followed")
        try:
            resource, faults = decode(MODELS[collection], without_nulls(raw, TELLING_NULLS.get(collection, ())))
        except ValidationError as error:
            return Translation(Kind.CHANGE, problems=(problem_of(_named(collection, raw), error),))
        except RecursionError:
            return Translation(Kind.CHANGE, problems=(Problem(_named(collection, raw), "nested too deeply"),))
        problems = (Problem(_named(collection, raw), faults),) if faults else ()
        told = PlainContainer.of(resource) if isinstance(resource, ContainerResource) else resource
        return self._told(told, problems)

    def _told(self, resource: Resource | PlainContainer, problems: tuple[Problem, ...] = ()) -> Translation:
        try:
            return Translation(Kind.CHANGE, self._updates(resource), problems)
        except UnresolvedError as error:
            return Translation(Kind.CHANGE, problems=problems, unresolved=error.references)

    def _updates(self, resource: Resource | PlainContainer) -> tuple[Update, ...]:
        match resource:
            case PlainContainer():
                return self._container(resource)
            case HostResource():
                return self._host(resource)
            case NetworkResource():
                return self._network(resource)
            case StackResource():
                return self._stack(resource)
            case ServiceResource():
                return self._service(resource)
            case _:
                raise TypeError(f"{type(resource).__name__}: not a resource that is followed")

    def _host(self, host: HostResource) -> tuple[Update, ...]:
        self._directory.hosts[host.id] = host.uuid
        self._forget_if_gone("hosts", host)
        return ()

    def _network(self, network: NetworkResource) -> tuple[Update, ...]:
        self._directory.networks[network.id] = network.uuid
        self._forget_if_gone("networks", network)
        fields: NetworkFields = {}
        if "state" in network.model_fields_set:
            fields["state"] = network.state
        if "policy" in network.model_fields_set:
            fields["policy"] = network.policy
        if "default_policy_action" in network.model_fields_set:
            fields["default_policy_action"] = network.default_policy_action
        return (NetworkUpdate(network.uuid, fields),) if fields else ()

    def _stack(self, stack: StackResource) -> tuple[Update, ...]:
        key = self._directory.add_stack(stack.id, stack.name)
        if self._forget_if_gone("stacks", stack) or "system" not in stack.model_fields_set:
            return ()
        return (StackUpdate(key, stack.system),)

    def _service(self, service: ServiceResource) -> tuple[Update, ...]:
        self._directory.add_service(service)
        if service.gone:
            return self._removed_service(service)
        lookups = Lookups(self._directory)
        key = lookups.service(service.id)
        links = [lookups.service(target) for target in service.links]
        lookups.done()
        if key is None:  # cannot be: `done` has raised
            return ()
        fields = _service_fields(service)
        if "links" in service.model_fields_set:
            fields["links"] = tuple(sorted({f"{link.stack}/{link.name}" for link in links if link is not None}))
        shared: ServiceFields = {"system": service.system} if "system" in service.model_fields_set else {}
        sidekicks = (
            ServiceUpdate(key._replace(name=sidekick.name), {**shared, **_sidekick_fields(sidekick, key.name)})
            for sidekick in service.sidekicks
        )
        return (*((ServiceUpdate(key, fields),) if fields else ()), *sidekicks)

    def _removed_service(self, service: ServiceResource) -> tuple[Update, ...]:
        """What is removed links to nothing; a new service of the same name is not touched by its end."""
        lookups = Lookups(self._directory)
        key = lookups.service(service.id)
        lookups.done()
        self._directory.forget(Reference("services", service.id))
        successors = (
            known for known in self._directory.services.values() if known[:2] == (service.name, service.stack)
        )
        return () if key is None or any(successors) else (ServiceUpdate(key, {"links": ()}),)

    def _container(self, container: PlainContainer) -> tuple[Update, ...]:
        state = None if container.state is None else container.state.lower()
        gone = container.removed is not None or state in GONE
        if gone:
            self._directory.containers.pop(container.id, None)
        else:
            self._directory.containers[container.id] = container.uuid
        if gone or state in DEAD_STATES:
            return (ContainerUpdate(container.uuid, {"state": state if state in DEAD_STATES else "removed"}),)
        fields = _container_fields(container, state)
        self._resolve(container, fields)
        return (ContainerUpdate(container.uuid, fields),) if fields else ()

    def _resolve(self, container: PlainContainer, fields: ContainerFields) -> None:
        """Add what the container refers to. Raises UnresolvedError."""
        lookups = Lookups(self._directory)
        if container.network is not None and (network := lookups.network(container.network)):
            fields["network"] = network
        if container.network_from is not None and (shared := lookups.container(container.network_from)):
            fields["network_from"] = shared
        if container.host is not None and (host := lookups.host(container.host)):
            fields["host"] = host
        self._belong(container, lookups, fields)
        lookups.done()

    def _belong(self, container: PlainContainer, lookups: Lookups, fields: ContainerFields) -> None:
        """Whose it is. A container that several services select is left to the metadata, which says that."""
        services = container.services
        if services is not None and not services:
            fields["service"] = None
        if services and len(services) == 1 and (service := lookups.service(services[0])):
            fields["stack"] = StackKey(service.environment, service.stack)
            sidekicks = self._directory.services[services[0]].sidekicks
            if not sidekicks:
                fields["service"] = service
            elif container.labels is not None:
                launched = launch_config(container.labels)
                fields["service"] = service._replace(name=launched) if launched in sidekicks else service
        elif container.stack is not None and (stack := lookups.stack(container.stack)):
            fields["stack"] = stack

    def _forget_if_gone(self, collection: str, resource: Resource) -> bool:
        if resource.gone:
            self._directory.forget(Reference(collection, resource.id))
        return resource.gone


def _service_fields(service: ServiceResource) -> ServiceFields:
    fields: ServiceFields = {}
    if "system" in service.model_fields_set:
        fields["system"] = service.system
    if "labels" in service.model_fields_set:
        fields["labels"] = service.labels
    return fields


def _sidekick_fields(sidekick: SidekickResource, primary: str) -> ServiceFields:
    fields: ServiceFields = {"primary": primary}
    if "labels" in sidekick.model_fields_set:
        fields["labels"] = sidekick.labels
    return fields


def _container_fields(container: PlainContainer, state: str | None) -> ContainerFields:
    """The fields that were mentioned and need no look-up."""
    fields: ContainerFields = {}
    if container.name is not None:
        fields["name"] = container.name.lower()
    if container.address is not UNSET:
        fields["address"] = container.address
    if state is not None:
        fields["state"] = state
    if container.system is not None:
        fields["system"] = container.system
    if container.labels is not None:
        fields["labels"] = container.labels
    return fields


def _named(collection: str, raw: object) -> str:
    """`container 1i42 web-1`, as far as the resource says."""
    fields = raw if isinstance(raw, dict) else {}
    parts = [fields.get(key) for key in ("id", "name", "uuid")]
    return " ".join([collection.removesuffix("s"), *(part for part in parts if isinstance(part, str) and part)])
