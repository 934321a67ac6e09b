"""The messages of a transaction as pyroute2's classes encode them: slow, and written by others.

What corral packs itself has to be the same, byte for byte.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from pyroute2.netlink import nla
from pyroute2.netlink.nfnetlink import nfgen_msg
from pyroute2.netlink.nfnetlink.nftsocket import (
    nft_chain_msg,
    nft_rule_msg,
    nft_set_elem_list_msg,
    nft_set_msg,
    nft_table_msg,
)

from corral.dataplane.expressions import IS_IPV4, KernelExpression, kernel_run
from corral.dataplane.messages import FAMILY, HEADER, NFGEN
from corral.nft.transaction import (
    AddChain,
    AddCounter,
    AddElements,
    AddRule,
    AddSet,
    AddTable,
    AddVerdicts,
    DeleteChain,
    DeleteCounter,
    DeleteElements,
    DeleteSet,
    DeleteTable,
    DeleteVerdicts,
    FlushChain,
    Operation,
    Transaction,
)
from corral.nft.values import Chain, Expression, Field, NftMap, NftRule, NftSet, SetType, Verdict
from corral.types import Address, Subnet

Attributes = list[tuple[str, Any]]

HOOKS = {"input": 1, "forward": 2}
VERDICTS = {"drop": 0, "accept": 1, "jump": -3, "goto": -4, "return": -5}
IN_IPV4_HEADER = {Field.SOURCE, Field.DESTINATION, Field.PROTOCOL}
ELEMENTS_AT_ONCE = 2500
PAYLOAD_OFFSET = HEADER.size + NFGEN.size


def _packed(original: Any, **kinds: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, kinds.get(name, kind)) for name, kind in original.nla_map)


# Not subclasses of pyroute2's own: a class inherits the attribute table that its parent has compiled.


class RuleMessage(nfgen_msg):  # type: ignore[misc]
    """Its expressions and user data stay packed."""

    __slots__ = ()
    prefix = nft_rule_msg.prefix
    nla_map = _packed(nft_rule_msg, NFTA_RULE_EXPRESSIONS="cdata", NFTA_RULE_USERDATA="cdata")


class ChainMessage(nfgen_msg):  # type: ignore[misc]
    """A chain whose user data and flags stay as they are."""

    __slots__ = ()
    prefix = nft_chain_msg.prefix
    hook = nft_chain_msg.hook
    counters = nft_chain_msg.counters
    nla_map = _packed(nft_chain_msg, NFTA_CHAIN_FLAGS="be32", NFTA_CHAIN_USERDATA="cdata")


class SetMessage(nfgen_msg):  # type: ignore[misc]
    """A set or map whose user data and flags stay as they are."""

    __slots__ = ()
    prefix = nft_set_msg.prefix
    set_policy = nft_set_msg.set_policy
    set_desc = nft_set_msg.set_desc
    nla_map = _packed(
        nft_set_msg,
        NFTA_SET_FLAGS="be32",
        NFTA_SET_USERDATA="cdata",
        NFTA_SET_EXPR="cdata",
        NFTA_SET_EXPRESSIONS="cdata",
    )


class ObjectMessage(nfgen_msg):  # type: ignore[misc]
    """A named counter; pyroute2 has no class for named objects."""

    __slots__ = ()
    prefix = "NFTA_OBJ_"
    nla_map = (
        ("NFTA_OBJ_UNSPEC", "none"),
        ("NFTA_OBJ_TABLE", "asciiz"),
        ("NFTA_OBJ_NAME", "asciiz"),
        ("NFTA_OBJ_TYPE", "be32"),
        ("NFTA_OBJ_DATA", "cdata"),
        ("NFTA_OBJ_USE", "be32"),
        ("NFTA_OBJ_HANDLE", "be64"),
        ("NFTA_OBJ_PAD", "cdata"),
        ("NFTA_OBJ_USERDATA", "cdata"),
    )


class ElementLists(nfgen_msg):  # type: ignore[misc]
    """pyroute2's own numbers the elements of a list; the kernel wants them all to be of type 1."""

    __slots__ = ()
    nla_map = (("UNSPEC", "none"), ("TABLE", "asciiz"), ("SET", "asciiz"), ("ELEMENTS", "elements"))

    class elements(nla):  # type: ignore[misc]  # noqa: N801
        __slots__ = ()
        nla_map = (("UNSPEC", "none"), ("ELEMENT", "element"))

        class element(nla):  # type: ignore[misc]  # noqa: N801
            __slots__ = ()
            nla_map = (
                ("UNSPEC", "none"),
                ("KEY", "content"),
                ("DATA", "content"),
                ("FLAGS", "be32"),
                ("TIMEOUT", "be64"),
                ("EXPIRATION", "be64"),
                ("USERDATA", "cdata"),
            )
            content = nft_set_elem_list_msg.set_elem.data_attributes


