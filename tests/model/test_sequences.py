"""Any sequence of snapshots and events: incremental equals from scratch equals the semantics' words."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from ipaddress import IPv4Network
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from corral.model.change import Change
from corral.model.entities import Snapshot
from corral.model.inventory import Inventory
from corral.model.updates import ContainerUpdate, NetworkUpdate, Update
from tests.model.oracle import Oracle
from tests.model.strategies import snapshots, updates, varied

Step = Snapshot | Update | None  # None: only time passes

PARTS = ["self_host", "linked", "hosts", "stacks", "services", "containers", "networks"]


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, Step]]:
    """Pauses and steps. Snapshots mostly share objects, or whole maps, with the one before."""
    steps: list[tuple[int, Step]] = []
    current = draw(snapshots())
    for pause in draw(st.lists(st.sampled_from([0, 1, 1, 31]), max_size=8)):
        step: Step = draw(st.one_of(st.just(current), updates(), updates(), snapshots(), st.none()))
        if isinstance(step, Snapshot) and step is not current:
            step = current = varied(current, step, draw(st.sets(st.sampled_from(PARTS), min_size=1, max_size=2)))
        steps.append((pause, step))
    return [(0, current), *steps] if draw(st.booleans()) else steps


def take(inventory: Inventory, step: Step, now: float) -> Change:
    if step is None:
        return inventory.expire(now)
    if isinstance(step, Snapshot):
        return inventory.load(step, now)
    return inventory.apply(step, now)


def effective(inventory: Inventory, last: Snapshot) -> Snapshot:
    return replace(
        last,
        stacks=dict(inventory.stacks),
        services=dict(inventory.services),
        containers=dict(inventory.containers),
        networks=dict(inventory.networks),
    )


def assert_same(one: Inventory, other: Inventory) -> None:
    assert one.network == other.network
    assert dict(one.endpoints) == dict(other.endpoints)
    assert one.problems == other.problems
    assert dict(one.containers) == dict(other.containers)
    assert dict(one.services) == dict(other.services)
    assert dict(one.stacks) == dict(other.stacks)
    assert dict(one.networks) == dict(other.networks)
    assert [one.endpoint_of(uuid) for uuid in one.containers] == [other.endpoint_of(uuid) for uuid in one.containers]


def fresh(content: Snapshot) -> Inventory:
    inventory = Inventory()
    inventory.load(content, now=0)
    return inventory


@settings(max_examples=400, deadline=None)
@given(histories())
def test_incremental_equals_from_scratch_and_changes_are_exact(history: list[tuple[int, Step]]) -> None:
    inventory, last, now = Inventory(), Snapshot(), 0
    for pause, step in history:
        now += pause
        before = (dict(inventory.endpoints), inventory.network, inventory.problems)
        change = take(inventory, step, now)
        last = step if isinstance(step, Snapshot) else last
        addresses = before[0].keys() | inventory.endpoints.keys()
        assert change.endpoints == {
            address: inventory.endpoints.get(address)
            for address in addresses
            if before[0].get(address) != inventory.endpoints.get(address)
        }
        assert change.network == (before[1] != inventory.network)
        assert change.problems == (before[2] != inventory.problems)
        assert_same(inventory, fresh(effective(inventory, last)))


@settings(max_examples=200, deadline=None)
@given(histories(), snapshots())
def test_a_fresh_snapshot_always_converges(history: list[tuple[int, Step]], final: Snapshot) -> None:
    inventory, now = Inventory(), 0
    for pause, step in history:
        now += pause
        take(inventory, step, now)
    inventory.load(final, now + 60)
    assert_same(inventory, fresh(final))
    assert not inventory.expire(now + 1000)
    assert not inventory.load(final, now + 1000)


@settings(max_examples=300, deadline=None)
@given(snapshots())
def test_endpoints_are_what_the_semantics_say(content: Snapshot) -> None:
    inventory = fresh(content)
    if inventory.network is None:
        assert not inventory.endpoints
        return
    networks = {inventory.network.uuid}
    populated = any(one.live and one.network == "net-dev" for one in content.containers.values())
    if content.linked and populated and "net-dev" in content.networks:
        ours, theirs = subnets(content, inventory.network.uuid), subnets(content, "net-dev")
        if theirs and not any(one.overlaps(other) for one in ours for other in theirs):
            networks.add("net-dev")
    assert dict(inventory.endpoints) == Oracle(content, networks, inventory.network.subnets).endpoints()


def subnets(content: Snapshot, uuid: str) -> list[IPv4Network]:
    """The subnets of a network that can be read: its own, or the parts of its environment's hosts."""
    network = content.networks[uuid]
    hosts = [host for host in content.hosts.values() if host.environment == network.environment]
    values = (
        [host.labels.get("part", "bad") for host in hosts]
        if "label" in network.bridge_subnet
        else [network.bridge_subnet]
    )
    return [IPv4Network(value, strict=False) for value in values if value != "bad"]


@settings(max_examples=300, deadline=None)
@given(snapshots(), st.lists(updates(), max_size=6), st.randoms(use_true_random=False))
def test_events_of_different_resources_commute(content: Snapshot, events: list[Update], random: Random) -> None:
    inventory, other = fresh(content), fresh(content)
    for event in events:
        inventory.apply(event, now=1)
    order = list({resource(event) for event in events})
    random.shuffle(order)
    for event in sorted(events, key=lambda event: order.index(resource(event))):
        other.apply(event, now=1)
    assert_same(inventory, other)
    own = content.containers.keys()
    for uuid, one in inventory.containers.items():
        assert uuid in own or one.service is None or one.service in inventory.services


def resource(event: Update) -> Hashable:
    identity = event.uuid if isinstance(event, ContainerUpdate | NetworkUpdate) else event.key
    return type(event), identity
