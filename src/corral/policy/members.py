"""Who belongs to which group, for every criterion that the policy uses."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from corral.model.endpoint import Endpoint
from corral.policy.groups import LOCAL, SYSTEM, UNJUDGED, Criterion, Group, Key, client_keys, group_of
from corral.policy.labels import LabelIndex, Labels, is_indexed
from corral.policy.rules import GroupBy
from corral.selector import Selector
from corral.types import Address


class Cohort:
    """A group with its members at present; `readers` is kept by the compiler: the chains that look up its set."""

    __slots__ = ("group", "key", "members", "readers", "set_name")

    def __init__(self, group: Group, key: Key = None) -> None:
        self.group = group
        self.key = key
        self.set_name = group.set_name
        self.members: set[Address] = set()
        self.readers = 0


class Sorting:
    """The cohorts of one criterion."""

    __slots__ = ("cohorts", "criterion", "keys")

    def __init__(self, criterion: Criterion) -> None:
        self.criterion = criterion
        self.keys = client_keys(criterion)
        self.cohorts: dict[Key, Cohort] = {}

    def cohort(self, key: Key) -> Cohort:
        """The cohort of a group; one without members is to be read, or released."""
        found = self.cohorts.get(key)
        if found is None:
            found = self.cohorts[key] = Cohort(group_of(self.criterion, key), key)
        return found

    def find(self, endpoints: Mapping[Address, Endpoint], labels: LabelIndex) -> None:
        """Take everyone in. What the labels' index does not tell takes a look at each endpoint."""
        match self.criterion:
            case GroupBy(label) if is_indexed(label):
                for value, holders in labels.holders(label):
                    self.cohort(value).members = holders
            case Selector(clauses) if all(is_indexed(clause.key) for clause in clauses):
                if chosen := labels.chosen(self.criterion):
                    self.cohort(None).members = chosen
            case _:
                for address, endpoint in endpoints.items():
                    if not endpoint.system:
                        for key in self.keys(endpoint):
                            (self.cohorts.get(key) or self.cohort(key)).members.add(address)


class Members:
    """All endpoints, and the groups of the active criteria, as cohorts: one object a group, while it is of use.

    It covers all groups, also those that no chain looks up at present, so that a first local member finds
    its set complete. Cohorts without members or readers are not kept, but for those of the census.
    """

    def __init__(self) -> None:
        self.unjudged, self.system, self.local = Cohort(UNJUDGED), Cohort(SYSTEM), Cohort(LOCAL)
        self.endpoints: dict[Address, Endpoint] = {}
        self._labels = LabelIndex()
        self._sortings: dict[Criterion, Sorting] = {}
        self._active: Sequence[Sorting] = ()

    @property
    def census(self) -> tuple[Cohort, Cohort, Cohort]:
        """The cohorts that do not depend on the rules."""
        return self.unjudged, self.system, self.local

    def activate(self, criteria: Iterable[Criterion]) -> None:
        """Keep the groups of exactly these criteria (and the census); only those of new ones are made."""
        wanted = set(criteria)
        for criterion in self._sortings.keys() - wanted:
            del self._sortings[criterion]
        for criterion in wanted - self._sortings.keys():
            self._sortings[criterion] = Sorting(criterion)
            self._sortings[criterion].find(self.endpoints, self._labels)
        self._active = tuple(self._sortings.values())

    def move(self, address: Address, after: Endpoint | None) -> tuple[Collection[Cohort], Collection[Cohort]]:
        """Note what an endpoint became (None: it went); returns the cohorts that it joined and those that it left."""
        before = self.endpoints.get(address)
        joined: Collection[Cohort] = () if after is None else self._cohorts_of(after)
        left: Collection[Cohort] = () if before is None else self._cohorts_of(before)
        if joined and left:
            joined, left = set(joined).difference(left), set(left).difference(joined)
        for cohort in joined:
            cohort.members.add(address)
        for cohort in left:
            cohort.members.discard(address)
            if not cohort.members:
                self.release(cohort)
        self._note(address, before, after)
        return joined, left

    def _note(self, address: Address, before: Endpoint | None, after: Endpoint | None) -> None:
        if after is not None:
            self.endpoints[address] = after
        elif before is not None:
            del self.endpoints[address]
        old: Labels = () if before is None or before.system else before.labels
        new: Labels = () if after is None or after.system else after.labels
        if old != new:
            if old:
                self._labels.discard(address, old)
            if new:
                self._labels.add(address, new)

    def sorting(self, criterion: Criterion) -> Sorting:
        """The cohorts of an active criterion."""
        return self._sortings[criterion]

    def release(self, cohort: Cohort) -> None:
        """Forget a cohort that has neither members nor readers."""
        if cohort.members or cohort.readers:
            return
        for sorting in self._active:
            if sorting.cohorts.get(cohort.key) is cohort:
                del sorting.cohorts[cohort.key]

    def _cohorts_of(self, endpoint: Endpoint) -> list[Cohort]:
        if endpoint.system:
            return [self.unjudged, self.system]
        cohorts = [self.local if endpoint.local else self.unjudged]
        cohorts += [
            sorting.cohorts.get(key) or sorting.cohort(key)
            for sorting in self._active
            for key in sorting.keys(endpoint)
        ]
        return cohorts
