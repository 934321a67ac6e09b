"""Operations as netlink messages."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from pyroute2.netlink.nfnetlink.nftsocket import (
    DATA_TYPE_IPADDR,
    NFT_MSG_DELCHAIN,
    NFT_MSG_DELOBJ,
    NFT_MSG_DELRULE,
    NFT_MSG_DELSET,
    NFT_MSG_DELSETELEM,
    NFT_MSG_DELTABLE,
    NFT_MSG_NEWCHAIN,
    NFT_MSG_NEWOBJ,
    NFT_MSG_NEWRULE,
    NFT_MSG_NEWSET,
    NFT_MSG_NEWSETELEM,
    NFT_MSG_NEWTABLE,
)

from corral.dataplane import elements
from corral.dataplane.expressions import encode_expressions
from corral.dataplane.messages import (
    APPEND,
    COUNTER_OBJECT,
    CREATE,
    EXCLUSIVE,
    TABLE,
    VERDICT_TYPE,
    ChainMessage,
    ElementsMessage,
    ObjectMessage,
    RuleMessage,
    SetMessage,
    TableMessage,
    attribute,
    body,
    nftables,
    text_user_data,
    user_data,
)
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
from corral.nft.values import Chain, Element, NftMap, NftRule, NftSet, SetType
from corral.types import Address, Subnet

HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}  # NF_INET_*
POLICY_ACCEPT = 1  # NF_ACCEPT
CHAIN_TYPE = "filter"

INTERVAL, MAP = 0x4, 0x8  # NFT_SET_*
ADDRESS_LENGTH = 4
VERDICT_LENGTH = 16  # the kernel's struct nft_verdict

# Kinds of user data, from libnftnl/udata.h; tables, chains and rules share one number for their comments.
COMMENT, SET_COMMENT = 0, 7
_KEY_BYTE_ORDER, _DATA_BYTE_ORDER, _DATA_INTERVAL = 0, 1, 6
_BIG_ENDIAN = 2  # nft's own number
_LONGEST_COMMENT = 127

_NEW = CREATE | EXCLUSIVE
_ELEMENTS = 3  # NFTA_SET_ELEM_LIST_ELEMENTS

_Member = TypeVar("_Member", Address, Subnet)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a batch; `operation` is the place in its transaction of the operation that it belongs to."""

    type: int
    flags: int
    payload: bytes
    operation: int


def encode(transaction: Transaction) -> list[Message]:
    """All messages of a transaction, in order. Raises ValueError for values that nft could not print or read back."""
    return [
        Message(nftables(kind), flags, payload, place)
        for place, operation in enumerate(transaction.operations)
        for kind, flags, payload in _messages(operation, place)
    ]


_Parts = tuple[int, int, bytes]  # message type, flags, payload


def _messages(operation: Operation, place: int) -> Iterator[_Parts]:
    match operation:
        case AddElements() | DeleteElements() | AddVerdicts() | DeleteVerdicts():
            yield from _element_messages(operation)
        case AddChain() | FlushChain() | DeleteChain() | AddRule():
            yield _chain_message(operation)
        case AddTable():
            yield NFT_MSG_NEWTABLE, CREATE, body(TableMessage(), [("NFTA_TABLE_NAME", TABLE)])
        case DeleteTable():
            yield NFT_MSG_DELTABLE, 0, body(TableMessage(), [("NFTA_TABLE_NAME", TABLE)])
        case AddCounter(name):
            yield NFT_MSG_NEWOBJ, _NEW, body(ObjectMessage(), [*_counter(name), ("NFTA_OBJ_DATA", b"")])
        case DeleteCounter(name):
            yield NFT_MSG_DELOBJ, 0, body(ObjectMessage(), _counter(name))
        case AddSet(declared):
            # The kernel wants a number to find the set by within the batch; we refer to it by name.
            number = ("NFTA_SET_ID", place + 1)
            yield NFT_MSG_NEWSET, _NEW, body(SetMessage(), [*_set(declared.name), number, *_declaration(declared)])
        case DeleteSet(name):
            yield NFT_MSG_DELSET, 0, body(SetMessage(), _set(name))


def _counter(name: str) -> list[tuple[str, Any]]:
    return [("NFTA_OBJ_TABLE", TABLE), ("NFTA_OBJ_NAME", name), ("NFTA_OBJ_TYPE", COUNTER_OBJECT)]


def _set(name: str) -> list[tuple[str, Any]]:
    return [("NFTA_SET_TABLE", TABLE), ("NFTA_SET_NAME", name)]


