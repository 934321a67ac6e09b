"""Who may talk to whom: the first-match decision for every pair of profiles and every kind of port.

Clients are bits of a number: a rule's clients of one server are a mask, as they are a set in the kernel. Both ask
`groups`, so the matrix shows what is compiled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from corral.policy.groups import Criterion, Key, client_keys, criterion_of, server_keys
from corral.policy.ports import PortClass, class_of, port_classes_of
from corral.policy.profiles import Population
from corral.policy.rules import Form, FromTo, Policy, Rule
from corral.policy.verdict import Decider
from corral.types import Action, Protocol


@dataclass(frozen=True, slots=True)
class Decision:
    """An action, what settled it, and the index of the deciding rule, if one did."""

    action: Action
    decided_by: Decider
    rule: int | None = None


# Which client profiles (a bit each) meet which decision. Together the masks are all clients, each once.
Outcome = tuple[tuple[Decision, int], ...]
# One outcome for each of the port classes; it is the same object where ports make no difference.
Column = tuple[Outcome, ...]
# The rules that match some client of a server, ports aside, and these clients.
Matches = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """`matches` and `columns` have an entry a server profile; those that are alike share theirs."""

    policy: Policy
    population: Population
    port_classes: tuple[PortClass, ...]
    matches: tuple[Matches, ...]
    columns: tuple[Column, ...]

    def decision(self, client: int, server: int, protocol: Protocol, port: int | None) -> Decision:
        """The decision for a client and a server profile (their indices)."""
        outcome = self.columns[server][class_of(self.port_classes, protocol, port)]
        return next(decision for decision, clients in outcome if clients >> client & 1)


def matrix_of(policy: Policy, population: Population, port_classes: tuple[PortClass, ...] | None = None) -> Matrix:
    """Decide for every pair. Other `port_classes` than this policy's must divide the ports at least as finely."""
    classes = port_classes_of([policy]) if port_classes is None else port_classes
    matches = _all_matches(policy, population)
    judge = _Judge(policy, population, classes)
    known: dict[Matches, Column] = {}
    columns = []
    for server, matching in zip(population.profiles, matches, strict=True):
        if server.endpoint.system:
            columns.append(judge.system)
            continue
        column = known.get(matching)
        if column is None:
            column = known[matching] = judge.column(matching)
        columns.append(column)
    return Matrix(policy, population, classes, tuple(matches), tuple(columns))


def bits_of(mask: int) -> Iterator[int]:
    """The indices of the profiles that a mask holds."""
    return (index for index, bit in enumerate(reversed(f"{mask:b}")) if bit == "1")


class _Judge:
    """Turns what matches into decisions."""

    def __init__(self, policy: Policy, population: Population, classes: Sequence[PortClass]) -> None:
        every = (1 << len(population.profiles)) - 1
        applications = sum(1 << index for index, one in enumerate(population.profiles) if not one.endpoint.system)
        system = Decision(Action.ALLOW, Decider.SYSTEM)
        self.system: Column = (((system, every),),) * len(classes)
        self._classes = classes
        self._applications = applications
        self._by_system = (system, every ^ applications)
        self._by_rule = [Decision(rule.action, Decider.RULE, index) for index, rule in enumerate(policy.rules)]
        self._default = Decision(policy.default, Decider.DEFAULT)
        # Which port classes a rule is about: a bit each.
        self._about = [
            sum(1 << index for index, one in enumerate(classes) if covers(rule, one)) for rule in policy.rules
        ]
        self._all_ports = (1 << len(classes)) - 1

    def column(self, matching: Matches) -> Column:
        """What becomes of the clients of an application endpoint."""
        if all(self._about[rule] == self._all_ports for rule, _ in matching):
            return (self._outcome(matching),) * len(self._classes)
        known: dict[Matches, Outcome] = {}
        column = []
        for place in range(len(self._classes)):
            about = tuple([(rule, clients) for rule, clients in matching if self._about[rule] >> place & 1])
            if about not in known:
                known[about] = self._outcome(about)
            column.append(known[about])
        return tuple(column)

    def _outcome(self, matching: Matches) -> Outcome:
        """The first match decides."""
        outcome = [self._by_system]
        remaining = self._applications
        for rule, clients in matching:
            if hit := remaining & clients:
                outcome.append((self._by_rule[rule], hit))
                remaining ^= hit
        outcome.append((self._default, remaining))
        return tuple([(decision, clients) for decision, clients in outcome if clients])


def covers(rule: Rule, ports: PortClass) -> bool:
    """Whether the rule is about these ports."""
    return not isinstance(rule.form, FromTo) or ports.is_among(rule.form.ports)


def clients_by_server(form: Form, population: Population) -> list[int]:
    """The client profiles that a rule of this form matches for each server profile, ports aside."""
    return _clients(form, population, _members(criterion_of(form), population))


def _clients(form: Form, population: Population, members: Mapping[Key, int]) -> list[int]:
    keys_of = server_keys(form)
    found = []
    for server in population.profiles:
        clients = 0
        if not server.endpoint.system:
            for key in keys_of(server.endpoint):
                clients |= members.get(key, 0)
        found.append(clients)
    return found


def _all_matches(policy: Policy, population: Population) -> list[Matches]:
    """For each server the rules that match, with their clients. Equal ones are one object."""
    members: dict[Criterion, Mapping[Key, int]] = {}
    matches: list[list[tuple[int, int]]] = [[] for _ in population.profiles]
    for index, rule in enumerate(policy.rules):
        criterion = criterion_of(rule.form)
        if criterion not in members:
            members[criterion] = _members(criterion, population)
        for matching, clients in zip(matches, _clients(rule.form, population, members[criterion]), strict=True):
            if clients:
                matching.append((index, clients))
    shared: dict[Matches, Matches] = {}
    return [shared.setdefault(one, one) for one in map(tuple, matches)]


def _members(criterion: Criterion, population: Population) -> dict[Key, int]:
    """The client profiles in each group of a criterion."""
    keys_of = client_keys(criterion)
    masks: dict[Key, int] = {}
    for index, profile in enumerate(population.profiles):
        if not profile.endpoint.system:
            bit = 1 << index
            for key in keys_of(profile.endpoint):
                masks[key] = masks.get(key, 0) | bit
    return masks
