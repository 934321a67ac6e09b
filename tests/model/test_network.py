"""The choice of the managed network, and the networks of linked environments."""

from __future__ import annotations

from dataclasses import replace

import pytest

from corral.model.change import ManagedNetwork
from corral.model.entities import Environment
from corral.model.inventory import Inventory
from corral.model.updates import ContainerUpdate, NetworkUpdate
from corral.types import Problem
from tests.model.builders import (
    HERE,
    THERE,
    Thing,
    address,
    bare_snapshot,
    container,
    host,
    network,
    service,
    snapshot,
)

LABEL = "io.rancher.network.per_host_subnet.subnet"
OLD = network("net-old", name="ipsec")
NEW = network("net-new", name="ipsec")
DRIVER = service("ipsec/cni-driver", kind="networkDriverService", system=True)
ROUTER = service("ipsec/ipsec", system=True)
LINKED = {"east/dev": Environment(name="dev", region="east")}


def inventory(*things: Thing, linked: dict[str, Environment] | None = None) -> Inventory:
    result = Inventory()
    result.load(bare_snapshot(host(HERE), host(THERE), *things, linked=linked), now=0)
    return result


def managed(inventory: Inventory) -> ManagedNetwork:
    assert inventory.network is not None
    return inventory.network


def wheres(problems: tuple[Problem, ...]) -> list[str]:
    return [problem.where for problem in problems]


def test_the_only_network_with_a_bridge_subnet() -> None:
    docker = replace(network("net-docker", ""), bridge="")
    result = inventory(docker, network("net-a", "10.42.0.1/16", policy=[], default="deny"))
    assert managed(result).uuid == "net-a"
    assert managed(result).bridge == "docker0"
    assert list(map(str, managed(result).subnets)) == ["10.42.0.0/16"]
    assert managed(result).policy == []
    assert managed(result).default_policy_action == "deny"
    assert managed(result).others == ()
    assert not result.problems


def test_no_candidate() -> None:
    result = inventory(replace(network("net-docker", "", name="docker"), bridge=""), container("a", "10.42.0.2"))
    assert result.network is None
    assert not result.endpoints
    (problem,) = result.problems
    assert problem.where == "managed network"
    assert "docker (net-docker)" in problem.message


def test_a_network_of_a_linked_environment_is_never_ours() -> None:
    result = inventory(network("net-dev", environment="east/dev"), linked=LINKED)
    assert result.network is None


@pytest.mark.parametrize("winner", ["net-old", "net-new"])
def test_the_router_on_this_host_decides(winner: str) -> None:
    loser = "net-old" if winner == "net-new" else "net-new"
    result = inventory(
        OLD,
        NEW,
        DRIVER,
        ROUTER,
        container("router", "10.42.0.2", of="ipsec/ipsec", network=winner),
        container("elsewhere", "10.42.0.3", of="ipsec/ipsec", network=loser, host=THERE),
        container("driver", "10.42.0.4", of="ipsec/cni-driver", network=loser),
        container("app-1", "10.42.0.5", network=loser),
        container("app-2", "10.42.0.6", network=loser),
    )
    assert managed(result).uuid == winner
    assert managed(result).others == (f"ipsec ({loser})",)
    assert set(result.endpoints) == {address("10.42.0.2")}


def test_a_sidekick_or_a_stopped_container_is_no_router() -> None:
    result = inventory(
        OLD,
        NEW,
        DRIVER,
        ROUTER,
        service("ipsec/helper", primary="ipsec"),
        container("helper", of="ipsec/helper", network="net-new"),
        container("stopped", "10.42.0.3", of="ipsec/ipsec", network="net-new", state="stopped"),
        container("app-1", "10.42.0.5", network="net-old"),
        container("app-2", "10.42.0.6", network="net-old"),
    )
    assert managed(result).uuid == "net-old"