class ListElement(nfgen_msg):  # type: ignore[misc]
    """One expression of a rule."""

    __slots__ = ()
    nla_map = (("UNSPEC", "none"), ("NFTA_LIST_ELEM", "cdata"))


class ExpressionMessage(nfgen_msg):  # type: ignore[misc]
    """An expression's name and its packed attributes."""

    __slots__ = ()
    nla_map = (("UNSPEC", "none"), ("NFTA_EXPR_NAME", "asciiz"), ("NFTA_EXPR_DATA", "cdata"))


class DynsetMessage(nfgen_msg):  # type: ignore[misc]
    """What pyroute2 has no expressions for inside of others."""

    __slots__ = ()
    nla_map = (
        ("NFTA_DYNSET_UNSPEC", "none"),
        ("NFTA_DYNSET_SET_NAME", "asciiz"),
        ("NFTA_DYNSET_SET_ID", "be32"),
        ("NFTA_DYNSET_OP", "be32"),
        ("NFTA_DYNSET_SREG_KEY", "be32"),
        ("NFTA_DYNSET_SREG_DATA", "be32"),
        ("NFTA_DYNSET_TIMEOUT", "be64"),
        ("NFTA_DYNSET_EXPR", "cdata"),
    )


class LimitMessage(nfgen_msg):  # type: ignore[misc]
    """A limit with its numbers as they are."""

    __slots__ = ()
    nla_map = (
        ("NFTA_LIMIT_UNSPEC", "none"),
        ("NFTA_LIMIT_RATE", "be64"),
        ("NFTA_LIMIT_UNIT", "be64"),
        ("NFTA_LIMIT_BURST", "be32"),
        ("NFTA_LIMIT_TYPE", "be32"),
        ("NFTA_LIMIT_FLAGS", "be32"),
    )


class LogMessage(nfgen_msg):  # type: ignore[misc]
    """The kernel wants 16 bits for the group; pyroute2 has 32."""

    __slots__ = ()
    nla_map = (
        ("NFTA_LOG_UNSPEC", "none"),
        ("NFTA_LOG_GROUP", "be16"),
        ("NFTA_LOG_PREFIX", "asciiz"),
        ("NFTA_LOG_SNAPLEN", "be32"),
    )


STATEMENTS: dict[str, Any] = {"dynset": DynsetMessage, "limit": LimitMessage, "log": LogMessage}


def body(message: Any, attributes: Attributes) -> bytes:
    """The body of an nftables message, encoded by its pyroute2 class."""
    message["nfgen_family"] = FAMILY
    message["attrs"] = [list(attribute) for attribute in attributes]
    message.encode()
    return bytes(message.data[HEADER.size :])


def run(expressions: Iterable[KernelExpression]) -> bytes:
    """Packed expressions of the kernel."""
    return b"".join([_statement(one) if one.name in STATEMENTS else _match(one) for one in expressions])


