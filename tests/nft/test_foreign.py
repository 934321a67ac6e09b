"""What may drop beside us: pure judgement over chains."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.nft.foreign import (
    LEGACY,
    ForeignChain,
    ForeignRule,
    ForeignVerdict,
    Obstacle,
    chains_named,
    comes_before,
    jumps_to,
    obstacles,
)
from corral.nft.values import Verb

OURS = -10


def rule(*verdicts: str, always: bool = False, handle: int = 1) -> ForeignRule:
    """`rule("jump there", "drop")`."""
    found = [text.partition(" ") for text in verdicts]
    return ForeignRule(handle, tuple(ForeignVerdict(Verb(verb), chain) for verb, _, chain in found), always)


def base(*rules: ForeignRule, drops: bool = False, hook: str = "forward", priority: int = 0) -> ForeignChain:
    return ForeignChain("ip", "filter", "FORWARD", rules, hook=hook, priority=priority, drops=drops)


def chain(name: str, *rules: ForeignRule) -> ForeignChain:
    return ForeignChain("ip", "filter", name, rules)


def only(*chains: ForeignChain) -> Obstacle:
    (found,) = obstacles(chains, our_priority=OURS)
    return found


def test_what_drops_nothing_is_none() -> None:
    harmless = [base(rule("accept"), rule("jump there")), chain("there", rule("return"))]
    assert obstacles(harmless, our_priority=OURS) == []


@pytest.mark.parametrize(
    ("family", "hook"),
    [("ip", "input"), ("ip", "output"), ("ip6", "forward"), ("arp", "forward"), ("inet", "input"), ("x", "forward")],
)
def test_hooks_that_no_packet_between_containers_passes(family: str, hook: str) -> None:
    elsewhere = ForeignChain(family, "t", "c", (), hook=hook, drops=True)
    assert obstacles([elsewhere], our_priority=OURS) == []


def test_a_policy_without_rules_drops_everything() -> None:
    found = only(base(drops=True))
    assert (found.policy, found.certain, found.places) == (True, True, ())


def test_a_policy_behind_rules_that_accept() -> None:
    assert not only(base(rule("accept"), drops=True)).certain
    assert not only(base(rule("jump there"), drops=True), chain("there", rule("accept"))).certain
    assert only(base(rule("jump there"), drops=True), chain("there", rule("drop"))).certain


def test_a_drop_without_a_condition() -> None:
    assert only(base(rule("drop", always=True))).certain
    assert not only(base(rule("accept"), rule("drop", always=True))).certain
    assert only(base(rule("jump there", always=True)), chain("there", rule("drop", always=True))).certain
    assert not only(base(rule("jump there")), chain("there", rule("drop", always=True))).certain
    assert not only(
        base(rule("jump there", always=True)), chain("there", rule("return"), rule("drop", always=True))
    ).certain


def test_a_policy_that_no_packet_comes_to() -> None:
    accept = rule("accept", always=True)
    assert obstacles([base(rule("jump there"), accept, drops=True), chain("there")], our_priority=OURS) == []
    assert only(base(rule("drop"), accept, drops=True)).policy is False
    for early in ("return", "goto there"):
        assert only(base(rule(early), accept, drops=True), chain("there")).policy


def test_what_no_packet_reaches_does_not_count() -> None:
    assert obstacles([base(rule("accept", always=True), rule("drop"))], our_priority=OURS) == []
    assert obstacles([base(rule("goto there", always=True), rule("drop")), chain("there")], our_priority=OURS) == []
    assert only(base(rule("jump there", always=True), rule("drop")), chain("there")).places == ("ip filter FORWARD",)


def test_dropping_chains_are_named_wherever_they_are() -> None:
    found = only(
        base(rule("jump a", "accept")), chain("a", rule("goto b")), chain("b", rule("drop")), chain("c", rule("drop"))
    )
    assert found.places == ("ip filter b",)
    other_table = ForeignChain("ip", "nat", "a", (rule("drop"),))
    assert obstacles([base(rule("jump a")), other_table], our_priority=OURS) == []


def test_ignored_chains() -> None:
    chains = [base(rule("jump a")), chain("a", rule("drop"))]
    assert obstacles(chains, our_priority=OURS, ignored=frozenset({"a"})) == []


def test_the_certain_ones_come_first() -> None:
    found = obstacles([base(rule("drop")), base(drops=True)], our_priority=OURS)
    assert [obstacle.certain for obstacle in found] == [True, False]


def test_chains_that_lead_in_a_circle_end() -> None:
    """The kernel refuses such a ruleset, but what we read may be torn."""
    circle = [
        base(rule("jump a")),
        chain("a", rule("jump b"), rule("jump b")),
        chain("b", rule("jump a"), rule("drop")),
    ]
    assert only(*circle).places == ("ip filter b",)


@pytest.mark.parametrize(
    ("family", "hook", "priority", "before"),
    [
        ("ip", "forward", -11, True),
        ("ip", "forward", 0, False),
        ("ip", "forward", -10, None),
        ("bridge", "forward", -10, True),
        ("inet", "prerouting", 100, True),
        ("netdev", "ingress", 0, True),
        ("netdev", "egress", -500, False),
        ("ip", "postrouting", -500, False),
        ("bridge", "forward", -5, True),
        ("bridge", "forward", 5, False),
        (LEGACY, "forward", 0, False),
        (LEGACY, "prerouting", -300, True),
    ],
)
def test_the_order(family: str, hook: str, priority: int, before: bool | None) -> None:
    assert comes_before(ForeignChain(family, "t", "c", hook=hook, priority=priority), OURS) is before


def test_jumps() -> None:
    target = chain("there")
    leading, mixed = rule("jump there", handle=7), rule("jump there", "drop", handle=8)
    chains = [base(leading, mixed, rule()), target, ForeignChain("ip", "nat", "x", (leading,))]
    assert list(jumps_to(chains, target)) == [(chains[0], leading)]
    assert list(chains_named(chains, "there")) == [target]


verdicts = st.sampled_from(["accept", "drop", "return", "jump a", "goto b", "jump c"])
rules = st.builds(lambda found, always: rule(*found, always=always), st.lists(verdicts, max_size=2), st.booleans())
bodies = st.lists(rules, max_size=4)


def fate(chains: dict[str, list[ForeignRule]], name: str, chosen: dict[int, bool], depth: int = 0) -> str | None:
    """What becomes of one packet that meets the conditions that were chosen; None at the end of a chain."""
    for found in chains[name]:
        if not (found.always or chosen.get(id(found), False)):
            continue
        for verdict in found.verdicts[:1]:
            if verdict.verb in (Verb.ACCEPT, Verb.DROP, Verb.RETURN):
                return None if verdict.verb is Verb.RETURN else str(verdict.verb)
            after = fate(chains, verdict.chain, chosen, depth + 1)
            if after is not None or verdict.verb is Verb.GOTO:
                return after
    return None


@given(bodies, bodies, bodies, bodies, st.booleans(), st.randoms())
def test_what_is_called_certain_drops_every_packet_and_what_is_called_harmless_none(
    first: list[ForeignRule],
    a: list[ForeignRule],
    b: list[ForeignRule],
    c: list[ForeignRule],
    drops: bool,
    random: object,
) -> None:
    """Against a packet that goes its way; chains call only later ones, as in the kernel."""

    def forward_only(body: list[ForeignRule], allowed: set[str]) -> list[ForeignRule]:
        return [
            ForeignRule(i, tuple(v for v in found.verdicts[:1] if not v.chain or v.chain in allowed), found.always)
            for i, found in enumerate(body)
        ]

    chains = {
        "FORWARD": forward_only(first, {"a", "b", "c"}),
        "a": forward_only(a, {"b", "c"}),
        "b": forward_only(b, {"c"}),
        "c": forward_only(c, set()),
    }
    made = [base(*chains["FORWARD"], drops=drops), *(chain(name, *chains[name]) for name in "abc")]
    found = obstacles(made, our_priority=OURS)
    every = [id(one) for body in chains.values() for one in body]
    for _ in range(8):
        chosen = {one: random.random() < 0.5 for one in every}  # type: ignore[attr-defined]
        end = fate(chains, "FORWARD", chosen) or ("drop" if drops else "accept")
        if not found:
            assert end == "accept"
        elif found[0].certain:
            assert end == "drop"
