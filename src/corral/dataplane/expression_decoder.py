"""Decoding of a rule's expressions: the inverse of `expressions`, strict.

Both sides are compared as pyroute2 reads them, with the kernel's names for its numbers; or as bytes, where it does not
read them right (the group of a log) or not at all (expressions in others).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from pyroute2.netlink.exceptions import NetlinkDecodeError
from pyroute2.netlink.nfnetlink.nftsocket import nft_rule_msg

from corral.dataplane.expressions import (
    ADDRESSES,
    ATTRIBUTES,
    IN_IPV4_HEADER,
    INTERFACES,
    IS_IPV4,
    LOAD_STATE,
    LOADS,
    NAMED_VALUES,
    STATES,
    KernelExpression,
    encode_run,
    kernel_run,
)
from corral.dataplane.messages import NFGEN, attribute, attributes, decode, read_number, read_text
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


class UnknownExpressionError(Exception):
    """Expressions that corral does not write; the message says which."""


_RULE_EXPRESSIONS = 4  # NFTA_RULE_EXPRESSIONS
_EXPRESSION_NAME, _EXPRESSION_DATA = 1, 2  # NFTA_EXPR_*
_INVERTED = "NFT_LOOKUP_F_INV"
_PLAIN = frozenset({"dynset", "limit", "log"})  # compared as bytes
_KNOWN = _PLAIN | {"bitwise", "cmp", "ct", "immediate", "lookup", "meta", "objref", "payload"}
_VERBS: Mapping[str, Verb] = {
    "NF_ACCEPT": Verb.ACCEPT,
    "NF_DROP": Verb.DROP,
    "NFT_RETURN": Verb.RETURN,
    "NFT_JUMP": Verb.JUMP,
    "NFT_GOTO": Verb.GOTO,
}
# Kernels leave out, or send, what is the default anyway.
_DEFAULTS: Mapping[str, Any] = {"NFTA_LOOKUP_FLAGS": frozenset(), "NFTA_BITWISE_OP": "NFT_BITWISE_BOOL"}
_DYNSET_FLAGS = 9
_PADDING: Mapping[str, int] = {"dynset": 8, "limit": 6}  # NFTA_*_PAD


@lru_cache(maxsize=4096)
def decode_expressions(packed: bytes) -> tuple[Expression, ...]:
    """The expressions of a rule. Raises UnknownExpressionError for what corral does not write."""
    return tuple(_Decoder(_kernel_expressions(packed)).expressions())


class _Decoder:
    """Takes runs of the kernel's expressions from the front."""

    def __init__(self, rest: list[KernelExpression]) -> None:
        self._rest = rest
        self._ipv4 = False

    def expressions(self) -> Iterator[Expression]:
        while self._rest:
            yield self._next()

    def _next(self) -> Expression:
        match self._rest[0]:
            case KernelExpression("objref", {"NFTA_OBJREF_IMM_NAME": str(name), "NFTA_OBJREF_IMM_TYPE": "NFT_REG_1"}):
                self._take(1)
                return Count(name)  # objects of type 1 are counters
            case KernelExpression("immediate", {"NFTA_IMMEDIATE_DREG": "NFT_REG_VERDICT", "NFTA_IMMEDIATE_DATA": data}):
                self._take(1)
                return self._verdict(data)
            case KernelExpression("limit" | "log", _):
                return self._statement(_limit(self._rest[0]) or _log(self._rest[0]))
            case first if first == _readable_state_load():
                return self._state()
            case _:
                return self._test(self._load())

    def _take(self, count: int) -> None:
        del self._rest[:count]

    def _unknown(self) -> UnknownExpressionError:
        return UnknownExpressionError(
            f"unknown expression `{self._rest[0].name}`" if self._rest else "unfinished match"
        )

    def _verdict(self, data: tuple[str, str]) -> Verdict:
        verb = _VERBS.get(data[0])
        if verb is None or self._rest:
            raise UnknownExpressionError(f"unknown verdict or something after it: {data[0]}")
        return Verdict(verb, data[1])

    def _state(self) -> State:
        mask = self._rest[1].attributes.get("NFTA_BITWISE_MASK", b"") if len(self._rest) > 1 else b""
        bits = int(struct.unpack("=I", mask)[0]) if len(mask) == 4 else 0
        state = State(tuple(name for name, bit in STATES.items() if bit & bits))
        if bits == 0 or bits & ~sum(STATES.values()) or not self._accept(_readable_run(kernel_run(state))):
            raise self._unknown()
        return state

    def _statement(self, statement: Limit | Log | None) -> Limit | Log:
        if statement is None or not self._accept(_written(statement)):
            raise self._unknown()
        return statement

    def _accept(self, run: Sequence[KernelExpression]) -> bool:
        if self._rest[: len(run)] != list(run):
            return False
        self._take(len(run))
        return True

    def _load(self) -> Field:
        # The first match of the IPv4 header has the family before it, and no other has.
        family = () if self._ipv4 else _readable_family()
        for field, run in _readable_loads().items():
            if field in IN_IPV4_HEADER and self._accept((*family, *run)):
                self._ipv4 = True
                return field
        for field, run in _readable_loads().items():
            if field not in IN_IPV4_HEADER and self._accept(run):
                return field
        raise self._unknown()

    def _test(self, field: Field) -> Expression:
        if self._rest and (each := _limit_each(field, self._rest[0])) and self._accept(_written(each)[-1:]):
            return each
        test = self._rest.pop(0) if self._rest else KernelExpression("nothing", {})
        match test.name, test.attributes:
            case "lookup", {"NFTA_LOOKUP_SREG": "NFT_REG_1", "NFTA_LOOKUP_SET": str(name), **flags} if (
                field in ADDRESSES
            ):
                return self._membership(field, name, flags)
            case "cmp", {"NFTA_CMP_SREG": "NFT_REG_1", "NFTA_CMP_OP": "NFT_CMP_EQ", "NFTA_CMP_DATA": bytes(data)}:
                return self._equal(field, data)
            case "cmp", {"NFTA_CMP_SREG": "NFT_REG_1", "NFTA_CMP_OP": "NFT_CMP_GTE", "NFTA_CMP_DATA": bytes(data)}:
                return self._range(field, data)
            case _:
                pass
        raise UnknownExpressionError(f"`{field}` with an unknown match `{test.name}`")

    def _membership(self, field: Field, name: str, flags: Mapping[str, Any]) -> InSet | Dispatch:
        match flags:
            case {"NFTA_LOOKUP_DREG": "NFT_REG_VERDICT"} if len(flags) == 1:
                return Dispatch(field, name)
            case {"NFTA_LOOKUP_FLAGS": inverted} if len(flags) == 1 and inverted == {_INVERTED}:
                return InSet(field, name, negated=True)
            case _ if not flags:
                return InSet(field, name)
            case _:
                raise UnknownExpressionError(f"`{field}` looked up in {name} in an unknown way")

    def _equal(self, field: Field, data: bytes) -> Equals | InRange:
        if field is Field.SERVER_PORT and len(data) == 2:
            port = int.from_bytes(data, "big")
            return InRange(field, port, port)
        value = _value(field, data)
        if value is None:
            raise UnknownExpressionError(f"`{field}` compared with unknown {data.hex()}")
        return Equals(field, value)

    def _range(self, field: Field, data: bytes) -> InRange:
        last = self._rest[0].attributes.get("NFTA_CMP_DATA", b"") if self._rest else b""
        if field is Field.SERVER_PORT and len(data) == len(last) == 2:
            ports = InRange(field, int.from_bytes(data, "big"), int.from_bytes(last, "big"))
            if ports.first < ports.last and self._rest[0] == _readable_run(kernel_run(ports))[-1]:
                self._take(1)
                return ports
        raise UnknownExpressionError(f"`{field}` in an unknown range")


