"""What an event says of one resource: only the fields that it mentions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from corral.model.entities import ServiceKey, StackKey
from corral.types import Address


class ContainerFields(TypedDict, total=False):
    """The fields of `Container` that an event may mention, by the same names."""

    name: str
    address: Address | None
    network: str
    network_from: str
    host: str
    state: str
    system: bool
    stack: StackKey | None
    service: ServiceKey | None
    labels: Mapping[str, str]


class ServiceFields(TypedDict, total=False):
    """The fields of `Service` that an event may mention."""

    primary: str
    system: bool
    labels: Mapping[str, str]
    links: tuple[str, ...]


class NetworkFields(TypedDict, total=False):
    """The fields of `Network` that an event may mention."""

    state: str
    policy: object
    default_policy_action: object


@dataclass(frozen=True, slots=True)
class ContainerUpdate:
    """A container that is gone has a dead state among its fields."""

    uuid: str
    fields: ContainerFields


@dataclass(frozen=True, slots=True)
class ServiceUpdate:
    """Of one service or sidekick."""

    key: ServiceKey
    fields: ServiceFields


@dataclass(frozen=True, slots=True)
class StackUpdate:
    """Of one stack: the only field that matters is whether it is a system one."""

    key: StackKey
    system: bool


@dataclass(frozen=True, slots=True)
class NetworkUpdate:
    """Of one network: its policy takes effect at once."""

    uuid: str
    fields: NetworkFields


Update = ContainerUpdate | ServiceUpdate | StackUpdate | NetworkUpdate
