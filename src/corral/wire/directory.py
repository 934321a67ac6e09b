"""What API ids stand for: events refer by them, the metadata by uuids and names."""

from __future__ import annotations

from collections.abc import Mapping, Set
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

    def forget_others(self, collection: str, ids: Set[str]) -> None:
        known = getattr(self, collection)
        for resource_id in known.keys() - ids:
            del known[resource_id]

    def add_stack(self, resource_id: str, name: str) -> StackKey:
        key = self.stacks[resource_id] = StackKey(OWN_ENVIRONMENT, name)
        return key

    def add_service(self, service: ServiceResource) -> None:
        names = frozenset(sidekick.name for sidekick in service.sidekicks)
        self.services[service.id] = KnownService(service.name, service.stack, names)


class Lookups:
    """Looks references up and gathers what is not known: each answer is None then, and `done` tells."""

    __slots__ = ("_directory", "_missing")

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._missing: list[Reference] = []

    def host(self, resource_id: str) -> str | None:
        """The uuid of a host."""
        return self._found(self._directory.hosts, "hosts", resource_id)

    def network(self, resource_id: str) -> str | None:
        return self._found(self._directory.networks, "networks", resource_id)

    def container(self, resource_id: str) -> str | None:
        return self._found(self._directory.containers, "containers", resource_id)

    def stack(self, resource_id: str) -> StackKey | None:
        return self._found(self._directory.stacks, "stacks", resource_id)

    def service(self, resource_id: str) -> ServiceKey | None:
        """The key of a service, not of one of its sidekicks."""
        known = self._found(self._directory.services, "services", resource_id)
        stack = None if known is None else self.stack(known.stack)
        return None if known is None or stack is None else ServiceKey(OWN_ENVIRONMENT, stack.name, known.name)

    def done(self) -> None:
        """Raise UnresolvedError with all that was missed."""
        if self._missing:
            raise UnresolvedError(*dict.fromkeys(self._missing))

    def _found(self, known: Mapping[str, Known], collection: str, resource_id: str) -> Known | None:
        found = known.get(resource_id)
        if found is None:
            self._missing.append(Reference(collection, resource_id))
        return found
