"""Removal from nftables: what is named goes, in one commit; everything else stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from corral.dataplane.host.foreign import foreign_chains, foreign_tables
from corral.dataplane.host.ipsets import destroy_ipset, ipset_names
from corral.dataplane.host.removal import remove_from_nftables
from corral.dataplane.kernel import KernelDataplane
from corral.errors import CommitError
from corral.nft.leftovers import Leftovers, find_leftovers
from tests.daemon.running import until
from tests.dataplane.places import everything_else, leave_rancher, load
from tests.kernel.namespaces import Namespace

OTHERS = """
table inet other { chain CATTLE { drop; }; set RNCH { type ipv4_addr; elements = { 192.0.2.1 }; }; }
table ip pasturestack_policy { chain x { type filter hook forward priority 0; }; }
"""


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    with Namespace() as created, created.entered():
        created.run("iptables-nft -A FORWARD -i eth9 -j DROP", "iptables-nft -N CATTLE_FORWARD")
        load(created, OTHERS)
        yield created


async def leftovers() -> Leftovers:
    return find_leftovers(await foreign_chains(), await foreign_tables(), await ipset_names())


async def test_nothing_else_is_touched(namespace: Namespace) -> None:
    before = everything_else(namespace)
    leave_rancher(namespace, "iptables-nft")
    load(namespace, "table inet pasturestack_policy { chain f { type filter hook forward priority -10; drop; }; }")
    async with KernelDataplane() as kernel:
        generation = await kernel._generation(kernel._queries)
        await remove_from_nftables(await leftovers())
        assert await kernel._generation(kernel._queries) == generation + 1
    left = await leftovers()
    assert left == Leftovers(ipsets=("RNCH-local", "TMP-RNCH-all"))
    await remove_from_nftables(left)
    for name in left.ipsets:
        await until(partial(destroy_ipset, name))  # the kernel lets go of it a moment later
    assert everything_else(namespace) == before


async def test_a_refused_removal_removes_nothing(namespace: Namespace) -> None:
    leave_rancher(namespace, "iptables-nft")
    load(namespace, "table inet pasturestack_policy { }")
    before = everything_else(namespace)
    left = await leftovers()
    with pytest.raises(CommitError, match=r"EBUSY.*nothing is removed"):
        await remove_from_nftables(replace(left, jumps=()))
    assert everything_else(namespace) == before
