"""Documents as the metadata service and the API send them, small."""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]


def sent(value: object) -> bytes:
    """As the server sends it."""
    return json.dumps(value, separators=(",", ":")).encode()


def container(uuid: str = "c1", **fields: Any) -> Json:
    return {
        "uuid": uuid,
        "name": f"name-{uuid}",
        "primary_ip": "10.42.0.1",
        "network_uuid": "n1",
        "network_from_container_uuid": None,
        "host_uuid": "h1",
        "state": "running",
        "labels": {"colour": "red"},
        "system": False,
        "stack_uuid": "st1",
        "stack_name": "shop",
        "service_uuid": "s1",
        "service_name": "web",
        "links": {},
        "environment_uuid": "e1",
    } | fields


def service(name: str = "web", **fields: Any) -> Json:
    return {
        "uuid": "s1",
        "name": name,
        "stack_uuid": "st1",
        "stack_name": "shop",
        "kind": "service",
        "system": False,
        "labels": {"tier": "front"},
        "links": {"shop/db": "db"},
        "sidekicks": [],
        "primary_service_name": name,
        "containers": [],
    } | fields


def stack(name: str = "shop", **fields: Any) -> Json:
    return {"uuid": "st1", "name": name, "system": False, "environment_name": "Default", "services": []} | fields


def host(uuid: str = "h1", **fields: Any) -> Json:
    return {"uuid": uuid, "name": "alpha", "agent_ip": "192.0.2.1", "labels": {}, "environment_uuid": "e1"} | fields


def network(uuid: str = "n1", **fields: Any) -> Json:
    cni = {"10-rancher.conf": {"type": "rancher-bridge", "bridge": "docker0", "bridgeSubnet": "10.42.0.0/16"}}
    return {
        "uuid": uuid,
        "name": "ipsec",
        "environment_uuid": "e1",
        "metadata": {"cniConfig": cni},
        "policy": None,
        "default_policy_action": None,
    } | fields


def root(**sections: Any) -> Json:
    return {
        "containers": [container()],
        "services": [service()],
        "stacks": [stack()],
        "hosts": [host()],
        "networks": [network()],
        "environments": [],
        "self": {"host": host()},
        "version": "1",
    } | sections
