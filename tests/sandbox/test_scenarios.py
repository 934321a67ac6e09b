from __future__ import annotations

from msgspec.json import encode

from corral.model.inventory import Inventory
from corral.policy.validate import parse_policy
from corral.policy.verdict import Scene, judge
from corral.sandbox.documents import render_root
from corral.sandbox.environment import Environment
from corral.sandbox.scenarios import OF_THE_SHOP, SCENARIOS, Scenario, demo_blueprint
from corral.types import Action, Address, Flow, Protocol
from corral.wire.metadata import SnapshotDecoder

TCP_80 = (Protocol.TCP, 80)


def allowed(scenario: Scenario, kind: tuple[Protocol, int | None] = TCP_80) -> set[tuple[str, str]]:
    """Pairs of services that may talk, one container a service, by the reference verdict."""
    environment, addresses = Environment(), {}
    for stack in demo_blueprint(2).stacks:
        environment.add_stack(stack.name)
        for service in stack.services:
            path = f"{stack.name}/{service.name}"
            environment.add_service(
                path, kind=service.kind, labels=service.labels, links=service.links, port_rules=service.port_rules
            )
            address = environment.allocate_address(0)
            environment.set_running(environment.create_container(path).name, address)
            addresses[path] = Address.parse(address)
    inventory = Inventory()
    inventory.load(SnapshotDecoder().decode(encode(render_root(environment.records, environment.host(0)))), 0)
    assert inventory.network is not None
    policy = parse_policy(list(scenario.rules), scenario.default)
    scene = Scene(policy=policy, subnets=inventory.network.subnets, endpoints=inventory.endpoints)
    return {
        (client, server)
        for client in addresses
        for server in addresses
        if client != server and judge(scene, Flow(addresses[client], addresses[server], *kind)).action is Action.ALLOW
    }


def both_ways(*pairs: tuple[str, str]) -> set[tuple[str, str]]:
    return {*pairs, *((other, one) for one, other in pairs)}


def test_the_examples_of_the_seed_mean_what_it_says() -> None:
    nothing, stack, department = SCENARIOS[:3]
    assert allowed(nothing) == set()
    assert all(client.split("/")[0] == server.split("/")[0] for client, server in allowed(stack))
    assert ("stack_one/service_three", "stack_one/service_one") in allowed(stack)
    assert allowed(department) == both_ways(
        ("stack_one/service_one", "stack_two/service_one"), ("stack_one/service_two", "stack_three/service_one")
    )


def test_links_and_ports_mean_what_the_demo_says() -> None:
    linked, ports = SCENARIOS[3:]
    balanced = {("shop/lb", "shop/web"), ("shop/lb", "blog/web")}
    assert allowed(linked) == {*balanced, ("shop/web", "shop/db")}
    assert allowed(ports) == balanced
    assert allowed(ports, (Protocol.TCP, 5432)) == {("shop/web", "shop/db")}
    assert allowed(ports, (Protocol.ICMP, None)) == set()


def test_scenarios_show_stacks_that_there_are() -> None:
    names = {stack.name for stack in demo_blueprint(2).stacks}
    assert {stack for scenario in SCENARIOS for stack in scenario.stacks} == names
    assert set(OF_THE_SHOP) < names
