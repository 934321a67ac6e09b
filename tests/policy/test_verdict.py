from __future__ import annotations

import pytest

from corral.model.endpoint import Endpoint
from corral.policy.rules import Policy
from corral.policy.verdict import Decider, Scene, judge
from corral.types import Action, Address, Flow, Protocol

from .scenes import BETWEEN_DEPARTMENTS, SEED, SUBNETS, WITHIN_STACK, address, endpoint, policy, scene, service_of

SEED_PAIRS = (
    {"stack_one/service_one", "stack_two/service_one"},
    {"stack_one/service_two", "stack_three/service_one"},
)


def flow(client: int, server: int, port: str = "80/tcp") -> Flow:
    number, _, protocol = port.partition("/")
    return Flow(address(client), address(server), Protocol(protocol or "icmp"), int(number) if number else None)


def allowed_pairs(judged_by: Policy) -> set[tuple[str, str]]:
    judged = Scene(judged_by, SUBNETS, SEED)
    return {
        (service_of(client), service_of(server))
        for client in SEED.values()
        for server in SEED.values()
        if client is not server
        and judge(judged, Flow(client.address, server.address, Protocol.TCP, 80)).action is Action.ALLOW
    }


def test_seed_example_one_denies_everything() -> None:
    assert allowed_pairs(policy()) == set()


def test_seed_example_two_allows_within_each_stack() -> None:
    services = {service_of(one) for one in SEED.values()}
    same = {(a, b) for a in services for b in services if a.split("/")[0] == b.split("/")[0]}
    assert allowed_pairs(policy(WITHIN_STACK)) == same


def test_seed_example_three_allows_between_equal_departments() -> None:
    pairs = {(a, b) for pair in SEED_PAIRS for a in pair for b in pair}
    assert allowed_pairs(policy(BETWEEN_DEPARTMENTS)) == pairs


def test_the_default_action_allows_when_rancher_says_nothing() -> None:
    judgement = judge(scene(Policy(), endpoint(2), endpoint(3)), flow(2, 3))
    assert (judgement.action, judgement.decided_by) == (Action.ALLOW, Decider.DEFAULT)
    assert judgement.sentence == "allowed by the default action, which Rancher does not set: no rule matches"


@pytest.mark.parametrize("outside", ["client", "server"])
def test_flows_with_an_end_outside_are_not_judged(outside: str) -> None:
    inside, far = address(2), Address(SUBNETS[0].last + 1)
    client, server = (far, inside) if outside == "client" else (inside, far)
    judgement = judge(scene(policy(), endpoint(2)), Flow(client, server, Protocol.TCP, 80))
    assert (judgement.action, judgement.decided_by) == (None, Decider.OUTSIDE)
    assert judgement.sentence == f"not judged: outside the managed network: {outside} 10.43.0.0"


@pytest.mark.parametrize("unknown_allowed", [False, True])
def test_system_endpoints_are_allowed_before_anything_else(*, unknown_allowed: bool) -> None:
    deny = {"within": "stack", "action": "deny"}
    judged = scene(policy(deny), endpoint(2, "a/b", system=True), endpoint(3, "a/b"), unknown_allowed=unknown_allowed)
    for ends in ((2, 3), (3, 2), (99, 2), (2, 99)):
        judgement = judge(judged, flow(*ends))
        assert (judgement.action, judgement.decided_by) == (Action.ALLOW, Decider.SYSTEM)
    assert judge(judged, flow(3, 2)).sentence == "allowed: the server is a system endpoint"
    assert judge(judged, flow(2, 3)).sentence == "allowed: the client is a system endpoint"


@pytest.mark.parametrize("ends", [(2, 99), (99, 2)])
def test_unknown_addresses_match_no_rule_and_get_the_default_action(ends: tuple[int, int]) -> None:
    everything = {"within": "stack", "action": "allow"}
    for default in Action:
        judgement = judge(scene(policy(everything, default=default), endpoint(2, "a/b")), flow(*ends))
        assert (judgement.action, judgement.decided_by, judgement.rule) == (default, Decider.UNKNOWN, None)
        assert "10.42.0.99" in judgement.sentence
    opened = scene(policy(everything), endpoint(2, "a/b"), unknown_allowed=True)
    assert judge(opened, flow(*ends)).action is Action.ALLOW


CLIENT = endpoint(2, "front/web", labels={"dept": "qa", "role": "web"}, links_to="back/api", links_to_containers="c4")


