from __future__ import annotations

import pytest
from pydantic import ValidationError

from corral.model.entities import ServiceKey, StackKey
from corral.wire import objects
from tests.wire.documents import container, host, network, service, stack

STACKS = {"st1": StackKey("", "shop")}
KEYS = (ServiceKey("", "shop", "web"), ServiceKey("", "shop", "side"))


def test_a_service_names_its_primary_or_is_told() -> None:
    assert objects.read_service(service(primary_service_name="Main"), "", {}, "other").primary == "main"
    assert objects.read_service(service(primary_service_name=None), "", {}, "other").primary == "other"
    assert objects.read_service(service(primary_service_name=None), "", {}, "").primary == "web"


def test_a_missing_kind_is_a_service() -> None:
    assert objects.read_service(service(kind=None), "", {}, "").kind == "service"


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
    read = objects.read_container(container() | fields, "", STACKS, {"s1": KEYS})
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
    assert objects.read_stack(stack(), "eu/prod").key == StackKey("eu/prod", "shop")
    assert objects.read_host(host(), "eu/prod").environment == "eu/prod"
    assert objects.read_network(network(), "eu/prod").environment == "eu/prod"
    assert objects.read_container(container(), "eu/prod", {}, {}).service == ServiceKey("eu/prod", "shop", "web")
