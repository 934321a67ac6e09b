"""The netlink messages that corral sends and reads, as pyroute2 message classes, and their framing.

Rule expressions stay packed in our rule message: they are encoded and decoded expression by expression, and
remembered (`expressions`). Element lists are packed by `elements`. User data is libnftnl's list of type, length, value.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_NFTABLES, nfgen_msg
from pyroute2.netlink.nfnetlink.nftsocket import (
    NFPROTO_INET,
    nft_chain_msg,
    nft_rule_msg,
    nft_set_elem_list_msg,
    nft_set_msg,
    nft_table_msg,
)

TABLE = "corral"
FAMILY = int(NFPROTO_INET)

# From linux/netlink.h and linux/netfilter/nfnetlink.h
NLMSG_ERROR, NLMSG_DONE = 2, 3
BATCH_BEGIN, BATCH_END = 0x10, 0x11
REQUEST, ACK, DUMP_INTERRUPTED = 0x1, 0x4, 0x10
DUMP = 0x300
CREATE, EXCLUSIVE, APPEND = 0x400, 0x200, 0x800
CAPPED, ACK_TLVS = 0x100, 0x200

HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
NFGEN = struct.Struct(">BBH")  # family, version, resource
PAYLOAD_OFFSET = HEADER.size + NFGEN.size
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_TYPE_MASK = 0x3FFF  # without the nested and byte order bits

COUNTER_OBJECT = 1  # NFT_OBJECT_COUNTER
VERDICT_TYPE = 0xFFFFFF00  # NFT_DATA_VERDICT


def nftables(message: int) -> int:
    """The type of one of nftables' messages."""
    return int(NFNL_SUBSYS_NFTABLES) << 8 | message


def _packed(original: Any, **kinds: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, kinds.get(name, kind)) for name, kind in original.nla_map)


# Not subclasses of pyroute2's own: a class inherits the attribute table that its parent has compiled.


class RuleMessage(nfgen_msg):  # type: ignore[misc]
    """A rule whose expressions and user data stay packed."""

    __slots__ = ()
    prefix = nft_rule_msg.prefix
    nla_map = _packed(nft_rule_msg, NFTA_RULE_EXPRESSIONS="cdata", NFTA_RULE_USERDATA="cdata")


class ChainMessage(nfgen_msg):  # type: ignore[misc]
    """A chain whose user data and flags stay as they are."""

    __slots__ = ()
    prefix = nft_chain_msg.prefix
    hook = nft_chain_msg.hook
    counters = nft_chain_msg.counters
    nla_map = _packed(nft_chain_msg, NFTA_CHAIN_FLAGS="be32", NFTA_CHAIN_USERDATA="cdata")


class SetMessage(nfgen_msg):  # type: ignore[misc]
    """A set or map whose user data and flags stay as they are."""

    __slots__ = ()
    prefix = nft_set_msg.prefix
    set_policy = nft_set_msg.set_policy
    set_desc = nft_set_msg.set_desc
    nla_map = _packed(
        nft_set_msg,
        NFTA_SET_FLAGS="be32",
        NFTA_SET_USERDATA="cdata",
        NFTA_SET_EXPR="cdata",
        NFTA_SET_EXPRESSIONS="cdata",
    )


class ElementsMessage(nfgen_msg):  # type: ignore[misc]
    """A list of elements that stays packed."""

    __slots__ = ()
    prefix = nft_set_elem_list_msg.prefix
    nla_map = _packed(nft_set_elem_list_msg, NFTA_SET_ELEM_LIST_ELEMENTS="cdata")


class ObjectMessage(nfgen_msg):  # type: ignore[misc]
    """A named counter; pyroute2 has no class for named objects."""

    __slots__ = ()
    prefix = "NFTA_OBJ_"
    nla_map = (
        ("NFTA_OBJ_UNSPEC", "none"),
        ("NFTA_OBJ_TABLE", "asciiz"),
        ("NFTA_OBJ_NAME", "asciiz"),
        ("NFTA_OBJ_TYPE", "be32"),
        ("NFTA_OBJ_DATA", "cdata"),
        ("NFTA_OBJ_USE", "be32"),
        ("NFTA_OBJ_HANDLE", "be64"),
        ("NFTA_OBJ_PAD", "cdata"),
        ("NFTA_OBJ_USERDATA", "cdata"),
    )


TableMessage = nft_table_msg


@dataclass(frozen=True, slots=True)
class Received:
    """One message that the kernel sent; `payload` follows the netlink header."""

    type: int
    flags: int
    sequence: int
    port: int
    payload: bytes


def split(datagram: bytes) -> Iterator[Received]:
    """The messages of a datagram; a truncated rest is dropped."""
    at = 0
    while at + HEADER.size <= len(datagram):
        length, kind, flags, sequence, port = HEADER.unpack_from(datagram, at)
        if length < HEADER.size or at + length > len(datagram):
            return
        yield Received(kind, flags, sequence, port, datagram[at + HEADER.size : at + length])
        at += -(-length // 4) * 4


def frame(kind: int, flags: int, sequence: int, payload: bytes) -> bytes:
    """One message; `payload` begins with the header of its family."""
    padding = bytes(-len(payload) % 4)
    return HEADER.pack(HEADER.size + len(payload), kind, flags, sequence, 0) + payload + padding


def nfgen(payload: bytes = b"", *, family: int = FAMILY, resource: int = 0) -> bytes:
    """A netfilter message's body."""
    return NFGEN.pack(family, 0, resource) + payload


def body(message: Any, attributes: list[tuple[str, Any]]) -> bytes:
    """The body of an nftables message, encoded by its pyroute2 class."""
    message["nfgen_family"] = FAMILY
    message["attrs"] = [list(attribute) for attribute in attributes]
    message.encode()
    return bytes(message.data[HEADER.size :])


def decode(message_class: Any, payload: bytes) -> dict[str, Any]:
    """The attributes of an nftables message; one that we have no name for is under `UNKNOWN`."""
    header = HEADER.pack(HEADER.size + len(payload), 0, 0, 0, 0)
    message = message_class(header + payload)
    message.decode()
    return {str(attribute[0]): attribute[1] for attribute in message["attrs"]}


def attribute(kind: int, value: bytes) -> bytes:
    """One packed and padded attribute."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in packed data; a truncated rest is dropped."""
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size or at + length > len(data):
            return
        yield kind & _TYPE_MASK, data[at + _ATTRIBUTE.size : at + length]
        at += -(-length // 4) * 4


def user_data(kind: int, value: bytes) -> bytes:
    """One entry of user data."""
    return bytes((kind, len(value))) + value


def text_user_data(kind: int, text: str) -> bytes:
    """A comment: C text, that is, with a zero byte at its end."""
    return user_data(kind, text.encode() + b"\0")


def read_user_data(data: bytes | None) -> dict[int, bytes]:
    """The entries of user data by kind; what can not be read is dropped."""
    entries: dict[int, bytes] = {}
    rest = data or b""
    while len(rest) >= 2 and len(rest) >= 2 + rest[1]:
        entries[rest[0]] = rest[2 : 2 + rest[1]]
        rest = rest[2 + rest[1] :]
    return entries


def read_comment(data: bytes | None, kind: int) -> str:
    """The comment among the user data, or nothing."""
    return read_user_data(data).get(kind, b"").rstrip(b"\0").decode(errors="replace")


def errno_name(number: int) -> str:
    """`ENOENT` for 2."""
    return errno.errorcode.get(number, str(number))
