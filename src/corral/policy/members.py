"""Who belongs to which group, for every criterion that the policy uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from corral.model.endpoint import Endpoint
from corral.policy.groups import Census, Criterion, Group, client_groups
from corral.types import Address

_NOBODY: frozenset[Address] = frozenset()


class Members:
    """An index of all groups of the active criteria, empty groups left out.

    It covers all groups, also those that no chain looks up at present, so that a first local member finds
    its set complete.
    """

    def __init__(self) -> None:
        self._groups: dict[Criterion, dict[Group, set[Address]]] = {Census.CENSUS: {}}

    def activate(self, criteria: Iterable[Criterion], endpoints: Mapping[Address, Endpoint]) -> None:
        """Keep the groups of exactly these criteria (and the census); only new ones look at the endpoints."""
        wanted = {Census.CENSUS, *criteria}
        for criterion in self._groups.keys() - wanted:
            del self._groups[criterion]
        for criterion in wanted - self._groups.keys():
            self._groups[criterion] = {}
            for address, endpoint in endpoints.items():
                self._join(criterion, address, client_groups(criterion, endpoint))

    def move(
        self, address: Address, before: Endpoint | None, after: Endpoint | None
    ) -> tuple[frozenset[Group], frozenset[Group]]:
        """Note what an endpoint became; returns the groups that the address joined and those that it left."""
        joined: set[Group] = set()
        left: set[Group] = set()
        for criterion in self._groups:
            old = client_groups(criterion, before) if before else frozenset()
            new = client_groups(criterion, after) if after else frozenset()
            self._join(criterion, address, new - old)
            self._leave(criterion, address, old - new)
            joined |= new - old
            left |= old - new
        return frozenset(joined), frozenset(left)

    def of(self, group: Group) -> Set[Address]:
        """The members of the group: live, not to be kept."""
        for groups in self._groups.values():
            if group in groups:
                return groups[group]
        return _NOBODY

    def _join(self, criterion: Criterion, address: Address, groups: Iterable[Group]) -> None:
        for group in groups:
            self._groups[criterion].setdefault(group, set()).add(address)

    def _leave(self, criterion: Criterion, address: Address, groups: Iterable[Group]) -> None:
        for group in groups:
            members = self._groups[criterion][group]
            members.discard(address)
            if not members:
                del self._groups[criterion][group]
