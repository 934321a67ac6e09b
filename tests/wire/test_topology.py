"""The topology document, read: what is odd is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from corral.errors import UsageError
from corral.model.entities import ServiceKey
from corral.types import Address, Subnet
from corral.wire.topology import FORMAT, is_topology, read_topology


def document(**fields: Any) -> dict[str, Any]:
    endpoint = {
        "address": "10.42.0.2",
        "containers": ["c1"],
        "local": True,
        "system": False,
        "stacks": [["", "front"]],
        "services": [["east/dev", "front", "web"]],
        "labels": [{"tier": "web"}],
        "links_to": [],
        "links_to_containers": ["c2"],
        "linked_containers": [],
    }
    return {
        "format": FORMAT,
        "mode": "audit",
        "unknown_endpoints": "allow",
        "suspended": False,
        "self_host": "h1",
        "network": {"uuid": "n1", "name": "ipsec", "bridge": "docker0", "subnets": ["10.42.0.0/16"]},
        "policy": [{"within": "stack", "action": "allow"}],
        "default_policy_action": "deny",
        "hosts": [{"uuid": "h1", "name": "alpha"}],
        "endpoints": [endpoint],
        "containers": [{"uuid": "c1", "name": "web-1", "address": "10.42.0.2", "ports": ["8080:80/tcp"]}],
        "problems": [{"where": "somewhere", "message": "something"}],
    } | fields


def sent(value: object) -> bytes:
    return json.dumps(value).encode()


def test_what_is_written_is_read() -> None:
    topology = read_topology(sent(document()))
    assert topology.network.subnets == (Subnet.parse("10.42.0.0/16"),)
    assert topology.endpoints[Address.parse("10.42.0.2")].services == {ServiceKey("east/dev", "front", "web")}
    assert topology.containers["c1"].ports == ("8080:80/tcp",)
    assert (topology.unknown_allowed, topology.mode, topology.hosts["h1"].name) == (True, "audit", "alpha")


def test_keys_of_later_versions_are_left_alone() -> None:
    assert read_topology(sent(document(more=1))).self_host == "h1"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"endpoints": 3}, "endpoints: Expected `array`, got `int`"),
        ({"mode": "strict"}, "mode: Invalid enum value 'strict'"),
        ({"format": "corral-topology/2"}, "format: 'corral-topology/2' given; 'corral-topology/1' is allowed"),
        (
            {"network": {"uuid": "", "name": "", "bridge": "", "subnets": ["10.42"]}},
            "network.subnets[0]: '10.42' given",
        ),
        ({"containers": [{"name": "web-1"}]}, "containers[0]: Object missing required field `uuid`"),
        ({"containers": [{"uuid": "c", "address": "10.42.0.256"}]}, "containers[0].address: '10.42.0.256' given"),
    ],
)
def test_what_is_odd_is_named(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_topology(sent(document(**fields)))
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("text", [b"", b"<html>", b'{"format": "\xff"}', b'{"policy": ' + b"[" * 100_000])
def test_what_is_no_json_is_said_to_be_none(text: bytes) -> None:
    with pytest.raises(UsageError, match="no JSON"):
        read_topology(text)
    assert not is_topology(text)


def test_a_topology_is_told_from_the_metadata() -> None:
    assert is_topology(sent(document()))
    assert not is_topology(sent({"containers": [], "self": {}}))
