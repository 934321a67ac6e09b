"""What API ids stand for: events refer by them, the metadata by uuids and names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from corral.model.entities import OWN_ENVIRONMENT, ServiceKey, StackKey
from corral.wire.resources import ServiceResource

Known = TypeVar("Known")


class Reference(NamedTuple):
    """A resource by its collection's name and its API id."""

    collection: str
    id: str


class UnresolvedError(Exception):
    """Something refers to resources that are not known yet."""

    def __init__(self, *references: Reference) -> None:
        super().__init__(references)
        self.references = references


class KnownService(NamedTuple):
    """A service's own name, the id of its stack and the names of its sidekicks."""

    name: str
    stack: str
    sidekicks: frozenset[str]


@dataclass(slots=True)
class Directory:
    """One map a collection, from id to identity."""

    hosts: dict[str, str] = field(default_factory=dict)
    networks: dict[str, str] = field(default_factory=dict)
    stacks: dict[str, StackKey] = field(default_factory=dict)
    services: dict[str, KnownService] = field(default_factory=dict)
    containers: dict[str, str] = field(default_factory=dict)

    def forget(self, reference: Reference) -> None:
        getattr(self, reference.collection).pop(reference.id, None)

    def forget_all(self, collection: str) -> None:
        getattr(self, collection).clear()

    def add_stack(self, resource_id: str, name: str) -> StackKey:
        key = self.stacks[resource_id] = StackKey(OWN_ENVIRONMENT, name)
        return key

    def add_service(self, service: ServiceResource) -> None:
        names = frozenset(sidekick.name for sidekick in service.sidekicks)
        self.services[service.id] = KnownService(service.name, service.stack, names)

    def host(self, resource_id: str) -> str:
        """The uuid of a host. Raises UnresolvedError, as all look-ups do."""
        return _found(self.hosts, "hosts", resource_id)

    def network(self, resource_id: str) -> str:
        return _found(self.networks, "networks", resource_id)

    def container(self, resource_id: str) -> str:
        return _found(self.containers, "containers", resource_id)

    def stack(self, resource_id: str) -> StackKey:
        return _found(self.stacks, "stacks", resource_id)

    def service(self, resource_id: str) -> ServiceKey:
        """The key of a service, not of one of its sidekicks."""
        known = _found(self.services, "services", resource_id)
        return ServiceKey(OWN_ENVIRONMENT, self.stack(known.stack).name, known.name)

    def sidekicks(self, resource_id: str) -> frozenset[str]:
        return _found(self.services, "services", resource_id).sidekicks


def _found(known: Mapping[str, Known], collection: str, resource_id: str) -> Known:
    if resource_id not in known:
        raise UnresolvedError(Reference(collection, resource_id))
    return known[resource_id]


class Lookups:
    """Makes several look-ups and gathers what all of them could not resolve."""

    def __init__(self) -> None:
        self._unresolved: dict[Reference, None] = {}

    def take(self, find: Callable[[str], Known], resource_id: str) -> Known | None:
        """What was found, or None for now: `done` tells then."""
        try:
            return find(resource_id)
        except UnresolvedError as error:
            self._unresolved.update(dict.fromkeys(error.references))
            return None

    def done(self) -> None:
        """Raise UnresolvedError with all that was missed."""
        if self._unresolved:
            raise UnresolvedError(*self._unresolved)
