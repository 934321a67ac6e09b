"""What an endpoint is, from the live containers that share its address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from corral.model.endpoint import Endpoint
from corral.model.entities import OWN_ENVIRONMENT, Container, Service, ServiceKey, Stack, StackKey
from corral.types import Address

T = TypeVar("T")


class ResolvedLinks(Protocol):
    """What a group of a primary service and its sidekicks links to."""

    @property
    def services(self) -> frozenset[ServiceKey]:
        """Primary services."""

    @property
    def containers(self) -> frozenset[str]:
        """Containers, by uuid."""


class Links(Protocol):
    """Where links are looked up, by primary service."""

    def of(self, group: ServiceKey, /) -> ResolvedLinks:
        """What the group links to."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the containers' references are looked up in: live mappings."""

    services: Mapping[ServiceKey, Service]
    stacks: Mapping[StackKey, Stack]
    links: Links


def describe(
    address: Address,
    containers: Sequence[Container],
    surroundings: Surroundings,
    *,
    self_host: str,
    linked_containers: frozenset[str],
) -> Endpoint:
    """Gather the endpoint of the live `containers` at `address`; they are listed in the given order."""
    groups = frozenset(primary_of(c.service, surroundings.services) for c in containers if c.service)
    links = [surroundings.links.of(group) for group in groups]
    return Endpoint(
        address=address,
        containers=tuple(c.uuid for c in containers),
        local=any(self_host and c.host == self_host and c.environment == OWN_ENVIRONMENT for c in containers),
        system=any(_is_system(c, surroundings) for c in containers),
        stacks=frozenset(stack for c in containers if (stack := stack_of(c))),
        services=groups,
        labels=tuple(_labels(c, surroundings.services) for c in containers),
        links_to=_union(link.services for link in links),
        links_to_containers=_union([*(link.containers for link in links), *(c.links for c in containers)]),
        linked_containers=linked_containers,
    )


def primary_of(key: ServiceKey, services: Mapping[ServiceKey, Service]) -> ServiceKey:
    """The primary service that `key` counts as; itself where the service is not known."""
    service = services.get(key)
    return service.primary_key if service else key


def stack_of(container: Container) -> StackKey | None:
    """The container's stack, its service's where it names none."""
    if container.stack or not container.service:
        return container.stack
    return StackKey(container.service.environment, container.service.stack)


def _is_system(container: Container, surroundings: Surroundings) -> bool:
    service = surroundings.services.get(container.service) if container.service else None
    key = stack_of(container)
    stack = surroundings.stacks.get(key) if key else None
    return container.system or bool(service and service.system) or bool(stack and stack.system)


def _labels(container: Container, services: Mapping[ServiceKey, Service]) -> Mapping[str, str]:
    service = services.get(container.service) if container.service else None
    if service is None or service.labels.keys() <= container.labels.keys():
        return container.labels
    return {**service.labels, **container.labels}


def _union(sets: Iterable[frozenset[T]]) -> frozenset[T]:
    """Their union; the set itself where only one holds anything, so that endpoints share it."""
    filled = [members for members in sets if members]
    return filled[0] if len(filled) == 1 else frozenset().union(*filled)
