"""A map from keys to sets that forgets empty sets."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Set
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)

_EMPTY: frozenset[object] = frozenset()


class Index(Generic[K, V]):
    """Which values belong to a key. What `of` returns may change later: copy it to keep it.

    A key's only value is kept bare: a set of one takes 216 bytes, and most addresses have one owner.
    """

    __slots__ = ("_sets",)

    def __init__(self) -> None:
        self._sets: dict[K, V | set[V]] = {}

    def add(self, key: K, value: V) -> None:
        """Put `value` under `key`; nothing happens if it is there."""
        known = self._sets.get(key)
        if known is None:
            self._sets[key] = value
        elif type(known) is set:
            known.add(value)
        elif known != value:
            self._sets[key] = {known, value}  # type: ignore[arg-type]

    def discard(self, key: K, value: V) -> None:
        """Take `value` from `key`; nothing happens if it is not there."""
        known = self._sets.get(key)
        if type(known) is set:
            known.discard(value)
            if len(known) == 1:
                self._sets[key] = known.pop()
        elif known == value:
            del self._sets[key]

    def of(self, key: K) -> Set[V]:
        """The values of `key`, possibly none."""
        known = self._sets.get(key)
        if known is None:
            return _EMPTY  # type: ignore[return-value]
        return known if type(known) is set else {known}  # type: ignore[arg-type]

    def move(self, value: V, old: K | None, new: K | None) -> None:
        """Take `value` from the key `old` to the key `new`; None stands for no key."""
        if old == new:
            return
        if old is not None:
            self.discard(old, value)
        if new is not None:
            self.add(new, value)

    def __iter__(self) -> Iterator[K]:
        return iter(self._sets)

    def __contains__(self, key: K) -> bool:
        return key in self._sets

    def __bool__(self) -> bool:
        return bool(self._sets)
