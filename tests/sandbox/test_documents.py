from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from corral.model.entities import PortRule
from corral.sandbox.documents import DATES, NEWEST, render_root
from corral.sandbox.environment import Environment
from corral.sandbox.records import Sidekick


@pytest.fixture
def environment() -> Environment:
    made = Environment()
    made.add_stack("Shop")
    made.add_service("Shop/DB")
    sidekicks = [Sidekick("Log", {"a": "b"}, shares_network=True)]
    made.add_service("Shop/Web", links={"DB": "db", "prod/Other/X": "x"}, sidekicks=sidekicks)
    made.add_service("Shop/LB", kind="loadBalancerService", port_rules=[PortRule(service="shop/web", selector="a=b")])
    web = made.create_container("Shop/Web")
    made.set_running(web.name, "10.42.1.2")
    log = made.create_container("Shop/Web", launch="Log", network_from=web.name)
    made.set_running(log.name, None)
    return made


def root(environment: Environment, date: str = NEWEST) -> dict[str, Any]:
    return render_root(environment.records, environment.host(0), date)


def named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(item for item in items if item["name"] == name)


def test_each_container_is_there_three_times(environment: Environment) -> None:
    document = root(environment)
    everywhere = [
        *document["containers"],
        *(container for service in document["services"] for container in service["containers"]),
        *(
            container
            for stack in document["stacks"]
            for service in stack["services"]
            for container in service["containers"]
        ),
    ]
    counts = Counter(container["uuid"] for container in everywhere)
    assert set(counts.values()) == {3}
    assert len(counts) == len(environment.records.containers)


def test_names_are_lower_case_at_the_newest_date_only(environment: Environment) -> None:
    assert named(root(environment)["services"], "web")["stack_name"] == "shop"
    assert named(root(environment, "2015-12-19")["services"], "Web")["stack_name"] == "Shop"


def test_the_oldest_date_lists_names_of_containers(environment: Environment) -> None:
    assert named(root(environment, "2015-07-25")["services"], "Web")["containers"] == ["Shop-Web-1"]


def test_a_sidekick_shares_its_primary_uuid_and_network(environment: Environment) -> None:
    document = root(environment)
    web, log = (named(document["services"], name) for name in ("web", "log"))
    assert log["uuid"] == web["uuid"]
    assert (log["primary_service_name"], web["primary_service_name"], web["sidekicks"]) == ("web", "web", ["log"])
    shared = named(document["containers"], "shop-web-log-1")
    assert shared["primary_ip"] is None
    assert shared["service_name"] == "log"
    assert shared["network_from_container_uuid"] == named(document["containers"], "shop-web-1")["uuid"]


def test_links_are_maps_of_lower_case_paths(environment: Environment) -> None:
    assert named(root(environment)["services"], "web")["links"] == {"shop/db": "db", "prod/other/x": "x"}
    rule = named(root(environment)["services"], "lb")["lb_config"]["port_rules"][0]
    assert (rule["service"], rule["selector"]) == ("shop/web", "a=b")


def test_a_stopped_container_is_listed_with_its_address_a_removed_one_is_not(environment: Environment) -> None:
    environment.stop_container("Shop-Web-1")
    stopped = named(root(environment)["containers"], "shop-web-1")
    assert (stopped["state"], stopped["primary_ip"]) == ("stopped", "10.42.1.2")
    environment.set_state("Shop-Web-1", "error")
    assert "shop-web-1" not in {container["name"] for container in root(environment)["containers"]}


def test_the_managed_network_is_marked_the_wrong_way_round(environment: Environment) -> None:
    networks = root(environment)["networks"]
    managed = named(networks, "ipsec")
    assert (managed["is_default"], managed["host_ports"]) == (False, True)
    assert managed["metadata"]["cniConfig"]["10-rancher.conf"]["bridgeSubnet"] == "10.42.0.0/16"
    assert all(network["is_default"] for network in networks if network is not managed)


def test_rules_come_as_objects_with_nulls_and_as_json_texts(environment: Environment) -> None:
    rules = [{"within": "stack", "action": "allow"}] * 2
    environment.set_policy(rules, "deny")
    first, second = named(root(environment)["networks"], "ipsec")["policy"]
    assert first["within"] == "stack"
    assert (first["type"], first["between"], first["ports"]) == ("networkPolicyRule", None, None)
    assert json.loads(second) == first


def test_a_policy_that_is_no_list_goes_through(environment: Environment) -> None:
    for odd in (None, "odd", {"a": 1}):
        environment.set_policy(odd, None)
        assert named(root(environment)["networks"], "ipsec")["policy"] == odd


@pytest.mark.parametrize("date", DATES)
def test_self_is_the_host(environment: Environment, date: str) -> None:
    document = render_root(environment.records, environment.host(1), date)
    assert document["self"]["host"]["uuid"] == environment.host(1).uuid
    assert list(document["self"]) == ["host"]
