from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from corral.model.entities import AGENT_LABEL, Container, Service, ServiceKey, StackKey
from corral.wire import objects
from corral.wire.objects import Lookups
from corral.wire.reading import NO_UUIDS, Read
from tests.wire.documents import container, host, network, sent, service, stack

KEYS = (ServiceKey("", "shop", "web"), ServiceKey("", "shop", "side"))
LOOKUPS = Lookups("", stacks_by_uuid={"st1": StackKey("", "shop")}, services_by_uuid={"s1": KEYS})


def raw(value: object) -> Raw:
    return Raw(sent(value))


def read_service(value: object) -> Service:
    read = objects.read_service(raw(value), LOOKUPS)
    assert read.entity is not None
    return read.entity


def read_container(value: object) -> Container:
    read = objects.read_container(raw(value), LOOKUPS)
    found = read.entity if isinstance(read, Read) else read
    assert found is not None
    return found


def test_a_service_names_its_primary() -> None:
    assert read_service(service(primary_service_name="Main")).primary == "main"
    assert read_service(service(primary_service_name=None)).primary == "web"


def test_a_missing_kind_is_a_service() -> None:
    assert read_service(service(kind=None)).kind == "service"


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
    for odd in ({}, {"name": 5}):
        read = read_container(container() | fields | odd)
        assert read.service == found
        assert read.stack == (StackKey("", "shop") if found or not fields.get("service_name") else None)


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({}, NO_UUIDS),
        ({"service_name": None}, ("", "s1")),
        ({"stack_name": None}, ("st1", "")),
        ({"stack_name": None, "service_name": None}, ("st1", "s1")),
        ({"stack_name": None, "stack_uuid": None, "service_name": None, "service_uuid": None}, NO_UUIDS),
    ],
)
def test_what_had_to_be_looked_up(fields: dict[str, object], asked: tuple[str, str]) -> None:
    """Without a question, a container is all that is to be kept of it."""
    read = objects.read_container(raw(container() | fields), LOOKUPS)
    assert isinstance(read, Container) == (asked == NO_UUIDS)
    if isinstance(read, Read):
        assert (read.asked, read.found) == (asked, LOOKUPS.find(asked))
    read = objects.read_container(raw(container(name=5) | fields), LOOKUPS)
    assert isinstance(read, Read)
    assert (read.asked, read.found) == (asked, LOOKUPS.find(asked))


def test_keys_are_shared() -> None:
    one, other = read_container(container()), read_container(container("c2"))
    assert one.stack is other.stack
    assert one.service is other.service
    known = read_service(service())
    lookups = Lookups("", services={known.key: known})
    found = objects.read_container(raw(container()), lookups)
    assert isinstance(found, Container)
    assert found.service is known.key


@pytest.mark.parametrize("value", [5, None, [], {}])
def test_what_is_no_object_is_told(value: object) -> None:
    for read in (
        objects.read_stack(raw(value), ""),
        objects.read_host(raw(value), ""),
        objects.read_network(raw(value), ""),
        objects.read_environment(raw(value)),
        objects.read_service(raw(value), LOOKUPS),
        objects.read_container(raw(value), LOOKUPS),
    ):
        assert isinstance(read, Read)
        assert read.entity is None
        assert read.faults


def test_environments_are_carried() -> None:
    lookups = Lookups("eu/prod")
    reads: list[Any] = [
        objects.read_stack(raw(stack()), "eu/prod"),
        objects.read_service(raw(service()), lookups),
        objects.read_host(raw(host()), "eu/prod"),
        objects.read_network(raw(network()), "eu/prod"),
    ]
    found, serving, *others = [read.entity for read in reads]
    assert (found.key, serving.key) == (StackKey("eu/prod", "shop"), ServiceKey("eu/prod", "shop", "web"))
    assert {other.environment for other in others} == {"eu/prod"}
    placed = objects.read_container(raw(container()), lookups)
    assert isinstance(placed, Container)
    assert (placed.environment, placed.service) == ("eu/prod", serving.key)


def test_what_is_nested() -> None:
    for odd in ({}, {"system": "perhaps"}):
        of_stack = objects.read_stack(raw(stack(services=[service("WEB"), 5], **odd)), "")
        assert (of_stack.nested, of_stack.environment_name) == ((("s1", "web"),), "Default")
        of_service = objects.read_service(raw(service(containers=[container(), "c2"], **odd)), LOOKUPS)
        assert (of_service.nested, of_service.identity) == (("c1",), ("s1", "web"))
        assert of_service.member == ("shop", "web", (), True)


