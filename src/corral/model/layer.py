"""Base and overlay of one kind of resource: the last snapshot, corrected by what events have said since.

The metadata behind the base is complete but trails by one to several seconds; events are early but partial and can
lie (out of order) or get lost. So an event's fields win until a snapshot says the same, or until they are too old.
What results is a function of base and overlay alone: nothing else is remembered.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Set
from itertools import count
from typing import Any, Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Fields = Mapping[str, Any]


class Difference(NamedTuple, Generic[K, V]):
    """A resource whose effective value changed; None stands for absence."""

    key: K
    old: V | None
    new: V | None


class Said(NamedTuple):
    """What events said of one resource, and when they last said each field."""

    fields: dict[str, Any]
    since: dict[str, float]


Overlay = Mapping[K, Said]


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
        self._overlay: dict[K, Said] = {}
        # When to look at an overlay entry again, once each however often events speak of it; the number orders equals.
        self._due: list[tuple[float, int, K]] = []
        self._queued: set[K] = set()
        self._number = count()
        self._idle_at = -math.inf

    def load(self, base: Mapping[K, V], now: float) -> Iterator[Difference[K, V]]:
        """Replace the base, and drop what it confirms and what is too old from the overlay."""
        before, self._base = self._base, base
        changed = dict.fromkeys(key for key, value in base.items() if before.get(key) is not value)
        changed.update(dict.fromkeys(key for key in before if key not in base))
        changed.update(dict.fromkeys(self._drop_old(now)))
        changed.update(dict.fromkeys(self._drop_confirmed()))
        return self._refreshed(changed)

    def apply(self, key: K, fields: Fields, now: float) -> tuple[Difference[K, V], ...]:
        """Put fields on the overlay; what is not mentioned stays as it is."""
        if not fields:
            return ()
        said = self._overlay.get(key)
        if said is None:
            self._overlay[key] = Said(dict(fields), dict.fromkeys(fields, now))
        else:
            said.fields.update(fields)
            said.since.update(dict.fromkeys(fields, now))
        self._queue(key, now)
        difference = self._refresh(key)
        return (difference,) if difference else ()

    def expire(self, now: float) -> Iterator[Difference[K, V]]:
        """Drop what is too old from the overlay."""
        return self._refreshed(dict.fromkeys(self._drop_old(now)))

    def forget_idle(self, now: float) -> None:
        """Drop what is too old and makes no resource, such as the end of one that no snapshot holds.

        For while nothing lapses, which can be long: otherwise each container that came and went would stay.
        """
        if now < self._idle_at + self._limit:
            return
        self._idle_at = now
        for key in [key for key, said in self._overlay.items() if self._idle(key, said, now - self._limit)]:
            del self._overlay[key]

    def _idle(self, key: K, said: Said, oldest: float) -> bool:
        return key not in self._base and key not in self.effective and max(said.since.values()) <= oldest

    def reconsider(self, field: str, values: Set[object]) -> Iterator[Difference[K, V]]:
        """Combine anew where the overlay says one of `values` for `field`: what `combine` looks them up in changed."""
        overlay = self._overlay.items()
        return self._refreshed([key for key, (said, _) in overlay if field in said and said[field] in values])

    def overlay(self) -> Overlay[K]:
        """A copy of what events said that still counts."""
        return {key: Said(dict(said.fields), dict(said.since)) for key, said in self._overlay.items()}

    def recall(self, overlay: Overlay[K]) -> Iterator[Difference[K, V]]:
        """Put such a copy on the overlay, which holds nothing yet."""
        self._overlay = {key: Said(dict(said.fields), dict(said.since)) for key, said in overlay.items()}
        for key, said in overlay.items():
            self._queue(key, min(said.since.values()))
        return self._refreshed(overlay)

    def _queue(self, key: K, since: float) -> None:
        if key not in self._queued:
            self._queued.add(key)
            heapq.heappush(self._due, (since, next(self._number), key))

    def _drop_old(self, now: float) -> Iterator[K]:
        oldest = now - self._limit
        while self._due and self._due[0][0] <= oldest:
            _, _, key = heapq.heappop(self._due)
            self._queued.remove(key)
            said = self._overlay.get(key)
            if said is None:
                continue
            for name in [name for name, since in said.since.items() if since <= oldest]:
                del said.fields[name], said.since[name]
            if said.fields:
                self._queue(key, min(said.since.values()))
            else:
                del self._overlay[key]
            yield key

    def _drop_confirmed(self) -> Iterator[K]:
        """An entry goes as a whole: one equal field alone may be a coincidence, with the snapshot still behind."""
        for key in [key for key, said in self._overlay.items() if self._confirms(key, said.fields)]:
            del self._overlay[key]
            yield key

    def _confirms(self, key: K, fields: Fields) -> bool:
        base = self._base.get(key)
        return base is not None and all(getattr(base, name) == value for name, value in fields.items())

    def _refreshed(self, keys: Iterable[K]) -> Iterator[Difference[K, V]]:
        for key in keys:
            difference = self._refresh(key)
            if difference:
                yield difference

    def _refresh(self, key: K) -> Difference[K, V] | None:
        old = self.effective.get(key)
        new = self._base.get(key)
        said = self._overlay.get(key)
        if said is not None:
            new = self._combine(key, new, said.fields)
        if new is old or new == old:
            return None
        if new is None:
            del self.effective[key]
        else:
            self.effective[key] = new
        return Difference(key, old, new)
