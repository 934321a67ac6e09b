"""The difference of two contents of a table, as operations in an order that the kernel accepts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
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
from corral.nft.values import Chain, Element, Verdict
from corral.types import Address, Subnet

_NO_VERDICTS: Mapping[Address, Verdict] = {}


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
                name: elements ^ programmed.elements.get(name, set())
                for name, elements in desired.elements.items()
                if elements != programmed.elements.get(name)
            },
            verdicts={
                name: {address for address, _ in entries.items() ^ programmed.verdicts.get(name, {}).items()}
                for name, entries in desired.verdicts.items()
            },
            chains={*desired.chains, *programmed.chains},
        )
        dirty.forget_equal(desired, programmed)
        return dirty

    def __bool__(self) -> bool:
        return bool(self.counters or self.sets or self.elements or self.verdicts or self.chains)

    def note_added(self, operation: Operation) -> None:
        """What came into the kernel may not be wanted any more, or not so: the desired content has moved on since."""
        match operation:
            case AddElements(name, _, elements):
                self.note_elements(name, elements)
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

    def note_elements(self, name: str, elements: Iterable[Element]) -> None:
        """They may differ."""
        noted = self.elements.get(name)
        if noted is None:
            self.elements[name] = set(elements)
        else:
            noted.update(elements)

    def forget_equal(self, desired: Contents, programmed: Contents) -> None:
        """Drop what does not differ (any more)."""
        if self.counters:
            self.counters = (self.counters & desired.counters) ^ (self.counters & programmed.counters)
        if self.sets:
            self.sets = {name for name in self.sets if not _same_set(name, desired, programmed)}
        if self.chains:
            self.chains = {name for name in self.chains if not _same_chain(name, desired, programmed)}
        for name in tuple(self.elements):
            missing, unwanted = _moved(name, desired, programmed, self)
            if missing or unwanted:
                self.elements[name] = missing | unwanted
            else:
                del self.elements[name]
        for name in tuple(self.verdicts):
            if changed := _changed(name, desired, programmed, self):
                self.verdicts[name] = changed
            else:
                del self.verdicts[name]


def additions(desired: Contents, programmed: Contents, dirty: Dirty) -> list[Operation]:
    """What brings the desired content into force, in one transaction.

    What a rule or a dispatch entry refers to comes first. Objects that are no longer wanted stay, unused.
    """
    operations: list[Operation] = []
    if dirty.counters:
        operations += map(AddCounter, sorted((dirty.counters & desired.counters) - programmed.counters))
    if dirty.sets:
        operations += _new_sets(desired, programmed, dirty)
    for name in sorted(dirty.elements):
        operations += _element_changes(name, desired, programmed, dirty)
    if dirty.chains:
        operations += _chain_changes(desired, programmed, dirty)
    for name in sorted(dirty.verdicts):
        operations += _verdict_changes(name, desired, programmed, dirty)
    return operations


def removals(desired: Contents, programmed: Contents, dirty: Dirty) -> list[Operation]:
    """The deletion of unwanted objects that nothing programmed refers to.

    What they refer to in turn has to wait for the next call: kernels before 5.x drop the last reference only
    after the batch, and refuse to delete the referent in it.
    """
    chains = sorted(name for name in dirty.chains if name in programmed.chains and name not in desired.chains)
    sets = sorted(name for name in dirty.sets if _declared(name, programmed) and not _declared(name, desired))
    counters = sorted((dirty.counters & programmed.counters) - desired.counters)
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
    if not (dirty.sets or dirty.chains):
        return False
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


def _element_changes(name: str, desired: Contents, programmed: Contents, dirty: Dirty) -> list[Operation]:
    missing, unwanted = _moved(name, desired, programmed, dirty)
    changes: list[Operation] = []
    # Deletions first: a subnet can not be added while one that overlaps is there.
    if unwanted:
        changes.append(DeleteElements(name, desired.sets[name], _in_order(unwanted)))
    if missing:
        changes.append(AddElements(name, desired.sets[name], _in_order(missing)))
    return changes


def _moved(name: str, desired: Contents, programmed: Contents, dirty: Dirty) -> tuple[set[Element], set[Element]]:
    """The elements to add and to delete; none of a set that is not wanted. At the cost of the dirty ones."""
    keys, ours, theirs = dirty.elements[name], desired.elements.get(name), programmed.elements.get(name)
    if ours is None:
        return set(), set()
    if theirs is None:
        return keys & ours, set()
    return (keys & ours) - theirs, (keys & theirs) - ours


def _in_order(elements: set[Element]) -> tuple[Element, ...]:
    if len(elements) == 1:
        return tuple(elements)
    if {*map(type, elements)} == {Address}:
        return tuple(sorted(cast("set[Address]", elements), key=int))  # plain numbers are compared ten times as fast
    return tuple(sorted(cast("set[Subnet]", elements)))


def _chain_changes(desired: Contents, programmed: Contents, dirty: Dirty) -> list[Operation]:
    """New chains before all rules, which may refer to them."""
    made: list[Operation] = []
    filled: list[Operation] = []
    for name in sorted(dirty.chains & desired.chains.keys()):
        chain, before = desired.chains[name], programmed.chains.get(name)
        if before is None:
            made.append(AddChain(Chain(name, (), chain.hook, chain.comment)))
        elif _same_chain(name, desired, programmed):
            continue
        elif before.rules:
            filled.append(FlushChain(name))
        filled += [AddRule(name, rule) for rule in chain.rules]
    return made + filled


def _verdict_changes(name: str, desired: Contents, programmed: Contents, dirty: Dirty) -> list[Operation]:
    changed = sorted(_changed(name, desired, programmed, dirty), key=int)
    ours, theirs = desired.verdicts.get(name, _NO_VERDICTS), programmed.verdicts.get(name, _NO_VERDICTS)
    changes: list[Operation] = []
    if unwanted := {key: theirs[key] for key in changed if key in theirs}:
        changes.append(DeleteVerdicts(name, unwanted))
    if missing := {key: ours[key] for key in changed if key in ours}:
        changes.append(AddVerdicts(name, missing))
    return changes


def _changed(name: str, desired: Contents, programmed: Contents, dirty: Dirty) -> set[Address]:
    """The keys whose verdicts differ; none of a map that is not wanted."""
    ours, theirs = desired.verdicts.get(name), programmed.verdicts.get(name, _NO_VERDICTS)
    if ours is None:
        return set()
    changed = set()
    for key in dirty.verdicts[name]:
        wanted, found = ours.get(key), theirs.get(key)
        if wanted is not found and wanted != found:  # identity first: what was committed is the very same object
            changed.add(key)
    return changed
