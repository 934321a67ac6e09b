"""The parts of netlink messages: framing, attributes, user data (libnftnl's list of type, length, value).

They are packed and read by struct: pyroute2's classes take longer over one message than the kernel over a small
commit, and make so many objects that reading a full table keeps the garbage collector busy.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_NFTABLES
from pyroute2.netlink.nfnetlink.nftsocket import NFPROTO_INET

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
_ATTRIBUTE = struct.Struct("=HH")  # length, type
PADDING = tuple(bytes(-length % 4) for length in range(4))  # what follows data of a length, by its last two bits
_TYPE_MASK = 0x3FFF  # without the nested and byte order bits

COUNTER_OBJECT = 1  # NFT_OBJECT_COUNTER
VERDICT_TYPE = 0xFFFFFF00  # NFT_DATA_VERDICT


def nftables(message: int) -> int:
    """The type of one of nftables' messages."""
    return int(NFNL_SUBSYS_NFTABLES) << 8 | message


class Received(NamedTuple):
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
    length = len(payload)
    return HEADER.pack(HEADER.size + length, kind, flags, sequence, 0) + payload + PADDING[length & 3]


def nfgen(payload: bytes = b"", *, family: int = FAMILY, resource: int = 0) -> bytes:
    """A netfilter message's body."""
    return NFGEN.pack(family, 0, resource) + payload


def decode(message_class: Any, payload: bytes) -> dict[str, Any]:
    """The attributes of an nftables message; one that we have no name for is under `UNKNOWN`."""
    header = HEADER.pack(HEADER.size + len(payload), 0, 0, 0, 0)
    message = message_class(header + payload)
    message.decode()
    return {str(attribute[0]): attribute[1] for attribute in message["attrs"]}


def attribute(kind: int, value: bytes) -> bytes:
    """One packed and padded attribute."""
    length = len(value)
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + length, kind) + value + PADDING[length & 3]


def text_attribute(kind: int, value: str) -> bytes:
    """An attribute that holds C text, that is, with a zero byte at its end."""
    return attribute(kind, value.encode() + b"\0")


def number_attribute(kind: int, value: int) -> bytes:
    """An attribute that holds a number of 32 bits, as nftables has most of its numbers."""
    return attribute(kind, value.to_bytes(4, "big"))


IN_TABLE = nfgen(text_attribute(1, TABLE))  # how every message about our table begins


def in_table(kind: int, name: str) -> bytes:
    """The head of a message about one thing in our table; `kind` is the attribute that names it."""
    return IN_TABLE + text_attribute(kind, name)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in packed data; a truncated rest is dropped."""
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size or at + length > len(data):
            return
        yield kind & _TYPE_MASK, data[at + _ATTRIBUTE.size : at + length]
        at += -(-length // 4) * 4


def fields(payload: bytes) -> dict[int, bytes]:
    """The attributes of an nftables message, by their kind."""
    return dict(attributes(payload[NFGEN.size :]))


def read_text(value: bytes) -> str:
    """C text."""
    return value.partition(b"\0")[0].decode(errors="replace")


def read_number(value: bytes) -> int:
    """A number of any length; 0 for nothing."""
    return int.from_bytes(value, "big")


def user_data(kind: int, value: bytes) -> bytes:
    """One entry of user data."""
    return bytes((kind, len(value))) + value


def text_user_data(kind: int, text: str) -> bytes:
    """A comment: C text, that is, with a zero byte at its end."""
    return user_data(kind, text.encode() + b"\0")


def read_user_data(data: bytes) -> dict[int, bytes]:
    """The entries of user data by kind; what can not be read is dropped."""
    entries: dict[int, bytes] = {}
    rest = data
    while len(rest) >= 2 and len(rest) >= 2 + rest[1]:
        entries[rest[0]] = rest[2 : 2 + rest[1]]
        rest = rest[2 + rest[1] :]
    return entries


def read_comment(data: bytes, kind: int) -> str:
    """The comment among the user data, or nothing."""
    return read_text(read_user_data(data).get(kind, b""))


def errno_name(number: int) -> str:
    """`ENOENT` for 2."""
    return errno.errorcode.get(number, str(number))
