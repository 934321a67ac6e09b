"""The kernel's log of packets (nfnetlink_log): what our rules report, and the flow that each packet belongs to.

Kernels that can (NETFILTER_NETLINK_GLUE_CT) send a packet's connection tracking along. Elsewhere it is looked up by
the packet's addresses and ports: in the forward hook these are the real client's and server's, for destination NAT
comes before and source NAT after it. A dropped packet's new flow is never entered in the tracking: what is not found
there was opened by the packet.
"""

from __future__ import annotations

import asyncio
import errno
import struct
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import NamedTuple, Self

from corral.dataplane.flows.conntrack import TrackedFlow, read_flow
from corral.dataplane.flows.packet import GRE, ICMP, ICMPV6, WITH_PORTS, Header, read_header
from corral.dataplane.host.trial import why_no_log
from corral.dataplane.messages import NFGEN, attribute, attributes, nfgen, number_attribute, read_text, split
from corral.dataplane.netlink import NETLINK_NETFILTER, NetlinkSocket
from corral.errors import DataplaneError, UncertainError, UnsupportedError
from corral.types import Address

GROUP = 8799
COPIED = 128  # bytes of each packet: IP and TCP headers, or an ICMP error with those of what it is about

# From linux/netfilter/nfnetlink.h, nfnetlink_log.h and nfnetlink_conntrack.h
_PACKET, _CONFIG = 4 << 8, 4 << 8 | 1  # NFNL_SUBSYS_ULOG, NFULNL_MSG_*
_COMMAND, _MODE, _BUFFER, _TIMEOUT, _THRESHOLD, _FLAGS = 1, 2, 3, 4, 5, 6  # NFULA_CFG_*
_BIND = 1
_MODE_STRUCT = struct.Struct(">IBx")
_COPY_PACKET = 2
_SEQUENCE, _CONNTRACK = 0x1, 0x4  # NFULNL_CFG_F_*
_PAYLOAD, _PREFIX, _NUMBER, _CT = 9, 10, 12, 18  # NFULA_*
_GET_FLOW = 1 << 8 | 1  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET
_ORIGINAL, _IP, _PROTOCOL = 1, 1, 2  # CTA_TUPLE_ORIG, CTA_TUPLE_*
_SOURCE, _DESTINATION = 1, 2  # CTA_IP_V4_*
_PROTOCOL_NUMBER, _SOURCE_PORT, _DESTINATION_PORT, _ICMP_ID, _ICMP_TYPE, _ICMP_CODE = 1, 2, 3, 4, 5, 6  # CTA_PROTO_*
_ICMP_WITH_FLOWS = frozenset({0, 8, 13, 14, 15, 16, 17, 18})  # questions and answers
_NEVER_ASKED_FOR = frozenset({GRE, ICMPV6})  # the head has no keys of the one, and the other is none of IPv4
_NESTED = 0x8000
_IPV4 = 2  # AF_INET

_FLUSH = 5  # hundredths of a second that the kernel gathers reports for, at most
_GATHERED = 64  # or so many of them
_MESSAGE_SIZE = 1 << 15
_AT_ONCE = 8  # messages that are read before others get their turn
_REST = 3  # times as long as reading took: no flood takes more than a quarter of a processor
_HOLDERS = Path("/proc/thread-self/net/netfilter/nfnetlink_log")
_SEQUENCES = 1 << 32


class LoggedPacket(NamedTuple):
    """One report: the rule's prefix, the packet's head, and its flow where the kernel sends that along."""

    prefix: str
    header: Header | None
    flow: TrackedFlow | None


class FlowLog:
    """Reports of the log group, in the network namespace of the thread that opens it; `async with` closes it."""

    def __init__(self) -> None:
        self.lost = 0  # reports that came while the receive buffer was full
        self._socket: NetlinkSocket | None = None
        self._asking: NetlinkSocket | None = None  # what comes in between a question and its answer would be lost
        self._expected: int | None = None
        self._lookup = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the group. Idempotent."""
        for opened in (self._socket, self._asking):
            if opened is not None:
                opened.close()
        self._socket = self._asking = None

    async def open(self) -> None:
        """Take the group: from now on the kernel reports here. Loads the kernel's module where it may.

        Raises UnsupportedError where there is no such log, or rules can not write to it, and DataplaneError while
        another process has the group.
        """
        self.close()
        with ExitStack() as stack:
            opened, asking = (stack.enter_context(NetlinkSocket(NETLINK_NETFILTER)) for _ in range(2))
            await _take_group(opened)
            await _check_rules()
            stack.pop_all()
        self._socket, self._asking = opened, asking
        self._expected, self._lookup = None, True

    async def packets(self) -> AsyncGenerator[LoggedPacket]:
        """What the kernel reports, for ever. However much that is, others have most of the time."""
        opened = self._socket
        if opened is None:
            raise RuntimeError("the log is not open")
        readable = asyncio.Event()
        try:
            while True:
                opened.on_readable(readable.set)
                await readable.wait()
                # The loop would call without a pause for as long as anything is left to be read.
                opened.on_readable(None)
                readable.clear()
                started = perf_counter()
                for datagram in islice(opened.drain(), _AT_ONCE):
                    for packet in self.read(datagram or b""):
                        yield packet
                await asyncio.sleep(_REST * (perf_counter() - started))
        finally:
            opened.on_readable(None)

    def read(self, datagram: bytes) -> Iterator[LoggedPacket]:
        """The reports of one message of the kernel's; notes how many were lost before each."""
        for received in split(datagram):
            if received.type == _PACKET:
                fields = dict(attributes(received.payload[NFGEN.size :]))
                self._count(fields.get(_NUMBER))
                flow = fields.get(_CT)
                yield LoggedPacket(
                    read_text(fields.get(_PREFIX, b"")),
                    read_header(fields.get(_PAYLOAD, b"")),
                    read_flow(nfgen(flow)) if flow else None,
                )

    async def flow_of(self, packet: LoggedPacket) -> TrackedFlow | None:
        """The flow that the packet belongs to; None where connection tracking does not know it."""
        if packet.flow is not None or packet.header is None or not self._lookup:
            return packet.flow
        header = packet.header.about or packet.header
        if not _can_be_asked_for(header):
            return None
        try:
            return await self._find(header) or await self._find(header.reversed())
        except UncertainError:
            return None
        except OSError:  # without nf_conntrack_netlink
            self._lookup = False
            return None

    def _count(self, number: bytes | None) -> None:
        if number is None:
            return
        found = int.from_bytes(number, "big")
        if self._expected is not None:
            self.lost += (found - self._expected) % _SEQUENCES
        self._expected = (found + 1) % _SEQUENCES

    async def _find(self, header: Header) -> TrackedFlow | None:
        """The flow that has packets with such a head in one of its directions."""
        if self._asking is None:
            return None
        try:
            answers = await self._asking.request(_GET_FLOW, _question(header))
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        return next((flow for answer in answers if (flow := read_flow(answer.payload))), None)


