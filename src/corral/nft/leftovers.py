"""What the managers of Rancher and of PastureStack leave behind, and how it is told from everything else.

Rancher's (rancher/network-policy-manager, policy/watcher.go): a chain in table `filter`, a jump to it from FORWARD, and
sets, with the prefix `TMP-` while one is filled. PastureStack's: a table of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from corral.nft.foreign import LEGACY, ForeignChain, ForeignRule, chains_named, jumps_to

RANCHER_CHAIN = "CATTLE_NETWORK_POLICY"
RANCHER_SETS = ("RNCH-", "TMP-RNCH-")
PASTURESTACK_TABLE = ("inet", "pasturestack_policy")


@dataclass(frozen=True, slots=True)
class Leftovers:
    """`jumps` are the rules, with the chain that each is in, that lead to `chains`."""

    chains: tuple[ForeignChain, ...] = ()
    jumps: tuple[tuple[ForeignChain, ForeignRule], ...] = ()
    ipsets: tuple[str, ...] = ()
    pasturestack: bool = False

    def __bool__(self) -> bool:
        return bool(self.chains or self.ipsets or self.pasturestack)

    @property
    def in_nftables(self) -> tuple[ForeignChain, ...]:
        """The chains that netlink can remove."""
        return tuple(chain for chain in self.chains if chain.family != LEGACY)

    @property
    def in_legacy(self) -> tuple[ForeignChain, ...]:
        """The chains that only iptables-legacy can remove."""
        return tuple(chain for chain in self.chains if chain.family == LEGACY)


def find_leftovers(
    chains: Sequence[ForeignChain], tables: Collection[tuple[str, str]], ipsets: Collection[str]
) -> Leftovers:
    """What is left among all chains, tables (family and name) and ipsets."""
    theirs = tuple(chains_named(chains, RANCHER_CHAIN))
    return Leftovers(
        chains=theirs,
        jumps=tuple(jump for chain in theirs for jump in jumps_to(chains, chain)),
        ipsets=tuple(sorted(name for name in ipsets if name.startswith(RANCHER_SETS))),
        pasturestack=PASTURESTACK_TABLE in tables,
    )
