"""What a service links to by its links and, if it is a load balancer, its port rules: the names resolved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from corral.model.entities import PortRule, Service, ServiceKey
from corral.model.environments import Environments
from corral.selector import Operator, Selector
from corral.types import Problem

ALIAS = "dnsService"
LOAD_BALANCER = "loadBalancerService"

# A label by its folded key and value, or by its key alone: what services are found by, for selectors.
Mark = tuple[str, str | None]


class Selection(NamedTuple):
    """The application services of an environment that a selector chooses."""

    environment: str
    selector: Selector


# What a link leads to. Aliases and selections are passed through.
Target = ServiceKey | Selection


@dataclass(frozen=True, slots=True)
class Resolution:
    """What one service names: `targets` as they are written, be they known or not, primary or not."""

    targets: frozenset[Target] = frozenset()
    containers: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()


NO_LINKS = Resolution()


def marks_of_labels(labels: Mapping[str, str]) -> set[Mark]:
    """All marks that these labels are."""
    marks: set[Mark] = set()
    for key, value in labels.items():
        folded = key.casefold()
        marks.add((folded, None))
        marks.add((folded, value.casefold()))
    return marks


def marks_of_clauses(selector: Selector) -> Iterator[set[Mark]]:
    """For each clause, marks of which all that it chooses carries one: every operator needs its label to be there."""
    for clause in selector.clauses:
        if clause.operator is Operator.IN:
            yield {(clause.key, value) for value in clause.values}
        else:
            yield {(clause.key, None)}


def resolve(source: Service, environments: Environments) -> Resolution:
    """Resolve the names in one service's links and port rules. Each is resolved where it is written: an alias's own
    are not resolved again for those that link to it.
    """
    resolver = _Resolver(source, environments)
    for target in source.links:
        resolver.add(resolver.locate(target))
    if source.kind == LOAD_BALANCER:
        for rule in source.port_rules:
            resolver.add_port_rule(rule)
    return resolver.resolution()


@dataclass(slots=True)
class _Resolver:
    source: Service
    environments: Environments
    targets: set[Target] = field(default_factory=set)
    containers: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def resolution(self) -> Resolution:
        if not (self.targets or self.containers or self.problems):
            return NO_LINKS
        return Resolution(
            targets=frozenset(self.targets),
            containers=frozenset(self.containers),
            problems=tuple(sorted(set(self.problems))),
        )

    def add(self, target: Target | None) -> None:
        if target is not None:
            self.targets.add(target)

    def add_port_rule(self, rule: PortRule) -> None:
        if rule.container:
            self.containers.add(rule.container)
        if rule.service:
            self.add(self.locate(rule.service, environment=rule.environment, region=rule.region))
        if rule.selector:
            self.add(self.selection(rule))

    def selection(self, rule: PortRule) -> Selection | None:
        environment = self.source.key.environment
        if rule.environment:
            named = self.find_environment(rule.environment, rule.region, f"port rule selector {rule.selector!r}")
            if named is None:
                return None
            environment = named
        try:
            return Selection(environment, Selector.parse(rule.selector))
        except ValueError as error:
            self.complain(f"port rule: {error}")
            return None

    def locate(self, target: str, *, environment: str = "", region: str = "") -> ServiceKey | None:
        """The service that `[[region/]environment/][stack/]service` means."""
        home = self.source.key
        parts = target.strip().lower().split("/")
        if not 1 <= len(parts) <= 4 or not all(parts):
            self.complain(f"link {target!r} is not understood; allowed: [[region/]environment/][stack/]service")
            return None
        name = parts.pop()
        stack = parts.pop() if parts else home.stack
        if parts:
            environment = parts.pop()
            region = parts.pop() if parts else ""
        if not environment:
            return ServiceKey(home.environment, stack, name)
        found = self.find_environment(environment, region, f"link {target!r}")
        return None if found is None else ServiceKey(found, stack, name)

    def find_environment(self, name: str, region: str, where: str) -> str | None:
        found = self.environments.find(name, region, self.source.key.environment)
        if found is None:
            wanted = f"{region}/{name}" if region else name
            self.complain(f"{where} needs the environment {wanted!r}; known: {self.environments.names}")
        return found

    def complain(self, message: str) -> None:
        self.problems.append(Problem(f"service {self.source.key}", message))
