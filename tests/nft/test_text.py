"""The text of rulesets and transactions. That it is nft's own, tests/kernel asks nft."""

from __future__ import annotations

from pathlib import Path

import pytest

from corral.nft.text import render, render_expression, render_rule, render_transaction, summary
from corral.nft.transaction import (
    AddChain,
    AddCounter,
    AddElements,
    AddRule,
    AddSet,
    AddTable,
    AddVerdicts,
    DeleteChain,
    DeleteCounter,
    DeleteElements,
    DeleteSet,
    DeleteTable,
    DeleteVerdicts,
    FlushChain,
    Transaction,
)
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
from corral.types import Address, Subnet

SYSTEM = NftSet("system")
LATELY = NftSet("lately", SetType.DYNAMIC, "made by packets")
NETS = NftSet("nets", SetType.SUBNETS, "ours")


def addresses(*texts: str) -> frozenset[Address]:
    return frozenset(map(Address.parse, texts))


TABLE = Ruleset(
    counters=frozenset({"two", "one"}),
    sets={"system": SYSTEM, "nets": NETS, "empty": NftSet("empty"), "lately": LATELY},
    elements={
        "system": addresses("10.42.0.100", "10.42.0.9", "9.0.0.0"),
        "nets": frozenset({Subnet.parse("10.42.0.0/16"), Subnet.parse("1.2.3.4/32")}),
    },
    maps={"dispatch": NftMap("dispatch")},
    verdicts={"dispatch": {Address.parse("10.42.0.2"): Verdict(Verb.GOTO, "to-a"), Address(1): Verdict(Verb.DROP)}},
    chains={
        "to-a": Chain("to-a", (NftRule((Count("one"), Verdict(Verb.DROP)), "the rest"),), comment="stack/a"),
        "forward": Chain("forward", (NftRule((Dispatch(Field.SERVER, "dispatch"),)),), Hook("forward", -10), "base"),
    },
)


def test_a_table_reads_as_nft_lists_it() -> None:
    assert render(TABLE) == Path(__file__).with_name("table.nft").read_text()


def test_an_empty_table_has_two_lines() -> None:
    assert render(Ruleset()) == "table inet corral {\n}\n"


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (InSet(Field.CLIENT, "stack/one"), "ct original ip saddr @stack/one"),
        (InSet(Field.SERVER, "stack/one", negated=True), "ct reply ip saddr != @stack/one"),
        (Equals(Field.PROTOCOL, "tcp"), "ip version 4 ct protocol tcp"),
        (Equals(Field.INPUT_INTERFACE, "docker0"), 'iifname "docker0"'),
        (Equals(Field.OUTPUT_INTERFACE, "docker0"), 'oifname "docker0"'),
        (Equals(Field.FAMILY, "ipv6"), "meta nfproto ipv6"),
        (Equals(Field.DESTINATION, "10.1.1.1"), "ip daddr 10.1.1.1"),
        (InRange(Field.SERVER_PORT, 80, 80), "ct reply proto-src 80"),
        (InRange(Field.SERVER_PORT, 80, 90), "ct reply proto-src 80-90"),
        (State(("invalid", "untracked")), "ct state invalid,untracked"),
        (Count("a"), 'counter name "a"'),
        (Dispatch(Field.SOURCE, "m"), "ip saddr vmap @m"),
        (Limit(100, 20), "limit rate 100/second burst 20 packets"),
        (
            LimitEach(Field.CLIENT, "denied-clients", 60, Limit(5, 10)),
            "update @denied-clients { ct original ip saddr timeout 1m limit rate 5/second burst 10 packets }",
        ),
        (
            LimitEach(Field.SOURCE, "s", 90_061, Limit(1, 1)),
            "update @s { ip saddr timeout 1d1h1m1s limit rate 1/second burst 1 packets }",
        ),
        (Log("why", 8799, 128), 'log prefix "why" group 8799 snaplen 128'),
        (Verdict(Verb.RETURN), "return"),
        (Verdict(Verb.JUMP, "check"), "jump check"),
    ],
)
def test_expressions(expression: Expression, text: str) -> None:
    assert render_expression(expression) == text


