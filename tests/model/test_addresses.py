"""Which addresses are endpoints, and of which containers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from corral.model.addresses import AddressBook
from corral.model.derive import Surroundings
from corral.model.entities import DEAD_STATES, Container, PortRule
from corral.model.inventory import Inventory
from corral.model.linkgraph import LinkGraph
from corral.model.network import Choice
from corral.model.updates import ContainerUpdate
from tests.model.builders import HERE, Thing, address, balancer, container, host, network, snapshot

A = address("10.42.0.2")
B = address("10.42.0.3")


def loaded(*things: Thing) -> Inventory:
    inventory = Inventory()
    inventory.load(snapshot(*things), now=0)
    return inventory


def members(inventory: Inventory) -> dict[str, tuple[str, ...]]:
    return {str(address): endpoint.containers for address, endpoint in inventory.endpoints.items()}


@pytest.mark.parametrize("state", ["running", "starting", "stopping", "restarting", "migrating", "", "no-such-state"])
def test_any_state_but_a_dead_one_is_live(state: str) -> None:
    assert members(loaded(container("a", "10.42.0.2", state=state))) == {"10.42.0.2": ("a",)}


@pytest.mark.parametrize("state", sorted(DEAD_STATES))
def test_a_dead_container_owns_nothing(state: str) -> None:
    inventory = loaded(container("a", "10.42.0.2", state=state))
    assert not inventory.endpoints
    assert not inventory.problems
    assert inventory.endpoint_of("a") is None


def test_a_stopped_container_does_not_hold_an_address_against_a_live_one() -> None:
    inventory = loaded(container("old", "10.42.0.2", state="stopped"), container("new", "10.42.0.2"))
    assert members(inventory) == {"10.42.0.2": ("new",)}
    assert not inventory.problems


@pytest.mark.parametrize("network", ["net-host", "", "net-docker"])
def test_containers_on_other_networks_are_no_endpoints(network: str) -> None:
    inventory = loaded(container("a", "10.42.0.2", network=network), container("b", "192.168.1.5", network=network))
    assert not inventory.endpoints
    assert not inventory.problems


def test_a_container_without_an_address_is_no_endpoint() -> None:
    assert not loaded(container("a")).endpoints


def test_an_address_outside_the_managed_subnets_is_a_problem() -> None:
    inventory = loaded(container("a", "10.43.0.2"))
    assert not inventory.endpoints
    (problem,) = inventory.problems
    assert problem.where == "container a (a)"
    assert "10.43.0.2" in problem.message
    assert "10.42.0.0/16" in problem.message
    assert inventory.apply(ContainerUpdate("a", {"address": A}), now=1).problems
    assert not inventory.problems


def test_of_many_managed_subnets_the_first_are_named() -> None:
    hosts = [host(f"h{number}", labels={"part": f"10.42.{number}.0/24"}) for number in range(9)]
    part = network(subnet="__host_label__: part")
    inventory = Inventory()
    inventory.load(snapshot(*hosts, part, container("a", "10.43.0.2"), self_host="h0"), now=0)
    assert any("10.42.4.0/24, 4 more)" in problem.message for problem in inventory.problems)


def test_in_one_load_whole_chains_change_places() -> None:
    """However the changes are ordered, what was shared is left and what is shared is joined."""

    def chains(first: str, second: str, last: str) -> Inventory:
        things = [container("a", "10.42.0.2"), container("z", "10.42.0.3"), container("l", "10.42.0.4", links=[last])]
        sharers = [container(f"{name}{step}", network_from=target) for name, step, target in [
            ("m", 1, first), ("m", 2, "m1"), ("m", 3, "m2"), ("n", 1, second), ("n", 2, "n1"),
        ]]  # fmt: skip
        return loaded(*things, *sharers)

    one, other = chains("a", "z", "m3"), chains("z", "m1", "n2")
    for before, after in ((one, other), (other, one)):
        wanted = dict(after.endpoints)
        fresh = Inventory()
        fresh.load(before.snapshot, now=0)
        fresh.load(after.snapshot, now=1)
        assert dict(fresh.endpoints) == wanted
        fresh.apply(ContainerUpdate("m2", {"network_from": "m2"}), now=2)
        circle = Inventory()
        circle.load(replace(after.snapshot, containers=dict(fresh.containers)), now=0)
        assert dict(fresh.endpoints) == dict(circle.endpoints)


class Steps(dict[str, Container]):
    """Counts how often a container is looked at."""

    count = 0

    def __getitem__(self, uuid: str) -> Container:
        self.count += 1
        return super().__getitem__(uuid)

    def get(self, uuid: str, default: Container | None = None) -> Container | None:  # type: ignore[override]
        self.count += 1
        return super().get(uuid, default)


def test_a_long_chain_is_followed_once() -> None:
    containers = Steps()
    surroundings = Surroundings({}, {}, LinkGraph({}, {}))
    book = AddressBook(containers, surroundings, lambda _: False)
    book.change_surroundings(Choice(uuids=frozenset(["net-managed"])), HERE)
    chain = [container(f"c{n}", network_from=f"c{n - 1}") for n in range(1, 1000)]
    for one in [container("c0", "10.42.0.2"), *chain]:
        containers[one.uuid] = one
        book.change_container(one.uuid, None, one)
    assert not book.settle()
    assert containers.count < 10_000


def test_sharers_belong_to_the_endpoint_of_their_target() -> None:
    inventory = loaded(
        container("a", "10.42.0.2", labels={"own": "a"}),
        container("b", network_from="a", labels={"own": "b"}),
        container("c", network_from="b", of="shop/web"),
    )
    assert members(inventory) == {"10.42.0.2": ("a", "b", "c")}
    endpoint = inventory.endpoints[A]
    assert endpoint.labels == ({"own": "a"}, {"own": "b"}, {})
    assert {str(key) for key in endpoint.services} == {"shop/web"}
    assert [inventory.endpoint_of(uuid) for uuid in "abc"] == [A, A, A]


def test_a_sharer_that_repeats_the_address_is_no_conflict() -> None:
    sharer = replace(container("b", network_from="a"), address=A, network="net-managed")
    inventory = loaded(container("a", "10.42.0.2"), sharer)
    assert members(inventory) == {"10.42.0.2": ("a", "b")}
    assert not inventory.problems


def test_a_sharer_keeps_the_address_of_a_stopped_owner_alive() -> None:
    inventory = loaded(container("a", "10.42.0.2", state="stopped"), container("b", network_from="a"))
    assert members(inventory) == {"10.42.0.2": ("b",)}


def test_a_sharer_follows_its_target_through_a_stopped_one() -> None:
    inventory = loaded(
        container("a", "10.42.0.2"),
        container("b", network_from="a", state="stopped"),
        container("c", network_from="b"),
    )
    assert members(inventory) == {"10.42.0.2": ("a", "c")}


def test_a_sharer_of_an_unknown_container_has_no_endpoint_until_it_is_known() -> None:
    sharer = container("b", network_from="a")
    inventory = loaded(sharer)
    assert not inventory.endpoints
    inventory.load(snapshot(container("a", "10.42.0.2"), sharer), now=1)
    assert members(inventory) == {"10.42.0.2": ("a", "b")}
    inventory.load(snapshot(sharer), now=2)
    assert not inventory.endpoints


def test_a_sharer_of_an_unlisted_container_falls_back_on_its_own_address() -> None:
    sharer = replace(container("b", network_from="a", labels={"own": "b"}), address=B, network="net-managed")
    follower = container("c", network_from="b")
    inventory = loaded(sharer, follower)
    assert members(inventory) == {"10.42.0.3": ("b", "c")}
    assert inventory.endpoints[B].labels == ({"own": "b"}, {})
    assert [inventory.endpoint_of(uuid) for uuid in "bc"] == [B, B]
    change = inventory.load(snapshot(container("a", "10.42.0.2"), sharer, follower), now=1)
    assert change.endpoints == {A: inventory.endpoints[A], B: None}
    assert members(inventory) == {"10.42.0.2": ("a", "b", "c")}
    change = inventory.load(snapshot(sharer, follower), now=2)
    assert change.endpoints == {A: None, B: inventory.endpoints[B]}
    assert members(inventory) == {"10.42.0.3": ("b", "c")}


def test_a_sharer_of_an_unlisted_container_conflicts_like_any_other() -> None:
    sharer = replace(container("b", network_from="gone"), address=A, network="net-managed")
    inventory = loaded(container("a", "10.42.0.2"), sharer)
    assert not inventory.endpoints
    assert [problem.where for problem in inventory.problems] == ["address 10.42.0.2"]


def test_a_sharer_off_the_managed_network_has_nothing_to_fall_back_on() -> None:
    assert not loaded(replace(container("b", network_from="gone"), address=A, network="net-host")).endpoints


def test_a_sharer_of_a_host_network_container_has_no_endpoint() -> None:
    assert not loaded(container("a", "10.42.0.2", network="net-host"), container("b", network_from="a")).endpoints


def test_a_whole_chain_moves_with_its_owner() -> None:
    inventory = loaded(container("a", "10.42.0.2"), container("b", network_from="a"), container("c", network_from="b"))
    change = inventory.apply(ContainerUpdate("a", {"address": B}), now=1)
    assert change.endpoints == {A: None, B: inventory.endpoints[B]}
    assert members(inventory) == {"10.42.0.3": ("a", "b", "c")}


def test_a_sharer_can_change_its_target() -> None:
    inventory = loaded(
        container("a", "10.42.0.2"),
        container("b", "10.42.0.3"),
        container("s", network_from="a"),
        container("t", network_from="s"),
    )
    inventory.apply(ContainerUpdate("s", {"network_from": "b"}), now=1)
    assert members(inventory) == {"10.42.0.2": ("a",), "10.42.0.3": ("b", "s", "t")}


@pytest.mark.parametrize("targets", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "a", "d": "b"}])
def test_circles_are_harmless(targets: dict[str, str]) -> None:
    circle: list[Container] = [
        replace(container(uuid, network_from=target), address=A) for uuid, target in targets.items()
    ]
    inventory = loaded(*circle)
    assert not inventory.endpoints
    inventory.apply(ContainerUpdate("a", {"network_from": "", "network": "net-managed"}), now=1)
    assert members(inventory) == {"10.42.0.2": tuple(sorted(targets))}
    inventory.apply(ContainerUpdate("a", {"network_from": targets["a"]}), now=2)
    assert not inventory.endpoints


def test_two_live_claims_of_one_address_belong_to_neither() -> None:
    inventory = loaded(container("a", "10.42.0.2"), container("b", "10.42.0.2"), container("s", network_from="b"))
    assert not inventory.endpoints
    assert inventory.endpoint_of("a") is None
    (problem,) = inventory.problems
    assert problem.where == "address 10.42.0.2"
    assert "a (a)" in problem.message
    assert "b (b)" in problem.message
    assert not inventory.apply(ContainerUpdate("b", {"state": "stopped"}), now=1).endpoints
    assert "s (s)" in inventory.problems[0].message, "the sharer still holds the address"
    change = inventory.apply(ContainerUpdate("s", {"state": "stopped"}), now=1)
    assert change.endpoints == {A: inventory.endpoints[A]}
    assert change.problems
    assert members(inventory) == {"10.42.0.2": ("a",)}
    assert not inventory.problems


def test_a_conflict_that_begins_withdraws_the_endpoint() -> None:
    inventory = loaded(container("a", "10.42.0.2"), container("b", "10.42.0.3"))
    change = inventory.apply(ContainerUpdate("b", {"address": A}), now=1)
    assert change.endpoints == {A: None, B: None}
    assert change.problems


def test_linked_containers_follow_the_links_of_live_containers() -> None:
    linker = container("linker", "10.42.0.3", links=["a", "unknown"])
    inventory = loaded(container("a", "10.42.0.2"), container("s", network_from="a"), linker)
    assert inventory.endpoints[A].linked_containers == {"a"}
    assert inventory.endpoints[B].links_to_containers == {"a", "unknown"}
    change = inventory.apply(ContainerUpdate("linker", {"state": "stopped"}), now=1)
    assert change.endpoints.keys() == {A, B}
    assert inventory.endpoints[A].linked_containers == frozenset()


def test_a_container_is_linked_as_long_as_one_links_to_it() -> None:
    inventory = loaded(
        container("a", "10.42.0.2"),
        container("one", "10.42.0.3", links=["a"]),
        container("two", "10.42.0.4", links=["a"]),
    )
    assert inventory.apply(ContainerUpdate("one", {"state": "removed"}), now=1).endpoints == {B: None}
    assert inventory.endpoints[A].linked_containers == {"a"}


def test_port_rules_link_to_containers() -> None:
    rule = PortRule(container="a")
    target, entry = container("a", "10.42.0.2"), container("lb-1", "10.42.0.3", of="shop/lb")
    inventory = loaded(target, entry, balancer("shop/lb", rule))
    assert inventory.endpoints[A].linked_containers == {"a"}
    assert inventory.endpoints[B].links_to_containers == {"a"}
    change = inventory.load(snapshot(target, entry, balancer("shop/lb")), now=1)
    assert change.endpoints.keys() == {A, B}
    assert inventory.endpoints[A].linked_containers == frozenset()
    assert inventory.endpoints[B].links_to_containers == frozenset()
