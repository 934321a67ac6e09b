"""How a policy reads in the table: its counters, the chains that every packet meets, and a server's chain.

A packet of an allowed flow pays for two look-ups: the server's chain, and the group of clients there. Everything
else (is the client a system endpoint, or outside of the managed network?) only decides about flows that no rule
matches, for groups hold nothing but application endpoints of the managed network. So it is asked last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from corral.nft.names import comment, digest
from corral.nft.text import render_expression
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
from corral.policy.enforcement import Enforcement, denied_chain, deny
from corral.policy.groups import LOCAL, SYSTEM, UNJUDGED, Group
from corral.policy.rules import Form, FromTo, Policy, Ports, Rule
from corral.types import Action, Protocol

SUBNETS = NftSet("subnets", SetType.SUBNETS, "the managed network")
DISPATCH = NftMap("dispatch", "the chain of each application endpoint of this host")
INVALID_DROP = "invalid-drop"
IPV6_DROP = "ipv6-drop"

# Before the host's own filter chains: what they accept must not be judged twice, what we drop they need not see.
PRIORITY = -10
_DEFAULT = "default-action"
_FORWARD = "forward"
_ACCEPT = Verdict(Verb.ACCEPT)
_MOST_REMEMBERED = 4096  # groups of one rule
_LAST = NftRule((Verdict(Verb.GOTO, _DEFAULT),), "what no rule matches")

Signature = Sequence[Sequence[Group]]


class Block(NamedTuple):
    """A chain, and the groups whose sets it looks up."""

    chain: Chain
    groups: frozenset[Group]


def counters(policy: Policy, bridge: str) -> frozenset[str]:
    """The names of all counters, used or not: a rule that never matches shows as zero."""
    return frozenset(
        [
            *map(rule_counter, policy.rules),
            default_counter(policy.default),
            INVALID_DROP,
            *([IPV6_DROP] if _closes_ipv6(policy.default, bridge) else []),
        ]
    )


def rule_counter(rule: Rule) -> str:
    """The name of a rule's counter: that of its text, wherever it stands, so that a count means one rule for ever."""
    return f"rule-{rule.action}-{digest(str(rule))[:8]}"


def default_counter(default: Action) -> str:
    """The name of the default action's counter."""
    return f"default-{default}"


def denied_chains(policy: Policy, bridge: str, enforcement: Enforcement) -> Mapping[str, Chain]:
    """The chains for what is denied, by name: one for each counter, as a rule's are of what it denies."""
    chains = [
        denied_chain(rule_counter(rule), str(rule), Field.CLIENT, enforcement)
        for rule in policy.rules
        if rule.action is Action.DENY
    ]
    if policy.default is Action.DENY:
        chains.append(denied_chain(default_counter(policy.default), "no rule matches", Field.CLIENT, enforcement))
    chains.append(denied_chain(INVALID_DROP, "no flow to judge by", Field.SOURCE, enforcement))
    if _closes_ipv6(policy.default, bridge):
        chains.append(denied_chain(IPV6_DROP, "no rule can name IPv6", None, enforcement))
    return {chain.name: chain for chain in chains}


def static_blocks(policy: Policy, bridge: str, *, unknown_allowed: bool) -> tuple[Block, Block]:
    """The chain for what no rule matches, and the base chain `forward`."""
    return _static_blocks(policy.default, bridge, unknown_allowed)


@lru_cache(maxsize=16)
def _static_blocks(default: Action, bridge: str, unknown_allowed: bool) -> tuple[Block, Block]:
    closed = default is Action.DENY
    return (
        Block(
            Chain(_DEFAULT, tuple(_default_action(default, unknown_allowed))),
            frozenset([SYSTEM, LOCAL, UNJUDGED] if closed and unknown_allowed else [SYSTEM]),
        ),
        Block(
            Chain(_FORWARD, tuple(_forward(default, bridge, unknown_allowed)), Hook("forward", PRIORITY)),
            frozenset([LOCAL, UNJUDGED] if closed and not unknown_allowed else [LOCAL]),
        ),
    )


def server_block(policy: Policy, signature: Signature) -> Block:
    """The chain of servers that admit the groups in `signature` (one entry a rule)."""
    return Block(ServerRenderer(policy).chain(signature), frozenset(group for groups in signature for group in groups))


class _Wording(NamedTuple):
    """What a policy rule says in any chain, but for the group; `digest` stands for all of it."""

    matches: Sequence[tuple[Expression, ...]]
    act: tuple[Expression, ...]
    comment: str
    digest: str


class _Lines(NamedTuple):
    """What a policy rule says of one group. `content` stands for the rules; it has no blanks."""

    rules: tuple[NftRule, ...]
    content: str
    title: str


