"""Application endpoints by their labels: a policy's new label or selector finds its members without a search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from corral.selector import Clause, Operator, Selector
from corral.types import Address

Labels = Sequence[Mapping[str, str]]

# Rancher writes labels of its own on every container, most of them an identity. Policies hardly ever ask for them, and
# an index of them would take most of the memory and of the time.
_RANCHERS = ("io.rancher.", "io.pasturestack.")


def is_indexed(key: str) -> bool:
    """Whether the index knows who carries the label."""
    return not key.startswith(_RANCHERS)


@lru_cache(maxsize=4096)
def _indexed(keys: tuple[str, ...]) -> tuple[str, ...]:
    """The indexed ones of a map's keys, which all containers of a service have in common."""
    return tuple(filter(is_indexed, keys))


class LabelIndex:
    """Who carries which value of which label, Rancher's own aside: it is not known what a policy will ask.

    What one address alone carries, such as its container's name, is kept bare: a set of one takes 216 bytes.
    """

    def __init__(self) -> None:
        self._holders: dict[str, dict[str, Address | set[Address]]] = {}

    def add(self, address: Address, labels: Labels) -> None:
        """Take up an endpoint: one map for each of its containers."""
        for mapping in labels:
            for key in _indexed(tuple(mapping)):
                value, values = mapping[key], self._holders.get(key)
                if values is None:
                    self._holders[key] = {value: address}
                    continue
                known = values.get(value)
                if known is None:
                    values[value] = address
                elif type(known) is set:
                    known.add(address)
                elif known != address:
                    values[value] = {known, address}  # type: ignore[arg-type]  # it is no set

    def discard(self, address: Address, labels: Labels) -> None:
        """Forget an endpoint that was added with these labels."""
        for mapping in labels:
            for key in _indexed(tuple(mapping)):
                value, values = mapping[key], self._holders.get(key)
                if values is None:
                    continue
                known = values.get(value)
                if type(known) is set:
                    known.discard(address)
                    if len(known) == 1:
                        values[value] = known.pop()
                elif known == address:  # its other container may have had the same label
                    del values[value]
                    if not values:
                        del self._holders[key]

    def holders(self, key: str) -> Iterator[tuple[str, set[Address]]]:
        """Each value of an indexed label, compared exactly, with copies of who carries it."""
        for value, known in self._holders.get(key, {}).items():
            yield value, set(known) if type(known) is set else {known}  # type: ignore[arg-type]

    def chosen(self, selector: Selector) -> set[Address]:
        """All that a selector of indexed labels matches, which is what all of its clauses hold for."""
        parts = sorted(map(self._holding, selector.clauses), key=len)
        return parts[0].intersection(*parts[1:])

    def _holding(self, clause: Clause) -> set[Address]:
        named: set[Address] = set()
        others: set[Address] = set()
        for key in [key for key in self._holders if key.casefold() == clause.key]:
            for value, known in self._holders[key].items():
                members = named if value.casefold() in clause.values else others
                if type(known) is set:
                    members |= known
                else:
                    members.add(known)  # type: ignore[arg-type]
        match clause.operator:
            case Operator.IN:
                return named
            case Operator.NOT_IN:
                return others - named
            case Operator.PRESENT:
                return others
