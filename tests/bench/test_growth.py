"""What hostile or odd input costs grows as its size does: eight times as much of it takes about eight times as long.

The least CPU time of several runs counts, and the bound lies between eight and the 64 of what is quadratic.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import pytest

from corral.daemon.desk import Desk
from corral.daemon.facts import Facts
from corral.errors import PolicyError
from corral.nft.tracker import Tracker
from corral.policy.validate import parse_policy
from corral.selector import Selector
from corral.wire.decode import decode
from corral.wire.metadata import SnapshotDecoder
from corral.wire.resources import ContainerResource

from ..wire.documents import Json, container, host, network, root, service

TIMES = 8
BOUND = 26
RUNS = 4

SELECTORS: dict[str, Callable[[int], str]] = {
    "many clauses": lambda size: ",".join(f"k{number}" for number in range(size)),
    "many values": lambda size: f"k in ({','.join(f'v{number}' for number in range(size))})",
    "long key": lambda size: "k" * size + "!",
    "words": lambda size: "k=" + "v " * size + "(",
    "blanks": lambda size: "k" + " " * size + "x",
    "blanks in brackets": lambda size: "k in (" + " " * size + "=)",
    "brackets": lambda size: "k in" + "(" * size,
    "commas": lambda size: "," * size,
}
POLICIES: dict[str, Callable[[int], object]] = {
    "bad rules": lambda size: ["x"] * size,
    "unknown keys": lambda size: [{f"k{number}": 1 for number in range(size)}],
    "long words": lambda size: [{"within": "x" * size, "action": "y" * size}],
    "ports": lambda size: [{"from": {"selector": "a"}, "to": {"selector": "b"}, "ports": ["80"] * size}],
    "text": lambda size: ['{"within":' * size],
}


def documents_of(name: str, size: int) -> Json:
    """A document with `size` of something in it."""
    linked = network(policy=[{"within": "linked", "action": "allow"}], default_policy_action="deny")
    everyone = range(size)
    match name:
        case "one address":
            containers = [container(f"c{number}") for number in everyone]
        case "sharers of one network":
            shared = {"network_from_container_uuid": "c0"}
            containers = [container(f"c{number}", **(shared if number else {})) for number in everyone]
        case "labels":
            containers = [container(labels={f"K{number}": "v" for number in everyone})]
            rules = [{"between": {"selector": f"k{number}"}, "action": "allow"} for number in range(20)]
            return root(containers=containers, networks=[linked | {"policy": rules}])
        case "rules":
            labels = {f"k{number}": "v" for number in everyone}
            rules = [{"between": {"groupBy": label}, "action": "allow"} for label in labels]
            return root(containers=[container(labels=labels)], networks=[linked | {"policy": rules}])
        case "problems":
            containers = [
                container(f"c{number}", primary_ip=f"172.16.{number >> 8}.{number & 255}") for number in everyone
            ]
        case "links":
            services = [service(f"s{number}", uuid=f"s{number}", links={"shop/s0": "x"}) for number in everyone]
            return root(services=services, networks=[linked])
        case "chain of sharers":
            chain = [{"network_from_container_uuid": f"c{number - 1}", "primary_ip": ""} for number in everyone]
            containers = [container(f"c{number}", **(chain[number] if number else {})) for number in everyone]
        case "sharers with one service's links":
            shared = {"network_from_container_uuid": "c0"}
            containers = [container(f"c{number}", **(shared if number else {})) for number in everyone]
            services = [service(links={f"shop/s{number}": "x" for number in everyone})]
            return root(containers=containers, services=services, networks=[linked])
        case "strays beside many hosts" | "networks of many hosts":
            return hosts_of(name, size)
        case _:
            # No rule about links: who may reach whom by links grows as the square, where everyone links to everyone.
            return root(services=services_of(name, size), containers=users(name, size), networks=[network()])
    return root(containers=containers, networks=[linked])


def hosts_of(name: str, size: int) -> Json:
    """Hosts with a part each of one network or of several; all containers are outside of it."""
    everyone = range(size)
    containers = [container(f"c{number}", primary_ip=f"172.16.{number % 250}.9") for number in everyone]
    hosts = [host(f"h{number}", labels={"part": f"10.{number >> 7}.{number & 127}.0/24"}) for number in everyone]
    cni = {"type": "rancher-bridge", "bridge": "docker0", "bridgeSubnet": "__host_label__: part"}
    names = [f"n{number}" for number in everyone] if name == "networks of many hosts" else ["n1"]
    networks = [network(one, metadata={"cniConfig": {"10-rancher.conf": cni}}) for one in names]
    return root(containers=containers, hosts=hosts, networks=networks, self={"host": hosts[1]})


def users(name: str, size: int) -> list[Json]:
    """A container of each service; of the first alone, where each service has links of its own in that number."""
    owners = [{"service_uuid": f"s{number}", "service_name": f"s{number}"} for number in range(size)]
    if name == "chain of aliases with a target each":
        owners = owners[:1]
    return [
        container(f"c{number}", primary_ip=f"10.42.{number >> 8}.{number & 255}", **owner)
        for number, owner in enumerate(owners)
    ]


def services_of(name: str, size: int) -> list[Json]:
    """Services whose links hang together."""
    names = [f"s{number}" for number in range(size)]

    def links_to(*targets: str) -> Json:
        return {"links": {f"shop/{target}": "x" for target in targets}}

    alias = {"kind": "dnsService"}
    following = [*names[1:], names[0]]
    selectors = [{"selector": "tier=front", "source_port": number + 1} for number in range(size)]
    balancer = {"kind": "loadBalancerService", "links": {}}
    match name:
        case "ring of aliases":
            return [
                service(one, uuid=one, **alias, **links_to(other)) for one, other in zip(names, following, strict=True)
            ]
        case "chain of aliases with a target each":
            chain = [service(one, uuid=one, **alias, **links_to(other, f"db-{one}")) for one, other in pairwise(names)]
            return [*chain, service("web", **links_to("s0"))]
        case "one alias of many targets":
            many = service("all", uuid="all", **alias, **links_to(*names))
            return [many, *(service(one, uuid=one, **links_to("all")) for one in names)]
        case "one selector in many port rules":
            chosen = [service(one, uuid=one, links={}) for one in names]
            return [*chosen, service("lb", lb_config={"port_rules": selectors}, **balancer)]
        case "a selector for each service":
            rules = [{"selector": f"tier=front, own={one}"} for one in names]
            chosen = [service(one, uuid=one, links={}, labels={"tier": "front", "own": one}) for one in names]
            return [*chosen, service("lb", lb_config={"port_rules": rules}, **balancer)]
        case "one selector in many load balancers":
            rule = {"lb_config": {"port_rules": selectors[:1]}}
            return [service(one, uuid=one, **balancer, **rule) for one in names]
        case _:
            raise ValueError(name)


DOCUMENTS = (
    "one address",
    "sharers of one network",
    "labels",
    "rules",
    "problems",
    "links",
    "chain of sharers",
    "sharers with one service's links",
    "strays beside many hosts",
    "networks of many hosts",
    "ring of aliases",
    "chain of aliases with a target each",
    "one alias of many targets",
    "one selector in many port rules",
    "a selector for each service",
    "one selector in many load balancers",
)


def growth(work: Callable[[int], Callable[[], object]], size: int) -> float:
    """How many times as long it takes at `TIMES` times the size."""
    small, large = work(size), work(size * TIMES)
    return min(_seconds(large) for _ in range(RUNS)) / min(_seconds(small) for _ in range(RUNS))


def _seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


@pytest.mark.parametrize("name", SELECTORS)
def test_selectors(name: str) -> None:
    def work(size: int) -> Callable[[], object]:
        text = SELECTORS[name](size)

        def parse() -> None:
            for _ in range(3):
                with suppress(ValueError):
                    Selector.parse(text)

        return parse

    assert growth(work, 2000) < BOUND


@pytest.mark.parametrize("name", POLICIES)
def test_policies(name: str) -> None:
    def work(size: int) -> Callable[[], object]:
        policy = POLICIES[name](size)

        def parse() -> None:
            for _ in range(20):
                with suppress(PolicyError):
                    parse_policy(policy, "deny")

        return parse

    assert growth(work, 500) < BOUND


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents(name: str) -> None:
    def work(size: int) -> Callable[[], object]:
        document = json.dumps(documents_of(name, size)).encode()

        def load() -> None:
            desk = Desk(Tracker(), Facts(), unknown_allowed=False)
            desk.load(SnapshotDecoder().decode(document), 0.0)

        return load

    assert growth(work, 200) < BOUND


def test_odd_labels() -> None:
    def work(size: int) -> Callable[[], object]:
        raw = {"id": "1i1", "uuid": "c1", "labels": {f"k{number}": [] for number in range(size)}}
        return lambda: decode(ContainerResource, raw)

    assert growth(work, 500) < BOUND
