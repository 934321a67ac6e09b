"""Rule expressions on their way to the kernel.

One of ours is a short run of the kernel's: load a field into register 1, then look it up or compare it. Each run is
encoded once and remembered.

The kernel's registers hold network byte order for addresses and ports, the host's order for connection states.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from pyroute2.netlink.nfnetlink.nftsocket import NFPROTO_IPV4, NFPROTO_IPV6, Cmp, Meta

from corral.dataplane.elements import code, pack_verdict
from corral.dataplane.messages import COUNTER_OBJECT, attribute, text_attribute
from corral.nft.text import render_expression
from corral.nft.values import (
    Count,
    Dispatch,
    Equals,
    Expression,
    Field,
    InRange,
    InSet,
    Limit,
    LimitEach,
    Log,
    State,
    Verb,
    Verdict,
)
from corral.types import Address

# Attributes of an expression of the kernel, by name; data is plain bytes, a verdict its code and chain.
_Attributes = dict[str, Any]


class KernelExpression(NamedTuple):
    """One expression of the kernel: its name and its attributes."""

    name: str
    attributes: _Attributes


_SOURCE_IP, _CT_STATE, _CT_PROTOCOL, _CT_SOURCE_PORT = 0x13, 0x00, 0x0A, 0x0B  # NFT_CT_*
_ORIGINAL, _REPLY = 0, 1
_NETWORK_HEADER = 1
_VERDICT_REGISTER, _REGISTER = 0, 1
_INVERTED = 1  # NFT_LOOKUP_F_INV
_INTERFACE_LENGTH = 16
_UPDATE = 1  # NFT_DYNSET_OP_UPDATE
_PACKETS = 0  # NFT_LIMIT_PKTS
_LONGEST_PREFIX = 127  # NF_LOG_PREFIXLEN, less the zero byte
_LARGEST = (1 << 32) - 1

# From linux/netfilter/nf_tables.h
_LIST_ELEMENT, _EXPRESSION_NAME, _EXPRESSION_DATA, _DATA_VALUE = 1, 1, 2, 1
ATTRIBUTES: Mapping[str, int] = {
    "NFTA_BITWISE_SREG": 1,
    "NFTA_BITWISE_DREG": 2,
    "NFTA_BITWISE_LEN": 3,
    "NFTA_BITWISE_MASK": 4,
    "NFTA_BITWISE_XOR": 5,
    "NFTA_CMP_SREG": 1,
    "NFTA_CMP_OP": 2,
    "NFTA_CMP_DATA": 3,
    "NFTA_DYNSET_SET_NAME": 1,
    "NFTA_DYNSET_OP": 3,
    "NFTA_DYNSET_SREG_KEY": 4,
    "NFTA_DYNSET_TIMEOUT": 6,
    "NFTA_DYNSET_EXPR": 7,
    "NFTA_CT_DREG": 1,
    "NFTA_CT_KEY": 2,
    "NFTA_CT_DIRECTION": 3,
    "NFTA_IMMEDIATE_DREG": 1,
    "NFTA_IMMEDIATE_DATA": 2,
    "NFTA_LIMIT_RATE": 1,
    "NFTA_LIMIT_UNIT": 2,
    "NFTA_LIMIT_BURST": 3,
    "NFTA_LIMIT_TYPE": 4,
    "NFTA_LIMIT_FLAGS": 5,
    "NFTA_LOG_GROUP": 1,
    "NFTA_LOG_PREFIX": 2,
    "NFTA_LOG_SNAPLEN": 3,
    "NFTA_LOOKUP_SET": 1,
    "NFTA_LOOKUP_SREG": 2,
    "NFTA_LOOKUP_DREG": 3,
    "NFTA_LOOKUP_FLAGS": 5,
    "NFTA_META_DREG": 1,
    "NFTA_META_KEY": 2,
    "NFTA_OBJREF_IMM_TYPE": 1,
    "NFTA_OBJREF_IMM_NAME": 2,
    "NFTA_PAYLOAD_DREG": 1,
    "NFTA_PAYLOAD_BASE": 2,
    "NFTA_PAYLOAD_OFFSET": 3,
    "NFTA_PAYLOAD_LEN": 4,
}
_WIDTHS: Mapping[str, int] = {  # bytes, of numbers that do not have four
    "NFTA_CT_DIRECTION": 1,
    "NFTA_DYNSET_TIMEOUT": 8,
    "NFTA_LIMIT_RATE": 8,
    "NFTA_LIMIT_UNIT": 8,
    "NFTA_LOG_GROUP": 2,
}

# As nft names them, in its order; the bits of linux/netfilter/nf_conntrack_common.h.
STATES: Mapping[str, int] = {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64}
PROTOCOLS: Mapping[str, int] = {"icmp": 1, "tcp": 6, "udp": 17, "sctp": 132}
FAMILIES: Mapping[str, int] = {"ipv4": int(NFPROTO_IPV4), "ipv6": int(NFPROTO_IPV6)}

NAMED_VALUES: Mapping[Field, Mapping[str, int]] = {Field.PROTOCOL: PROTOCOLS, Field.FAMILY: FAMILIES}
INTERFACES = frozenset({Field.INPUT_INTERFACE, Field.OUTPUT_INTERFACE})
ADDRESSES = frozenset({Field.CLIENT, Field.SERVER, Field.SOURCE, Field.DESTINATION})
IN_IPV4_HEADER = frozenset({Field.SOURCE, Field.DESTINATION, Field.PROTOCOL})


def _ct(key: int, direction: int | None = None) -> KernelExpression:
    directed = {} if direction is None else {"NFTA_CT_DIRECTION": direction}
    return KernelExpression("ct", {"NFTA_CT_DREG": _REGISTER, "NFTA_CT_KEY": key, **directed})


def _meta(key: int) -> KernelExpression:
    return KernelExpression("meta", {"NFTA_META_DREG": _REGISTER, "NFTA_META_KEY": int(key)})


def _network_header(offset: int, length: int) -> KernelExpression:
    where = {"NFTA_PAYLOAD_BASE": _NETWORK_HEADER, "NFTA_PAYLOAD_OFFSET": offset, "NFTA_PAYLOAD_LEN": length}
    return KernelExpression("payload", {"NFTA_PAYLOAD_DREG": _REGISTER, **where})


def _compare(operator: int, value: bytes) -> KernelExpression:
    left = {"NFTA_CMP_SREG": _REGISTER, "NFTA_CMP_OP": int(operator)}
    return KernelExpression("cmp", {**left, "NFTA_CMP_DATA": value})


def _mask(mask: bytes) -> KernelExpression:
    registers = {"NFTA_BITWISE_SREG": _REGISTER, "NFTA_BITWISE_DREG": _REGISTER}
    data = {"NFTA_BITWISE_MASK": mask, "NFTA_BITWISE_XOR": bytes(len(mask))}
    return KernelExpression("bitwise", {**registers, "NFTA_BITWISE_LEN": len(mask), **data})


# What nft writes before the first match of an IPv4 header field in a table of family inet, and hides in listings.
IS_IPV4 = (_meta(Meta.NFT_META_NFPROTO), _compare(Cmp.NFT_CMP_EQ, bytes([FAMILIES["ipv4"]])))
_VERSION_4 = (_network_header(0, 1), _mask(b"\xf0"), _compare(Cmp.NFT_CMP_EQ, b"\x40"))

LOADS: Mapping[Field, tuple[KernelExpression, ...]] = {
    Field.CLIENT: (_ct(_SOURCE_IP, _ORIGINAL),),
    Field.SERVER: (_ct(_SOURCE_IP, _REPLY),),
    Field.SERVER_PORT: (_ct(_CT_SOURCE_PORT, _REPLY),),
    Field.PROTOCOL: (*_VERSION_4, _ct(_CT_PROTOCOL)),
    Field.SOURCE: (_network_header(12, 4),),
    Field.DESTINATION: (_network_header(16, 4),),
    Field.INPUT_INTERFACE: (_meta(Meta.NFT_META_IIFNAME),),
    Field.OUTPUT_INTERFACE: (_meta(Meta.NFT_META_OIFNAME),),
    Field.FAMILY: (_meta(Meta.NFT_META_NFPROTO),),
}
LOAD_STATE = _ct(_CT_STATE)


def encode_expressions(expressions: Sequence[Expression]) -> bytes:
    """The packed expressions of a rule. Raises ValueError for what nft would not print as `text` does."""
    packed: list[bytes] = []
    fields: set[Field | None] = set()
    ipv4 = False
    for expression in expressions:
        field = getattr(expression, "field", None)
        needs_ipv4 = field in IN_IPV4_HEADER
        packed.append(_encode_expression(expression, needs_ipv4 and not ipv4))
        ipv4 = ipv4 or needs_ipv4
        fields.add(field)
    if Field.FAMILY in fields:
        _refuse_second_family(expressions)
    return b"".join(packed)


def _refuse_second_family(expressions: Sequence[Expression]) -> None:
    """nft hides `meta nfproto ipv4` beside a match that implies it, and takes no other family beside one."""
    if implying := next(filter(_implies_ipv4, expressions), None):
        raise ValueError(f"`{render_expression(implying)}` says IPv4 already: no `{Field.FAMILY}` beside it")


def _implies_ipv4(expression: Expression) -> bool:
    return getattr(expression, "field", None) in ADDRESSES | IN_IPV4_HEADER


@lru_cache(maxsize=4096)
def _encode_expression(expression: Expression, with_family: bool) -> bytes:
    family = IS_IPV4 if with_family else ()
    field, tests = _loaded_and_tested(expression)
    loads = _PACKED_LOADS[field] if field else b""
    return encode_run(family) + loads + encode_run(tests)


def encode_run(run: Iterable[KernelExpression]) -> bytes:
    """Pack expressions of the kernel."""
    return b"".join(map(_packed, run))


def _packed(expression: KernelExpression) -> bytes:
    return attribute(_LIST_ELEMENT, _unlisted(expression))


def _unlisted(expression: KernelExpression) -> bytes:
    data = b"".join([_packed_attribute(name, value) for name, value in expression.attributes.items()])
    return text_attribute(_EXPRESSION_NAME, expression.name) + attribute(_EXPRESSION_DATA, data)


def _packed_attribute(name: str, value: int | str | bytes | tuple[int, str] | KernelExpression) -> bytes:
    kind = ATTRIBUTES[name]
    match value:
        case int():
            return attribute(kind, value.to_bytes(_WIDTHS.get(name, 4), "big"))
        case str():
            return text_attribute(kind, value)
        case bytes():
            return attribute(kind, attribute(_DATA_VALUE, value))
        case KernelExpression():
            return attribute(kind, _unlisted(value))
        case number, chain:
            return pack_verdict(kind, number, chain)


def kernel_run(expression: Expression) -> Sequence[KernelExpression]:
    """The kernel's expressions for one of ours, without the family that the IPv4 header implies."""
    field, tests = _loaded_and_tested(expression)
    return *(LOADS[field] if field else ()), *tests


