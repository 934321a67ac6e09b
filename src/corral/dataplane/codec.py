"""Operations as netlink messages."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar, cast

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
    IN_TABLE,
    VERDICT_TYPE,
    attribute,
    in_table,
    nftables,
    number_attribute,
    text_attribute,
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
from corral.nft.values import DYNAMIC_SIZE, Element, Hook, NftMap, NftRule, NftSet, SetType
from corral.types import Address, Subnet

HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}  # NF_INET_*
POLICY_ACCEPT = 1  # NF_ACCEPT
CHAIN_TYPE = "filter"

INTERVAL, MAP, TIMEOUT, DYNAMIC = 0x4, 0x8, 0x10, 0x20  # NFT_SET_*
ADDRESS_LENGTH = 4
VERDICT_LENGTH = 16  # the kernel's struct nft_verdict

# Kinds of user data, from libnftnl/udata.h; tables, chains and rules share one number for their comments.
COMMENT, SET_COMMENT = 0, 7
_KEY_BYTE_ORDER, _DATA_BYTE_ORDER, _DATA_INTERVAL = 0, 1, 6
_BIG_ENDIAN = 2  # nft's own number
_LONGEST_COMMENT = 127

_NEW, _APPENDED = CREATE | EXCLUSIVE, CREATE | APPEND
_MANY_OPERATIONS, _MANY_ELEMENTS = 500, 20_000  # some 5 ms, and 1 ms
_ALL_ONES = 0xFFFFFFFF

_NEW_TABLE, _DELETE_TABLE = nftables(NFT_MSG_NEWTABLE), nftables(NFT_MSG_DELTABLE)
_NEW_CHAIN, _DELETE_CHAIN = nftables(NFT_MSG_NEWCHAIN), nftables(NFT_MSG_DELCHAIN)
_NEW_RULE, _DELETE_RULES = nftables(NFT_MSG_NEWRULE), nftables(NFT_MSG_DELRULE)
_NEW_SET, _DELETE_SET = nftables(NFT_MSG_NEWSET), nftables(NFT_MSG_DELSET)
_NEW_ELEMENTS, _DELETE_ELEMENTS = nftables(NFT_MSG_NEWSETELEM), nftables(NFT_MSG_DELSETELEM)
_NEW_OBJECT, _DELETE_OBJECT = nftables(NFT_MSG_NEWOBJ), nftables(NFT_MSG_DELOBJ)

# Attributes, from linux/netfilter/nf_tables.h
_COUNTER_NAME, _COUNTER_TYPE, _COUNTER_DATA = 2, 3, 4  # NFTA_OBJ_*
_SET_NAME, _SET_FLAGS, _KEY_TYPE, _KEY_LENGTH, _DATA_TYPE, _DATA_LENGTH = 2, 3, 4, 5, 6, 7  # NFTA_SET_*
_SET_DESCRIPTION, _SET_ID, _SET_USER_DATA, _DESCRIBED_SIZE = 9, 10, 13, 1
_ELEMENTS_SET, _ELEMENTS = 2, 3  # NFTA_SET_ELEM_LIST_*
_CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY, _CHAIN_TYPE, _CHAIN_USER_DATA = 3, 4, 5, 7, 12  # NFTA_CHAIN_*
_HOOK_NUMBER, _HOOK_PRIORITY = 1, 2  # NFTA_HOOK_*
_RULE_CHAIN, _RULE_EXPRESSIONS, _RULE_USER_DATA = 2, 4, 7  # NFTA_RULE_*

_Member = TypeVar("_Member", Address, Subnet)


# Packed rules, for many chains share one: each is kept beside its bytes, so that no other object gets its identity.
# To look for an equal one instead takes half as long as to pack it.
_rules: dict[int, tuple[NftRule, bytes]] = {}
_MOST_RULES = 4096


class Message(NamedTuple):
    """One message of a batch; `operation` is the place in its transaction of the operation that it belongs to."""

    type: int
    flags: int
    payload: bytes
    operation: int


def encode(transaction: Transaction) -> list[Message]:
    """All messages of a transaction, in order. Raises ValueError for values that nft could not print or read back."""
    messages: list[Message] = []
    for place, operation in enumerate(transaction.operations):
        messages += _ENCODERS[type(operation)](operation, place)
    return messages


def takes_long(transaction: Transaction) -> bool:
    """Whether encoding this may take milliseconds: others should have their turn meanwhile."""
    operations = transaction.operations
    return len(operations) > _MANY_OPERATIONS or _count_of_elements(operations) > _MANY_ELEMENTS


def _count_of_elements(operations: Sequence[Operation]) -> int:
    count = 0
    for operation in operations:  # a plain loop: this runs for every commit
        kind = type(operation)
        if kind is AddElements or kind is DeleteElements:
            count += len(operation.elements)  # type: ignore[union-attr]
        elif kind is AddVerdicts or kind is DeleteVerdicts:
            count += len(operation.verdicts)  # type: ignore[union-attr]
    return count


# Elements


def _add_elements(operation: AddElements, place: int) -> list[Message]:
    return _member_messages(_NEW_ELEMENTS, _NEW, operation, place)


def _delete_elements(operation: DeleteElements, place: int) -> list[Message]:
    return _member_messages(_DELETE_ELEMENTS, 0, operation, place)


def _member_messages(kind: int, flags: int, operation: AddElements | DeleteElements, place: int) -> list[Message]:
    declared, members = operation.type, operation.elements
    # What a container that comes or goes needs, and nothing but it: by far the most frequent.
    if len(members) == 1 and type(members[0]) is Address and declared.type is SetType.ADDRESSES:
        payload = _lone_element_head(operation.set) + members[0].to_bytes(ADDRESS_LENGTH, "big")
        return [Message(kind, flags, payload, place)]
    return _lists(kind, flags, operation.set, _packed(declared, members), place)


@lru_cache(maxsize=4096)
def _lone_element_head(name: str) -> bytes:
    """A message with one plain element, but for its address."""
    (packed,) = elements.pack_addresses((0,))
    return (_element_list_head(name) + attribute(_ELEMENTS, packed))[:-ADDRESS_LENGTH]


def _add_verdicts(operation: AddVerdicts, place: int) -> list[Message]:
    return _lists(_NEW_ELEMENTS, _NEW, operation.map, elements.pack_verdicts(operation.verdicts), place)


def _delete_verdicts(operation: DeleteVerdicts, place: int) -> list[Message]:
    return _lists(_DELETE_ELEMENTS, 0, operation.map, elements.pack_addresses(tuple(operation.verdicts)), place)


def _lists(kind: int, flags: int, name: str, lists: Iterable[bytes], place: int) -> list[Message]:
    head = _element_list_head(name)
    return [Message(kind, flags, head + attribute(_ELEMENTS, packed), place) for packed in lists]


@lru_cache(maxsize=4096)
def _element_list_head(name: str) -> bytes:
    return in_table(_ELEMENTS_SET, name)


def _packed(declared: NftSet, members: tuple[Element, ...]) -> Iterable[bytes]:
    if declared.type is SetType.DYNAMIC:
        raise ValueError(f"set {declared.name} is dynamic: packets make its elements")
    if declared.type is SetType.SUBNETS:
        return elements.pack_subnets(_only(Subnet, declared, members))
    return elements.pack_addresses(_only(Address, declared, members))


def _only(wanted: type[_Member], declared: NftSet, members: tuple[Element, ...]) -> tuple[_Member, ...]:
    if not {*map(type, members)} <= {wanted}:
        other = next(member for member in members if type(member) is not wanted)
        raise ValueError(f"set {declared.name} holds {declared.type}, not {other!r}")
    return cast("tuple[_Member, ...]", members)


# Chains and rules


def _add_chain(operation: AddChain, place: int) -> tuple[Message]:
    chain = operation.chain
    payload = in_table(_CHAIN_NAME, chain.name)
    if chain.hook:
        payload += _base(chain.hook)
    return (Message(_NEW_CHAIN, _NEW, payload + _comment(_CHAIN_USER_DATA, chain.comment), place),)


def _flush_chain(operation: FlushChain, place: int) -> tuple[Message]:
    return (Message(_DELETE_RULES, 0, in_table(_RULE_CHAIN, operation.name), place),)


def _delete_chain(operation: DeleteChain, place: int) -> tuple[Message]:
    return (Message(_DELETE_CHAIN, 0, in_table(_CHAIN_NAME, operation.name), place),)


def _add_rule(operation: AddRule, place: int) -> tuple[Message]:
    rule = operation.rule
    known = _rules.get(id(rule))
    payload = _rule_head(operation.chain) + (known[1] if known else _rule(rule))
    return (Message(_NEW_RULE, _APPENDED, payload, place),)


@lru_cache(maxsize=1)
def _rule_head(chain: str) -> bytes:
    """Remembered, for the rules of a chain follow each other."""
    return in_table(_RULE_CHAIN, chain)


def _rule(rule: NftRule) -> bytes:
    comment = _comment(_RULE_USER_DATA, rule.comment)
    packed = attribute(_RULE_EXPRESSIONS, encode_expressions(rule.expressions)) + comment
    if len(_rules) >= _MOST_RULES:
        _rules.clear()
    _rules[id(rule)] = rule, packed
    return packed


def _base(hook: Hook) -> bytes:
    number, priority = HOOKS[hook.hook], hook.priority & _ALL_ONES
    place = number_attribute(_HOOK_NUMBER, number) + number_attribute(_HOOK_PRIORITY, priority)
    return attribute(_CHAIN_HOOK, place) + _POLICY_AND_TYPE


@lru_cache(maxsize=4096)
def _comment(kind: int, comment: str) -> bytes:
    return attribute(kind, text_user_data(COMMENT, _checked(comment))) if comment else b""


def _checked(comment: str) -> str:
    """nft prints comments between quotes and has no way to write a quote."""
    if '"' in comment or not comment.isprintable() or len(comment.encode()) > _LONGEST_COMMENT:
        raise ValueError(f"comment {comment!r}: at most {_LONGEST_COMMENT} bytes, printable, without quotes")
    return comment


# The table, sets, maps and counters


def _add_table(_: AddTable, place: int) -> tuple[Message]:
    return (Message(_NEW_TABLE, CREATE, IN_TABLE, place),)


def _delete_table(_: DeleteTable, place: int) -> tuple[Message]:
    return (Message(_DELETE_TABLE, 0, IN_TABLE, place),)


def _add_set(operation: AddSet, place: int) -> tuple[Message]:
    # The kernel wants a number to find the set by within the batch; we refer to it by name.
    head = in_table(_SET_NAME, operation.set.name) + number_attribute(_SET_ID, place + 1)
    return (Message(_NEW_SET, _NEW, head + _declaration(operation.set), place),)


def _delete_set(operation: DeleteSet, place: int) -> tuple[Message]:
    return (Message(_DELETE_SET, 0, in_table(_SET_NAME, operation.name), place),)


def _add_counter(operation: AddCounter, place: int) -> tuple[Message]:
    return (Message(_NEW_OBJECT, _NEW, _counter(operation.name) + _NO_DATA, place),)


def _delete_counter(operation: DeleteCounter, place: int) -> tuple[Message]:
    return (Message(_DELETE_OBJECT, 0, _counter(operation.name), place),)


def _counter(name: str) -> bytes:
    return in_table(_COUNTER_NAME, name) + number_attribute(_COUNTER_TYPE, COUNTER_OBJECT)


def _declaration(declared: NftSet | NftMap) -> bytes:
    if isinstance(declared, NftMap):
        head, shown = _MAP_HEAD, _SHOWN_OF_MAP
    else:
        head, shown = _SET_HEADS[declared.type], _SHOWN_OF_SET
    if declared.comment:
        shown += text_user_data(SET_COMMENT, _checked(declared.comment))
    return head + attribute(_SET_USER_DATA, shown)


def _host_order(number: int) -> bytes:
    return number.to_bytes(4, sys.byteorder)


_POLICY_AND_TYPE = number_attribute(_CHAIN_POLICY, POLICY_ACCEPT) + text_attribute(_CHAIN_TYPE, CHAIN_TYPE)
_NO_DATA = attribute(_COUNTER_DATA, b"")
_KEYS = number_attribute(_KEY_TYPE, int(DATA_TYPE_IPADDR)) + number_attribute(_KEY_LENGTH, ADDRESS_LENGTH)
_SET_HEADS: Mapping[SetType, bytes] = {
    SetType.ADDRESSES: _KEYS,
    SetType.SUBNETS: _KEYS + number_attribute(_SET_FLAGS, INTERVAL),
    SetType.DYNAMIC: _KEYS
    + number_attribute(_SET_FLAGS, DYNAMIC | TIMEOUT)
    + attribute(_SET_DESCRIPTION, number_attribute(_DESCRIBED_SIZE, DYNAMIC_SIZE)),
}
_VERDICTS = number_attribute(_DATA_TYPE, VERDICT_TYPE) + number_attribute(_DATA_LENGTH, VERDICT_LENGTH)
_MAP_HEAD = _KEYS + number_attribute(_SET_FLAGS, MAP) + _VERDICTS
_SHOWN_OF_SET = user_data(_KEY_BYTE_ORDER, _host_order(_BIG_ENDIAN))
_SHOWN_OF_MAP = _SHOWN_OF_SET + user_data(_DATA_BYTE_ORDER, _host_order(0)) + user_data(_DATA_INTERVAL, _host_order(0))

# Looked up, for a match statement takes longer than the packing of one element.
_ENCODERS: Mapping[type[Operation], Callable[[Any, int], Iterable[Message]]] = {
    AddTable: _add_table,
    DeleteTable: _delete_table,
    AddCounter: _add_counter,
    DeleteCounter: _delete_counter,
    AddSet: _add_set,
    DeleteSet: _delete_set,
    AddChain: _add_chain,
    FlushChain: _flush_chain,
    DeleteChain: _delete_chain,
    AddRule: _add_rule,
    AddElements: _add_elements,
    DeleteElements: _delete_elements,
    AddVerdicts: _add_verdicts,
    DeleteVerdicts: _delete_verdicts,
}
