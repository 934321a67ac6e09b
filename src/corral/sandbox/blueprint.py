"""What a sandbox is built from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from corral.model.entities import PortRule
from corral.sandbox.records import Sidekick


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """A service and its containers, placed on `hosts` in turn, all hosts when it is empty
    (each service goes on where the one before stopped).

    `links` maps `stack/service` (or `service`) to an alias. Aliases and external services have `scale` 0.
    """

    name: str
    scale: int = 1
    labels: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    kind: str = "service"
    port_rules: tuple[PortRule, ...] = ()
    sidekicks: tuple[Sidekick, ...] = ()
    hosts: tuple[int, ...] = ()
    system: bool = False


@dataclass(frozen=True, slots=True)
class StackSpec:
    """A stack and its services."""

    name: str
    services: tuple[ServiceSpec, ...]
    system: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StandaloneSpec:
    """A container without a service; `links` maps link names to names of standalone containers before it."""

    name: str
    host: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """Hosts, stacks, standalone containers and the policy at the start."""

    hosts: int = 2
    stacks: tuple[StackSpec, ...] = ()
    standalone: tuple[StandaloneSpec, ...] = ()
    policy: object = None
    default_policy_action: object = None
