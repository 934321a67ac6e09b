"""One object of the metadata at a time: validated, and translated into the model's entity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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

Raw = Mapping[str, Any]


def read_stack(raw: object, environment: str) -> Stack:
    """A stack. Raises ValidationError, as all functions of this module do."""
    document = StackDocument.model_validate(raw)
    return Stack(key=StackKey(environment, document.name), uuid=document.uuid, system=document.system)


def read_service(raw: object, environment: str, stacks: Mapping[str, StackKey], primary: str) -> Service:
    """A service; `primary` serves where the document does not name its primary service."""
    document = ServiceDocument.model_validate(raw)
    stack = stack_of(document.stack_name, document.stack_uuid, environment, stacks)
    return Service(
        key=ServiceKey(environment, stack.name if stack else "", document.name),
        uuid=document.uuid,
        kind=document.kind or "service",
        system=document.system,
        primary=document.primary_service_name or primary or document.name,
        labels=document.labels,
        links=document.links,
        port_rules=tuple(map(_port_rule, document.port_rules)),
    )


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
) -> Container:
    """A container; its stack and service are found by uuid where it does not name them."""
    document = ContainerDocument.model_validate(raw)
    stack = stack_of(document.stack_name, document.stack_uuid, environment, stacks)
    service = _service_of(document, environment, stack, services.get(document.service_uuid, ()))
    return Container(
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


def read_host(raw: object, environment: str) -> Host:
    """A host."""
    document = HostDocument.model_validate(raw)
    return Host(
        uuid=document.uuid,
        name=document.name,
        environment=environment,
        agent_ip=document.agent_ip,
        state=document.state,
        labels=document.labels,
    )


def read_network(raw: object, environment: str) -> Network:
    """A network, with what the first of its CNI documents says that tells most of a bridge and its subnet."""
    document = NetworkDocument.model_validate(raw)
    cni = max(document.cni, key=lambda cni: bool(cni.bridge) + bool(cni.bridge_subnet), default=CniDocument())
    return Network(
        uuid=document.uuid,
        name=document.name,
        environment=environment,
        state=document.state,
        bridge=cni.bridge,
        bridge_subnet=cni.bridge_subnet,
        policy=document.policy,
        default_policy_action=document.default_policy_action,
    )


def read_environment(raw: object) -> Environment:
    """A linked environment's names."""
    document = EnvironmentDocument.model_validate(raw)
    return Environment(name=document.name, region=document.region_name, uuid=document.uuid)


# What of a raw object is translated: all else may change without a new translation.
STACK_FIELDS = ("uuid", "name", "system")
SERVICE_FIELDS = (
    "uuid", "name", "stack_uuid", "stack_name", "kind", "system",
    "labels", "links", "primary_service_name", "lb_config",
)  # fmt: skip
CONTAINER_FIELDS = tuple(ContainerDocument.model_fields)
HOST_FIELDS = tuple(HostDocument.model_fields)
