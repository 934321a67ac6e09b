"""Notifications made by hand: whose commit touched our table?"""

from __future__ import annotations

import socket
import struct

import pytest

from corral.dataplane.base import ForeignChange
from corral.dataplane.messages import attribute
from corral.dataplane.monitor import Monitor, PortFilter

OWN, OTHER = 77, 78
INET, IP = 1, 2


def message(kind: int, payload: bytes, port: int, family: int = INET) -> bytes:
    body = bytes([family, 0, 0, 0]) + payload
    return struct.pack("=IHHII", 16 + len(body), 10 << 8 | kind, 0, 0, port) + body


def touched(table: str = "corral", *, port: int = OTHER, family: int = INET) -> bytes:
    return message(6, attribute(1, table.encode() + b"\0") + attribute(2, b"chain\0"), port, family)


def generation(number: int = 9, *, port: int = OTHER) -> bytes:
    parts = attribute(1, number.to_bytes(4, "big")) + attribute(2, (4321).to_bytes(4, "big")) + attribute(3, b"nft\0")
    return message(15, parts, port, 0)


def changes(*datagrams: bytes) -> list[ForeignChange]:
    monitor = Monitor(OWN)
    return [change for datagram in datagrams for change in monitor.receive(datagram)]


def test_a_commit_of_another_to_our_table_is_told_with_its_author() -> None:
    assert changes(touched(), generation()) == [ForeignChange(9, 4321, "nft")]
    assert changes(touched() + touched("other") + generation()) == [ForeignChange(9, 4321, "nft")]


def test_our_own_commits_are_not() -> None:
    assert changes(touched(port=OWN), generation(port=OWN)) == []


@pytest.mark.parametrize("other", [touched("other"), touched("corral2"), touched(family=IP), message(6, b"", OTHER)])
def test_other_tables_are_not_ours(other: bytes) -> None:
    assert changes(other, generation()) == []


def test_each_commit_counts_once() -> None:
    assert changes(touched(), touched(), generation(3), generation(4), touched(), generation(5)) == [
        ForeignChange(3, 4321, "nft"),
        ForeignChange(5, 4321, "nft"),
    ]


def test_what_was_lost_is_told_and_forgotten() -> None:
    monitor = Monitor(OWN)
    assert list(monitor.receive(touched())) == []
    assert monitor.lost() == ForeignChange(lost=True)
    assert list(monitor.receive(generation())) == []


@pytest.mark.parametrize("port", [1, 77, 0x01020304, 0xFFFFF001])
def test_the_filter_drops_what_comes_from_the_port(port: int) -> None:
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with sender, receiver:
        receiver.setblocking(False)
        own_filter = PortFilter(port)
        receiver.setsockopt(socket.SOL_SOCKET, 26, own_filter.program)  # SO_ATTACH_FILTER
        sender.send(touched(port=port))
        sender.send(touched(port=port ^ 1))
        assert receiver.recv(4096) == touched(port=port ^ 1)
        with pytest.raises(BlockingIOError):
            receiver.recv(4096)
