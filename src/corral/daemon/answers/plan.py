"""What another policy would change in an environment: pairs, traffic that it concerns, connections that it cuts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import islice
from typing import Any, NamedTuple

from corral.documents.connections import Connection, Connections
from corral.documents.plan import (
    AskedAgent,
    CarriedTraffic,
    CutConnection,
    PlanDocument,
    PlannedDecision,
    PlannedGroup,
    PlannedPair,
    PlannedReason,
    PlannedRule,
    PlannedSide,
    RuleTraffic,
)
from corral.model.topology import Topology
from corral.policy.change import GroupChange, PairChange, PairChanges, compare_policies
from corral.policy.lint import lint
from corral.policy.matrix import Decision
from corral.policy.rules import Policy
from corral.policy.verdict import Decider, Scene, judge
from corral.types import Action, Address, Flow, Protocol

MOST_GROUPS, MOST_EXAMPLES, MOST_CUT, MOST_HOSTS = 1000, 1000, 10_000, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Starting:
    """The policy that is replaced: its digest as it is written down, and where it is from."""

    policy: Policy
    digest: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What an agent at `agent` (`host:port`) knows of traffic; None, and a sentence that says why, where it does not.

    `rules` is what `/v1/rules` answers.
    """

    agent: str
    connections: Connections | None = None
    rules: Mapping[str, Any] | None = None
    troubles: tuple[str, ...] = field(default=())

    @property
    def host(self) -> str:
        """The name of its host, as far as it is known."""
        return self.connections["host"] if self.connections else self.agent


_Reason = tuple[str, Decision, Decision]


class _Concerned(NamedTuple):
    """Connections that pass now and would not."""

    connection: Connection
    host: str


def plan_document(
    topology: Topology,
    before: Starting,
    after: Policy,
    after_digest: str,
    evidence: Sequence[Evidence],
) -> PlanDocument:
    """The plan, in the environment of the topology."""
    change = compare_policies(topology.endpoints, topology.containers, before.policy, after)
    concerned = list(_concerned(topology, before.policy, after, evidence))
    cut = [one for each in concerned for one in _cut(each)]
    added, removed = _rules_that_differ(before.policy, after)
    return {
        "network": topology.network.name or None,
        "before": before.digest,
        "before_from": before.source,
        "after": after_digest,
        "default_before": before.policy.default_in_words,
        "default_after": after.default_in_words,
        "rules_added": added,
        "rules_removed": removed,
        "opened": _side(change.opened, before.policy, after),
        "closed": _side(change.closed, before.policy, after),
        "carried": _carried(concerned),
        "rules_hit": _rules_hit(change.closed, before.policy, evidence),
        "cut": cut[:MOST_CUT],
        "cut_left_out": max(0, len(cut) - MOST_CUT),
        "warnings": [
            {"kind": str(one.kind), "rule": one.rule, "sentence": one.sentence, "remedy": one.remedy}
            for one in lint(after, topology.endpoints, topology.containers)
        ],
        "asked": [_asked(one) for one in evidence],
        "not_known": [*_unnamed(topology, before.policy, after), *_not_known(topology, evidence)],
    }


def _rules_that_differ(before: Policy, after: Policy) -> tuple[list[PlannedRule], list[PlannedRule]]:
    """What is inserted and what is taken out; a rule that moves is both."""
    old, new = list(map(str, before.rules)), list(map(str, after.rules))
    added: list[PlannedRule] = []
    removed: list[PlannedRule] = []
    for kind, first, last, new_first, new_last in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            removed += [{"index": index, "text": old[index]} for index in range(first, last)]
            added += [{"index": index, "text": new[index]} for index in range(new_first, new_last)]
    return added, removed


def _side(changes: PairChanges, before: Policy, after: Policy) -> PlannedSide:
    groups, total = changes.groups(), len(changes)
    return {
        "pairs": changes.party_pairs,
        "endpoint_pairs": changes.endpoint_pairs,
        "reasons": _reasons(groups, before, after),
        "groups": [_group(one, before, after) for one in groups[:MOST_GROUPS]],
        "groups_left_out": max(0, len(groups) - MOST_GROUPS),
        "examples": [_pair(one, before, after) for one in islice(changes, MOST_EXAMPLES)],
        "examples_left_out": max(0, total - MOST_EXAMPLES),
    }


def _reasons(groups: Iterable[GroupChange], before: Policy, after: Policy) -> list[PlannedReason]:
    pairs: Counter[_Reason] = Counter()
    endpoint_pairs: Counter[_Reason] = Counter()
    for group in groups:
        reason = group.ports, group.before, group.after
        pairs[reason] += group.party_pairs
        endpoint_pairs[reason] += group.endpoint_pairs
    return [
        {
            "ports": reason[0],
            "before": _decision(reason[1], before),
            "after": _decision(reason[2], after),
            "pairs": number,
            "endpoint_pairs": endpoint_pairs[reason],
        }
        for reason, number in pairs.most_common()
    ]


def _group(group: GroupChange, before: Policy, after: Policy) -> PlannedGroup:
    return {
        "client": group.client,
        "server": group.server,
        "ports": group.ports,
        "before": _decision(group.before, before),
        "after": _decision(group.after, after),
        "pairs": group.party_pairs,
        "endpoint_pairs": group.endpoint_pairs,
    }


def _pair(pair: PairChange, before: Policy, after: Policy) -> PlannedPair:
    return {
        "client": pair.client,
        "server": pair.server,
        "ports": pair.ports,
        "before": _decision(pair.before, before),
        "after": _decision(pair.after, after),
        "endpoint_pairs": pair.endpoint_pairs,
    }


