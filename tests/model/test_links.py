"""Links, aliases and port rules of one service."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from corral.model.entities import Environment, PortRule, Service, ServiceKey
from corral.model.environments import Environments
from corral.model.links import NO_LINKS, Resolution, marks_of_labels, marks_of_selector, resolve
from corral.selector import Selector
from tests.model.builders import alias, balancer, service, service_key

ENVIRONMENTS = Environments(
    Environment(name="Default", region="west"),
    {"west/dev": Environment(name="Dev", region="west"), "east/dev": Environment(name="dev", region="east")},
)


def resolved(source: Service, *others: Service) -> Resolution:
    services = {other.key: other for other in [source, *others]}

    def select(selector: Selector, environment: str) -> Iterable[ServiceKey]:
        return [
            key for key, one in services.items() if key.environment == environment and selector.matches([one.labels])
        ]

    return resolve(source, services, ENVIRONMENTS, select)


def targets(source: Service, *others: Service) -> set[str]:
    return {str(key) for key in resolved(source, *others).services}


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
    assert {str(key) for key in resolution.services} == {expected}
    assert not resolution.problems


@pytest.mark.parametrize("link", ["", "/", "a//b", "a/b/c/d/e", "/db"])
def test_what_is_no_target(link: str) -> None:
    resolution = resolved(service("shop/web", links=[link]))
    assert not resolution.services
    (problem,) = resolution.problems
    assert problem.where == "service shop/web"
    assert repr(link) in problem.message
    assert "[[region/]environment/][stack/]service" in problem.message


@pytest.mark.parametrize("link", ["prod/shop/db", "east/default/shop/db", "north/dev/shop/db"])
def test_an_unknown_environment_is_a_problem(link: str) -> None:
    resolution = resolved(service("shop/web", links=[link, "db"]))
    assert {str(key) for key in resolution.services} == {"shop/db"}
    (problem,) = resolution.problems
    assert repr(link) in problem.message
    assert "known: east/dev, west/Default, west/Dev" in problem.message


def test_links_of_a_linked_environment_are_read_there() -> None:
    source = service("east/dev:shop/web", links=["db", "ops/log", "dev/shop/db", "west/default/shop/db"])
    assert targets(source) == {"east/dev/shop/db", "east/dev/ops/log", "shop/db"}


def test_a_target_counts_as_its_primary() -> None:
    assert targets(service("shop/web", links=["side"]), service("shop/side", primary="db")) == {"shop/db"}


def test_an_alias_stands_for_all_that_it_links_to() -> None:
    assert targets(
        service("shop/web", links=["stores"]),
        alias("shop/stores", "db", "ops/more"),
        alias("ops/more", "cache", "dev/shop/db"),
        service("ops/cache"),
    ) == {"shop/db", "ops/cache", "west/dev/shop/db"}


def test_aliases_in_a_circle() -> None:
    assert targets(
        service("shop/web", links=["one"]), alias("shop/one", "two"), alias("shop/two", "one", "db")
    ) == {"shop/db"}  # fmt: skip
    assert targets(service("shop/web", links=["me"]), alias("shop/me", "me")) == set()


def test_links_are_not_followed_through_plain_services() -> None:
    assert targets(service("shop/web", links=["app"]), service("shop/app", links=["db"])) == {"shop/app"}


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
    resolution = resolved(source, alias("shop/all", "one", "two"))
    assert {str(key) for key in resolution.services} == {
        "ops/web", "shop/web", "west/dev/shop/api", "east/dev/shop/api", "shop/one", "shop/two", "shop/admin",
    }  # fmt: skip
    assert resolution.containers == {"c1"}
    assert not resolution.problems


def test_port_rules_of_other_kinds_mean_nothing() -> None:
    assert resolved(service("shop/web", port_rules=[PortRule(service="db", container="c1")])) == NO_LINKS


def test_a_selector_chooses_services_by_label() -> None:
    source = balancer("shop/lb", PortRule(selector="Tier = FRONT"))
    resolution = resolved(
        source,
        service("shop/web", labels={"tier": "Front"}),
        service("ops/side", labels={"tier": "front"}, primary="main"),
        service("shop/db", labels={"tier": "back"}),
        service("west/dev:shop/web", labels={"tier": "front"}),
    )
    assert {str(key) for key in resolution.services} == {"shop/web", "ops/main"}
    assert resolution.marks == {("tier", "front")}


def test_a_selector_can_look_into_a_linked_environment() -> None:
    source = balancer("shop/lb", PortRule(selector="tier=front", environment="dev", region="east"))
    labels = {"tier": "front"}
    others = [service("shop/web", labels=labels), service("east/dev:shop/web", labels=labels)]
    assert targets(source, *others) == {"east/dev/shop/web"}


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
    assert {str(key) for key in resolution.services} == {"shop/web"}
    (problem,) = resolution.problems
    assert problem.where == "service shop/lb"
    assert message in problem.message


def test_what_an_answer_depends_on() -> None:
    resolution = resolved(service("shop/web", links=["stores"]), alias("shop/stores", "db"))
    assert resolution.passed == {service_key("shop/stores"), service_key("shop/db")}


def test_a_service_without_links() -> None:
    assert resolved(service("shop/web")) is NO_LINKS


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("a", {("a", None)}),
        ("a!=1, b notin (2, 3)", {("a", None)}),
        ("a, B in (X, y)", {("b", "x"), ("b", "y")}),
    ],
)
def test_marks_of_a_selector(selector: str, expected: set[tuple[str, str | None]]) -> None:
    assert marks_of_selector(Selector.parse(selector)) == expected


def test_marks_of_labels() -> None:
    assert marks_of_labels({"A": "X", "b": "y"}) == {("a", None), ("a", "x"), ("b", None), ("b", "y")}
