from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings

from corral.policy.groups import KNOWN, LOCAL, Group, Kind, client_groups
from corral.policy.members import Members
from corral.policy.rules import GroupBy, Scope, Within

from .scenes import SEED, address, by_address, endpoint
from .strategies import EXAMPLES, Container, endpoints_of, worlds

STACKS = Within(Scope.STACK)
NONE: frozenset[Group] = frozenset()
FRONT, BACK = Group(Kind.STACK, ("front",)), Group(Kind.STACK, ("back",))


def test_the_census_is_always_taken() -> None:
    members = Members()
    one = endpoint(2, "front/web")
    assert members.move(one.address, None, one) == (frozenset([KNOWN, LOCAL]), NONE)
    assert members.of(KNOWN) == members.of(LOCAL) == {one.address}
    assert members.move(one.address, one, replace(one, local=False)) == (NONE, frozenset([LOCAL]))
    assert members.of(LOCAL) == set()


def test_a_new_criterion_finds_everyone_and_a_dropped_one_forgets() -> None:
    members = Members()
    members.activate([STACKS], SEED)
    assert len(members.of(Group(Kind.STACK, ("stack_one",)))) == 6
    members.activate([GroupBy("com.rancher.department")], SEED)
    assert members.of(Group(Kind.STACK, ("stack_one",))) == set()
    assert len(members.of(Group(Kind.LABEL, ("com.rancher.department", "qa")))) == 4


def test_a_kept_criterion_does_not_look_at_the_endpoints_again() -> None:
    members = Members()
    members.activate([STACKS], by_address(endpoint(2, "front/web")))
    members.activate([STACKS, GroupBy("k")], {})
    assert members.of(FRONT) == {address(2)}


def test_a_move_tells_joined_and_left() -> None:
    members = Members()
    members.activate([STACKS], {})
    before, after = endpoint(2, "front/web"), endpoint(2, "back/web")
    members.move(before.address, None, before)
    assert members.move(before.address, before, after) == (frozenset([BACK]), frozenset([FRONT]))
    assert members.move(before.address, after, None) == (NONE, frozenset([BACK, KNOWN, LOCAL]))


def test_a_group_without_members_is_not_kept() -> None:
    members = Members()
    members.activate([STACKS], {})
    one = endpoint(2, "front/web")
    members.move(one.address, None, one)
    members.move(one.address, one, None)
    assert not any(members._groups.values())


@settings(max_examples=EXAMPLES)
@given(worlds, worlds)
def test_moving_is_the_same_as_looking_anew(first: dict[str, Container], second: dict[str, Container]) -> None:
    before, after = endpoints_of(first), endpoints_of(second)
    moved = Members()
    moved.activate([STACKS, Within(Scope.LINKED)], {})
    for key, one in before.items():
        moved.move(key, None, one)
    for key in {*before, *after}:
        moved.move(key, before.get(key), after.get(key))
    for criterion in (STACKS, Within(Scope.LINKED)):
        for group in {group for one in (*before.values(), *after.values()) for group in client_groups(criterion, one)}:
            expected = {key for key, one in after.items() if group in client_groups(criterion, one)}
            assert moved.of(group) == expected
