"""A table that takes transactions as the kernel does: whole or not at all, and strict about references."""

from __future__ import annotations

import copy
import itertools

from corral.nft.contents import Contents, References
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
from corral.nft.values import Count, Dispatch, InSet, LimitEach, NftRule, NftSet, Ruleset, SetType, Verdict
from corral.types import Subnet


class RefusedError(Exception):
    """What the kernel answers EEXIST, ENOENT or EBUSY to."""


class StrictKernel:
    """Stricter than most kernels: nothing may be added twice, and no batch may delete what was used at its start."""

    def __init__(self) -> None:
        self.table: Contents | None = None

    def commit(self, transaction: Transaction) -> None:
        before, self._start = self.table, copy.deepcopy(self.table)
        self.table = copy.deepcopy(before)
        try:
            for operation in transaction.operations:
                self._take(operation)
        except BaseException:
            self.table = before
            raise

    def dump(self) -> Ruleset | None:
        return self.table.ruleset() if self.table is not None else None

    def _take(self, operation: Operation) -> None:
        if isinstance(operation, AddTable):
            self.table = Contents() if self.table is None else self.table
            return
        if self.table is None:
            raise RefusedError(operation)
        if isinstance(operation, DeleteTable):
            self.table = self._start = None
            return
        if not self._allows(self.table, operation):
            raise RefusedError(operation)
        self.table.apply(operation)

    def _allows(self, table: Contents, operation: Operation) -> bool:
        match operation:
            case AddCounter(name):
                return name not in table.counters
            case AddSet(declaration):
                return declaration.name not in table.sets and declaration.name not in table.maps
            case AddChain(chain):
                return chain.name not in table.chains and not chain.rules
            case FlushChain(name):
                return name in table.chains
            case AddRule(chain, rule):
                return chain in table.chains and self._resolves(table, rule)
            case AddElements() | DeleteElements() | AddVerdicts() | DeleteVerdicts():
                return self._allows_elements(table, operation)
            case DeleteChain() | DeleteSet() | DeleteCounter():
                return self._unused(table, operation)
            case AddTable() | DeleteTable():
                return True

    def _allows_elements(
        self, table: Contents, operation: AddElements | DeleteElements | AddVerdicts | DeleteVerdicts
    ) -> bool:
        match operation:
            case AddElements(name, declaration, elements):
                known = table.sets.get(name) == declaration and not table.elements[name] & set(elements)
                return known and not _overlap(declaration, [*table.elements[name], *elements])
            case DeleteElements(name, declaration, elements):
                return table.sets.get(name) == declaration and table.elements[name] >= set(elements)
            case AddVerdicts(name, verdicts):
                free = not table.verdicts[name].keys() & verdicts.keys()
                return free and all(not verdict.chain or verdict.chain in table.chains for verdict in verdicts.values())
            case DeleteVerdicts(name, verdicts):
                return verdicts.items() <= table.verdicts[name].items()

    def _resolves(self, table: Contents, rule: NftRule) -> bool:
        for part in rule.expressions:
            match part:
                case InSet(_, name) if name not in table.sets:
                    return False
                case LimitEach(_, name) if name not in table.sets or table.sets[name].type is not SetType.DYNAMIC:
                    return False
                case Dispatch(_, name) if name not in table.maps:
                    return False
                case Count(name) if name not in table.counters:
                    return False
                case Verdict(_, name) if name and name not in table.chains:
                    return False
                case _:
                    pass
        return True

    def _unused(self, table: Contents, operation: DeleteChain | DeleteSet | DeleteCounter) -> bool:
        used = References.of(self._start or Contents())
        match operation:
            case DeleteChain(name):
                return name in table.chains and name not in used.chains
            case DeleteSet(name):
                return (name in table.sets or name in table.maps) and name not in used.sets
            case DeleteCounter(name):
                return name in table.counters and name not in used.counters


def _overlap(declaration: NftSet, elements: list[object]) -> bool:
    if declaration.type is not SetType.SUBNETS:
        return False
    subnets = sorted(element for element in elements if isinstance(element, Subnet))
    return any(later.first <= earlier.last for earlier, later in itertools.pairwise(subnets))