def _loaded_and_tested(expression: Expression) -> tuple[Field | None, Sequence[KernelExpression]]:
    """What is loaded, and what is done with it."""
    match expression:
        case InSet(_, name, negated):
            return _address_field(expression), (_lookup(name, negated),)
        case Equals(field, value):
            return field, (_compare(Cmp.NFT_CMP_EQ, _data(field, value)),)
        case InRange():
            return Field.SERVER_PORT, tuple(_compare_range(expression))
        case State(states):
            return None, (LOAD_STATE, _mask(_state_mask(states)), _compare(Cmp.NFT_CMP_NEQ, bytes(4)))
        case Count(counter):
            reference = {"NFTA_OBJREF_IMM_TYPE": COUNTER_OBJECT, "NFTA_OBJREF_IMM_NAME": counter}
            return None, (KernelExpression("objref", reference),)
        case Dispatch(_, name):
            return _address_field(expression), (_dispatch(name),)
        case LimitEach():
            return _address_field(expression), (_limit_each(expression),)
        case Limit() | Log() | Verdict():
            return None, (_unconditional(expression),)


def _unconditional(expression: Limit | Log | Verdict) -> KernelExpression:
    """What loads nothing."""
    match expression:
        case Limit():
            return _limit(expression)
        case Log():
            return _log(expression)
        case Verdict():
            return _immediate(expression)


