"""What was decoded last time: a refresh compares raw objects, and translates only those that differ."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

Value = TypeVar("Value")


class Memory:
    """Translations of one pass, by identity; what the pass before had and this one has not is forgotten."""

    def __init__(self) -> None:
        self._previous: dict[Hashable, tuple[object, object]] = {}
        self._present: dict[Hashable, tuple[object, object]] = {}

    def begin(self) -> None:
        """Start a pass. One that was broken off leaves the translations before it in place."""
        self._present = {}

    def finish(self) -> None:
        """The pass was complete."""
        self._previous = self._present

    def forget(self, identity: Hashable) -> None:
        """Translate it anew in the next pass, whatever it is then."""
        self._present.pop(identity, None)

    def translated(self, identity: Hashable, raw: object, translate: Callable[[], Value]) -> Value:
        """The translation of an equal `raw` under this identity, the same object, else a fresh one."""
        known = self._previous.get(identity)
        if known is None or known[0] != raw:
            known = (raw, translate())
        self._present[identity] = known
        return known[1]  # type: ignore[return-value]  # one identity is always translated by one function
