"""A packet that meets a commit: each look-up sees what is committed at that moment, a chain what was when it came.

So the kernel judges a packet by one ruleset up to some look-up, and by the next one from there. What neither of them
lets through must not pass: not to or from a container that starts or ends, not while a policy comes into force.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from corral.model.endpoint import Endpoint
from corral.nft.trace import Packet, trace
from corral.nft.values import Chain, Ruleset, Verb
from corral.policy.enforcement import DENIED_CLIENTS, ENFORCE, Enforcement
from corral.policy.rules import Policy
from corral.policy.scratch import compile_ruleset
from corral.types import Action, Address

from .strategies import BRIDGE, SUBNETS, Container, endpoints_of, enforcements, flows, policies, worlds
from .test_equivalence import packets

V = TypeVar("V")
ENFORCING = st.builds(Enforcement, audit=st.just(value=False), log=st.booleans())
LOOKUPS = 5  # of the first ones; what comes later looks into groups, which such a change leaves alone
# One flow between any two, by TCP: which port it is for is looked up nowhere.
FIRST_PACKETS = list({(flow.client, flow.server): packets(flow)[0] for flow in flows()}.values())


@dataclass
class Clock:
    """Counts look-ups; the commit happens before the one numbered `commit`."""

    commit: int
    lookups: Iterator[int]

    def committed(self) -> bool:
        return next(self.lookups) >= self.commit


class Changing(Mapping[str, V]):
    """The contents of sets or maps, read while they change."""

    def __init__(self, clock: Clock, before: Mapping[str, V], after: Mapping[str, V]) -> None:
        self._clock, self._before, self._after = clock, before, after

    def __getitem__(self, name: str) -> V:
        found, other = (self._after, self._before) if self._clock.committed() else (self._before, self._after)
        return found[name] if name in found else other[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._before, **self._after})

    def __len__(self) -> int:
        return len({**self._before, **self._after})


def midway(before: Ruleset, after: Ruleset, commit: int) -> Ruleset:
    clock = Clock(commit, count())
    new_chains = {name: Chain(name, ()) for name in after.chains}
    return Ruleset(
        sets={**before.sets, **after.sets},
        elements=Changing(clock, before.elements, after.elements),
        maps=after.maps,
        verdicts=Changing(clock, before.verdicts, after.verdicts),
        chains={**new_chains, **before.chains},
    )


def compiled(policy: Policy, endpoints: Mapping[Address, Endpoint], enforcement: Enforcement = ENFORCE) -> Ruleset:
    return compile_ruleset(policy, SUBNETS, BRIDGE, endpoints, unknown_allowed=False, enforcement=enforcement)


def by_default(policy: Policy) -> Policy:
    """A chain that is too new for the packet leaves it to the default action."""
    return Policy(policy.rules, Action.DENY)


def closed(policy: Policy) -> Policy:
    """Where a client that comes is denied by one rule and allowed by a later one, the kernel may look between them."""
    return Policy(tuple(replace(rule, action=Action.ALLOW) for rule in policy.rules), Action.DENY)


def check(before: Ruleset, after: Ruleset) -> None:
    for packet in FIRST_PACKETS:
        if trace(before, packet) is trace(after, packet) is Verb.DROP:
            passed = [
                moment for moment in range(LOOKUPS) if trace(midway(before, after, moment), packet) is not Verb.DROP
            ]
            assert not passed, packet


@settings(max_examples=40)
@given(worlds, policies, st.data())
def test_one_endpoint_that_comes_or_goes(world: dict[str, Container], policy: Policy, data: st.DataObject) -> None:
    endpoints = endpoints_of(world)
    if not endpoints:
        return
    address = data.draw(st.sampled_from(sorted(endpoints)))
    fewer = {key: endpoint for key, endpoint in endpoints.items() if key != address}
    with_it, without_it = compiled(closed(policy), endpoints), compiled(closed(policy), fewer)
    check(without_it, with_it)
    check(with_it, without_it)


@settings(max_examples=40)
@given(worlds, policies, policies, ENFORCING, ENFORCING)
def test_another_policy(
    world: dict[str, Container], one: Policy, other: Policy, before: Enforcement, after: Enforcement
) -> None:
    """With it come chains for what is denied. Only rules that are new, too, send packets there."""
    endpoints = endpoints_of(world)
    check(compiled(by_default(one), endpoints, before), compiled(by_default(other), endpoints, after))


@settings(max_examples=40)
@given(worlds, policies, enforcements, enforcements)
def test_another_enforcement_is_one_or_the_other(
    world: dict[str, Container], policy: Policy, before: Enforcement, after: Enforcement
) -> None:
    """It changes nothing that is looked up: a packet sees the chains of before, or all those of after."""
    endpoints = endpoints_of(world)
    one, other = compiled(policy, endpoints, before), compiled(policy, endpoints, after)
    assert one.verdicts == other.verdicts
    assert one.elements.items() ^ other.elements.items() <= {(DENIED_CLIENTS.name, frozenset())}
    for packet in FIRST_PACKETS:
        assert {trace(midway(one, other, moment), packet) for moment in range(LOOKUPS)} == {trace(one, packet)}


def test_the_moments_differ() -> None:
    """The very race: the server's entry is looked up before the commit, and the rest after it."""
    server, client = SUBNETS[0].first + 2, SUBNETS[0].first + 3
    packet = Packet(client=Address(client), server=Address(server))
    rules = Policy(default=Action.DENY)
    one = Endpoint(Address(server), (str(Address(server)),), local=True)
    before, after = compiled(rules, {}), compiled(rules, {one.address: one})
    assert [trace(midway(before, after, moment), packet) for moment in range(LOOKUPS)] == [Verb.DROP] * LOOKUPS
