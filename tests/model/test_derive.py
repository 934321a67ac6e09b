"""What an endpoint carries."""

from __future__ import annotations

import sys

import pytest

from corral.model.derive import primary_of, stack_of
from corral.model.endpoint import Endpoint
from corral.model.entities import Environment
from corral.model.inventory import Inventory
from corral.model.updates import ServiceUpdate
from tests.model.builders import (
    THERE,
    Thing,
    address,
    container,
    host,
    network,
    service,
    service_key,
    snapshot,
    stack,
    stack_key,
)

A = address("10.42.0.2")


def endpoint(*things: Thing, self_host: str | None = None) -> Endpoint:
    inventory = Inventory()
    content = snapshot(*things) if self_host is None else snapshot(*things, self_host=self_host)
    inventory.load(content, now=0)
    return inventory.endpoints[A]


def test_a_standalone_container() -> None:
    assert endpoint(container("a", "10.42.0.2", labels={"x": "1"})) == Endpoint(
        address=A, containers=("a",), local=True, labels=({"x": "1"},)
    )


def test_stacks_and_services_are_gathered_from_all_its_containers() -> None:
    found = endpoint(
        container("a", "10.42.0.2", of="shop/web"),
        container("b", network_from="a", of="ops/agent"),
        container("c", network_from="a", stack="tools"),
    )
    assert found.containers == ("a", "b", "c")
    assert found.stacks == {stack_key("shop"), stack_key("ops"), stack_key("tools")}
    assert found.services == {service_key("shop/web"), service_key("ops/agent")}


def test_a_sidekick_counts_as_its_primary() -> None:
    found = endpoint(container("a", "10.42.0.2", of="shop/logger"), service("shop/logger", primary="web"))
    assert found.services == {service_key("shop/web")}


def test_own_labels_win_over_those_of_the_service() -> None:
    found = endpoint(
        container("a", "10.42.0.2", of="shop/web", labels={"tier": "own", "Team": "x"}),
        service("shop/web", labels={"tier": "service", "team": "y"}),
    )
    assert found.labels == ({"tier": "own", "Team": "x", "team": "y"},)
    assert list(found.label_values("team")) == ["y"]


def test_many_labels_of_a_service_are_shared_by_its_containers() -> None:
    many = {f"l{number}": "service" for number in range(1000)}
    bare = endpoint(container("a", "10.42.0.2", of="shop/web"), service("shop/web", labels=many))
    assert bare.labels[0] is many
    own = endpoint(container("a", "10.42.0.2", of="shop/web", labels={"l1": "own"}), service("shop/web", labels=many))
    assert own.labels == (many | {"l1": "own"},)
    assert sys.getsizeof(own.labels[0]) < 1000


@pytest.mark.parametrize(
    ("things", "expected"),
    [
        ([container("a", "10.42.0.2", of="shop/web")], False),
        ([container("a", "10.42.0.2", system=True)], True),
        ([container("a", "10.42.0.2", of="shop/web"), service("shop/web", system=True)], True),
        ([container("a", "10.42.0.2", of="shop/web"), stack("shop", system=True)], True),
        ([container("a", "10.42.0.2", stack="shop"), stack("shop", system=True)], True),
        ([container("a", "10.42.0.2"), container("b", network_from="a", system=True)], True),
        ([container("a", "10.42.0.2"), container("b", network_from="a", system=True, state="stopped")], False),
    ],
)
def test_system(things: list[Thing], expected: bool) -> None:
    assert endpoint(*things).system is expected


def test_local_is_on_this_host() -> None:
    assert not endpoint(container("a", "10.42.0.2", host=THERE)).local
    assert endpoint(container("a", "10.42.0.2", host=THERE), container("b", network_from="a")).local
    assert not endpoint(container("a", "10.42.0.2", host=""), self_host="").local


def test_a_container_of_a_linked_environment_is_never_local() -> None:
    inventory = Inventory()
    inventory.load(
        snapshot(
            container("a", "10.50.0.2", of="dev:shop/web", network="net-dev"),
            network("net-dev", "10.50.0.0/16", environment="dev"),
            host("dev-host", environment="dev"),
            linked={"dev": Environment(name="dev")},
        ),
        now=0,
    )
    found = inventory.endpoints[address("10.50.0.2")]
    assert not found.local
    assert found.services == {service_key("dev:shop/web")}
    assert found.stacks == {stack_key("dev:shop")}


def test_links_of_the_whole_group_count_for_each_member() -> None:
    inventory = Inventory()
    inventory.load(
        snapshot(
            container("web-1", "10.42.0.2", of="shop/web"),
            container("side-1", "10.42.0.3", of="shop/side"),
            service("shop/web", links=["db"]),
            service("shop/side", primary="web", links=["ops/log"]),
            service("shop/db"),
            service("ops/log", primary="collector"),
        ),
        now=0,
    )
    expected = {service_key("shop/db"), service_key("ops/collector")}
    assert inventory.endpoints[A].links_to == expected
    assert inventory.endpoints[address("10.42.0.3")].links_to == expected
    change = inventory.apply(ServiceUpdate(service_key("shop/web"), {"links": ()}), now=1)
    assert change.endpoints.keys() == {A, address("10.42.0.3")}
    assert inventory.endpoints[address("10.42.0.3")].links_to == {service_key("ops/collector")}


def test_container_links() -> None:
    assert endpoint(container("a", "10.42.0.2", links=["b", "c"])).links_to_containers == {"b", "c"}


def test_an_unknown_service_is_its_own_primary() -> None:
    assert primary_of(service_key("shop/web"), {}) == service_key("shop/web")


def test_the_stack_of_a_container() -> None:
    assert stack_of(container("a")) is None
    assert stack_of(container("a", stack="shop")) == stack_key("shop")
    assert stack_of(container("a", of="dev:shop/web")) == stack_key("dev:shop")
