"""The plan: what it says of pairs, of rules that come and go, of traffic, and of what it can not know."""

from __future__ import annotations

from typing import Any, cast

import pytest

from corral.daemon.answers.plan import Evidence, Starting, plan_document
from corral.documents.connections import Connection, Connections
from corral.documents.plan import PlanDocument
from corral.model.change import ManagedNetwork
from corral.model.entities import Container, Host
from corral.model.topology import Topology
from corral.policy.digest import policy_digest
from corral.policy.rules import Policy

from ...documents.checking import check
from ...policy.scenes import BETWEEN_DEPARTMENTS, SEED, SUBNETS, WITHIN_STACK, address, policy

NETWORK = ManagedNetwork(
    uuid="n1", name="ipsec", bridge="docker0", subnets=SUBNETS, policy=None, default_policy_action=None
)
HOSTS = {"h1": Host(uuid="h1", name="host1"), "h2": Host(uuid="h2", name="host2")}
# Even addresses on the first host, odd ones on the second.
CONTAINERS = {
    uuid: Container(uuid=uuid, name=uuid, host="h2" if one.address % 2 else "h1")
    for one in SEED.values()
    for uuid in one.containers
}
TOPOLOGY = Topology(network=NETWORK, endpoints=SEED, containers=CONTAINERS, hosts=HOSTS, self_host="h1")
BEFORE, AFTER = policy(WITHIN_STACK), policy(BETWEEN_DEPARTMENTS)


def end(number: int, party: str) -> Any:
    return {"name": f"{party}/c{number}", "address": str(address(number)), "party": party}


def connection(**fields: Any) -> Connection:
    """From `stack_one/service_one` to `stack_one/service_three`, which share a stack and no department."""
    usual = {
        "client": end(10, "stack_one/service_one"),
        "server": end(14, "stack_one/service_three"),
        "protocol": "tcp",
        "port": 80,
        "state": "established",
        "answered": True,
        "open": True,
        "count": 2,
        "client_ports": [4000, 4001],
        "verdict": "allow",
        "decided_by": "rule",
        "rule": 0,
        "sentence": "",
        "differs": None,
    }
    return cast("Connection", usual | fields)


def evidence(*connections: Connection, **fields: Any) -> Evidence:
    answer = {"host": "host1", "mode": "enforce", "policy": "", "entries": 9, "truncated": False}
    known = cast("Connections", {**answer, "connections": list(connections)})
    return Evidence(**{"agent": "127.0.0.1:8799", "connections": known, **fields})


def planned(*known: Evidence, before: Policy = BEFORE, after: Policy = AFTER) -> PlanDocument:
    starting = Starting(policy=before, digest=policy_digest(before), source="Rancher")
    document = plan_document(TOPOLOGY, starting, after, policy_digest(after), known)
    check(PlanDocument, document)
    return document


def test_pairs_by_reason_by_stacks_and_one_by_one() -> None:
    document = planned()
    opened, closed = document["opened"], document["closed"]
    # Two departments in two stacks each; three, two and two services in a stack, less those of one department.
    assert (opened["pairs"], opened["endpoint_pairs"]) == (4, 16)
    (reason,) = opened["reasons"]
    assert (reason["ports"], reason["pairs"], reason["endpoint_pairs"]) == ("any", 4, 16)
    assert reason["before"]["text"] == "the default action: deny"
    assert reason["after"] == {
        "decided_by": "rule",
        "rule": 0,
        "text": "policy[0] between groupBy com.rancher.department: allow",
    }
    assert [(group["client"], group["server"], group["pairs"]) for group in opened["groups"]] == [
        ("stack_one", "stack_three", 1),
        ("stack_one", "stack_two", 1),
        ("stack_three", "stack_one", 1),
        ("stack_two", "stack_one", 1),
    ]
    pairs = {(pair["client"], pair["server"]) for pair in closed["examples"]}
    assert ("stack_one/service_one", "stack_one/service_three") in pairs
    assert ("stack_one/service_one", "stack_one/service_one") not in pairs  # its own copies: one department
    assert closed["pairs"] == len(pairs) == 6 + 2 + 2 + 3  # and the copies of those without a department


def test_rules_that_come_and_go() -> None:
    deny = {"within": "service", "action": "deny"}
    document = planned(
        before=policy(WITHIN_STACK, BETWEEN_DEPARTMENTS), after=policy(deny, WITHIN_STACK, default="allow")
    )
    assert document["rules_added"] == [{"index": 0, "text": "within service: deny"}]
    assert document["rules_removed"] == [{"index": 1, "text": "between groupBy com.rancher.department: allow"}]
    assert (document["default_before"], document["default_after"]) == ("deny", "allow")


