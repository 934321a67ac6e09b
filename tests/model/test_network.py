"""The choice of the managed network, and the networks of linked environments."""

from __future__ import annotations

from dataclasses import replace

import pytest

from corral.model.change import ManagedNetwork
from corral.model.entities import Container, Environment
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


@pytest.mark.parametrize("labels", [{}, {LABEL: "10.42.1.0"}, {LABEL: "nonsense"}, {LABEL: ""}])
@pytest.mark.parametrize("others", [{}, {LABEL: "10.42.2.0/24"}])
def test_without_the_subnet_of_this_host_no_network_is_managed(labels: dict[str, str], others: dict[str, str]) -> None:
    things: list[Thing] = [
        network(subnet=f"__host_label__: {LABEL}"),
        host(THERE, labels=others),
        container("a", "10.42.1.5"),
        container("b", "10.42.2.5", host=THERE),
    ]
    result = inventory(host(HERE, labels=labels), *things)
    assert result.network is None
    assert not result.endpoints
    assert any(HERE in problem.message and LABEL in problem.message for problem in result.problems)
    change = result.load(bare_snapshot(*things, host(HERE, labels={LABEL: "10.42.1.0/24"})), now=1)
    assert change.network
    assert address("10.42.1.5") in result.endpoints


def test_an_unknown_host_has_no_subnet() -> None:
    result = Inventory()
    things: list[Thing] = [network(subnet=f"__host_label__: {LABEL}"), host(THERE, labels={LABEL: "10.42.2.0/24"})]
    result.load(bare_snapshot(*things), now=0)
    assert result.network is None
    assert any(HERE in problem.message for problem in result.problems)
    result.load(bare_snapshot(*things, self_host=""), now=1)
    assert result.network is None
    assert any("unknown" in problem.message for problem in result.problems)


def test_the_subnet_of_a_remote_host_that_can_not_be_read() -> None:
    result = inventory(
        network(subnet=f"__host_label__: {LABEL}"),
        host(HERE, labels={LABEL: "10.42.1.0/24"}),
        host(THERE, labels={LABEL: "10.42.2.0"}),
        container("a", "10.42.1.5"),
        container("b", "10.42.2.5", host=THERE),
    )
    assert list(map(str, managed(result).subnets)) == ["10.42.1.0/24"]
    assert set(result.endpoints) == {address("10.42.1.5")}
    assert wheres(result.problems) == ["container b (b)", f"host {THERE} ({THERE})"]


def test_the_choice_goes_on_while_the_subnet_of_this_host_is_missing() -> None:
    per_host = replace(OLD, bridge_subnet=f"__host_label__: {LABEL}")
    remote = host(THERE, labels={LABEL: "10.42.2.0/24"})
    result = inventory(per_host, NEW, remote, container("app", "10.42.0.2", network="net-old"))
    assert result.network is None
    assert result.apply(ContainerUpdate("app", {"network": "net-new"}), now=1).network
    assert managed(result).uuid == "net-new"
    assert set(result.endpoints) == {address("10.42.0.2")}


def test_this_host_lacks_the_label_of_its_bridge() -> None:
    result = inventory(network(bridge="__host_label__: bridge"), host(THERE, labels={"bridge": "cni1"}))
    assert managed(result).bridge == ""
    (problem,) = result.problems
    assert "'bridge'" in problem.message


@pytest.mark.parametrize(
    "name", ["a" * 16, "br 0", "br\t0", "br0\n", "\x7f", "br/0", "br:0", "br*", '"', "b\u00fccke", ".", ".."]
)
def test_a_bridge_that_no_interface_can_be_called(name: str) -> None:
    result = inventory(network(bridge=name), container("a", "10.42.0.2"))
    assert managed(result).bridge == ""
    assert set(result.endpoints) == {address("10.42.0.2")}
    (problem,) = result.problems
    assert problem.where == "network ipsec (net-managed)"
    assert repr(name) in problem.message
    labelled = inventory(network(bridge="__host_label__: bridge"), host(HERE, labels={"bridge": name}))
    assert managed(labelled).bridge == ""
    assert repr(name) in labelled.problems[0].message


@pytest.mark.parametrize("name", ["docker0", "a" * 15, "...", "br-1.2_x", "~!"])
def test_names_that_an_interface_can_have(name: str) -> None:
    result = inventory(network(bridge=name))
    assert managed(result).bridge == name
    assert not result.problems


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


def linked_container(environment: str, at: str) -> Container:
    return container(environment, at, of=f"{environment}:shop/web", network=f"net-{environment}")


@pytest.mark.parametrize("subnet", ["10.42.0.0/16", "10.42.7.0/24", "10.0.0.0/8"])
def test_a_linked_network_that_overlaps_ours_is_left_out(subnet: str) -> None:
    result = inventory(
        network(),
        network("net-dev", subnet, environment="dev"),
        host("dev-host", environment="dev"),
        container("mine", "10.42.0.2"),
        linked_container("dev", "10.42.7.3"),
        linked={"dev": Environment(name="dev")},
    )
    assert list(map(str, managed(result).subnets)) == ["10.42.0.0/16"]
    assert set(result.endpoints) == {address("10.42.0.2")}
    (problem,) = result.problems
    assert problem.where == "linked environment dev"
    assert f"{subnet} overlaps 10.42.0.0/16" in problem.message


def test_a_linked_network_that_overlaps_an_earlier_one_is_left_out() -> None:
    result = inventory(
        network(),
        network("net-dev", "10.50.0.0/16", environment="dev"),
        network("net-test", "10.50.1.0/24", environment="test"),
        host("dev-host", environment="dev"),
        host("test-host", environment="test"),
        linked_container("dev", "10.50.1.2"),
        linked_container("test", "10.50.1.3"),
        linked={name: Environment(name=name) for name in ("test", "dev")},
    )
    assert list(map(str, managed(result).subnets)) == ["10.42.0.0/16", "10.50.0.0/16"]
    assert set(result.endpoints) == {address("10.50.1.2")}
    (problem,) = result.problems
    assert problem.where == "linked environment test"
    assert "10.50.1.0/24 overlaps 10.50.0.0/16" in problem.message
    result.apply(ContainerUpdate("dev", {"state": "stopped"}), now=1)
    assert set(result.endpoints) == {address("10.50.1.3")}, "an empty network overlaps nothing"
    assert not result.problems


def test_a_linked_network_with_one_part_that_overlaps_is_left_out_whole() -> None:
    result = inventory(
        network(),
        network("net-dev", f"__host_label__: {LABEL}", environment="dev"),
        host("dev-1", environment="dev", labels={LABEL: "10.50.0.0/24"}),
        host("dev-2", environment="dev", labels={LABEL: "10.42.9.0/24"}),
        linked_container("dev", "10.50.0.2"),
        linked={"dev": Environment(name="dev")},
    )
    assert list(map(str, managed(result).subnets)) == ["10.42.0.0/16"]
    assert not result.endpoints
    assert wheres(result.problems) == ["linked environment dev"]


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
