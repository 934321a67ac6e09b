"""The environment that inputs are made of: small, with one of everything that a policy can ask for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from corral.model.entities import PortRule
from corral.sandbox.documents import render_root
from corral.sandbox.environment import Environment
from corral.sandbox.resources import render_resource, resource_type

from .mutation import written

Json = dict[str, Any]

RULES: tuple[Any, ...] = (
    {"within": "stack", "action": "allow"},
    {"within": "linked", "action": "allow"},
    {"between": {"groupBy": "com.rancher.department"}, "action": "allow"},
    {"between": {"selector": "tier in (web, app), zone notin (north)"}, "action": "deny"},
    {"from": {"selector": "tier=web"}, "to": {"selector": "tier==db"}, "ports": ["5432/tcp", "53"], "action": "allow"},
)
POLICY: Json = {"policy": list(RULES), "defaultPolicyAction": "deny"}
POLICIES: tuple[Json, ...] = (
    POLICY,
    {"policy": [], "defaultPolicyAction": "deny"},
    {"policy": None, "defaultPolicyAction": None},
    {"policy": [{"within": "service", "action": "deny"}, *map(json.dumps, RULES)], "defaultPolicyAction": "allow"},
)
COLLECTIONS = ("hosts", "networks", "stacks", "services", "containers")


@cache
def environment() -> Environment:
    """Made once: identities are random, and both engines hold documents of it against each other."""
    made = Environment(hosts=2, namespace="fuzz")
    for stack in ("shop", "blog"):
        made.add_stack(stack)
    made.add_service("shop/db", labels={"tier": "db"})
    made.add_service("shop/web", labels={"tier": "web"}, links={"shop/db": "db", "shop/all": "all"})
    made.add_service("shop/all", kind="dnsService", links={"blog/web": "web", "shop/all": "itself"})
    rules = (PortRule(service="shop/web"), PortRule(selector="tier=web"), PortRule(service="default/blog/web"))
    made.add_service("shop/lb", kind="loadBalancerService", port_rules=rules)
    made.add_service("blog/web", labels={"com.rancher.department": "qa"}, links={"db.blog": "x"})
    for number, path in enumerate(("shop/db", "shop/web", "shop/lb", "blog/web", "blog/web", None)):
        host = number % 2
        container = made.create_container(path, host=host, labels={"zone": ("north", "south")[host]})
        made.set_running(container.name, made.allocate_address(host))
    first = made.containers_of("shop/db")[0].name
    sharer = made.create_container(None, host=0, name="sharer", network_from=first, links={"to": first})
    made.set_running(sharer.name, None)
    made.set_policy(POLICY["policy"], POLICY["defaultPolicyAction"])
    return made


def root(date: str = "2016-07-29") -> Json:
    """The metadata document of the first host, with a linked environment."""
    made = environment()
    document = render_root(made.records, made.host(0), date)
    other: Json = {name: [] for name in COLLECTIONS} | {"name": "Other", "region_name": "east", "uuid": "env-2"}
    copy: Json = json.loads(json.dumps({**document, "environments": [other]}))
    return copy


def document() -> bytes:
    """The good document that heals everything."""
    return _document()


@cache
def _document() -> bytes:
    return written(root())


def resources() -> Iterator[tuple[str, list[Json]]]:
    """What the API lists."""
    records = environment().records
    for name in COLLECTIONS:
        yield name, [render_resource(records, record) for record in getattr(records, name).values()]


def events() -> Iterator[Json]:
    """A message for every resource, and those that are about nothing."""
    records = environment().records
    for name in COLLECTIONS:
        for number, record in enumerate(getattr(records, name).values()):
            yield {
                "name": "resource.change",
                "time": 1000 + number,
                "resourceType": resource_type(record),
                "resourceId": record.id,
                "data": {"resource": render_resource(records, record)},
            }
    yield {"name": "resource.change", "resourceType": "container", "resourceId": "1i1", "time": 5, "data": {}}
    yield {"name": "ping"}