def _match(expression: KernelExpression) -> bytes:
    message = nft_rule_msg()
    message["attrs"] = [["NFTA_RULE_EXPRESSIONS", [_expression(expression)]]]
    message.encode()
    return bytes(message.data[PAYLOAD_OFFSET + 4 :])


def _statement(expression: KernelExpression) -> bytes:
    return body(ListElement(), [("NFTA_LIST_ELEM", _unlisted(expression))])[NFGEN.size :]


def _unlisted(expression: KernelExpression) -> bytes:
    parts = [
        (name, _unlisted(value) if isinstance(value, KernelExpression) else value)
        for name, value in expression.attributes.items()
    ]
    data = body(STATEMENTS[expression.name](), parts)[NFGEN.size :]
    whole = body(ExpressionMessage(), [("NFTA_EXPR_NAME", expression.name), ("NFTA_EXPR_DATA", data)])
    return whole[NFGEN.size :]


def bodies(transaction: Transaction) -> list[bytes]:
    """The body of each message, in order."""
    return [one for place, operation in enumerate(transaction.operations) for one in _bodies(operation, place)]


def _bodies(operation: Operation, place: int) -> Iterator[bytes]:
    match operation:
        case AddTable() | DeleteTable():
            yield body(nft_table_msg(), [("NFTA_TABLE_NAME", "corral")])
        case AddCounter(name) | DeleteCounter(name):
            data: Attributes = [("NFTA_OBJ_DATA", b"")] if isinstance(operation, AddCounter) else []
            yield body(ObjectMessage(), [*_named("OBJ", name), ("NFTA_OBJ_TYPE", 1), *data])
        case AddSet(declared):
            number = ("NFTA_SET_ID", place + 1)
            yield body(SetMessage(), [*_named("SET", declared.name), number, *_declaration(declared)])
        case DeleteSet(name):
            yield body(SetMessage(), _named("SET", name))
        case AddChain(chain):
            yield body(ChainMessage(), [*_named("CHAIN", chain.name), *_chain(chain)])
        case DeleteChain(name):
            yield body(ChainMessage(), _named("CHAIN", name))
        case FlushChain(name):
            yield body(RuleMessage(), _rules(name))
        case AddRule(name, rule):
            yield body(RuleMessage(), [*_rules(name), *_rule(rule)])
        case AddElements() | DeleteElements() | AddVerdicts() | DeleteVerdicts():
            yield from _element_lists(operation)


def _named(kind: str, name: str) -> Attributes:
    return [(f"NFTA_{kind}_TABLE", "corral"), (f"NFTA_{kind}_NAME", name)]


def _declaration(declared: NftSet | NftMap) -> Attributes:
    parts: Attributes = [("NFTA_SET_KEY_TYPE", 7), ("NFTA_SET_KEY_LEN", 4)]
    shown = _entry(0, _host(2))
    if isinstance(declared, NftMap):
        parts += [("NFTA_SET_FLAGS", 8), ("NFTA_SET_DATA_TYPE", 0xFFFFFF00), ("NFTA_SET_DATA_LEN", 16)]
        shown += _entry(1, _host(0)) + _entry(6, _host(0))
    elif declared.type is SetType.SUBNETS:
        parts.append(("NFTA_SET_FLAGS", 4))
    elif declared.type is SetType.DYNAMIC:
        parts += [("NFTA_SET_FLAGS", 0x30), ("NFTA_SET_DESC", {"attrs": [["NFTA_SET_DESC_SIZE", 65_535]]})]
    return [*parts, ("NFTA_SET_USERDATA", shown + _comment(7, declared.comment))]


def _chain(chain: Chain) -> Attributes:
    parts: Attributes = []
    if chain.hook:
        place = [["NFTA_HOOK_HOOKNUM", HOOKS[chain.hook.hook]], ["NFTA_HOOK_PRIORITY", chain.hook.priority]]
        parts = [("NFTA_CHAIN_HOOK", {"attrs": place}), ("NFTA_CHAIN_POLICY", 1), ("NFTA_CHAIN_TYPE", "filter")]
    return [*parts, ("NFTA_CHAIN_USERDATA", _comment(0, chain.comment))] if chain.comment else parts


