"""The names in the links and port rules of one service."""

from __future__ import annotations

import pytest

from corral.model.entities import Environment, PortRule, Service
from corral.model.environments import Environments
from corral.model.links import NO_LINKS, Resolution, Selection, marks_of_clauses, marks_of_labels, resolve
from corral.selector import Selector
from tests.model.builders import balancer, service

ENVIRONMENTS = Environments(
    Environment(name="Default", region="west"),
    {"west/dev": Environment(name="Dev", region="west"), "east/dev": Environment(name="dev", region="east")},
)


def resolved(source: Service) -> Resolution:
    return resolve(source, ENVIRONMENTS)


def targets(source: Service) -> set[str]:
    return {str(target) for target in resolved(source).targets}


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("db", "shop/db"),
        ("DB", "shop/db"),
        ("ops/Log", "ops/log"),
        ("default/ops/log", "ops/log"),
        ("West/DEFAULT/ops/log", "ops/log"),
        ("dev/shop/db", "west/dev/shop/db"),
        ("west/dev/shop/db", "west/dev/shop/db"),
        ("East/Dev/Shop/DB", "east/dev/shop/db"),
    ],
)
def test_forms_of_a_target(link: str, expected: str) -> None:
    resolution = resolved(service("shop/web", links=[link]))
    assert {str(key) for key in resolution.targets} == {expected}
    assert not resolution.problems


@pytest.mark.parametrize("link", ["", "/", "a//b", "a/b/c/d/e", "/db"])
def test_what_is_no_target(link: str) -> None:
    resolution = resolved(service("shop/web", links=[link]))
    assert not resolution.targets
    (problem,) = resolution.problems
    assert problem.where == "service shop/web"
    assert repr(link) in problem.message
    assert "[[region/]environment/][stack/]service" in problem.message


@pytest.mark.parametrize("link", ["prod/shop/db", "east/default/shop/db", "north/dev/shop/db"])
def test_an_unknown_environment_is_a_problem(link: str) -> None:
    resolution = resolved(service("shop/web", links=[link, "db"]))
    assert {str(key) for key in resolution.targets} == {"shop/db"}
    (problem,) = resolution.problems
    assert repr(link) in problem.message
    assert "known: east/dev, west/Default, west/Dev" in problem.message


def test_links_of_a_linked_environment_are_read_there() -> None:
    source = service("east/dev:shop/web", links=["db", "ops/log", "dev/shop/db", "west/default/shop/db"])
    assert targets(source) == {"east/dev/shop/db", "east/dev/ops/log", "shop/db"}


def test_a_load_balancer_links_by_link_and_by_port_rule() -> None:
    source = balancer(
        "shop/lb",
        PortRule(service="Ops/Web"),
        PortRule(service="web"),
        PortRule(service="shop/api", environment="dev"),
        PortRule(service="shop/api", environment="Dev", region="East"),
        PortRule(service="all"),
        PortRule(container="c1"),
        links=["admin"],
    )
    resolution = resolved(source)
    assert {str(key) for key in resolution.targets} == {
        "ops/web", "shop/web", "west/dev/shop/api", "east/dev/shop/api", "shop/all", "shop/admin",
    }  # fmt: skip
    assert resolution.containers == {"c1"}
    assert not resolution.problems


def test_port_rules_of_other_kinds_mean_nothing() -> None:
    assert resolved(service("shop/web", port_rules=[PortRule(service="db", container="c1")])) == NO_LINKS


def test_a_selector_is_a_target_of_its_own_and_each_counts_once() -> None:
    rules = [PortRule(selector="Tier = FRONT"), PortRule(selector="tier=front"), PortRule(selector="tier")]
    front, any_tier = Selector.parse("tier=front"), Selector.parse("tier")
    assert resolved(balancer("shop/lb", *rules)).targets == {Selection("", front), Selection("", any_tier)}


def test_a_selector_can_look_into_a_linked_environment() -> None:
    source = balancer("shop/lb", PortRule(selector="tier=front", environment="dev", region="east"))
    assert resolved(source).targets == {Selection("east/dev", Selector.parse("tier=front"))}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (PortRule(selector="tier > 3"), "selector 'tier > 3'"),
        (PortRule(selector="tier=1", environment="prod"), "'prod'"),
        (PortRule(service="db", environment="prod", region="east"), "'east/prod'"),
    ],
)
def test_a_bad_port_rule_is_a_problem_and_costs_only_itself(rule: PortRule, message: str) -> None:
    resolution = resolved(balancer("shop/lb", rule, PortRule(service="web")))
    assert {str(key) for key in resolution.targets} == {"shop/web"}
    (problem,) = resolution.problems
    assert problem.where == "service shop/lb"
    assert message in problem.message


def test_a_service_without_links() -> None:
    assert resolved(service("shop/web")) is NO_LINKS


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("a", [{("a", None)}]),
        ("a!=1, b notin (2, 3)", [{("a", None)}, {("b", None)}]),
        ("a, B in (X, y)", [{("a", None)}, {("b", "x"), ("b", "y")}]),
    ],
)
def test_marks_of_a_selectors_clauses(selector: str, expected: list[set[tuple[str, str | None]]]) -> None:
    assert list(marks_of_clauses(Selector.parse(selector))) == expected


def test_marks_of_labels() -> None:
    assert marks_of_labels({"A": "X", "b": "y"}) == {("a", None), ("a", "x"), ("b", None), ("b", "y")}
