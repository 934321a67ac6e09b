"""The smallest changes that would allow a denied flow, and what else each of them would open."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice, product
from operator import itemgetter
from typing import Any

from corral.model.endpoint import Endpoint
from corral.model.entities import OWN_ENVIRONMENT, Container, ServiceKey
from corral.policy.change import PairChanges, opened_at
from corral.policy.matrix import Matrix, clients_by_server, matrix_of
from corral.policy.naming import selectors_for, shared_labels
from corral.policy.ports import port_classes_of
from corral.policy.profiles import party_name, profiles_of
from corral.policy.rules import Policy, Scope, Within
from corral.policy.validate import parse_policy
from corral.policy.verdict import Decider, Scene, judge
from corral.types import Action, Address, Flow

MOST_SUGGESTIONS = 3
MOST_NAMED = 10
_MOST_LABELS = 3

# Client's and server's service.
Link = tuple[ServiceKey, ServiceKey]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One way to allow the flow, verified.

    `rule` is the rule as it would be put, at `index` of the policy; both are None where a link alone is enough.
    `link` names the client's and the server's service where a link is to be made. `policy` is the policy afterwards.
    `ports` are those that open between the flow's own parties, in words. `also_opens` names pairs of parties (at most
    MOST_NAMED) that would open besides, `also_opens_pairs` counts them all; `endpoint_pairs` counts all pairs of
    endpoints that would open.
    """

    sentence: str
    rule: dict[str, Any] | None
    index: int | None
    link: tuple[str, str] | None
    policy: Policy
    ports: str
    also_opens: tuple[str, ...]
    also_opens_pairs: int
    endpoint_pairs: int


@dataclass(frozen=True, slots=True)
class Advice:
    """Suggestions, best first; without any, `note` says why (the flow is allowed, or nothing can name an end)."""

    suggestions: tuple[Suggestion, ...]
    note: str | None = None


def suggest(scene: Scene, containers: Mapping[str, Container], flow: Flow) -> Advice:
    """Find up to MOST_SUGGESTIONS changes that would allow the flow; those that open least else come first.

    Takes a tenth of a second where there are thousands of endpoints; see `suggest_all`.
    """
    return suggest_all(scene, containers, [flow])[0]