def _limit(expression: KernelExpression) -> Limit | None:
    """What it may be; whether it says no more is seen by writing that."""
    match expression:
        case KernelExpression("limit", {"NFTA_LIMIT_RATE": rate, "NFTA_LIMIT_BURST": burst}):
            return Limit(read_number(rate), read_number(burst))
        case _:
            return None


def _log(expression: KernelExpression) -> Log | None:
    match expression:
        case KernelExpression("log", {"NFTA_LOG_PREFIX": prefix, "NFTA_LOG_GROUP": group, "NFTA_LOG_SNAPLEN": length}):
            return Log(read_text(prefix), read_number(group), read_number(length))
        case _:
            return None


def _limit_each(field: Field, expression: KernelExpression) -> LimitEach | None:
    match expression:
        case KernelExpression(
            "dynset", {"NFTA_DYNSET_SET_NAME": name, "NFTA_DYNSET_TIMEOUT": timeout, "NFTA_DYNSET_EXPR": inner}
        ) if limit := _limit(inner):
            return LimitEach(field, read_text(name), read_number(timeout) // 1000, limit)
        case _:
            return None


def _written(expression: Expression) -> tuple[KernelExpression, ...]:
    """How corral writes it; nothing, where it would not."""
    try:
        return _readable_run(kernel_run(expression))
    except ValueError:
        return (KernelExpression("nothing", {}),)


def _value(field: Field, data: bytes) -> str | None:
    if field in NAMED_VALUES:
        return next((name for name, number in NAMED_VALUES[field].items() if bytes([number]) == data), None)
    if field in ADDRESSES and len(data) == 4:
        return str(Address(int.from_bytes(data, "big")))
    if field in INTERFACES and data.endswith(b"\0"):
        return data.rstrip(b"\0").decode(errors="replace")
    return None


@cache
def _readable_loads() -> Mapping[Field, tuple[KernelExpression, ...]]:
    return {field: _readable_run(run) for field, run in LOADS.items()}


@cache
def _readable_state_load() -> KernelExpression:
    return _readable_run((LOAD_STATE,))[0]


@cache
def _readable_family() -> tuple[KernelExpression, ...]:
    return _readable_run(IS_IPV4)


def _readable_run(run: Sequence[KernelExpression]) -> tuple[KernelExpression, ...]:
    return tuple(_kernel_expressions(encode_run(run)))


def _kernel_expressions(packed: bytes) -> list[KernelExpression]:
    found = list(attributes(packed))
    if sum(len(attribute(kind, one)) for kind, one in found) != len(packed):
        raise UnknownExpressionError("unreadable expressions")
    return [_kernel_expression(kind, one) for kind, one in found]


@lru_cache(maxsize=4096)
def _kernel_expression(kind: int, packed: bytes) -> KernelExpression:
    name = dict(attributes(packed)).get(_EXPRESSION_NAME, b"").rstrip(b"\0").decode(errors="replace")
    if name not in _KNOWN:
        raise UnknownExpressionError(f"unknown expression `{name}`")
    if name in _PLAIN:
        return _plain(name, packed)
    payload = bytes(NFGEN.size) + attribute(_RULE_EXPRESSIONS, attribute(kind, packed))
    try:
        (expression,) = decode(nft_rule_msg, payload)["NFTA_RULE_EXPRESSIONS"]
        return _readable(expression)
    except (NetlinkDecodeError, struct.error, AttributeError, KeyError, TypeError) as error:
        raise UnknownExpressionError(f"unreadable expression `{name}`: {error}") from error


def _plain(name: str, packed: bytes) -> KernelExpression:
    """Its attributes as bytes, those that we have no name for by their numbers."""
    head = f"NFTA_{name.upper()}_"
    names = {number: attribute for attribute, number in ATTRIBUTES.items() if attribute.startswith(head)}
    data = dict(attributes(packed)).get(_EXPRESSION_DATA, b"")
    values: dict[str, Any] = {
        names.get(kind, str(kind)): value for kind, value in attributes(data) if kind != _PADDING.get(name)
    }
    if name == "dynset":
        if not any(values.get(str(_DYNSET_FLAGS), b"")):
            values.pop(str(_DYNSET_FLAGS), None)
        if inner := values.get("NFTA_DYNSET_EXPR"):
            values["NFTA_DYNSET_EXPR"] = _kernel_expression(1, inner)
    return KernelExpression(name, values)


def _readable(expression: Any) -> KernelExpression:
    name, data = expression.get_attr("NFTA_EXPR_NAME"), expression.get_attr("NFTA_EXPR_DATA")
    values = {str(part[0]): _readable_value(part[1]) for part in data["attrs"]}
    return KernelExpression(str(name), {key: value for key, value in values.items() if _DEFAULTS.get(key) != value})


def _readable_value(value: Any) -> Any:
    if not hasattr(value, "get_attr"):
        return value
    verdict = value.get_attr("NFTA_DATA_VERDICT")
    if verdict is None:
        return value.get_attr("NFTA_DATA_VALUE")
    return verdict.get_attr("NFTA_VERDICT_CODE"), verdict.get_attr("NFTA_VERDICT_CHAIN") or ""