def test_open_connections_that_would_be_cut_with_their_exact_tuples() -> None:
    document = planned(evidence(connection()))
    assert [(cut["client_port"], cut["port"], cut["host"]) for cut in document["cut"]] == [
        (4000, 80, "host1"),
        (4001, 80, "host1"),
    ]
    assert document["carried"] == [
        {
            "client": "stack_one/service_one",
            "server": "stack_one/service_three",
            "protocol": "tcp",
            "port": 80,
            "flows": 2,
            "open": 2,
        }
    ]


@pytest.mark.parametrize(
    ("fields", "cut", "carried"),
    [
        ({"open": False, "state": "time_wait"}, 0, 2),
        ({"answered": False, "open": False, "state": "syn_sent"}, 0, 0),
        ({"protocol": "icmp", "port": None, "client_ports": [], "count": 3}, 3, 3),
        ({"protocol": "132", "state": "answered"}, 2, 2),  # SCTP has ports, but no rule names them
        ({"server": end(22, "stack_two/service_two")}, 0, 0),  # denied now as then
        ({"client": end(99, "10.42.0.99")}, 0, 0),  # no known endpoint: the default action, now as then
    ],
)
def test_what_counts_as_traffic_and_as_open(fields: dict[str, Any], cut: int, carried: int) -> None:
    document = planned(evidence(connection(**fields)))
    assert (len(document["cut"]), sum(one["flows"] for one in document["carried"])) == (cut, carried)


def test_flows_of_one_pair_and_port_are_added_up() -> None:
    waiting = connection(open=False, state="time_wait", count=5)
    (carried,) = planned(evidence(connection(), waiting, connection(client=end(11, "stack_one/service_one"))))[
        "carried"
    ]
    assert (carried["flows"], carried["open"]) == (9, 4)


def test_counters_of_what_lets_pass_what_would_close() -> None:
    entry = {"text": "within stack: allow", "packets": 7, "last_hit": "2026-11-23T02:35:15.123Z"}
    rules = {"rules": [entry], "default": {"text": "deny", "packets": 3, "last_hit": None}}
    (hit,) = planned(evidence(rules=rules))["rules_hit"]
    assert (hit["rule"], hit["text"], hit["host"], hit["packets"]) == (0, "within stack: allow", "host1", 7)
    assert planned(evidence(rules=rules), before=AFTER, after=BEFORE)["rules_hit"] == []
    by_default = planned(evidence(rules=rules), before=policy(default="allow"), after=policy())["rules_hit"]
    assert [(hit["rule"], hit["packets"]) for hit in by_default] == [(None, 3)]
    silent = {"rules": [{**entry, "packets": 0}], "default": rules["default"]}
    assert planned(evidence(rules=silent))["rules_hit"] == []


def test_what_is_not_known_is_said() -> None:
    assert planned()["not_known"] == [
        "connections and counters on host1, host2: their agents were not asked (--agent HOST:PORT, once for each)"
    ]
    asked = planned(evidence())["not_known"]
    assert asked[0] == "connections and counters on host2: its agent was not asked (--agent HOST:PORT, once for each)"
    assert "some minutes after its last packet" in asked[1]
    failed = planned(evidence(connections=None, troubles=("connections of x: no module",)))
    assert failed["not_known"][0] == "connections of x: no module"
    assert failed["asked"] == [{"agent": "127.0.0.1:8799", "host": "127.0.0.1:8799", "mode": None, "entries": None}]


@pytest.mark.parametrize(("before", "after", "verb"), [("allow", "deny", "closes"), ("deny", "allow", "opens")])
def test_what_no_pair_shows_of_another_default_action_is_said(before: str, after: str, verb: str) -> None:
    unknown, version6, *_ = planned(before=policy(default=before), after=policy(default=after))["not_known"]
    assert f"no known endpoint: the default action decides, so they turn from {before} to {after}" in unknown
    assert version6.endswith(f"it {verb} with the default action")


def test_warnings_are_about_the_new_policy() -> None:
    unknown = {"from": {"selector": "tire=web"}, "to": {"selector": "com.rancher.department=qa"}, "action": "allow"}
    assert {(one["rule"], one["kind"]) for one in planned(after=policy(unknown))["warnings"]} == {(0, "unknown-label")}
    assert planned(before=policy(unknown))["warnings"] == []
