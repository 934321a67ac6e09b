"""The compiler's twin: the whole ruleset from the whole environment, with no memory, for comparison."""

from __future__ import annotations

from collections.abc import Mapping

from corral.model.endpoint import Endpoint
from corral.nft.values import Ruleset, Verb, Verdict
from corral.policy.enforcement import DENIED_CLIENTS, ENFORCE, Enforcement
from corral.policy.groups import Census, Group, client_groups, criterion_of, server_groups
from corral.policy.render import DISPATCH, SUBNETS, counters, denied_chains, server_block, static_blocks
from corral.policy.rules import Policy
from corral.types import Address, Subnet


def compile_ruleset(
    policy: Policy,
    subnets: tuple[Subnet, ...],
    bridge: str,
    endpoints: Mapping[Address, Endpoint],
    *,
    unknown_allowed: bool,
    enforcement: Enforcement = ENFORCE,
) -> Ruleset:
    """The table's content for this environment; a function of its arguments alone."""
    servers = {
        address: server_block(policy, tuple(server_groups(rule.form, endpoint) for rule in policy.rules))
        for address, endpoint in endpoints.items()
        if endpoint.local and not endpoint.system
    }
    blocks = [*static_blocks(policy, bridge, unknown_allowed=unknown_allowed), *servers.values()]
    members = _members({group for block in blocks for group in block.groups}, policy, endpoints)
    logged = [DENIED_CLIENTS] if enforcement.log else []
    return Ruleset(
        counters=counters(policy, bridge),
        sets={one.name: one for one in (SUBNETS, *logged, *(group.declaration for group in members))},
        elements={SUBNETS.name: frozenset(subnets), **{one.name: frozenset() for one in logged}}
        | {group.set_name: frozenset(addresses) for group, addresses in members.items()},
        maps={DISPATCH.name: DISPATCH},
        verdicts={DISPATCH.name: {address: Verdict(Verb.JUMP, b.chain.name) for address, b in servers.items()}},
        chains={block.chain.name: block.chain for block in blocks} | dict(denied_chains(policy, bridge, enforcement)),
    )


def _members(groups: set[Group], policy: Policy, endpoints: Mapping[Address, Endpoint]) -> Mapping[Group, set[Address]]:
    criteria = {Census.CENSUS, *(criterion_of(rule.form) for rule in policy.rules)}
    members: dict[Group, set[Address]] = {group: set() for group in groups}
    for address, endpoint in endpoints.items():
        for criterion in criteria:
            for group in groups.intersection(client_groups(criterion, endpoint)):
                members[group].add(address)
    return members
