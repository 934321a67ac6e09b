"""The kernel's connection tracking, read over netlink: which flows there are, as a policy sees them.

The tuple of the first direction has the client, that of the replies has the real server behind any destination NAT:
the very fields that corral's rules match.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from corral.dataplane.messages import NFGEN, Received, attributes, nfgen, read_number
from corral.dataplane.netlink import NETLINK_NETFILTER, InterruptedDumpError, NetlinkSocket
from corral.errors import DataplaneError, UncertainError, UnsupportedError
from corral.types import Address

# From linux/netfilter/nfnetlink.h and nfnetlink_conntrack.h
_GET = 1 << 8 | 1  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET
_ORIGINAL, _REPLY, _STATUS, _PROTOCOL_INFO = 1, 2, 3, 4  # CTA_*
_IP, _PROTOCOL = 1, 2  # CTA_TUPLE_*
_IPV4_SOURCE = 1
_NUMBER, _SOURCE_PORT = 1, 2  # CTA_PROTO_*
_TCP_INFO, _TCP_STATE = 1, 1
_IPV4 = 2  # AF_INET
_SEEN_REPLY = 0x2  # IPS_SEEN_REPLY
TCP = 6

# How the kernel writes the two tuples of an IPv4 flow with ports, so that most are read in one go.
_HEADERS = struct.Struct("=HH48xHH")
_USUAL = (52, 0x8000 | _ORIGINAL, 52, 0x8000 | _REPLY)  # lengths and types, with the bit of what is nested
_TUPLES = struct.Struct("!" + 2 * "12xI 4xI 8xB3x 4xH2x 4xH2x")
_AFTER_TUPLES = NFGEN.size + _TUPLES.size

# enum tcp_conntrack
_TCP_STATES = (
    "none",
    "syn_sent",
    "syn_recv",
    "established",
    "fin_wait",
    "close_wait",
    "last_ack",
    "time_wait",
    "close",
    "syn_sent2",
)
_OVER = frozenset({"last_ack", "time_wait", "close"})


class TrackedFlow(NamedTuple):
    """One flow. `protocol` is its IP number; the ports are None where the protocol has none."""

    client: Address
    client_port: int | None
    server: Address
    port: int | None
    protocol: int
    state: str
    answered: bool

    @property
    def open(self) -> bool:
        """Whether it is at work: answered, and not over."""
        return self.answered and self.state not in _OVER


class Tracked(NamedTuple):
    """What a dump found: how many flows there are in all, and those that were asked for."""

    entries: int
    flows: list[TrackedFlow]


Wanted = Callable[[int, int], bool]
_Tuples = tuple[int, int | None, int, int | None, int]  # client and its port, server and its port, protocol


async def dump_flows(wanted: Wanted) -> Tracked:
    """All IPv4 flows of this network namespace that are `wanted` (called with client and server); others have turns.

    Raises UnsupportedError without nf_conntrack_netlink or CAP_NET_ADMIN, DataplaneError when the kernel fails.
    """
    entries = 0
    flows: list[TrackedFlow] = []
    with NetlinkSocket(NETLINK_NETFILTER) as opened:
        try:
            async for part in opened.parts(_GET, nfgen(family=_IPV4)):
                entries += len(part)
                flows += _read(part, wanted)
        except InterruptedDumpError as error:
            raise UncertainError("connection tracking can not be read: an answer was lost, ask again") from error
        except OSError as error:
            raise _failure(error) from error
    return Tracked(entries, flows)


def read_flow(payload: bytes) -> TrackedFlow | None:
    """The flow that a message is about, whatever the order of its attributes; None for one without IPv4 addresses."""
    tuples, rest = _tuples(payload)
    return None if tuples is None else _flow(tuples, payload, rest)


def _read(messages: list[Received], wanted: Wanted) -> Iterator[TrackedFlow]:
    for message in messages:
        payload = message.payload
        tuples, rest = _tuples(payload)
        if tuples is not None and wanted(tuples[0], tuples[2]):
            yield _flow(tuples, payload, rest)


def _tuples(payload: bytes) -> tuple[_Tuples | None, int]:
    """What the two tuples say, and from where on the other attributes are to be found."""
    tuples = _quickly(payload)
    return (tuples, _AFTER_TUPLES) if tuples else (_thoroughly(payload), NFGEN.size)


def _quickly(payload: bytes) -> _Tuples | None:
    if len(payload) < _AFTER_TUPLES or _HEADERS.unpack_from(payload, NFGEN.size) != _USUAL:
        return None
    client, _, protocol, client_port, _, server, _, _, port, _ = _TUPLES.unpack_from(payload, NFGEN.size)
    return client, client_port, server, port, protocol


def _thoroughly(payload: bytes) -> _Tuples | None:
    """Any order of attributes, any protocol; None for what has no IPv4 addresses."""
    fields = dict(attributes(payload[NFGEN.size :]))
    try:
        (client, protocol, client_port), (server, _, port) = _source(fields[_ORIGINAL]), _source(fields[_REPLY])
    except KeyError:
        return None
    return client, client_port, server, port, protocol


def _source(packed: bytes) -> tuple[int, int, int | None]:
    """Who sends in this direction: address, protocol, port."""
    parts = dict(attributes(packed))
    protocol = dict(attributes(parts[_PROTOCOL]))
    port = _number(protocol[_SOURCE_PORT], 2) if _SOURCE_PORT in protocol else None
    return _number(dict(attributes(parts[_IP]))[_IPV4_SOURCE], 4), _number(protocol[_NUMBER], 1), port


def _number(packed: bytes, size: int) -> int:
    """Of so many bytes; what has others is none of ours. Raises KeyError."""
    if len(packed) != size:
        raise KeyError(packed)
    return read_number(packed)


def _flow(tuples: _Tuples, payload: bytes, rest: int) -> TrackedFlow:
    client, client_port, server, port, protocol = tuples
    fields = dict(attributes(payload[rest:]))
    answered = bool(read_number(fields.get(_STATUS, b"")) & _SEEN_REPLY)
    state = "answered" if answered else "unanswered"
    if protocol == TCP:
        state = _tcp_state(fields.get(_PROTOCOL_INFO, b"")) or state
    return TrackedFlow(Address(client), client_port, Address(server), port, protocol, state, answered)


def _tcp_state(packed: bytes) -> str:
    info = dict(attributes(dict(attributes(packed)).get(_TCP_INFO, b"")))
    number = read_number(info.get(_TCP_STATE, b""))
    return _TCP_STATES[number] if number < len(_TCP_STATES) else ""


def _failure(error: OSError) -> DataplaneError:
    if error.errno in (errno.EPERM, errno.EACCES):
        return UnsupportedError("connection tracking can not be read without CAP_NET_ADMIN", errno=error.errno)
    # What nfnetlink answers for a subsystem that nobody serves.
    if error.errno in (errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT):
        remedy = "load it with `modprobe nf_conntrack_netlink`"
        return UnsupportedError(
            f"connection tracking can not be read: the kernel module nf_conntrack_netlink is missing; {remedy}",
            errno=error.errno,
        )
    return DataplaneError(f"connection tracking can not be read: {error.strerror}", errno=error.errno)
