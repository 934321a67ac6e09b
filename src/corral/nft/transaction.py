"""A transaction as a value: an ordered list of operations that the kernel takes whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from corral.nft.values import Chain, Element, NftMap, NftRule, NftSet, Verdict
from corral.types import Address


@dataclass(frozen=True, slots=True)
class AddTable:
    """Idempotent."""


@dataclass(frozen=True, slots=True)
class DeleteTable:
    """With all that is in it. Fails where there is none: precede it by AddTable."""


@dataclass(frozen=True, slots=True)
class AddCounter:
    name: str


@dataclass(frozen=True, slots=True)
class DeleteCounter:
    name: str


@dataclass(frozen=True, slots=True)
class AddSet:
    set: NftSet | NftMap


@dataclass(frozen=True, slots=True)
class DeleteSet:
    """A set or a map."""

    name: str


@dataclass(frozen=True, slots=True)
class AddChain:
    """The chain without its rules."""

    chain: Chain


@dataclass(frozen=True, slots=True)
class FlushChain:
    name: str


@dataclass(frozen=True, slots=True)
class DeleteChain:
    name: str


@dataclass(frozen=True, slots=True)
class AddRule:
    """Appends."""

    chain: str
    rule: NftRule


@dataclass(frozen=True, slots=True)
class AddElements:
    set: str
    type: NftSet
    elements: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class DeleteElements:
    set: str
    type: NftSet
    elements: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class AddVerdicts:
    map: str
    verdicts: Mapping[Address, Verdict]


@dataclass(frozen=True, slots=True)
class DeleteVerdicts:
    """The kernel finds them by key; the verdicts are there for it to release the chains."""

    map: str
    verdicts: Mapping[Address, Verdict]


Operation = (
    AddTable
    | DeleteTable
    | AddCounter
    | DeleteCounter
    | AddSet
    | DeleteSet
    | AddChain
    | FlushChain
    | DeleteChain
    | AddRule
    | AddElements
    | DeleteElements
    | AddVerdicts
    | DeleteVerdicts
)


@dataclass(frozen=True, slots=True)
class Transaction:
    operations: tuple[Operation, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.operations)
