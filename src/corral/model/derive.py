"""What an endpoint is, from the live containers that share its address."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from corral.model.endpoint import Endpoint
from corral.model.entities import NO_LABELS, OWN_ENVIRONMENT, Container, Service, ServiceKey, Stack, StackKey
from corral.types import Address

T = TypeVar("T")

NONE: frozenset[Any] = frozenset()  # Python makes a new one of 216 bytes for each empty union
MOST_BACKGROUNDS = 16_384
# A service's labels are copied for each of its containers up to this many: a copy is faster to read.
MOST_LABELS_COPIED = 64


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


class Background(NamedTuple):
    """What a container's stack and service say of it. Endpoints share these sets."""

    stacks: frozenset[StackKey]
    services: frozenset[ServiceKey]
    system: bool
    labels: Mapping[str, str]
    links_to: frozenset[ServiceKey]
    links_to_containers: frozenset[str]


class Surroundings:
    """What the containers' references are looked up in: live mappings."""

    def __init__(self, services: Mapping[ServiceKey, Service], stacks: Mapping[StackKey, Stack], links: Links) -> None:
        self._services = services
        self._stacks = stacks
        self._links = links
        self._backgrounds: dict[tuple[StackKey | None, ServiceKey | None], Background] = {}

    def forget(self) -> None:
        """A service, a stack or a link changed: look everything up again."""
        self._backgrounds.clear()

    def background(self, container: Container) -> Background:
        """What the container's stack and service say; the same object until `forget`."""
        place = container.stack, container.service
        known = self._backgrounds.get(place)
        if known is None:
            if len(self._backgrounds) == MOST_BACKGROUNDS:
                self.forget()
            known = self._backgrounds[place] = self._look_up(stack_of(container), container.service)
        return known

    def _look_up(self, stack_key: StackKey | None, service_key: ServiceKey | None) -> Background:
        stack = self._stacks.get(stack_key) if stack_key else None
        service = self._services.get(service_key) if service_key else None
        group = primary_of(service_key, self._services) if service_key else None
        links = self._links.of(group) if group else None
        return Background(
            stacks=frozenset([stack_key]) if stack_key else NONE,
            services=frozenset([group]) if group else NONE,
            system=bool(service and service.system) or bool(stack and stack.system),
            labels=service.labels if service else NO_LABELS,
            links_to=links.services if links else NONE,
            links_to_containers=links.containers if links else NONE,
        )


def describe(
    address: Address,
    containers: Sequence[Container],
    surroundings: Surroundings,
    *,
    self_host: str,
    linked_containers: frozenset[str],
) -> Endpoint:
    """Gather the endpoint of the live `containers` at `address`; they are listed in the given order."""
    if len(containers) == 1:
        return _describe_one(address, containers[0], surroundings, self_host, linked_containers)
    backgrounds = [surroundings.background(container) for container in containers]
    return Endpoint(
        address,
        tuple([container.uuid for container in containers]),
        any(_is_local(container, self_host) for container in containers),
        any(container.system for container in containers) or any(background.system for background in backgrounds),
        _union([background.stacks for background in backgrounds]),
        _union([background.services for background in backgrounds]),
        tuple(map(_labels, containers, backgrounds)),
        _union([background.links_to for background in backgrounds]),
        _union([*(background.links_to_containers for background in backgrounds), *(c.links for c in containers)]),
        linked_containers,
    )


def _describe_one(
    address: Address,
    container: Container,
    surroundings: Surroundings,
    self_host: str,
    linked_containers: frozenset[str],
) -> Endpoint:
    """The same with less work, for most endpoints have one container."""
    background = surroundings.background(container)
    links = background.links_to_containers
    return Endpoint(
        address,
        (container.uuid,),
        container.host == self_host and _is_local(container, self_host),
        container.system or background.system,
        background.stacks,
        background.services,
        (_labels(container, background),),
        background.links_to,
        _union([links, container.links]) if container.links else links,
        linked_containers,
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


def _is_local(container: Container, self_host: str) -> bool:
    return container.host == self_host and bool(self_host) and container.environment == OWN_ENVIRONMENT


def _labels(container: Container, background: Background) -> Mapping[str, str]:
    if background.labels.keys() <= container.labels.keys():
        return container.labels
    if not container.labels:
        return background.labels
    if len(background.labels) > MOST_LABELS_COPIED:
        return ChainMap(container.labels, background.labels)  # type: ignore[arg-type]
    return {**background.labels, **container.labels}


def _union(sets: Sequence[frozenset[T]]) -> frozenset[T]:
    """Their union; the set itself where only one holds anything, so that endpoints share it."""
    filled = list({id(members): members for members in sets if members}.values())  # many containers share one
    if len(filled) > 1:
        return frozenset().union(*filled)
    return filled[0] if filled else NONE