def test_of_several_drivers_the_one_called_cni_driver_counts() -> None:
    result = inventory(
        OLD,
        NEW,
        DRIVER,
        ROUTER,
        service("other/driver", kind="networkDriverService"),
        service("other/router"),
        container("other", "10.42.0.2", of="other/router", network="net-old"),
        container("router", "10.42.0.3", of="ipsec/ipsec", network="net-new"),
    )
    assert managed(result).uuid == "net-new"


def test_without_a_router_local_containers_decide() -> None:
    result = inventory(
        OLD,
        NEW,
        container("far-1", "10.42.0.2", network="net-new", host=THERE),
        container("far-2", "10.42.0.3", network="net-new", host=THERE),
        container("near", "10.42.0.4", network="net-old"),
    )
    assert managed(result).uuid == "net-old"


def test_without_any_sign_the_choice_is_the_same_every_time() -> None:
    assert managed(inventory(OLD, NEW)).uuid == "net-new"
    assert managed(inventory(NEW, OLD)).uuid == "net-new"
    assert managed(inventory(replace(NEW, state="removing"), OLD)).uuid == "net-old"


def test_the_choice_follows_the_router() -> None:
    result = inventory(OLD, NEW, DRIVER, ROUTER, container("router", "10.42.0.2", of="ipsec/ipsec", network="net-old"))
    change = result.apply(ContainerUpdate("router", {"network": "net-new"}), now=1)
    assert change.network
    assert managed(result).uuid == "net-new"
    assert result.expire(now=100).network
    assert managed(result).uuid == "net-old"


def test_the_choice_follows_the_services() -> None:
    things: list[Thing] = [OLD, NEW, ROUTER, container("router", "10.42.0.2", of="ipsec/ipsec", network="net-old")]
    more: list[Thing] = [
        container("app-1", "10.42.0.5", network="net-new"),
        container("app-2", "10.42.0.6", network="net-new"),
    ]
    result = inventory(*things, *more)
    assert managed(result).uuid == "net-new"
    result.load(bare_snapshot(host(HERE), host(THERE), *things, *more, DRIVER), now=1)
    assert managed(result).uuid == "net-old"


def test_an_unreadable_candidate_is_reported_and_not_chosen() -> None:
    result = inventory(network("net-a", "nonsense"), network("net-b"))
    assert managed(result).uuid == "net-b"
    assert wheres(result.problems) == ["network ipsec (net-a)"]


def test_a_bridge_without_subnet_is_reported() -> None:
    result = inventory(network("net-a", ""))
    assert result.network is None
    assert wheres(result.problems) == ["managed network", "network ipsec (net-a)"]


def test_a_missing_bridge_name_is_reported() -> None:
    result = inventory(network(bridge=""))
    assert managed(result).bridge == ""
    (problem,) = result.problems
    assert "bridge" in problem.message


def test_a_subnet_for_each_host() -> None:
    result = inventory(
        network(subnet=f"__host_label__: {LABEL}", bridge="__host_label__: bridge"),
        host(HERE, labels={LABEL: "10.42.1.0/24", "bridge": "cni0"}),
        host(THERE, labels={LABEL: "10.42.2.1/24", "bridge": "cni1"}),
        container("a", "10.42.1.5"),
        container("b", "10.42.2.5", host=THERE),
        container("c", "10.42.3.5", host=THERE),
    )
    assert managed(result).bridge == "cni0"
    assert list(map(str, managed(result).subnets)) == ["10.42.1.0/24", "10.42.2.0/24"]
    assert set(result.endpoints) == {address("10.42.1.5"), address("10.42.2.5")}
    assert wheres(result.problems) == ["container c (c)"]


def test_a_new_host_extends_the_subnets() -> None:
    things: list[Thing] = [
        network(subnet=f"__host_label__: {LABEL}"),
        host(HERE, labels={LABEL: "10.42.1.0/24"}),
        container("b", "10.42.2.5", host=THERE),
    ]
    result = inventory(*things)
    assert not result.endpoints
    change = result.load(bare_snapshot(*things, host(THERE, labels={LABEL: "10.42.2.0/24"})), now=1)
    assert change.network
    assert change.problems
    assert change.endpoints.keys() == {address("10.42.2.5")}


