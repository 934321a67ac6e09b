"""The matrix says what the reference verdict says, for every pair and port."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings

from corral.model.endpoint import Endpoint
from corral.policy.matrix import Decision, matrix_of
from corral.policy.ports import port_classes_of
from corral.policy.profiles import profiles_of
from corral.policy.rules import Policy
from corral.policy.verdict import Decider, Scene, judge
from corral.types import Action, Address, Protocol

from .scenes import BETWEEN_DEPARTMENTS, SEED, by_address, endpoint, policy
from .strategies import EXAMPLES, SUBNETS, Container, endpoints_of, flows, policies, worlds


def check_against_the_reference(judged_by: Policy, endpoints: Mapping[Address, Endpoint], *others: Policy) -> None:
    population = profiles_of(endpoints, {}, [judged_by, *others])
    matrix = matrix_of(judged_by, population, port_classes_of([judged_by, *others]))
    index = {address: place for place, one in enumerate(population.profiles) for address in one.addresses}
    scene = Scene(judged_by, SUBNETS, endpoints)
    for flow in flows(endpoints):
        judged = judge(scene, flow)
        decided = matrix.decision(index[flow.client], index[flow.server], flow.protocol, flow.port)
        assert judged.action is not None
        assert decided == Decision(judged.action, judged.decided_by, judged.rule), (flow, judged)


@settings(max_examples=EXAMPLES)
@given(worlds, policies)
def test_every_decision_is_that_of_the_reference(world: dict[str, Container], judged_by: Policy) -> None:
    check_against_the_reference(judged_by, endpoints_of(world))


@settings(max_examples=EXAMPLES)
@given(worlds, policies, policies)
def test_the_ports_of_another_policy_change_no_decision(
    world: dict[str, Container], judged_by: Policy, other: Policy
) -> None:
    check_against_the_reference(judged_by, endpoints_of(world), other)


def test_masks_are_all_clients_each_once() -> None:
    matrix = matrix_of(policy(BETWEEN_DEPARTMENTS), profiles_of(SEED, {}, [policy(BETWEEN_DEPARTMENTS)]))
    every = (1 << len(matrix.population.profiles)) - 1
    for column in matrix.columns:
        for outcome in column:
            assert sum(clients for _, clients in outcome) == every


def test_servers_that_are_alike_share_their_column() -> None:
    """Else a matrix of thousands would take a mask for each pair and rule."""
    judged_by = policy({"from": {"selector": "a"}, "to": {"selector": "b"}, "ports": ["80/tcp"], "action": "allow"})
    endpoints = by_address(*(endpoint(number, f"s/n{number}", labels={"b": "x"}) for number in range(2, 9)))
    columns = matrix_of(judged_by, profiles_of(endpoints, {}, [judged_by])).columns
    assert len(columns) == 7
    assert len({id(column) for column in columns}) == 1


def test_system_endpoints_come_first() -> None:
    judged_by = policy({"within": "stack", "action": "deny"})
    endpoints = by_address(endpoint(2, "s/a", system=True), endpoint(3, "s/b"))
    matrix = matrix_of(judged_by, profiles_of(endpoints, {}, [judged_by]))
    system = Decision(Action.ALLOW, Decider.SYSTEM)
    assert matrix.decision(0, 1, Protocol.TCP, 80) == matrix.decision(1, 0, Protocol.TCP, 80) == system
    assert matrix.decision(1, 1, Protocol.TCP, 80) == Decision(Action.DENY, Decider.RULE, 0)
