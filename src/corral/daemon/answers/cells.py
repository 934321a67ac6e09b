"""A matrix as the document that pages and commands show: parties instead of profiles, each kind of cell once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from corral.documents.matrix import MatrixDecision, MatrixDocument, MatrixParty, PortDecision
from corral.model.endpoint import Endpoint
from corral.policy.digest import policy_digest
from corral.policy.labels import is_indexed
from corral.policy.matrix import Column, Decision, Matrix, bits_of
from corral.policy.ports import ports_in_words
from corral.policy.profiles import Party
from corral.policy.rules import Policy
from corral.policy.verdict import Decider
from corral.types import Action, Address

MOST_VALUES = 20
_DONE = {Action.ALLOW: "allowed", Action.DENY: "denied"}
_VERDICTS: Mapping[Action, Literal["allow", "deny"]] = {Action.ALLOW: "allow", Action.DENY: "deny"}
_DECIDERS: Mapping[Decider, Literal["system", "rule", "default"]] = {
    Decider.SYSTEM: "system",
    Decider.RULE: "rule",
    Decider.DEFAULT: "default",
}


def matrix_document(
    matrix: Matrix, endpoints: Mapping[Address, Endpoint], chosen: Sequence[int] | None = None
) -> MatrixDocument:
    """The whole matrix, or that of the chosen parties (indices) among themselves."""
    population = matrix.population
    indices = range(len(population.parties)) if chosen is None else chosen
    parties = [population.parties[index] for index in indices]
    cells = _Cells(matrix)
    columns = [cells.column(server, parties) for server in parties]
    return {
        "policy": policy_digest(matrix.policy),
        "rules": [str(rule) for rule in matrix.policy.rules],
        "default": _VERDICTS[matrix.policy.default],
        "parties": [_party(party, matrix, endpoints) for party in parties],
        "decisions": cells.decisions,
        "cells": [list(row) for row in zip(*columns, strict=True)],
    }


def _party(party: Party, matrix: Matrix, endpoints: Mapping[Address, Endpoint]) -> MatrixParty:
    profiles = matrix.population.profiles
    addresses = (address for index in party.profiles for address in profiles[index].addresses)
    return {
        "name": party.name,
        "stack": party.stack_name,
        "system": party.system,
        "endpoints": party.endpoints,
        "local_endpoints": party.local_endpoints,
        "labels": _labels(endpoints[address] for address in addresses),
    }


def _labels(endpoints: Iterable[Endpoint]) -> dict[str, list[str]]:
    values: dict[str, set[str]] = {}
    for endpoint in endpoints:
        for labels in endpoint.labels:
            for key, value in labels.items():
                if is_indexed(key):
                    values.setdefault(key, set()).add(value)
    return {key: sorted(values[key])[:MOST_VALUES] for key in sorted(values)}


# What holds between profiles: a decision for each port class. Between parties it may be several.
_Content = tuple[Decision, ...]


class _Cells:
    """Finds the cells of servers' columns, and numbers what is in them."""

    def __init__(self, matrix: Matrix) -> None:
        self.decisions: list[MatrixDecision] = []
        self._matrix = matrix
        self._numbers: dict[frozenset[_Content], int] = {}
        self._contents: list[frozenset[_Content]] = []
        self._columns: dict[int, list[int]] = {}

    def column(self, server: Party, clients: Iterable[Party]) -> list[int]:
        """What holds for each of the clients, by number."""
        columns = list(map(self._by_profile, server.profiles))
        if len(columns) == 1:
            column = columns[0]
            return [
                column[one.profiles[0]]
                if len(one.profiles) == 1
                else self._together({column[index] for index in one.profiles})
                for one in clients
            ]
        return [self._together({column[index] for column in columns for index in one.profiles}) for one in clients]

    def _by_profile(self, server: int) -> list[int]:
        """What holds for each client profile; the same for all servers that share their column."""
        column = self._matrix.columns[server]
        found = self._columns.get(id(column))
        if found is None:
            found = self._columns[id(column)] = [0] * len(self._matrix.population.profiles)
            for content, clients in _divided(column):
                number = self._number(frozenset([content]))
                for client in bits_of(clients):
                    found[client] = number
        return found

    def _together(self, numbers: set[int]) -> int:
        """Of several endpoints that rules tell apart."""
        if len(numbers) == 1:
            return min(numbers)
        return self._number(frozenset().union(*(self._contents[number] for number in numbers)))

    def _number(self, contents: frozenset[_Content]) -> int:
        number = self._numbers.get(contents)
        if number is None:
            number = self._numbers[contents] = len(self.decisions)
            self._contents.append(contents)
            self.decisions.append(_decision(contents, self._matrix))
        return number


def _divided(column: Column) -> Iterable[tuple[_Content, int]]:
    """Clients by what holds for them, on all port classes."""
    outcomes = list({id(outcome): outcome for outcome in column}.values())
    places = [next(place for place, one in enumerate(outcomes) if one is outcome) for outcome in column]
    parts: list[tuple[tuple[Decision, ...], int]] = [((), -1)]
    for outcome in outcomes:
        parts = [
            ((*content, decision), both)
            for content, clients in parts
            for decision, members in outcome
            if (both := clients & members)
        ]
    return [(tuple([content[place] for place in places]), clients) for content, clients in parts]


def _decision(contents: frozenset[_Content], matrix: Matrix) -> MatrixDecision:
    """In words, port classes that are decided alike together."""
    by_decisions: dict[frozenset[Decision], list[int]] = {}
    for place in range(len(matrix.port_classes)):
        by_decisions.setdefault(frozenset(content[place] for content in contents), []).append(place)
    entries = []
    for decisions, places in by_decisions.items():
        words = ports_in_words(places, matrix.port_classes)
        words = "any other" if words.startswith("any but") else words
        entries += [
            _entry(decision, words, matrix.policy, partly=len(decisions) > 1)
            for decision in sorted(decisions, key=_order)
        ]
    verdicts = {entry["verdict"] for entry in entries}
    return {"verdict": verdicts.pop() if len(verdicts) == 1 else "mixed", "ports": entries}


def _order(decision: Decision) -> tuple[bool, int]:
    return decision.rule is None, decision.rule or 0


def _entry(decision: Decision, ports: str, policy: Policy, *, partly: bool) -> PortDecision:
    return {
        "ports": ports,
        "verdict": _VERDICTS[decision.action],
        "decided_by": _DECIDERS[decision.decided_by],
        "rule": decision.rule,
        "sentence": decision_in_words(decision, policy),
        "partly": partly,
    }


def decision_in_words(decision: Decision, policy: Policy) -> str:
    """`denied by policy[2] (within stack: deny)`."""
    done = _DONE[decision.action]
    if decision.rule is not None:
        return f"{done} by policy[{decision.rule}] ({policy.rules[decision.rule]})"
    if decision.decided_by is Decider.SYSTEM:
        return f"{done}: an end is a system endpoint"
    return f"{done} by the default action"
