"""`/v1/hosts`: the hosts of the environment, and the state of their agents as far as one agent can know it."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict


class EnvironmentHost(TypedDict):
    """A host of this environment."""

    name: str
    """As Rancher calls it."""
    uuid: str
    """The metadata's uuid."""
    address: str
    """The address of its Rancher agent; empty where the metadata has none."""
    state: str
    """As Rancher says it, such as `active`."""
    this: bool
    """Whether this agent runs there."""
    agent: Literal["this", "running", "unhealthy", "unknown", "missing"]
    """`this`: the agent that answers. `running`: its container runs, and Rancher's health check calls it healthy.
    `unhealthy`: it is stopped, or the check fails. `unknown`: it runs, and no check says how it is. `missing`: no
    container of an agent is there, so nobody judges flows to the containers of that host."""
    endpoints: int
    """Application endpoints there: what its agent has to judge flows to."""


class HostCounts(TypedDict):
    """How many hosts of this environment have an agent in which state."""

    running: int
    """This one included."""
    unhealthy: int
    """See `/v1/hosts`."""
    unknown: int
    """See `/v1/hosts`."""
    missing: int
    """Hosts where nobody judges flows to the containers there."""


class Hosts(TypedDict):
    """All hosts of this environment, by name."""

    how: str
    """How the states are known, and what they do not tell."""
    hosts: list[EnvironmentHost]
    """Sorted by name and uuid."""
