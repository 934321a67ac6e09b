"""What another policy opens and closes: by pairs of parties, and in groups of pairs with numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from corral.model.endpoint import Endpoint
from corral.model.entities import Container
from corral.policy.matrix import Column, Decision, Matrix, Outcome, bits_of, covers, matrix_of
from corral.policy.ports import PortClass, port_classes_of, ports_in_words
from corral.policy.profiles import Population, profiles_of
from corral.policy.rules import Policy, Rule
from corral.policy.verdict import Decider
from corral.types import Action, Address


class PairChange(NamedTuple):
    """A pair of parties whose verdict differs for `ports` (in words); how many pairs of endpoints that are."""

    client: str
    server: str
    ports: str
    before: Decision
    after: Decision
    endpoint_pairs: int


class GroupChange(NamedTuple):
    """Pairs from one stack to another that changed for the same reason.

    `client` and `server` are the names of stacks, None for what is in none.
    """

    client: str | None
    server: str | None
    ports: str
    before: Decision
    after: Decision
    party_pairs: int
    endpoint_pairs: int

    def __str__(self) -> str:
        client, server = (stack or "in no stack" for stack in (self.client, self.server))
        pairs = "1 pair" if self.party_pairs == 1 else f"{self.party_pairs} pairs"
        return f"{client} -> {server}: {pairs}, {self.ports}"


class _Block(NamedTuple):
    """Clients (a bit a profile) of a server profile that changed for the same reason, on the same port classes."""

    server: int
    clients: int
    before: Decision
    after: Decision
    ports: tuple[int, ...]


# What changed for the clients of one server: as in a block.
_Part = tuple[int, Decision, Decision, tuple[int, ...]]


class PairChanges(Collection[PairChange]):
    """All pairs that opened, or all that closed. Iterating makes the pairs one by one, for there can be millions.

    `len()` is the number of the entries; `party_pairs` counts each pair of parties once, whatever its ports.
    """

    def __init__(self, blocks: Sequence[_Block], population: Population, port_classes: Sequence[PortClass]) -> None:
        self._blocks = blocks
        self._counting = _Counting(population)
        self._population = population
        self._port_classes = port_classes
        self._words: dict[tuple[int, ...], str] = {}
        self.endpoint_pairs = self._counting.endpoint_pairs_on_any_port(blocks)
        self.party_pairs = self._counting.party_pairs(blocks)

    def __len__(self) -> int:
        return sum(map(self._counting.party_pairs, self._alike().values()))

    def __contains__(self, pair: object) -> bool:
        return any(pair == each for each in self)

    def __iter__(self) -> Iterator[PairChange]:
        profiles, parties = self._population.profiles, self._population.parties
        for (server, before, after, ports), blocks in self._alike().items():
            pairs: dict[int, int] = defaultdict(int)
            for block in blocks:
                size = profiles[block.server].size
                for client in bits_of(block.clients):
                    pairs[profiles[client].party] += profiles[client].size * size - (client == block.server) * size
            for client, number in sorted(pairs.items()):
                names = parties[client].name, parties[server].name
                yield PairChange(*names, self._in_words(ports), before, after, number)

    def ports_between(self, client: str, server: str) -> str:
        """The ports of one pair of parties, in words; nothing if it is not among these."""
        profiles, parties = self._population.profiles, self._population.parties
        clients = sum(1 << index for party in parties if party.name == client for index in party.profiles)
        ports = {
            place
            for block in self._blocks
            if block.clients & clients and parties[profiles[block.server].party].name == server
            for place in block.ports
        }
        return self._in_words(tuple(sorted(ports))) if ports else ""

    def groups(self) -> tuple[GroupChange, ...]:
        """The same, by stacks, ports and deciding rules; what concerns most pairs comes first."""
        parties, profiles = self._population.parties, self._population.profiles
        by_server: dict[tuple[str | None, str, Decision, Decision], list[_Block]] = defaultdict(list)
        for block in self._blocks:
            server = parties[profiles[block.server].party].stack_name
            by_server[server, self._in_words(block.ports), block.before, block.after].append(block)
        groups = []
        for (server, ports, before, after), blocks in by_server.items():
            for client, members in self._counting.stacks.items():
                if within := [block._replace(clients=hit) for block in blocks if (hit := block.clients & members)]:
                    numbers = self._counting.party_pairs(within), sum(map(self._counting.endpoint_pairs, within))
                    groups.append(GroupChange(client, server, ports, before, after, *numbers))
        return tuple(sorted(groups, key=_by_weight))

    def _alike(self) -> Mapping[tuple[int, Decision, Decision, tuple[int, ...]], list[_Block]]:
        """The blocks by server party and reason, in the order of the parties' names."""
        alike: dict[tuple[int, Decision, Decision, tuple[int, ...]], list[_Block]] = defaultdict(list)
        for block in self._blocks:
            party = self._population.profiles[block.server].party
            alike[party, block.before, block.after, block.ports].append(block)
        return alike

    def _in_words(self, ports: tuple[int, ...]) -> str:
        words = self._words.get(ports)
        if words is None:
            words = self._words[ports] = ports_in_words(ports, self._port_classes)
        return words


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """What is allowed only afterwards, and what is allowed only before."""

    opened: PairChanges
    closed: PairChanges