@pytest.mark.parametrize(
    ("form", "server", "matched", "why"),
    [
        ({"within": "stack"}, endpoint(3, "front/db"), True, "both are in stack front"),
        ({"within": "stack"}, endpoint(3, "back/api"), False, "client is in front, server in back"),
        ({"within": "stack"}, endpoint(3), False, "client is in front, server in no stack"),
        ({"within": "service"}, endpoint(3, "front/web"), True, "both are in service front/web"),
        ({"within": "service"}, endpoint(3, "front/db"), False, "client is in front/web, server in front/db"),
        ({"within": "linked"}, endpoint(3, "back/api"), True, "client's service links to server's: back/api"),
        ({"within": "linked"}, endpoint(4, linked=True), True, "client's container links to server's: c4"),
        ({"within": "linked"}, endpoint(5, "back/other"), False, "client does not link to server"),
        (
            {"within": "linked"},
            endpoint(3, "x/y", links_to="front/web"),
            False,
            "linked the other way only: server's service links to client's: front/web",
        ),
        (
            {"within": "linked"},
            endpoint(3, links_to_containers="c2"),
            False,
            "linked the other way only: server's container links to client's: c2",
        ),
        ({"between": {"groupBy": "dept"}}, endpoint(3, labels={"dept": "qa"}), True, "both have dept=qa"),
        (
            {"between": {"groupBy": "dept"}},
            endpoint(3, labels={"dept": "QA"}),
            False,
            "client has dept=qa, server has dept=QA",
        ),
        ({"between": {"groupBy": "Dept"}}, endpoint(3), False, "client has no Dept, server has no Dept"),
        (
            {"between": {"selector": "DEPT=QA"}},
            endpoint(3, labels={"dept": "qa"}),
            True,
            "client matches dept=qa and server matches dept=qa",
        ),
        ({"between": {"selector": "dept=qa"}}, endpoint(3), False, "server does not match dept=qa"),
    ],
)
def test_every_form_says_why(form: dict[str, object], server: Endpoint, why: str, *, matched: bool) -> None:
    judged = scene(policy({**form, "action": "allow"}), CLIENT, server)
    judgement = judge(judged, Flow(CLIENT.address, server.address, Protocol.TCP, 80))
    (step,) = judgement.steps
    assert (step.matched, step.why) == (matched, why)
    assert (judgement.action is Action.ALLOW) == matched
    assert (judgement.rule, judgement.decided_by) == ((0, Decider.RULE) if matched else (None, Decider.DEFAULT))


@pytest.mark.parametrize(
    ("ports", "port", "matches"),
    [
        ([], "80/tcp", True),
        ([], "", True),
        (["80"], "80/tcp", True),
        (["80"], "80/udp", True),
        (["80"], "", False),
        (["80/tcp"], "80/udp", False),
        (["53/udp", "8000-8080/tcp"], "8080/tcp", True),
        (["53/udp", "8000-8080/tcp"], "8081/tcp", False),
    ],
)
def test_from_to_is_directed_and_looks_at_the_server_port(ports: list[str], port: str, *, matches: bool) -> None:
    form = {"from": {"selector": "role=web"}, "to": {"selector": "role=db"}, "ports": ports, "action": "allow"}
    judged = scene(policy(form), CLIENT, endpoint(3, labels={"role": "db"}))
    there = judge(judged, flow(2, 3, port))
    assert (there.action is Action.ALLOW) == matches
    if ports:
        assert (port or "icmp") in there.steps[0].why
    back = judge(judged, flow(3, 2, port))
    assert back.action is Action.DENY
    assert back.steps[0].why == "client does not match role=web and server does not match role=db"


def test_the_first_matching_rule_decides() -> None:
    rules = [
        {"between": {"groupBy": "dept"}, "action": "allow"},
        {"within": "service", "action": "deny"},
        {"within": "stack", "action": "allow"},
    ]
    judgement = judge(scene(policy(*rules), endpoint(2, "a/b"), endpoint(3, "a/b")), flow(2, 3))
    assert (judgement.action, judgement.rule) == (Action.DENY, 1)
    assert [(step.rule, step.matched) for step in judgement.steps] == [(0, False), (1, True)]
    assert judgement.sentence == "denied by policy[1] (within service: deny): both are in service a/b"


def test_an_endpoint_has_what_any_of_its_containers_has() -> None:
    both = endpoint(3, "front/db back/api")
    judged = scene(policy(WITHIN_STACK), endpoint(2, "front/web"), both, endpoint(4, "back/x"))
    assert [judge(judged, flow(number, 3)).action for number in (2, 4)] == [Action.ALLOW, Action.ALLOW]
    assert judge(judged, flow(2, 4)).action is Action.DENY
