"""Breaks in each way that the fuzzer has to notice, so that tests can see that it does; nothing of corral is here."""

from __future__ import annotations

import re

from .target import Target

HOARD = 300


def trap(data: bytes) -> None:
    """Harmless but for a few inputs."""
    match data:
        case b"crash":
            raise RuntimeError("trapped")
        case b"hang":
            _wait_for_ever()
        case b"backtrack":
            re.fullmatch("(a+)+", "a" * 100 + "b")
        case b"memory":
            hoard = [b"x" * (1 << 20) for _ in range(HOARD)]
            _wait_for_ever()
            del hoard
        case _:
            pass


def _wait_for_ever() -> None:
    while True:
        pass


TRAP = Target(trap, lambda: [b"harmless"])
