from __future__ import annotations

import copy
import json
import time
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.errors import UnreachableError
from corral.model.entities import Environment, PortRule, ServiceKey, Snapshot, StackKey
from corral.types import Address, Problem
from corral.wire.metadata import SnapshotDecoder
from tests.wire.documents import Json, container, host, network, root, sent, service, stack

WEB = ServiceKey("", "shop", "web")


class Decoder:
    """The decoder, given JSON's values instead of its bytes."""

    def __init__(self) -> None:
        self.decoder = SnapshotDecoder()

    def decode(self, document: object) -> Snapshot:
        return self.decoder.decode(sent(document))


def decode(document: object) -> Snapshot:
    return Decoder().decode(document)


def test_the_whole_document() -> None:
    snapshot = decode(root())
    assert snapshot.problems == ()
    assert snapshot.self_host == "h1"
    assert snapshot.own == Environment(name="Default", uuid="e1")
    (found,) = snapshot.containers.values()
    assert (found.uuid, found.address, found.network, found.host) == ("c1", Address.parse("10.42.0.1"), "n1", "h1")
    assert (found.stack, found.service, found.labels) == (StackKey("", "shop"), WEB, {"colour": "red"})
    assert snapshot.services[WEB].links == ("shop/db",)
    assert snapshot.services[WEB].primary_key == WEB
    assert snapshot.stacks[StackKey("", "shop")].uuid == "st1"
    assert (snapshot.networks["n1"].bridge, snapshot.networks["n1"].bridge_subnet) == ("docker0", "10.42.0.0/16")
    assert snapshot.hosts["h1"].agent_ip == "192.0.2.1"


@pytest.mark.parametrize(
    "document",
    ["<html>", None, [], {}, 5, {"self": {}}, {"containers": []}, root(containers={}), root(networks="none")],
    ids=repr,
)
def test_what_is_no_metadata_is_refused(document: object) -> None:
    with pytest.raises(UnreachableError):
        decode(document)


def test_null_sections_are_empty_ones() -> None:
    snapshot = decode(root(containers=None, services=None, stacks=None, networks=None, environments=None))
    assert (snapshot.containers, snapshot.services, snapshot.problems) == ({}, {}, ())


def test_absent_fields_have_defaults() -> None:
    bare = {"uuid": "c1"}
    snapshot = decode(root(containers=[bare], services=[{"name": "web", "stack_name": "shop"}], networks=[bare]))
    assert snapshot.problems == ()
    found = snapshot.containers["c1"]
    assert (found.address, found.stack, found.service, found.state, found.live) == (None, None, None, "", True)
    assert snapshot.services[WEB].kind == "service"


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("uuid", 5, "a string is allowed"),
        ("uuid", "", "text that is not empty is allowed"),
        ("primary_ip", "10.42.0.999", "an IPv4 address"),
        ("primary_ip", 17, "an IPv4 address"),
        ("network_uuid", ["n1"], "a string is allowed"),
        ("network_from_container_uuid", {}, "a string is allowed"),
        ("host_uuid", True, "a string is allowed"),
        ("stack_name", 4, "a string is allowed"),
        ("service_name", 4, "a string is allowed"),
    ],
)
def test_an_undecodable_container_costs_nothing_else(field: str, value: Any, allowed: str) -> None:
    snapshot = decode(root(containers=[container(**{field: value}), container("c2")]))
    assert set(snapshot.containers) == {"c2"}
    (problem,) = snapshot.problems
    assert problem.where.startswith("container name-")
    assert f"{field}: {value!r} given" in problem.message
    assert allowed in problem.message


def test_an_odd_field_costs_a_container_nothing_else() -> None:
    odd = container(name=5, state=1, system="perhaps", links="c2", labels={"a": ["b"], "colour": "red"})
    snapshot = decode(root(containers=[odd]))
    usual = decode(root()).containers["c1"]
    assert snapshot.containers["c1"] == replace(usual, name="", state="", system=False, links=frozenset())
    assert snapshot.containers["c1"].live
    assert snapshot.problems == (
        Problem(
            "container (c1)",
            "name: 5 given; a string is allowed; state: 1 given; a string is allowed; "
            "system: 'perhaps' given; true or false is allowed; labels.a: ['b'] given; a string is allowed; "
            "links: 'c2' given; a map of link names to container uuids, a list of uuids, or null is allowed",
        ),
    )


