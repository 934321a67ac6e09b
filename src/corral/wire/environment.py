"""All objects of one environment: those at the top, and those that appear only nested in another.

The metadata holds each container three times and each service twice. The copy at the top counts.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from corral.model.entities import Container, Environment, Host, Network, Service, ServiceKey, Snapshot, Stack, StackKey
from corral.types import Problem
from corral.wire import objects
from corral.wire.memory import Memory
from corral.wire.nested import Identify, Identity, by_uuid, by_uuid_and_name, nested_copies
from corral.wire.objects import Lookups
from corral.wire.reading import NO_UUIDS, Read
from corral.wire.sidekicks import derived_primaries
from corral.wire.splitting import NEW, Outline, Parts, Section, Text

Key = TypeVar("Key", bound=Hashable)
Entity = TypeVar("Entity")
Turns = Generator[None, None, None]

# Objects between two turns of others: one takes some 10 µs, and ten times that where it is read tolerantly.
AT_ONCE = 32


@dataclass(slots=True)
class Harvest:
    """What all environments of a document hold. What is equal to what was there `before` is the same object."""

    before: Snapshot
    linked: dict[str, Environment] = field(default_factory=dict)
    hosts: dict[str, Host] = field(default_factory=dict)
    stacks: dict[StackKey, Stack] = field(default_factory=dict)
    services: dict[ServiceKey, Service] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def entity(self, kind: str, index: int, read: Read[Entity]) -> Entity | None:
        """What was read, if it can be used; what was odd becomes a problem."""
        if read.faults:
            self.problems.append(Problem(read.where or f"{kind} [{index}]", read.faults))
        return read.entity

    def keep(self, service: Service) -> bool:
        """Whether a service is the first of its key."""
        if not service.key.stack:
            self.problems.append(Problem(f"service {service.key.name} ({service.uuid})", "its stack is not known"))
            return False
        return self.services.setdefault(service.key, service) is service


class EnvironmentReader:
    """One pass over one environment."""

    def __init__(self, key: str, parts: Parts, memory: Memory, harvest: Harvest) -> None:
        self._key = key
        self._parts = parts
        self._memory = memory
        self._harvest = harvest
        self._lookups = Lookups(key, stacks=harvest.stacks, services=harvest.services)
        self._reads: dict[str, list[Any]] = {}

    def steps(self) -> Generator[None, None, Memory]:
        """Read all of it into the harvest, with pauses. Returns what is to be kept for the next pass."""
        yield from self._hosts()
        yield from self._networks()
        yield from self._stacks()
        services = yield from self._services()
        yield from self._containers(services)
        return Memory({name: self._section(name).outline for name in self._reads}, self._reads)

    def _hosts(self) -> Turns:
        harvest = self._harvest

        def read(text: Text) -> Read[Host]:
            return settled(objects.read_host(text, self._key), harvest.before.hosts, lambda host: host.uuid)

        for index, found in enumerate((yield from self._read("hosts", read))):
            host = harvest.entity("host", index, found)
            if host is not None:
                harvest.hosts.setdefault(host.uuid, host)

    def _networks(self) -> Turns:
        harvest = self._harvest

        def read(text: Text) -> Read[Network]:
            return settled(objects.read_network(text, self._key), harvest.before.networks, lambda network: network.uuid)

        for index, found in enumerate((yield from self._read("networks", read))):
            network = harvest.entity("network", index, found)
            if network is not None:
                harvest.networks.setdefault(network.uuid, network)

    def _stacks(self) -> Turns:
        harvest, by_uuid = self._harvest, dict[str, StackKey]()

        def read(text: Text) -> Read[Stack]:
            return settled(objects.read_stack(text, self._key), harvest.before.stacks, lambda stack: stack.key)

        for index, found in enumerate((yield from self._read("stacks", read))):
            stack = harvest.entity("stack", index, found)
            if stack is not None:
                harvest.stacks.setdefault(stack.key, stack)
                by_uuid.setdefault(stack.uuid, stack.key)
        by_uuid.pop("", None)
        self._lookups.stacks_by_uuid = by_uuid

    def _services(self) -> Generator[None, None, list[tuple[Text, Read[Service]]]]:
        """All services, those nested in stacks among them, each with its JSON."""

        def read(text: Text) -> Read[Service]:
            before = self._harvest.before.services
            return settled(objects.read_service(text, self._lookups), before, lambda service: service.key)

        reads = yield from self._read("services", read)
        stacks = zip(self._section("stacks").texts, self._reads["stacks"], strict=True)
        nested = only_nested(stacks, "services", by_uuid_and_name, {each.identity for each in reads})
        yield
        services = [*zip(self._section("services").texts, reads, strict=True), *((text, read(text)) for text in nested)]
        self._keep_services([each for _, each in services])
        return services

    def _keep_services(self, reads: list[Read[Service]]) -> None:
        harvest, found = self._harvest, dict[str, list[Service]]()
        primaries = derived_primaries([read.member for read in reads])
        for index, read in enumerate(reads):
            service = harvest.entity("service", index, read)
            if service is not None and index in primaries:
                service = same(harvest.before.services.get(service.key), replace(service, primary=primaries[index]))
            if service is not None and harvest.keep(service):
                found.setdefault(service.uuid, []).append(service)
        found.pop("", None)
        self._lookups.services_by_uuid = {
            uuid: tuple(service.key for service in sorted(sharing, key=_sidekicks_last))
            for uuid, sharing in found.items()
        }

    def _containers(self, services: Iterable[tuple[Text, Read[Service]]]) -> Turns:
        harvest = self._harvest

        def read(text: Text) -> Container | Read[Container]:
            found = objects.read_container(text, self._lookups)
            if isinstance(found, Container):
                return same(harvest.before.containers.get(found.uuid), found)
            return settled(found, harvest.before.containers, lambda container: container.uuid)

        reads = yield from self._read("containers", read)
        seen = {each.uuid if isinstance(each, Container) else each.identity for each in reads}
        yield
        nested = only_nested(services, "containers", by_uuid, seen)
        yield
        for index, each in enumerate([*reads, *map(read, nested)] if nested else reads):
            found = each if isinstance(each, Container) else harvest.entity("container", index, each)
            if found is not None:
                harvest.containers.setdefault(found.uuid, found)
            if not index % (AT_ONCE * AT_ONCE):
                yield

    def _read(self, name: str, read: Callable[[Text], Any]) -> Generator[None, None, list[Any]]:
        """What the objects of a list say; those that are as before, and find what they found before, say the same."""
        section, known, reads = self._section(name), self._memory.reads.get(name, ()), list[Any]()
        for first in range(0, len(section.texts), AT_ONCE):
            last = first + AT_ONCE
            for text, origin in zip(section.texts[first:last], section.origins[first:last], strict=True):
                found = None if origin == NEW else known[origin]
                reads.append(read(text) if found is None or self._is_stale(found) else found)
            yield
        self._reads[name] = reads
        return reads

    def _is_stale(self, known: object) -> bool:
        return isinstance(known, Read) and known.asked != NO_UUIDS and known.found != self._lookups.find(known.asked)

    def _section(self, name: str) -> Section:
        return self._parts.lists.get(name) or Section(Outline())


def only_nested(
    parents: Iterable[tuple[Text, Read[Any]]], name: str, identify: Identify, seen: set[Identity]
) -> list[Text]:
    """The objects that appear only nested in a parent; of several copies of one the first."""
    only: dict[Identity, Text] = {}
    for text, parent in parents:
        if not seen.issuperset(parent.nested):
            for identity, copy in nested_copies(text, name, identify):
                if identity and identity not in seen:
                    only.setdefault(identity, copy)
    return list(only.values())


def settled(read: Read[Entity], before: Mapping[Key, Entity], key: Callable[[Entity], Key]) -> Read[Entity]:
    """What was read, its entity being the object that was there before if that is equal."""
    if read.entity is not None:
        read.entity = same(before.get(key(read.entity)), read.entity)
    return read


def same(known: Entity | None, entity: Entity) -> Entity:
    """The object that is known, if it is equal."""
    if known is None or known != entity:
        return entity
    # To Python 1, 1.0 and True are equal, and a policy may hold any of them.
    return known if not isinstance(entity, Network) or repr(known) == repr(entity) else entity


def _sidekicks_last(service: Service) -> tuple[bool, str]:
    return service.primary != service.key.name, service.key.name
