"""The shape of `/v1/topology`: everything that a verdict depends on. `--topology FILE` reads it back."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

StackName = list[str]
ServiceName = list[str]


class TopologyNetwork(TypedDict):
    """The managed network."""

    uuid: str
    """As in the metadata."""
    name: str
    """Such as `ipsec`."""
    bridge: str
    """The bridge of this host's containers; empty where none is known."""
    subnets: list[str]
    """What is judged: flows with both ends in these."""


class TopologyHost(TypedDict):
    """A host of the environment, or of a linked one."""

    uuid: str
    """As in the metadata."""
    name: str
    """Its name in Rancher."""
    environment: str
    """Empty for the own environment, else `region/name` or `name` of the linked one."""
    agent_ip: str
    """The address that Rancher knows it by."""
    state: str
    """As in the metadata."""


class TopologyEndpoint(TypedDict):
    """An address of the managed network, with what all live containers that share it bring along.

    A stack is written `[environment, stack]`, a service `[environment, stack, service]`, all in lower case; the
    environment is empty for the own one.
    """

    address: str
    """IPv4."""
    containers: list[str]
    """The uuids of its live containers."""
    local: bool
    """Whether it is on the host that this is a picture of."""
    system: bool
    """Whether it is part of Rancher's own infrastructure: always allowed."""
    stacks: list[StackName]
    """Its stacks."""
    services: list[ServiceName]
    """Its primary services; a sidekick counts as its primary."""
    labels: list[dict[str, str]]
    """One map for each container, in their order, with the labels of the services."""
    links_to: list[ServiceName]
    """The services that it links to, aliases and load balancers resolved."""
    links_to_containers: list[str]
    """The uuids of containers that it links to."""
    linked_containers: list[str]
    """Those of its own containers that some container links to."""


class TopologyContainer(TypedDict):
    """A container, live or not, on whatever network."""

    uuid: str
    """As in the metadata."""
    name: str
    """In lower case."""
    environment: str
    """As for a host."""
    address: str | None
    """Its own address, if it has one."""
    network: str
    """The uuid of its network."""
    network_from: str
    """The uuid of the container whose network it shares, or empty."""
    host: str
    """The uuid of its host."""
    state: str
    """As in the metadata; a stopped container is no endpoint."""
    system: bool
    """As the container itself says; its service or stack may be system, too."""
    stack: StackName | None
    """Its stack."""
    service: ServiceName | None
    """Its service; a sidekick's own."""
    ports: list[str]
    """Published ports as in the metadata: `hostIP:publicPort:privatePort/protocol`."""


class TopologyProblem(TypedDict):
    """Something in the metadata that could not be used."""

    where: str
    """What it is about."""
    message: str
    """What is wrong, and what is allowed."""


class TopologyDocument(TypedDict):
    """Everything that a verdict depends on, at one moment."""

    format: str
    """`corral-topology/1`; a later version that can not be read as this one has another number."""
    version: str
    """Of the corral that wrote it."""
    at: str
    """When it was taken."""
    mode: str
    """`enforce`, `audit` or `off`."""
    unknown_endpoints: str
    """`default` or `allow`, as the setting."""
    suspended: bool
    """True while nothing is denied because the metadata is stale (`CORRAL_ON_STALE=open`)."""
    self_host: str
    """The uuid of the host that this is a picture of."""
    network: TopologyNetwork
    """The managed network."""
    policy: Any
    """The rules in force, as Rancher gave them; null when there are none."""
    default_policy_action: Any
    """The default action in force, as Rancher gave it; null (or empty) means allow."""
    policy_digest: str
    """Names the policy by its meaning."""
    hosts: list[TopologyHost]
    """All hosts."""
    endpoints: list[TopologyEndpoint]
    """All endpoints, by address."""
    containers: list[TopologyContainer]
    """All containers, by uuid."""
    problems: list[TopologyProblem]
    """What could not be used, such as an address that two containers claim."""
