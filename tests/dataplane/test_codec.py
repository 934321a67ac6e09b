"""Operations as messages: their kinds, how many there are, and what is refused before anything is sent."""

from __future__ import annotations

import pytest
from hypothesis import given

from corral.dataplane.codec import encode, takes_long
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
from corral.nft.values import Chain, NftMap, NftRule, NftSet, Ruleset, SetType
from corral.types import Address, Subnet
from tests.dataplane import pyroute
from tests.dataplane.rulesets import ACCEPT, DROP, WORKED_EXAMPLE, creation, rulesets

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


def removal(ruleset: Ruleset) -> Transaction:
    """Takes everything away that the ruleset has."""
    operations: list[Operation] = [FlushChain(name) for name in ruleset.chains]
    operations += [
        DeleteElements(name, ruleset.sets[name], tuple(members))
        for name, members in ruleset.elements.items()
        if ruleset.sets[name].type is not SetType.DYNAMIC
    ]
    operations += [DeleteVerdicts(name, verdicts) for name, verdicts in ruleset.verdicts.items()]
    operations += [DeleteChain(name) for name in ruleset.chains]
    operations += [DeleteSet(name) for name in (*ruleset.sets, *ruleset.maps)]
    operations += [DeleteCounter(name) for name in ruleset.counters]
    return Transaction((*operations, DeleteTable()))


def assert_same_bytes(transaction: Transaction) -> None:
    assert [message.payload for message in encode(transaction)] == pyroute.bodies(transaction)


@given(rulesets())
def test_the_bytes_are_those_of_pyroute2(ruleset: Ruleset) -> None:
    assert_same_bytes(creation(ruleset))
    assert_same_bytes(removal(ruleset))


@pytest.mark.parametrize("transaction", [creation(WORKED_EXAMPLE), removal(WORKED_EXAMPLE)])
def test_the_bytes_of_every_kind_of_operation_are_those_of_pyroute2(transaction: Transaction) -> None:
    assert_same_bytes(transaction)


def test_the_bytes_of_long_element_lists_are_those_of_pyroute2() -> None:
    many = tuple(Address(number * 65_537) for number in range(6000))
    verdicts = dict.fromkeys(many[:100], DROP)
    assert_same_bytes(
        Transaction((AddElements("set", SET, many), DeleteElements("set", SET, many), DeleteVerdicts("map", verdicts)))
    )


@pytest.mark.parametrize(
    ("operations", "long"),
    [
        ((), False),
        ((AddElements("set", SET, (Address(1),)),), False),
        ((AddElements("set", SET, tuple(map(Address, range(30_000)))),), True),
        ((DeleteVerdicts("map", {Address(number): DROP for number in range(30_000)}),), True),
        ((AddRule("c", NftRule((ACCEPT,))),) * 1000, True),
    ],
)
def test_a_transaction_of_much_work_is_known_beforehand(operations: tuple[Operation, ...], long: bool) -> None:
    assert takes_long(Transaction(operations)) is long


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