def suggest_all(scene: Scene, containers: Mapping[str, Container], flows: Iterable[Flow]) -> list[Advice]:
    """The same for many flows, each on its own, at little more cost than for one."""
    names = {address: party_name(endpoint, containers) for address, endpoint in scene.endpoints.items()}
    alike: dict[str, set[Address]] = {}
    for address, name in names.items():
        alike.setdefault(name, set()).add(address)
    surroundings = _Surroundings(scene, names, alike)
    questions = [_question(surroundings, flow) for flow in flows]
    policies = [scene.policy, *(one.policy for question in questions for one in question.candidates)]
    before = matrix_of(scene.policy, profiles_of(scene.endpoints, containers, policies), port_classes_of(policies))
    return [_advice(question, before) for question in questions]


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What all flows of a question have in common: names of endpoints, and endpoints by name."""

    scene: Scene
    names: Mapping[Address, str]
    alike: Mapping[str, Collection[Address]]
    selectors: dict[Address, tuple[str, ...]] = field(default_factory=dict)

    def selectors_of(self, end: Endpoint) -> tuple[str, ...]:
        """Those that name an endpoint, and all that is called alike."""
        found = self.selectors.get(end.address)
        if found is None:
            alike = self.alike[self.names[end.address]]
            found = self.selectors[end.address] = selectors_for(end, alike, self.scene.endpoints)
        return found


@dataclass(frozen=True, slots=True)
class _Question:
    """What could allow a flow; or a note that nothing is to be done."""

    candidates: tuple[_Candidate, ...] = ()
    note: str | None = None
    names: tuple[str, str] = ("", "")


def _question(surroundings: _Surroundings, flow: Flow) -> _Question:
    scene = surroundings.scene
    judged = judge(scene, flow)
    if judged.action is not Action.DENY:
        return _Question(note=f"nothing to do: {judged.sentence}")
    if judged.decided_by is Decider.UNKNOWN:
        return _Question(note=f"{judged.sentence}; no rule can name what is no endpoint")
    client, server = scene.endpoints[flow.client], scene.endpoints[flow.server]
    index = len(scene.policy.rules) if judged.rule is None else judged.rule
    pair = _Pair(surroundings, flow, client, server, index)
    candidates = tuple(one for one in _candidates(pair) if one.allows())
    return _Question(candidates, None if candidates else _nameless(pair), pair.names)


def _advice(question: _Question, before: Matrix) -> Advice:
    suggestions = []
    for candidate in question.candidates:
        found = _suggestion(candidate, question.names, candidate.opened(before))
        wide = found.ports.startswith("any")
        weight = found.also_opens_pairs, found.endpoint_pairs, wide, candidate.simplicity, found.sentence
        suggestions.append((weight, found))
    suggestions.sort(key=itemgetter(0))
    return Advice(tuple([found for _, found in suggestions[:MOST_SUGGESTIONS]]), question.note)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A denied flow; `index` is where a new rule comes in time."""

    surroundings: _Surroundings
    flow: Flow
    client: Endpoint
    server: Endpoint
    index: int

    @property
    def policy(self) -> Policy:
        """The policy that denies it."""
        return self.surroundings.scene.policy

    @property
    def names(self) -> tuple[str, str]:
        """What people call the ends."""
        return self.surroundings.names[self.flow.client], self.surroundings.names[self.flow.server]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A new rule, a new link or both. The rule that allows then is at `index`, new or not."""

    pair: _Pair
    simplicity: int  # the lower, the less is to be understood
    policy: Policy
    index: int
    rule: dict[str, Any] | None
    link: Link | None = None

    def allows(self) -> bool:
        """Whether the flow is allowed then."""
        pair, scene = self.pair, self.pair.surroundings.scene
        ends = {one.address: self._linked(one) for one in (pair.client, pair.server)}
        return judge(replace(scene, policy=self.policy, endpoints=ends), pair.flow).action is Action.ALLOW

    def opened(self, before: Matrix) -> PairChanges:
        """What is allowed then, and is not now."""
        rule, population = self.policy.rules[self.index], before.population
        clients = [0] * len(population.profiles) if self.rule is None else clients_by_server(rule.form, population)
        if self.link is not None:
            linking = sum(1 << index for index, one in enumerate(population.profiles) if self._links(one.endpoint))
            for index, server in enumerate(population.profiles):
                if self.link[1] in server.endpoint.services and not server.endpoint.system:
                    clients[index] |= linking
        return opened_at(before, self.index, rule, clients)

    def _links(self, endpoint: Endpoint) -> bool:
        return self.link is not None and self.link[0] in endpoint.services and not endpoint.system

    def _linked(self, endpoint: Endpoint) -> Endpoint:
        if self.link is None or not self._links(endpoint):
            return endpoint
        return replace(endpoint, links_to=endpoint.links_to | {self.link[1]})

    def sentence(self) -> str:
        """What is to be done."""
        link = f"link {self.link[0]} to {self.link[1]}" if self.link else ""
        if self.rule is None:
            return link
        index, rules = self.index, self.policy.rules
        place = f"before policy[{index}], which denies" if index < len(rules) - 1 else "at the end"
        rule = f"put a rule {place}: {rules[index]}"
        return f"{link}, and {rule}" if link else rule


def _candidates(pair: _Pair) -> Iterator[_Candidate]:
    """What could allow the flow, whether or not it does."""
    if link := _link(pair):
        yield _with_link(pair, link)
    if pair.client.services & pair.server.services:
        yield _with_rule(pair, 2, {"within": "service", "action": "allow"})
    if pair.client.stacks & pair.server.stacks:
        yield _with_rule(pair, 3, {"within": "stack", "action": "allow"})
    for label in shared_labels(pair.client, pair.server)[:_MOST_LABELS]:
        yield _with_rule(pair, 4, {"between": {"groupBy": label}, "action": "allow"})
    ports = {} if pair.flow.port is None else {"ports": [f"{pair.flow.port}/{pair.flow.protocol}"]}
    for client, server in product(*map(pair.surroundings.selectors_of, (pair.client, pair.server))):
        ends = {"from": {"selector": client}, "to": {"selector": server}}
        yield _with_rule(pair, 5, {**ends, **ports, "action": "allow"})


def _link(pair: _Pair) -> Link | None:
    """Services link, of our own environment; containers can not be linked once they run."""
    clients = sorted(service for service in pair.client.services if service.environment == OWN_ENVIRONMENT)
    servers = sorted(pair.server.services)
    if not clients or not servers or pair.client.services & pair.server.services:
        return None
    return clients[0], servers[0]


def _with_link(pair: _Pair, link: Link) -> _Candidate:
    """With a rule about links, unless there is one that comes in time."""
    for index, rule in enumerate(pair.policy.rules[: pair.index]):
        if rule.form == Within(Scope.LINKED):
            return _Candidate(pair, 0, pair.policy, index, None, link)
    return _with_rule(pair, 1, {"within": "linked", "action": "allow"}, link)


def _with_rule(pair: _Pair, simplicity: int, rule: dict[str, Any], link: Link | None = None) -> _Candidate:
    policy, index = pair.policy, pair.index
    (parsed,) = parse_policy([rule], None).rules
    rules = (*policy.rules[:index], parsed, *policy.rules[index:])
    return _Candidate(pair, simplicity, replace(policy, rules=rules), index, rule, link)


def _suggestion(candidate: _Candidate, names: tuple[str, str], opened: PairChanges) -> Suggestion:
    ports = opened.ports_between(*names)
    others = (f"{one.client} -> {one.server} ({one.ports})" for one in opened if (one.client, one.server) != names)
    link = candidate.link
    return Suggestion(
        sentence=candidate.sentence(),
        rule=candidate.rule,
        index=None if candidate.rule is None else candidate.index,
        link=None if link is None else (str(link[0]), str(link[1])),
        policy=candidate.policy,
        ports=ports,
        also_opens=tuple(islice(others, MOST_NAMED)),
        also_opens_pairs=opened.party_pairs - bool(ports),
        endpoint_pairs=opened.endpoint_pairs,
    )


def _nameless(pair: _Pair) -> str:
    """Why there is nothing to suggest."""
    ends = zip(pair.names, (pair.client, pair.server), strict=True)
    names = list(dict.fromkeys(name for name, end in ends if not pair.surroundings.selectors_of(end)))
    if not names:
        return "no single rule or link would allow it"
    them, label = ("them", "labels") if len(names) > 1 else ("it", "a label")
    return (
        f"nothing in the policy language can name {' and '.join(names)}: "
        f"give {them} {label}, such as role, and allow it by selectors"
    )
