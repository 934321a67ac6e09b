"""Names shared by every room: addresses, actions, protocols and problems."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import StrEnum


class Address(int):
    """An IPv4 address as its 32-bit number: cheap to hash and to pack, printed dotted."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read dotted decimal text, or raise ValueError."""
        return cls(int(ipaddress.IPv4Address(text)))

    def __str__(self) -> str:
        return f"{self >> 24}.{self >> 16 & 255}.{self >> 8 & 255}.{self & 255}"

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"


@dataclass(frozen=True, slots=True, order=True)
class Subnet:
    """An IPv4 network: its first address and the length of its prefix."""

    first: Address
    prefix_length: int

    @classmethod
    def parse(cls, text: str) -> Subnet:
        """Read `10.42.0.0/16`; host bits are cleared (`10.42.0.1/16` is seen too). Raises ValueError.

        The length is a must: without one the standard library would read a single address.
        """
        if not text.partition("/")[2].isdecimal():
            raise ipaddress.NetmaskValueError(f"{text!r} has no prefix length such as /16")
        network = ipaddress.IPv4Network(text, strict=False)
        return cls(Address(int(network.network_address)), network.prefixlen)

    @property
    def last(self) -> Address:
        return Address(self.first | (1 << (32 - self.prefix_length)) - 1)

    def __contains__(self, address: int) -> bool:
        return self.first <= address <= self.last

    def __str__(self) -> str:
        return f"{self.first}/{self.prefix_length}"


class Action(StrEnum):
    """What a policy rule or the default action says."""

    ALLOW = "allow"
    DENY = "deny"


class Protocol(StrEnum):
    """Protocols that a flow is judged by; anything without ports is judged like ICMP."""

    TCP = "tcp"
    UDP = "udp"
    ICMP = "icmp"


@dataclass(frozen=True, slots=True)
class Flow:
    """What is judged: a client opens `protocol`/`port` on a server. ICMP has no port."""

    client: Address
    server: Address
    protocol: Protocol
    port: int | None = None


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Input that could not be used: where it is, and a sentence that says what is wrong and what is allowed."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"