def _decision(decision: Decision, policy: Policy) -> PlannedDecision:
    if decision.rule is not None:
        text = f"policy[{decision.rule}] {policy.rules[decision.rule]}"
    elif decision.decided_by is Decider.DEFAULT:
        text = f"the default action: {policy.default_in_words}"
    else:
        text = f"a {decision.decided_by} endpoint"
    return {"decided_by": decision.decided_by.value, "rule": decision.rule, "text": text}


def _concerned(topology: Topology, before: Policy, after: Policy, evidence: Iterable[Evidence]) -> Iterator[_Concerned]:
    """Connections that the one policy allows and the other does not, in the order of the agents."""
    subnets, endpoints = topology.network.subnets, topology.endpoints
    now, then = (Scene(policy, subnets, endpoints, topology.unknown_allowed) for policy in (before, after))
    for one in evidence:
        for connection in one.connections["connections"] if one.connections else ():
            if connection["answered"]:
                flow = _flow(connection)
                if judge(now, flow).action is Action.ALLOW and judge(then, flow).action is Action.DENY:
                    yield _Concerned(connection, one.host)


def _flow(connection: Connection) -> Flow:
    """As rules see it: what has ports that no rule can name is judged like ICMP."""
    client, server = (Address.parse(connection[end]["address"]) for end in ("client", "server"))
    if connection["protocol"] in (Protocol.TCP, Protocol.UDP):
        return Flow(client, server, Protocol(connection["protocol"]), connection["port"])
    return Flow(client, server, Protocol.ICMP)


def _cut(concerned: _Concerned) -> Iterator[CutConnection]:
    connection = concerned.connection
    if connection["open"]:
        ports: Sequence[int | None] = connection["client_ports"] or (None,) * connection["count"]
        for port in ports:
            yield {
                "client": connection["client"],
                "client_port": port,
                "server": connection["server"],
                "port": connection["port"],
                "protocol": connection["protocol"],
                "state": connection["state"],
                "host": concerned.host,
            }


def _carried(concerned: Iterable[_Concerned]) -> list[CarriedTraffic]:
    flows: Counter[tuple[str, str, str, int | None]] = Counter()
    still_open: Counter[tuple[str, str, str, int | None]] = Counter()
    for connection, _ in concerned:
        parties = connection["client"]["party"], connection["server"]["party"]
        pair = (*parties, connection["protocol"], connection["port"])
        flows[pair] += connection["count"]
        still_open[pair] += connection["count"] * connection["open"]
    return [
        {
            "client": client,
            "server": server,
            "protocol": protocol,
            "port": port,
            "flows": number,
            "open": still_open[client, server, protocol, port],
        }
        for (client, server, protocol, port), number in flows.most_common()
    ]


def _rules_hit(closed: PairChanges, before: Policy, evidence: Iterable[Evidence]) -> list[RuleTraffic]:
    """What lets pass now what would close, as far as its counters have counted."""
    deciding = {group.before.rule for group in closed.groups() if group.before.decided_by is not Decider.SYSTEM}
    found: list[RuleTraffic] = []
    for one in evidence:
        counted = {entry["text"]: entry for entry in one.rules["rules"]} if one.rules else {}
        for rule in sorted(deciding, key=lambda index: -1 if index is None else index):
            text = before.default_in_words if rule is None else str(before.rules[rule])
            entry = (one.rules or {}).get("default") if rule is None else counted.get(text)
            if entry and entry["packets"]:
                found.append(
                    {
                        "rule": rule,
                        "text": text,
                        "host": one.host,
                        "packets": entry["packets"],
                        "last_hit": entry["last_hit"],
                    }
                )
    return found


def _asked(evidence: Evidence) -> AskedAgent:
    connections = evidence.connections
    return {
        "agent": evidence.agent,
        "host": evidence.host,
        "mode": connections["mode"] if connections else None,
        "entries": connections["entries"] if connections else None,
    }


def _unnamed(topology: Topology, before: Policy, after: Policy) -> Iterator[str]:
    """What no pair shows: it is no endpoint, and the default action decides."""
    if before.default is not after.default:
        if not topology.unknown_allowed:
            yield (
                "flows with addresses of the managed network that are no known endpoint: the default action decides, "
                f"so they turn from {before.default} to {after.default}"
            )
        verb = "opens" if after.default is Action.ALLOW else "closes"
        yield f"IPv6 between containers of one bridge, which no rule can name: it {verb} with the default action"


def _not_known(topology: Topology, evidence: Sequence[Evidence]) -> Iterator[str]:
    """Sentences: whoever decides by a plan should know what it leaves out."""
    for one in evidence:
        yield from one.troubles
        if one.connections and one.connections["truncated"]:
            yield f"{one.host} knows more connections than it tells: the numbers are too low"
    asked = {one.host for one in evidence if one.connections}
    missing = sorted(name for name in _hosts_with_servers(topology) if name not in asked)
    if missing:
        shown = ", ".join(missing[:MOST_HOSTS]) + (
            f" and {len(missing) - MOST_HOSTS} more" if len(missing) > MOST_HOSTS else ""
        )
        ask = "their agents were not asked" if len(missing) > 1 else "its agent was not asked"
        yield f"connections and counters on {shown}: {ask} (--agent HOST:PORT, once for each)"
    if asked:
        yield "traffic of long ago: connection tracking forgets a flow some minutes after its last packet"


def _hosts_with_servers(topology: Topology) -> set[str]:
    """Hosts whose agent judges flows: those with application endpoints."""
    uuids = {
        container.host
        for endpoint in topology.endpoints.values()
        if not endpoint.system
        for uuid in endpoint.containers
        if (container := topology.containers.get(uuid)) is not None
    }
    return {host.name or host.uuid for uuid in uuids if (host := topology.hosts.get(uuid)) and not host.environment}
