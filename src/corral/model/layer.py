"""Base and overlay of one kind of resource: the last snapshot, corrected by what events have said since.

The metadata behind the base is complete but trails by one to several seconds; events are early but partial and can
lie (out of order) or get lost. So an event's fields win until a snapshot says the same, or until they are too old.
What results is a function of base and overlay alone: nothing else is remembered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Set
from typing import Any, Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Fields = Mapping[str, Any]


class Difference(NamedTuple, Generic[K, V]):
    """A resource whose effective value changed; None stands for absence."""

    key: K
    old: V | None
    new: V | None


class Layer(Generic[K, V]):
    """The effective resources of one kind.

    `combine` yields the effective value of a key from its base value (None: not in the base) and the fields on the
    overlay, or None where these do not make a resource. Differences are to be consumed: `effective` is brought up
    to date one by one, each just before it is yielded.
    """

    def __init__(self, *, limit: float, combine: Callable[[K, V | None, Fields], V | None]) -> None:
        self.effective: dict[K, V] = {}
        self._limit = limit
        self._combine = combine
        self._base: Mapping[K, V] = {}
        self._overlay: dict[K, dict[str, tuple[Any, float]]] = {}
        self._ages: deque[tuple[float, K]] = deque()

    def load(self, base: Mapping[K, V], now: float) -> Iterator[Difference[K, V]]:
        """Replace the base, and drop what it confirms and what is too old from the overlay."""
        before, self._base = self._base, base
        changed = dict.fromkeys(key for key, value in base.items() if before.get(key) is not value)
        changed.update(dict.fromkeys(key for key in before if key not in base))
        changed.update(dict.fromkeys(self._drop_old(now)))
        changed.update(dict.fromkeys(self._drop_confirmed()))
        for key in changed:
            yield from self._refresh(key)

    def apply(self, key: K, fields: Fields, now: float) -> Iterator[Difference[K, V]]:
        """Put fields on the overlay; what is not mentioned stays as it is."""
        if fields:
            entry = self._overlay.setdefault(key, {})
            entry.update((name, (value, now)) for name, value in fields.items())
            self._ages.append((now, key))
            yield from self._refresh(key)

    def expire(self, now: float) -> Iterator[Difference[K, V]]:
        """Drop what is too old from the overlay."""
        for key in dict.fromkeys(self._drop_old(now)):
            yield from self._refresh(key)

    def reconsider(self, field: str, values: Set[object]) -> Iterator[Difference[K, V]]:
        """Combine anew where the overlay says one of `values` for `field`: what `combine` looks them up in changed."""
        for key in [key for key, entry in self._overlay.items() if field in entry and entry[field][0] in values]:
            yield from self._refresh(key)

    def _drop_old(self, now: float) -> Iterator[K]:
        oldest = now - self._limit
        while self._ages and self._ages[0][0] <= oldest:
            _, key = self._ages.popleft()
            entry = self._overlay.get(key, {})
            for name in [name for name, (_, since) in entry.items() if since <= oldest]:
                del entry[name]
            if not entry:
                self._overlay.pop(key, None)
            yield key

    def _drop_confirmed(self) -> Iterator[K]:
        """An entry goes as a whole: one equal field alone may be a coincidence, with the snapshot still behind."""
        for key in [key for key, entry in self._overlay.items() if self._confirms(key, entry)]:
            del self._overlay[key]
            yield key

    def _confirms(self, key: K, entry: Mapping[str, tuple[Any, float]]) -> bool:
        base = self._base.get(key)
        return base is not None and all(getattr(base, name) == value for name, (value, _) in entry.items())

    def _refresh(self, key: K) -> Iterator[Difference[K, V]]:
        old = self.effective.get(key)
        new = self._merged(key)
        if new is old or new == old:
            return
        if new is None:
            del self.effective[key]
        else:
            self.effective[key] = new
        yield Difference(key, old, new)

    def _merged(self, key: K) -> V | None:
        base = self._base.get(key)
        entry = self._overlay.get(key)
        if entry is None:
            return base
        return self._combine(key, base, {name: value for name, (value, _) in entry.items()})
