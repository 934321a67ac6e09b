"""What the doctor says of other people's rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from corral.nft.foreign import LEGACY, ForeignChain, ForeignRule, ForeignVerdict
from corral.nft.leftovers import RANCHER_CHAIN
from corral.nft.values import Verb
from corral.support.findings import AgentSeen, Findings, Unread
from corral.support.obstruction import foreign_chains, pasturestack_leftovers, rancher_leftovers
from tests.support.test_doctor import GOOD

ACCEPT = ForeignRule(1, (ForeignVerdict(Verb.ACCEPT),))
DROP = ForeignRule(2, (ForeignVerdict(Verb.DROP),))
JUMP = ForeignRule(3, (ForeignVerdict(Verb.JUMP, RANCHER_CHAIN),))
FORWARD = ForeignChain("ip", "filter", "FORWARD", (ACCEPT,), hook="forward", drops=True)
CHAIN = ForeignChain("ip", "filter", RANCHER_CHAIN, (DROP,))
PASTURESTACK = ForeignChain("inet", "pasturestack_policy", "forward", (DROP,), hook="forward")
assert isinstance(GOOD.agent, AgentSeen)
AUDIT = replace(GOOD, agent=replace(GOOD.agent, mode="audit"))


def test_nothing_is_in_the_way() -> None:
    for look in (foreign_chains, rancher_leftovers, pasturestack_leftovers):
        assert [found[0] for found in look(GOOD)] == ["ok"]


def test_a_policy_that_drops() -> None:
    ((outcome, found, remedy),) = foreign_chains(replace(GOOD, chains=(FORWARD,)))
    assert outcome == "warning"
    assert found == (
        "chain ip filter FORWARD (hook forward, priority 0, after corral's) drops what none of its rules accepts"
    )
    assert remedy is not None
    assert "what corral allows it may still drop" in remedy
    assert "`nft list chain ip filter FORWARD`" in remedy
    assert "10.42.0.0/16" in remedy


def test_everything_is_dropped_before_us() -> None:
    early = ForeignChain("inet", "x", "y", (), hook="forward", priority=-20, drops=True)
    ((outcome, found, remedy),) = foreign_chains(replace(GOOD, chains=(early,), network=None))
    assert outcome == "problem"
    assert found == "chain inet x y (hook forward, priority -20, before corral's) drops everything that is forwarded"
    assert remedy is not None
    assert "corral never sees" in remedy
    assert "the managed subnets" in remedy


def test_of_two_with_one_priority_either_may_be_first() -> None:
    beside = ForeignChain("inet", "x", "y", (DROP,), hook="forward", priority=-10)
    ((_, found, remedy),) = foreign_chains(replace(GOOD, chains=(beside,)))
    assert "(hook forward, priority -10, before or after corral's)" in found
    assert "corral never sees" in (remedy or "")


def test_dropping_rules_are_named_but_not_all() -> None:
    names = [f"c{number}" for number in range(6)]
    jumps = tuple(ForeignRule(1, (ForeignVerdict(Verb.JUMP, name),)) for name in names)
    legacy = ForeignChain(LEGACY, "filter", "FORWARD", jumps, hook="forward")
    chains = (legacy, *(ForeignChain(LEGACY, "filter", name, (DROP,)) for name in names))
    ((_, found, remedy),) = foreign_chains(replace(GOOD, chains=chains))
    assert found.endswith("may drop packets in " + ", ".join(f"{LEGACY} filter c{n}" for n in range(4)) + " and 2 more")
    assert "`iptables-legacy -t filter -S FORWARD`" in (remedy or "")


def test_other_managers_are_told_apart_from_foreign_chains() -> None:
    hooked = replace(FORWARD, rules=(JUMP,), drops=False)
    findings = replace(GOOD, chains=(hooked, CHAIN, PASTURESTACK), tables=(("inet", "pasturestack_policy"),))
    assert [found[0] for found in foreign_chains(findings)] == ["ok"]
    assert [found[0] for found in rancher_leftovers(findings)] == ["problem"]
    assert [found[0] for found in pasturestack_leftovers(findings)] == ["problem"]


@pytest.mark.parametrize("agent", [AUDIT.agent, None])
def test_beside_an_agent_that_does_not_enforce_another_manager_is_no_problem(agent: AgentSeen | None) -> None:
    hooked = replace(FORWARD, rules=(JUMP,), drops=False)
    findings = replace(GOOD, agent=agent, chains=(hooked, CHAIN), tables=(("inet", "pasturestack_policy"),))
    ((outcome, found, remedy),) = rancher_leftovers(findings)
    assert outcome == "warning"
    assert "a jump to it from ip filter FORWARD; packets have to pass it, too" in found
    assert "corral cleanup --legacy" in (remedy or "")
    assert [found[0] for found in pasturestack_leftovers(findings)] == ["warning"]


def test_leftovers_without_effect() -> None:
    ((outcome, found, _),) = rancher_leftovers(replace(GOOD, ipsets=("RNCH-a", "RNCH-b", "other")))
    assert outcome == "warning"
    assert found.endswith("2 ipsets (RNCH-a, …); without effect")
    ((_, one, _),) = rancher_leftovers(replace(GOOD, ipsets=("RNCH-a",), chains=(CHAIN,)))
    assert one.endswith(f"chain ip filter {RANCHER_CHAIN}, RNCH-a; without effect")


def test_what_could_not_be_read() -> None:
    unread = Unread("EPERM")
    findings = replace(GOOD, chains=unread, tables=unread, ipsets=unread)
    assert [found[0] for found in foreign_chains(findings)] == ["unknown"]
    assert [found[0] for found in rancher_leftovers(findings)] == ["unknown", "unknown"]
    assert [found[0] for found in pasturestack_leftovers(findings)] == ["unknown"]
    half: Findings = replace(GOOD, chains=unread, ipsets=("RNCH-a",))
    assert [found[0] for found in rancher_leftovers(half)] == ["unknown", "warning"]