def test_a_rule_is_a_line() -> None:
    rule = NftRule((InSet(Field.CLIENT, "a"), Verdict(Verb.ACCEPT)), "why")
    assert render_rule(rule) == 'ct original ip saddr @a accept comment "why"'
    assert render_rule(NftRule((Verdict(Verb.DROP),))) == "drop"


@pytest.mark.parametrize(
    ("hook", "priority", "text"),
    [
        ("forward", 0, "filter"),
        ("forward", 10, "filter + 10"),
        ("forward", 11, "11"),
        ("forward", -145, "mangle + 5"),
        ("forward", 100, "100"),
        ("postrouting", 100, "srcnat"),
        ("prerouting", -100, "dstnat"),
        ("forward", -100, "-100"),
        ("prerouting", -300, "raw"),
        ("forward", 50, "security"),
    ],
)
def test_priorities_have_the_names_that_nft_gives_them(hook: str, priority: int, text: str) -> None:
    base = Ruleset(chains={"base": Chain("base", (), Hook(hook, priority))})
    assert f"type filter hook {hook} priority {text}; policy accept;" in render(base)


def test_a_transaction_is_a_list_of_commands() -> None:
    verdicts = {Address(2): Verdict(Verb.GOTO, "to-a"), Address(1): Verdict(Verb.DROP)}
    two = (Address.parse("10.42.0.3"), Address.parse("10.42.0.2"))
    transaction = Transaction(
        (
            AddTable(),
            AddCounter("one"),
            AddSet(NETS),
            AddSet(LATELY),
            AddSet(NftMap("dispatch", "by server")),
            AddElements("system", SYSTEM, two),
            AddChain(Chain("forward", (), Hook("forward", 0), "base")),
            AddChain(Chain("to-a", ())),
            AddRule("to-a", NftRule((Verdict(Verb.DROP),), "the rest")),
            AddVerdicts("dispatch", verdicts),
            DeleteVerdicts("dispatch", verdicts),
            DeleteElements("system", SYSTEM, two[:1]),
            FlushChain("to-a"),
            DeleteChain("to-a"),
            DeleteSet("system"),
            DeleteCounter("one"),
            DeleteTable(),
        )
    )
    assert render_transaction(transaction).splitlines() == [
        "add table inet corral",
        "add counter inet corral one",
        'add set inet corral nets { type ipv4_addr; flags interval; comment "ours"; }',
        'add set inet corral lately { type ipv4_addr; size 65535; flags dynamic,timeout; comment "made by packets"; }',
        'add map inet corral dispatch { type ipv4_addr : verdict; comment "by server"; }',
        "add element inet corral system { 10.42.0.2, 10.42.0.3 }",
        'add chain inet corral forward { comment "base"; type filter hook forward priority filter; policy accept; }',
        "add chain inet corral to-a",
        'add rule inet corral to-a drop comment "the rest"',
        "add element inet corral dispatch { 0.0.0.1 : drop, 0.0.0.2 : goto to-a }",
        "delete element inet corral dispatch { 0.0.0.1, 0.0.0.2 }",
        "delete element inet corral system { 10.42.0.3 }",
        "flush chain inet corral to-a",
        "delete chain inet corral to-a",
        "delete set inet corral system",
        "delete counter inet corral one",
        "delete table inet corral",
    ]


def test_nothing_is_no_text() -> None:
    assert render_transaction(Transaction()) == ""


def test_a_summary_is_short() -> None:
    many = AddElements("system", SYSTEM, tuple(map(Address, range(65_534))))
    assert summary(many) == "add element inet corral system { 0.0.0.0, 0.0.0.1, 0.0.0.2, 0.0.0.3, … 65534 in all }"
    assert summary(AddCounter("one")) == "add counter inet corral one"
