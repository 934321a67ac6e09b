"""What opens and closes, against the reference verdict asked twice for every flow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import permutations

from hypothesis import given, settings

from corral.model.endpoint import Endpoint
from corral.model.entities import Container as Known
from corral.policy.change import GroupChange, PairChange, compare_policies
from corral.policy.matrix import Decision
from corral.policy.ports import PortClass, port_classes_of, ports_in_words
from corral.policy.profiles import party_name
from corral.policy.rules import Policy
from corral.policy.verdict import Decider, Scene, judge
from corral.types import Action, Address, Flow, Protocol

from .scenes import BETWEEN_DEPARTMENTS, SEED, SUBNETS, WITHIN_STACK, by_address, endpoint, policy
from .strategies import EXAMPLES, Container, endpoints_of, policies, worlds

_NOTHING = policy()
_DENIED = Decision(Action.DENY, Decider.DEFAULT)


def decision(scene: Scene, flow: Flow) -> Decision:
    judged = judge(scene, flow)
    assert judged.action is not None
    return Decision(judged.action, judged.decided_by, judged.rule)


def sample(ports: PortClass) -> tuple[Protocol, int | None]:
    if ports.rest:
        return Protocol.ICMP, None
    return ports.ranges[0].protocol or Protocol.TCP, ports.ranges[0].first


def expected(endpoints: Mapping[Address, Endpoint], before: Policy, after: Policy) -> dict[Action, Counter[PairChange]]:
    """Flow by flow, one for each class of ports."""
    classes = port_classes_of([before, after])
    ports: dict[tuple[Address, Address, Decision, Decision], set[int]] = {}
    for client, server in permutations(endpoints, 2):
        for place, (protocol, port) in enumerate(map(sample, classes)):
            flow = Flow(client, server, protocol, port)
            was, becomes = (decision(Scene(one, SUBNETS, endpoints), flow) for one in (before, after))
            if was.action is not becomes.action:
                ports.setdefault((client, server, was, becomes), set()).add(place)
    changes: dict[Action, Counter[PairChange]] = {action: Counter() for action in Action}
    for (client, server, was, becomes), places in ports.items():
        names = party_name(endpoints[client], {}), party_name(endpoints[server], {})
        changes[becomes.action][PairChange(*names, ports_in_words(places, classes), was, becomes, 0)] += 1
    return changes


@settings(max_examples=EXAMPLES)
@given(worlds, policies, policies)
def test_what_changes_is_what_the_reference_says_otherwise(
    world: dict[str, Container], before: Policy, after: Policy
) -> None:
    endpoints = endpoints_of(world)
    change = compare_policies(endpoints, {}, before, after)
    wanted = expected(endpoints, before, after)
    for action, pairs in ((Action.ALLOW, change.opened), (Action.DENY, change.closed)):
        found = list(pairs)
        assert {pair._replace(endpoint_pairs=0): pair.endpoint_pairs for pair in found} == wanted[action]
        assert len(found) == len(pairs) == len(wanted[action])
        assert pairs.party_pairs == len({(pair.client, pair.server) for pair in found})
        groups = pairs.groups()
        assert sum(group.endpoint_pairs for group in groups) == sum(wanted[action].values())
        assert sum(group.party_pairs for group in groups) == len(found)


def test_the_same_policy_changes_nothing() -> None:
    change = compare_policies(SEED, {}, policy(BETWEEN_DEPARTMENTS), policy(BETWEEN_DEPARTMENTS))
    assert not list(change.opened)
    assert not list(change.closed)
    assert change.opened.endpoint_pairs == change.closed.party_pairs == 0


def test_the_seeds_third_example_opened() -> None:
    change = compare_policies(SEED, {}, _NOTHING, policy(BETWEEN_DEPARTMENTS))
    allowed = Decision(Action.ALLOW, Decider.RULE, 0)
    assert PairChange("stack_one/service_one", "stack_two/service_one", "any", _DENIED, allowed, 4) in change.opened
    assert PairChange("stack_one/service_one", "stack_one/service_one", "any", _DENIED, allowed, 2) in change.opened
    assert change.opened.party_pairs == len(change.opened) == 8
    assert change.opened.endpoint_pairs == 4 * 4 + 4 * 2
    assert not change.closed


def test_groups_count_pairs_by_stacks() -> None:
    change = compare_policies(SEED, {}, policy(WITHIN_STACK), _NOTHING)
    was = Decision(Action.ALLOW, Decider.RULE, 0)
    assert change.closed.groups() == (
        GroupChange("stack_one", "stack_one", "any", was, _DENIED, 9, 6 * 5),
        GroupChange("stack_three", "stack_three", "any", was, _DENIED, 4, 4 * 3),
        GroupChange("stack_two", "stack_two", "any", was, _DENIED, 4, 4 * 3),
    )
    assert str(change.closed.groups()[0]) == "stack_one -> stack_one: 9 pairs, any"


def test_an_endpoint_does_not_open_to_itself() -> None:
    alone = by_address(endpoint(2, "s/a"))
    assert not compare_policies(alone, {}, _NOTHING, policy(WITHIN_STACK)).opened


def test_several_containers_of_one_name_are_one_pair() -> None:
    """One of them has a label that a rule asks for."""
    endpoints = by_address(
        endpoint(2, "s/a", labels={"t": "x"}), endpoint(3, "s/a"), endpoint(4, "s/b", labels={"t": "x"})
    )
    rule = {"from": {"selector": "t=x"}, "to": {"selector": "t=x"}, "ports": ["80/tcp"], "action": "allow"}
    opened = compare_policies(endpoints, {}, _NOTHING, policy(rule)).opened
    allowed = Decision(Action.ALLOW, Decider.RULE, 0)
    assert sorted(opened) == [
        PairChange("s/a", "s/b", "tcp 80", _DENIED, allowed, 1),
        PairChange("s/b", "s/a", "tcp 80", _DENIED, allowed, 1),
    ]


def test_standalone_containers_are_grouped_as_in_no_stack() -> None:
    containers = {f"c{number}": Known(uuid=f"c{number}", name=f"job-{number}") for number in (2, 3)}
    endpoints = by_address(endpoint(2, labels={"t": "x"}), endpoint(3, labels={"t": "x"}))
    rule = {"between": {"groupBy": "t"}, "action": "allow"}
    opened = compare_policies(endpoints, containers, _NOTHING, policy(rule)).opened
    assert {(pair.client, pair.server) for pair in opened} == {("job-2", "job-3"), ("job-3", "job-2")}
    (group,) = opened.groups()
    assert str(group) == "in no stack -> in no stack: 2 pairs, any"


def test_ports_are_those_of_each_client() -> None:
    """One rule opens two ports; an earlier one keeps one of them closed for some clients."""
    clients = [endpoint(number, f"s/c{number}", labels={"c": "x", **labels}) for number, labels in CLIENTS.items()]
    endpoints = by_address(*clients, endpoint(9, "s/server", labels={"s": "x"}))
    closing = {"from": {"selector": "b"}, "to": {"selector": "s"}, "ports": ["80/tcp"], "action": "deny"}
    opening = {"from": {"selector": "c"}, "to": {"selector": "s"}, "ports": ["80/tcp", "81/tcp"], "action": "allow"}
    also = {"from": {"selector": "d"}, "to": {"selector": "s"}, "ports": ["81/tcp"], "action": "deny"}
    opened = compare_policies(endpoints, {}, _NOTHING, policy(closing, also, opening)).opened
    assert {(pair.client, pair.ports) for pair in opened} == {
        ("s/c2", "tcp 80-81"),
        ("s/c3", "tcp 81"),
        ("s/c4", "tcp 80"),
    }


CLIENTS: dict[int, dict[str, str]] = {2: {}, 3: {"b": "x"}, 4: {"d": "x"}, 5: {"b": "x", "d": "x"}}
