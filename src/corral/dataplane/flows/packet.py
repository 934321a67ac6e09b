"""The head of a packet: who sends to whom, by which protocol and ports. Pure."""

from __future__ import annotations

import struct
from ipaddress import IPv6Address
from typing import NamedTuple

from corral.types import Address

# Numbers of the Internet Protocol
ICMP, TCP, UDP, GRE, ICMPV6 = 1, 6, 17, 47, 58
_NAMES = {ICMP: "icmp", 2: "igmp", TCP: "tcp", UDP: "udp", GRE: "gre", 50: "esp", ICMPV6: "icmpv6", 132: "sctp"}
WITH_PORTS = frozenset({TCP, UDP, 33, 132, 136})  # DCCP, SCTP, UDP-Lite
ECHO, ECHO_REPLY = 8, 0
_ICMP_ERRORS = frozenset({3, 4, 5, 11, 12})  # these carry the head of the packet that they are about

_IPV4 = struct.Struct(">BxHHHBBH4s4s")
_IPV6 = struct.Struct(">IHBx16s16s")
_PORTS = struct.Struct(">HH")
_ICMP = struct.Struct(">BBHH")
_ICMP_SIZE = 8
_FRAGMENT_OFFSET = 0x1FFF
_FRAGMENT = 44
_EXTENSIONS = frozenset({0, 43, 60})  # hop-by-hop, routing, destination options


class Header(NamedTuple):
    """`protocol` is a number; the ports are None where there are none. `icmp` is type, code and, of an echo, its id.

    `about` is the head of the packet that an ICMP error is about.
    """

    source: Address | IPv6Address
    destination: Address | IPv6Address
    protocol: int
    source_port: int | None = None
    destination_port: int | None = None
    icmp: tuple[int, int, int] | None = None
    about: Header | None = None

    def reversed(self) -> Header:
        """The head that an answer would have."""
        icmp = self.icmp
        if icmp is not None and icmp[0] in (ECHO, ECHO_REPLY):
            icmp = (ECHO_REPLY if icmp[0] == ECHO else ECHO, *icmp[1:])
        return Header(
            self.destination, self.source, self.protocol, self.destination_port, self.source_port, icmp, self.about
        )


def protocol_name(number: int) -> str:
    """`tcp`; the number itself where people know no better name."""
    return _NAMES.get(number, str(number))


def read_header(packet: bytes) -> Header | None:
    """The head of an IPv4 or IPv6 packet, which may be cut off; None for what is none."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= _IPV4.size:
        return _read_ipv4(packet)
    if version == 6 and len(packet) >= _IPV6.size:
        return _read_ipv6(packet)
    return None


def _read_ipv4(packet: bytes) -> Header:
    first, _, _, fragment, _, protocol, _, source, destination = _IPV4.unpack_from(packet)
    ends = Address(int.from_bytes(source, "big")), Address(int.from_bytes(destination, "big"))
    if fragment & _FRAGMENT_OFFSET:
        return Header(*ends, protocol)
    rest = packet[(first & 0x0F) * 4 :]
    if protocol == ICMP and len(rest) >= _ICMP.size:
        kind, code, _, identifier = _ICMP.unpack_from(rest)
        about = read_header(rest[_ICMP_SIZE:]) if kind in _ICMP_ERRORS else None
        return Header(*ends, protocol, icmp=(kind, code, identifier), about=about)
    return Header(*ends, protocol, *_ports(protocol, rest))


def _read_ipv6(packet: bytes) -> Header:
    _, _, protocol, source, destination = _IPV6.unpack_from(packet)
    rest = packet[_IPV6.size :]
    first_fragment = True
    while len(rest) >= 8 and (protocol in _EXTENSIONS or protocol == _FRAGMENT):
        if protocol == _FRAGMENT:
            first_fragment = not int.from_bytes(rest[2:4], "big") >> 3
        size = 8 if protocol == _FRAGMENT else (rest[1] + 1) * 8
        protocol, rest = rest[0], rest[size:]
    ports = _ports(protocol, rest) if first_fragment else (None, None)
    return Header(IPv6Address(source), IPv6Address(destination), protocol, *ports)


def _ports(protocol: int, rest: bytes) -> tuple[int | None, int | None]:
    if protocol not in WITH_PORTS or len(rest) < _PORTS.size:
        return None, None
    source, destination = _PORTS.unpack_from(rest)
    return source, destination