class _RuleRenderer:
    """A rule of a policy. Chains share rules: what one says of a group is rendered once."""

    __slots__ = ("_wording", "known", "rule")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._wording = _wording(rule)
        self.known: dict[Group, _Lines] = {}

    def lines(self, group: Group) -> _Lines:
        """To be remembered."""
        if len(self.known) >= _MOST_REMEMBERED:
            self.known.clear()
        lines = self.known[group] = self._render(group)
        return lines

    def _render(self, group: Group) -> _Lines:
        wording, set_name = self._wording, group.set_name
        client = InSet(Field.CLIENT, set_name)
        rules = tuple([NftRule((client, *match, *wording.act), wording.comment) for match in wording.matches])
        return _Lines(rules, f"{wording.digest} {set_name}", str(group))


class ServerRenderer:
    """Renders servers' chains under one policy. What an earlier renderer knows of rules that stayed is taken over."""

    def __init__(self, policy: Policy, before: ServerRenderer | None = None) -> None:
        known = {renderer.rule: renderer for renderer in (before.rules if before else ())}
        self.rules: Sequence[_RuleRenderer] = [known.get(rule) or _RuleRenderer(rule) for rule in policy.rules]

    def chain(self, signature: Signature) -> Chain:
        """The chain of servers that admit the groups in `signature` (one entry a rule), named by its content."""
        contents: list[str] = []
        rules: list[NftRule] = []
        titles: dict[str, None] = {}
        for rule, groups in zip(self.rules, signature, strict=True):
            for group in groups:
                lines = rule.known.get(group) or rule.lines(group)
                contents.append(lines.content)
                rules += lines.rules
                titles[lines.title] = None
        rules.append(_LAST)
        note = comment(", ".join(titles)) if titles else "no rule applies"
        return Chain(f"to-{digest(' '.join(contents))}", tuple(rules), comment=note)


def _wording(rule: Rule) -> _Wording:
    matches = _port_matches(rule.form)
    act = _act(rule.action, rule_counter(rule))
    note = comment(str(rule))
    lines = [" ".join(map(render_expression, (*match, *act))) for match in matches]
    return _Wording(matches, act, note, digest(*lines, note))


def _act(action: Action, counter: str) -> tuple[Expression, ...]:
    return deny(counter) if action is Action.DENY else (Count(counter), _ACCEPT)


def _default_action(default: Action, unknown_allowed: bool) -> Iterator[NftRule]:
    yield NftRule((InSet(Field.CLIENT, SYSTEM.set_name), _ACCEPT), "from a system endpoint: allow")
    outside = InSet(Field.CLIENT, SUBNETS.name, negated=True)
    yield NftRule((outside, _ACCEPT), "from outside of the managed network: not judged")
    if default is Action.DENY and unknown_allowed:
        unknown = (InSet(Field.CLIENT, group.set_name, negated=True) for group in (LOCAL, UNJUDGED))
        yield NftRule((*unknown, _ACCEPT), "from an unknown address: allow")
    yield NftRule(_act(default, default_counter(default)))


def _forward(default: Action, bridge: str, unknown_allowed: bool) -> Iterator[NftRule]:
    yield NftRule((Dispatch(Field.SERVER, DISPATCH.name),), "to an application endpoint of this host")
    if default is Action.DENY and not unknown_allowed:
        # The kernel judges each look-up by what is committed at that very moment, and a chain by what it was when the
        # packet came: one that meets a commit may find no entry for a server above, or an empty chain, and come here.
        # So this must not ask for anything that the same commit makes true: whoever is judged here never passes.
        unknown = InSet(Field.SERVER, UNJUDGED.set_name, negated=True), InSet(Field.SERVER, SUBNETS.name)
        yield NftRule((*unknown, Verdict(Verb.GOTO, _DEFAULT)), "to an unknown address of the managed network")
    # Nothing above matches them: there is no flow whose server could be looked up.
    lost = State(("invalid", "untracked"))
    packet = InSet(Field.SOURCE, SUBNETS.name), InSet(Field.DESTINATION, LOCAL.set_name)
    yield NftRule((lost, *packet, *deny(INVALID_DROP)), "no flow to judge by")
    if _closes_ipv6(default, bridge):
        ports = Equals(Field.INPUT_INTERFACE, bridge), Equals(Field.OUTPUT_INTERFACE, bridge)
        yield NftRule((Equals(Field.FAMILY, "ipv6"), *ports, *deny(IPV6_DROP)), "no rule can name IPv6")


def _closes_ipv6(default: Action, bridge: str) -> bool:
    return default is Action.DENY and bool(bridge)


def _port_matches(form: Form) -> Sequence[tuple[Expression, ...]]:
    if not isinstance(form, FromTo) or not form.ports:
        return ((),)
    return [_port_match(ports, protocol) for ports in form.ports for protocol in _protocols(ports)]


def _port_match(ports: Ports, protocol: Protocol) -> tuple[Expression, ...]:
    # The flow's protocol, not the packet's: an ICMP error shares the verdict of the flow that it is about.
    return Equals(Field.PROTOCOL, protocol.value), InRange(Field.SERVER_PORT, ports.first, ports.last)


def _protocols(ports: Ports) -> Sequence[Protocol]:
    return (ports.protocol,) if ports.protocol else (Protocol.TCP, Protocol.UDP)
