"""Which network is managed: the overlay whose policy is enforced on this host.

`is_default` is not asked: Rancher 1.6 fills it the wrong way round. A network is a candidate when a CNI document
names its bridge subnet; during an upgrade there are two of the same name.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from corral.model.change import ManagedNetwork
from corral.model.entities import DEAD_STATES, OWN_ENVIRONMENT, Container, Host, Network, Service, ServiceKey
from corral.model.placement import Placement
from corral.model.subnets import host_label, names_part_of, overlapped, read_subnets
from corral.types import Problem, Subnet

NETWORK_DRIVER = "networkDriverService"
DRIVER_NAME = "cni-driver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that the choice depends on."""

    self_host: str
    linked: Iterable[str]
    hosts: Mapping[str, Host]
    networks: Mapping[str, Network]
    services: Mapping[ServiceKey, Service]
    containers: Mapping[str, Container]
    placement: Placement


@dataclass(frozen=True, slots=True)
class Choice:
    """The managed network, if there is one, and the uuids of all networks whose containers are endpoints.

    `watched` are networks whose containers have a say in the choice; `contested` that services have one too.
    """

    network: ManagedNetwork | None = None
    uuids: frozenset[str] = frozenset()
    watched: frozenset[str] = frozenset()
    contested: bool = False
    problems: tuple[Problem, ...] = ()

    @property
    def subnets(self) -> tuple[Subnet, ...]:
        """The managed subnets; none without a managed network."""
        return self.network.subnets if self.network else ()


@dataclass(frozen=True, slots=True)
class _Candidate:
    network: Network
    subnets: tuple[Subnet, ...]


@dataclass(slots=True)
class _Findings:
    """`subnets` are in order, and none overlaps another."""

    subnets: list[Subnet] = field(default_factory=list)
    uuids: set[str] = field(default_factory=set)
    watched: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


def choose(facts: Facts) -> Choice:
    """Choose the managed network, and add the networks of linked environments. Never fails: see `problems`."""
    findings = _Findings()
    listed = _Listed(facts)
    candidates = _candidates(facts, OWN_ENVIRONMENT, listed, findings)
    if not candidates:
        findings.problems.append(_no_network(facts))
        return Choice(problems=tuple(findings.problems))
    contested = len(candidates) > 1
    if contested:
        findings.watched.update(candidate.network.uuid for candidate in candidates)
    chosen = _best(facts, candidates) if contested else candidates[0]
    if not names_part_of(facts.hosts.get(facts.self_host), chosen.network):
        return Choice(watched=frozenset(findings.watched), contested=contested, problems=tuple(findings.problems))
    _adopt(chosen, findings)
    bridge = _bridge(facts, chosen.network, findings)
    for environment in sorted(facts.linked):
        _add_linked(facts, environment, listed, findings)
    network = ManagedNetwork(
        uuid=chosen.network.uuid,
        name=chosen.network.name,
        bridge=bridge,
        subnets=tuple(findings.subnets),
        policy=chosen.network.policy,
        default_policy_action=chosen.network.default_policy_action,
        others=tuple(_title(candidate.network) for candidate in candidates if candidate is not chosen),
    )
    return Choice(network, frozenset(findings.uuids), frozenset(findings.watched), contested, tuple(findings.problems))


class _Listed:
    """Hosts and networks by environment, networks by name: there may be many environments."""

    def __init__(self, facts: Facts) -> None:
        self.hosts: defaultdict[str, list[Host]] = defaultdict(list)
        self.networks: defaultdict[str, list[Network]] = defaultdict(list)
        for host in facts.hosts.values():
            self.hosts[host.environment].append(host)
        for network in sorted(facts.networks.values(), key=lambda network: (network.name, network.uuid)):
            self.networks[network.environment].append(network)
        self._readings: dict[tuple[str, str], tuple[Subnet, ...]] = {}

    def subnets(self, network: Network, findings: _Findings) -> tuple[Subnet, ...]:
        """Read once for all networks of an environment that refer to the same host label."""
        place = network.environment, network.bridge_subnet
        if not self._readings.get(place):
            reading = read_subnets(network, self.hosts[network.environment])
            findings.problems.extend(reading.problems)
            self._readings[place] = reading.subnets
        return self._readings[place]


def _candidates(facts: Facts, environment: str, listed: _Listed, findings: _Findings) -> list[_Candidate]:
    """The networks of an environment that a CNI document describes and whose subnets can be read, by name."""
    candidates = []
    for network in listed.networks[environment]:
        if network.bridge_subnet:
            if environment == OWN_ENVIRONMENT:
                _check_own_part(facts, network, findings)
            subnets = listed.subnets(network, findings)
            if subnets:
                candidates.append(_Candidate(network, subnets))
        elif network.bridge:
            message = f"its CNI document names the bridge {network.bridge!r} but no bridgeSubnet"
            findings.problems.append(Problem(f"network {_title(network)}", message))
    return candidates


