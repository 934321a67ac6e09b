"""Operations as messages: their kinds, how many there are, and what is refused before anything is sent."""

from __future__ import annotations

import pytest

from corral.dataplane.codec import encode
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
from corral.nft.values import Chain, NftMap, NftRule, NftSet, SetType
from corral.types import Address, Subnet
from tests.dataplane.rulesets import ACCEPT, DROP

SET, NETS = NftSet("set"), NftSet("nets", SetType.SUBNETS)

CREATE, EXCLUSIVE, APPEND = 0x400, 0x200, 0x800
NEW = CREATE | EXCLUSIVE


@pytest.mark.parametrize(
    ("operation", "kind", "flags"),
    [
        (AddTable(), 0, CREATE),
        (DeleteTable(), 2, 0),
        (AddChain(Chain("c", ())), 3, NEW),
        (DeleteChain("c"), 5, 0),
        (AddRule("c", NftRule((ACCEPT,))), 6, CREATE | APPEND),
        (FlushChain("c"), 8, 0),
        (AddSet(SET), 9, NEW),
        (AddSet(NftMap("map")), 9, NEW),
        (DeleteSet("set"), 11, 0),
        (AddElements("set", SET, (Address(1),)), 12, NEW),
        (AddVerdicts("map", {Address(1): DROP}), 12, NEW),
        (DeleteElements("nets", NETS, (Subnet(Address(0), 8),)), 14, 0),
        (DeleteVerdicts("map", {Address(1): DROP}), 14, 0),
        (AddCounter("n"), 18, NEW),
        (DeleteCounter("n"), 20, 0),
    ],
)
def test_each_operation_is_a_message_of_its_kind(operation: Operation, kind: int, flags: int) -> None:
    (message,) = encode(Transaction((operation,)))
    assert (message.type, message.flags, message.operation) == (10 << 8 | kind, flags, 0)
    assert message.payload[:4] == bytes([1, 0, 0, 0])  # family inet
    assert b"corral\0" in message.payload


def test_long_element_lists_are_several_messages_of_one_operation() -> None:
    many = AddElements("set", SET, tuple(map(Address, range(6000))))
    messages = encode(Transaction((AddTable(), many, DeleteSet("other"))))
    assert [message.operation for message in messages] == [0, 1, 1, 1, 2]


def test_no_elements_are_no_message() -> None:
    assert encode(Transaction((AddElements("set", SET, ()), AddVerdicts("map", {})))) == []


def test_sets_of_one_batch_have_numbers_of_their_own() -> None:
    first, second = encode(Transaction((AddSet(NftSet("a")), AddSet(NftSet("b")))))
    assert first.payload.replace(b"a\0", b"b\0") != second.payload


@pytest.mark.parametrize("comment", ['say "no"', "two\nlines", "nul\0", "é" * 64])
def test_comments_that_nft_can_not_read_back_are_refused(comment: str) -> None:
    for operation in (
        AddRule("c", NftRule((ACCEPT,), comment)),
        AddChain(Chain("c", (), comment=comment)),
        AddSet(NftSet("set", comment=comment)),
    ):
        with pytest.raises(ValueError, match="comment"):
            encode(Transaction((operation,)))


def test_elements_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="set set holds addresses"):
        encode(Transaction((AddElements("set", SET, (Subnet(Address(0), 8),)),)))
    with pytest.raises(ValueError, match="set nets holds subnets"):
        encode(Transaction((AddElements("nets", NETS, (Address(0),)),)))
