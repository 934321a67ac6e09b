"""The inventory as its users see it: base and overlay, and exactly what changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from corral.model.change import Change
from corral.model.entities import NO_LABELS, Environment, PortRule, Snapshot
from corral.model.inventory import Inventory
from corral.model.updates import ContainerFields, ContainerUpdate, NetworkUpdate, ServiceUpdate, StackUpdate
from corral.types import Problem, Subnet
from tests.model.builders import (
    HERE,
    MANAGED,
    THERE,
    Thing,
    address,
    balancer,
    bare_snapshot,
    container,
    host,
    network,
    service,
    service_key,
    snapshot,
    stack_key,
)

WEB = address("10.42.0.2")
DB = address("10.42.0.3")
NEW = address("10.42.0.9")


def base() -> Snapshot:
    return snapshot(
        container("web-1", "10.42.0.2", of="shop/web", labels={"tier": "front"}),
        container("db-1", "10.42.0.3", of="shop/db", host=THERE),
    )


def loaded(content: Snapshot | None = None) -> Inventory:
    inventory = Inventory()
    inventory.load(base() if content is None else content, now=0)
    return inventory


def test_an_empty_inventory_knows_nothing() -> None:
    inventory = Inventory()
    assert inventory.network is None
    assert not inventory.endpoints
    assert not inventory.containers
    assert inventory.problems == ()
    assert inventory.endpoint_of("web-1") is None


def test_a_first_snapshot_reports_everything() -> None:
    inventory = Inventory()
    change = inventory.load(base(), now=0)
    assert list(change.endpoints) == [WEB, DB]
    assert change.endpoints == inventory.endpoints
    assert change.network
    assert not change.problems
    assert inventory.network is not None
    assert inventory.network.uuid == MANAGED
    assert inventory.network.subnets == (Subnet.parse("10.42.0.0/16"),)
    assert inventory.self_host == HERE
    assert set(inventory.hosts) == {HERE, THERE}
    assert set(inventory.services) == {service_key("shop/web"), service_key("shop/db")}
    assert set(inventory.stacks) == {stack_key("shop")}
    assert set(inventory.networks) == {MANAGED}
    assert inventory.environment.name == "default"
    assert inventory.linked == {}


def test_an_equal_snapshot_is_no_change() -> None:
    inventory = loaded()
    assert inventory.load(base(), now=1) == Change()
    assert not inventory.load(base(), now=2)


def test_only_what_differs_is_reported() -> None:
    inventory = loaded()
    content = base()
    moved = replace(content.containers["db-1"], address=NEW)
    change = inventory.load(replace(content, containers={**content.containers, "db-1": moved}), now=1)
    assert change.endpoints == {DB: None, NEW: inventory.endpoints[NEW]}
    assert not change.network
    assert not change.problems


def test_a_difference_that_no_policy_can_see_is_not_reported() -> None:
    inventory = loaded()
    assert inventory.apply(ContainerUpdate("web-1", {"name": "renamed", "state": "starting"}), now=1) == Change()
    assert inventory.containers["web-1"].name == "renamed"


def test_an_event_touches_only_what_it_mentions() -> None:
    inventory = loaded()
    change = inventory.apply(ContainerUpdate("web-1", {"labels": {"tier": "back"}}), now=1)
    assert list(change.endpoints) == [WEB]
    assert inventory.endpoints[WEB].labels == ({"tier": "back"},)
    assert inventory.endpoints[WEB].services == {service_key("shop/web")}
    assert inventory.containers["web-1"].host == HERE


def test_an_event_that_mentions_nothing_is_no_change() -> None:
    inventory = loaded()
    assert not inventory.apply(ContainerUpdate("web-1", {}), now=1)
    assert not inventory.apply(ContainerUpdate("unknown", {}), now=1)
    assert "unknown" not in inventory.containers


def test_a_young_event_outlives_a_snapshot_that_trails() -> None:
    inventory = loaded()
    inventory.apply(ContainerUpdate("web-1", {"labels": {"tier": "back"}}), now=1)
    assert not inventory.load(base(), now=3)
    assert inventory.endpoints[WEB].labels == ({"tier": "back"},)


def test_a_snapshot_confirms_an_event_and_rules_from_then_on() -> None:
    inventory = loaded()
    inventory.apply(ContainerUpdate("web-1", {"labels": {"tier": "back"}}), now=1)
    content = base()
    confirming = replace(content.containers["web-1"], labels={"tier": "back"})
    assert not inventory.load(replace(content, containers={**content.containers, "web-1": confirming}), now=2)
    change = inventory.load(base(), now=3)
    assert change.endpoints[WEB] is inventory.endpoints[WEB]
    assert inventory.endpoints[WEB].labels == ({"tier": "front"},)


def test_a_half_confirmed_event_stays_whole() -> None:
    """A restart with a new address: the trailing snapshot already says "running" by coincidence, from before."""
    inventory = loaded()
    inventory.apply(ContainerUpdate("web-1", {"state": "running", "address": NEW}), now=1)
    inventory.load(base(), now=2)
    content = base()
    stopped = replace(content.containers["web-1"], state="stopped")
    assert not inventory.load(replace(content, containers={**content.containers, "web-1": stopped}), now=3)
    assert inventory.endpoint_of("web-1") == NEW


def test_an_unconfirmed_event_expires_with_a_snapshot() -> None:
    inventory = loaded()
    inventory.apply(ContainerUpdate("web-1", {"labels": NO_LABELS}), now=1)
    assert not inventory.load(base(), now=60)
    assert inventory.load(base(), now=61).endpoints.keys() == {WEB}
    assert inventory.endpoints[WEB].labels == ({"tier": "front"},)


def test_an_unconfirmed_event_expires_without_a_snapshot() -> None:
    inventory = loaded()
    inventory.apply(ContainerUpdate("web-1", {"state": "stopped"}), now=1)
    assert not inventory.expire(now=60)
    assert inventory.expire(now=61).endpoints == {WEB: inventory.endpoints[WEB]}
    assert not inventory.expire(now=200)


def test_each_field_of_an_event_expires_by_its_own_age() -> None:
    inventory = loaded()
    inventory.apply(ContainerUpdate("web-1", {"labels": {"lie": "yes"}, "system": True}), now=1)
    inventory.apply(ContainerUpdate("web-1", {"system": True}), now=50)
    inventory.expire(now=61)
    assert inventory.endpoints[WEB].labels == ({"tier": "front"},)
    assert inventory.endpoints[WEB].system
    inventory.expire(now=110)
    assert not inventory.endpoints[WEB].system


def test_the_limit_is_a_setting() -> None:
    inventory = Inventory(overlay_limit=5)
    inventory.load(base(), now=0)
    inventory.apply(ContainerUpdate("web-1", {"state": "stopped"}), now=1)
    assert inventory.expire(now=6)


def test_a_removed_container_is_dead_at_once_and_stays_dead() -> None:
    inventory = loaded()
    change = inventory.apply(ContainerUpdate("web-1", {"state": "removed"}), now=1)
    assert change.endpoints == {WEB: None}
    assert not inventory.load(base(), now=2)
    assert inventory.endpoint_of("web-1") is None


def started(uuid: str, service: str | None) -> ContainerUpdate:
    """All that an event says of a new container."""
    key = service_key(service) if service else None
    return ContainerUpdate(
        uuid, {"state": "starting", "address": NEW, "network": MANAGED, "service": key, "labels": {"tier": "front"}}
    )


def test_a_container_known_by_event_alone_exists_until_the_event_is_too_old() -> None:
    inventory = loaded()
    assert inventory.apply(started("web-2", "shop/web"), now=1).endpoints == {NEW: inventory.endpoints[NEW]}
    assert inventory.endpoints[NEW].services == {service_key("shop/web")}
    assert not inventory.load(base(), now=2)
    assert inventory.load(base(), now=61).endpoints == {NEW: None}
    assert "web-2" not in inventory.containers


def test_a_container_known_by_a_dead_event_alone_does_not_exist() -> None:
    inventory = loaded()
    assert not inventory.apply(ContainerUpdate("gone", {"state": "removed", "address": NEW, "network": MANAGED}), now=1)
    assert "gone" not in inventory.containers


@pytest.mark.parametrize("missing", ["state", "address", "network", "service", "labels"])
@pytest.mark.parametrize("service", [None, "shop/web"])
def test_a_container_known_by_event_alone_is_not_known_by_half(missing: str, service: str | None) -> None:
    inventory = loaded()
    whole = started("web-2", service)
    half = {name: value for name, value in whole.fields.items() if name != missing}
    assert not inventory.apply(ContainerUpdate("web-2", half), now=1)  # type: ignore[arg-type]
    assert "web-2" not in inventory.containers
    rest = {missing: whole.fields[missing]}  # type: ignore[literal-required]
    assert inventory.apply(ContainerUpdate("web-2", rest), now=2).endpoints.keys() == {NEW}  # type: ignore[arg-type]
    assert inventory.endpoints[NEW].labels == ({"tier": "front"},)
    assert inventory.expire(now=61).endpoints == {NEW: None}, "half of what the events said is too old"


def test_a_sharer_known_by_event_alone_needs_no_address_of_its_own() -> None:
    inventory = loaded()
    shares: ContainerFields = {"state": "running", "address": None, "network_from": "web-1"}
    assert not inventory.apply(ContainerUpdate("side", shares), now=1)
    assert inventory.apply(ContainerUpdate("side", {"service": None, "labels": {}}), now=1).endpoints.keys() == {WEB}
    assert inventory.endpoints[WEB].containers == ("side", "web-1")


def test_a_container_known_by_event_alone_waits_for_an_event_of_its_service() -> None:
    inventory = loaded()
    assert not inventory.apply(started("new-1", "shop/new"), now=1)
    assert inventory.apply(ServiceUpdate(service_key("shop/new"), {"labels": {"owner": "ann"}}), now=2).endpoints == {
        NEW: inventory.endpoints[NEW]
    }
    assert inventory.endpoints[NEW].labels == ({"tier": "front", "owner": "ann"},)
    inventory.apply(started("new-1", "shop/new"), now=40)
    assert inventory.expire(now=62).endpoints == {NEW: None}, "the service is not known any more"


def test_a_container_known_by_event_alone_waits_for_a_snapshot_with_its_service() -> None:
    inventory = loaded()
    inventory.apply(started("new-1", "shop/new"), now=1)
    content = base()
    new = service("shop/new", labels={"owner": "ann"})
    change = inventory.load(replace(content, services={**content.services, new.key: new}), now=2)
    assert change.endpoints == {NEW: inventory.endpoints[NEW]}
    assert inventory.endpoints[NEW].labels == ({"tier": "front", "owner": "ann"},)
    assert inventory.load(base(), now=3).endpoints == {NEW: None}


def test_the_service_of_a_listed_container_need_not_be_listed() -> None:
    inventory = loaded(bare_snapshot(network(), host(HERE), container("web-1", "10.42.0.2", of="shop/web")))
    assert inventory.endpoint_of("web-1") == WEB


def test_a_sidekick_known_by_event_alone_counts_as_its_primary() -> None:
    inventory = loaded()
    inventory.apply(ServiceUpdate(service_key("shop/side"), {"primary": "web", "labels": {}}), now=1)
    inventory.apply(started("side-1", "shop/side"), now=1)
    assert inventory.endpoints[NEW].services == {service_key("shop/web")}


def test_the_end_of_a_service_makes_none() -> None:
    inventory = loaded()
    inventory.apply(started("new-1", "shop/new"), now=1)
    assert not inventory.apply(ServiceUpdate(service_key("shop/new"), {"links": ()}), now=2)
    assert service_key("shop/new") not in inventory.services


def test_a_container_that_leaves_the_snapshot_is_gone() -> None:
    inventory = loaded()
    change = inventory.load(snapshot(container("db-1", "10.42.0.3", of="shop/db", host=THERE)), now=1)
    assert change.endpoints == {WEB: None}
    assert set(inventory.containers) == {"db-1"}


def test_an_event_about_labels_does_not_bring_a_removed_container_back() -> None:
    inventory = loaded()
    inventory.apply(ContainerUpdate("web-1", {"labels": {}}), now=1)
    assert inventory.load(snapshot(), now=2).endpoints == {WEB: None, DB: None}
    assert "web-1" not in inventory.containers


def test_a_young_event_keeps_what_it_says_itself_of_a_container_that_leaves_the_snapshot() -> None:
    inventory = loaded()
    inventory.apply(started("web-1", None), now=1)
    inventory.load(snapshot(), now=2)
    assert inventory.endpoint_of("web-1") == NEW
    assert inventory.endpoints[NEW].services == frozenset()
    inventory.expire(now=61)
    assert inventory.endpoint_of("web-1") is None


def test_an_event_before_the_first_snapshot_waits_for_it() -> None:
    inventory = Inventory()
    assert inventory.apply(ContainerUpdate("web-1", {"labels": {"tier": "back"}}), now=0).endpoints == {}
    inventory.load(base(), now=1)
    assert inventory.endpoints[WEB].labels == ({"tier": "back"},)


def test_a_service_event_reaches_its_containers() -> None:
    inventory = loaded()
    change = inventory.apply(ServiceUpdate(service_key("shop/web"), {"labels": {"owner": "ann"}}), now=1)
    assert list(change.endpoints) == [WEB]
    assert inventory.endpoints[WEB].labels == ({"tier": "front", "owner": "ann"},)
    inventory.apply(ServiceUpdate(service_key("shop/web"), {"links": ("db",)}), now=2)
    assert inventory.endpoints[WEB].links_to == {service_key("shop/db")}
    assert inventory.expire(now=100).endpoints.keys() == {WEB}
    assert inventory.endpoints[WEB].links_to == frozenset()


def test_a_service_known_by_event_alone() -> None:
    inventory = loaded(bare_snapshot(network(), host(HERE), container("web-1", "10.42.0.2", of="shop/web")))
    assert inventory.apply(ServiceUpdate(service_key("shop/web"), {"system": True}), now=1)
    assert inventory.endpoints[WEB].system


def test_a_stack_event_reaches_its_containers() -> None:
    inventory = loaded()
    assert inventory.apply(StackUpdate(stack_key("shop"), True), now=1).endpoints.keys() == {WEB, DB}
    assert inventory.endpoints[WEB].system
    assert inventory.load(base(), now=61).endpoints.keys() == {WEB, DB}


def test_a_policy_event_changes_the_network_at_once() -> None:
    inventory = loaded()
    rules = [{"within": "stack", "action": "allow"}]
    change = inventory.apply(NetworkUpdate(MANAGED, {"policy": rules, "default_policy_action": "deny"}), now=1)
    assert change == Change(network=True)
    assert inventory.network is not None
    assert inventory.network.policy == rules
    assert inventory.network.default_policy_action == "deny"
    assert not inventory.apply(NetworkUpdate(MANAGED, {"policy": list(rules)}), now=2)
    assert inventory.expire(now=100) == Change(network=True)
    assert inventory.network.policy is None


def test_an_event_of_an_unknown_network_is_no_change() -> None:
    inventory = loaded()
    assert not inventory.apply(NetworkUpdate("other", {"policy": []}), now=1)


def test_problems_of_the_snapshot_are_passed_on() -> None:
    inventory = loaded()
    problem = Problem("containers[3]", "uuid: given 3, allowed: text")
    assert inventory.load(replace(base(), problems=(problem,)), now=1) == Change(problems=True)
    assert list(inventory.problems) == [problem]
    assert inventory.load(base(), now=2) == Change(problems=True)
    assert not inventory.problems


def test_learning_which_host_this_is() -> None:
    inventory = loaded(replace(base(), self_host=""))
    assert not inventory.endpoints[WEB].local
    assert inventory.load(base(), now=1).endpoints.keys() == {WEB}
    assert inventory.endpoints[WEB].local
    assert not inventory.endpoints[DB].local


def test_without_a_managed_network_there_are_no_endpoints() -> None:
    inventory = loaded()
    content = replace(base(), networks={})
    change = inventory.load(content, now=1)
    assert change == Change(endpoints={WEB: None, DB: None}, network=True, problems=True)
    assert inventory.network is None
    assert [problem.where for problem in inventory.problems] == ["managed network"]
    assert inventory.load(base(), now=2).endpoints.keys() == {WEB, DB}


def test_a_link_appears_with_the_service_it_names() -> None:
    content = snapshot(
        container("web-1", "10.42.0.2", of="shop/web"),
        service("shop/web", links=["shop/store"]),
    )
    inventory = loaded(content)
    renamed = service("shop/store", primary="main")
    change = inventory.load(replace(content, services={**content.services, renamed.key: renamed}), now=1)
    assert change.endpoints.keys() == {WEB}
    assert inventory.endpoints[WEB].links_to == {service_key("shop/main")}


def test_a_stack_that_becomes_a_system_one_is_not_selected_any_more() -> None:
    inventory = loaded(
        snapshot(
            container("lb-1", "10.42.0.2", of="edge/lb"),
            balancer("edge/lb", PortRule(selector="tier=front")),
            service("shop/web", labels={"tier": "front"}),
        )
    )
    assert inventory.endpoints[WEB].links_to == {service_key("shop/web")}
    assert inventory.apply(StackUpdate(stack_key("shop"), True), now=1).endpoints.keys() == {WEB}
    assert inventory.endpoints[WEB].links_to == frozenset()


def test_links_into_an_environment_that_is_linked_later() -> None:
    things: list[Thing] = [container("web-1", "10.42.0.2", of="shop/web"), service("shop/web", links=["dev/ops/log"])]
    inventory = loaded(snapshot(*things))
    assert [problem.where for problem in inventory.problems] == ["service shop/web"]
    linked = {"dev": Environment(name="Dev")}
    assert inventory.load(snapshot(*things, linked=linked), now=1).endpoints.keys() == {WEB}
    assert inventory.endpoints[WEB].links_to == {service_key("dev:ops/log")}
    assert {problem.where for problem in inventory.problems} == {"linked environment dev"}
    assert inventory.linked == linked
