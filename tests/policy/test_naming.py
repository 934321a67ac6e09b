"""Selectors that name an endpoint."""

from __future__ import annotations

from corral.model.endpoint import Endpoint
from corral.policy.naming import OF_CONTAINERS, OF_SERVICES, selectors_for, shared_labels

from .scenes import by_address, endpoint

_NAMED = endpoint(2, "s/a", labels={"tier": "web", "Team": "Red", "zone": "north", OF_SERVICES: "s/a"})


def selectors(named: Endpoint, *others: Endpoint) -> tuple[str, ...]:
    return selectors_for(named, {named.address}, by_address(named, *others))


def test_one_label_that_nobody_else_has_is_enough() -> None:
    assert selectors(_NAMED, endpoint(3, labels={"Team": "Red", "zone": "south"})) == ("tier=web",)


def test_those_called_alike_are_not_others() -> None:
    copy = endpoint(3, "s/a", labels={"Team": "Red"})
    endpoints = by_address(_NAMED, copy)
    assert selectors_for(_NAMED, {_NAMED.address, copy.address}, endpoints) == ("Team=Red",)


def test_as_many_labels_as_it_takes() -> None:
    others = [
        endpoint(3, labels={"tier": "web", "Team": "Red"}),
        endpoint(4, labels={"tier": "web", "zone": "north"}),
        endpoint(5, labels={"Team": "Red"}),
    ]
    assert selectors(_NAMED, *others) == ("Team=Red, zone=north",)


def test_ranchers_name_is_there_where_labels_are_not_enough() -> None:
    assert selectors(_NAMED, endpoint(3, labels=dict(_NAMED.labels[0]))) == ("Team=Red", f"{OF_SERVICES}=s/a")


def test_system_endpoints_are_no_others() -> None:
    assert selectors(_NAMED, endpoint(3, system=True, labels={"Team": "Red"})) == ("Team=Red",)


def test_a_standalone_container_is_called_by_its_name() -> None:
    assert selectors(endpoint(2, labels={OF_CONTAINERS: "job", OF_SERVICES: "no/service"})) == (f"{OF_CONTAINERS}=job",)


def test_labels_that_no_selector_can_write_are_left_out() -> None:
    assert selectors(endpoint(2, labels={"a": "x,y", "b c": "d", "e": "", "f": "(x)", "g": " x"})) == ()


def test_shared_labels_are_the_users_and_compare_exactly() -> None:
    other = endpoint(3, labels={"tier": "web", "Team": "red", OF_SERVICES: "s/a", "zone": "north"})
    assert shared_labels(_NAMED, other) == ("tier", "zone")