def test_odd_labels_are_none() -> None:
    snapshot = decode(root(containers=[container(labels=["a=b"])]))
    assert snapshot.containers["c1"].labels == {}
    (problem,) = snapshot.problems
    assert problem == Problem(
        "container name-c1 (c1)", "labels: ['a=b'] given; a map of label names to strings, or null, is allowed"
    )


def test_an_odd_field_costs_a_service_nothing_else() -> None:
    odd = service(
        kind=5,
        system=[],
        labels={"tier": "front", "a": {}},
        links=["shop/db", 5, None, "Shop/Web"],
        primary_service_name=7,
        lb_config={"port_rules": [{"service": "a/b"}, 5, {"selector": []}, {"container_uuid": "c1"}]},
    )
    snapshot = decode(root(services=[odd]))
    assert snapshot.services[WEB] == replace(
        decode(root()).services[WEB],
        links=("shop/db", "shop/web"),
        port_rules=(PortRule(service="a/b"), PortRule(container="c1")),
    )
    (problem,) = snapshot.problems
    assert problem.where == "service web (s1)"
    assert [part.split(":")[0] for part in problem.message.split("; ")[::2]] == [
        "kind", "system", "labels.a", "links.1", "links.2", "and 3 more",
    ]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [("links", 5), ("lb_config", {"port_rules": "all"})])
def test_a_list_of_an_odd_type_is_an_empty_one(field: str, value: Any) -> None:
    snapshot = decode(root(services=[service(**{field: value})]))
    usual = decode(root(services=[service() | {field: None}]))
    assert (snapshot.services, len(snapshot.problems)) == (usual.services, 1)


def test_odd_fields_cost_stacks_hosts_and_networks_nothing_else() -> None:
    usual = decode(root())
    snapshot = decode(
        root(
            stacks=[stack(uuid=5, system="perhaps")],
            hosts=[host(name=5, agent_ip={}, state=[], labels={"a": [], "b": "c"})],
            networks=[network(name=5, state=[])],
        )
    )
    assert snapshot.stacks == {StackKey("", "shop"): replace(usual.stacks[StackKey("", "shop")], uuid="")}
    assert snapshot.hosts == {"h1": replace(usual.hosts["h1"], name="", agent_ip="", labels={"b": "c"})}
    assert snapshot.networks == {"n1": replace(usual.networks["n1"], name="")}
    assert [problem.where for problem in snapshot.problems] == ["host (h1)", "network (n1)", "stack shop"]


def test_odd_fields_are_told_every_time() -> None:
    decoder = Decoder()
    for value in (1, True, 1):
        (problem,) = decoder.decode(root(containers=[container(name=value)])).problems
        assert problem.message == f"name: {value} given; a string is allowed"


def test_problems_name_every_kind() -> None:
    snapshot = decode(
        root(
            hosts=[5, host()],
            networks=[{"name": "broken"}, network()],
            stacks=[{"uuid": "st9"}, stack()],
            services=[service("web"), service("bad", lb_config={"port_rules": [{"selector": 5}]}), service(uuid=1)],
            containers=["c0", container()],
        )
    )
    assert [problem.where for problem in snapshot.problems] == [
        "host [0]",
        "network broken",
        "stack (st9)",
        "service bad (s1)",
        "service web",
        "container [0]",
    ]
    assert snapshot.problems[3].message == "lb_config.port_rules.0.selector: 5 given; a string is allowed"
    assert set(snapshot.containers) == {"c1"}


def test_unknown_fields_are_ignored() -> None:
    assert decode(root(containers=[container(new_field={})], new_section=5)).problems == ()


@pytest.mark.parametrize("given", [None, "", "fe80::1"])
def test_no_ipv4_address(given: object) -> None:
    snapshot = decode(root(containers=[container(primary_ip=given)]))
    assert (snapshot.containers["c1"].address, snapshot.problems) == (None, ())


def test_scalar_labels_are_taken_as_json_spells_them() -> None:
    snapshot = decode(root(containers=[container(labels={"a": 1, "b": True, "c": 1.5, "d": None, "e": ""})]))
    assert snapshot.containers["c1"].labels == {"a": "1", "b": "true", "c": "1.5", "e": ""}


