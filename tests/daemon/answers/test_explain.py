"""May A reach B? In the environment's words."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings

from corral.daemon.answers.explain import AUDITED, OFF, SUSPENDED, explain, rule_as_given
from corral.daemon.answers.topology import LoadedTopology, topology_of
from corral.documents.explain import Explanation
from corral.errors import UsageError
from corral.policy.verdict import judge
from corral.sandbox.environment import Environment
from corral.types import Address, Flow, Protocol

from ...documents.checking import check
from ...policy.scenes import by_address, endpoint
from ...policy.strategies import ADDRESSES, EXAMPLES, Container, worlds
from ..running import desk_of, small_environment
from .test_topology import POLICIES, loaded_of


def loaded(environment: Environment | None = None, mode: str = "enforce") -> LoadedTopology:
    return topology_of(desk_of(environment or small_environment()), mode)


def test_the_deciding_rule_is_named_and_shown_as_it_is_written() -> None:
    answer = explain(loaded(), "front/web", "front-db-1", "80/tcp")
    check(Explanation, answer)
    (flow,) = answer["flows"]
    assert (answer["verdict"], flow["rule"], flow["rule_text"]) == ("allow", 0, "within stack: allow")
    assert flow["rule_json"] == {"within": "stack", "action": "allow"}
    assert flow["client"]["name"] == "front/web/front-web-1"
    assert flow["client"]["party"] == "front/web"


def test_a_denial_tells_why_each_rule_did_not_match() -> None:
    answer = explain(loaded(), "back/job", "front/db", None)
    check(Explanation, answer)
    (flow,) = answer["flows"]
    assert (flow["verdict"], flow["decided_by"], flow["protocol"]) == ("deny", "default", "icmp")
    assert answer["suggestions"][0]["rule"] is not None or answer["suggestions"][0]["sentence"]
    (step,) = flow["steps"]
    assert (step["matched"], step["text"]) == (False, "within stack: allow")
    assert flow["rule_json"] is None


def test_both_directions_are_judged_and_replies_spoken_of() -> None:
    environment = small_environment()
    environment.set_policy([{"within": "linked", "action": "allow"}], "deny")
    environment.set_links("front/web", {"front/db": "db"})
    answer = explain(loaded(environment), "front/web", "front/db", "80/tcp")
    assert (answer["verdict"], answer["reverse"]["verdict"]) == ("allow", "deny")
    (back,) = answer["reverse"]["flows"]
    assert "linked the other way only" in back["steps"][0]["why"]
    assert back["client"]["party"] == "front/db"
    assert "always pass" in answer["replies"]


def test_a_port_without_protocol_asks_for_both() -> None:
    flows = explain(loaded(), "front/web", "front/db", "80")["flows"]
    assert [flow["protocol"] for flow in flows] == ["tcp", "udp"]


def test_one_denied_flow_makes_the_answer_no() -> None:
    environment = small_environment()
    environment.set_policy(
        [{"from": {"selector": "a"}, "to": {"selector": "b"}, "ports": ["80/tcp"], "action": "allow"}], "deny"
    )
    environment.set_service_labels("front/web", {"a": "1"})
    environment.set_service_labels("front/db", {"b": "1"})
    answer = explain(loaded(environment), "front/web", "front/db", "80")
    assert {flow["protocol"]: flow["verdict"] for flow in answer["flows"]} == {"tcp": "allow", "udp": "deny"}
    assert answer["verdict"] == "deny"


def test_what_the_policy_does_not_judge_is_said_and_nobody_enforces_it() -> None:
    answer = explain(loaded(), "192.0.2.7", "front/db", None)
    assert answer["verdict"] == "not judged"
    assert answer["flows"][0]["enforced"] == []


def test_nobody_enforces_what_goes_to_a_system_endpoint() -> None:
    (flow,) = explain(loaded(), "front/web", "ipsec/ipsec", None)["flows"]
    assert (flow["decided_by"], flow["enforced"], flow["enforced_here"]) == ("system", [], False)
    (back,) = explain(loaded(), "ipsec/ipsec", "front/web", None)["flows"]
    assert (back["decided_by"], back["enforced_here"]) == ("system", True)


def test_an_unknown_server_is_judged_everywhere() -> None:
    (flow,) = explain(loaded(), "front/web", "10.42.200.1", None)["flows"]
    assert (flow["verdict"], flow["decided_by"], flow["server"]["party"]) == ("deny", "unknown", None)
    assert flow["enforced"][0]["host"] is None


@pytest.mark.parametrize("port", ["0", "80/sctp", "99999/tcp", "", "x"])
def test_bad_ports_say_what_is_allowed(port: str) -> None:
    with pytest.raises(UsageError, match="1-65535"):
        explain(loaded(), "front/web", "front/db", port)


@pytest.mark.parametrize(("mode", "note"), [("audit", AUDITED), ("off", OFF)])
def test_what_the_mode_means_is_noted(mode: str, note: str) -> None:
    answer = explain(loaded(mode=mode), "back/job", "front/db", None)
    assert (answer["mode"], answer["verdict"], answer["notes"]) == (mode, "deny", [note])


def test_a_suspended_policy_is_noted() -> None:
    desk = desk_of(small_environment())
    desk.suspend()
    answer = explain(topology_of(desk, "enforce"), "back/job", "front/db", None)
    assert (answer["verdict"], answer["notes"]) == ("allow", [SUSPENDED])


def test_many_alike_are_judged_once_and_counted() -> None:
    environment = small_environment()
    for _ in range(3):
        container = environment.create_container("front/web")
        environment.set_running(container.name, environment.allocate_address(0))
    (flow,) = explain(loaded(environment), "front/web", "front/db", None)["flows"]
    assert (flow["count"], flow["enforced"][0]["servers"]) == (4, 1)


def test_a_question_about_too_many_pairs_is_refused_rather_than_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corral.daemon.answers.explain.PAIRS_LIMIT", 1)
    environment = small_environment()
    for name in ("front-web-1", environment.create_container("front/web").name):
        environment.set_running(name, environment.allocate_address(0))
        environment.set_container_labels(name, {"name": name})
    environment.set_policy([{"between": {"groupBy": "name"}, "action": "allow"}], "deny")
    with pytest.raises(UsageError, match="is 2 pairs that rules may tell apart; at most 1"):
        explain(loaded(environment), "front/web", "front/db", None)


@settings(max_examples=EXAMPLES, deadline=None)
@given(worlds, POLICIES)
def test_every_answer_is_the_reference_verdict_s(world: dict[str, Container], policy: object) -> None:
    """Endpoints that are judged together are judged alike, whatever the world."""
    topology = loaded_of(world, policy, "deny")
    for service in {str(service) for one in topology.endpoints.values() for service in one.services}:
        for address in ADDRESSES:
            answer = explain(topology, service, str(address), "80/tcp")
            members = [one.address for one in topology.endpoints.values() if service in map(str, one.services)]
            expected = [
                judge(topology.scene, Flow(Address(member), address, Protocol.TCP, 80)).sentence for member in members
            ]
            told = [flow["sentence"] for flow in answer["flows"] for _ in range(flow["count"])]
            assert sorted(told) == sorted(expected)


def test_rules_are_shown_as_somebody_wrote_them() -> None:
    rule = {"from": {"selector": "a=b", "type": "x"}, "to": {"selector": ""}, "within": None, "action": "deny"}
    wanted = {"from": {"selector": "a=b"}, "to": {"selector": ""}, "action": "deny"}
    assert rule_as_given([None, rule], 1) == rule_as_given([json.dumps(rule)], 0) == wanted
    assert rule_as_given(None, 0) is None
    assert rule_as_given([], 0) is None


def test_a_link_to_one_container_is_none_to_its_copies() -> None:
    ends = by_address(
        endpoint(2, "front/web"), endpoint(3, "front/web", linked=True), endpoint(4, links_to_containers="c3")
    )
    before = loaded_of({}, [{"within": "linked", "action": "allow"}], "deny")
    topology = LoadedTopology(replace(before.topology, endpoints=ends), before.policy)
    flows = explain(topology, "10.42.0.4", "front/web", None)["flows"]
    assert [(flow["server"]["address"], flow["verdict"]) for flow in flows] == [
        ("10.42.0.2", "deny"), ("10.42.0.3", "allow")
    ]  # fmt: skip
