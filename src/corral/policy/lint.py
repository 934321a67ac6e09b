"""What in a policy is probably not what its author meant, in this environment."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from corral.model.endpoint import Endpoint
from corral.model.entities import Container
from corral.policy.matrix import Matrix, covers, matrix_of
from corral.policy.profiles import profiles_of
from corral.policy.rules import Between, Form, FromTo, GroupBy, Policy, Scope, Within
from corral.selector import Clause, Operator, Selector
from corral.types import Address

_MOST_NAMED = 5
# Comparing spellings takes microseconds each; an environment has few labels, but may have very many values.
_MOST_COMPARED = 500


class WarningKind(StrEnum):
    """The kinds of warnings; also the label `kind` of the metric."""

    NO_MATCH = "no-match"  # a rule matches no pair
    SHADOWED = "shadowed"  # a rule never decides: earlier ones do
    UNKNOWN_LABEL = "unknown-label"
    UNKNOWN_VALUE = "unknown-value"
    LETTER_CASE = "letter-case"  # groupBy compares exactly, and there are other spellings
    ALL_DIFFERENT = "all-different"  # each value of a groupBy label is there only once
    NO_LINKS = "no-links"
    NO_DEFAULT = "no-default"


@dataclass(frozen=True, slots=True)
class PolicyWarning:
    """`rule` is the index of the rule, None for the policy as a whole. Sentences have no full stop."""

    kind: WarningKind
    rule: int | None
    sentence: str
    remedy: str


def lint(
    policy: Policy, endpoints: Mapping[Address, Endpoint], containers: Mapping[str, Container]
) -> tuple[PolicyWarning, ...]:
    """All warnings, in the order of the rules."""
    return lint_matrix(matrix_of(policy, profiles_of(endpoints, containers, [policy])), endpoints)


def lint_matrix(matrix: Matrix, endpoints: Mapping[Address, Endpoint]) -> tuple[PolicyWarning, ...]:
    """The same where there is a matrix of these endpoints already."""
    policy = matrix.policy
    warnings: list[PolicyWarning] = []
    if not policy.default_is_set:
        sentence = "the default action is not set: what no rule matches is allowed"
        remedy = "set defaultPolicyAction to allow or deny"
        warnings.append(PolicyWarning(WarningKind.NO_DEFAULT, None, sentence, remedy))
    applications = [endpoint for endpoint in endpoints.values() if not endpoint.system]
    if applications:  # else every rule would match nothing
        census, use = _Census(applications), _Use(matrix)
        for index, rule in enumerate(policy.rules):
            found = list(_of_form(rule.form, census))
            if not found or use.matches(index):  # else the reason has been said
                found += use.findings(index)
            warnings += [PolicyWarning(kind, index, sentence, remedy) for kind, sentence, remedy in found]
    return tuple(warnings)


_Finding = tuple[WarningKind, str, str]


class _Census:
    """Which labels and values application endpoints carry, and whether anything links."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self.values: dict[str, Counter[str]] = {}  # by label, exactly: how many endpoints carry a value
        self.links = False
        for endpoint in endpoints:
            self.links = self.links or bool(endpoint.links_to or endpoint.links_to_containers)
            pairs = endpoint.labels[0].items() if len(endpoint.labels) == 1 else _pairs(endpoint)
            for key, value in pairs:
                known = self.values.get(key)
                if known is None:
                    known = self.values[key] = Counter()
                known[value] += 1

    def folded(self, key: str) -> dict[str, str]:
        """The values of a label, whatever its letter case: folded, and as they are written."""
        labels = [label for label in self.values if label.casefold() == key]
        return {value.casefold(): value for label in labels for value in self.values[label]}


def _pairs(endpoint: Endpoint) -> set[tuple[str, str]]:
    return {pair for labels in endpoint.labels for pair in labels.items()}


def _of_form(form: Form, census: _Census) -> Iterator[_Finding]:
    match form:
        case Within(Scope.LINKED):
            if not census.links:
                sentence = "nothing in this environment has a link, so the rule matches nothing"
                yield WarningKind.NO_LINKS, sentence, "link services in Rancher, or remove the rule"
        case Within():
            pass
        case GroupBy(label):
            yield from _group_by(label, census)
        case Between(selector):
            yield from _selector(selector, census)
        case FromTo(client, server):
            yield from _selector(client, census)
            if server != client:
                yield from _selector(server, census)


