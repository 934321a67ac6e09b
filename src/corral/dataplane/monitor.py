"""Notifications about the ruleset: who changed our table? Pure, but for the addresses in the socket filter.

The kernel sends a message for each object of a commit, then one for the new generation, which says who it was. Each
carries the port of the socket that the commit came from.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator

from pyroute2.netlink.nfnetlink.nftsocket import NFT_MSG_NEWGEN, nft_gen_msg

from corral.dataplane.base import ForeignChange
from corral.dataplane.messages import FAMILY, NFGEN, TABLE, Received, attributes, decode, nftables, split

NFTABLES_GROUP = 7  # NFNLGRP_NFTABLES

_NEW_GENERATION = nftables(NFT_MSG_NEWGEN)
_TABLE_ATTRIBUTE = 1  # NFTA_TABLE_NAME, and NFTA_*_TABLE of everything else
_TABLE_NAME = TABLE.encode()

# Classic BPF, linux/filter.h
_INSTRUCTION = struct.Struct("=HBBI")
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_PORT_OFFSET = 12  # nlmsg_pid
_KEEP_ALL = 0xFFFFFFFF


class Monitor:
    """Takes notifications and tells which commits of others touched our table."""

    def __init__(self, own_port: int) -> None:
        self._own_port = own_port
        self._touched = False

    def receive(self, datagram: bytes) -> Iterator[ForeignChange]:
        """Commits that the datagram completes."""
        for received in split(datagram):
            if received.port == self._own_port:
                continue  # where the socket filter is not there to drop it
            if received.type != _NEW_GENERATION:
                self._touched = self._touched or _is_ours(received)
            elif self._touched:
                self._touched = False
                yield _change(received)

    def lost(self) -> ForeignChange:
        """Some notifications did not reach us."""
        self._touched = False
        return ForeignChange(lost=True)


def _is_ours(received: Received) -> bool:
    if received.payload[:1] != bytes([FAMILY]):
        return False
    kind, value = next(attributes(received.payload[NFGEN.size :]), (0, b""))
    return kind == _TABLE_ATTRIBUTE and value.rstrip(b"\0") == _TABLE_NAME


def _change(received: Received) -> ForeignChange:
    parts = decode(nft_gen_msg, received.payload)
    pid, process = int(parts.get("NFTA_GEN_PROC_PID", 0)), str(parts.get("NFTA_GEN_PROC_NAME", ""))
    return ForeignChange(int(parts["NFTA_GEN_ID"]), pid, process)


class PortFilter:
    """A socket filter that drops everything from one port: our own commits cost us nothing.

    All messages of one datagram come from one commit. Keep the object until the filter is attached.
    """

    def __init__(self, port: int) -> None:
        seen = int.from_bytes(struct.pack("=I", port), "big")  # the filter loads words in network order
        program = [(_LOAD_WORD, 0, 0, _PORT_OFFSET), (_JUMP_IF_EQUAL, 0, 1, seen), (_RETURN, 0, 0, 0)]
        code = b"".join(_INSTRUCTION.pack(*instruction) for instruction in (*program, (_RETURN, 0, 0, _KEEP_ALL)))
        self._code = ctypes.create_string_buffer(code, len(code))
        self.program = struct.pack("@HP", len(code) // _INSTRUCTION.size, ctypes.addressof(self._code))
