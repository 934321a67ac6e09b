from __future__ import annotations

from corral.sandbox.environment import Environment
from corral.sandbox.records import Sidekick
from corral.sandbox.resources import REMOVED_AT, render_resource, resource_type


def test_resources_refer_by_id() -> None:
    environment = Environment()
    stack = environment.add_stack("Shop")
    database = environment.add_service("Shop/db", labels={"tier": "data"})
    web = environment.add_service(
        "Shop/web", links={"shop/DB": "db", "other/x": "x"}, sidekicks=[Sidekick("log", {"a": "b"})]
    )
    container = environment.create_container("Shop/web", host=1)
    shown = render_resource(environment.records, container)
    assert (shown["stackId"], shown["serviceIds"], shown["hostId"]) == (stack.id, [web.id], environment.host(1).id)
    assert (shown["id"], shown["uuid"], shown["type"]) == (container.id, container.uuid, "container")
    service = render_resource(environment.records, web)
    assert service["linkedServices"] == {"shop/DB": database.id}
    assert service["secondaryLaunchConfigs"] == [{"name": "log", "labels": {"a": "b"}}]
    assert service["instanceIds"] == [container.id]
    shown_stack = render_resource(environment.records, stack)
    assert shown_stack["serviceIds"] == [database.id, web.id]
    assert render_resource(environment.records, database)["launchConfig"] == {"labels": {"tier": "data"}}


def test_a_link_within_the_stack_needs_no_stack_name() -> None:
    environment = Environment()
    environment.add_stack("shop")
    database = environment.add_service("shop/db")
    web = environment.add_service("shop/web", links={"db": "db"})
    assert render_resource(environment.records, web)["linkedServices"] == {"db": database.id}


def test_ids_and_types_are_those_of_the_api() -> None:
    environment = Environment()
    records = environment.records
    assert list(records.hosts) == ["1h1", "1h2"]
    assert resource_type(environment.service("ipsec/cni-driver")) == "networkDriverService"
    assert render_resource(records, environment.service("ipsec/cni-driver"))["baseType"] == "service"
    assert render_resource(records, environment.host(0))["agentIpAddress"] == "192.0.2.10"
    network = render_resource(records, environment.network)
    assert {"policy", "defaultPolicyAction"} <= network.keys()


def test_only_what_is_removed_has_a_date_of_removal() -> None:
    environment = Environment()
    router = environment.router(0)
    assert render_resource(environment.records, router)["removed"] is None
    assert render_resource(environment.records, environment.set_state(router.name, "removed"))["removed"] == REMOVED_AT
