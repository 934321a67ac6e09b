"""What is kept of a document, for the next one to be compared with: outlines, and what each object said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from corral.wire.splitting import Outline


@dataclass(frozen=True, slots=True)
class Memory:
    """One environment. `reads` are in the order of the outlines."""

    outlines: Mapping[str, Outline] = field(default_factory=dict)
    reads: Mapping[str, Sequence[Any]] = field(default_factory=dict)
