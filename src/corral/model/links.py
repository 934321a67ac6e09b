"""What a service links to: links, service aliases and load balancers' port rules, resolved to primary services."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from corral.model.entities import PortRule, Service, ServiceKey
from corral.model.environments import Environments
from corral.selector import Operator, Selector
from corral.types import Problem

ALIAS = "dnsService"
LOAD_BALANCER = "loadBalancerService"

# A label by its folded key and value, or by its key alone: what services are found by, for selectors.
Mark = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Resolution:
    """What one service links to, and what that answer depends on.

    `services` are primary ones. `passed` are the services that were looked at on the way, known or not;
    `marks` what a service must carry one of to be chosen by one of its selectors.
    """

    services: frozenset[ServiceKey] = frozenset()
    containers: frozenset[str] = frozenset()
    passed: frozenset[ServiceKey] = frozenset()
    marks: frozenset[Mark] = frozenset()
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


def marks_of_selector(selector: Selector) -> set[Mark]:
    """Marks of which everything that the selector chooses carries one: every operator needs its label to be there."""
    for clause in selector.clauses:
        if clause.operator is Operator.IN:
            return {(clause.key, value) for value in clause.values}
    return {(selector.clauses[0].key, None)}


Select = Callable[[Selector, str], Iterable[ServiceKey]]


def resolve(
    source: Service, services: Mapping[ServiceKey, Service], environments: Environments, select: Select
) -> Resolution:
    """Resolve the links of one service. `select` finds the application services of an environment by selector.

    A target that is not known (yet) is taken by its name: a service whose description is missing or unreadable
    costs no link to its containers.
    """
    resolver = _Resolver(source, services, environments, select)
    for target in source.links:
        resolver.follow(resolver.locate(target))
    if source.kind == LOAD_BALANCER:
        for rule in source.port_rules:
            resolver.follow_port_rule(rule)
    return resolver.resolution()


@dataclass(slots=True)
class _Resolver:
    source: Service
    services: Mapping[ServiceKey, Service]
    environments: Environments
    select: Select
    found: set[ServiceKey] = field(default_factory=set)
    containers: set[str] = field(default_factory=set)
    passed: set[ServiceKey] = field(default_factory=set)
    marks: set[Mark] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def resolution(self) -> Resolution:
        if not (self.passed or self.containers or self.marks or self.problems):
            return NO_LINKS
        return Resolution(
            services=frozenset(self.found),
            containers=frozenset(self.containers),
            passed=frozenset(self.passed),
            marks=frozenset(self.marks),
            problems=tuple(sorted(set(self.problems))),
        )

    def follow_port_rule(self, rule: PortRule) -> None:
        if rule.container:
            self.containers.add(rule.container)
        if rule.service:
            self.follow(self.locate(rule.service, environment=rule.environment, region=rule.region))
        if rule.selector:
            self.follow_selector(rule)

    def follow_selector(self, rule: PortRule) -> None:
        environment = self.source.key.environment
        if rule.environment:
            named = self.find_environment(rule.environment, rule.region, f"port rule selector {rule.selector!r}")
            if named is None:
                return
            environment = named
        try:
            selector = Selector.parse(rule.selector)
        except ValueError as error:
            self.complain(f"port rule: {error}")
            return
        self.marks |= marks_of_selector(selector)
        for key in self.select(selector, environment):
            self.follow(key)

    def follow(self, target: ServiceKey | None) -> None:
        """Add what `target` stands for: itself, or all that an alias leads to through any number of aliases."""
        pending = [target] if target else []
        while pending:
            key = pending.pop()
            if key in self.passed:
                continue
            self.passed.add(key)
            service = self.services.get(key)
            if service is None:
                self.found.add(key)
            elif service.kind == ALIAS:
                pending.extend(filter(None, (self.locate(link, home=key) for link in service.links)))
            else:
                self.found.add(service.primary_key)

    def locate(
        self, target: str, *, home: ServiceKey | None = None, environment: str = "", region: str = ""
    ) -> ServiceKey | None:
        """The service that `[[region/]environment/][stack/]service` means where it is written in service `home`."""
        home = home or self.source.key
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
        found = self.find_environment(environment, region, f"link {target!r}", home.environment)
        return None if found is None else ServiceKey(found, stack, name)

    def find_environment(self, name: str, region: str, where: str, home: str | None = None) -> str | None:
        found = self.environments.find(name, region, self.source.key.environment if home is None else home)
        if found is None:
            wanted = f"{region}/{name}" if region else name
            self.complain(f"{where} needs the environment {wanted!r}; known: {self.environments.names()}")
        return found

    def complain(self, message: str) -> None:
        self.problems.append(Problem(f"service {self.source.key}", message))
