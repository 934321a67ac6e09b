"""A table's content that moves: what `Ruleset` is, mutable, and what each operation does to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

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
)
from corral.nft.values import (
    Chain,
    Count,
    Dispatch,
    Element,
    InSet,
    LimitEach,
    NftMap,
    NftRule,
    NftSet,
    Ruleset,
    Verdict,
)
from corral.types import Address

_ElementOperation = AddElements | DeleteElements | AddVerdicts | DeleteVerdicts
_ChainOperation = AddChain | FlushChain | DeleteChain | AddRule
_ObjectOperation = AddCounter | DeleteCounter | AddSet | DeleteSet


@dataclass(slots=True)
class Contents:
    """Fields as in `Ruleset`."""

    counters: set[str] = field(default_factory=set)
    sets: dict[str, NftSet] = field(default_factory=dict)
    elements: dict[str, set[Element]] = field(default_factory=dict)
    maps: dict[str, NftMap] = field(default_factory=dict)
    verdicts: dict[str, dict[Address, Verdict]] = field(default_factory=dict)
    chains: dict[str, Chain] = field(default_factory=dict)

    @classmethod
    def of(cls, ruleset: Ruleset) -> Contents:
        """A copy that can move."""
        return cls(
            set(ruleset.counters),
            dict(ruleset.sets),
            {name: set(ruleset.elements.get(name, ())) for name in ruleset.sets},
            dict(ruleset.maps),
            {name: dict(ruleset.verdicts.get(name, {})) for name in ruleset.maps},
            dict(ruleset.chains),
        )

    def ruleset(self) -> Ruleset:
        """A copy that stays."""
        return Ruleset(
            frozenset(self.counters),
            dict(self.sets),
            {name: frozenset(elements) for name, elements in self.elements.items()},
            dict(self.maps),
            {name: dict(verdicts) for name, verdicts in self.verdicts.items()},
            dict(self.chains),
        )

    def __bool__(self) -> bool:
        return bool(self.counters or self.sets or self.maps or self.chains)

    def apply_all(self, operations: Iterable[Operation]) -> None:
        """Do all of them; what fills a chain at once, for each rule alone would copy those before it."""
        for chain, run in groupby(operations, _filled_chain):
            if chain is None:
                for operation in run:
                    self.apply(operation)
            else:
                rules = [operation.rule for operation in run if isinstance(operation, AddRule)]
                self._put_rules(chain, (*self.chains[chain].rules, *rules))

    def apply(self, operation: Operation) -> None:
        """Do to this content what the kernel does to the table."""
        match operation:
            case AddElements() | DeleteElements() | AddVerdicts() | DeleteVerdicts():
                self._apply_to_elements(operation)
            case AddTable():
                pass
            case DeleteTable():
                self.clear()
            case AddChain() | FlushChain() | DeleteChain() | AddRule():
                self._apply_to_chains(operation)
            case AddCounter() | DeleteCounter() | AddSet() | DeleteSet():
                self._apply_to_objects(operation)

    def clear(self) -> None:
        """Forget everything."""
        for part in (self.counters, self.sets, self.elements, self.maps, self.verdicts, self.chains):
            part.clear()

    def _apply_to_elements(self, operation: _ElementOperation) -> None:
        match operation:
            case AddElements(name, _, elements):
                self.elements[name].update(elements)
            case DeleteElements(name, _, elements):
                self.elements[name].difference_update(elements)
            case AddVerdicts(name, verdicts):
                self.verdicts[name].update(verdicts)
            case DeleteVerdicts(name, verdicts):
                for address in verdicts:
                    self.verdicts[name].pop(address, None)

    def _apply_to_chains(self, operation: _ChainOperation) -> None:
        match operation:
            case AddChain(chain):
                self.chains.setdefault(chain.name, Chain(chain.name, (), chain.hook, chain.comment))
            case FlushChain(name):
                self._put_rules(name, ())
            case AddRule(name, rule):
                self._put_rules(name, (*self.chains[name].rules, rule))
            case DeleteChain(name):
                self.chains.pop(name, None)

    def _put_rules(self, name: str, rules: tuple[NftRule, ...]) -> None:
        chain = self.chains[name]
        self.chains[name] = Chain(name, rules, chain.hook, chain.comment)

    def _apply_to_objects(self, operation: _ObjectOperation) -> None:
        match operation:
            case AddCounter(name):
                self.counters.add(name)
            case DeleteCounter(name):
                self.counters.discard(name)
            case AddSet(declaration):
                self._declare(declaration)
            case DeleteSet(name):
                for part in (self.sets, self.elements, self.maps, self.verdicts):
                    part.pop(name, None)

    def _declare(self, declaration: NftSet | NftMap) -> None:
        if isinstance(declaration, NftMap):
            self.maps.setdefault(declaration.name, declaration)
            self.verdicts.setdefault(declaration.name, {})
        else:
            self.sets.setdefault(declaration.name, declaration)
            self.elements.setdefault(declaration.name, set())


def _filled_chain(operation: Operation) -> str | None:
    return operation.chain if isinstance(operation, AddRule) else None


@dataclass(frozen=True, slots=True)
class References:
    """The names that a table's rules and dispatch entries use: what the kernel refuses to delete."""

    chains: frozenset[str]
    sets: frozenset[str]
    counters: frozenset[str]

    @classmethod
    def of(cls, contents: Contents) -> References:
        """Read them all."""
        rules = [rule for chain in contents.chains.values() for rule in chain.rules]
        verdicts = (verdict for entries in contents.verdicts.values() for verdict in entries.values())
        return cls(
            frozenset([*(name for rule in rules for name in _targets(rule)), *(v.chain for v in verdicts if v.chain)]),
            frozenset(name for rule in rules for name in _sets(rule)),
            frozenset(name for rule in rules for name in _counters(rule)),
        )


def _targets(rule: NftRule) -> Iterator[str]:
    return (part.chain for part in rule.expressions if isinstance(part, Verdict) and part.chain)


def _sets(rule: NftRule) -> Iterator[str]:
    for part in rule.expressions:
        if isinstance(part, InSet | LimitEach):
            yield part.set
        elif isinstance(part, Dispatch):
            yield part.map


def _counters(rule: NftRule) -> Iterator[str]:
    return (part.counter for part in rule.expressions if isinstance(part, Count))
