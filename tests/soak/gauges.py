"""What must stay flat: memory, tasks, descriptors, threads."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import sys
import threading
from dataclasses import dataclass
from functools import _lru_cache_wrapper
from pathlib import Path
from typing import Any

MEBIBYTE = 1 << 20
_PAGE = os.sysconf("SC_PAGE_SIZE")
_libc = ctypes.CDLL(None)


@dataclass(frozen=True)
class Gauges:
    """At one moment."""

    memory: int
    descriptors: int
    tasks: int
    threads: int

    @classmethod
    def read(cls) -> Gauges:
        """Resident memory is what is in use: garbage is collected, and what is free goes back to the kernel.

        Caches are emptied: each has a bound, but many reach it only after some hundred thousand changes.
        """
        for cached in caches():
            cached.cache_clear()
        gc.collect()
        _libc.malloc_trim(0)
        return cls(
            memory=int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE,
            descriptors=len(list(Path("/proc/self/fd").iterdir())),
            tasks=len(asyncio.all_tasks()) if _in_loop() else 0,
            threads=threading.active_count(),
        )

    def __str__(self) -> str:
        return (
            f"{self.memory / MEBIBYTE:.1f} MiB, {self.descriptors} descriptors, {self.tasks} tasks, "
            f"{self.threads} threads"
        )


def caches() -> list[Any]:
    """The functions of corral whose results are remembered."""
    modules = [module for name, module in sys.modules.items() if name.startswith("corral.")]
    found = [each for module in modules for each in vars(module).values() if isinstance(each, _lru_cache_wrapper)]
    return [each for each in found if each.__module__.startswith("corral.")]


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
