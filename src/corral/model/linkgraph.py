"""The links of all services, kept resolved: a change re-resolves only what its answer can have an effect on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

from corral.model.closures import Closures, Parts
from corral.model.entities import Environment, Service, ServiceKey, Stack, StackKey
from corral.model.environments import Environments
from corral.model.index import Index
from corral.model.links import (
    ALIAS,
    NO_LINKS,
    Mark,
    Resolution,
    Selection,
    Target,
    marks_of_clauses,
    marks_of_labels,
    resolve,
)
from corral.types import Problem


@dataclass(frozen=True, slots=True)
class GroupLinks:
    """What a primary service and its sidekicks link to together."""

    services: frozenset[ServiceKey] = frozenset()
    containers: frozenset[str] = frozenset()


_NOTHING = GroupLinks()


@dataclass(frozen=True, slots=True)
class LinkChange:
    """Groups (by primary service) whose links differ, and containers that port rules began or ceased to name.

    Among the groups are those that nobody has asked about before, whether their links differ or not.
    `problems` tells whether those of any service differ.
    """

    groups: Set[ServiceKey] = frozenset()
    containers: Set[str] = frozenset()
    problems: bool = False


_NO_CHANGE = LinkChange()


class LinkGraph:
    """Follows the services and stacks that it is given (live mappings): tell it of each change, then `settle`.

    Kept are the edges as they are written, in both directions, so what is kept is in proportion to the input. A
    target that is an alias or a selection stands for all that it leads to; that is worked out for the groups that
    someone asks about. A target that is not known (yet) is taken by its name: a service whose description is
    missing or unreadable costs no link to its containers.
    """

    def __init__(self, services: Mapping[ServiceKey, Service], stacks: Mapping[StackKey, Stack]) -> None:
        self._services = services
        self._stacks = stacks
        self._environments = Environments(Environment(name=""), {})
        self._resolutions: dict[ServiceKey, Resolution] = {}
        self._problems: dict[ServiceKey, tuple[Problem, ...]] = {}
        self._named_containers: Counter[str] = Counter()
        self._chosen: dict[Selection, set[ServiceKey]] = {}
        self._asked_marks: dict[Selection, set[Mark]] = {}
        self._asking: Index[Mark, Selection] = Index()
        self._marked: Index[Mark, ServiceKey] = Index()
        self._namers: Index[Target, Target] = Index()
        self._members: Index[ServiceKey, ServiceKey] = Index()
        self._in_stack: Index[StackKey, ServiceKey] = Index()
        self._links: dict[ServiceKey, GroupLinks] = {}
        self._closures: Closures[Target, ServiceKey] = Closures(self._parts)
        self._dirty: set[ServiceKey] = set()
        self._dirty_marks: defaultdict[Mark, set[ServiceKey]] = defaultdict(set)
        self._dirty_targets: set[Target] = set()
        self._dirty_groups: set[ServiceKey] = set()

    def of(self, group: ServiceKey) -> GroupLinks:
        """What the group of the primary service `group` links to, as of the last `settle`."""
        links = self._links.get(group)
        if links is None:
            if group not in self._members:
                return _NOTHING
            links = self._links[group] = self._union(group)
        return links

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
            self._dirty_targets.add(key)
        if _as_selected(old) != _as_selected(new):
            self._change_labels(key, old, new)
        self._change_group(key, old, new)

    def change_stack(self, key: StackKey) -> None:
        """A stack may have become, or ceased to be, a system one: that decides what is an application service."""
        for service_key in self._in_stack.of(key):
            self._reselect(service_key, marks_of_labels(self._services[service_key].labels))

    def settle(self) -> LinkChange:
        """Resolve again what the changes since the last call can have had an effect on."""
        if not (self._dirty or self._dirty_marks or self._dirty_targets or self._dirty_groups):
            return _NO_CHANGE
        # Labels first: a selection that is new chooses by what they are now.
        self._settle_selections()
        containers, problems = self._settle_names()
        return LinkChange(self._settle_groups(), containers, problems)

    def _change_labels(self, key: ServiceKey, old: Service | None, new: Service | None) -> None:
        before = marks_of_labels(old.labels) if old else set()
        after = marks_of_labels(new.labels) if new else set()
        for mark in before - after:
            self._marked.discard(mark, key)
        for mark in after - before:
            self._marked.add(mark, key)
        self._reselect(key, before | after)

    def _reselect(self, key: ServiceKey, marks: Iterable[Mark]) -> None:
        if self._asking:
            for mark in marks:
                if mark in self._asking:
                    self._dirty_marks[mark].add(key)

    def _change_group(self, key: ServiceKey, old: Service | None, new: Service | None) -> None:
        before = old.primary_key if old else None
        after = new.primary_key if new else None
        if before != after:
            self._members.move(key, before, after)
            self._dirty_groups.update(group for group in (before, after) if group)
        stack = StackKey(key.environment, key.stack)
        self._in_stack.move(key, stack if old else None, stack if new else None)

    def _settle_selections(self) -> None:
        """Look at the services whose labels changed, for each selection that may choose or have chosen them."""
        for mark, keys in self._dirty_marks.items():
            for selection in self._asking.of(mark):
                chosen = self._chosen[selection]
                now = {key for key in keys if self._chooses(selection, key)}
                if now != chosen & keys:
                    self._move_edges(selection, chosen & keys, now)
                    chosen -= keys
                    chosen |= now
                    self._dirty_targets.add(selection)
        self._dirty_marks.clear()

    def _settle_names(self) -> tuple[set[str], bool]:
        """Resolve services' names again; the containers that differ, and whether problems do."""
        containers: set[str] = set()
        problems = False
        for key in self._dirty:
            service = self._services.get(key)
            old = self._resolutions.get(key, NO_LINKS)
            new = resolve(service, self._environments) if service else NO_LINKS
            if new == old:
                continue
            self._store(key, old, new)
            containers |= old.containers ^ new.containers
            problems = problems or old.problems != new.problems
            if service:
                self._dirty_groups.add(service.primary_key)
                if service.kind == ALIAS:
                    self._dirty_targets.add(key)
        self._dirty.clear()
        return containers, problems

    def _store(self, key: ServiceKey, old: Resolution, new: Resolution) -> None:
        if new == NO_LINKS:
            del self._resolutions[key]
        else:
            self._resolutions[key] = new
        self._problems.pop(key, None)
        if new.problems:
            self._problems[key] = new.problems
        self._move_edges(key, old.targets, new.targets)
        for container in new.containers - old.containers:
            self._named_containers[container] += 1
        for container in old.containers - new.containers:
            self._named_containers[container] -= 1
            if not self._named_containers[container]:
                del self._named_containers[container]

    def _move_edges(self, source: Target, old: Set[Target], new: Set[Target]) -> None:
        for target in new - old:
            self._namers.add(target, source)
            if isinstance(target, Selection) and target not in self._chosen:
                self._open(target)
        for target in old - new:
            self._namers.discard(target, source)
            if isinstance(target, Selection) and target not in self._namers:
                self._drop(target)

    def _open(self, selection: Selection) -> None:
        """Choose by the clause that fewest services carry a label for, and ask to be told of these labels."""

        def carriers(marks: set[Mark]) -> int:
            return sum(len(self._marked.of(mark)) for mark in marks)

        marks = min(marks_of_clauses(selection.selector), key=carriers)
        self._asked_marks[selection] = marks
        for mark in marks:
            self._asking.add(mark, selection)
        candidates = set[ServiceKey]().union(*map(self._marked.of, marks))
        chosen = {key for key in candidates if self._chooses(selection, key)}
        self._chosen[selection] = chosen
        self._move_edges(selection, set(), chosen)

    def _drop(self, selection: Selection) -> None:
        self._move_edges(selection, self._chosen.pop(selection), set())
        for mark in self._asked_marks.pop(selection):
            self._asking.discard(mark, selection)

    def _chooses(self, selection: Selection, key: ServiceKey) -> bool:
        service = self._services.get(key)
        if service is None or service.system or key.environment != selection.environment:
            return False
        stack = self._stacks.get(StackKey(key.environment, key.stack))
        return not (stack and stack.system) and selection.selector.matches([service.labels])

    def _settle_groups(self) -> set[ServiceKey]:
        self._closures = Closures(self._parts)
        self._dirty_groups.update(self._groups_behind(self._dirty_targets))
        changed = {group for group in self._dirty_groups if self._settle_group(group)}
        self._dirty_targets.clear()
        self._dirty_groups.clear()
        return changed

    def _groups_behind(self, targets: Iterable[Target]) -> Iterator[ServiceKey]:
        """The groups that lead to these targets: against the edges, through aliases and selections."""
        pending = list(targets)
        passed = set(pending)
        for target in pending:
            for namer in self._namers.of(target):
                if isinstance(namer, ServiceKey):
                    yield self._services[namer].primary_key
                if namer not in passed and self._is_passed_through(namer):
                    passed.add(namer)
                    pending.append(namer)

    def _settle_group(self, group: ServiceKey) -> bool:
        """Whether what was said of the group's links may not hold any more."""
        old = self._links.get(group)
        if group not in self._members:
            self._links.pop(group, None)
            return bool(old and old != _NOTHING)
        if old is None:
            return any(key in self._resolutions for key in self._members.of(group))
        new = self._union(group)
        if new == old:
            return False
        self._links[group] = new
        return True

    def _union(self, group: ServiceKey) -> GroupLinks:
        resolutions = [self._resolutions[key] for key in self._members.of(group) if key in self._resolutions]
        if not resolutions:
            return _NOTHING
        targets = frozenset[Target]().union(*(resolution.targets for resolution in resolutions))
        leaves, nodes = self._sorted_out(targets)
        return GroupLinks(
            services=self._closures.of(leaves, nodes) if nodes else frozenset(leaves),
            containers=frozenset().union(*(resolution.containers for resolution in resolutions)),
        )

    def _parts(self, node: Target) -> Parts[ServiceKey, Target]:
        if isinstance(node, Selection):
            return self._sorted_out(self._chosen[node])
        return self._sorted_out(self._resolutions.get(node, NO_LINKS).targets)

    def _sorted_out(self, targets: Set[Target]) -> tuple[list[ServiceKey], list[Target]]:
        """The primary services that `targets` stand for, and those of them that are passed through."""
        leaves: list[ServiceKey] = []
        nodes: list[Target] = []
        for target in targets:
            if self._is_passed_through(target):
                nodes.append(target)
            elif isinstance(target, ServiceKey):
                service = self._services.get(target)
                leaves.append(service.primary_key if service else target)
        return leaves, nodes

    def _is_passed_through(self, target: Target) -> bool:
        if isinstance(target, Selection):
            return True
        service = self._services.get(target)
        return service is not None and service.kind == ALIAS


def _as_source(service: Service | None) -> object:
    return service and (service.kind, service.links, service.port_rules)


def _as_target(service: Service | None) -> object:
    return service and (service.kind, service.primary_key)


def _as_selected(service: Service | None) -> object:
    return service and (service.system, service.labels)