def _address_field(expression: InSet | Dispatch | LimitEach) -> Field:
    if expression.field not in ADDRESSES:
        raise ValueError(f"`{render_expression(expression)}`: sets and maps hold addresses only")
    return expression.field


def _lookup(name: str, negated: bool) -> KernelExpression:
    lookup = {"NFTA_LOOKUP_SET": name, "NFTA_LOOKUP_SREG": _REGISTER}
    return KernelExpression("lookup", {**lookup, **({"NFTA_LOOKUP_FLAGS": _INVERTED} if negated else {})})


def _dispatch(name: str) -> KernelExpression:
    registers = {"NFTA_LOOKUP_SREG": _REGISTER, "NFTA_LOOKUP_DREG": _VERDICT_REGISTER}
    return KernelExpression("lookup", {"NFTA_LOOKUP_SET": name, **registers})


def _limit(limit: Limit) -> KernelExpression:
    if not (0 < limit.per_second <= _LARGEST and 0 < limit.burst <= _LARGEST):
        raise ValueError(f"`{render_expression(limit)}`: rate and burst are of 1 to {_LARGEST} packets")
    rate = {"NFTA_LIMIT_RATE": limit.per_second, "NFTA_LIMIT_UNIT": 1, "NFTA_LIMIT_BURST": limit.burst}
    return KernelExpression("limit", {**rate, "NFTA_LIMIT_TYPE": _PACKETS, "NFTA_LIMIT_FLAGS": 0})


