"""Rancher's API resources and event messages, translated into updates of the model.

References are API ids. A resource that refers to one not known yet yields no update at all: half of what it
says could grant more than the whole (its labels an allowing rule, its service the denying one before). The
unknown ids are reported instead; once they are learned, the message is translated anew. What is dead needs no
references. Labels are users' to write, so they never tell a container's stack or service: they only choose
among the sidekicks of the service that the server names. Messages may come out of order: one that is older than
another about the same resource is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

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
from corral.wire.fields import problem_of, shown
from corral.wire.labels import launch_config
from corral.wire.latest import Latest
from corral.wire.resources import (
    COLLECTIONS,
    TELLING_NULLS,
    ContainerResource,
    HostResource,
    NetworkResource,
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


class Kind(StrEnum):
    """What an event message is."""

    PING = "ping"
    CHANGE = "change"
    HINT = "hint"  # a change that does not say what the resource looks like now
    LOGOUT = "logout"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Translation:
    """What a message, or a collection, says. `unresolved` are ids to learn before it is translated anew."""

    kind: Kind
    updates: tuple[Update, ...] = ()
    problems: tuple[Problem, ...] = ()
    unresolved: tuple[Reference, ...] = ()


def kind_of(message: object) -> Kind:
    """What a message is, without regard for what its resource looks like."""
    if not isinstance(message, dict):
        return Kind.IGNORED
    match message.get("name"):
        case "ping":
            return Kind.PING
        case "logout" | "disconnect":
            return Kind.LOGOUT
        case "resource.change" if reference_of(message) is not None:
            return Kind.HINT if _resource(message) is None else Kind.CHANGE
        case _:
            return Kind.IGNORED


def reference_of(message: Mapping[str, Any]) -> Reference | None:
    """The resource that a message is about, or None if it is of a type that does not matter here."""
    resource = _resource(message) or {}
    resource_type = message.get("resourceType") or resource.get("type")
    resource_id = message.get("resourceId") or resource.get("id")
    if not isinstance(resource_type, str) or not isinstance(resource_id, str) or resource_type not in COLLECTIONS:
        return None
    return Reference(COLLECTIONS[resource_type], resource_id)


def _resource(message: Mapping[str, Any]) -> dict[str, Any] | None:
    data = message.get("data")
    resource = data.get("resource") if isinstance(data, dict) else None
    return resource if isinstance(resource, dict) else None


class EventTranslator:
    """Knows what API ids stand for, from collections (`learn`) and from events (`translate`)."""

    def __init__(self) -> None:
        self._directory = Directory()
        self._latest = Latest()

    def learn(self, collection: str, resources: Iterable[object], *, whole: bool = False) -> Translation:
        """Take up resources of a collection, and say what they tell. `whole`: forget those not among them."""
        if whole:
            self._directory.forget_all(collection)
        parts = [self._translated(collection, resource) for resource in resources]
        return Translation(
            Kind.CHANGE,
            tuple(update for part in parts for update in part.updates),
            tuple(problem for part in parts for problem in part.problems),
            tuple(dict.fromkeys(reference for part in parts for reference in part.unresolved)),
        )

    def translate(self, message: object) -> Translation:
        """Translate one event message. Never raises, whatever the message is."""
        kind = kind_of(message)
        if not isinstance(message, dict):
            return Translation(kind, problems=(Problem("event", f"an object is allowed, {shown(message)} given"),))
        reference = reference_of(message)
        if kind not in (Kind.CHANGE, Kind.HINT) or reference is None:
            return Translation(kind)
        if not self._latest.admits(reference, message.get("time")):
            return Translation(Kind.IGNORED)
        if kind is Kind.HINT:
            return Translation(kind, unresolved=(reference,))
        return self._translated(reference.collection, {"id": reference.id} | (_resource(message) or {}))

    def _translated(self, collection: str, raw: object) -> Translation:
        if collection not in MODELS:
            raise ValueError(f"{collection}: not a collection that is followed")
        where = _named(collection, raw)
        try:
            resource, faults = decode(MODELS[collection], without_nulls(raw, TELLING_NULLS.get(collection, ())))
        except ValidationError as error:
            return Translation(Kind.CHANGE, problems=(problem_of(where, error),))
        except RecursionError:
            return Translation(Kind.CHANGE, problems=(Problem(where, "nested too deeply"),))
        problems = (Problem(where, faults),) if faults else ()
        try:
            return Translation(Kind.CHANGE, self._updates(resource), problems)
        except UnresolvedError as error:
            return Translation(Kind.CHANGE, problems=problems, unresolved=error.references)

    def _updates(self, resource: Resource) -> tuple[Update, ...]:
        match resource:
            case HostResource():
                return self._host(resource)
            case NetworkResource():
                return self._network(resource)
            case StackResource():
                return self._stack(resource)
            case ServiceResource():
                return self._service(resource)
            case ContainerResource():
                return self._container(resource)
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
        directory = self._directory
        directory.add_service(service)
        if service.gone:
            return self._removed_service(service)
        lookups = Lookups()
        key = lookups.take(directory.service, service.id)
        links = [lookups.take(directory.service, target) for target in service.links]
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
        key = self._directory.service(service.id)
        self._directory.forget(Reference("services", service.id))
        successors = (
            known for known in self._directory.services.values() if known[:2] == (service.name, service.stack)
        )
        return () if any(successors) else (ServiceUpdate(key, {"links": ()}),)

    def _container(self, container: ContainerResource) -> tuple[Update, ...]:
        self._directory.containers[container.id] = container.uuid
        if self._forget_if_gone("containers", container) or container.state in DEAD_STATES:
            state = container.state if container.state in DEAD_STATES else "removed"
            return (ContainerUpdate(container.uuid, {"state": state}),)
        fields = _container_fields(container)
        self._resolve(container, fields)
        return (ContainerUpdate(container.uuid, fields),) if fields else ()

    def _resolve(self, container: ContainerResource, fields: ContainerFields) -> None:
        """Add what the container refers to. Raises UnresolvedError."""
        directory, lookups = self._directory, Lookups()
        if container.network and (network := lookups.take(directory.network, container.network)):
            fields["network"] = network
        if container.network_from and (shared := lookups.take(directory.container, container.network_from)):
            fields["network_from"] = shared
        if container.host and (host := lookups.take(directory.host, container.host)):
            fields["host"] = host
        if "services" in container.model_fields_set and not container.services:
            fields["service"] = None
        # A container that several services select is left to the metadata, which says whose it is.
        if len(container.services) == 1 and (service := lookups.take(directory.service, container.services[0])):
            fields["stack"] = StackKey(service.environment, service.stack)
            sidekicks = directory.sidekicks(container.services[0])
            launched = launch_config(container.labels)
            if not sidekicks or "labels" in container.model_fields_set:
                fields["service"] = service._replace(name=launched) if launched in sidekicks else service
        elif container.stack and (stack := lookups.take(directory.stack, container.stack)):
            fields["stack"] = stack
        lookups.done()

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


def _container_fields(container: ContainerResource) -> ContainerFields:
    """The fields that were mentioned and need no look-up."""
    mentioned = container.model_fields_set
    fields: ContainerFields = {}
    if "name" in mentioned:
        fields["name"] = container.name
    if "address" in mentioned:
        fields["address"] = container.address
    if "state" in mentioned:
        fields["state"] = container.state
    if "system" in mentioned:
        fields["system"] = container.system
    if "labels" in mentioned:
        fields["labels"] = container.labels
    return fields


def _named(collection: str, raw: object) -> str:
    """`container 1i42 web-1`, as far as the resource says."""
    fields = raw if isinstance(raw, dict) else {}
    parts = [fields.get(key) for key in ("id", "name", "uuid")]
    return " ".join([collection.removesuffix("s"), *(part for part in parts if isinstance(part, str) and part)])
