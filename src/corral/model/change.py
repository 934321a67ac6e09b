"""What an inventory tells: the managed network, and exactly what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from corral.model.endpoint import Endpoint
from corral.types import Address, Subnet


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedNetwork:
    """The overlay whose policy is enforced here.

    `subnets` are sorted and do not overlap; linked environments' networks and every host's part of a
    per-host-subnet network are among them. `others` names candidates that were not chosen.
    """

    uuid: str
    name: str
    bridge: str
    subnets: tuple[Subnet, ...]
    policy: object = None
    default_policy_action: object = None
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """The difference that one input made. `endpoints` maps to None what is an endpoint no more.

    `network` tells that the managed network (or its policy) differs, `problems` that the list of problems does.
    """

    endpoints: Mapping[Address, Endpoint | None] = field(default_factory=dict)
    network: bool = False
    problems: bool = False

    def __bool__(self) -> bool:
        return bool(self.endpoints) or self.network or self.problems
