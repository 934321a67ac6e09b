"""The difference of two contents of a table, as operations in an order that the kernel accepts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import cast

from corral.nft.contents import Contents, References
from corral.nft.transaction import (
    AddChain,
    AddCounter,
    AddElements,
    AddRule,
    AddSet,
    AddVerdicts,
    DeleteChain,
    DeleteCounter,
    DeleteElements,
    DeleteSet,
    DeleteVerdicts,
    FlushChain,
    Operation,
)
from corral.nft.values import Chain, Element
from corral.types import Address

_NOTHING: frozenset[Element] = frozenset()


@dataclass(slots=True)
class Dirty:
    """The names and keys that may differ between the desired and the programmed content."""

    counters: set[str] = field(default_factory=set)
    sets: set[str] = field(default_factory=set)  # and maps: they share one name space
    elements: dict[str, set[Element]] = field(default_factory=dict)
    verdicts: dict[str, set[Address]] = field(default_factory=dict)
    chains: set[str] = field(default_factory=set)

    @classmethod
    def between(cls, desired: Contents, programmed: Contents) -> Dirty:
        """Everything that differs, by full comparison."""
        dirty = cls(
            counters=desired.counters ^ programmed.counters,
            sets={*desired.sets, *desired.maps, *programmed.sets, *programmed.maps},
            elements={
                name: elements ^ programmed.elements.get(name, set()) for name, elements in desired.elements.items()
            },
            verdicts={
                name: {address for address, _ in entries.items() ^ programmed.verdicts.get(name, {}).items()}
                for name, entries in desired.verdicts.items()
            },
            chains={*desired.chains, *programmed.chains},
        )
        dirty.forget_equal(desired, programmed)
        return dirty

    def note_added(self, operation: Operation) -> None:
        """What came into the kernel may not be wanted any more, or not so: the desired content has moved on since."""
        match operation:
            case AddElements(name, _, elements):
                self.elements.setdefault(name, set()).update(elements)
            case AddVerdicts(name, verdicts):
                self.verdicts.setdefault(name, set()).update(verdicts)
            case AddChain(chain):
                self.chains.add(chain.name)
            case AddSet(declared):
                self.sets.add(declared.name)
            case AddCounter(name):
                self.counters.add(name)
            case _:
                pass

    def forget_equal(self, desired: Contents, programmed: Contents) -> None:
        """Drop what does not differ (any more)."""
        self.counters &= desired.counters ^ programmed.counters
        self.sets = {name for name in self.sets if not _same_set(name, desired, programmed)}
        self.chains = {name for name in self.chains if not _same_chain(name, desired, programmed)}
        for name, elements in tuple(self.elements.items()):
            ours, theirs = desired.elements.get(name, _NOTHING), programmed.elements.get(name, _NOTHING)
            self.elements[name] = {element for element in elements if (element in ours) != (element in theirs)}
        for name, addresses in tuple(self.verdicts.items()):
            mine, other = desired.verdicts.get(name, {}), programmed.verdicts.get(name, {})
            self.verdicts[name] = {address for address in addresses if mine.get(address) != other.get(address)}
        self.elements = {name: keys for name, keys in self.elements.items() if keys and name in desired.sets}
        self.verdicts = {name: keys for name, keys in self.verdicts.items() if keys and name in desired.maps}


def additions(desired: Contents, programmed: Contents, dirty: Dirty) -> list[Operation]:
    """What brings the desired content into force, in one transaction.

    What a rule or a dispatch entry refers to comes first. Objects that are no longer wanted stay, unused.
    """
    return [
        *(AddCounter(name) for name in sorted(dirty.counters & desired.counters - programmed.counters)),
        *_new_sets(desired, programmed, dirty),
        *_element_changes(desired, programmed, dirty),
        *_chain_changes(desired, programmed, dirty),
        *_verdict_changes(desired, programmed, dirty),
    ]


def removals(desired: Contents, programmed: Contents, dirty: Dirty) -> list[Operation]:
    """The deletion of unwanted objects that nothing programmed refers to.

    What they refer to in turn has to wait for the next call: kernels before 5.x drop the last reference only
    after the batch, and refuse to delete the referent in it.
    """
    chains = sorted(name for name in dirty.chains if name in programmed.chains and name not in desired.chains)
    sets = sorted(name for name in dirty.sets if _declared(name, programmed) and not _declared(name, desired))
    counters = sorted(dirty.counters & programmed.counters - desired.counters)
    if not (chains or sets or counters):
        return []
    used = References.of(programmed)
    return [
        *(DeleteChain(name) for name in chains if name not in used.chains),
        *(DeleteSet(name) for name in sets if name not in used.sets),
        *(DeleteCounter(name) for name in counters if name not in used.counters),
    ]


def contradicts(desired: Contents, programmed: Contents, dirty: Dirty) -> bool:
    """Whether an object exists under a desired name that no change can turn into the desired one."""
    return any(
        _declared(name, desired) and _declared(name, programmed) and not _same_set(name, desired, programmed)
        for name in dirty.sets
    ) or any(
        name in desired.chains
        and name in programmed.chains
        and desired.chains[name].hook != programmed.chains[name].hook
        for name in dirty.chains
    )


def _declared(name: str, contents: Contents) -> bool:
    return name in contents.sets or name in contents.maps


def _same_set(name: str, desired: Contents, programmed: Contents) -> bool:
    """Comments aside: they can not be changed, and enforce nothing."""
    ours, theirs = desired.sets.get(name), programmed.sets.get(name)
    same_type = (ours and ours.type) == (theirs and theirs.type)
    return same_type and (name in desired.maps) == (name in programmed.maps)


def _same_chain(name: str, desired: Contents, programmed: Contents) -> bool:
    """Comments aside: kernels before 5.10 do not keep a chain's."""
    ours, theirs = desired.chains.get(name), programmed.chains.get(name)
    if ours is None or theirs is None:
        return ours is theirs
    return ours.rules == theirs.rules and ours.hook == theirs.hook


