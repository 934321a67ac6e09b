from __future__ import annotations

import pytest

from corral.nft.trace import Outcome, Packet, follow, trace
from corral.nft.values import (
    Chain,
    Count,
    Dispatch,
    Equals,
    Expression,
    Field,
    Hook,
    InRange,
    InSet,
    Limit,
    LimitEach,
    Log,
    NftMap,
    NftRule,
    NftSet,
    Ruleset,
    SetType,
    State,
    Verb,
    Verdict,
)
from corral.types import Address, Protocol, Subnet

ONE, TWO = Address.parse("10.42.0.1"), Address.parse("10.42.0.2")
FAR = Address.parse("192.0.2.1")
DROP, ACCEPT = Verdict(Verb.DROP), Verdict(Verb.ACCEPT)
PACKET = Packet(
    source=TWO,
    destination=ONE,
    client=ONE,
    server=TWO,
    protocol=Protocol.TCP,
    server_port=80,
    state="established",
    input_interface="docker0",
    output_interface="docker0",
)


def rule(*expressions: Expression) -> NftRule:
    return NftRule(expressions)


def ruleset(*rules: NftRule, **chains: tuple[NftRule, ...]) -> Ruleset:
    """`rules` at forward, and further chains."""
    return Ruleset(
        sets={"ones": NftSet("ones"), "subnets": NftSet("subnets", SetType.SUBNETS)},
        elements={"ones": frozenset([ONE]), "subnets": frozenset([Subnet.parse("10.42.0.0/16")])},
        maps={"dispatch": NftMap("dispatch")},
        verdicts={"dispatch": {TWO: Verdict(Verb.GOTO, "two")}},
        chains={
            "base": Chain("base", rules, Hook("forward", 0)),
            **{name: Chain(name, body) for name, body in chains.items()},
        },
    )


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        (InSet(Field.CLIENT, "ones"), True),
        (InSet(Field.SERVER, "ones"), False),
        (InSet(Field.SERVER, "ones", negated=True), True),
        (InSet(Field.SOURCE, "subnets"), True),
        (InSet(Field.DESTINATION, "subnets", negated=True), False),
        (Equals(Field.PROTOCOL, "tcp"), True),
        (Equals(Field.PROTOCOL, "udp"), False),
        (Equals(Field.FAMILY, "ipv6"), False),
        (Equals(Field.INPUT_INTERFACE, "docker0"), True),
        (Equals(Field.OUTPUT_INTERFACE, "docker1"), False),
        (InRange(Field.SERVER_PORT, 80, 80), True),
        (InRange(Field.SERVER_PORT, 81, 90), False),
        (State(("new", "established")), True),
        (State(("invalid", "untracked")), False),
    ],
)
def test_matches(expression: Expression, *, matches: bool) -> None:
    verdict = trace(ruleset(rule(expression, DROP)), PACKET)
    assert verdict == ("drop" if matches else "accept")


def test_an_address_outside_every_subnet_is_not_in_the_set() -> None:
    packet = Packet(source=FAR)
    assert trace(ruleset(rule(InSet(Field.SOURCE, "subnets"), DROP)), packet) == "accept"


@pytest.mark.parametrize("negated", [False, True])
def test_what_can_not_be_loaded_ends_the_rule(*, negated: bool) -> None:
    lost = Packet(source=ONE, destination=TWO, state="untracked")
    rules = ruleset(rule(InSet(Field.CLIENT, "ones", negated), DROP), rule(Dispatch(Field.SERVER, "dispatch")), two=())
    assert trace(rules, lost) == "accept"


def test_what_is_logged_and_what_limits_it() -> None:
    each = LimitEach(Field.CLIENT, "lately", 60, Limit(1, 1))
    rules = ruleset(
        rule(each, Limit(1, 1), Log("first", 1, 1)), rule(Log("second", 1, 1), DROP), rule(Log("never", 1, 1))
    )
    assert follow(rules, PACKET) == Outcome(Verb.DROP, (), ("first", "second"))
    assert follow(rules, Packet(source=ONE, destination=TWO, state="untracked")).logged == ("second",)


def test_a_jump_comes_back_and_a_goto_does_not() -> None:
    jumping = ruleset(rule(Verdict(Verb.JUMP, "two")), rule(DROP), two=())
    going = ruleset(rule(Verdict(Verb.GOTO, "two")), rule(DROP), two=())
    assert (trace(jumping, PACKET), trace(going, PACKET)) == ("drop", "accept")


def test_a_goto_returns_to_where_its_chain_was_called_from() -> None:
    rules = ruleset(
        rule(Verdict(Verb.JUMP, "middle")),
        rule(DROP),
        middle=(rule(Verdict(Verb.GOTO, "two")), rule(ACCEPT)),
        two=(),
    )
    assert trace(rules, PACKET) == "drop"


def test_return_leaves_the_chain() -> None:
    rules = ruleset(rule(Verdict(Verb.JUMP, "two")), rule(ACCEPT), two=(rule(Verdict(Verb.RETURN)), rule(DROP)))
    assert trace(rules, PACKET) == "accept"


def test_dispatch_takes_the_verdict_of_the_address() -> None:
    dispatching = rule(Dispatch(Field.SERVER, "dispatch"))
    assert trace(ruleset(dispatching, two=(rule(DROP),)), PACKET) == "drop"
    assert trace(ruleset(rule(Dispatch(Field.CLIENT, "dispatch")), two=(rule(DROP),)), PACKET) == "accept"


def test_counters_move_in_order_and_only_where_the_packet_comes() -> None:
    rules = ruleset(
        rule(Count("a"), InSet(Field.SERVER, "ones"), Count("b"), DROP),
        rule(InSet(Field.CLIENT, "ones"), Count("c"), DROP),
    )
    assert follow(rules, PACKET) == Outcome(Verb.DROP, ("a", "c"))


def test_base_chains_of_the_hook_are_walked_by_priority_until_one_drops() -> None:
    chains = {
        "late": Chain("late", (rule(Count("late"), DROP),), Hook("forward", 10)),
        "early": Chain("early", (rule(Count("early"), ACCEPT),), Hook("forward", -10)),
        "never": Chain("never", (rule(Count("never")),), Hook("forward", 20)),
        "input": Chain("input", (rule(Count("input")),), Hook("input", 0)),
    }
    assert follow(Ruleset(chains=chains), PACKET) == Outcome(Verb.DROP, ("early", "late"))
    assert follow(Ruleset(chains=chains), PACKET, "input") == Outcome(Verb.ACCEPT, ("input",))
