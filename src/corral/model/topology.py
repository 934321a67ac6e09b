"""Everything that a verdict depends on, at one moment: what `/v1/topology` tells and `--topology FILE` is read into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from corral.model.change import ManagedNetwork
from corral.model.endpoint import Endpoint
from corral.model.entities import Container, Host
from corral.types import Address, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """`network` has the policy in force as Rancher gave it; while `suspended`, everything is allowed all the same.

    Of the containers, dead ones included, nothing is kept that their endpoints tell: labels and links. `self_host` is
    the uuid of the host that this is a picture of; its containers are `local`.
    """

    network: ManagedNetwork
    endpoints: Mapping[Address, Endpoint] = field(default_factory=dict)
    containers: Mapping[str, Container] = field(default_factory=dict)
    hosts: Mapping[str, Host] = field(default_factory=dict)
    self_host: str = ""
    unknown_allowed: bool = False
    suspended: bool = False
    mode: str = "enforce"
    problems: tuple[Problem, ...] = ()
