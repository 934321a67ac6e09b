"""Who is alike for all rules, and what people call them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from corral.model.entities import Container as Known
from corral.model.entities import ServiceKey, StackKey
from corral.policy.profiles import Party, party_name, profiles_of
from corral.policy.rules import Policy
from corral.policy.verdict import Scene, judge
from corral.types import Flow

from .scenes import SUBNETS, by_address, endpoint, policy
from .strategies import EXAMPLES, Container, endpoints_of, flows, policies, worlds

_ASKING = policy(
    {"between": {"groupBy": "Team"}, "action": "allow"},
    {"between": {"selector": "tier=web"}, "action": "allow"},
    {"from": {"selector": "client"}, "to": {"selector": "server"}, "action": "allow"},
)
_FIRST = endpoint(2, "shop/web", labels={"other": "x"})


def number_of_profiles(**others: Any) -> int:
    second = replace(endpoint(3, "shop/web"), labels=({"other": "y"},))
    return len(profiles_of(by_address(_FIRST, replace(second, **others)), {}, [_ASKING]).profiles)


def test_what_no_rule_can_ask_makes_no_difference() -> None:
    assert number_of_profiles(local=False) == 1
    assert number_of_profiles(labels=({"team": "x"},)) == 1  # groupBy asks for Team
    assert number_of_profiles(labels=({}, {})) == 1


@pytest.mark.parametrize(
    "others",
    [
        {"system": True},
        {"stacks": frozenset([StackKey("", "shop"), StackKey("", "other")])},
        {"links_to": frozenset([ServiceKey("", "shop", "db")])},
        {"links_to_containers": frozenset(["c9"])},
        {"linked_containers": frozenset(["c3"])},
        {"labels": ({"Team": "x"},)},
        {"labels": ({"TIER": "x"},)},
        {"labels": ({"Client": "x"},)},
        {"labels": ({"SERVER": "x"},)},
        {"labels": ({}, {"Team": "x"})},
    ],
    ids=str,
)
def test_what_a_rule_can_ask_makes_a_difference(others: dict[str, Any]) -> None:
    assert number_of_profiles(**others) == 2


@settings(max_examples=EXAMPLES)
@given(worlds, policies)
def test_those_of_a_profile_are_judged_alike(world: dict[str, Container], judged_by: Policy) -> None:
    endpoints = endpoints_of(world)
    population = profiles_of(endpoints, {}, [judged_by])
    assert sorted(address for one in population.profiles for address in one.addresses) == sorted(endpoints)
    scene = Scene(judged_by, SUBNETS, endpoints)
    of = {address: profile for profile in population.profiles for address in profile.addresses}
    for flow in flows(endpoints):
        representatives = of[flow.client].endpoint.address, of[flow.server].endpoint.address
        judged, stands_for_it = judge(scene, flow), judge(scene, Flow(*representatives, flow.protocol, flow.port))
        assert (judged.action, judged.rule) == (stands_for_it.action, stands_for_it.rule)


def test_parties_are_sorted_and_counted() -> None:
    endpoints = by_address(
        endpoint(2, "shop/web"),
        endpoint(3, "shop/web", local=False),
        endpoint(4, "shop/db", system=True),
        endpoint(5),
    )
    population = profiles_of(endpoints, {"c5": Known(uuid="c5", name="lonely")}, [])
    shop = StackKey("", "shop")
    assert population.parties == (
        Party("lonely", None, False, (0,), 1, 1),
        Party("shop/db", shop, True, (1,), 1, 1),
        Party("shop/web", shop, False, (2,), 2, 1),
    )
    assert [profile.party for profile in population.profiles] == [0, 1, 2]
    assert population.profile_of(endpoint(3).address) == 2
    assert population.profile_of(endpoint(9).address) is None


def test_names_are_those_that_people_use() -> None:
    containers = {"c3": Known(uuid="c3", name="job"), "c4": Known(uuid="c4")}
    assert party_name(endpoint(2, "shop/web"), containers) == "shop/web"
    assert party_name(endpoint(2, "shop/web a/b"), containers) == "a/b + shop/web"
    assert party_name(endpoint(3), containers) == "job"
    assert party_name(endpoint(4), containers) == "10.42.0.4"
    assert party_name(endpoint(5), containers) == "10.42.0.5"
