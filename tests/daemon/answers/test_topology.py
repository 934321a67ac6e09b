"""The topology: written and read back, it is the very same scene."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.json import encode

from corral.daemon.answers.topology import LoadedTopology, copied, load, topology_document, topology_of, understood
from corral.daemon.desk import Desk
from corral.daemon.facts import Facts
from corral.errors import UnreachableError, UsageError
from corral.model.change import ManagedNetwork
from corral.model.entities import Container as ModelContainer
from corral.model.topology import Topology
from corral.nft.tracker import Tracker
from corral.policy.rules import OPEN
from corral.policy.validate import parse_policy
from corral.policy.verdict import judge
from corral.sandbox.documents import render_root

from ...policy.strategies import EXAMPLES, SUBNETS, Container, endpoints_of, flows, worlds
from ..running import desk_of, small_environment, snapshot_of

AT = "2026-11-23T02:35:15.123Z"


def written(loaded: LoadedTopology) -> bytes:
    return encode(topology_document(loaded, AT))


RULES = st.sampled_from(
    [
        {"within": "stack", "action": "allow"},
        json.dumps({"within": "linked", "action": "deny", "between": None, "type": "networkPolicyRule"}),
        {"between": {"groupBy": "dept"}, "action": "allow"},
        {"from": {"selector": "dept=qa"}, "to": {"selector": "role"}, "ports": ["80/tcp"], "action": "deny"},
    ]
)
POLICIES = st.one_of(st.none(), st.lists(RULES, max_size=3))


def loaded_of(world: dict[str, Container], policy: object, default: object, **fields: Any) -> LoadedTopology:
    network = ManagedNetwork(
        uuid="n", name="ipsec", bridge="docker0", subnets=SUBNETS, policy=policy, default_policy_action=default
    )
    containers = {name: ModelContainer(uuid=name, name=name, address=one.address) for name, one in world.items()}
    topology = Topology(network=network, endpoints=endpoints_of(world), containers=containers, **fields)
    return LoadedTopology(topology, OPEN if topology.suspended else parse_policy(policy, default))


@settings(max_examples=EXAMPLES, deadline=None)
@given(worlds, POLICIES, st.sampled_from([None, "", "allow", "deny"]), st.booleans(), st.booleans())
def test_what_is_read_back_judges_alike(
    world: dict[str, Container], policy: object, default: object, unknown_allowed: bool, suspended: bool
) -> None:
    before = loaded_of(world, policy, default, unknown_allowed=unknown_allowed, suspended=suspended)
    after = understood(written(before), "a file")
    assert after.scene == before.scene
    assert after.topology == before.topology
    for flow in flows():
        assert judge(after.scene, flow) == judge(before.scene, flow)


def test_an_agents_topology_is_its_scene() -> None:
    desk = desk_of(small_environment())
    loaded = topology_of(desk, "audit")
    after = understood(written(loaded), "a file")
    assert after.scene == desk.scene() == loaded.scene
    assert (after.topology.mode, after.topology.self_host) == ("audit", desk.inventory.self_host)
    assert after.containers.keys() == desk.inventory.containers.keys()


def test_copies_stay_as_they_were() -> None:
    environment = small_environment()
    desk = desk_of(environment)
    copy = copied(topology_of(desk, "enforce"))
    environment.stop_container("front-web-1")
    desk.load(snapshot_of(environment), 1.0)
    assert len(copy.endpoints) == len(topology_of(desk, "enforce").endpoints) + 1


def test_while_the_policy_is_rejected_the_last_good_one_is_told() -> None:
    environment = small_environment()
    desk = desk_of(environment)
    environment.set_policy([{"within": "stak", "action": "allow"}], "allow")
    desk.load(snapshot_of(environment), 1.0)
    loaded = topology_of(desk, "enforce")
    assert loaded.raw_default == "deny"
    assert understood(written(loaded), "a file").policy == desk.policy


def test_while_the_policy_is_suspended_everything_is_allowed() -> None:
    desk = desk_of(small_environment())
    desk.suspend()
    assert understood(written(topology_of(desk, "enforce")), "a file").policy == OPEN


def test_nothing_is_known_at_the_start() -> None:
    with pytest.raises(UnreachableError, match="nothing is known yet"):
        topology_of(Desk(Tracker(), Facts(), unknown_allowed=False), "enforce")


def test_the_metadata_s_root_document_will_do(tmp_path: Path) -> None:
    environment = small_environment()
    environment.publish_ports("front-web-1", "0.0.0.0:8080:80/tcp")
    path = tmp_path / "metadata.json"
    path.write_bytes(encode(render_root(environment.records, environment.host(0))))
    loaded = load(path)
    assert loaded.scene == desk_of(environment).scene()
    (publisher,) = (each for each in loaded.containers.values() if each.ports)
    assert (publisher.name, publisher.ports) == ("front-web-1", ("0.0.0.0:8080:80/tcp",))


def test_a_policy_file_takes_the_policy_s_place(tmp_path: Path) -> None:
    desk = desk_of(small_environment())
    path, policy = tmp_path / "topology.json", tmp_path / "policy.json"
    path.write_bytes(written(topology_of(desk, "enforce")))
    policy.write_text('{"defaultPolicyAction": "allow", "policy": null}')
    loaded = load(path, policy)
    assert loaded.policy == parse_policy(None, "allow")
    assert loaded.raw_default == "allow"


def test_a_policy_that_was_rejected_can_be_replaced(tmp_path: Path) -> None:
    environment = small_environment()
    environment.set_policy("nonsense", "deny")
    path, policy = tmp_path / "metadata.json", tmp_path / "policy.json"
    path.write_bytes(encode(render_root(environment.records, environment.host(0))))
    with pytest.raises(UsageError, match=r"metadata.json: policy: given .nonsense."):
        load(path)
    policy.write_text('{"defaultPolicyAction": "deny", "policy": []}')
    assert load(path, policy).policy == parse_policy([], "deny")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("[]", "no object"),
        ('{"containers": []}', "lacks"),
        ('{"format": "corral-topology/1"}', "missing required field"),
    ],
)
def test_a_bad_file_is_named(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=rf"bad.json: .*{said}"):
        load(path)


def test_a_document_without_a_managed_network_says_so(tmp_path: Path) -> None:
    document = render_root(small_environment().records, small_environment().host(0))
    path = tmp_path / "metadata.json"
    path.write_bytes(encode({**document, "networks": []}))
    with pytest.raises(UsageError, match="no managed network"):
        load(path)


def test_no_file_and_bad_policies_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere: No such file"):
        load(tmp_path / "nowhere")
    path, policy = tmp_path / "topology.json", tmp_path / "policy.json"
    path.write_bytes(written(topology_of(desk_of(small_environment()), "enforce")))
    policy.write_text('{"policy": [{"within": "stak", "action": "allow"}]}')
    with pytest.raises(UsageError, match=r"policy.json: policy\[0\].within: given"):
        load(path, policy)
    policy.write_text("{")
    with pytest.raises(UsageError, match=r"policy.json: line 1"):
        load(path, policy)
