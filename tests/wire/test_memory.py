from __future__ import annotations

from corral.wire.memory import Memory


def test_nothing_is_known_at_first() -> None:
    assert (Memory().outlines, Memory().reads) == ({}, {})
