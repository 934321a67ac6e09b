from __future__ import annotations

from dataclasses import replace

from corral.nft.trace import Packet, follow, trace
from corral.nft.values import (
    Chain,
    Count,
    Dispatch,
    Equals,
    Field,
    Hook,
    InRange,
    InSet,
    State,
    Verb,
    Verdict,
)
from corral.policy.enforcement import ENFORCE
from corral.policy.groups import LOCAL, SYSTEM, UNJUDGED, Group, Kind
from corral.policy.render import counters, denied_chains, rule_counter, server_block, static_blocks
from corral.policy.scratch import compile_ruleset
from corral.types import Action, Address

from .scenes import BRIDGE, SUBNETS, WITHIN_STACK, address, by_address, endpoint, policy

ACCEPT = Verdict(Verb.ACCEPT)
ONE = Group(Kind.STACK, ("one",))
CLOSED, OPEN = policy(WITHIN_STACK), policy(WITHIN_STACK, default="allow")


def expressions(chain: Chain) -> list[tuple[object, ...]]:
    return [rule.expressions for rule in chain.rules]


def test_a_servers_chain_reads_in_policy_order_and_ends_with_the_default() -> None:
    port_rule = {
        "from": {"selector": "a=b"},
        "to": {"selector": "c"},
        "ports": ["80", "8000-8080/tcp"],
        "action": "deny",
    }
    judged_by = policy(port_rule, WITHIN_STACK)
    selected = Group(Kind.SELECTOR, ("a=b",))
    block = server_block(judged_by, ((selected,), (ONE,)))
    counter = rule_counter(judged_by.rules[0])
    denies = Count(counter), Verdict(Verb.GOTO, f"denied/{counter}")
    client = InSet(Field.CLIENT, selected.set_name)
    tcp, udp = Equals(Field.PROTOCOL, "tcp"), Equals(Field.PROTOCOL, "udp")
    assert expressions(block.chain) == [
        (client, tcp, InRange(Field.SERVER_PORT, 80, 80), *denies),
        (client, udp, InRange(Field.SERVER_PORT, 80, 80), *denies),
        (client, tcp, InRange(Field.SERVER_PORT, 8000, 8080), *denies),
        (InSet(Field.CLIENT, "stack/one"), Count(rule_counter(judged_by.rules[1])), ACCEPT),
        (Verdict(Verb.GOTO, "default-action"),),
    ]
    assert block.groups == {selected, ONE}
    assert [rule.comment for rule in block.chain.rules][3:] == [
        "within stack: allow",
        "what no rule matches",
    ]
    assert block.chain.comment == "selector a=b, stack one"
    assert block.chain.hook is None


def test_a_chain_is_named_by_its_content() -> None:
    name = server_block(CLOSED, ((ONE,),)).chain.name
    assert name.startswith("to-")
    assert name == server_block(CLOSED, ((ONE,),)).chain.name
    others = [
        server_block(CLOSED, ((),)),
        server_block(CLOSED, ((ONE._replace(parts=("two",)),),)),
    ]
    assert len({name, *(block.chain.name for block in others)}) == 3


def test_another_default_action_leaves_servers_chains_alone() -> None:
    assert server_block(OPEN, ((ONE,),)) == server_block(replace(OPEN, default=Action.DENY), ((ONE,),))


OUTSIDE = InSet(Field.CLIENT, "subnets", negated=True)


def test_the_default_action_of_a_closed_network() -> None:
    default, _ = static_blocks(CLOSED, BRIDGE, unknown_allowed=False)
    assert expressions(default.chain) == [
        (InSet(Field.CLIENT, "system"), ACCEPT),
        (OUTSIDE, ACCEPT),
        (Count("default-deny"), Verdict(Verb.GOTO, "denied/default-deny")),
    ]
    assert default.groups == {SYSTEM}


def test_the_default_action_that_lets_unknown_addresses_through() -> None:
    default, forward = static_blocks(CLOSED, BRIDGE, unknown_allowed=True)
    assert expressions(default.chain)[2:] == [
        (InSet(Field.CLIENT, "local", negated=True), InSet(Field.CLIENT, "unjudged", negated=True), ACCEPT),
        (Count("default-deny"), Verdict(Verb.GOTO, "denied/default-deny")),
    ]
    assert default.groups == {SYSTEM, LOCAL, UNJUDGED}
    assert forward.groups == {LOCAL}


