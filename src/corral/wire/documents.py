"""The metadata's objects: the fields of each that policy depends on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AliasPath, BeforeValidator, Field

from corral.wire.fields import (
    Flag,
    Identity,
    Labels,
    LinkedUuids,
    LinkTargets,
    Name,
    NamedIdentity,
    OptionalAddress,
    Text,
    WireModel,
)


def _cni_documents(value: object) -> tuple[Mapping[str, Any], ...]:
    """The CNI documents of `cniConfig`, by file name as a CNI plugin would read them; anything else has none."""
    if not isinstance(value, dict):
        return ()
    return tuple(document for _, document in sorted(value.items()) if isinstance(document, dict))


def _listed(value: object) -> object:
    return [] if value is None else value


class PortRuleDocument(WireModel):
    service: Name = ""
    selector: Text = ""
    container_uuid: Text = ""
    environment: Name = ""
    region: Name = ""


class ContainerDocument(WireModel):
    uuid: Identity
    name: Name = ""
    primary_ip: OptionalAddress = None
    network_uuid: Text = ""
    network_from_container_uuid: Text = ""
    host_uuid: Text = ""
    state: Name = ""
    system: Flag = False
    stack_uuid: Text = ""
    stack_name: Name = ""
    service_uuid: Text = ""
    service_name: Name = ""
    labels: Labels = Field(default_factory=dict)
    links: LinkedUuids = frozenset()


class ServiceDocument(WireModel):
    name: NamedIdentity
    uuid: Text = ""
    stack_uuid: Text = ""
    stack_name: Name = ""
    kind: Text = "service"
    system: Flag = False
    labels: Labels = Field(default_factory=dict)
    links: LinkTargets = ()
    primary_service_name: Name = ""
    port_rules: Annotated[tuple[PortRuleDocument, ...], BeforeValidator(_listed)] = Field(
        default=(), validation_alias=AliasPath("lb_config", "port_rules")
    )


class StackDocument(WireModel):
    name: NamedIdentity
    uuid: Text = ""
    system: Flag = False


class HostDocument(WireModel):
    uuid: Identity
    name: Text = ""
    agent_ip: Text = ""
    state: Name = ""
    labels: Labels = Field(default_factory=dict)


class CniDocument(WireModel):
    bridge: Text = ""
    bridge_subnet: Text = Field(default="", alias="bridgeSubnet")


class NetworkDocument(WireModel):
    """`policy` and `default_policy_action` are anything: the policy room judges them."""

    uuid: Identity
    name: Text = ""
    state: Name = ""
    cni: Annotated[tuple[CniDocument, ...], BeforeValidator(_cni_documents)] = Field(
        default=(), validation_alias=AliasPath("metadata", "cniConfig")
    )
    policy: Any = None
    default_policy_action: Any = None


class EnvironmentDocument(WireModel):
    name: Identity
    region_name: Text = ""
    uuid: Text = ""
