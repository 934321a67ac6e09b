"""What the demo shows: one environment, and policies for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from corral.model.entities import PortRule
from corral.sandbox.blueprint import Blueprint, ServiceSpec, StackSpec

DEPARTMENT = "com.rancher.department"
LOCATION = "com.rancher.location"
QA, ENGINEERING = {DEPARTMENT: "qa"}, {DEPARTMENT: "engineering"}
Rules = tuple[Mapping[str, object], ...]

WITHIN_STACK: Mapping[str, object] = {"within": "stack", "action": "allow"}
WITHIN_LINKED: Mapping[str, object] = {"within": "linked", "action": "allow"}
BY_DEPARTMENT: Mapping[str, object] = {"between": {"groupBy": DEPARTMENT}, "action": "allow"}
WEB_TO_DATABASE: Mapping[str, object] = {
    "from": {"selector": "tier = web"},
    "to": {"selector": "tier = data"},
    "ports": ["5432/tcp"],
    "action": "allow",
}
EDGE_TO_WEB: Mapping[str, object] = {
    "from": {"selector": "tier = edge"},
    "to": {"selector": "tier in (web, blog)"},
    "ports": ["80"],
    "action": "allow",
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A policy, and the stacks whose matrix is shown for it; every pair of containers is probed in any case."""

    title: str
    rules: Rules
    default: str
    stacks: tuple[str, ...]


OF_THE_SEED = ("stack_one", "stack_two", "stack_three")
OF_THE_SHOP = ("shop", "blog")

SCENARIOS = (
    Scenario("No two containers may talk to each other", (), "deny", OF_THE_SEED),
    Scenario("Containers talk within their stack only", (WITHIN_STACK,), "deny", OF_THE_SEED),
    Scenario("Containers of one department talk to each other", (BY_DEPARTMENT,), "deny", OF_THE_SEED),
    Scenario("Links: the load balancer reaches what it balances", (WITHIN_LINKED,), "deny", OF_THE_SHOP),
    Scenario("From and to, with ports", (EDGE_TO_WEB, WEB_TO_DATABASE), "deny", OF_THE_SHOP),
)


def demo_blueprint(hosts: int) -> Blueprint:
    """The stacks of the seed document, and a shop with a load balancer."""
    one = (
        ServiceSpec(name="service_one", labels=QA, scale=2),
        ServiceSpec(name="service_two", labels=ENGINEERING, scale=2),
        ServiceSpec(name="service_three", labels={LOCATION: "cupertino"}),
    )
    two = (
        ServiceSpec(name="service_one", labels=QA, scale=2),
        ServiceSpec(name="service_two", labels={LOCATION: "cupertino"}),
    )
    three = (
        ServiceSpec(name="service_one", labels=ENGINEERING, scale=2),
        ServiceSpec(name="service_two", labels={LOCATION: "phoenix"}),
    )
    balanced = (PortRule(service="shop/web"), PortRule(selector="app=blog"))
    shop = (
        ServiceSpec(name="lb", kind="loadBalancerService", labels={"tier": "edge"}, port_rules=balanced),
        ServiceSpec(name="web", scale=2, labels={"tier": "web"}, links={"shop/db": "db"}),
        ServiceSpec(name="db", labels={"tier": "data"}),
    )
    blog = (ServiceSpec(name="web", labels={"tier": "blog", "app": "blog"}),)
    named = {"stack_one": one, "stack_two": two, "stack_three": three, "shop": shop, "blog": blog}
    return Blueprint(hosts=hosts, stacks=tuple(StackSpec(name, services) for name, services in named.items()))
