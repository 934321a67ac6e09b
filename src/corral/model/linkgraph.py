"""The links of all services, kept resolved: a change re-resolves only what its answer can have an effect on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

from corral.model.entities import Environment, Service, ServiceKey, Stack, StackKey
from corral.model.environments import Environments
from corral.model.index import Index
from corral.model.links import ALIAS, NO_LINKS, Mark, Resolution, marks_of_labels, marks_of_selector, resolve
from corral.selector import Selector
from corral.types import Problem


@dataclass(frozen=True, slots=True)
class GroupLinks:
    """What a primary service and its sidekicks link to together."""

    services: frozenset[ServiceKey] = frozenset()
    containers: frozenset[str] = frozenset()


_NOTHING = GroupLinks()


@dataclass(frozen=True, slots=True)
class LinkChange:
    """Groups (by primary service) whose links differ, and containers that port rules began or ceased to name."""

    groups: Set[ServiceKey]
    containers: Set[str]


class LinkGraph:
    """Follows the services and stacks that it is given (live mappings): tell it of each change, then `settle`."""

    def __init__(self, services: Mapping[ServiceKey, Service], stacks: Mapping[StackKey, Stack]) -> None:
        self._services = services
        self._stacks = stacks
        self._environments = Environments(Environment(name=""), {})
        self._resolutions: dict[ServiceKey, Resolution] = {}
        self._problems: dict[ServiceKey, tuple[Problem, ...]] = {}
        self._links: dict[ServiceKey, GroupLinks] = {}
        self._members: Index[ServiceKey, ServiceKey] = Index()
        self._passed_by: Index[ServiceKey, ServiceKey] = Index()
        self._asking: Index[Mark, ServiceKey] = Index()
        self._marked: Index[Mark, ServiceKey] = Index()
        self._in_stack: Index[StackKey, ServiceKey] = Index()
        self._named_containers: Counter[str] = Counter()
        self._dirty: set[ServiceKey] = set()
        self._dirty_groups: set[ServiceKey] = set()

    def of(self, group: ServiceKey) -> GroupLinks:
        """What the group of the primary service `group` links to."""
        return self._links.get(group, _NOTHING)

    def members(self, group: ServiceKey) -> Set[ServiceKey]:
        """The primary service and its sidekicks, as far as they are known."""
        return self._members.of(group)

    def names_container(self, uuid: str) -> bool:
        """Whether a load balancer's port rule names the container."""
        return uuid in self._named_containers

    def problems(self) -> Iterator[Problem]:
        """Links and selectors that can not be resolved."""
        for problems in self._problems.values():
            yield from problems

    def change_environments(self, own: Environment, linked: Mapping[str, Environment]) -> None:
        """Take over the names of the environments; every link is resolved again if they differ."""
        if (own, linked) != (self._environments.own, self._environments.linked):
            self._environments = Environments(own, linked)
            self._dirty.update(self._services)

    def change_service(self, key: ServiceKey, old: Service | None, new: Service | None) -> None:
        """A service changed, appeared (no `old`) or went (no `new`)."""
        if _as_source(old) != _as_source(new):
            self._dirty.add(key)
        if _as_target(old) != _as_target(new):
            self._dirty.update(self._passed_by.of(key))
        if _as_selected(old) != _as_selected(new):
            self._change_labels(key, old, new)
        self._change_group(key, old, new)

    def change_stack(self, key: StackKey) -> None:
        """A stack may have become, or ceased to be, a system one: that decides what is an application service."""
        for service_key in self._in_stack.of(key):
            self._reselect(marks_of_labels(self._services[service_key].labels))

    def settle(self) -> LinkChange:
        """Resolve again what the changes since the last call can have had an effect on."""
        containers: set[str] = set()
        for key in self._dirty:
            service = self._services.get(key)
            new = resolve(service, self._services, self._environments, self._select) if service else NO_LINKS
            old = self._resolutions.get(key, NO_LINKS)
            if new != old:
                self._store(key, old, new)
                containers |= old.containers ^ new.containers
            if service:
                self._dirty_groups.add(service.primary_key)
        self._dirty.clear()
        return LinkChange(groups=self._settle_groups(), containers=containers)

    def _change_labels(self, key: ServiceKey, old: Service | None, new: Service | None) -> None:
        before = marks_of_labels(old.labels) if old else set()
        after = marks_of_labels(new.labels) if new else set()
        for mark in before - after:
            self._marked.discard(mark, key)
        for mark in after - before:
            self._marked.add(mark, key)
        self._reselect(before | after)

    def _reselect(self, marks: Iterable[Mark]) -> None:
        if self._asking:
            for mark in marks:
                self._dirty.update(self._asking.of(mark))

    def _change_group(self, key: ServiceKey, old: Service | None, new: Service | None) -> None:
        before = old.primary_key if old else None
        after = new.primary_key if new else None
        if before != after:
            self._members.move(key, before, after)
            self._dirty_groups.update(group for group in (before, after) if group)
        stack = StackKey(key.environment, key.stack)
        self._in_stack.move(key, stack if old else None, stack if new else None)

    def _store(self, key: ServiceKey, old: Resolution, new: Resolution) -> None:
        if new == NO_LINKS:
            del self._resolutions[key]
        else:
            self._resolutions[key] = new
        self._problems.pop(key, None)
        if new.problems:
            self._problems[key] = new.problems
        for passed in old.passed - new.passed:
            self._passed_by.discard(passed, key)
        for passed in new.passed - old.passed:
            self._passed_by.add(passed, key)
        for mark in old.marks - new.marks:
            self._asking.discard(mark, key)
        for mark in new.marks - old.marks:
            self._asking.add(mark, key)
        for container in new.containers - old.containers:
            self._named_containers[container] += 1
        for container in old.containers - new.containers:
            self._named_containers[container] -= 1
            if not self._named_containers[container]:
                del self._named_containers[container]

    def _settle_groups(self) -> set[ServiceKey]:
        changed = set()
        for group in self._dirty_groups:
            links = self._union(group)
            if links != self.of(group):
                changed.add(group)
                if links == _NOTHING:
                    del self._links[group]
                else:
                    self._links[group] = links
        self._dirty_groups.clear()
        return changed

    def _union(self, group: ServiceKey) -> GroupLinks:
        resolutions = [self._resolutions[key] for key in self._members.of(group) if key in self._resolutions]
        if not resolutions:
            return _NOTHING
        return GroupLinks(
            services=frozenset().union(*(resolution.services for resolution in resolutions)),
            containers=frozenset().union(*(resolution.containers for resolution in resolutions)),
        )

    def _select(self, selector: Selector, environment: str) -> list[ServiceKey]:
        candidates = set[ServiceKey]().union(*map(self._marked.of, marks_of_selector(selector)))
        return [
            key
            for key in candidates
            if key.environment == environment
            and self._is_application(key)
            and selector.matches([self._services[key].labels])
        ]

    def _is_application(self, key: ServiceKey) -> bool:
        stack = self._stacks.get(StackKey(key.environment, key.stack))
        return not (self._services[key].system or (stack and stack.system))


def _as_source(service: Service | None) -> object:
    return service and (service.kind, service.links, service.port_rules)


def _as_target(service: Service | None) -> object:
    return service and (service.kind, service.primary_key, service.links if service.kind == ALIAS else ())


def _as_selected(service: Service | None) -> object:
    return service and (service.system, service.labels)
