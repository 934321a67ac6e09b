"""The incremental compiler: from changes of the environment to changes of the desired ruleset."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

from corral.model.endpoint import Endpoint
from corral.nft.tracker import Tracker
from corral.nft.values import Chain, Verb, Verdict
from corral.policy.enforcement import DENIED_CLIENTS, ENFORCE, Enforcement
from corral.policy.groups import Key, Keys, criterion_of, server_keys
from corral.policy.members import Cohort, Members, Sorting
from corral.policy.render import DISPATCH, SUBNETS, ServerRenderer, counters, denied_chains, static_blocks
from corral.policy.rules import Form, FromTo, Policy, Rule
from corral.types import Address, Subnet

# The cohorts that a server admits, one entry a rule.
_Admitted = tuple[tuple[Cohort, ...], ...]


@dataclass(slots=True)
class _Block:
    """A chain of the ruleset, and the cohorts whose sets it looks up."""

    chain: Chain
    cohorts: Collection[Cohort]


@dataclass(slots=True)
class _Servers:
    """The local application endpoints that share a chain, and how they are sent there."""

    admitted: _Admitted
    verdict: Verdict
    addresses: set[Address] = field(default_factory=set)


class Compiler:
    """Keeps a tracker's desired content equal to `scratch.compile_ruleset`, at the cost of what changed.

    The ruleset exists from when policy and boundary are both known until `clear`; endpoints may be told at any
    time, before them too, and are remembered.
    """

    def __init__(self, tracker: Tracker, *, unknown_allowed: bool, enforcement: Enforcement = ENFORCE) -> None:
        self._tracker = tracker
        self._unknown_allowed = unknown_allowed
        self._enforcement = enforcement
        self._policy: Policy | None = None
        self._boundary: tuple[tuple[Subnet, ...], str] | None = None
        self._members = Members()
        self._census = {cohort.group: cohort for cohort in self._members.census}
        self._admits: Sequence[tuple[Sorting, Keys]] = ()
        self._renderer = ServerRenderer(Policy())
        self._blocks: dict[str, _Block] = {}  # every chain of the ruleset, by name
        self._forget_ruleset()

    @property
    def endpoints(self) -> Mapping[Address, Endpoint]:
        """Every endpoint that was told."""
        return self._members.endpoints

    @property
    def system_endpoints(self) -> int:
        """How many of them are not judged."""
        return len(self._members.system.members)

    def set_policy(self, policy: Policy) -> None:
        """Put a policy into force. Chains whose content it does not change stay."""
        if policy == self._policy:
            return
        before, self._policy = self._policy, policy
        criteria = [criterion_of(rule.form) for rule in policy.rules]
        self._members.activate(criteria)
        sortings = map(self._members.sorting, criteria)
        self._admits = tuple(zip(sortings, [server_keys(rule.form) for rule in policy.rules], strict=True))
        self._refresh()
        if before is None or before.rules != policy.rules:
            self._renderer = ServerRenderer(policy, self._renderer)
            self._regroup(_Edit.between(before.rules if before else (), policy.rules))
        if before is None:
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

    def set_enforcement(self, enforcement: Enforcement) -> None:
        """Enforce otherwise from now on, at a cost that does not depend on the size of the environment."""
        if enforcement != self._enforcement:
            self._enforcement = enforcement
            self._refresh()

    def update(self, endpoints: Mapping[Address, Endpoint | None]) -> None:
        """Take over endpoints that came, changed or (None) went."""
        joined: dict[Cohort, list[Address]] = {}
        left: dict[Cohort, list[Address]] = {}
        served = []
        for address, after in endpoints.items():
            came_to, went_from = self._members.move(address, after)
            for cohort in came_to:
                if cohort.readers:
                    joined.setdefault(cohort, []).append(address)
            for cohort in went_from:
                if cohort.readers:
                    left.setdefault(cohort, []).append(address)
            if (after is not None and after.local) or address in self._servers_of:
                served.append(address)
        for cohort, addresses in left.items():
            self._tracker.remove_elements(cohort.set_name, addresses)
        for cohort, addresses in joined.items():
            self._tracker.add_elements(cohort.set_name, addresses)
        for address in served:
            self._serve(address)

    def clear(self) -> None:
        """There is no managed network: want no table. The policy and the endpoints are kept for `set_boundary`."""
        self._boundary = None
        self._forget_ruleset()
        self._tracker.clear()

    def _forget_ruleset(self) -> None:
        self._counters: frozenset[str] = frozenset()
        self._subnets: frozenset[Subnet] = frozenset()
        self._denied: set[str] = set()  # names of the chains for what is denied
        for cohort in {cohort for block in self._blocks.values() for cohort in block.cohorts}:
            cohort.readers = 0
            self._members.release(cohort)
        self._blocks.clear()
        self._servers: dict[_Admitted, _Servers] = {}
        self._servers_of: dict[Address, _Servers] = {}

    # What does not depend on single endpoints

    def _refresh(self) -> None:
        if self._policy is None or self._boundary is None:
            return
        subnets, bridge = self._boundary
        self._tracker.put_set(SUBNETS)
        self._tracker.put_map(DISPATCH)
        self._put_subnets(frozenset(subnets))
        self._put_counters(counters(self._policy, bridge))
        for chain, groups in static_blocks(self._policy, bridge, unknown_allowed=self._unknown_allowed):
            self._put_block(_Block(chain, [self._census[group] for group in groups]))
        self._put_denied(denied_chains(self._policy, bridge, self._enforcement))

    def _put_denied(self, chains: Mapping[str, Chain]) -> None:
        if self._enforcement.log:
            self._tracker.put_set(DENIED_CLIENTS)
        else:
            self._tracker.remove_set(DENIED_CLIENTS.name)
        for chain in chains.values():
            self._put_block(_Block(chain, ()))
        for name in self._denied - chains.keys():
            self._remove_block(name)
        self._denied = set(chains)

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

    def _put_block(self, block: _Block) -> None:
        name = block.chain.name
        before = self._blocks.get(name)
        if before is not None and before.chain == block.chain:
            return
        self._blocks[name] = block
        self._tracker.put_chain(block.chain)
        self._retain(block.cohorts)
        if before is not None:
            self._release(before.cohorts)

    def _remove_block(self, name: str) -> None:
        self._tracker.remove_chain(name)
        self._release(self._blocks.pop(name).cohorts)

    def _retain(self, cohorts: Iterable[Cohort]) -> None:
        for cohort in cohorts:
            if not cohort.readers:
                self._tracker.put_set(cohort.group.declaration)
                self._tracker.add_elements(cohort.set_name, cohort.members)
            cohort.readers += 1

    def _release(self, cohorts: Iterable[Cohort]) -> None:
        for cohort in cohorts:
            cohort.readers -= 1
            if not cohort.readers:
                self._tracker.remove_set(cohort.set_name)
                self._members.release(cohort)

    # Endpoints

    def _serve_all(self) -> None:
        for address in self._members.local.members:
            self._serve(address)

    def _serve(self, address: Address) -> None:
        """Give the address the chain that its endpoint needs now, if it is a local application endpoint."""
        if self._policy is None or self._boundary is None:
            return
        before = self._servers_of.get(address)
        servers = self._servers_for(self._members.endpoints.get(address))
        if servers is before:
            return
        if servers is None:
            del self._servers_of[address]
            self._tracker.remove_verdict(DISPATCH.name, address)
        else:
            servers.addresses.add(address)
            self._servers_of[address] = servers
            self._tracker.set_verdict(DISPATCH.name, address, servers.verdict)
        if before is not None:
            before.addresses.discard(address)
            if not before.addresses:
                del self._servers[before.admitted]
                self._remove_block(before.verdict.chain)

    def _servers_for(self, endpoint: Endpoint | None) -> _Servers | None:
        """Those that the endpoint shares a chain with, which is in the ruleset from now on."""
        if endpoint is None or endpoint.system or not endpoint.local:
            return None
        admitted = tuple([_admitted(sorting, keys(endpoint)) for sorting, keys in self._admits])
        return self._servers.get(admitted) or self._begin(admitted)

    def _begin(self, admitted: _Admitted) -> _Servers:
        """A chain for servers that admit these."""
        chain = self._renderer.chain([[cohort.group for cohort in cohorts] for cohorts in admitted])
        self._put_block(_Block(chain, {cohort for cohorts in admitted for cohort in cohorts}))
        return self._note_servers(admitted, Verdict(Verb.JUMP, chain.name))

    def _note_servers(self, admitted: _Admitted, verdict: Verdict) -> _Servers:
        servers = self._servers[admitted] = _Servers(admitted, verdict)
        return servers

    # Another policy

    def _regroup(self, edit: _Edit) -> None:
        """Give each chain's servers what they need under the rules as edited, at the cost of what these say anew.

        Those that share a chain part only if a form is new. Chains are removed last: another chain's servers may
        need the very same one now.
        """
        before, self._servers = list(self._servers.values()), {}
        new = [self._admits[place] for place, source in enumerate(edit.sources) if source is None]
        for servers in before:
            for found, addresses in self._parted(servers, new).items():
                self._take_over(servers, edit.carry(servers.admitted, found), addresses, edit)
        kept = {servers.verdict.chain for servers in self._servers.values()}
        for servers in before:
            if servers.verdict.chain not in kept:
                self._remove_block(servers.verdict.chain)

    def _parted(self, servers: _Servers, admits: Sequence[tuple[Sorting, Keys]]) -> Mapping[_Admitted, set[Address]]:
        """The servers by what new forms let in, one entry a form."""
        if not admits:
            return {(): servers.addresses}
        parts: dict[_Admitted, set[Address]] = {}
        for address in servers.addresses:
            endpoint = self._members.endpoints[address]
            admitted = tuple([_admitted(sorting, keys(endpoint)) for sorting, keys in admits])
            parts.setdefault(admitted, set()).add(address)
        return parts

    def _take_over(self, before: _Servers, admitted: _Admitted, addresses: set[Address], edit: _Edit) -> None:
        servers = self._servers.get(admitted)
        if servers is None:
            stays = not edit.concerns(before.admitted, admitted)
            servers = self._note_servers(admitted, before.verdict) if stays else self._begin(admitted)
        servers.addresses |= addresses
        self._servers_of.update(dict.fromkeys(addresses, servers))
        if servers.verdict.chain != before.verdict.chain:
            self._tracker.set_verdicts(DISPATCH.name, addresses, servers.verdict)


@dataclass(frozen=True, slots=True)
class _Edit:
    """From one list of rules to the next; `sources`: the old rule that tells whom a new one admits, if there is one."""

    sources: Sequence[int | None]
    before: Sequence[int]  # a number for each rule; equal rules have equal ones
    after: Sequence[int]

    @classmethod
    def between(cls, before: Sequence[Rule], after: Sequence[Rule]) -> _Edit:
        known = {_pairing(rule.form): place for place, rule in enumerate(before)}
        numbers: dict[Rule, int] = {}
        return cls(
            [known.get(_pairing(rule.form)) for rule in after],
            [numbers.setdefault(rule, len(numbers)) for rule in before],
            [numbers.setdefault(rule, len(numbers)) for rule in after],
        )

    def carry(self, admitted: _Admitted, new: _Admitted) -> _Admitted:
        """What those who admitted this do now; `new` has an entry for each form that no rule had before."""
        rest = iter(new)
        return tuple([next(rest) if source is None else admitted[source] for source in self.sources])

    def concerns(self, before: _Admitted, after: _Admitted) -> bool:
        """Whether the chain of those who admitted one, and the other now, reads differently."""
        return _reading(self.before, before) != _reading(self.after, after)


def _reading(rules: Sequence[int], admitted: _Admitted) -> list[tuple[int, tuple[Cohort, ...]]]:
    """What a chain says: of rules that admit nobody it does not speak."""
    return [(rule, cohorts) for rule, cohorts in zip(rules, admitted, strict=True) if cohorts]


def _pairing(form: Form) -> Form:
    """What decides who is admitted: the form, ports aside."""
    return replace(form, ports=()) if isinstance(form, FromTo) and form.ports else form


def _admitted(sorting: Sorting, keys: Collection[Key]) -> tuple[Cohort, ...]:
    """The cohorts that the keys mean, in the order of their groups."""
    cohorts = [sorting.cohorts.get(key) or sorting.cohort(key) for key in keys]
    if len(cohorts) > 1:
        cohorts.sort(key=attrgetter("group"))
    return tuple(cohorts)
