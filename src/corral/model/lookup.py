"""Endpoints by the names that people use: address, container name or uuid, `stack/service`, stack."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from corral.model.endpoint import Endpoint
from corral.model.entities import Container
from corral.types import Address


@dataclass(frozen=True, slots=True)
class Found:
    """The endpoints that a name stands for (an unknown address stands for itself), or names that are near it."""

    addresses: tuple[Address, ...] = ()
    suggestions: tuple[str, ...] = ()


def find_endpoints(name: str, endpoints: Mapping[Address, Endpoint], containers: Mapping[str, Container]) -> Found:
    """Resolve a name; letter case does not matter."""
    try:
        return Found(addresses=(Address.parse(name),))
    except ValueError:
        pass
    wanted = name.lower()
    index: dict[str, list[Address]] = {}
    for address, endpoint in endpoints.items():
        for known in _names(endpoint, containers):
            index.setdefault(known, []).append(address)
    if wanted in index:
        return Found(addresses=tuple(sorted(set(index[wanted]))))
    return Found(suggestions=tuple(difflib.get_close_matches(wanted, index, n=3)))


def describe(address: Address, endpoints: Mapping[Address, Endpoint], containers: Mapping[str, Container]) -> str:
    """`stack/service/container (10.42.0.3)`, or as much of it as is known."""
    endpoint = endpoints.get(address)
    if endpoint is None:
        return f"{address} (no known endpoint)"
    container = containers.get(endpoint.containers[0])
    if container is None:
        return str(address)
    owner = container.service or container.stack
    path = f"{owner}/{container.name}" if owner else container.name or container.uuid
    return f"{path} ({address})"


def _names(endpoint: Endpoint, containers: Mapping[str, Container]) -> Iterator[str]:
    for uuid in endpoint.containers:
        yield uuid.lower()
        container = containers.get(uuid)
        if container is not None:
            yield container.name.lower()
            if container.service is not None:
                yield str(container.service)
    yield from map(str, endpoint.services)
