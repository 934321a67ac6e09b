"""What the names in a question stand for, and what is peculiar about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from corral.daemon.answers.topology import LoadedTopology
from corral.errors import UsageError
from corral.model.endpoint import Endpoint
from corral.model.entities import Container
from corral.model.lookup import Directory, Found, find_endpoints
from corral.policy.rules import Between, Form, FromTo, GroupBy
from corral.types import Address

MOST_NAMED = 5


class Named(NamedTuple):
    """What a name stands for: addresses, those that no rule tells apart together, and what is to be said of it."""

    kinds: Sequence[Sequence[Address]]
    notes: Sequence[str]

    @property
    def addresses(self) -> Iterator[Address]:
        """All of them."""
        return (address for kind in self.kinds for address in kind)


class Names:
    """Resolves names in one topology; where there are `many`, faster than one by one."""

    def __init__(self, loaded: LoadedTopology, *, many: bool = False) -> None:
        self._loaded = loaded
        self._directory = Directory(loaded.endpoints, loaded.containers) if many else None

    def resolve(self, name: str) -> Named:
        """Raises UsageError for a name that no endpoint has; the error says what is near, or why there is none."""
        if self._directory is None:
            found = find_endpoints(name, self._loaded.endpoints, self._loaded.containers)
        else:
            found = self._directory.find(name)
        left_out = [self._why_absent(container) for container in found.absent]
        addresses = found.addresses or tuple(sorted(set(self._contested(found.absent))))
        if not addresses:
            raise UsageError(_no_endpoint(name, found, left_out))
        notes = [f"{name}: {_listed(left_out)}"] if left_out else []
        if len(addresses) == 1:
            notes += self._why_unknown(addresses[0])
        return Named(self._kinds(addresses), notes)

    def _kinds(self, addresses: Iterable[Address]) -> Sequence[Sequence[Address]]:
        kinds: dict[object, list[Address]] = {}
        for address in addresses:
            endpoint = self._loaded.endpoints.get(address)
            kinds.setdefault(address if endpoint is None else self._likeness(endpoint), []).append(address)
        return list(kinds.values())

    def _likeness(self, endpoint: Endpoint) -> tuple[object, ...]:
        """All that the policy can tell of an endpoint."""
        labels = [_labels_seen(rule.form, endpoint) for rule in self._loaded.policy.rules]
        links = endpoint.links_to, endpoint.links_to_containers, endpoint.linked_containers
        return endpoint.system, endpoint.stacks, endpoint.services, *links, *labels

    def _contested(self, containers: Iterable[Container]) -> Iterator[Address]:
        """Addresses that live containers claim in vain: they are judged, as unknown ones are."""
        for container in containers:
            if container.live and container.address is not None and self._managed(container.address):
                yield container.address

    def _managed(self, address: Address) -> bool:
        return any(address in subnet for subnet in self._loaded.subnets)

    def _why_absent(self, container: Container) -> str:
        """Why a container belongs to no endpoint."""
        title = container.name or container.uuid
        if not container.live:
            return f"{title} is {container.state}"
        if container.address is None:
            return f"{title} has no address"
        if not self._managed(container.address):
            return f"{title} is on another network ({container.address}), which no policy judges"
        return f"{title} is no endpoint: its address {container.address} is {self._trouble(container.address)}"

    def _trouble(self, address: Address) -> str:
        """What the inventory says of an address of the managed network that is no endpoint."""
        where = f"address {address}"
        told = (problem.message for problem in self._loaded.topology.problems if problem.where == where)
        return next(told, "not known to belong to it")

    def _why_unknown(self, address: Address) -> Iterator[str]:
        """What is known of an address that is no endpoint."""
        topology = self._loaded.topology
        if address in topology.endpoints:
            return
        for host in topology.hosts.values():
            if host.agent_ip == str(address):
                yield f"{address} is the host {host.name}"
        holders = [self._why_absent(each) for each in topology.containers.values() if each.address == address]
        if holders:
            yield f"{address} is no known endpoint: {_listed(holders)}"


def _labels_seen(form: Form, endpoint: Endpoint) -> object:
    """What a rule can tell of an endpoint's labels. Some are different for each container, and no rule's business."""
    match form:
        case GroupBy(label):
            return frozenset(endpoint.label_values(label))
        case Between(selector):
            return selector.matches(endpoint.labels)
        case FromTo(client, server):
            return client.matches(endpoint.labels), server.matches(endpoint.labels)
        case _:
            return None


def _no_endpoint(name: str, found: Found, left_out: Sequence[str]) -> str:
    if left_out:
        return f"{name} has no endpoint: {_listed(left_out)}"
    return f"no endpoint is called {name!r}; an address, a container's name or uuid, or stack/service{found.hint}"


def _listed(sentences: Sequence[str]) -> str:
    """The first few of them: a service may have left behind any number of stopped containers."""
    more = len(sentences) - MOST_NAMED
    return "; ".join([*sentences[:MOST_NAMED], *([f"and {more} more"] if more > 0 else [])])
