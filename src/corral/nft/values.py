"""Tables, sets, maps, chains and rules as values that print themselves as nft prints them.

A ruleset is plain data: equal values are equal rulesets. How a value goes over netlink is the
dataplane's business; how it reads is in `text`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from corral.types import Address, Subnet


class Field(StrEnum):
    """What an expression loads from a packet, in nft's words."""

    CLIENT = "ct original ip saddr"  # the same on every packet of the flow, in both directions
    SERVER = "ct reply ip saddr"  # the real server, behind any DNAT
    SERVER_PORT = "ct reply proto-src"
    # The same on every packet of the flow, ICMP errors included. nft forgets a direction given with it, and it needs to
    # see IPv4 said by a match that it does not hide, or it neither prints nor parses the port after it.
    PROTOCOL = "ip version 4 ct protocol"
    SOURCE = "ip saddr"
    DESTINATION = "ip daddr"
    INPUT_INTERFACE = "iifname"
    OUTPUT_INTERFACE = "oifname"
    FAMILY = "meta nfproto"


@dataclass(frozen=True, slots=True)
class InSet:
    """`ct original ip saddr @set`, or `!= @set`."""

    field: Field
    set: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Equals:
    """`iifname "docker0"`, `meta nfproto ipv6`: the value as nft prints it, unquoted."""

    field: Field
    value: str


@dataclass(frozen=True, slots=True)
class InRange:
    """`ct reply proto-src 8000-8080`; a single port when both ends are equal."""

    field: Field
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class State:
    """`ct state invalid,untracked`."""

    states: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """`counter name "…"`."""

    counter: str


@dataclass(frozen=True, slots=True)
class Dispatch:
    """`ct reply ip saddr vmap @map`."""

    field: Field
    map: str


class Verb(StrEnum):
    ACCEPT = "accept"
    DROP = "drop"
    RETURN = "return"
    JUMP = "jump"
    GOTO = "goto"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict; `chain` only with jump and goto."""

    verb: Verb
    chain: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.chain}" if self.chain else str(self.verb)


@dataclass(frozen=True, slots=True)
class Limit:
    """`limit rate 100/second burst 100 packets`: the rule ends here for what comes faster."""

    per_second: int
    burst: int  # packets


@dataclass(frozen=True, slots=True)
class LimitEach:
    """`update @set { ct original ip saddr timeout 1m limit rate 5/second burst 10 packets }`.

    A limit for each value of the field. The kernel keeps them as elements of the set, of type `DYNAMIC`, for
    `timeout` seconds after the last packet. The rule ends here for what comes faster, and when the set is full.
    """

    field: Field
    set: str
    timeout: int
    limit: Limit


@dataclass(frozen=True, slots=True)
class Log:
    """`log prefix "…" group 8799 snaplen 128`: the packet's first `length` bytes go to who listens to the group."""

    prefix: str
    group: int
    length: int


Expression = InSet | Equals | InRange | State | Count | Dispatch | Limit | LimitEach | Log | Verdict


@dataclass(frozen=True, slots=True)
class NftRule:
    """One line of a chain. Comments hold 1 to 127 bytes of UTF-8; nft refuses 128."""

    expressions: tuple[Expression, ...]
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Hook:
    """What makes a chain a base chain: always type filter, policy accept."""

    hook: str
    priority: int


@dataclass(frozen=True, slots=True)
class Chain:
    name: str
    rules: tuple[NftRule, ...]
    hook: Hook | None = None
    comment: str = ""


class SetType(StrEnum):
    ADDRESSES = "addresses"  # type ipv4_addr
    SUBNETS = "subnets"  # type ipv4_addr, flags interval
    DYNAMIC = "dynamic"  # type ipv4_addr, size 65535, flags dynamic,timeout: packets make its elements, corral none


DYNAMIC_SIZE = 65_535  # elements of such a set at most; nft's own choice where none is said


@dataclass(frozen=True, slots=True)
class NftSet:
    """The declaration of a set; its elements are kept beside it, for they move. Those of a dynamic one are nobody's."""

    name: str
    type: SetType = SetType.ADDRESSES
    comment: str = ""


@dataclass(frozen=True, slots=True)
class NftMap:
    """A verdict map from addresses."""

    name: str
    comment: str = ""


Element = Address | Subnet


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The whole content of table `inet corral`. `elements` has a key for each set, `verdicts` for each map."""

    counters: frozenset[str] = frozenset()
    sets: Mapping[str, NftSet] = field(default_factory=dict)
    elements: Mapping[str, frozenset[Element]] = field(default_factory=dict)
    maps: Mapping[str, NftMap] = field(default_factory=dict)
    verdicts: Mapping[str, Mapping[Address, Verdict]] = field(default_factory=dict)
    chains: Mapping[str, Chain] = field(default_factory=dict)
