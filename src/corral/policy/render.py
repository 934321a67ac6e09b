"""How a policy reads in the table: its counters, the chains that every packet meets, and a server's chain.

A packet of an allowed flow pays for two look-ups: the server's chain, and the group of clients there. Everything
else (is the client a system endpoint, or outside of the managed network?) only decides about flows that no rule
matches, for groups hold nothing but application endpoints of the managed network. So it is asked last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from corral.nft.names import comment, digest
from corral.nft.values import (
    Chain,
    Count,
    Dispatch,
    Equals,
    Expression,
    Field,
    Hook,
    InRange,
    InSet,
    NftMap,
    NftRule,
    NftSet,
    SetType,
    State,
    Verb,
    Verdict,
)
from corral.policy.groups import KNOWN, LOCAL, SYSTEM, Group
from corral.policy.rules import Form, FromTo, Policy, Ports, Rule
from corral.types import Action, Protocol

SUBNETS = NftSet("subnets", SetType.SUBNETS, "the managed network")
DISPATCH = NftMap("dispatch", "the chain of each application endpoint of this host")
INVALID_DROP = "invalid-drop"
IPV6_DROP = "ipv6-drop"

# Before the host's own filter chains: what they accept must not be judged twice, what we drop they need not see.
_PRIORITY = -10
_DEFAULT = "default-action"
_FORWARD = "forward"
_VERBS = {Action.ALLOW: Verb.ACCEPT, Action.DENY: Verb.DROP}
_DROP = Verdict(Verb.DROP)
_RETURN = Verdict(Verb.RETURN)

Signature = tuple[tuple[Group, ...], ...]


class Block(NamedTuple):
    """A chain, and the groups whose sets it looks up."""

    chain: Chain
    groups: frozenset[Group]


def counters(policy: Policy, bridge: str) -> frozenset[str]:
    """The names of all counters, used or not: a rule that never matches shows as zero."""
    rules = (rule_counter(index, rule) for index, rule in enumerate(policy.rules))
    return frozenset(
        [*rules, default_counter(policy), INVALID_DROP, *([IPV6_DROP] if _closes_ipv6(policy, bridge) else [])]
    )


def rule_counter(index: int, rule: Rule) -> str:
    """The name of a rule's counter; it changes with the rule, so that a count never outlives its meaning."""
    return f"rule-{index}-{rule.action}-{digest(str(rule))[:8]}"


def default_counter(policy: Policy) -> str:
    """The name of the default action's counter."""
    return f"default-{policy.default}"


def static_blocks(policy: Policy, bridge: str, *, unknown_allowed: bool) -> tuple[Block, Block]:
    """The chain for what no rule matches, and the base chain `forward`."""
    closed = policy.default is Action.DENY
    return (
        Block(
            Chain(_DEFAULT, tuple(_default_action(policy, unknown_allowed))),
            frozenset([SYSTEM, KNOWN] if closed and unknown_allowed else [SYSTEM]),
        ),
        Block(
            Chain(_FORWARD, tuple(_forward(policy, bridge, unknown_allowed)), Hook("forward", _PRIORITY)),
            frozenset([LOCAL, KNOWN] if closed and not unknown_allowed else [LOCAL]),
        ),
    )


def server_block(policy: Policy, signature: Signature) -> Block:
    """The chain of servers that admit the groups in `signature` (one entry a rule), named by its content."""
    rules = tuple(_server(policy, signature))
    groups = [group for groups in signature for group in groups]
    what = ", ".join(dict.fromkeys(map(str, groups))) or "no rule applies"
    return Block(Chain(f"to-{digest(repr(rules))}", rules, comment=comment(what)), frozenset(groups))


def _default_action(policy: Policy, unknown_allowed: bool) -> Iterator[NftRule]:
    yield NftRule((InSet(Field.CLIENT, SYSTEM.set_name), _RETURN), "from a system endpoint: allow")
    outside = InSet(Field.CLIENT, SUBNETS.name, negated=True)
    yield NftRule((outside, _RETURN), "from outside of the managed network: not judged")
    if policy.default is Action.DENY and unknown_allowed:
        unknown = InSet(Field.CLIENT, KNOWN.set_name, negated=True)
        yield NftRule((unknown, _RETURN), "from an unknown address: allow")
    yield NftRule((Count(default_counter(policy)), Verdict(_VERBS[policy.default])))


def _forward(policy: Policy, bridge: str, unknown_allowed: bool) -> Iterator[NftRule]:
    # Whatever returns from a chain that a map of verdicts went to is accepted: the rules below are for other packets.
    yield NftRule((Dispatch(Field.SERVER, DISPATCH.name),), "to an application endpoint of this host")
    if policy.default is Action.DENY and not unknown_allowed:
        unknown = InSet(Field.SERVER, KNOWN.set_name, negated=True), InSet(Field.SERVER, SUBNETS.name)
        yield NftRule((*unknown, Verdict(Verb.GOTO, _DEFAULT)), "to an unknown address of the managed network")
    # Nothing above matches them: there is no flow whose server could be looked up.
    lost = State(("invalid", "untracked"))
    packet = InSet(Field.SOURCE, SUBNETS.name), InSet(Field.DESTINATION, LOCAL.set_name)
    yield NftRule((lost, *packet, Count(INVALID_DROP), _DROP), "no flow to judge by")
    if _closes_ipv6(policy, bridge):
        ports = Equals(Field.INPUT_INTERFACE, bridge), Equals(Field.OUTPUT_INTERFACE, bridge)
        yield NftRule((Equals(Field.FAMILY, "ipv6"), *ports, Count(IPV6_DROP), _DROP), "no rule can name IPv6")


def _closes_ipv6(policy: Policy, bridge: str) -> bool:
    return policy.default is Action.DENY and bool(bridge)


def _server(policy: Policy, signature: Signature) -> Iterator[NftRule]:
    for index, (rule, groups) in enumerate(zip(policy.rules, signature, strict=True)):
        act = Count(rule_counter(index, rule)), Verdict(_VERBS[rule.action])
        note = comment(f"policy[{index}] {rule}")
        for group in groups:
            for match in _port_matches(rule.form):
                yield NftRule((InSet(Field.CLIENT, group.set_name), *match, *act), note)
    yield NftRule((Verdict(Verb.GOTO, _DEFAULT),), "what no rule matches")


def _port_matches(form: Form) -> Sequence[tuple[Expression, ...]]:
    if not isinstance(form, FromTo) or not form.ports:
        return ((),)
    return [_port_match(ports, protocol) for ports in form.ports for protocol in _protocols(ports)]


def _port_match(ports: Ports, protocol: Protocol) -> tuple[Expression, ...]:
    # The flow's protocol, not the packet's: an ICMP error shares the verdict of the flow that it is about.
    return Equals(Field.PROTOCOL, protocol.value), InRange(Field.SERVER_PORT, ports.first, ports.last)


def _protocols(ports: Ports) -> Sequence[Protocol]:
    return (ports.protocol,) if ports.protocol else (Protocol.TCP, Protocol.UDP)
