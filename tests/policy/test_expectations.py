"""Expectations: what is read, and that the verdicts are the reference's, though they come from the compiled ruleset."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from corral.errors import PolicyError, UsageError
from corral.policy.expectations import Expectation, failures, read_expectations
from corral.policy.rules import Policy
from corral.policy.verdict import Scene, judge
from corral.types import Action, Address, Protocol

from .scenes import BETWEEN_DEPARTMENTS, SEED, SUBNETS, WITHIN_STACK, address, policy, service_of
from .strategies import EXAMPLES, Container, endpoints_of, flows, policies, worlds
from .strategies import SUBNETS as RANDOM_SUBNETS

GOOD: dict[str, Any] = {"client": "a/b", "server": "c/d", "port": "80/tcp", "verdict": "allow"}


def test_a_file_is_read() -> None:
    other = {"client": "10.42.0.2", "server": "x", "port": 53, "verdict": "deny"}
    icmp = {"client": "x", "server": "y", "verdict": "deny"}
    found = read_expectations(json.dumps([GOOD, other, icmp]))
    assert found[0] == Expectation("a/b", "c/d", "80/tcp", Action.ALLOW)
    assert [one.protocols for one in found] == [
        [(Protocol.TCP, 80)],
        [(Protocol.TCP, 53), (Protocol.UDP, 53)],
        [(Protocol.ICMP, None)],
    ]
    assert str(found[0]) == "a/b -> c/d 80/tcp: allow"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "line 1, column 2: this is no JSON"),
        ("[" * 100_000, "this is no JSON"),
        ("{}", "a list of objects with client, server, port, verdict is allowed"),
        ("[]", "a list of objects"),
        ("[1]", "[0]: an object"),
        (json.dumps([GOOD, GOOD | {"verdict": "maybe"}]), '[1].verdict: given "maybe"; allowed: "allow" or "deny"'),
        (json.dumps([GOOD | {"port": "80/sctp"}]), '[0].port: given "80/sctp"'),
        (json.dumps([GOOD | {"port": 70000}]), "[0].port: given 70000"),
        (json.dumps([GOOD | {"port": True}]), "[0].port: given true"),
        (json.dumps([GOOD | {"client": ""}]), "[0].client: an address"),
        (json.dumps([{"client": "a", "verdict": "deny"}]), "[0].server: an address"),
        (json.dumps([GOOD | {"clients": "a"}]), "[0].clients: unknown key"),
    ],
)
def test_faults_are_named(text: str, said: str) -> None:
    with pytest.raises(PolicyError) as failed:
        read_expectations(text)
    assert said in str(failed.value)


def test_all_faults_of_a_file_are_named_at_once() -> None:
    with pytest.raises(PolicyError) as failed:
        read_expectations(json.dumps([GOOD | {"port": 0}, GOOD | {"verdict": 1, "server": None}]))
    assert [problem.where for problem in failed.value.problems] == ["[0].port", "[1].server", "[1].verdict"]


def resolve(name: str) -> list[list[Address]]:
    """Each endpoint of a service by itself."""
    found = [[one.address] for one in SEED.values() if service_of(one) == name]
    if not found:
        raise UsageError(f"no endpoint is called {name!r}")
    return found


def fails(judged_by: Policy, *expectations: Expectation) -> list[Any]:
    return failures(Scene(judged_by, SUBNETS, SEED), expectations, resolve)


def test_every_pair_of_a_name_must_hold() -> None:
    judged_by = policy(BETWEEN_DEPARTMENTS)
    assert fails(judged_by, Expectation("stack_one/service_one", "stack_two/service_one", "80", Action.ALLOW)) == []
    wrong = Expectation("stack_one/service_one", "stack_three/service_one", "80", Action.ALLOW)
    (failure,) = fails(
        judged_by, Expectation("stack_one/service_one", "stack_two/service_one", None, Action.ALLOW), wrong
    )
    assert (failure.index, failure.expectation, failure.verdict) == (1, wrong, Action.DENY)
    assert failure.flows == 2 * 2 * 2
    assert failure.sentence == "denied by the default action: no rule matches"


def test_endpoints_that_no_rule_tells_apart_are_tried_once_and_counted_all() -> None:
    def together(name: str) -> list[list[Address]]:
        return [[address for (address,) in resolve(name)]]

    wrong = Expectation("stack_one/service_one", "stack_three/service_one", "80", Action.ALLOW)
    (failure,) = failures(Scene(policy(), SUBNETS, SEED), [wrong], together)
    assert failure.flows == 2 * 2 * 2


def test_an_exception_among_the_endpoints_of_a_name_is_found() -> None:
    labels = {"from": {"selector": "com.rancher.department"}, "to": {"selector": "com.rancher.department=qa"}}
    judged_by = policy(WITHIN_STACK, labels | {"action": "allow", "ports": ["80/tcp"]})
    one = Expectation("stack_two/service_two", "stack_one/service_one", "80/tcp", Action.DENY)
    other = Expectation("stack_one/service_two", "stack_two/service_one", "80", Action.ALLOW)
    (failure,) = fails(judged_by, one, other)
    assert (failure.index, failure.flow.protocol, failure.flows) == (1, Protocol.UDP, 4)


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(UsageError, match="no endpoint is called 'nobody'"):
        fails(policy(), Expectation("nobody", "stack_one/service_one", None, Action.DENY))


def test_what_no_rule_can_judge() -> None:
    def by_address(name: str) -> list[list[Address]]:
        return [[Address.parse(name)]]

    scene = Scene(policy(), SUBNETS, SEED)
    outside = Expectation("192.0.2.1", str(address(10)), "80", Action.DENY)
    unknown = Expectation(str(address(99)), str(address(10)), "80", Action.ALLOW)
    sentences = [failure.sentence for failure in failures(scene, [outside, unknown], by_address)]
    assert [sentence.split(":")[0] for sentence in sentences] == ["not judged", "denied by the default action"]


@settings(max_examples=EXAMPLES // 5)
@given(worlds, policies)
def test_the_compiled_ruleset_says_what_the_reference_says(world: dict[str, Container], judged_by: Policy) -> None:
    scene = Scene(judged_by, RANDOM_SUBNETS, endpoints_of(world))
    every = list(flows())
    expected = [judge(scene, flow).action or Action.ALLOW for flow in every]
    opposite = {Action.ALLOW: Action.DENY, Action.DENY: Action.ALLOW}

    def expecting(actions: list[Action]) -> list[Expectation]:
        ports = [f"{flow.port}/{flow.protocol}" if flow.port else None for flow in every]
        return [
            Expectation(str(flow.client), str(flow.server), port, action)
            for flow, port, action in zip(every, ports, actions, strict=True)
        ]

    def by_address(name: str) -> list[list[Address]]:
        return [[Address.parse(name)]]

    assert failures(scene, expecting(expected), by_address) == []
    turned = failures(scene, expecting([opposite[action] for action in expected]), by_address)
    assert [failure.index for failure in turned] == list(range(len(every)))