@pytest.mark.parametrize("links", [{"db": "c2", "gone": None}, ["c2"], ["c2", None, ""]])
def test_links_of_containers(links: object) -> None:
    assert decode(root(containers=[container(links=links)])).containers["c1"].links == {"c2"}


@pytest.mark.parametrize("links", [{"Shop/DB": "db", "env/s/x": None}, ["shop/db", "Env/s/x"]])
def test_links_of_services_are_the_targets(links: object) -> None:
    assert decode(root(services=[service(links=links)])).services[WEB].links == ("env/s/x", "shop/db")


def test_port_rules() -> None:
    rules = [
        {"service": "Shop/Web", "target_port": 80, "selector": None},
        {"selector": "a=b", "environment": "Prod", "region": "EU"},
        {"container_uuid": "c1"},
    ]
    snapshot = decode(root(services=[service(kind="loadBalancerService", lb_config={"port_rules": rules})]))
    assert snapshot.services[WEB].kind == "loadBalancerService"
    assert snapshot.services[WEB].port_rules == (
        PortRule(service="shop/web"),
        PortRule(selector="a=b", environment="prod", region="eu"),
        PortRule(container="c1"),
    )


@pytest.mark.parametrize("lb_config", [None, {}, {"port_rules": None}])
def test_no_port_rules(lb_config: object) -> None:
    assert decode(root(services=[service(lb_config=lb_config)])).services[WEB].port_rules == ()


def test_names_are_lowered() -> None:
    snapshot = decode(
        root(
            containers=[container(stack_name="SHOP", service_name="Web")],
            services=[service("WEB", stack_name="Shop", primary_service_name="Main")],
            stacks=[stack("SHOP")],
        )
    )
    assert snapshot.containers["c1"].service == WEB
    assert snapshot.services[WEB].primary == "main"
    assert set(snapshot.stacks) == {StackKey("", "shop")}


def test_stack_and_service_by_uuid() -> None:
    nameless: Json = {"stack_name": None, "service_name": None}
    side = service("side", primary_service_name="web", stack_name=None)
    label = {"io.rancher.service.launch.config": "side"}
    snapshot = decode(
        root(
            containers=[
                container(**nameless),
                container("c2", **nameless, labels=label),
                container("c3", service_name=None, service_uuid=None),
            ],
            services=[side, service()],
        )
    )
    assert [found.service for found in snapshot.containers.values()] == [WEB, ServiceKey("", "shop", "side"), None]
    assert snapshot.containers["c1"].stack == StackKey("", "shop")
    assert snapshot.problems == ()


def test_a_service_without_a_known_stack_is_a_problem() -> None:
    snapshot = decode(root(services=[service(stack_name=None, stack_uuid="nowhere")]))
    assert snapshot.services == {}
    assert snapshot.problems == (Problem("service web (s1)", "its stack is not known"),)


def test_the_copy_at_the_top_counts() -> None:
    nested = service("web", containers=[container(name="old"), container("c2")], links={})
    snapshot = decode(root(stacks=[stack(services=[nested, service("db", uuid="s2", containers=[container("c3")])])]))
    assert snapshot.services[WEB].links == ("shop/db",)
    assert set(snapshot.services) == {WEB, ServiceKey("", "shop", "db")}
    assert set(snapshot.containers) == {"c1", "c3"}
    assert snapshot.containers["c1"].name == "name-c1"
    assert set(decode(root(services=[nested])).containers) == {"c1", "c2"}


@pytest.mark.parametrize("nested", [["shop-web-1"], "web", None, [None]])
def test_older_versions_nest_names(nested: object) -> None:
    assert decode(root(services=[service(containers=nested)], stacks=[stack(services=nested)])).problems == ()


def test_an_object_that_is_listed_twice() -> None:
    snapshot = decode(root(containers=[container(), container(name="again")]))
    assert snapshot.containers["c1"].name == "name-c1"


def test_the_cni_document_that_tells_most() -> None:
    cni = {"b": {"bridge": "docker0", "bridgeSubnet": "__host_label__: net"}, "a": {"bridge": "docker1"}, "c": None}
    snapshot = decode(root(networks=[network(metadata={"cniConfig": cni}, policy=["x"], default_policy_action="deny")]))
    found = snapshot.networks["n1"]
    assert (found.bridge, found.bridge_subnet) == ("docker0", "__host_label__: net")
    assert (found.policy, found.default_policy_action) == (["x"], "deny")


