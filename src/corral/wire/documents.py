"""The metadata's objects: the fields of each that policy depends on.

Containers, services and stacks come in thousands, and nearly all of them hold nothing odd. A `Plain` one is decoded in
a single pass that skips the rest of the object. What is not plain is read tolerantly, by the model of the same fields
that knows what is allowed and says what is not. Expendable is what neither identifies an object nor says where it is:
a lost name, link or label costs less than the object with all that it says besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from msgspec import Meta, Raw, Struct
from pydantic import AliasPath, BeforeValidator, Field

from corral.wire.fields import (
    Flag,
    Identity,
    Judged,
    Labels,
    LinkedUuids,
    LinkTargets,
    Name,
    NamedIdentity,
    OptionalAddress,
    Text,
    WireModel,
)
from corral.wire.nested import Identified

NotEmpty = Annotated[str, Meta(min_length=1)]


def _cni_documents(value: object) -> Mapping[str, object]:
    """The CNI documents of `cniConfig`, in order of their file names, as a CNI plugin would read them."""
    if not isinstance(value, dict):
        return {}
    return {name: document for name, document in sorted(value.items()) if document is not None}


def _listed(value: object) -> object:
    return [] if value is None else value


def _texts(value: object) -> tuple[str, ...]:
    """No verdict depends on these: what is odd is left out without a word."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _text_or_nothing(value: object) -> str:
    """As above."""
    return value if isinstance(value, str) else ""


class PortRuleDocument(WireModel):
    service: Name = ""
    selector: Text = ""
    container_uuid: Text = ""
    environment: Name = ""
    region: Name = ""


class ContainerDocument(WireModel):
    expendable: ClassVar[tuple[str, ...]] = ("name", "state", "system", "labels", "labels.*", "links")

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
    ports: Annotated[tuple[str, ...], BeforeValidator(_texts)] = ()
    health_state: Annotated[str, BeforeValidator(_text_or_nothing)] = ""


class PlainContainer(Struct, frozen=True, gc=False):
    uuid: NotEmpty
    name: str | None = None
    primary_ip: str | None = None
    network_uuid: str | None = None
    network_from_container_uuid: str | None = None
    host_uuid: str | None = None
    state: str | None = None
    system: bool | None = None
    stack_uuid: str | None = None
    stack_name: str | None = None
    service_uuid: str | None = None
    service_name: str | None = None
    labels: dict[str, str] | None = None
    links: dict[str, str | None] | list[str | None] | None = None
    ports: list[str] | None = None
    health_state: str | None = None


class ServiceDocument(WireModel):
    expendable: ClassVar[tuple[str, ...]] = (
        "kind", "system", "labels", "labels.*", "links", "links.*", "primary_service_name",
        "lb_config.port_rules", "lb_config.port_rules.*",
    )  # fmt: skip

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


class PlainPortRule(Struct, frozen=True, gc=False):
    service: str | None = None
    selector: str | None = None
    container_uuid: str | None = None
    environment: str | None = None
    region: str | None = None


class PlainBalancer(Struct, frozen=True, gc=False):
    port_rules: list[PlainPortRule] | None = None


class PlainService(Struct, frozen=True, gc=False):
    """Nested are copies, or, in older versions, names."""

    name: NotEmpty
    uuid: str | None = None
    stack_uuid: str | None = None
    stack_name: str | None = None
    kind: str | None = None
    system: bool | None = None
    labels: dict[str, str] | None = None
    links: dict[str, Raw] | list[str] | None = None
    primary_service_name: str | None = None
    lb_config: PlainBalancer | None = None
    sidekicks: list[str] | None = None
    containers: list[Identified | str] | None = None


class StackDocument(WireModel):
    expendable: ClassVar[tuple[str, ...]] = ("uuid", "system")

    name: NamedIdentity
    uuid: Text = ""
    system: Flag = False


class PlainStack(Struct, frozen=True, gc=False):
    name: NotEmpty
    uuid: str | None = None
    system: bool | None = None
    environment_name: str | None = None
    services: list[Identified | str] | None = None


class HostDocument(WireModel):
    expendable: ClassVar[tuple[str, ...]] = ("name", "agent_ip", "state", "labels", "labels.*")

    uuid: Identity
    name: Text = ""
    agent_ip: Text = ""
    state: Name = ""
    labels: Labels = Field(default_factory=dict)


class CniDocument(WireModel):
    type: Any = None
    bridge: Text = ""
    bridge_subnet: Text = Field(default="", alias="bridgeSubnet")


class NetworkDocument(WireModel):
    """`policy` and `default_policy_action` are anything: the policy room judges them."""

    expendable: ClassVar[tuple[str, ...]] = ("name", "state", "metadata.cniConfig.*")

    uuid: Identity
    name: Text = ""
    state: Name = ""
    cni: Annotated[dict[str, CniDocument], BeforeValidator(_cni_documents)] = Field(
        default_factory=dict, validation_alias=AliasPath("metadata", "cniConfig")
    )
    policy: Judged = None
    default_policy_action: Judged = None


class EnvironmentDocument(WireModel):
    name: Identity
    region_name: Text = ""
    uuid: Text = ""
