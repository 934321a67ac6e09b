from __future__ import annotations

import pytest

from corral.errors import UsageError
from corral.sandbox.environment import Environment, ResourceChange
from corral.sandbox.records import Sidekick


@pytest.fixture
def environment() -> Environment:
    made = Environment()
    made.add_stack("shop")
    made.add_service("shop/web", labels={"tier": "web"}, sidekicks=[Sidekick("log", {"tier": "log"})])
    return made


def changes(environment: Environment) -> list[ResourceChange]:
    seen: list[ResourceChange] = []
    environment.listeners.append(seen.append)
    return seen


def test_has_rancher_infrastructure_on_every_host(environment: Environment) -> None:
    assert [environment.router(number).address for number in (0, 1)] == ["10.42.1.1", "10.42.2.1"]
    assert all(container.system for container in environment.records.containers.values())
    host = environment.add_host()
    assert environment.router(2).host == host.id


def test_a_container_lives_and_every_step_is_told(environment: Environment) -> None:
    seen = changes(environment)
    container = environment.create_container("shop/web", host=1)
    environment.set_state(container.name, "starting")
    environment.set_running(container.name, environment.allocate_address(1))
    environment.stop_container(container.name)
    environment.remove_container(container.name)
    states = [change.resource["state"] for change in seen]
    assert states == ["creating", "starting", "running", "stopping", "stopped", "removing", "removed"]
    assert {(change.type, change.id) for change in seen} == {("container", container.id)}
    assert [change.resource["primaryIpAddress"] for change in seen][1:3] == [None, "10.42.2.2"]
    assert [bool(change.resource["removed"]) for change in seen[-2:]] == [False, True]
    with pytest.raises(UsageError, match=container.name):
        environment.container(container.name)


def test_containers_get_names_labels_and_addresses_of_their_own(environment: Environment) -> None:
    containers = [environment.create_container("shop/web") for _ in range(2)]
    sidekick = environment.create_container("shop/web", launch="log")
    assert [container.name for container in containers] == ["shop-web-1", "shop-web-2"]
    assert sidekick.name == "shop-web-log-1"
    assert containers[0].labels["tier"] == "web"
    assert sidekick.labels["tier"] == "log"
    assert sidekick.labels["io.rancher.service.launch.config"] == "log"
    addresses = [environment.allocate_address(host) for host in (0, 1) for _ in range(600)]
    assert len(set(addresses)) == 1200
    assert addresses[0] == "10.42.1.2"


def test_a_name_is_free_again_after_removal(environment: Environment) -> None:
    environment.create_container("shop/web")
    environment.remove_container("shop-web-1")
    assert environment.create_container("shop/web").name == "shop-web-1"


def test_labels_of_a_service_reach_its_primary_containers(environment: Environment) -> None:
    primary, sidekick = (environment.create_container("shop/web", launch=launch) for launch in ("", "log"))
    environment.set_service_labels("shop/web", {"tier": "edge"})
    assert environment.service("shop/web").labels == {"tier": "edge"}
    assert environment.container(primary.name).labels["tier"] == "edge"
    assert environment.container(primary.name).labels["io.rancher.stack.name"] == "shop"
    assert environment.container(sidekick.name).labels["tier"] == "log"


def test_policy_links_and_system_change(environment: Environment) -> None:
    seen = changes(environment)
    environment.set_policy([{"within": "stack", "action": "allow"}], "deny")
    environment.set_links("shop/web", {"shop/db": "db"})
    environment.set_system("shop", system=True)
    assert [change.type for change in seen] == ["network", "service", "stack"]
    assert seen[0].resource["defaultPolicyAction"] == "deny"
    assert environment.service("shop/web").links == {"shop/db": "db"}
    assert seen[2].resource["system"] is True


def test_containers_link_and_share_networks_by_name(environment: Environment) -> None:
    one = environment.create_container(name="one")
    other = environment.create_container(name="other", links={"peer": "one"}, network_from="one")
    assert (other.links, other.network_from, other.service) == ({"peer": one.id}, one.id, None)


def test_two_environments_are_alike() -> None:
    assert Environment().records == Environment().records
    assert Environment(namespace="1a6").network.uuid != Environment().network.uuid


@pytest.mark.parametrize("path", ["shop/none", "none/web"])
def test_an_unknown_name_is_an_error(environment: Environment, path: str) -> None:
    with pytest.raises(UsageError, match=path):
        environment.service(path)
