"""Heads of packets, made by hand."""

from __future__ import annotations

import struct
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.dataplane.flows.packet import ICMP, ICMPV6, TCP, UDP, Header, protocol_name, read_header
from corral.types import Address

A, B = Address.parse("10.42.0.2"), Address.parse("10.42.0.3")
A6, B6 = IPv6Address("fe80::2"), IPv6Address("fe80::3")


def ipv4(protocol: int, rest: bytes, *, source: Address = A, destination: Address = B, fragment: int = 0) -> bytes:
    ends = int(source).to_bytes(4, "big") + int(destination).to_bytes(4, "big")
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(rest), 1, fragment, 64, protocol, 0) + ends + rest


def ipv6(next_header: int, rest: bytes) -> bytes:
    return struct.pack(">IHBB", 6 << 28, len(rest), next_header, 64) + A6.packed + B6.packed + rest


def ports(source: int, destination: int) -> bytes:
    return struct.pack(">HH", source, destination)


def test_ports_of_tcp_and_udp() -> None:
    assert read_header(ipv4(TCP, ports(4000, 80) + bytes(16))) == Header(A, B, TCP, 4000, 80)
    assert read_header(ipv4(UDP, ports(4000, 53))) == Header(A, B, UDP, 4000, 53)


def test_a_protocol_without_ports_has_none() -> None:
    assert read_header(ipv4(47, ports(4000, 80))) == Header(A, B, 47)


def test_options_are_skipped() -> None:
    packet = bytearray(ipv4(TCP, bytes(8) + ports(4000, 80)))
    packet[0] = 0x47
    assert read_header(bytes(packet)) == Header(A, B, TCP, 4000, 80)


def test_a_later_fragment_has_no_ports() -> None:
    assert read_header(ipv4(UDP, ports(4000, 53), fragment=185)) == Header(A, B, UDP)
    assert read_header(ipv4(UDP, ports(4000, 53), fragment=0x4000)) == Header(A, B, UDP, 4000, 53)  # do not fragment


def test_an_echo_has_its_id() -> None:
    assert read_header(ipv4(ICMP, struct.pack(">BBHHH", 8, 0, 0, 77, 1))) == Header(A, B, ICMP, icmp=(8, 0, 77))


def test_an_icmp_error_tells_what_it_is_about() -> None:
    about = ipv4(UDP, ports(4000, 53), source=B, destination=A)
    header = read_header(ipv4(ICMP, struct.pack(">BBHI", 3, 3, 0, 0) + about))
    assert header is not None
    assert header.about == Header(B, A, UDP, 4000, 53)


def test_an_answer_has_the_ends_the_other_way_round() -> None:
    assert Header(A, B, TCP, 4000, 80).reversed() == Header(B, A, TCP, 80, 4000)
    assert Header(A, B, ICMP, icmp=(8, 0, 77)).reversed() == Header(B, A, ICMP, icmp=(0, 0, 77))
    assert Header(A, B, ICMP, icmp=(0, 0, 77)).reversed() == Header(B, A, ICMP, icmp=(8, 0, 77))


def test_ipv6_with_and_without_extensions() -> None:
    assert read_header(ipv6(UDP, ports(4000, 53) + bytes(4))) == Header(A6, B6, UDP, 4000, 53)
    hop_by_hop = bytes((ICMPV6, 0)) + bytes(6)
    assert read_header(ipv6(0, hop_by_hop + bytes(8))) == Header(A6, B6, ICMPV6)
    first, later = (struct.pack(">BBHI", UDP, 0, offset << 3 | 1, 9) for offset in (0, 185))
    assert read_header(ipv6(44, first + ports(4000, 53))) == Header(A6, B6, UDP, 4000, 53)
    assert read_header(ipv6(44, later + ports(4000, 53))) == Header(A6, B6, UDP)


@pytest.mark.parametrize("packet", [b"", b"\x45", bytes(40), b"\x60" + bytes(20)])
def test_what_is_no_packet_has_no_head(packet: bytes) -> None:
    assert read_header(packet) is None


@given(st.binary(max_size=160), st.sampled_from((b"", b"\x45", b"\x60")))
def test_any_bytes_can_be_read(rest: bytes, first: bytes) -> None:
    header = read_header(first + rest)
    assert header is None or header.reversed().reversed() == header


@given(st.integers(0, 160))
def test_a_packet_that_is_cut_off_keeps_its_ends(size: int) -> None:
    packet = ipv4(ICMP, struct.pack(">BBHI", 11, 0, 0, 0) + ipv4(TCP, ports(1, 2) + bytes(60)))
    header = read_header(packet[:size])
    assert header is None or (header.source, header.destination) == (A, B)


def test_protocols_have_names() -> None:
    assert [protocol_name(number) for number in (6, 17, 1, 58, 132, 253)] == [
        "tcp", "udp", "icmp", "icmpv6", "sctp", "253",
    ]  # fmt: skip