def compare_policies(
    endpoints: Mapping[Address, Endpoint], containers: Mapping[str, Container], before: Policy, after: Policy
) -> PolicyChange:
    """What putting `after` in the place of `before` would do in this environment.

    Rule indices in the decisions are each policy's own.
    """
    population = profiles_of(endpoints, containers, [before, after])
    port_classes = port_classes_of([before, after])
    return compare(matrix_of(before, population, port_classes), matrix_of(after, population, port_classes))


def compare(before: Matrix, after: Matrix) -> PolicyChange:
    """The same for two matrices with the same port classes, whose populations have the same parties and profiles."""
    opened: list[_Block] = []
    closed: list[_Block] = []
    differ = _Differ()
    population = before.population
    for server, columns in enumerate(zip(before.columns, after.columns, strict=True)):
        others = _others(server, population)
        for parts, blocks in zip(differ.columns(*columns), (opened, closed), strict=True):
            for clients, was, becomes, ports in parts:
                if clients & others:
                    blocks.append(_Block(server, clients & others, was, becomes, ports))
    return PolicyChange(*(PairChanges(blocks, population, before.port_classes) for blocks in (opened, closed)))


def opened_at(before: Matrix, index: int, rule: Rule, clients: Sequence[int]) -> PairChanges:
    """What an allowing rule would open, for these clients of each server profile, if it came at `index` of the policy.

    It closes nothing, and costs much less than another matrix and to compare the two.
    """
    blocks: list[_Block] = []
    allowed = Decision(Action.ALLOW, Decider.RULE, index)
    places = [place for place, ports in enumerate(before.port_classes) if covers(rule, ports)]
    for server, (column, matched) in enumerate(zip(before.columns, clients, strict=True)):
        if not matched:
            continue
        members = matched & _others(server, before.population)
        ports: dict[Decision, list[tuple[int, int]]] = defaultdict(list)
        for place in places:
            for decision, denied in column[place]:
                late = decision.rule is None or decision.rule >= index
                if decision.action is Action.DENY and late and (both := denied & members):
                    ports[decision].append((place, both))
        for decision, where in ports.items():
            blocks += [_Block(server, some, decision, allowed, ports_) for ports_, some in _split(where)]
    return PairChanges(blocks, before.population, before.port_classes)


def _others(server: int, population: Population) -> int:
    """All clients of a server profile: an endpoint's flows to itself never leave it."""
    return ~(1 << server) if population.profiles[server].size == 1 else -1