@pytest.mark.parametrize("metadata", [None, [], {}, {"cniConfig": None}, {"cniConfig": []}, "text"])
def test_networks_without_cni(metadata: object) -> None:
    snapshot = decode(root(networks=[network(metadata=metadata)]))
    assert (snapshot.networks["n1"].bridge_subnet, snapshot.problems) == ("", ())


def linked(**fields: Any) -> Json:
    return {
        "uuid": "e2",
        "name": "Prod",
        "region_name": "EU",
        "hosts": [host("h2")],
        "networks": [network("n2")],
        "services": [service(uuid="s2")],
        "containers": [container("c2")],
        "stacks": [stack(uuid="st2")],
    } | fields


def test_linked_environments() -> None:
    snapshot = decode(
        root(environments=[linked(), linked(region_name=None, uuid="e3", containers=None, hosts=[host("h3")])])
    )
    assert dict(snapshot.linked) == {
        "eu/prod": Environment(name="Prod", region="EU", uuid="e2"),
        "prod": Environment(name="Prod", uuid="e3"),
    }
    assert snapshot.containers["c2"].environment == "eu/prod"
    assert snapshot.containers["c2"].service == ServiceKey("eu/prod", "shop", "web")
    assert (snapshot.hosts["h3"].environment, snapshot.networks["n2"].environment) == ("prod", "eu/prod")
    assert WEB in snapshot.services
    assert snapshot.problems == ()


def test_a_broken_linked_environment_costs_nothing_else() -> None:
    snapshot = decode(root(environments=[5, {"uuid": "e3"}, linked(containers="x", hosts=[]), linked()]))
    assert [str(problem) for problem in snapshot.problems] == [
        "environment [0]: object: 5 given; an object is allowed",
        "environment (e3): name: missing; it is required",
        "environment eu/prod: containers: a list is allowed, 'x' given",
        "environment eu/prod: listed twice; the first one counts",
    ]
    assert set(snapshot.containers) == {"c1"}


def test_our_own_environment_may_be_listed() -> None:
    snapshot = decode(root(environments=[linked(uuid="e1")]))
    assert snapshot.own == Environment(name="Prod", region="EU", uuid="e1")
    assert snapshot.linked == {}
    assert set(snapshot.containers) == {"c1"}


@pytest.mark.parametrize("self_", [None, {}, {"host": None}, {"host": {"uuid": 5}}, {"host": {"uuid": ""}}, []])
def test_what_does_not_say_which_host_this_is_is_refused(self_: object) -> None:
    decoder = Decoder()
    before = decoder.decode(root())
    with pytest.raises(UnreachableError, match="the metadata does not say which host this is"):
        decoder.decode(root(self=self_))
    assert decoder.decode(root()).containers["c1"] is before.containers["c1"]


def test_a_document_without_self_is_refused() -> None:
    document = root()
    del document["self"]
    with pytest.raises(UnreachableError, match="which host this is"):
        decode(document)


def nested(depth: int) -> Any:
    deep: Any = {}
    for _ in range(depth):
        deep = {"": deep}
    return deep


def test_deep_nesting_is_a_problem() -> None:
    decoder = Decoder()
    for _ in range(2):
        snapshot = decoder.decode(root(networks=[network(policy=nested(400), state=nested(400)), network("n2")]))
        assert [problem.where for problem in snapshot.problems] == ["network ipsec (n1)"]
        assert set(snapshot.networks) == {"n1", "n2"}


def test_nesting_that_exhausts_the_stack_is_refused() -> None:
    """Nothing tells where such an object ends."""
    decoder = SnapshotDecoder()
    before = decoder.decode(sent(root()))
    deep = sent(root()).replace(b'"metadata":{', b'"metadata":' + b'{"":' * 5000 + b"{}" + b"}" * 5000 + b',"was":{')
    with pytest.raises(UnreachableError, match="nested too deeply"):
        decoder.decode(deep)
    assert decoder.decode(sent(root())).containers["c1"] is before.containers["c1"]


