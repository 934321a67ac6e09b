"""Other managers' leftovers, told from everything else."""

from __future__ import annotations

from corral.nft.foreign import LEGACY, ForeignChain, ForeignRule, ForeignVerdict
from corral.nft.leftovers import RANCHER_CHAIN, Leftovers, find_leftovers
from corral.nft.values import Verb

JUMP = ForeignRule(4, (ForeignVerdict(Verb.JUMP, RANCHER_CHAIN),))
OTHER = ForeignRule(5, (ForeignVerdict(Verb.DROP),))


def test_nothing_is_left() -> None:
    chains = [ForeignChain("ip", "filter", "FORWARD", (OTHER,), hook="forward")]
    left = find_leftovers(chains, [("ip", "pasturestack_policy"), ("inet", "x")], ["RANCHER", "xRNCH-", "TMP-x"])
    assert left == Leftovers()
    assert not left


def test_everything_is_left() -> None:
    chains = [
        ForeignChain(family, "filter", name, rules)
        for family in ("ip", LEGACY)
        for name, rules in (("FORWARD", (OTHER, JUMP)), (RANCHER_CHAIN, (OTHER,)))
    ]
    left = find_leftovers(chains, [("inet", "pasturestack_policy")], ["x", "TMP-RNCH-b", "RNCH-a"])
    assert left.chains == (chains[1], chains[3])
    assert left.jumps == ((chains[0], JUMP), (chains[2], JUMP))
    assert left.ipsets == ("RNCH-a", "TMP-RNCH-b")
    assert left.pasturestack
    assert (left.in_nftables, left.in_legacy) == ((chains[1],), (chains[3],))
    assert left


def test_each_alone_is_something() -> None:
    assert find_leftovers([], [], ["RNCH-a"])
    assert find_leftovers([], [("inet", "pasturestack_policy")], [])
    assert find_leftovers([ForeignChain("ip", "filter", RANCHER_CHAIN)], [], [])
