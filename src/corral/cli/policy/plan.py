"""The making of a plan: the policy to begin with, the environment, and what agents know of traffic."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from corral.cli.policy.evidence import ask_for_topology, ask_for_traffic
from corral.cli.policy.input import read_policy
from corral.cli.policy.network import RancherNetwork, managed_network, rancher
from corral.config import Settings, load_settings
from corral.daemon.answers.plan import Evidence, Starting, plan_document
from corral.errors import PolicyError, UsageError
from corral.policy.document import PolicyDocument

if TYPE_CHECKING:
    from corral.documents.plan import PlanDocument
    from corral.model.topology import Topology
    from corral.policy.rules import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a plan is to look: agents (None: the settings' one), or a topology's file instead; which network."""

    agents: Sequence[str | None]
    topology: Path | None = None
    network: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan, and the network as Rancher showed it when it was made (None where Rancher was not asked)."""

    document: PlanDocument
    network: RancherNetwork | None


def make_plan(document: PolicyDocument, policy: Policy, places: Places, current: str | None) -> Plan:
    """Plan to replace `current` (a file; None: what Rancher holds, or where there are no credentials the agent)."""
    settings = load_settings(os.environ)
    ask_rancher = current is None and places.topology is None and settings.has_credentials
    return asyncio.run(_make_plan(document, policy, places, current, settings if ask_rancher else None))


async def plan_for_rancher(document: PolicyDocument, policy: Policy, places: Places, settings: Settings) -> Plan:
    """Plan to replace what Rancher holds."""
    return await _make_plan(document, policy, places, None, settings)


async def _make_plan(
    document: PolicyDocument, policy: Policy, places: Places, current: str | None, settings: Settings | None
) -> Plan:
    topology, evidence = await _surroundings(places)
    network = None
    in_force = PolicyDocument(topology.network.policy, topology.network.default_policy_action)
    if current is not None:
        given, parsed = read_policy(current)
        before = Starting(policy=parsed, digest=given.digest, source=current)
    elif settings is not None:
        async with rancher(settings) as client:
            network = await managed_network(client, places.network, topology.network.uuid)
        _check_same(network, topology)
        before = _starting_with(network.document, in_force)
    else:
        source = str(places.topology) if places.topology else f"the agent at {evidence[0].agent}"
        before = Starting(policy=in_force.parse(), digest=in_force.digest, source=source)
    return Plan(plan_document(topology, before, policy, document.digest, evidence), network)


def _check_same(network: RancherNetwork, topology: Topology) -> None:
    """A plan tells what a policy does to these endpoints, which are no other network's."""
    if network.uuid != topology.network.uuid:
        known = f"{topology.network.name} ({topology.network.uuid})"
        raise UsageError(
            f"--network: {network} given, but the environment of this plan has the endpoints of {known}: "
            "an agent or a topology of that network is allowed, see --agent and --topology"
        )


async def _surroundings(places: Places) -> tuple[Topology, list[Evidence]]:
    if places.topology is None:
        topology, evidence = await asyncio.gather(ask_for_topology(places.agents[0]), ask_for_traffic(places.agents))
        return topology, evidence
    from corral.daemon.answers.topology import load  # noqa: PLC0415 - `--help` does without msgspec

    return load(places.topology).topology, []


def _starting_with(held: PolicyDocument, in_force: PolicyDocument) -> Starting:
    """Where Rancher holds a policy that is refused, agents enforce the last good one."""
    try:
        return Starting(policy=held.parse(), digest=held.digest, source="Rancher")
    except PolicyError as error:
        source = f"the agent: it does not accept what Rancher holds ({error})"
        return Starting(policy=in_force.parse(), digest=held.digest, source=source)