def _check_own_part(facts: Facts, network: Network, findings: _Findings) -> None:
    """Without this host's part, flows to its own containers would count as flows to the world: never judged."""
    host = facts.hosts.get(facts.self_host)
    if not names_part_of(host, network):
        name = f"{host.name} ({host.uuid})" if host else facts.self_host or "unknown"
        message = (
            f"this host, {name}, has no readable subnet in the label {host_label(network.bridge_subnet)!r}, which "
            "names its part of the network (such as 10.42.1.0/24): the network can not be managed"
        )
        findings.problems.append(Problem(f"network {_title(network)}", message))


def _best(facts: Facts, candidates: list[_Candidate]) -> _Candidate:
    drivers = _drivers(facts.services)

    def rank(candidate: _Candidate) -> tuple[bool, int, bool]:
        local = facts.placement.local(candidate.network.uuid)
        routed = any(_is_router(facts.containers[uuid], facts.services, drivers) for uuid in local)
        return routed, len(local), candidate.network.state not in DEAD_STATES

    return max(candidates, key=rank)


def _drivers(services: Mapping[ServiceKey, Service]) -> Set[ServiceKey]:
    drivers = {
        key
        for key, service in services.items()
        if service.kind == NETWORK_DRIVER and key.environment == OWN_ENVIRONMENT
    }
    if len(drivers) > 1:
        return {key for key in drivers if key.name == DRIVER_NAME} or drivers
    return drivers


def _is_router(container: Container, services: Mapping[ServiceKey, Service], drivers: Set[ServiceKey]) -> bool:
    """Whether the container is of a primary service beside the driver in the driver's stack."""
    service = services.get(container.service) if container.service else None
    if service is None or service.key in drivers or service.primary_key != service.key:
        return False
    return any(service.key.environment == key.environment and service.key.stack == key.stack for key in drivers)


def _adopt(candidate: _Candidate, findings: _Findings) -> None:
    findings.uuids.add(candidate.network.uuid)
    for subnet in candidate.subnets:
        insort(findings.subnets, subnet)


def _bridge(facts: Facts, network: Network, findings: _Findings) -> str:
    """The name of this host's bridge, empty where it can not be told."""
    host = facts.hosts.get(facts.self_host)
    labels = host.labels if host else {}
    where = f"network {_title(network)}"
    label = host_label(network.bridge)
    bridge = network.bridge if label is None else labels.get(label, "")
    if not bridge:
        reason = f"this host lacks the label {label!r} that names it" if label else "no CNI document names it"
        findings.problems.append(Problem(where, f"its bridge on this host is not known: {reason}"))
    elif not _is_interface_name(bridge):
        message = (
            f"its bridge can not be called {bridge!r}: 1 to 15 printable ASCII characters are allowed, "
            "without blanks and without any of / : * \", and neither '.' nor '..'"
        )
        findings.problems.append(Problem(where, message))
        return ""
    return bridge


def _is_interface_name(name: str) -> bool:
    """Whether the kernel takes it (dev_valid_name), and nft does not read a wildcard or a quote in it."""
    allowed = all("!" <= character <= "~" and character not in '/:*"' for character in name)
    return allowed and len(name) <= 15 and name not in ("", ".", "..")


def _add_linked(facts: Facts, environment: str, listed: _Listed, findings: _Findings) -> None:
    """Add the networks of a linked environment that have containers. Its faults never reach our own environment."""
    where = f"linked environment {environment}"
    if not listed.hosts[environment]:
        findings.problems.append(Problem(where, "the metadata lists no hosts of it"))
    candidates = _candidates(facts, environment, listed, findings)
    if not candidates:
        findings.problems.append(Problem(where, "the metadata lists no network of it with a readable bridge subnet"))
    findings.watched.update(candidate.network.uuid for candidate in candidates)
    for candidate in candidates:
        if facts.placement.populated(candidate.network.uuid) and _is_apart(candidate, where, findings):
            _adopt(candidate, findings)


def _is_apart(candidate: _Candidate, where: str, findings: _Findings) -> bool:
    """Whether no subnet adopted before overlaps: else one address would stand for containers of two environments."""
    overlaps = [(subnet, other) for subnet in candidate.subnets if (other := overlapped(findings.subnets, subnet))]
    if overlaps:
        pairs = ", ".join(f"{subnet} overlaps {other}" for subnet, other in overlaps)
        message = f"its network {_title(candidate.network)} is left out, with its containers: {pairs}, managed already"
        findings.problems.append(Problem(where, message))
    return not overlaps


def _no_network(facts: Facts) -> Problem:
    listed = sorted(_title(network) for network in facts.networks.values() if network.environment == OWN_ENVIRONMENT)
    message = (
        f"none of the networks that the metadata lists ({', '.join(listed) or 'none'}) "
        "has a CNI document with a readable bridgeSubnet: nothing can be enforced"
    )
    return Problem("managed network", message)


def _title(network: Network) -> str:
    return f"{network.name} ({network.uuid})"
