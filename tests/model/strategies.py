"""Random snapshots and events of a very small world, so that everything meets everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from hypothesis import strategies as st

from corral.model.entities import (
    Container,
    Environment,
    Host,
    Network,
    PortRule,
    Service,
    ServiceKey,
    Snapshot,
    Stack,
    StackKey,
)
from corral.model.updates import (
    ContainerFields,
    ContainerUpdate,
    NetworkFields,
    NetworkUpdate,
    ServiceFields,
    ServiceUpdate,
    StackUpdate,
    Update,
)
from corral.types import Address

T = TypeVar("T")

ENVIRONMENTS = ["", "east/dev"]
LINKED = {"east/dev": Environment(name="Dev", region="east")}
OWN = Environment(name="main", region="west")
PER_HOST = "__host_label__: part"

_uuids = st.sampled_from(["c0", "c1", "c2", "c3", "c4", "c5"])
_hosts = st.sampled_from(["h0", "h1"])
_networks = st.sampled_from(["net-a", "net-a", "net-b", "net-dev", "net-host", ""])
_addresses = st.sampled_from(
    [None, *map(Address.parse, ["10.42.0.2", "10.42.0.3", "10.42.1.2", "10.50.0.2", "10.9.9.9"])]
)
_states = st.sampled_from(["running", "running", "running", "stopped", "", "removed"])
_stack_keys = st.builds(StackKey, st.sampled_from(ENVIRONMENTS), st.sampled_from("st"))
_service_keys = st.builds(
    ServiceKey, st.sampled_from(["", "", "east/dev"]), st.sampled_from("st"), st.sampled_from("abc")
)
_labels: st.SearchStrategy[Mapping[str, str]] = st.dictionaries(
    st.sampled_from(["k", "K", "part"]), st.sampled_from(["1", "2"]), max_size=2
)
_systems = st.sampled_from([False, False, False, True])
_targets = st.sampled_from(
    [
        "a",
        "B",
        "c",
        "s/a",
        "t/b",
        "S/C",
        "main/s/a",
        "dev/t/b",
        "east/Dev/s/c",
        "west/main/t/a",
        "no/s/a",
        "/a",
        "a/b/c/d/e",
    ]
)
_port_rules = st.one_of(
    st.builds(PortRule, service=_targets),
    st.builds(PortRule, service=_targets, environment=st.just("dev"), region=st.sampled_from(["", "east", "west"])),
    st.builds(
        PortRule,
        selector=st.sampled_from(["k=1", "k", "K!=2", "part in (1, 2), k", "k > 1"]),
        environment=st.sampled_from(["", "", "dev", "no"]),
    ),
    st.builds(PortRule, container=_uuids),
)
_links = st.lists(_targets, max_size=2).map(tuple)
_policies = st.sampled_from([None, [], [{"within": "stack", "action": "allow"}]])

_container_fields: dict[str, st.SearchStrategy[Any]] = {
    "name": st.sampled_from(["x", "y"]),
    "address": _addresses,
    "network": _networks,
    "network_from": st.one_of(st.just(""), st.just(""), _uuids),
    "host": _hosts,
    "state": _states,
    "system": _systems,
    "stack": st.one_of(st.none(), _stack_keys),
    "service": st.one_of(st.none(), _service_keys),
    "labels": _labels,
}
_service_fields: dict[str, st.SearchStrategy[Any]] = {
    "primary": st.sampled_from(["", "", "a", "c"]),
    "system": _systems,
    "labels": _labels,
    "links": _links,
}
_network_fields: dict[str, st.SearchStrategy[Any]] = {
    "state": st.sampled_from(["", "active", "removed"]),
    "policy": _policies,
}


def _keyed(keys: st.SearchStrategy[T], most: int) -> st.SearchStrategy[list[T]]:
    return st.lists(keys, unique=True, max_size=most)


@st.composite
def containers(draw: st.DrawFn) -> dict[str, Container]:
    return {
        uuid: Container(
            uuid=uuid,
            environment=draw(st.sampled_from(["", "", "", "east/dev"])),
            links=draw(st.frozensets(_uuids, max_size=2)),
            **draw(st.fixed_dictionaries(_container_fields)),
        )
        for uuid in draw(_keyed(_uuids, 6))
    }


@st.composite
def services(draw: st.DrawFn) -> dict[ServiceKey, Service]:
    kinds = st.sampled_from(["service", "dnsService", "loadBalancerService", "networkDriverService"])
    return {
        key: Service(
            key=key,
            kind=draw(kinds),
            port_rules=tuple(draw(st.lists(_port_rules, max_size=2))),
            **draw(st.fixed_dictionaries(_service_fields)),
        )
        for key in draw(_keyed(_service_keys, 7))
    }


@st.composite
def networks(draw: st.DrawFn) -> dict[str, Network]:
    subnets = {
        "net-a": st.sampled_from(["10.42.0.0/16", "10.42.0.1/16", "10.42.0.0/24", PER_HOST]),
        "net-b": st.sampled_from(["10.42.0.0/16", PER_HOST, "bad"]),
        "net-dev": st.sampled_from(["10.50.0.0/16", "10.42.1.0/24", PER_HOST, "bad"]),
        "net-host": st.just(""),
    }
    present = draw(st.sampled_from([["net-a"], ["net-a", "net-b"], ["net-a", "net-dev"], list(subnets), []]))
    return {
        uuid: Network(
            uuid=uuid,
            name="overlay",
            environment="east/dev" if uuid == "net-dev" else "",
            bridge=draw(st.sampled_from(["docker0", "docker0", "", "__host_label__: bridge"])),
            bridge_subnet=draw(subnets[uuid]),
            **draw(st.fixed_dictionaries(_network_fields)),
        )
        for uuid in present
    }


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    parts = st.sampled_from(["10.42.0.0/24", "10.42.1.0/24", "bad"])
    host_labels = st.dictionaries(st.just("part"), parts)
    return Snapshot(
        self_host=draw(st.sampled_from(["h0", "h0", "h0", "h1", ""])),
        own=OWN,
        linked=draw(st.sampled_from([LINKED, LINKED, {}])),
        hosts={
            uuid: Host(uuid=uuid, environment="east/dev" if uuid == "h2" else "", labels=draw(host_labels))
            for uuid in draw(_keyed(st.sampled_from(["h0", "h1", "h2"]), 3))
        },
        stacks={key: Stack(key=key, system=draw(_systems)) for key in draw(_keyed(_stack_keys, 4))},
        services=draw(services()),
        containers=draw(containers()),
        networks=draw(networks()),
    )


@st.composite
def updates(draw: st.DrawFn) -> Update:
    kind = draw(st.integers(0, 5))
    if kind == 0:
        service_fields: ServiceFields = draw(st.fixed_dictionaries({}, optional=_service_fields))  # type: ignore[assignment]
        return ServiceUpdate(draw(_service_keys), service_fields)
    if kind == 1:
        return StackUpdate(draw(_stack_keys), draw(_systems))
    if kind == 2:
        network_fields: NetworkFields = draw(st.fixed_dictionaries({}, optional=_network_fields))  # type: ignore[assignment]
        return NetworkUpdate(draw(st.sampled_from(["net-a", "net-b", "net-new"])), network_fields)
    whole = st.fixed_dictionaries(_container_fields)
    partial = st.fixed_dictionaries({}, optional=_container_fields)
    fields: ContainerFields = draw(whole if kind == 3 else partial)  # type: ignore[assignment]
    return ContainerUpdate(draw(_uuids), fields)


def varied(content: Snapshot, other: Snapshot, parts: set[str]) -> Snapshot:
    """`content` with some of its maps taken from `other`: a change of one kind only, the other objects the same."""
    return Snapshot(
        **{
            name: getattr(other if name in parts else content, name)
            for name in (
                "self_host",
                "own",
                "linked",
                "hosts",
                "stacks",
                "services",
                "containers",
                "networks",
                "problems",
            )
        }
    )
