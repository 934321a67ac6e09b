"""Reading, tidying and searching the subnets of managed networks."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from corral.model.entities import Host, Network
from corral.types import Problem, Subnet

HOST_LABEL = "__host_label__:"


@dataclass(frozen=True, slots=True)
class Reading:
    """The subnets that a network's `bridgeSubnet` means, and what could not be read."""

    subnets: tuple[Subnet, ...]
    problems: tuple[Problem, ...]


def host_label(value: str) -> str | None:
    """The key of the host label that a value of a CNI document refers to, or None where it is a plain value."""
    return value[len(HOST_LABEL) :].strip() if value.startswith(HOST_LABEL) else None


def read_subnets(network: Network, hosts: Iterable[Host]) -> Reading:
    """Read `bridgeSubnet`: a subnet, or a host label, which stands for every host's part of the network."""
    where = f"network {network.name} ({network.uuid})"
    label = host_label(network.bridge_subnet)
    if label is None:
        values: Mapping[str, str] = {where: network.bridge_subnet}
    else:
        values = {f"host {host.name} ({host.uuid})": host.labels[label] for host in hosts if label in host.labels}
    subnets, problems = [], []
    for place, value in values.items():
        subnet = _read(value)
        if subnet is not None:
            subnets.append(subnet)
        else:
            message = f"the bridge subnet {value!r} is not an IPv4 subnet such as 10.42.0.0/16"
            problems.append(Problem(place, f"label {label}: {message}" if label else message))
    if label is not None and not values:
        problems.append(Problem(where, f"its bridge subnet is in the host label {label!r}, which no host carries"))
    return Reading(tidy(subnets), tuple(problems))


def names_part_of(host: Host | None, network: Network) -> bool:
    """Whether the host's part of the network can be read: always, where `bridgeSubnet` refers to no host label."""
    label = host_label(network.bridge_subnet)
    if label is None:
        return True
    return host is not None and _read(host.labels.get(label, "")) is not None


def _read(value: str) -> Subnet | None:
    try:
        return Subnet.parse(value.strip())
    except ValueError:
        return None


def tidy(subnets: Iterable[Subnet]) -> tuple[Subnet, ...]:
    """Sort, and leave out what lies inside another: two IPv4 subnets are nested or apart, they can not straddle."""
    return tuple(_outermost(sorted(subnets)))


def _outermost(ordered: Iterable[Subnet]) -> Iterator[Subnet]:
    last: Subnet | None = None
    for subnet in ordered:
        if last is None or subnet.last > last.last:
            last = subnet
            yield subnet


class Ranges:
    """The addresses of tidy subnets."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, subnets: Iterable[Subnet]) -> None:
        subnets = tuple(subnets)
        self._firsts = [int(subnet.first) for subnet in subnets]
        self._lasts = [int(subnet.last) for subnet in subnets]

    def __contains__(self, address: int) -> bool:
        position = bisect_right(self._firsts, address)
        return position > 0 and address <= self._lasts[position - 1]


def overlapped(subnets: Sequence[Subnet], subnet: Subnet) -> Subnet | None:
    """One of the tidy `subnets` that shares addresses with `subnet`, or None."""
    position = bisect_right(subnets, subnet.last, key=lambda other: other.first)
    last = subnets[position - 1] if position else None
    return last if last and last.last >= subnet.first else None