def test_this_host_lacks_its_labels() -> None:
    result = inventory(
        network(subnet=f"__host_label__: {LABEL}", bridge="__host_label__: bridge"),
        host(THERE, labels={LABEL: "10.42.2.0/24", "bridge": "cni1"}),
    )
    assert managed(result).bridge == ""
    assert list(map(str, managed(result).subnets)) == ["10.42.2.0/24"]
    assert len(result.problems) == 2
    assert all(HERE in problem.message or "this host" in problem.message for problem in result.problems)


def test_a_linked_environment_adds_its_subnets_and_endpoints() -> None:
    result = inventory(
        network(),
        network("net-dev", "10.50.0.0/16", environment="east/dev"),
        network("net-spare", "10.51.0.0/16", environment="east/dev"),
        host("dev-host", environment="east/dev"),
        container("mine", "10.42.0.2"),
        container("theirs", "10.50.0.2", of="east/dev:shop/web", network="net-dev", host="dev-host"),
        linked=LINKED,
    )
    assert managed(result).uuid == "net-managed"
    assert list(map(str, managed(result).subnets)) == ["10.42.0.0/16", "10.50.0.0/16"]
    assert managed(result).others == ()
    assert set(result.endpoints) == {address("10.42.0.2"), address("10.50.0.2")}
    assert not result.problems


def test_a_linked_network_counts_from_its_first_container_on() -> None:
    things: list[Thing] = [
        network(),
        network("net-dev", "10.50.0.0/16", environment="east/dev"),
        host(HERE),
        host("dev-host", environment="east/dev"),
    ]
    theirs = container("theirs", "10.50.0.2", of="east/dev:shop/web", network="net-dev")
    result = Inventory()
    result.load(bare_snapshot(*things, linked=LINKED), now=0)
    assert len(managed(result).subnets) == 1
    assert result.load(bare_snapshot(*things, theirs, linked=LINKED), now=1).network
    assert len(managed(result).subnets) == 2
    assert result.load(bare_snapshot(*things, linked=LINKED), now=2).network
    assert len(managed(result).subnets) == 1


@pytest.mark.parametrize(
    "things",
    [
        [],
        [host("dev-host", environment="east/dev")],
        [host("dev-host", environment="east/dev"), network("net-dev", "nonsense", environment="east/dev")],
        [
            host("dev-host", environment="east/dev"),
            network("net-dev", f"__host_label__: {LABEL}", environment="east/dev"),
            container("theirs", "10.50.0.2", of="east/dev:shop/web", network="net-dev"),
        ],
        [network("net-dev", "10.50.0.0/16", environment="east/dev")],
    ],
)
def test_a_broken_linked_environment_is_named_and_stops_nothing(things: list[Thing]) -> None:
    result = inventory(network(), container("mine", "10.42.0.2"), *things, linked=LINKED)
    assert list(map(str, managed(result).subnets)) == ["10.42.0.0/16"]
    assert set(result.endpoints) == {address("10.42.0.2")}
    assert "linked environment east/dev" in wheres(result.problems)


def test_a_linked_environment_that_goes_takes_its_endpoints_along() -> None:
    things: list[Thing] = [
        network("net-dev", "10.50.0.0/16", environment="east/dev"),
        host("dev-host", environment="east/dev"),
        container("theirs", "10.50.0.2", of="east/dev:shop/web", network="net-dev"),
    ]
    result = Inventory()
    result.load(snapshot(*things, linked=LINKED), now=0)
    change = result.load(snapshot(*things), now=1)
    assert change.network
    assert change.endpoints == {address("10.50.0.2"): None}


def test_a_removed_network_stays_while_it_is_the_only_one() -> None:
    result = inventory(network(), container("mine", "10.42.0.2"))
    assert not result.apply(NetworkUpdate("net-managed", {"state": "removing"}), now=1)
