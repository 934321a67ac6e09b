from __future__ import annotations

from corral.nft.transaction import AddCounter, AddTable, Transaction


def test_a_transaction_without_operations_is_nothing_to_do() -> None:
    assert not Transaction()
    assert Transaction((AddTable(),))


def test_the_order_of_operations_is_part_of_a_transaction() -> None:
    assert Transaction((AddTable(), AddCounter("a"))) != Transaction((AddCounter("a"), AddTable()))
