"""The doctor's judgement of other people's rules: what may drop beside corral, and what other managers left. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from corral.documents.doctor import Outcome
from corral.nft.foreign import LEGACY, ForeignChain, Obstacle, obstacles
from corral.nft.leftovers import PASTURESTACK_TABLE, RANCHER_CHAIN, Leftovers, find_leftovers
from corral.policy.render import PRIORITY
from corral.support.findings import AgentSeen, Findings, Unread

_CLEAN = "when corral enforces, stop that manager, then run `corral cleanup --legacy`"
_UNREAD = "run this with CAP_NET_ADMIN"
_PLACES_TOLD = 4
_ORDERS = {True: "before", False: "after", None: "before or after"}

Found = tuple[Outcome, str, str | None]


def foreign_chains(findings: Findings) -> Iterator[Found]:
    """Base chains of others that may drop what corral allows."""
    if isinstance(findings.chains, Unread):
        yield "unknown", findings.chains.why, _UNREAD
        return
    others = [chain for chain in findings.chains if (chain.family, chain.table) != PASTURESTACK_TABLE]
    found = obstacles(others, our_priority=PRIORITY, ignored=frozenset({RANCHER_CHAIN}))
    if not found:
        yield "ok", "no other chain drops packets between containers", None
    for obstacle in found:
        outcome: Outcome = "problem" if obstacle.certain else "warning"
        yield outcome, _obstacle(obstacle), _remedy(obstacle, findings)


def _obstacle(obstacle: Obstacle) -> str:
    base = obstacle.base
    order = _ORDERS[obstacle.before]
    where = f"chain {base.place} (hook {base.hook}, priority {base.priority}, {order} corral's)"
    if obstacle.certain:
        return f"{where} drops everything that is forwarded"
    what = ["drops what none of its rules accepts"] if obstacle.policy else []
    if obstacle.places:
        told = ", ".join(obstacle.places[:_PLACES_TOLD])
        more = len(obstacle.places) - _PLACES_TOLD
        what.append(f"may drop packets in {told}{f' and {more} more' if more > 0 else ''}")
    return f"{where} {' and '.join(what)}"


def _remedy(obstacle: Obstacle, findings: Findings) -> str:
    subnets = " and ".join(findings.network.subnets) if findings.network else "the managed subnets"
    lost = "what corral allows it may still drop" if obstacle.before is False else "what it drops corral never sees"
    return f"{lost}: see (`{_listing(obstacle.base)}`) that it accepts what goes between {subnets}"


def _listing(chain: ForeignChain) -> str:
    if chain.family == LEGACY:
        return f"iptables-legacy -t {chain.table} -S {chain.name}"
    return f"nft list chain {chain.place}"


def rancher_leftovers(findings: Findings) -> Iterator[Found]:
    """Chains, jumps and ipsets of Rancher's own manager."""
    chains, ipsets = findings.chains, findings.ipsets
    for unread in (chains, ipsets):
        if isinstance(unread, Unread):
            yield "unknown", unread.why, _UNREAD
    left = find_leftovers(
        () if isinstance(chains, Unread) else chains, (), () if isinstance(ipsets, Unread) else ipsets
    )
    if left:
        yield _outcome(findings, hooked=bool(left.jumps)), rancher_sentence(left), _CLEAN
    elif not isinstance(chains, Unread) and not isinstance(ipsets, Unread):
        yield "ok", "nothing is left of Rancher's own network-policy manager", None


def rancher_sentence(left: Leftovers) -> str:
    """What is there of Rancher's manager."""
    parts = [f"chain {chain.place}" for chain in left.chains]
    parts += [f"a jump to it from {chain.place}" for chain, _ in left.jumps]
    if left.ipsets:
        parts.append(f"{len(left.ipsets)} ipsets ({left.ipsets[0]}, …)" if left.ipsets[1:] else left.ipsets[0])
    effect = "packets have to pass it, too" if left.jumps else "without effect"
    return f"Rancher's own manager is here or has been: {', '.join(parts)}; {effect}"


def pasturestack_leftovers(findings: Findings) -> Iterator[Found]:
    """PastureStack's table."""
    if isinstance(findings.tables, Unread):
        yield "unknown", findings.tables.why, _UNREAD
    elif PASTURESTACK_TABLE in findings.tables:
        found = f"table {' '.join(PASTURESTACK_TABLE)} is here: packets have to pass it, too"
        yield _outcome(findings, hooked=True), found, _CLEAN
    else:
        yield "ok", "nothing is left of PastureStack's network-policy manager", None


def _outcome(findings: Findings, *, hooked: bool) -> Outcome:
    """Beside an agent in audit mode another manager is what people compare with, and without one the only one."""
    enforcing = isinstance(findings.agent, AgentSeen) and findings.agent.ready and findings.agent.mode == "enforce"
    return "problem" if hooked and enforcing else "warning"