class _Differ:
    """Differences of columns and of outcomes: the same few are compared again and again."""

    def __init__(self) -> None:
        self._columns: dict[tuple[int, int], tuple[list[_Part], list[_Part]]] = {}
        self._outcomes: dict[tuple[int, int], list[tuple[int, Decision, Decision]]] = {}

    def columns(self, before: Column, after: Column) -> tuple[list[_Part], list[_Part]]:
        """What opened and what closed."""
        ends = id(before), id(after)
        found = self._columns.get(ends)
        if found is None:
            found = self._columns[ends] = self._compare(before, after)
        return found

    def _compare(self, before: Column, after: Column) -> tuple[list[_Part], list[_Part]]:
        ports: dict[tuple[Decision, Decision], list[tuple[int, int]]] = defaultdict(list)
        for place, outcomes in enumerate(zip(before, after, strict=True)):
            for clients, was, becomes in self._outcome(*outcomes):
                ports[was, becomes].append((place, clients))
        opened: list[_Part] = []
        closed: list[_Part] = []
        for (was, becomes), where in ports.items():
            parts = opened if becomes.action is Action.ALLOW else closed
            parts += [(clients, was, becomes, places) for places, clients in _split(where)]
        return opened, closed

    def _outcome(self, before: Outcome, after: Outcome) -> list[tuple[int, Decision, Decision]]:
        ends = id(before), id(after)
        found = self._outcomes.get(ends)
        if found is None:
            found = self._outcomes[ends] = [
                (both, was, becomes)
                for was, some in before
                for becomes, others in after
                if was.action is not becomes.action and (both := some & others)
            ]
        return found


def _split(where: Sequence[tuple[int, int]]) -> Iterator[tuple[tuple[int, ...], int]]:
    """From clients by port class to port classes by clients: those who share all their port classes stay together."""
    alike: dict[int, tuple[int, ...]] = {}
    for place, clients in where:
        alike[clients] = (*alike.get(clients, ()), place)
    parts: dict[tuple[int, ...], int] = {}
    for clients, places in alike.items():
        finer: dict[tuple[int, ...], int] = {}
        rest = clients
        for known, members in parts.items():
            if both := members & clients:
                finer[tuple(sorted((*known, *places)))] = both
            if members != both:
                finer[known] = members ^ both
            rest ^= both
        if rest:
            finer[places] = rest
        parts = finer
    return ((places, clients) for places, clients in parts.items())


class _Counting:
    """How many parties and endpoints clients are, without a look at each."""

    def __init__(self, population: Population) -> None:
        self._profiles = population.profiles
        self._alone = 0  # profiles that are all of their party
        self._together: list[int] = []  # the profiles of each other party
        self._sizes: dict[int, int] = defaultdict(int)
        self.stacks: dict[str | None, int] = defaultdict(int)
        for party in population.parties:
            members = sum(1 << index for index in party.profiles)
            self.stacks[party.stack_name] |= members
            if len(party.profiles) == 1:
                self._alone |= members
            else:
                self._together.append(members)
        for index, profile in enumerate(population.profiles):
            self._sizes[profile.size] |= 1 << index

    def endpoint_pairs(self, block: _Block) -> int:
        """How many pairs of endpoints a block is."""
        size = self._profiles[block.server].size
        clients = sum(number * (block.clients & members).bit_count() for number, members in self._sizes.items())
        return clients * size - (block.clients >> block.server & 1) * size

    def endpoint_pairs_on_any_port(self, blocks: Sequence[_Block]) -> int:
        """The same for many; a pair that changed on several ports for different reasons counts once."""
        by_server: dict[int, int] = defaultdict(int)
        for block in blocks:
            by_server[block.server] |= block.clients
        return sum(self.endpoint_pairs(_Block(server, by_server[server], *blocks[0][2:])) for server in by_server)

    def party_pairs(self, blocks: Sequence[_Block]) -> int:
        """How many pairs of parties blocks are, each counted once."""
        by_server: dict[int, int] = defaultdict(int)
        for block in blocks:
            by_server[self._profiles[block.server].party] |= block.clients
        return sum(map(self._parties, by_server.values()))

    def _parties(self, clients: int) -> int:
        return (clients & self._alone).bit_count() + sum(1 for members in self._together if clients & members)


def _by_weight(group: GroupChange) -> tuple[int, str, str, str]:
    return -group.party_pairs, group.client or "", group.server or "", group.ports