def test_an_open_network_needs_no_known_set() -> None:
    for unknown_allowed in (False, True):
        default, forward = static_blocks(OPEN, BRIDGE, unknown_allowed=unknown_allowed)
        assert default.groups | forward.groups == {SYSTEM, LOCAL}
        assert expressions(default.chain)[2:] == [(Count("default-allow"), Verdict(Verb.ACCEPT))]


def test_the_base_chain() -> None:
    _, forward = static_blocks(CLOSED, BRIDGE, unknown_allowed=False)
    assert forward.chain.hook == Hook("forward", -10)
    assert expressions(forward.chain) == [
        (Dispatch(Field.SERVER, "dispatch"),),
        (
            InSet(Field.SERVER, "unjudged", negated=True),
            InSet(Field.SERVER, "subnets"),
            Verdict(Verb.GOTO, "default-action"),
        ),
        (
            State(("invalid", "untracked")),
            InSet(Field.SOURCE, "subnets"),
            InSet(Field.DESTINATION, "local"),
            Count("invalid-drop"),
            Verdict(Verb.GOTO, "denied/invalid-drop"),
        ),
        (
            Equals(Field.FAMILY, "ipv6"),
            Equals(Field.INPUT_INTERFACE, BRIDGE),
            Equals(Field.OUTPUT_INTERFACE, BRIDGE),
            Count("ipv6-drop"),
            Verdict(Verb.GOTO, "denied/ipv6-drop"),
        ),
    ]
    assert forward.groups == {LOCAL, UNJUDGED}


def test_ipv6_is_left_alone_where_the_default_allows_or_no_bridge_is_known() -> None:
    for judged_by, bridge in ((OPEN, BRIDGE), (CLOSED, "")):
        _, forward = static_blocks(judged_by, bridge, unknown_allowed=False)
        assert not [one for one in forward.chain.rules if Count("ipv6-drop") in one.expressions]
        assert "ipv6-drop" not in counters(judged_by, bridge)


def test_each_counter_of_what_is_denied_has_a_chain() -> None:
    deny = {**WITHIN_STACK, "action": "deny"}
    twice = policy(deny, WITHIN_STACK, deny)
    assert set(denied_chains(twice, BRIDGE, ENFORCE)) == {
        f"denied/{counter}" for counter in counters(twice, BRIDGE) if not counter.startswith("rule-allow")
    }
    assert set(denied_chains(OPEN, BRIDGE, ENFORCE)) == {"denied/invalid-drop"}
    assert "denied/ipv6-drop" not in denied_chains(CLOSED, "", ENFORCE)


def test_there_is_a_counter_for_every_rule_used_or_not() -> None:
    names = counters(CLOSED, BRIDGE)
    assert names == {rule_counter(CLOSED.rules[0]), "default-deny", "invalid-drop", "ipv6-drop"}
    assert rule_counter(CLOSED.rules[0]).startswith("rule-allow-")
    linked = policy({"within": "linked", "action": "allow"}).rules[0]
    assert rule_counter(linked) != rule_counter(CLOSED.rules[0])


def test_every_comment_fits_whatever_the_policy_says() -> None:
    judged_by = policy({"between": {"groupBy": 'k"\n' + "é" * 200}, "action": "allow"})
    block = server_block(judged_by, ((Group(Kind.LABEL, ("k" * 300, "v")),),))
    for text in (block.chain.comment, *(rule.comment for rule in block.chain.rules)):
        assert len(text.encode()) <= 127
        assert '"' not in text
        assert "\n" not in text


ENDPOINTS = by_address(endpoint(2, "one/web"), endpoint(3, "one/web", local=False), endpoint(4, system=True))
RULESET = compile_ruleset(CLOSED, SUBNETS, BRIDGE, ENDPOINTS, unknown_allowed=False)


def test_packets_without_a_flow_are_dropped_on_their_way_to_local_application_endpoints_only() -> None:
    for state in ("invalid", "untracked"):
        lost = [Packet(source=address(3), destination=address(number), state=state) for number in (2, 3, 4)]
        assert [trace(RULESET, packet) for packet in lost] == ["drop", "accept", "accept"]
    from_outside = Packet(source=Address.parse("192.0.2.1"), destination=address(2), state="invalid")
    assert trace(RULESET, from_outside) == "accept"


def test_ipv6_between_ports_of_the_bridge_is_dropped() -> None:
    packet = Packet(family="ipv6", input_interface=BRIDGE, output_interface=BRIDGE)
    assert follow(RULESET, packet).counters == ("ipv6-drop",)
    assert trace(RULESET, packet) == "drop"
    assert trace(RULESET, Packet(family="ipv6", input_interface=BRIDGE, output_interface="eth0")) == "accept"