async def _take_group(opened: NetlinkSocket) -> None:
    try:
        await _configure(opened)
    except OSError as error:
        failure = _failure(error)
        if not isinstance(failure, UnsupportedError):
            await _check_rules()  # whoever has the group: what matters first is whether there may be such rules
        raise failure from error


async def _configure(opened: NetlinkSocket) -> None:
    await opened.request(
        _CONFIG,
        _config(
            attribute(_COMMAND, bytes([_BIND])),
            attribute(_MODE, _MODE_STRUCT.pack(COPIED, _COPY_PACKET)),
            number_attribute(_BUFFER, _MESSAGE_SIZE),
            number_attribute(_TIMEOUT, _FLUSH),
            number_attribute(_THRESHOLD, _GATHERED),
        ),
    )
    try:
        await opened.request(_CONFIG, _flags(_SEQUENCE | _CONNTRACK))
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        await opened.request(_CONFIG, _flags(_SEQUENCE))


async def _check_rules() -> None:
    """Nobody reports to the group where the modules that rules need are missing."""
    if why := await why_no_log():
        remedy = "load the modules nft_log and nft_limit on the host (modprobe -a nft_log nft_limit)"
        raise UnsupportedError(f"the kernel can not report packets ({why}): {remedy}")


def _config(*parts: bytes) -> bytes:
    return nfgen(b"".join(parts), family=0, resource=GROUP)


def _flags(flags: int) -> bytes:
    return _config(attribute(_FLAGS, flags.to_bytes(2, "big")))


def _can_be_asked_for(header: Header) -> bool:
    """Whether the kernel understands the question: what it answers else is the same as without the module."""
    if not isinstance(header.source, Address) or header.protocol in _NEVER_ASKED_FOR:
        return False
    if header.protocol == ICMP:
        return header.icmp is not None and header.icmp[0] in _ICMP_WITH_FLOWS
    return header.protocol not in WITH_PORTS or header.source_port is not None


def _question(header: Header) -> bytes:
    """Which flow has packets with this head? The kernel finds it by the tuple of either direction."""
    ends = (_SOURCE, header.source), (_DESTINATION, header.destination)
    protocol = [attribute(_PROTOCOL_NUMBER, bytes([header.protocol]))]
    for kind, port in ((_SOURCE_PORT, header.source_port), (_DESTINATION_PORT, header.destination_port)):
        protocol += [attribute(kind, port.to_bytes(2, "big"))] if port is not None else []
    if header.icmp is not None:
        icmp_type, code, identifier = header.icmp
        protocol.append(attribute(_ICMP_ID, identifier.to_bytes(2, "big")))
        protocol += [attribute(_ICMP_TYPE, bytes([icmp_type])), attribute(_ICMP_CODE, bytes([code]))]
    parts = attribute(_NESTED | _IP, b"".join(number_attribute(kind, int(address)) for kind, address in ends))
    parts += attribute(_NESTED | _PROTOCOL, b"".join(protocol))
    return nfgen(attribute(_NESTED | _ORIGINAL, parts), family=_IPV4)


def _failure(error: OSError) -> DataplaneError:
    """Somebody else's group and a missing privilege have the same number."""
    if error.errno == errno.EPERM and (holder := _holder()):
        text = f"another program ({holder}) has netfilter's log group {GROUP}: end it, or have it use another group"
        return DataplaneError(text, errno=errno.EBUSY)
    if error.errno == errno.EPERM:
        return UnsupportedError("netfilter's log can not be read without CAP_NET_ADMIN", errno=error.errno)
    remedy = "load the module nfnetlink_log on the host (modprobe nfnetlink_log)"
    return UnsupportedError(f"the kernel can not report packets ({error.strerror}): {remedy}", errno=error.errno)


def _holder() -> str:
    """Who has the group, as far as the kernel tells: a netlink port is mostly the process's id."""
    with suppress(OSError, ValueError, IndexError):
        for line in _HOLDERS.read_text().splitlines():
            group, port = map(int, line.split()[:2])
            if group == GROUP:
                return f"netlink port {port}, mostly its process id"
    return ""