def test_equal_objects_are_translated_once() -> None:
    decoder = Decoder()
    document = root(containers=[container(f"c{number}") for number in range(20)])
    before = decoder.decode(document)
    changed = copy.deepcopy(document)
    changed["containers"][7]["state"] = "stopped"
    changed["containers"][8]["start_count"] = 5
    after = decoder.decode(changed)
    different = {uuid for uuid in after.containers if after.containers[uuid] is not before.containers[uuid]}
    assert different == {"c7"}
    assert after.containers["c7"] == replace(before.containers["c7"], state="stopped")
    for name in ("services", "stacks", "hosts", "networks"):
        old, new = getattr(before, name), getattr(after, name)
        assert all(new[key] is old[key] for key in new), name


def test_what_did_not_change_is_not_read_again() -> None:
    decoder = Decoder()
    decoder.decode(root())
    before = decoder.decoder._memories[""].reads
    decoder.decode(root(containers=[container("c2"), container()], hosts=[host("h2"), host()]))
    after = decoder.decoder._memories[""].reads
    for name in ("hosts", "networks", "stacks", "services", "containers"):
        assert after[name][-1] is before[name][-1], name


def test_a_renamed_stack_is_seen_through_its_uuid() -> None:
    decoder = Decoder()
    document = root(containers=[container(stack_name=None, service_name=None, service_uuid=None)])
    decoder.decode(document)
    renamed = copy.deepcopy(document)
    renamed["stacks"][0]["name"] = "store"
    assert decoder.decode(renamed).containers["c1"].stack == StackKey("", "store")


def test_values_that_python_calls_equal_differ() -> None:
    decoder = Decoder()
    for value, text in ((1, "1"), (True, "true"), (1.0, "1.0")):
        snapshot = decoder.decode(
            root(containers=[container(labels={"a": value})], networks=[network(policy=[{"ports": [value]}])])
        )
        assert snapshot.containers["c1"].labels == {"a": text}
        assert repr(snapshot.networks["n1"].policy) == repr([{"ports": [value]}])


def test_a_refused_document_leaves_the_memory() -> None:
    decoder = Decoder()
    before = decoder.decode(root())
    with pytest.raises(UnreachableError):
        decoder.decode("<html>")
    assert decoder.decode(root()).containers["c1"] is before.containers["c1"]


def test_a_copy_that_stays_behind_is_seen() -> None:
    """The service's own JSON did not change: what was only its copy of a container is now all there is of it."""
    decoder = Decoder()
    whole = root(
        containers=[container(), container("c2")],
        services=[service(containers=[container("c2", name="copy")])],
        stacks=[stack(services=[service(containers=[container("c2", name="copy")]), service("db", uuid="s2")])],
    )
    assert decoder.decode(whole).containers["c2"].name == "name-c2"
    for _ in range(2):
        assert decoder.decode(whole | {"containers": [container()]}).containers["c2"].name == "copy"
    without = whole | {"containers": [container()], "services": [service("db", uuid="s2")]}
    snapshot = decoder.decode(without)
    assert snapshot.containers["c2"].name == "copy"
    assert WEB in snapshot.services
    assert decoder.decode(whole).containers["c2"].name == "name-c2"


def test_a_sidekick_finds_its_primary_later() -> None:
    """Its own JSON did not change, and neither does the object while its primary stays the same."""
    decoder = Decoder()
    side, key = service("side", primary_service_name=None), ServiceKey("", "shop", "side")
    assert decoder.decode(root(services=[service(), side])).services[key].primary == "side"
    found = decoder.decode(root(services=[service(sidekicks=["side"]), side])).services[key]
    assert found.primary == "web"
    assert decoder.decode(root(services=[service(sidekicks=["side"], scale=2), side])).services[key] is found


def test_a_service_is_found_by_its_uuid_later() -> None:
    decoder = Decoder()
    nameless = root(containers=[container(service_name=None, service_uuid="s2")])
    assert decoder.decode(nameless).containers["c1"].service is None
    known = nameless | {"services": [service("db", uuid="s2")]}
    assert decoder.decode(known).containers["c1"].service == ServiceKey("", "shop", "db")
    assert decoder.decode(nameless).containers["c1"].service is None