def _group_by(label: str, census: _Census) -> Iterator[_Finding]:
    values = census.values.get(label)
    others = sorted(key for key in census.values if key != label and key.casefold() == label.casefold())
    if values is None:
        if others:
            sentence = f"no container carries the label {label}, but {_listed(others)}: groupBy compares exactly"
            yield WarningKind.LETTER_CASE, sentence, f"write the label as it is: {others[0]}"
        else:
            yield _unknown_label(label, census)
        return
    if others:
        sentence = f"some containers carry {_listed(others)} instead of {label}: groupBy compares exactly"
        yield WarningKind.LETTER_CASE, sentence, f"spell the label {label} on all containers"
    if len(values) > 1 and max(values.values()) == 1:
        sentence = f"each of the {len(values)} values of {label} is there only once, so the rule matches no pair"
        yield WarningKind.ALL_DIFFERENT, sentence, "choose a label that containers have in common"
    yield from _spelt_differently(label, values)


def _spelt_differently(label: str, values: Counter[str]) -> Iterator[_Finding]:
    """Groups that letter case keeps apart."""
    alike: dict[str, list[str]] = {}
    for value in sorted(values):
        alike.setdefault(value.casefold(), []).append(value)
    for spellings in alike.values():
        if len(spellings) > 1:
            sentence = f"{label} has the values {_listed(spellings)}, which groupBy keeps apart"
            yield WarningKind.LETTER_CASE, sentence, "spell the value alike on all containers"


def _selector(selector: Selector, census: _Census) -> Iterator[_Finding]:
    for clause in selector.clauses:
        values = census.folded(clause.key)
        if not values:
            yield _unknown_label(clause.key, census)
        else:
            yield from _clause(clause, values)


def _clause(clause: Clause, values: Mapping[str, str]) -> Iterator[_Finding]:
    missing = [value for value in clause.values if value not in values]
    if not missing:
        return
    named = _listed([f"{value}{_did_you_mean(value, values)}" for value in missing[:_MOST_NAMED]], len(missing))
    effect = ""
    if clause.operator is Operator.NOT_IN:
        effect = ", so leaving it out has no effect"
    elif len(missing) == len(clause.values):
        effect = ", so the rule matches nothing"
    sentence = f"no container has {clause.key} = {named}{effect}"
    yield WarningKind.UNKNOWN_VALUE, sentence, "correct the value, or label the containers that are meant with it"


def _unknown_label(label: str, census: _Census) -> _Finding:
    near = _did_you_mean(label.casefold(), {key.casefold(): key for key in census.values})
    sentence = f"no container carries the label {label}{near}"
    return WarningKind.UNKNOWN_LABEL, sentence, "correct the label, or put it on the containers that are meant"


def _did_you_mean(given: str, known: Mapping[str, str]) -> str:
    """`known` maps folded spellings to real ones."""
    possible = [one for one in known if abs(len(one) - len(given)) <= 2][:_MOST_COMPARED]
    near = difflib.get_close_matches(given, possible, n=2, cutoff=0.75)
    return f" (did you mean {' or '.join(known[one] for one in near)}?)" if near else ""


class _Use:
    """Which rules match and decide, for at least one pair and port."""

    def __init__(self, matrix: Matrix) -> None:
        self._matrix = matrix
        columns = {id(column): column for column in matrix.columns}.values()
        outcomes = {id(outcome): outcome for column in columns for outcome in column}.values()
        self._deciding = {decision.rule for outcome in outcomes for decision, _ in outcome}
        self._matching = {rule for matches in set(matrix.matches) for rule, _ in matches}

    def matches(self, index: int) -> bool:
        """Whether the rule matches any pair, decided earlier or not."""
        return index in self._matching

    def findings(self, index: int) -> list[_Finding]:
        """That the rule is of no use, if so."""
        if index not in self._matching:
            remedy = "remove it, or label and link the containers that it is meant for"
            return [(WarningKind.NO_MATCH, "the rule matches no pair of endpoints", remedy)]
        if index in self._deciding:
            return []
        rules = self._matrix.policy.rules
        takers = self._takers(index)
        named = _listed([f"policy[{taker}] ({rules[taker]})" for taker in takers[:_MOST_NAMED]], len(takers))
        sentence = f"the rule never decides: all that it matches is decided before by {named}"
        return [(WarningKind.SHADOWED, sentence, "remove it, or move it before what shadows it")]

    def _takers(self, index: int) -> list[int]:
        """The earlier rules that decide about what the rule matches."""
        rule, classes = self._matrix.policy.rules[index], self._matrix.port_classes
        takers: set[int] = set()
        for matches, column in zip(self._matrix.matches, self._matrix.columns, strict=True):
            clients = dict(matches).get(index, 0)
            if clients:
                about = (outcome for ports, outcome in zip(classes, column, strict=True) if covers(rule, ports))
                for outcome in about:
                    takers |= {one.rule for one, members in outcome if one.rule is not None and members & clients}
        return sorted(takers)


def _listed(names: Sequence[str], number: int | None = None) -> str:
    """The first names, of so many or of all that there are."""
    shown = names[:_MOST_NAMED]
    more = (len(names) if number is None else number) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