def _limit_each(each: LimitEach) -> KernelExpression:
    if not 0 < each.timeout <= _LARGEST:
        raise ValueError(f"`{render_expression(each)}`: the timeout is of 1 to {_LARGEST} seconds")
    update = {"NFTA_DYNSET_SET_NAME": each.set, "NFTA_DYNSET_OP": _UPDATE, "NFTA_DYNSET_SREG_KEY": _REGISTER}
    kept = {"NFTA_DYNSET_TIMEOUT": each.timeout * 1000, "NFTA_DYNSET_EXPR": _limit(each.limit)}
    return KernelExpression("dynset", {**update, **kept})


def _log(log: Log) -> KernelExpression:
    # nft knows no way to write a quote, and takes a dollar for the beginning of a variable, quoted or not.
    readable = log.prefix.isascii() and log.prefix.isprintable() and not set(log.prefix) & set('"$')
    if not readable or not 0 < len(log.prefix) <= _LONGEST_PREFIX:
        raise ValueError(f'`{render_expression(log)}`: a prefix has 1 to {_LONGEST_PREFIX} ASCII letters, no " or $')
    if not (0 <= log.group <= 0xFFFF and 0 < log.length <= _LARGEST):
        raise ValueError(f"`{render_expression(log)}`: groups are 0 to 65535, and some of the packet is logged")
    where = {"NFTA_LOG_GROUP": log.group, "NFTA_LOG_PREFIX": log.prefix}
    return KernelExpression("log", {**where, "NFTA_LOG_SNAPLEN": log.length})


def _immediate(verdict: Verdict) -> KernelExpression:
    if bool(verdict.chain) != (verdict.verb in (Verb.JUMP, Verb.GOTO)):
        raise ValueError(f"`{verdict}`: a chain belongs to jump and goto, and to nothing else")
    data = {"NFTA_IMMEDIATE_DREG": _VERDICT_REGISTER, "NFTA_IMMEDIATE_DATA": (code(verdict), verdict.chain)}
    return KernelExpression("immediate", data)


def _compare_range(ports: InRange) -> Iterator[KernelExpression]:
    if ports.field is not Field.SERVER_PORT or not 0 <= ports.first <= ports.last <= 0xFFFF:
        raise ValueError(f"`{render_expression(ports)}`: ranges are of ports, 0 to 65535, lower end first")
    first, last = struct.pack(">H", ports.first), struct.pack(">H", ports.last)
    if first == last:
        yield _compare(Cmp.NFT_CMP_EQ, first)
    else:
        yield _compare(Cmp.NFT_CMP_GTE, first)
        yield _compare(Cmp.NFT_CMP_LTE, last)


def _state_mask(states: Sequence[str]) -> bytes:
    if not states or [state for state in STATES if state in states] != list(states):
        raise ValueError(f"ct state {','.join(states)}: states are some of {', '.join(STATES)}, in this order")
    return struct.pack("=I", sum(STATES[state] for state in states))


def _data(field: Field, value: str) -> bytes:
    if field in NAMED_VALUES:
        if value not in NAMED_VALUES[field]:
            raise ValueError(f"`{field} {value}`: the value is one of {', '.join(NAMED_VALUES[field])}")
        return bytes([NAMED_VALUES[field][value]])
    if field in ADDRESSES:
        return Address.parse(value).to_bytes(4, "big")
    if field in INTERFACES:
        return _interface(value)
    return struct.pack(">H", int(value))


def _interface(name: str) -> bytes:
    # nft takes a star at the end for a wildcard and knows no way to write a quote.
    if not 0 < len(name.encode()) < _INTERFACE_LENGTH or set(name) & set('*"') or not name.isprintable():
        raise ValueError(f"{name!r}: an interface's name has 1 to 15 bytes, no stars and no quotes")
    return name.encode().ljust(_INTERFACE_LENGTH, b"\0")


_PACKED_LOADS: Mapping[Field, bytes] = {field: encode_run(run) for field, run in LOADS.items()}
