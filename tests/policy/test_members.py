from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corral.model.endpoint import Endpoint
from corral.model.entities import StackKey
from corral.policy.groups import LOCAL, SYSTEM, UNJUDGED, Census, Criterion, Group, Kind, client_groups
from corral.policy.members import Cohort, Members
from corral.policy.rules import GroupBy, Scope, Within
from corral.selector import Selector
from corral.types import Address

from .scenes import SEED, address, by_address, endpoint
from .strategies import EXAMPLES, Container, endpoints_of, worlds

STACKS = Within(Scope.STACK)
CRITERIA: tuple[Criterion, ...] = (
    STACKS,
    Within(Scope.SERVICE),
    Within(Scope.LINKED),
    GroupBy("dept"),
    Selector.parse("dept"),
    Selector.parse("dept!=qa"),
)
FRONT, BACK = Group(Kind.STACK, ("front",)), Group(Kind.STACK, ("back",))


def groups(cohorts: Collection[Cohort]) -> set[Group]:
    assert len(set(cohorts)) == len(cohorts)
    return {cohort.group for cohort in cohorts}


def moved(members: Members, after: Endpoint | Address) -> tuple[set[Group], set[Group]]:
    """The groups that it joined and left; an address stands for what went."""
    joined, left = members.move(after, None) if isinstance(after, Address) else members.move(after.address, after)
    return groups(joined), groups(left)


def members_of(endpoints: Mapping[Address, Endpoint]) -> Members:
    members = Members()
    for one in endpoints.values():
        members.move(one.address, one)
    return members


def everyone(members: Members) -> dict[Group, set[Address]]:
    """All groups that are kept, with their members."""
    cohorts = [cohort for sorting in members._sortings.values() for cohort in sorting.cohorts.values()]
    return {cohort.group: cohort.members for cohort in (*members.census, *cohorts)}


def test_the_census_is_always_taken() -> None:
    members = Members()
    one = endpoint(2, "front/web")
    assert moved(members, one) == ({LOCAL}, set())
    assert members.local.members == {one.address}
    assert moved(members, replace(one, local=False)) == ({UNJUDGED}, {LOCAL})
    assert members.unjudged.members == {one.address}
    assert members.local.members == set()
    assert moved(members, replace(one, system=True)) == ({SYSTEM}, set())
    assert members.system.members == {one.address}


def test_a_new_criterion_finds_everyone_and_a_dropped_one_forgets() -> None:
    members = members_of(SEED)
    members.activate([STACKS])
    assert len(members.sorting(STACKS).cohort(StackKey("", "stack_one")).members) == 6
    members.activate([GroupBy("com.rancher.department")])
    assert Group(Kind.STACK, ("stack_one",)) not in everyone(members)
    assert len(members.sorting(GroupBy("com.rancher.department")).cohort("qa").members) == 4


def test_a_kept_criterion_keeps_its_cohorts() -> None:
    members = members_of(by_address(endpoint(2, "front/web")))
    members.activate([STACKS])
    cohort = members.sorting(STACKS).cohort(StackKey("", "front"))
    members.activate([STACKS, GroupBy("k")])
    assert members.sorting(STACKS).cohort(StackKey("", "front")) is cohort
    assert cohort.members == {address(2)}


def test_a_move_tells_joined_and_left() -> None:
    members = Members()
    members.activate([STACKS])
    before, after = endpoint(2, "front/web"), endpoint(2, "back/web")
    moved(members, before)
    assert moved(members, after) == ({BACK}, {FRONT})
    assert moved(members, after.address) == (set(), {BACK, LOCAL})


def test_a_group_without_members_is_kept_only_for_its_readers() -> None:
    members = Members()
    members.activate([STACKS])
    one, two = endpoint(2, "front/web"), endpoint(3, "back/web")
    moved(members, one)
    moved(members, two)
    read = members.sorting(STACKS).cohort(StackKey("", "back"))
    read.readers = 1
    moved(members, one.address)
    moved(members, two.address)
    assert everyone(members).keys() == {UNJUDGED, SYSTEM, LOCAL, BACK}
    moved(members, two)
    assert read.members == {two.address}
    moved(members, two.address)
    read.readers = 0
    members.release(read)
    assert everyone(members).keys() == {UNJUDGED, SYSTEM, LOCAL}


@pytest.mark.parametrize("label", ["dept", "io.rancher.stack.name"])
def test_labels_that_no_index_knows_are_looked_for(label: str) -> None:
    ours, theirs = endpoint(2, "front/web", labels={label: "a"}), endpoint(3, "front/web", labels={label: "b"})
    members = members_of(by_address(ours, theirs, replace(endpoint(4, "front/web", labels={label: "a"}), system=True)))
    members.activate([GroupBy(label), Selector.parse(f"{label}=b")])
    assert members.sorting(GroupBy(label)).cohort("a").members == {ours.address}
    assert members.sorting(Selector.parse(f"{label}=b")).cohort(None).members == {theirs.address}


def test_one_cohort_stands_for_a_label_value_that_two_containers_share() -> None:
    members = Members()
    members.activate([GroupBy("dept")])
    one = endpoint(2, "front/web", labels={"dept": "qa"})
    assert moved(members, replace(one, labels=one.labels * 2))[0] == {LOCAL, Group(Kind.LABEL, ("dept", "qa"))}


@settings(max_examples=EXAMPLES)
@given(st.lists(worlds, min_size=1, max_size=3), st.sets(st.sampled_from(CRITERIA)), st.sets(st.sampled_from(CRITERIA)))
def test_moving_is_the_same_as_looking_anew(
    history: list[dict[str, Container]], first: set[Criterion], then: set[Criterion]
) -> None:
    members = Members()
    members.activate(first)
    before: Mapping[Address, Endpoint] = {}
    for world in history:
        after = endpoints_of(world)
        for key in {*before, *after}:
            members.move(key, after.get(key))
        before = after
    members.activate(then)
    expected: dict[Group, set[Address]] = {UNJUDGED: set(), SYSTEM: set(), LOCAL: set()}
    for criterion in (Census.CENSUS, *then):
        for key, one in before.items():
            for group in client_groups(criterion, one):
                expected.setdefault(group, set()).add(key)
    assert everyone(members) == expected
