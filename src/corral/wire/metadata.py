"""The metadata service's root document, translated into a snapshot.

The document holds each container three times and each service twice (Rancher nests the objects); the copy at
the top counts, a nested one only where the top has none.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from pydantic import ValidationError

from corral.errors import UnreachableError
from corral.model.entities import (
    OWN_ENVIRONMENT,
    Container,
    Environment,
    Host,
    Network,
    Service,
    ServiceKey,
    Snapshot,
    Stack,
    StackKey,
)
from corral.types import Problem
from corral.wire import objects
from corral.wire.fields import named, problem_of, shown
from corral.wire.memory import Memory
from corral.wire.sidekicks import derived_primaries

SECTIONS = ("hosts", "networks", "stacks", "services", "containers")
Entity = TypeVar("Entity")
Read = tuple[Entity, str]
Raw = Mapping[str, Any]


class SnapshotDecoder:
    """Decodes one document after another; objects that did not change keep their identity (`is`)."""

    def __init__(self) -> None:
        self._memory = Memory()

    def decode(self, document: object) -> Snapshot:
        """The snapshot, undecodable objects left out and named among its problems.

        Raises UnreachableError if this is no metadata, or not this host's: the last good state should stay.
        """
        root = _root(document)
        self_host, own_uuid = _self_host(root)
        self._memory.begin()
        reading = _Reading(self._memory)
        reading.environment(root, OWN_ENVIRONMENT)
        own = reading.linked_environments(root.get("environments"), own_uuid) or _own_environment(root, own_uuid)
        self._memory.finish()
        return reading.snapshot(self_host, own)


def _root(document: object) -> Raw:
    if not isinstance(document, dict):
        raise UnreachableError(f"the metadata answers no object but {shown(document)}")
    missing = [name for name in SECTIONS if name not in document]
    if missing:
        # A document without them is not an environment without containers: the server spells that `null`.
        raise UnreachableError(
            f"the metadata's answer lacks {', '.join(missing)}: it has no data yet, or is no metadata"
        )
    odd = [name for name in SECTIONS if not isinstance(document[name], list | None)]
    if odd:
        raise UnreachableError(f"the metadata's {odd[0]} is no list but {shown(document[odd[0]])}")
    return document


def _self_host(root: Raw) -> tuple[str, str]:
    """The uuids of the host that the metadata server runs on, and of its environment."""
    self_ = root.get("self")
    host = self_.get("host") if isinstance(self_, dict) else None
    uuid = _text(host, "uuid")
    if not uuid:
        # Without it no container would be local: everything here would be open.
        raise UnreachableError(
            f"the metadata does not say which host this is: self.host.uuid is required, self is {shown(self_)}"
        )
    return uuid, _text(host, "environment_uuid")


def _own_environment(root: Raw, uuid: str) -> Environment:
    names = (_text(stack, "environment_name") for stack in root["stacks"] or ())
    return Environment(name=next(filter(None, names), ""), region=_text(root, "region_name"), uuid=uuid)


def _text(raw: object, key: str) -> str:
    value = raw.get(key) if isinstance(raw, dict) else None
    return value if isinstance(value, str) else ""


@dataclass(slots=True)
class _Reading:
    """One pass over a document."""

    memory: Memory
    linked: dict[str, Environment] = field(default_factory=dict)
    hosts: dict[str, Host] = field(default_factory=dict)
    stacks: dict[StackKey, Stack] = field(default_factory=dict)
    services: dict[ServiceKey, Service] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def snapshot(self, self_host: str, own: Environment) -> Snapshot:
        return Snapshot(
            self_host=self_host,
            own=own,
            linked=self.linked,
            hosts=self.hosts,
            stacks=self.stacks,
            services=self.services,
            containers=self.containers,
            networks=self.networks,
            problems=tuple(self.problems),
        )

    def linked_environments(self, raws: object, own_uuid: str) -> Environment | None:
        """Read every linked environment; our own may be listed among them, and is returned then."""
        own = None
        for index, raw in enumerate(raws if isinstance(raws, list) else ()):
            environment = self._entity("environment", index, raw, partial(objects.read_environment, raw))
            if environment is None:
                continue
            if own_uuid and environment.uuid == own_uuid:
                own = environment
            else:
                self._linked_environment(environment, raw)
        return own

    def _linked_environment(self, environment: Environment, raw: Raw) -> None:
        name, region = environment.name.lower(), environment.region.lower()
        key = f"{region}/{name}" if region else name
        if key in self.linked:
            self.problems.append(Problem(f"environment {key}", "listed twice; the first one counts"))
            return
        self.linked[key] = environment
        self.environment(raw, key)

    def environment(self, raw: Raw, key: str) -> None:
        """Read all objects of one environment."""
        for name in SECTIONS:
            if not isinstance(raw.get(name), list | None):
                self.problems.append(
                    Problem(f"environment {key}", f"{name}: a list is allowed, {shown(raw[name])} given")
                )
        stacks, services = _section(raw, "stacks"), _section(raw, "services")
        for index, item in enumerate(_section(raw, "hosts")):
            self._host(index, item, key)
        for index, item in enumerate(_section(raw, "networks")):
            self._network(index, item, key)
        by_uuid = self._stacks(stacks, key)
        services = _with_nested(services, stacks, "services", _service_identity)
        by_service_uuid = self._services(services, key, by_uuid)
        containers = _with_nested(_section(raw, "containers"), services, "containers", _uuid)
        for index, item in enumerate(containers):
            self._container(index, item, key, by_uuid, by_service_uuid)

    def _host(self, index: int, raw: object, key: str) -> None:
        host = self._remembered("host", index, raw, key, objects.HOST_FIELDS, lambda: objects.read_host(raw, key))
        if host is not None:
            self.hosts.setdefault(host.uuid, host)

    def _network(self, index: int, raw: object, key: str) -> None:
        # Compared by their text: to Python 1, 1.0 and True are equal, and a policy may hold any of them.
        network = self._entity(
            "network",
            index,
            raw,
            lambda: self.memory.translated(
                ("network", key, _uuid(raw)), repr(raw), lambda: objects.read_network(raw, key)
            ),
        )
        if network is not None:
            self.networks.setdefault(network.uuid, network)

    def _stacks(self, raws: Iterable[object], key: str) -> dict[str, StackKey]:
        by_uuid: dict[str, StackKey] = {}
        for index, raw in enumerate(raws):
            fields = objects.STACK_FIELDS
            stack = self._remembered("stack", index, raw, key, fields, partial(objects.read_stack, raw, key))
            if stack is not None:
                self.stacks.setdefault(stack.key, stack)
                by_uuid.setdefault(stack.uuid, stack.key)
        by_uuid.pop("", None)
        return by_uuid

    def _services(
        self, raws: Iterable[object], key: str, stacks: Mapping[str, StackKey]
    ) -> dict[str, tuple[ServiceKey, ...]]:
        raws = list(raws)
        primaries = derived_primaries(raws)
        found: dict[str, list[Service]] = {}
        for index, raw in enumerate(raws):
            service = self._service(index, raw, key, stacks, primaries.get(index, ""))
            if service is not None and self._kept(service):
                found.setdefault(service.uuid, []).append(service)
        found.pop("", None)
        return {uuid: tuple(s.key for s in sorted(same, key=_sidekicks_last)) for uuid, same in found.items()}

    def _service(
        self, index: int, raw: object, key: str, stacks: Mapping[str, StackKey], primary: str
    ) -> Service | None:
        stack = stacks.get(_text(raw, "stack_uuid"))
        return self._remembered(
            "service",
            index,
            raw,
            key,
            objects.SERVICE_FIELDS,
            lambda: objects.read_service(raw, key, stacks, primary),
            context=(stack, primary),
        )

    def _kept(self, service: Service) -> bool:
        """Whether a service is the first of its key."""
        if not service.key.stack:
            self.problems.append(Problem(f"service {service.key.name} ({service.uuid})", "its stack is not known"))
            return False
        return self.services.setdefault(service.key, service) is service

    def _container(
        self,
        index: int,
        raw: object,
        key: str,
        stacks: Mapping[str, StackKey],
        services: Mapping[str, tuple[ServiceKey, ...]],
    ) -> None:
        context = (stacks.get(_text(raw, "stack_uuid")), services.get(_text(raw, "service_uuid")))
        container = self._remembered(
            "container",
            index,
            raw,
            key,
            objects.CONTAINER_FIELDS,
            lambda: objects.read_container(raw, key, stacks, services),
            context=context,
        )
        if container is not None:
            self.containers.setdefault(container.uuid, container)

    def _remembered(
        self,
        kind: str,
        index: int,
        raw: object,
        environment: str,
        fields: tuple[str, ...],
        translate: Callable[[], Read[Entity]],
        context: tuple[object, ...] = (),
    ) -> Entity | None:
        """The entity, the same object as last time if neither `fields` nor `context` changed."""
        if not isinstance(raw, dict) or not _comparable(raw):
            return self._entity(kind, index, raw, translate)
        identity = (kind, environment, _uuid(raw), _text(raw, "name"))
        relevant = (context, *map(raw.get, fields))
        return self._entity(kind, index, raw, lambda: self._from_memory(identity, relevant, translate))

    def _from_memory(self, identity: Hashable, relevant: object, translate: Callable[[], Read[Entity]]) -> Read[Entity]:
        read = self.memory.translated(identity, relevant, translate)
        if read[1]:
            # The sentence tells 1 from True, which compare equal.
            self.memory.forget(identity)
        return read

    def _entity(self, kind: str, index: int, raw: object, translate: Callable[[], Read[Entity]]) -> Entity | None:
        """The entity, unless it is undecodable; what was odd becomes a problem."""
        try:
            entity, faults = translate()
        except ValidationError as error:
            self.problems.append(problem_of(named(kind, raw, index), error))
            return None
        except RecursionError:
            self.problems.append(Problem(named(kind, raw, index), "nested too deeply"))
            return None
        if faults:
            self.problems.append(Problem(named(kind, raw, index), faults))
        return entity


def _section(raw: Raw, name: str) -> list[object]:
    items = raw.get(name)
    return items if isinstance(items, list) else []


def _with_nested(
    top: list[object], parents: Iterable[object], name: str, identity: Callable[[object], object]
) -> list[object]:
    """The objects at the top, and those that appear only nested in a parent."""
    seen = {identity(item) for item in top}
    items = list(top)
    for parent in parents:
        for item in _section(parent, name) if isinstance(parent, dict) else ():
            if identity(item) and identity(item) not in seen:
                seen.add(identity(item))
                items.append(item)
    return items


def _uuid(raw: object) -> str:
    return _text(raw, "uuid")


def _service_identity(raw: object) -> tuple[str, str] | None:
    """Sidekicks have the uuid of their primary: only uuid and name together identify a service."""
    name = _text(raw, "name")
    return (_uuid(raw), name.lower()) if name else None


def _sidekicks_last(service: Service) -> tuple[bool, str]:
    return service.primary != service.key.name, service.key.name


def _comparable(raw: Raw) -> bool:
    """Whether equal means the same: to Python 1, 1.0 and True are equal, as labels they differ."""
    labels = raw.get("labels")
    return not isinstance(labels, dict) or all(type(value) is str for value in labels.values())