TEXTS = st.none() | st.sampled_from(["", "Web", "10.42.0.1", "10.42.0.01", "fe80::1", "é"])
FIELDS = {
    **dict.fromkeys(("name", "state", "host_uuid", "network_uuid", "stack_uuid", "service_uuid"), TEXTS),
    **dict.fromkeys(("primary_ip", "stack_name", "service_name", "network_from_container_uuid"), TEXTS),
    "system": st.none() | st.booleans() | st.sampled_from(["", "true", 0, 1]),
    "labels": st.none() | st.dictionaries(st.sampled_from("aB"), TEXTS | st.integers() | st.booleans(), max_size=2),
    "links": st.none() | st.dictionaries(st.sampled_from("ab"), TEXTS, max_size=2) | st.lists(TEXTS, max_size=2),
}


@given(st.fixed_dictionaries({"uuid": st.just("c1")}, optional=FIELDS))
def test_plain_containers_are_read_as_the_tolerant_way_reads_them(fields: dict[str, Any]) -> None:
    """One that is told to be odd in a field that costs nothing is read in the tolerant way."""
    read = objects.read_container(raw(fields), LOOKUPS)
    odd = objects.read_container(raw(fields | {"state": 5}), LOOKUPS)
    plain = objects.read_container(raw(fields | {"state": None}), LOOKUPS)
    assert isinstance(odd, Read)
    assert odd.entity == (plain.entity if isinstance(plain, Read) else plain)
    assert isinstance(read, Container) or read.identity == "c1"


SERVICE_FIELDS = {
    **dict.fromkeys(("uuid", "stack_uuid", "stack_name", "kind", "primary_service_name"), TEXTS),
    "labels": FIELDS["labels"],
    "links": st.none() | st.dictionaries(TEXTS.map(str), TEXTS, max_size=2) | st.lists(TEXTS.map(str), max_size=2),
    "lb_config": st.none()
    | st.fixed_dictionaries({}, optional={"port_rules": st.none() | st.lists(st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("service", "selector", "container_uuid", "environment", "region"), TEXTS)
    ), max_size=2)}),
}  # fmt: skip


@given(st.fixed_dictionaries({"name": st.just("Web")}, optional=SERVICE_FIELDS))
def test_plain_services_are_read_as_the_tolerant_way_reads_them(fields: dict[str, Any]) -> None:
    plain = objects.read_service(raw(fields), LOOKUPS)
    odd = objects.read_service(raw(fields | {"system": "perhaps"}), LOOKUPS)
    assert plain.entity is not None
    assert plain.entity == odd.entity
    assert (plain.asked, plain.found, plain.member) == (odd.asked, odd.found, odd.member)


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
    read = objects.read_network(raw(network(metadata={"cniConfig": config})), "")
    assert read.entity is not None
    assert ((read.entity.bridge, read.entity.bridge_subnet), read.faults) == (found, "")


@pytest.mark.parametrize("odd", [{"type": "rancher-bridge", "bridge": 5}, OTHER | {"bridgeSubnet": []}, "text", 5])
def test_an_odd_cni_document_is_left_out(odd: object) -> None:
    read = objects.read_network(raw(network(metadata={"cniConfig": {"10.conf": odd, "20.conf": RANCHER}})), "")
    assert read.entity is not None
    assert (read.entity.bridge, read.entity.bridge_subnet) == ("docker0", "10.42.0.0/16")
    assert read.faults.startswith("metadata.cniConfig.10.conf")


@pytest.mark.parametrize(
    ("health", "labels", "kept"),
    [
        ("Healthy", {AGENT_LABEL: "true"}, "healthy"),
        (None, {AGENT_LABEL: "true"}, ""),
        (7, {AGENT_LABEL: "true"}, ""),
        ("healthy", {"a": "b"}, ""),
    ],
)
def test_health_is_kept_of_agents_only(health: object, labels: dict[str, str], kept: str) -> None:
    assert read_container(container(health_state=health, labels=labels)).health == kept
    odd = read_container(container(health_state=health, labels=labels, name=5))
    assert odd.health == kept, "what is odd is read in another way"


@pytest.mark.parametrize(
    ("ports", "kept"),
    [
        (["0.0.0.0:8080:80/tcp", "53:53/udp"], ("0.0.0.0:8080:80/tcp", "53:53/udp")),
        ([], ()),
        (None, ()),
        (["8080:80/tcp", 5, None], ("8080:80/tcp",)),
        ("8080:80/tcp", ()),
        ({"80": 8080}, ()),
    ],
)
def test_published_ports_are_kept_as_they_are_written_and_odd_ones_left_out(ports: object, kept: object) -> None:
    assert read_container(container(ports=ports)).ports == kept
    read = objects.read_container(raw(container(ports=ports, name=5)), LOOKUPS)
    assert isinstance(read, Read)
    assert read.entity is not None
    assert read.entity.ports == kept
    assert "ports" not in read.faults
