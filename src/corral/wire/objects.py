"""One object of the metadata at a time: from its JSON to the model's entity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from sys import intern

from msgspec.json import Decoder

from corral.model.entities import (
    AGENT_LABEL,
    NO_LABELS,
    Container,
    Environment,
    Host,
    Network,
    PortRule,
    Service,
    ServiceKey,
    Stack,
    StackKey,
)
from corral.wire.documents import (
    CniDocument,
    ContainerDocument,
    EnvironmentDocument,
    HostDocument,
    NetworkDocument,
    PlainContainer,
    PlainPortRule,
    PlainService,
    PlainStack,
    PortRuleDocument,
    ServiceDocument,
    StackDocument,
)
from corral.wire.fields import NO_LINKS, address_of, link_targets, linked_uuids
from corral.wire.labels import launch_config
from corral.wire.nested import by_uuid, by_uuid_and_name, identified, nested_identities, text_of
from corral.wire.reading import NO_UUIDS, NOT_PLAIN, Found, Read, Uuids, read_tolerantly
from corral.wire.sidekicks import member
from corral.wire.splitting import Text

RANCHER_BRIDGE = "rancher-bridge"

_plain_stack = Decoder(PlainStack)
_plain_service = Decoder(PlainService)
_plain_container = Decoder(PlainContainer)


@dataclass(slots=True)
class Lookups:
    """The stacks and services of one environment, for the objects that refer to them.

    A uuid stands for several services where a primary has sidekicks; the primary comes first.
    """

    environment: str
    stacks_by_uuid: Mapping[str, StackKey] = field(default_factory=dict)
    services_by_uuid: Mapping[str, tuple[ServiceKey, ...]] = field(default_factory=dict)
    stacks: Mapping[StackKey, Stack] = field(default_factory=dict)
    services: Mapping[ServiceKey, Service] = field(default_factory=dict)
    _stack_keys: dict[str, StackKey] = field(default_factory=dict)
    _service_keys: dict[tuple[str, str], ServiceKey] = field(default_factory=dict)

    def find(self, uuids: Uuids) -> Found:
        """The stack and the services that two uuids stand for."""
        return self.stacks_by_uuid.get(uuids[0]), self.services_by_uuid.get(uuids[1], ())

    def stack(self, name: str, uuid: str) -> StackKey | None:
        """The stack of an object that names it, or has its uuid. All that are in it share its key."""
        if not name:
            return self.stacks_by_uuid.get(uuid)
        key = self._stack_keys.get(name)
        if key is None:
            key = StackKey(self.environment, name)
            key = self._stack_keys[name] = self.stacks[key].key if key in self.stacks else key
        return key

    def service(self, stack: str, name: str) -> ServiceKey:
        """The key of a service that is named; all that are of it share it."""
        key = self._service_keys.get((stack, name))
        if key is None:
            key = ServiceKey(self.environment, stack, name)
            key = self._service_keys[stack, name] = self.services[key].key if key in self.services else key
        return key


def read_stack(text: Text, environment: str) -> Read[Stack]:
    """A stack, with the identities of the services nested in it."""

    def translated(document: PlainStack | StackDocument) -> Read[Stack]:
        key = StackKey(environment, document.name.lower())
        return Read(Stack(key=key, uuid=document.uuid or "", system=bool(document.system)))

    try:
        plain = _plain_stack.decode(text)
    except NOT_PLAIN:
        read = read_tolerantly("stack", text, StackDocument, translated)
        read.environment_name = text_of(text, "environment_name")
        read.nested = nested_identities(text, "services", by_uuid_and_name)
        return read
    read = translated(plain)
    read.environment_name = plain.environment_name or ""
    read.nested = identified(plain.services, by_uuid_and_name)
    return read


def read_service(text: Text, lookups: Lookups) -> Read[Service]:
    """A service, with the identities of the containers nested in it."""
    translated = partial(_service, lookups)
    try:
        plain = _plain_service.decode(text)
    except NOT_PLAIN:
        read = read_tolerantly("service", text, ServiceDocument, translated, identify=by_uuid_and_name)
        read.nested = nested_identities(text, "containers", by_uuid)
        return read
    read = translated(plain)
    read.identity = (plain.uuid or "", plain.name.lower())
    read.nested = identified(plain.containers, by_uuid)
    stack = plain.stack_name or plain.stack_uuid or ""
    read.member = member(stack, plain.name, plain.sidekicks or (), named=bool(plain.primary_service_name))
    return read


def _service(lookups: Lookups, document: PlainService | ServiceDocument) -> Read[Service]:
    name, stack_name = document.name.lower(), (document.stack_name or "").lower()
    stack = lookups.stack(stack_name, document.stack_uuid or "")
    service = Service(
        key=ServiceKey(lookups.environment, stack.name if stack else "", name),
        uuid=document.uuid or "",
        kind=intern(document.kind or "service"),
        system=bool(document.system),
        primary=(document.primary_service_name or name).lower(),
        labels=_shared(document.labels),
        links=link_targets(document.links),
        port_rules=tuple(map(_port_rule, _port_rules(document))),
    )
    asked = NO_UUIDS if stack_name else (document.stack_uuid or "", "")
    return Read(service, asked=asked, found=lookups.find(asked))


def _port_rules(document: PlainService | ServiceDocument) -> Iterable[PlainPortRule | PortRuleDocument]:
    if isinstance(document, ServiceDocument):
        return document.port_rules
    return (document.lb_config.port_rules if document.lb_config else None) or ()


def _port_rule(document: PlainPortRule | PortRuleDocument) -> PortRule:
    return PortRule(
        service=(document.service or "").lower(),
        selector=document.selector or "",
        container=document.container_uuid or "",
        environment=(document.environment or "").lower(),
        region=(document.region or "").lower(),
    )


def read_container(text: Text, lookups: Lookups) -> Container | Read[Container]:
    """A container; its stack and service are found by uuid where it does not name them.

    Thousands are kept, so where there is nothing else to say of it, it is the container itself.
    """
    try:
        container, asked = _container(lookups, _plain_container.decode(text))
    except NOT_PLAIN:
        return read_tolerantly("container", text, ContainerDocument, partial(_looked_up, lookups))
    if asked == NO_UUIDS:
        return container
    return Read(container, container.uuid, asked=asked, found=lookups.find(asked))


def _looked_up(lookups: Lookups, document: ContainerDocument) -> Read[Container]:
    container, asked = _container(lookups, document)
    return Read(container, asked=asked, found=lookups.find(asked))


def _container(lookups: Lookups, document: PlainContainer | ContainerDocument) -> tuple[Container, Uuids]:
    """The container, and what had to be looked up for it."""
    stack_name, service_name = (document.stack_name or "").lower(), (document.service_name or "").lower()
    stack = lookups.stack(stack_name, document.stack_uuid or "")
    labels = _shared(document.labels)
    asked = NO_UUIDS if stack_name else (document.stack_uuid or "", "")
    if service_name and stack is not None:
        service: ServiceKey | None = lookups.service(stack.name, service_name)
    else:
        asked = (asked[0], document.service_uuid or "")
        service = _one_of(lookups.services_by_uuid.get(asked[1], ()), service_name, labels)
    container = Container(
        uuid=intern(document.uuid),
        name=intern((document.name or "").lower()),
        environment=lookups.environment,
        address=address_of(document.primary_ip),
        network=intern(document.network_uuid or ""),
        network_from=intern(document.network_from_container_uuid or ""),
        host=intern(document.host_uuid or ""),
        state=intern((document.state or "").lower()),
        system=bool(document.system),
        stack=stack or (StackKey(lookups.environment, service.stack) if service else None),
        service=service,
        labels=labels,
        links=linked_uuids(document.links) if document.links else NO_LINKS,
        ports=tuple(map(intern, document.ports)) if document.ports else (),
        health=intern((document.health_state or "").lower()) if AGENT_LABEL in labels else "",
    )
    return container, asked


def _one_of(candidates: tuple[ServiceKey, ...], name: str, labels: Mapping[str, str]) -> ServiceKey | None:
    """Of a primary (the first candidate) and its sidekicks, which share its uuid."""
    wanted = name or launch_config(labels)
    named = (key for key in candidates if key.name == wanted)
    return next(named, candidates[0] if candidates and not name else None)


def _shared(labels: Mapping[str, str] | None) -> Mapping[str, str]:
    """The labels, their texts shared: most keys and values are those of other containers, too."""
    if not labels:
        return NO_LABELS
    return {intern(key): intern(value) for key, value in labels.items()}


def read_host(text: Text, environment: str) -> Read[Host]:
    """A host."""

    def translated(document: HostDocument) -> Read[Host]:
        host = Host(
            uuid=intern(document.uuid),
            name=document.name,
            environment=environment,
            agent_ip=document.agent_ip,
            state=document.state,
            labels=document.labels,
        )
        return Read(host)

    return read_tolerantly("host", text, HostDocument, translated)


def read_network(text: Text, environment: str) -> Read[Network]:
    """A network, with the bridge and subnet of the CNI document that tells of Rancher's bridge, or tells most."""

    def translated(document: NetworkDocument) -> Read[Network]:
        cni = max(document.cni.values(), key=_tells, default=CniDocument())
        network = Network(
            uuid=intern(document.uuid),
            name=document.name,
            environment=environment,
            state=document.state,
            bridge=cni.bridge,
            bridge_subnet=cni.bridge_subnet,
            policy=document.policy,
            default_policy_action=document.default_policy_action,
        )
        return Read(network)

    return read_tolerantly("network", text, NetworkDocument, translated)


def _tells(cni: CniDocument) -> tuple[bool, int]:
    told = bool(cni.bridge) + bool(cni.bridge_subnet)
    return told > 0 and cni.type == RANCHER_BRIDGE, told


def read_environment(text: Text) -> Read[Environment]:
    """A linked environment's names."""

    def translated(document: EnvironmentDocument) -> Read[Environment]:
        return Read(Environment(name=document.name, region=document.region_name, uuid=document.uuid))

    return read_tolerantly("environment", text, EnvironmentDocument, translated)
