from __future__ import annotations

import pytest
from pydantic import ValidationError

from corral.model.entities import ServiceKey, StackKey
from corral.wire import objects
from tests.wire.documents import container, host, network, service, stack

STACKS = {"st1": StackKey("", "shop")}
KEYS = (ServiceKey("", "shop", "web"), ServiceKey("", "shop", "side"))


def test_a_service_names_its_primary_or_is_told() -> None:
    assert objects.read_service(service(primary_service_name="Main"), "", {}, "other")[0].primary == "main"
    assert objects.read_service(service(primary_service_name=None), "", {}, "other")[0].primary == "other"
    assert objects.read_service(service(primary_service_name=None), "", {}, "")[0].primary == "web"


def test_a_missing_kind_is_a_service() -> None:
    assert objects.read_service(service(kind=None), "", {}, "")[0].kind == "service"


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, KEYS[0]),
        ({"service_name": "side"}, KEYS[1]),
        ({"service_name": None}, KEYS[0]),
        ({"service_name": None, "labels": {"io.rancher.service.launch.config": "side"}}, KEYS[1]),
        ({"service_name": None, "labels": {"io.rancher.service.launch.config": "other"}}, KEYS[0]),
        ({"service_name": None, "service_uuid": None}, None),
        ({"service_name": "side", "stack_name": None, "stack_uuid": None}, KEYS[1]),
        ({"service_name": "x", "stack_name": None, "stack_uuid": None}, None),
    ],
)
def test_the_service_of_a_container(fields: dict[str, object], found: ServiceKey | None) -> None:
    read, faults = objects.read_container(container() | fields, "", STACKS, {"s1": KEYS})
    assert faults == ""
    assert read.service == found
    assert read.stack == (StackKey("", "shop") if found or not fields.get("service_name") else None)


@pytest.mark.parametrize("raw", [5, None, [], {}])
def test_what_is_no_object_is_invalid(raw: object) -> None:
    for read in (objects.read_stack, objects.read_host, objects.read_network):
        with pytest.raises(ValidationError):
            read(raw, "")
    with pytest.raises(ValidationError):
        objects.read_environment(raw)


def test_environments_are_carried() -> None:
    assert objects.read_stack(stack(), "eu/prod")[0].key == StackKey("eu/prod", "shop")
    assert objects.read_host(host(), "eu/prod")[0].environment == "eu/prod"
    assert objects.read_network(network(), "eu/prod")[0].environment == "eu/prod"
    assert objects.read_container(container(), "eu/prod", {}, {})[0].service == ServiceKey("eu/prod", "shop", "web")


RANCHER = {"type": "rancher-bridge", "bridge": "docker0", "bridgeSubnet": "10.42.0.0/16"}
OTHER = {"type": "bridge", "bridge": "cni0", "bridgeSubnet": "10.99.0.0/16"}


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"10": OTHER, "20": RANCHER}, ("docker0", "10.42.0.0/16")),
        ({"10": OTHER, "20": RANCHER | {"bridge": None}}, ("", "10.42.0.0/16")),
        ({"10": {"type": "rancher-bridge"}, "20": OTHER}, ("cni0", "10.99.0.0/16")),
        ({"10": OTHER | {"bridge": ""}, "20": OTHER | {"type": ["odd"]}}, ("cni0", "10.99.0.0/16")),
        ({"20": RANCHER | {"bridge": "second"}, "10": RANCHER}, ("docker0", "10.42.0.0/16")),
        ({}, ("", "")),
    ],
)
def test_which_cni_document(config: object, found: tuple[str, str]) -> None:
    read, faults = objects.read_network(network(metadata={"cniConfig": config}), "")
    assert ((read.bridge, read.bridge_subnet), faults) == (found, "")


@pytest.mark.parametrize("odd", [{"type": "rancher-bridge", "bridge": 5}, OTHER | {"bridgeSubnet": []}, "text", 5])
def test_an_odd_cni_document_is_left_out(odd: object) -> None:
    read, faults = objects.read_network(network(metadata={"cniConfig": {"10.conf": odd, "20.conf": RANCHER}}), "")
    assert (read.bridge, read.bridge_subnet) == ("docker0", "10.42.0.0/16")
    assert faults.startswith("metadata.cniConfig.10.conf")
