"""The answer to "may A reach B?": the reference verdict for every flow that the question covers, and why."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from corral.daemon.answers.places import Knowledge, Places
from corral.daemon.answers.resolving import Named, Names
from corral.daemon.answers.topology import LoadedTopology
from corral.documents.explain import (
    ExplainedDirection,
    ExplainedEnd,
    ExplainedFlow,
    ExplainedVerdict,
    Explanation,
    SuggestedChange,
)
from corral.errors import UsageError
from corral.model.lookup import name_of
from corral.policy.digest import policy_digest
from corral.policy.profiles import party_name
from corral.policy.suggest import suggest
from corral.policy.verdict import Judgement, judge
from corral.types import Action, Address, Flow, Protocol

# Judging this many takes about a tenth of a second.
PAIRS_LIMIT = 4000

REPLIES = "replies of an allowed flow always pass; of a denied flow nothing passes, either way"
AUDITED = "AUDIT: nothing is dropped, what would be denied is only counted and reported"
OFF = "the mode is off: nothing is enforced"
SUSPENDED = "the policy is suspended, everything is allowed: the metadata is stale, and CORRAL_ON_STALE is open"

_PORT = re.compile(r"(\d{1,5})(?:/(tcp|udp))?")


def explain(
    loaded: LoadedTopology, client: str, server: str, port: str | None, knowledge: Knowledge | None = None
) -> Explanation:
    """Judge client -> server, and the other way round; `verdict` is `deny` when any flow of the question is denied.

    Raises UsageError for a name that nothing carries.
    """
    asked, names = _protocols(port), Names(loaded)
    clients, servers = names.resolve(client), names.resolve(server)
    pairs = len(clients.kinds) * len(servers.kinds)
    if pairs > PAIRS_LIMIT:
        given = f"{client} to {server} is {pairs} pairs that rules may tell apart"
        raise UsageError(f"{given}; at most {PAIRS_LIMIT}: name single containers")
    places = Places(loaded, knowledge or Knowledge())
    flows = _Flows(loaded, places, asked)
    there = flows.direction(clients, servers)
    return {
        "client": client,
        "server": server,
        "port": port,
        "mode": loaded.topology.mode,
        "policy": policy_digest(loaded.policy),
        "verdict": there["verdict"],
        "flows": there["flows"],
        "reverse": flows.direction(servers, clients),
        "replies": REPLIES,
        "notes": list(dict.fromkeys([*_general_notes(loaded), *clients.notes, *servers.notes])),
        "published": list(places.published(servers.addresses, asked)),
        "suggestions": _suggestions(loaded, there["flows"]),
    }


def rule_as_given(raw: object, index: int) -> object:
    """A rule of the policy as Rancher has it, decoded if it is a text, without nulls and `type`; None if unknown."""
    rule = raw[index] if isinstance(raw, list | tuple) and index < len(raw) else None
    return _without_nulls(json.loads(rule) if isinstance(rule, str) else rule)


def _without_nulls(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    return {key: _without_nulls(item) for key, item in value.items() if item is not None and key != "type"}


def _suggestions(loaded: LoadedTopology, flows: Iterable[ExplainedFlow]) -> list[SuggestedChange]:
    """For the first flow that is denied; the others would mostly get the same."""
    denied = next((flow for flow in flows if flow["verdict"] == "deny"), None)
    if denied is None:
        return []
    ends = Address.parse(denied["client"]["address"]), Address.parse(denied["server"]["address"])
    flow = Flow(*ends, Protocol(denied["protocol"]), denied["port"])
    return [
        {
            "sentence": suggestion.sentence,
            "rule": suggestion.rule,
            "index": suggestion.index,
            "also_opens": list(suggestion.also_opens),
            "also_opens_pairs": suggestion.also_opens_pairs,
        }
        for suggestion in suggest(loaded.scene, loaded.containers, flow).suggestions
    ]


def _general_notes(loaded: LoadedTopology) -> Iterator[str]:
    if loaded.topology.suspended:
        yield SUSPENDED
    if loaded.topology.mode != "enforce":
        yield AUDITED if loaded.topology.mode == "audit" else OFF


@dataclass(slots=True)
class _Answer:
    """A judgement, the first flow that it is about, and the number and the servers of all of them."""

    flow: Flow
    judgement: Judgement
    count: int = 0
    servers: dict[Address, None] = field(default_factory=dict)

    def add(self, clients: Sequence[Address], servers: Sequence[Address]) -> None:
        self.count += len(clients) * len(servers)
        self.servers.update(dict.fromkeys(servers))


class _Flows:
    """Judges flows between what two names stand for."""

    def __init__(self, loaded: LoadedTopology, places: Places, asked: Sequence[tuple[Protocol, int | None]]) -> None:
        self._loaded = loaded
        self._scene = loaded.scene
        self._places = places
        self._asked = asked

    def direction(self, clients: Named, servers: Named) -> ExplainedDirection:
        """One entry for each distinct answer."""
        answers: dict[tuple[object, ...], _Answer] = {}
        for some, others in product(clients.kinds, servers.kinds):
            for protocol, port in self._asked:
                flow = Flow(some[0], others[0], protocol, port)
                judgement = judge(self._scene, flow)
                key = protocol, judgement.action, judgement.rule, judgement.sentence
                answers.setdefault(key, _Answer(flow, judgement)).add(some, others)
        return {
            "verdict": _overall([answer.judgement for answer in answers.values()]),
            "flows": [self._flow(answer) for answer in answers.values()],
        }

    def _flow(self, answer: _Answer) -> ExplainedFlow:
        flow, judgement, rules = answer.flow, answer.judgement, self._loaded.policy.rules
        rule = judgement.rule
        enforced = self._places.enforcing(answer.servers) if self._is_judged(answer) else []
        return {
            "client": self._end(flow.client),
            "server": self._end(flow.server),
            "protocol": flow.protocol.value,
            "port": flow.port,
            "verdict": _overall([judgement]),
            "decided_by": judgement.decided_by.value,
            "rule": rule,
            "rule_text": None if rule is None else str(rules[rule]),
            "rule_json": None if rule is None else rule_as_given(self._loaded.raw_policy, rule),
            "sentence": judgement.sentence,
            "steps": [
                {"rule": step.rule, "text": str(rules[step.rule]), "matched": step.matched, "why": step.why}
                for step in judgement.steps
            ],
            "enforced": enforced,
            "enforced_here": any(place["here"] for place in enforced),
            "count": answer.count,
        }

    def _is_judged(self, answer: _Answer) -> bool:
        """System servers are judged by no agent, and nothing is that has an end outside."""
        server = self._loaded.endpoints.get(answer.flow.server)
        return answer.judgement.action is not None and not (server and server.system)

    def _end(self, address: Address) -> ExplainedEnd:
        endpoints, containers = self._loaded.endpoints, self._loaded.containers
        return {
            "name": name_of(address, endpoints, containers),
            "address": str(address),
            "party": party_name(endpoints[address], containers) if address in endpoints else None,
        }


def _protocols(port: str | None) -> list[tuple[Protocol, int | None]]:
    if port is None:
        return [(Protocol.ICMP, None)]
    match = _PORT.fullmatch(port.strip().lower())
    if match is None or not 1 <= int(match[1]) <= 65535:
        raise UsageError(f"port: {port!r} given; 1-65535 is allowed, alone or with /tcp or /udp")
    names = [match[2]] if match[2] else ["tcp", "udp"]
    return [(Protocol(name), int(match[1])) for name in names]


def _overall(judgements: Iterable[Judgement]) -> ExplainedVerdict:
    actions = {judgement.action for judgement in judgements}
    if Action.DENY in actions:
        return "deny"
    return "allow" if Action.ALLOW in actions else "not judged"
