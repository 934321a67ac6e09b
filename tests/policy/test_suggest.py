"""Suggestions allow the flow, and open what they say and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from corral.model.endpoint import Endpoint
from corral.model.entities import Container as Known
from corral.policy.naming import OF_SERVICES
from corral.policy.ports import port_classes_of
from corral.policy.profiles import party_name
from corral.policy.rules import Policy
from corral.policy.suggest import MOST_NAMED, Advice, Suggestion, suggest, suggest_all
from corral.policy.validate import parse_policy
from corral.policy.verdict import Scene, judge
from corral.types import Action, Address, Flow, Protocol

from .scenes import SUBNETS, address, endpoint, policy, scene
from .strategies import EXAMPLES, UNKNOWN, Container, endpoints_of, flows, policies, worlds
from .test_change import sample

_WEB = endpoint(2, "shop/web", labels={"tier": "web", "team": "red"})
_DB = endpoint(3, "shop/db", labels={"tier": "db", "team": "red"})
_OTHER = endpoint(4, "blog/web", labels={"tier": "web", "team": "blue"})
_FLOW = Flow(_WEB.address, _DB.address, Protocol.TCP, 5432)


def advice(judged_by: Policy, *endpoints: Endpoint, flow: Flow = _FLOW) -> Advice:
    return suggest(scene(judged_by, *(endpoints or (_WEB, _DB, _OTHER))), {}, flow)


def linked(endpoints: Mapping[Address, Endpoint], suggestion: Suggestion) -> dict[Address, Endpoint]:
    """The endpoints with the link that is suggested."""
    found = dict(endpoints)
    if suggestion.link:
        client, server = suggestion.link
        keys = {str(service): service for one in endpoints.values() for service in one.services}
        for one in endpoints.values():
            if keys[client] in one.services:
                found[one.address] = replace(one, links_to=one.links_to | {keys[server]})
    return found


def test_the_least_is_the_port_between_the_two() -> None:
    first, *others = advice(policy()).suggestions
    assert first.rule == {
        "from": {"selector": "team=red, tier=web"},
        "to": {"selector": "tier=db"},
        "ports": ["5432/tcp"],
        "action": "allow",
    }
    assert (first.index, first.link, first.ports, first.also_opens) == (0, None, "tcp 5432", ())
    assert first.sentence == "put a rule at the end: from team=red, tier=web to tier=db ports 5432/tcp: allow"
    assert first.policy == parse_policy([first.rule], "deny")
    assert [one.sentence for one in others] == [
        "link shop/web to shop/db, and put a rule at the end: within linked: allow",
        "put a rule at the end: within stack: allow",
    ]


def test_a_link_alone_is_enough_where_links_are_allowed() -> None:
    links = {"within": "linked", "action": "allow"}
    bare = endpoint(2, "shop/web"), endpoint(3, "shop/db")
    first = advice(policy(links), *bare).suggestions[0]
    assert (first.sentence, first.rule, first.index) == ("link shop/web to shop/db", None, None)
    assert first.link == ("shop/web", "shop/db")
    assert first.policy == policy(links)


def test_a_rule_comes_before_the_one_that_denies() -> None:
    denying = {"between": {"selector": "team=red"}, "action": "deny"}
    rules = [{"within": "service", "action": "allow"}, denying, {"within": "linked", "action": "allow"}]
    found = advice(policy(*rules, default="allow")).suggestions
    assert {one.index for one in found} == {1}
    assert all("before policy[1], which denies" in one.sentence for one in found)
    assert all(one.policy.rules[2:] == policy(*rules).rules[1:] for one in found)


def test_a_rule_about_links_that_comes_too_late_is_not_enough() -> None:
    rules = [{"within": "stack", "action": "deny"}, {"within": "linked", "action": "allow"}]
    bare = endpoint(2, "shop/web"), endpoint(3, "shop/db")
    found = next(one for one in advice(policy(*rules), *bare).suggestions if one.link)
    assert (found.rule, found.index) == ({"within": "linked", "action": "allow"}, 0)


def test_no_link_is_suggested_where_links_are_denied() -> None:
    bare = endpoint(2, "shop/web"), endpoint(3, "shop/db")
    found = advice(policy({"within": "linked", "action": "deny"}), *bare).suggestions
    assert [one.rule for one in found] == [{"within": "stack", "action": "allow"}]


def test_what_earlier_rules_deny_does_not_open() -> None:
    """The new rule matches the other service too."""
    earlier = {"from": {"selector": "team=blue"}, "to": {"selector": "tier"}, "action": "deny"}
    rules = [earlier, {"within": "stack", "action": "deny"}]
    bare = [endpoint(2, "shop/web"), endpoint(3, "shop/db", labels={"tier": "db"})]
    blue = endpoint(4, "shop/other", labels={"team": "blue"})
    found = advice(policy(*rules), *bare, blue).suggestions
    stack = next(one for one in found if one.rule == {"within": "stack", "action": "allow"})
    assert "shop/other -> shop/db (any)" not in stack.also_opens
    assert stack.also_opens_pairs == 3 * 2 - 2


def test_what_else_opens_is_named_and_counted() -> None:
    crowd = [endpoint(10 + number, f"shop/n{number:02}") for number in range(5)]
    found = advice(policy(), endpoint(2, "shop/web", links_to="shop/db"), endpoint(3, "shop/db"), *crowd).suggestions
    within_stack = next(one for one in found if one.rule == {"within": "stack", "action": "allow"})
    assert within_stack.also_opens_pairs == 7 * 6 - 1
    assert within_stack.endpoint_pairs == 7 * 6
    assert len(within_stack.also_opens) == MOST_NAMED
    assert within_stack.also_opens[0] == "shop/n00 -> shop/db (any)"


def test_a_shared_label_and_ping() -> None:
    ping = Flow(_WEB.address, _OTHER.address, Protocol.ICMP)
    found = advice(policy(), flow=ping).suggestions
    assert {"between": {"groupBy": "tier"}, "action": "allow"} in [one.rule for one in found]
    assert all("ports" not in (one.rule or {}) for one in found)
    assert {one.ports for one in found} == {"any"}


def test_ranchers_names_serve_where_labels_do_not() -> None:
    ends = [endpoint(number, f"s/{name}", labels={OF_SERVICES: f"s/{name}"}) for number, name in ((2, "a"), (3, "b"))]
    rules = [one.rule for one in advice(policy(), *ends).suggestions]
    ends_of_rule = {"from": {"selector": f"{OF_SERVICES}=s/a"}, "to": {"selector": f"{OF_SERVICES}=s/b"}}
    assert {**ends_of_rule, "ports": ["5432/tcp"], "action": "allow"} in rules


def test_what_nothing_can_name() -> None:
    containers = {f"c{number}": Known(uuid=f"c{number}", name=f"job-{number}") for number in (2, 3)}
    found = suggest(scene(policy(), endpoint(2), endpoint(3)), containers, _FLOW)
    assert found.suggestions == ()
    assert found.note is not None
    assert "can name job-2 and job-3: give them labels" in found.note
    found = suggest(scene(policy(), endpoint(2, labels={"role": "job"}), endpoint(3)), containers, _FLOW)
    assert found.note is not None
    assert "can name job-3: give it a label" in found.note


def test_flows_that_no_rule_would_help() -> None:
    assert "nothing to do: allowed by" in str(advice(policy(default="allow")).note)
    unknown = advice(policy(), flow=Flow(_WEB.address, UNKNOWN, Protocol.TCP, 80))
    assert unknown.suggestions == ()
    assert "no rule can name what is no endpoint" in str(unknown.note)


def test_many_at_once_are_answered_each_on_its_own() -> None:
    asked = [_FLOW, Flow(_DB.address, _OTHER.address, Protocol.UDP, 53), Flow(address(2), address(2), Protocol.ICMP)]
    judged_by = scene(policy(), _WEB, _DB, _OTHER)
    assert suggest_all(judged_by, {}, asked) == [suggest(judged_by, {}, flow) for flow in asked]


def opened_by(suggestion: Suggestion, before: Scene) -> set[tuple[Address, Address]]:
    after = replace(before, policy=suggestion.policy, endpoints=linked(before.endpoints, suggestion))
    classes = port_classes_of([before.policy, suggestion.policy])
    opened = set()
    for client, server in permutations(before.endpoints, 2):
        for protocol, port in map(sample, classes):
            flow = Flow(client, server, protocol, port)
            was, becomes = judge(before, flow).action, judge(after, flow).action
            if was is not becomes:
                assert becomes is Action.ALLOW
                opened.add((client, server))
    return opened


@settings(max_examples=EXAMPLES)
@given(worlds, policies, st.data())
def test_suggestions_open_the_flow_and_exactly_what_they_say(
    world: dict[str, Container], judged_by: Policy, data: st.DataObject
) -> None:
    endpoints = endpoints_of(world)
    before = Scene(judged_by, SUBNETS, endpoints)
    denied = [
        flow for flow in flows(endpoints) if flow.client != flow.server and judge(before, flow).action is Action.DENY
    ]
    assume(denied)
    flow = data.draw(st.sampled_from(denied))
    found = suggest(before, {}, flow)
    assert bool(found.suggestions) == (found.note is None)
    for suggestion in found.suggestions:
        opened = opened_by(suggestion, before)
        assert (flow.client, flow.server) in opened
        assert suggestion.endpoint_pairs == len(opened)
        own = party_name(endpoints[flow.client], {}), party_name(endpoints[flow.server], {})
        pairs = {(party_name(endpoints[client], {}), party_name(endpoints[server], {})) for client, server in opened}
        assert suggestion.also_opens_pairs == len(pairs - {own})
    weights = [(one.also_opens_pairs, one.endpoint_pairs) for one in found.suggestions]
    assert weights == sorted(weights)