def _new_sets(desired: Contents, programmed: Contents, dirty: Dirty) -> Iterator[Operation]:
    for name in sorted(dirty.sets):
        declaration = desired.sets.get(name) or desired.maps.get(name)
        if declaration and not _declared(name, programmed):
            yield AddSet(declaration)


def _element_changes(desired: Contents, programmed: Contents, dirty: Dirty) -> Iterator[Operation]:
    for name in sorted(dirty.elements.keys() & desired.sets.keys()):
        declaration, keys = desired.sets[name], dirty.elements[name]
        ours, theirs = desired.elements[name], programmed.elements.get(name, _NOTHING)
        # Deletions first: a subnet can not be added while one that overlaps is there.
        if unwanted := _in_order(key for key in keys if key in theirs and key not in ours):
            yield DeleteElements(name, declaration, unwanted)
        if missing := _in_order(key for key in keys if key in ours and key not in theirs):
            yield AddElements(name, declaration, missing)


def _in_order(elements: Iterable[Element]) -> tuple[Element, ...]:
    return tuple(sorted(cast("Iterable[Address]", elements)))  # or all of them subnets, which have an order too


def _chain_changes(desired: Contents, programmed: Contents, dirty: Dirty) -> Iterator[Operation]:
    changed = [desired.chains[name] for name in sorted(dirty.chains & desired.chains.keys())]
    changed = [chain for chain in changed if not _same_chain(chain.name, desired, programmed)]
    for chain in changed:
        if chain.name not in programmed.chains:
            yield AddChain(replace(chain, rules=()))
    for chain in changed:
        yield from _rule_changes(chain, programmed.chains.get(chain.name))


def _rule_changes(chain: Chain, programmed: Chain | None) -> Iterator[Operation]:
    if programmed is not None and programmed.rules:
        yield FlushChain(chain.name)
    for rule in chain.rules:
        yield AddRule(chain.name, rule)


def _verdict_changes(desired: Contents, programmed: Contents, dirty: Dirty) -> Iterator[Operation]:
    for name in sorted(dirty.verdicts.keys() & desired.maps.keys()):
        ours, theirs = desired.verdicts[name], programmed.verdicts.get(name, {})
        changed = sorted(key for key in dirty.verdicts[name] if ours.get(key) != theirs.get(key))
        if unwanted := {key: theirs[key] for key in changed if key in theirs}:
            yield DeleteVerdicts(name, unwanted)
        if missing := {key: ours[key] for key in changed if key in ours}:
            yield AddVerdicts(name, missing)
