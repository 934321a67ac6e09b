"""Removes from nftables what another manager has left: in one transaction, nothing but what is named."""

from __future__ import annotations

from collections.abc import Iterator

from pyroute2.netlink.nfnetlink.nftsocket import NFT_MSG_DELCHAIN, NFT_MSG_DELRULE, NFT_MSG_DELTABLE

from corral.dataplane.batch import Batch, Refused, Unconfirmed
from corral.dataplane.codec import Message
from corral.dataplane.host.foreign import FAMILIES
from corral.dataplane.messages import attribute, errno_name, nfgen, nftables, text_attribute
from corral.dataplane.netlink import NETLINK_NETFILTER, NetlinkSocket
from corral.errors import CommitError, UncertainError
from corral.nft.foreign import LEGACY, ForeignChain
from corral.nft.leftovers import PASTURESTACK_TABLE, Leftovers

# Attributes, from linux/netfilter/nf_tables.h
_TABLE, _RULE_CHAIN, _RULE_HANDLE, _CHAIN_NAME = 1, 2, 3, 3
_NUMBERS = {name: number for number, name in FAMILIES.items()}


async def remove_from_nftables(left: Leftovers) -> None:
    """Remove the chains, the jumps to them, and PastureStack's table; ipsets and iptables-legacy's are left.

    Raises CommitError when the kernel refuses: then all is as it was.
    """
    messages = list(_messages(left))
    if not messages:
        return
    with NetlinkSocket(NETLINK_NETFILTER) as opened:
        batch = Batch(messages, opened.next_sequence(len(messages) + 2))
        await opened.send(batch.data, slow=True)
        for datagram in opened.drain():
            batch.receive(datagram)
    outcome = batch.outcome()
    if isinstance(outcome, Refused):
        reason = " ".join(filter(None, [errno_name(outcome.errno), outcome.text]))
        raise CommitError(f"the kernel refused the removal: {reason}; nothing is removed", errno=outcome.errno)
    if isinstance(outcome, Unconfirmed):
        raise UncertainError("the kernel did not confirm the removal: look again")


def _messages(left: Leftovers) -> Iterator[Message]:
    """Jumps first: a chain that rules lead to can not go."""
    for chain, rule in left.jumps:
        if chain.family != LEGACY:
            handle = attribute(_RULE_HANDLE, rule.handle.to_bytes(8, "big"))
            yield _message(NFT_MSG_DELRULE, chain, text_attribute(_RULE_CHAIN, chain.name) + handle)
    for chain in left.in_nftables:
        yield _message(NFT_MSG_DELRULE, chain, text_attribute(_RULE_CHAIN, chain.name))
    for chain in left.in_nftables:
        yield _message(NFT_MSG_DELCHAIN, chain, text_attribute(_CHAIN_NAME, chain.name))
    if left.pasturestack:
        family, table = PASTURESTACK_TABLE
        payload = nfgen(text_attribute(_TABLE, table), family=_NUMBERS[family])
        yield Message(nftables(NFT_MSG_DELTABLE), 0, payload, 0)


def _message(kind: int, chain: ForeignChain, rest: bytes) -> Message:
    payload = nfgen(text_attribute(_TABLE, chain.table) + rest, family=_NUMBERS[chain.family])
    return Message(nftables(kind), 0, payload, 0)