def _rules(chain: str) -> Attributes:
    return [("NFTA_RULE_TABLE", "corral"), ("NFTA_RULE_CHAIN", chain)]


def _rule(rule: NftRule) -> Attributes:
    parts: Attributes = [("NFTA_RULE_EXPRESSIONS", run(_kernel_expressions(rule.expressions)))]
    return [*parts, ("NFTA_RULE_USERDATA", _comment(0, rule.comment))] if rule.comment else parts


def _kernel_expressions(expressions: Iterable[Expression]) -> Iterator[KernelExpression]:
    """With the family before the first match of the IPv4 header."""
    ipv4 = False
    for expression in expressions:
        if getattr(expression, "field", None) in IN_IPV4_HEADER and not ipv4:
            ipv4 = True
            yield from IS_IPV4
        yield from kernel_run(expression)


def _expression(expression: KernelExpression) -> dict[str, Any]:
    parts = [[name, _value(name, value)] for name, value in expression.attributes.items()]
    return {"attrs": [["NFTA_EXPR_NAME", expression.name], ["NFTA_EXPR_DATA", {"attrs": parts}]]}


def _value(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return {"attrs": [["NFTA_DATA_VALUE", value]]}
    if name == "NFTA_IMMEDIATE_DATA":
        return _verdict(*value)
    return {"NFT_LOOKUP_F_INV"} if name == "NFTA_LOOKUP_FLAGS" and value == 1 else value


def _verdict(code: int, chain: str) -> dict[str, Any]:
    target = [["NFTA_VERDICT_CHAIN", chain]] if chain else []
    return {"attrs": [["NFTA_DATA_VERDICT", {"attrs": [["NFTA_VERDICT_CODE", code], *target]}]]}


def _element_lists(operation: AddElements | DeleteElements | AddVerdicts | DeleteVerdicts) -> Iterator[bytes]:
    if isinstance(operation, AddElements | DeleteElements):
        name, elements = operation.set, [part for member in operation.elements for part in _member(member)]
    elif isinstance(operation, DeleteVerdicts):
        name, elements = operation.map, [_element(key) for key in operation.verdicts]
    else:
        name, elements = operation.map, [_dispatched(*entry) for entry in operation.verdicts.items()]
    for at in range(0, len(elements), ELEMENTS_AT_ONCE):
        piece = {"attrs": [["ELEMENT", element] for element in elements[at : at + ELEMENTS_AT_ONCE]]}
        yield body(ElementLists(), [("TABLE", "corral"), ("SET", name), ("ELEMENTS", piece)])


def _member(member: Address | Subnet) -> Iterator[dict[str, Any]]:
    if isinstance(member, Address):
        yield _element(member)
    elif member.last == 2**32 - 1:
        yield _element(member.first, ("USERDATA", _entry(1, _host(1))))
    else:
        yield _element(member.first)
        yield _element(member.last + 1, ("FLAGS", 1))


def _dispatched(key: int, verdict: Verdict) -> dict[str, Any]:
    return _element(key, ("DATA", _verdict(VERDICTS[verdict.verb], verdict.chain)))


def _element(key: int, *more: tuple[str, Any]) -> dict[str, Any]:
    value = {"attrs": [["NFTA_DATA_VALUE", key.to_bytes(4, "big")]]}
    return {"attrs": [["KEY", value], *map(list, more)]}


def _comment(kind: int, text: str) -> bytes:
    return _entry(kind, text.encode() + b"\0") if text else b""


def _entry(kind: int, value: bytes) -> bytes:
    return bytes((kind, len(value))) + value


def _host(number: int) -> bytes:
    return number.to_bytes(4, sys.byteorder)
