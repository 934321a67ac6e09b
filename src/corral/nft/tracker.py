"""The two truths about the table, the desired and the programmed one, and the transactions between them."""

from __future__ import annotations

from collections.abc import Collection

from corral.nft.contents import Contents
from corral.nft.difference import Dirty, additions, contradicts, removals
from corral.nft.transaction import AddTable, DeleteTable, Operation, Transaction
from corral.nft.values import Chain, Element, NftMap, NftSet, Ruleset, Verdict
from corral.types import Address


def difference(desired: Ruleset, programmed: Ruleset | None) -> Transaction:
    """Everything that turns the programmed ruleset (None: there is no table) into the desired one, to be read.

    Older kernels take the removals at its end only in transactions of their own.
    """
    tracker = Tracker(desired)
    tracker.adopt(programmed)
    operations: list[Operation] = []
    while transaction := tracker.pending() or tracker.garbage():
        operations += transaction.operations
        tracker.committed(transaction)
    return Transaction(tuple(operations))


class Tracker:
    """Holds the desired and the programmed content of the table, and knows where they may differ.

    Mutators change the desired content only and cost what they change; putting what is there and removing what is
    not are allowed. Only `committed` and `adopt` move the programmed content. Objects may be put and removed in
    any order between two transactions: what counts is the state at the time of `pending`.

    Until the first mutator or `clear` nothing is desired yet, and nothing is pending: a table found at the start
    stays as it is. After that, an empty desired content means that there should be no table.
    """

    def __init__(self, desired: Ruleset | None = None) -> None:
        self._desired = Contents.of(desired or Ruleset())
        self._programmed = Contents()
        self._dirty = Dirty.between(self._desired, self._programmed)
        self._table = False
        self._stated = desired is not None

    # What is desired

    def put_counter(self, name: str) -> None:
        """Want the counter."""
        self._state().counters.add(name)
        self._dirty.counters.add(name)

    def remove_counter(self, name: str) -> None:
        """Want it no more."""
        self._state().counters.discard(name)
        self._dirty.counters.add(name)

    def put_set(self, declaration: NftSet) -> None:
        """Want the set; its elements are those added since."""
        desired, name = self._state(), declaration.name
        if name not in desired.sets:
            desired.elements[name] = set()
            self._dirty.elements[name] = set(self._programmed.elements.get(name, ()))
        desired.sets[name] = declaration
        self._dirty.sets.add(name)

    def remove_set(self, name: str) -> None:
        """Want neither the set nor its elements."""
        self._state().sets.pop(name, None)
        self._desired.elements.pop(name, None)
        self._dirty.elements.pop(name, None)
        self._dirty.sets.add(name)

    def add_elements(self, name: str, elements: Collection[Element]) -> None:
        """Want these elements too, in a set that was put."""
        self._state().elements[name].update(elements)
        self._dirty.note_elements(name, elements)

    def remove_elements(self, name: str, elements: Collection[Element]) -> None:
        """Want these elements no more."""
        self._state().elements[name].difference_update(elements)
        self._dirty.note_elements(name, elements)

    def put_map(self, declaration: NftMap) -> None:
        """Want the map; its verdicts are those set since."""
        desired, name = self._state(), declaration.name
        if name not in desired.maps:
            desired.verdicts[name] = {}
            self._dirty.verdicts[name] = set(self._programmed.verdicts.get(name, ()))
        desired.maps[name] = declaration
        self._dirty.sets.add(name)

    def remove_map(self, name: str) -> None:
        """Want neither the map nor its verdicts."""
        self._state().maps.pop(name, None)
        self._desired.verdicts.pop(name, None)
        self._dirty.verdicts.pop(name, None)
        self._dirty.sets.add(name)

    def set_verdict(self, name: str, address: Address, verdict: Verdict) -> None:
        """Want this verdict for the address, in a map that was put."""
        self._state().verdicts[name][address] = verdict
        self._dirty.verdicts.setdefault(name, set()).add(address)

    def set_verdicts(self, name: str, addresses: Collection[Address], verdict: Verdict) -> None:
        """Want this verdict for all of the addresses."""
        self._state().verdicts[name].update(dict.fromkeys(addresses, verdict))
        self._dirty.verdicts.setdefault(name, set()).update(addresses)

    def remove_verdict(self, name: str, address: Address) -> None:
        """Want no verdict for the address."""
        self._state().verdicts[name].pop(address, None)
        self._dirty.verdicts.setdefault(name, set()).add(address)

    def put_chain(self, chain: Chain) -> None:
        """Want the chain with exactly these rules."""
        self._state().chains[chain.name] = chain
        self._dirty.chains.add(chain.name)

    def remove_chain(self, name: str) -> None:
        """Want it no more."""
        self._state().chains.pop(name, None)
        self._dirty.chains.add(name)

    def clear(self) -> None:
        """Want no table."""
        self._state().clear()
        self._dirty = Dirty.between(self._desired, self._programmed)

    # What has to be done

    def pending(self) -> Transaction:
        """What brings the desired content into force; empty when it is.

        When the table holds something under a desired name that can not become what is desired, this is `replace`.
        """
        if not self._stated:
            return Transaction()
        if not self._desired:
            return Transaction((AddTable(), DeleteTable())) if self._table else Transaction()
        if contradicts(self._desired, self._programmed, self._dirty):
            return self.replace()
        operations = additions(self._desired, self._programmed, self._dirty)
        if operations and not self._table:
            operations.insert(0, AddTable())
        return Transaction(tuple(operations))

    def garbage(self) -> Transaction:
        """The removal of what is neither desired nor referred to; ask again after each commit until it is empty."""
        if not self._stated or not self._desired:
            return Transaction()
        return Transaction(tuple(removals(self._desired, self._programmed, self._dirty)))

    def replace(self) -> Transaction:
        """The whole desired content instead of whatever the table holds, in one commit."""
        operations: list[Operation] = [AddTable(), DeleteTable()]
        if self._desired:
            nothing = Contents()
            everything = Dirty.between(self._desired, nothing)
            operations += [AddTable(), *additions(self._desired, nothing, everything)]
        return Transaction(tuple(operations))

    # What was done

    def committed(self, transaction: Transaction) -> None:
        """The kernel confirmed this transaction; the desired content may have moved on since it was made."""
        emptied = False
        self._programmed.apply_all(transaction.operations)
        for operation in transaction.operations:
            self._dirty.note_added(operation)
            if isinstance(operation, (AddTable, DeleteTable)):
                self._table = isinstance(operation, AddTable)
                emptied = emptied or not self._table
        if emptied:
            self._dirty = Dirty.between(self._desired, self._programmed)
        else:
            self._dirty.forget_equal(self._desired, self._programmed)

    def adopt(self, ruleset: Ruleset | None) -> bool:
        """Take what a dump found as programmed (None: there is no table) and compare everything.

        True if that is what had been programmed.
        """
        table, programmed = self._table, self._programmed
        self._table = ruleset is not None
        self._programmed = Contents.of(ruleset or Ruleset())
        self._dirty = Dirty.between(self._desired, self._programmed)
        return table == self._table and not Dirty.between(programmed, self._programmed)

    def desired_ruleset(self) -> Ruleset:
        """A copy of the desired content."""
        return self._desired.ruleset()

    def programmed_ruleset(self) -> Ruleset:
        """A copy of the programmed content."""
        return self._programmed.ruleset()

    def _state(self) -> Contents:
        self._stated = True
        return self._desired