def test_places_are_told_as_they_are() -> None:
    """Of what has no name; its own JSON did not change."""
    decoder = Decoder()
    for before in (1, 3, 0):
        snapshot = decoder.decode(root(containers=[*(container(f"c{number}") for number in range(before)), 5]))
        assert [problem.where for problem in snapshot.problems] == [f"container [{before}]"]


def test_linked_environments_are_remembered() -> None:
    decoder = Decoder()
    other = linked(name="Test", uuid="e3", hosts=[host("h3")], containers=[container("c3"), container("c4")])
    before = decoder.decode(root(environments=[linked(), other]))
    changed = other | {"containers": [container("c3"), container("c4", state="stopped")]}
    after = decoder.decode(root(environments=[changed, linked()]))
    assert {uuid for uuid in after.containers if after.containers[uuid] is not before.containers[uuid]} == {"c4"}
    assert after.containers["c4"].state == "stopped"
    assert after.linked["eu/prod"] is before.linked["eu/prod"]
    assert after.services[ServiceKey("eu/prod", "shop", "web")] is before.services[ServiceKey("eu/prod", "shop", "web")]
    assert set(decoder.decode(root(environments=[other])).containers) == {"c1", "c3", "c4"}


def test_an_object_that_is_no_unicode_costs_nothing_else() -> None:
    decoder = SnapshotDecoder()
    document = sent(root(containers=[container(state="?"), container("c2")])).replace(b"?", b"\xff")
    for _ in range(2):
        snapshot = decoder.decode(document)
        assert set(snapshot.containers) == {"c2"}
        (problem,) = snapshot.problems
        assert problem.where == "container name-c1 (c1)"
        assert "it can not be decoded" in problem.message


def test_an_unread_field_that_is_no_unicode_costs_nothing() -> None:
    document = sent(root(containers=[container(external_id="?")])).replace(b"?", b"\xff")
    assert SnapshotDecoder().decode(document).problems == ()


@pytest.mark.parametrize("body", [b"", b"<html>", sent(root())[:-1], sent(root()) + b"}", b"\xff\xfe", b'{"a":01}'])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    decoder = SnapshotDecoder()
    for _ in range(2):
        with pytest.raises(UnreachableError, match="the metadata's answer is no JSON"):
            decoder.decode(body)
        decoder.decode(sent(root()))


def test_what_is_shown_of_it_is_short() -> None:
    for document in (["x" * 5000], root(containers={"a": "x" * 5000}), root(self=["x" * 5000])):
        with pytest.raises(UnreachableError) as caught:
            decode(document)
        assert len(str(caught.value)) < 250


def test_there_are_pauses() -> None:
    document = sent(root(containers=[container(f"c{number}") for number in range(1000)]))
    decoder = SnapshotDecoder()
    first, second = len(list(decoder.steps(document))), len(list(decoder.steps(document)))
    assert min(first, second) >= 1000 // 32


def test_a_pass_that_is_broken_off_changes_nothing() -> None:
    decoder, document = SnapshotDecoder(), sent(root())
    before = decoder.decode(document)
    steps = decoder.steps(sent(root(containers=[container(name="new")])))
    next(steps)
    steps.close()
    assert decoder.decode(document).containers["c1"] is before.containers["c1"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
SAMPLES = {
    "containers": container(links={"a": "b"}),
    "services": service(sidekicks=["a"], lb_config={"port_rules": [{"service": "a"}]}),
    "stacks": stack(services=[service(containers=[container("c9")])]),
    "hosts": host(),
    "networks": network(),
    "environments": linked(),
}


@given(JSON)
def test_any_json_is_a_snapshot_or_refused(document: object) -> None:
    with pytest.raises(UnreachableError, match="metadata"):
        decode(document)


@st.composite
def damaged(draw: st.DrawFn) -> Json:
    """A document with one section's object damaged in one field."""
    section = draw(st.sampled_from(sorted(SAMPLES)))
    broken = copy.deepcopy(SAMPLES[section])
    field = draw(st.sampled_from([*sorted(broken), "labels", "links"]))
    broken[field] = draw(JSON)
    return root(**{section: [broken, *root()[section]]})


@given(damaged())
def test_damage_never_spreads(document: Json) -> None:
    snapshot = decode(document)
    assert {"c1"} <= set(snapshot.containers)
    assert WEB in snapshot.services
    kinds = ("container", "service", "stack", "host", "network", "environment")
    assert all(problem.where.startswith(kinds) for problem in snapshot.problems)


@given(st.lists(damaged(), max_size=4))
def test_memory_never_shows(documents: list[Json]) -> None:
    """A decoder that has seen other documents says what a new one says."""
    decoder = Decoder()
    for document in documents:
        assert repr(decoder.decode(document)) == repr(decode(copy.deepcopy(document)))


TEXTS = ["", "c1", "s1", "st1", "h1", "shop", "Shop", "web", "side", "db", "a", '"}', "],", "\\", "é", "true"]
VALUES: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(TEXTS) | st.builds(list) | st.builds(dict)
)
EDITS = st.lists(
    st.tuples(st.sampled_from(["drop", "copy", "move", "change", "turn"]), st.randoms(use_true_random=False), VALUES),
    min_size=1,
    max_size=4,
)


