"""What can be fuzzed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """`run` raises for an input that breaks something. `lines`: an input is several texts, one a line."""

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    lines: bool = False
