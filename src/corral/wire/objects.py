"""One object of the metadata at a time: validated, and translated into the model's entity.

Every function returns the entity with a sentence on what was odd and left out, empty where nothing was.
"""

from __future__ import annotations

from collections.abc import Mapping

from corral.model.entities import (
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
from corral.wire.decode import decode
from corral.wire.documents import (
    CniDocument,
    ContainerDocument,
    EnvironmentDocument,
    HostDocument,
    NetworkDocument,
    PortRuleDocument,
    ServiceDocument,
    StackDocument,
)
from corral.wire.labels import launch_config

RANCHER_BRIDGE = "rancher-bridge"


def read_stack(raw: object, environment: str) -> tuple[Stack, str]:
    """A stack. Raises ValidationError, as all functions of this module do."""
    document, faults = decode(StackDocument, raw)
    return Stack(key=StackKey(environment, document.name), uuid=document.uuid, system=document.system), faults


def read_service(raw: object, environment: str, stacks: Mapping[str, StackKey], primary: str) -> tuple[Service, str]:
    """A service; `primary` serves where the document does not name its primary service."""
    document, faults = decode(ServiceDocument, raw)
    stack = stack_of(document.stack_name, document.stack_uuid, environment, stacks)
    service = Service(
        key=ServiceKey(environment, stack.name if stack else "", document.name),
        uuid=document.uuid,
        kind=document.kind or "service",
        system=document.system,
        primary=document.primary_service_name or primary or document.name,
        labels=document.labels,
        links=document.links,
        port_rules=tuple(map(_port_rule, document.port_rules)),
    )
    return service, faults


def _port_rule(document: PortRuleDocument) -> PortRule:
    return PortRule(
        service=document.service,
        selector=document.selector,
        container=document.container_uuid,
        environment=document.environment,
        region=document.region,
    )


def read_container(
    raw: object, environment: str, stacks: Mapping[str, StackKey], services: Mapping[str, tuple[ServiceKey, ...]]
) -> tuple[Container, str]:
    """A container; its stack and service are found by uuid where it does not name them."""
    document, faults = decode(ContainerDocument, raw)
    stack = stack_of(document.stack_name, document.stack_uuid, environment, stacks)
    service = _service_of(document, environment, stack, services.get(document.service_uuid, ()))
    container = Container(
        uuid=document.uuid,
        name=document.name,
        environment=environment,
        address=document.primary_ip,
        network=document.network_uuid,
        network_from=document.network_from_container_uuid,
        host=document.host_uuid,
        state=document.state,
        system=document.system,
        stack=stack or (StackKey(environment, service.stack) if service else None),
        service=service,
        labels=document.labels,
        links=document.links,
    )
    return container, faults


def stack_of(name: str, uuid: str, environment: str, stacks: Mapping[str, StackKey]) -> StackKey | None:
    """The stack of an object that names it, or has its uuid."""
    return StackKey(environment, name) if name else stacks.get(uuid)


def _service_of(
    document: ContainerDocument, environment: str, stack: StackKey | None, candidates: tuple[ServiceKey, ...]
) -> ServiceKey | None:
    """By name; else by uuid, which a primary (the first candidate) and its sidekicks share."""
    if document.service_name and stack is not None:
        return ServiceKey(environment, stack.name, document.service_name)
    wanted = document.service_name or launch_config(document.labels)
    named = (key for key in candidates if key.name == wanted)
    return next(named, candidates[0] if candidates and not document.service_name else None)


def read_host(raw: object, environment: str) -> tuple[Host, str]:
    """A host."""
    document, faults = decode(HostDocument, raw)
    host = Host(
        uuid=document.uuid,
        name=document.name,
        environment=environment,
        agent_ip=document.agent_ip,
        state=document.state,
        labels=document.labels,
    )
    return host, faults


def read_network(raw: object, environment: str) -> tuple[Network, str]:
    """A network, with the bridge and subnet of the CNI document that tells of Rancher's bridge, or tells most."""
    document, faults = decode(NetworkDocument, raw)
    cni = max(document.cni.values(), key=_tells, default=CniDocument())
    network = Network(
        uuid=document.uuid,
        name=document.name,
        environment=environment,
        state=document.state,
        bridge=cni.bridge,
        bridge_subnet=cni.bridge_subnet,
        policy=document.policy,
        default_policy_action=document.default_policy_action,
    )
    return network, faults


def _tells(cni: CniDocument) -> tuple[bool, int]:
    told = bool(cni.bridge) + bool(cni.bridge_subnet)
    return told > 0 and cni.type == RANCHER_BRIDGE, told


def read_environment(raw: object) -> tuple[Environment, str]:
    """A linked environment's names."""
    document, faults = decode(EnvironmentDocument, raw)
    return Environment(name=document.name, region=document.region_name, uuid=document.uuid), faults


# What of a raw object is translated: all else may change without a new translation.
STACK_FIELDS = ("uuid", "name", "system")
SERVICE_FIELDS = (
    "uuid", "name", "stack_uuid", "stack_name", "kind", "system",
    "labels", "links", "primary_service_name", "lb_config",
)  # fmt: skip
CONTAINER_FIELDS = tuple(ContainerDocument.model_fields)
HOST_FIELDS = tuple(HostDocument.model_fields)