def _declaration(declared: NftSet | NftMap) -> Iterator[tuple[str, Any]]:
    yield "NFTA_SET_KEY_TYPE", int(DATA_TYPE_IPADDR)
    yield "NFTA_SET_KEY_LEN", ADDRESS_LENGTH
    shown = user_data(_KEY_BYTE_ORDER, _host_order(_BIG_ENDIAN))
    if isinstance(declared, NftMap):
        yield "NFTA_SET_FLAGS", MAP
        yield "NFTA_SET_DATA_TYPE", VERDICT_TYPE
        yield "NFTA_SET_DATA_LEN", VERDICT_LENGTH
        shown += user_data(_DATA_BYTE_ORDER, _host_order(0)) + user_data(_DATA_INTERVAL, _host_order(0))
    elif declared.type is SetType.SUBNETS:
        yield "NFTA_SET_FLAGS", INTERVAL
    if declared.comment:
        shown += text_user_data(SET_COMMENT, _checked(declared.comment))
    yield "NFTA_SET_USERDATA", shown


def _host_order(number: int) -> bytes:
    return number.to_bytes(4, sys.byteorder)


def _element_messages(operation: AddElements | DeleteElements | AddVerdicts | DeleteVerdicts) -> Iterator[_Parts]:
    adds = isinstance(operation, AddElements | AddVerdicts)
    kind, flags = (NFT_MSG_NEWSETELEM, _NEW) if adds else (NFT_MSG_DELSETELEM, 0)
    name, packed = _packed_elements(operation)
    head = _element_list_head(name)
    for piece in packed:
        yield kind, flags, head + attribute(_ELEMENTS, piece)


@lru_cache(maxsize=4096)
def _element_list_head(name: str) -> bytes:
    """Remembered, for pyroute2's classes take longer over it than the kernel over a whole small commit."""
    return body(ElementsMessage(), [("NFTA_SET_ELEM_LIST_TABLE", TABLE), ("NFTA_SET_ELEM_LIST_SET", name)])


def _packed_elements(
    operation: AddElements | DeleteElements | AddVerdicts | DeleteVerdicts,
) -> tuple[str, Iterator[bytes]]:
    match operation:
        case AddElements(name, declared, members) | DeleteElements(name, declared, members):
            return name, _packed(declared, members)
        case AddVerdicts(name, verdicts):
            return name, elements.pack_verdicts(verdicts)
        case DeleteVerdicts(name, verdicts):
            return name, elements.pack_addresses(verdicts)


def _packed(declared: NftSet, members: Iterable[Element]) -> Iterator[bytes]:
    if declared.type is SetType.SUBNETS:
        return elements.pack_subnets(_only(Subnet, declared, members))
    return elements.pack_addresses(_only(Address, declared, members))


def _only(wanted: type[_Member], declared: NftSet, members: Iterable[Element]) -> Iterator[_Member]:
    for member in members:
        if isinstance(member, wanted):
            yield member
        else:
            raise ValueError(f"set {declared.name} holds {declared.type}, not {member!r}")  # noqa: TRY004 (a wrong value)


def _chain_message(operation: AddChain | FlushChain | DeleteChain | AddRule) -> _Parts:
    match operation:
        case AddChain(chain):
            return NFT_MSG_NEWCHAIN, _NEW, body(ChainMessage(), [*_chain(chain.name), *_chain_head(chain)])
        case FlushChain(name):
            return NFT_MSG_DELRULE, 0, body(RuleMessage(), _rules(name))
        case DeleteChain(name):
            return NFT_MSG_DELCHAIN, 0, body(ChainMessage(), _chain(name))
        case AddRule(name, rule):
            return NFT_MSG_NEWRULE, CREATE | APPEND, body(RuleMessage(), [*_rules(name), *_rule(rule)])


def _chain(name: str) -> list[tuple[str, Any]]:
    return [("NFTA_CHAIN_TABLE", TABLE), ("NFTA_CHAIN_NAME", name)]


def _chain_head(chain: Chain) -> Iterator[tuple[str, Any]]:
    if chain.hook is not None:
        place = [["NFTA_HOOK_HOOKNUM", HOOKS[chain.hook.hook]], ["NFTA_HOOK_PRIORITY", chain.hook.priority]]
        yield "NFTA_CHAIN_HOOK", {"attrs": place}
        yield "NFTA_CHAIN_POLICY", POLICY_ACCEPT
        yield "NFTA_CHAIN_TYPE", CHAIN_TYPE
    if chain.comment:
        yield "NFTA_CHAIN_USERDATA", text_user_data(COMMENT, _checked(chain.comment))


def _rules(chain: str) -> list[tuple[str, Any]]:
    return [("NFTA_RULE_TABLE", TABLE), ("NFTA_RULE_CHAIN", chain)]


def _rule(rule: NftRule) -> Iterator[tuple[str, Any]]:
    yield "NFTA_RULE_EXPRESSIONS", encode_expressions(rule.expressions)
    if rule.comment:
        yield "NFTA_RULE_USERDATA", text_user_data(COMMENT, _checked(rule.comment))


def _checked(comment: str) -> str:
    """nft prints comments between quotes and has no way to write a quote."""
    if '"' in comment or not comment.isprintable() or len(comment.encode()) > _LONGEST_COMMENT:
        raise ValueError(f"comment {comment!r}: at most {_LONGEST_COMMENT} bytes, printable, without quotes")
    return comment
