"""The incremental compiler: from changes of the environment to changes of the desired ruleset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from corral.model.endpoint import Endpoint
from corral.nft.tracker import Tracker
from corral.nft.values import Verb, Verdict
from corral.policy.groups import LOCAL, Group, criterion_of, server_groups
from corral.policy.members import Members
from corral.policy.render import DISPATCH, SUBNETS, Block, Signature, counters, server_block, static_blocks
from corral.policy.rules import Policy
from corral.types import Address, Subnet


@dataclass(slots=True)
class _Servers:
    """The local application endpoints that share a chain."""

    signature: Signature
    count: int = 0


class Compiler:
    """Keeps a tracker's desired content equal to `scratch.compile_ruleset`, at the cost of what changed.

    The ruleset exists from when policy and boundary are both known until `clear`; endpoints may be told at any
    time, before them too, and are remembered.
    """

    def __init__(self, tracker: Tracker, *, unknown_allowed: bool) -> None:
        self._tracker = tracker
        self._unknown_allowed = unknown_allowed
        self._policy: Policy | None = None
        self._boundary: tuple[tuple[Subnet, ...], str] | None = None
        self._endpoints: dict[Address, Endpoint] = {}
        self._members = Members()
        self._forget_ruleset()

    @property
    def endpoints(self) -> Mapping[Address, Endpoint]:
        """Every endpoint that was told."""
        return self._endpoints

    def set_policy(self, policy: Policy) -> None:
        """Put a policy into force. Chains whose content it does not change stay."""
        if policy == self._policy:
            return
        self._policy = policy
        self._rendered.clear()
        self._members.activate((criterion_of(rule.form) for rule in policy.rules), self._endpoints)
        self._refresh()
        self._serve_all()

    def set_boundary(self, subnets: tuple[Subnet, ...], bridge: str) -> None:
        """Say where the managed network ends."""
        if (subnets, bridge) == self._boundary:
            return
        begins = self._boundary is None
        self._boundary = (subnets, bridge)
        self._refresh()
        if begins:
            self._serve_all()

    def update(self, endpoints: Mapping[Address, Endpoint | None]) -> None:
        """Take over endpoints that came, changed or (None) went."""
        for address, endpoint in endpoints.items():
            before = self._endpoints.get(address)
            if endpoint != before:
                self._replace(address, before, endpoint)

    def clear(self) -> None:
        """There is no managed network: want no table. The policy and the endpoints are kept for `set_boundary`."""
        self._boundary = None
        self._forget_ruleset()
        self._tracker.clear()

    def _forget_ruleset(self) -> None:
        self._counters: frozenset[str] = frozenset()
        self._subnets: frozenset[Subnet] = frozenset()
        self._blocks: dict[str, Block] = {}  # every chain of the ruleset, by name
        self._readers: Counter[Group] = Counter()  # how many of these chains look up a group's set
        self._servers: dict[str, _Servers] = {}  # who shares a chain, by its name
        self._chain_of: dict[Address, str] = {}
        self._rendered: dict[Signature, Block] = {}

    # What does not depend on single endpoints

    def _refresh(self) -> None:
        if self._policy is None or self._boundary is None:
            return
        subnets, bridge = self._boundary
        self._tracker.put_set(SUBNETS)
        self._tracker.put_map(DISPATCH)
        self._put_subnets(frozenset(subnets))
        self._put_counters(counters(self._policy, bridge))
        for block in static_blocks(self._policy, bridge, unknown_allowed=self._unknown_allowed):
            self._put_block(block)

    def _put_subnets(self, subnets: frozenset[Subnet]) -> None:
        self._tracker.remove_elements(SUBNETS.name, self._subnets - subnets)
        self._tracker.add_elements(SUBNETS.name, subnets - self._subnets)
        self._subnets = subnets

    def _put_counters(self, names: frozenset[str]) -> None:
        for name in self._counters - names:
            self._tracker.remove_counter(name)
        for name in names - self._counters:
            self._tracker.put_counter(name)
        self._counters = names

    # Chains, and the sets that they look up

    def _put_block(self, block: Block) -> None:
        name = block.chain.name
        before = self._blocks.get(name)
        if block == before:
            return
        self._blocks[name] = block
        self._tracker.put_chain(block.chain)
        self._retain(block.groups)
        if before:
            self._release(before.groups)

    def _remove_block(self, name: str) -> None:
        self._tracker.remove_chain(name)
        self._release(self._blocks.pop(name).groups)

    def _retain(self, groups: Iterable[Group]) -> None:
        for group in groups:
            if group not in self._readers:
                self._tracker.put_set(group.declaration)
                self._tracker.add_elements(group.set_name, self._members.of(group))
            self._readers[group] += 1

    def _release(self, groups: Iterable[Group]) -> None:
        for group in groups:
            self._readers[group] -= 1
            if not self._readers[group]:
                del self._readers[group]
                self._tracker.remove_set(group.set_name)

    # Endpoints

    def _replace(self, address: Address, before: Endpoint | None, after: Endpoint | None) -> None:
        if after is None:
            del self._endpoints[address]
        else:
            self._endpoints[address] = after
        joined, left = self._members.move(address, before, after)
        for group in left & self._readers.keys():
            self._tracker.remove_elements(group.set_name, (address,))
        for group in joined & self._readers.keys():
            self._tracker.add_elements(group.set_name, (address,))
        self._serve(address)

    def _serve_all(self) -> None:
        for address in self._members.of(LOCAL):
            self._serve(address)

    def _serve(self, address: Address) -> None:
        """Give the address the chain that its endpoint needs now, if it is a local application endpoint."""
        if self._policy is None or self._boundary is None:
            return
        before = self._chain_of.get(address)
        chain = self._chain_for(self._policy, self._endpoints.get(address))
        if chain == before:
            return
        if chain is None:
            del self._chain_of[address]
            self._tracker.remove_verdict(DISPATCH.name, address)
        else:
            self._servers[chain].count += 1
            self._chain_of[address] = chain
            self._tracker.set_verdict(DISPATCH.name, address, Verdict(Verb.GOTO, chain))
        if before is not None:
            self._quit(before)

    def _chain_for(self, policy: Policy, endpoint: Endpoint | None) -> str | None:
        """The name of the endpoint's chain, which is in the ruleset from now on."""
        if endpoint is None or endpoint.system or not endpoint.local:
            return None
        signature = tuple(server_groups(rule.form, endpoint) for rule in policy.rules)
        block = self._rendered.get(signature)
        if block is None:
            block = self._rendered[signature] = server_block(policy, signature)
        name = block.chain.name
        if name not in self._servers:
            self._servers[name] = _Servers(signature)
            self._put_block(block)
        return name

    def _quit(self, chain: str) -> None:
        servers = self._servers[chain]
        servers.count -= 1
        if not servers.count:
            del self._servers[chain]
            self._rendered.pop(servers.signature, None)
            self._remove_block(chain)
