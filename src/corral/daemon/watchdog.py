"""Ends the process when its event loop hangs: the stacks go to standard error, and whoever started it starts it anew.

The table stays in the kernel meanwhile. A loop that hangs learns of nothing, and nothing else may notice: Rancher's
health checks do not reach every set-up.

A thread counts how often in a row it woke and found the loop where it was. Only time in which the process runs counts
that way: one that was stopped, frozen or suspended goes on where it was. Nor does time count for which a busy machine,
or a limit of CPU time, kept the loop's thread waiting for a processor, where the kernel tells (CONFIG_SCHED_INFO).
Code that never lets go of the interpreter holds up that thread, too; for it there is the interpreter's own alarm,
which knows no such mercy, and has more patience.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import threading
import time
from pathlib import Path

import structlog

log = structlog.get_logger()

# A commit of 200,000 elements takes 0.3 s in a thread, and on a busy machine the loop was seen waiting for seconds.
INTERVAL = 5.0
MISSES = 12
ALARM = 600.0
# Standard error may be a pipe that nobody reads: what is said last must not keep the process from ending.
PATIENCE = 1.0


class Watchdog:
    """`run` is a task of the loop that is watched.

    Ends the process with status 1 after the loop has not turned for `misses` intervals of `interval` seconds in which
    it could have, or, while not even a thread gets to run, after `alarm` seconds.
    """

    def __init__(self, interval: float = INTERVAL, misses: int = MISSES, alarm: float = ALARM) -> None:
        self._interval = interval
        self._misses = misses
        self._alarm = alarm
        self._turns = 0
        self._over = threading.Event()

    async def run(self) -> None:
        """Tell for ever that the loop turns; being cancelled ends the watch."""
        of_loop = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        thread = threading.Thread(target=self._watch, args=(of_loop,), name="watchdog", daemon=True)
        thread.start()
        try:
            while True:
                self._turns += 1
                await asyncio.sleep(self._interval / 2)
        finally:
            self._over.set()
            thread.join()  # it wakes up at once

    def _watch(self, of_loop: Path) -> None:
        seen, missed, waited = 0, 0, _kept_waiting(of_loop)
        while missed - (_kept_waiting(of_loop) - waited) / self._interval < self._misses - 0.5:
            faulthandler.dump_traceback_later(self._alarm, exit=True)
            if self._over.wait(self._interval):
                faulthandler.cancel_dump_traceback_later()
                return
            missed += 1
            if self._turns != seen:
                seen, missed, waited = self._turns, 0, _kept_waiting(of_loop)
        self._end()

    def _end(self) -> None:
        """The interpreter's alarm, which needs neither the interpreter nor the loop, writes the stacks and exits."""
        teller = threading.Thread(target=self._tell, daemon=True)
        teller.start()
        teller.join(PATIENCE)
        faulthandler.dump_traceback_later(0.001, exit=True)
        time.sleep(PATIENCE)
        os._exit(1)

    def _tell(self) -> None:
        seconds = self._interval * self._misses
        log.critical("the event loop hangs: this process ends, for a new one to start", seconds=seconds)


def _kept_waiting(schedstat: Path) -> float:
    """For how many seconds a thread could have run and had no processor; 0 where the kernel does not tell."""
    try:
        return int(schedstat.read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
