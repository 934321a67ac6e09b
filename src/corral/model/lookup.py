"""Endpoints by the names that people use: address, container name or uuid, `stack/service`, stack."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from corral.model.endpoint import Endpoint
from corral.model.entities import OWN_ENVIRONMENT, Container, ServiceKey
from corral.types import Address

# How many names each way are compared with one that is unknown: comparing takes some 20 microseconds a name.
NEIGHBOURS = 100
LEAST_LIKENESS = 0.6


@dataclass(frozen=True, slots=True)
class Found:
    """The endpoints that a name stands for (an unknown address stands for itself), or names that are near it.

    `absent` are containers that it stands for, too, but that belong to no endpoint: they are stopped, for example.
    """

    addresses: tuple[Address, ...] = ()
    suggestions: tuple[str, ...] = ()
    absent: tuple[Container, ...] = ()

    @property
    def hint(self) -> str:
        """The end of an error's sentence: what may have been meant."""
        return f"; did you mean {' or '.join(self.suggestions)}?" if self.suggestions else ""


def find_endpoints(name: str, endpoints: Mapping[Address, Endpoint], containers: Mapping[str, Container]) -> Found:
    """Resolve a name; letter case does not matter."""
    try:
        return Found(addresses=(Address.parse(name),))
    except ValueError:
        pass
    wanted = name.lower()
    found = tuple(sorted(_called(wanted, endpoints, containers)))
    absent = tuple(_absent(wanted, found, endpoints, containers))
    if found or absent:
        return Found(found, absent=absent)
    return Found(suggestions=_near(wanted, _names(endpoints, containers)))


class Directory:
    """Finds the same as `find_endpoints`, for many names: making it takes as long as finding a few without it."""

    def __init__(self, endpoints: Mapping[Address, Endpoint], containers: Mapping[str, Container]) -> None:
        self._endpoints = endpoints
        self._containers = containers
        self._present: dict[str | ServiceKey, set[Address]] = {}
        self._every: dict[str | ServiceKey, list[str]] = {}
        for address, endpoint in endpoints.items():
            for name in chain(endpoint.services, *(self._names(uuid) for uuid in endpoint.containers)):
                self._present.setdefault(name, set()).add(address)
        for uuid in containers:
            for name in set(self._names(uuid)):
                self._every.setdefault(name, []).append(uuid)

    def find(self, name: str) -> Found:
        """See `find_endpoints`."""
        wanted = name.lower()
        keys = [key for key in (wanted, _service_key(wanted)) if key is not None]
        addresses = {address for key in keys for address in self._present.get(key, ())}
        uuids = {uuid: None for key in keys for uuid in self._every.get(key, ())}
        if _is_address(name) or not (addresses or uuids):
            return find_endpoints(name, self._endpoints, self._containers)
        present = {uuid for address in addresses for uuid in self._endpoints[address].containers}
        absent = tuple(self._containers[uuid] for uuid in uuids if uuid not in present)
        return Found(tuple(sorted(addresses)), absent=absent)

    def _names(self, uuid: str) -> Iterator[str | ServiceKey]:
        yield uuid.lower()
        container = self._containers.get(uuid)
        if container is not None:
            yield container.name.lower()
            if container.service is not None:
                yield container.service


def _is_address(name: str) -> bool:
    try:
        Address.parse(name)
    except ValueError:
        return False
    return True


def names_beginning(
    text: str, endpoints: Mapping[Address, Endpoint], containers: Mapping[str, Container], most: int
) -> list[str]:
    """The first services and containers, in order, whose names begin so; letter case does not matter."""
    wanted = text.lower()
    names = {name for name in _names(endpoints, containers) if name.startswith(wanted) and name not in containers}
    return heapq.nsmallest(most, names)


def describe(address: Address, endpoints: Mapping[Address, Endpoint], containers: Mapping[str, Container]) -> str:
    """`stack/service/container (10.42.0.3)`, or as much of it as is known."""
    if address not in endpoints:
        return f"{address} (no known endpoint)"
    name = name_of(address, endpoints, containers)
    return name if name == str(address) else f"{name} ({address})"


def name_of(address: Address, endpoints: Mapping[Address, Endpoint], containers: Mapping[str, Container]) -> str:
    """`stack/service/container`, or as much of it as is known; the address where nothing is."""
    endpoint = endpoints.get(address)
    container = containers.get(endpoint.containers[0]) if endpoint else None
    if container is None:
        return str(address)
    owner = container.service or container.stack
    return f"{owner}/{container.name}" if owner else container.name or container.uuid


def _called(
    wanted: str, endpoints: Mapping[Address, Endpoint], containers: Mapping[str, Container]
) -> Iterator[Address]:
    service = _service_key(wanted)
    for address, endpoint in endpoints.items():
        if service in endpoint.services:
            yield address
            continue
        for uuid in endpoint.containers:
            container = containers.get(uuid)
            if uuid.lower() == wanted or (container is not None and _carries(container, wanted, service)):
                yield address
                break


def _absent(
    wanted: str, found: Iterable[Address], endpoints: Mapping[Address, Endpoint], containers: Mapping[str, Container]
) -> Iterator[Container]:
    service = _service_key(wanted)
    present = {uuid for address in found for uuid in endpoints[address].containers}
    for uuid, container in containers.items():
        if (uuid.lower() == wanted or _carries(container, wanted, service)) and uuid not in present:
            yield container


def _carries(container: Container, name: str, service: ServiceKey | None) -> bool:
    return container.name.lower() == name or (service is not None and container.service == service)


def _service_key(path: str) -> ServiceKey | None:
    """The key that is written so: an environment's key may have a slash of its own."""
    parts = path.rsplit("/", 2)
    if len(parts) < 2:
        return None
    environment = parts[0] if len(parts) == 3 else OWN_ENVIRONMENT
    return ServiceKey(environment, *parts[-2:])


def _names(endpoints: Mapping[Address, Endpoint], containers: Mapping[str, Container]) -> Iterator[str]:
    services: set[ServiceKey] = set()
    for endpoint in endpoints.values():
        services |= endpoint.services
        for uuid in endpoint.containers:
            yield uuid.lower()
            container = containers.get(uuid)
            if container is not None:
                yield container.name.lower()
                if container.service is not None:
                    services.add(container.service)
    yield from map(str, services)


def _near(wanted: str, names: Iterable[str]) -> tuple[str, ...]:
    """Up to three names like it, of those that begin or end most like it: a typo leaves one of the two as it is."""
    # Other lengths never reach that likeness: it is twice what both have in common, of the length of both.
    least, most = len(wanted) * LEAST_LIKENESS / (2 - LEAST_LIKENESS), len(wanted) * (2 / LEAST_LIKENESS - 1)
    possible = {name for name in names if least <= len(name) <= most}
    backwards = _neighbours(wanted[::-1], [name[::-1] for name in possible if name.endswith(wanted[-1:])])
    candidates = {*_neighbours(wanted, possible), *(name[::-1] for name in backwards)}
    return tuple(difflib.get_close_matches(wanted, sorted(candidates), n=3, cutoff=LEAST_LIKENESS))


def _neighbours(wanted: str, names: Collection[str]) -> list[str]:
    """Those that would stand next to it in order; to sort all of them would take most of the time of an answer."""
    before = heapq.nlargest(NEIGHBOURS, [name for name in names if name < wanted])
    return before + heapq.nsmallest(NEIGHBOURS, [name for name in names if name > wanted])