def edit(document: Json, action: str, random: Random, value: object) -> None:
    """One change, anywhere in the document or in an environment that is linked to it."""
    parents = [document, *(each for each in document["environments"] if isinstance(each, dict))]
    lists = [found for parent in parents for name in sorted(SAMPLES) if isinstance(found := parent.get(name), list)]
    chosen, other = random.choice(lists), random.choice(lists)
    place = random.randrange(len(chosen)) if chosen else None
    if place is None:
        chosen.append(value)
    elif action == "drop":
        del chosen[place]
    elif action == "turn":
        chosen.reverse()
    elif action == "change" and isinstance(chosen[place], dict):
        chosen[place] = chosen[place] | {random.choice([*sorted(chosen[place]), "labels"]): value}
    elif chosen is not document["environments"]:
        moved = chosen.pop(place) if action == "move" else copy.deepcopy(chosen[place])
        other.insert(random.randint(0, len(other)), moved)


def outcome(decoder: SnapshotDecoder, text: bytes) -> str:
    try:
        return repr(decoder.decode(text))
    except UnreachableError as error:
        return str(error)


@given(
    st.lists(
        st.tuples(
            EDITS, st.integers(-1, 12), st.lists(st.tuples(st.sampled_from(sorted(SAMPLES)), VALUES), max_size=1)
        ),
        min_size=2,
        max_size=5,
    )
)
def test_no_history_shows(history: list[tuple[Any, int, list[tuple[str, object]]]]) -> None:
    """Of small edits, of passes that are broken off somewhere, and of fields that come twice."""
    decoder = SnapshotDecoder()
    document = root(
        services=[
            service(sidekicks=["side"], containers=[container("c3")]),
            service("side", primary_service_name=None),
        ],
        stacks=[stack(services=[service("db", uuid="s2", containers=[container("c4")])])],
        containers=[container(), container("c2", stack_name=None, service_name=None)],
        environments=[linked(), linked(name="Test", uuid="e3", containers=[container("c5", service_name=None)])],
    )
    decoder.decode(sent(document))
    for edits, steps, repeated in history:
        for action, random, value in edits:
            edit(document, action, random, value)
        text = sent(document)[:-1] + b"".join(b"," + sent({name: value})[1:-1] for name, value in repeated) + b"}"
        if steps < 0:
            assert outcome(decoder, text) == outcome(SnapshotDecoder(), text)
            continue
        broken_off = decoder.steps(text)
        with suppress(StopIteration, UnreachableError):
            for _ in range(steps):
                next(broken_off)
        broken_off.close()
    text = sent(document)
    assert outcome(decoder, text) == outcome(SnapshotDecoder(), text)


def test_ten_thousand_containers_in_well_under_a_second() -> None:
    containers = [container(f"c{number}", primary_ip=f"10.42.{number >> 8}.{number & 255}") for number in range(10_000)]
    document = root(containers=containers, services=[service(containers=containers)])
    fresh = json.loads(json.dumps(document))
    decoder = Decoder()
    started = time.perf_counter()
    first = decoder.decode(document)
    decoded = time.perf_counter()
    second = decoder.decode(fresh)
    refreshed = time.perf_counter()
    assert len(first.containers) == 10_000
    assert all(second.containers[uuid] is found for uuid, found in first.containers.items())
    # Generous bounds: a slow machine that runs other tests beside must not fail them.
    assert decoded - started < 2.0
    assert refreshed - decoded < 1.0
