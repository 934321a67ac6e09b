"""Desired ruleset -> kernel: the one writer, one transaction for each batch of changes.

While a transaction is being committed, further changes collect into the next one. Whatever is in doubt
(start, refusal, no answer, a foreign change) has one way out: dump, compare, commit the difference.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from corral.daemon.facts import Facts
from corral.dataplane.base import Dataplane
from corral.errors import CommitError, DataplaneError
from corral.nft.tracker import Tracker
from corral.nft.transaction import Transaction
from corral.sources.backoff import Backoff

log = structlog.get_logger()

# Removals wait for RCU in the kernel and nobody waits for them: they come after a quiet moment.
GARBAGE_DELAY = 1.0
COMPARE_INTERVAL = 60.0


class Engine:
    """Commits what the tracker has pending whenever it is woken; owns the dataplane's writes."""

    def __init__(
        self,
        dataplane: Dataplane,
        tracker: Tracker,
        facts: Facts,
        *,
        enforceable: Callable[[], bool],
        clock: Callable[[], float] = time.time,
        compare_interval: float = COMPARE_INTERVAL,
    ) -> None:
        self._dataplane = dataplane
        self._tracker = tracker
        self._facts = facts
        self._enforceable = enforceable
        self._clock = clock
        self._wake = asyncio.Event()
        self._doubt: str | None = "start"
        self._started = False
        self._alien: tuple[str, ...] = ()
        self._backoff = Backoff(first=0.05, limit=5.0)
        self._compare_at = time.monotonic() + compare_interval
        self._compare_interval = compare_interval
        self._garbage_at = math.inf

    def wake(self) -> None:
        """Something may be pending; until it is committed the kernel does not hold what is desired."""
        self._facts.programmed = False
        self._wake.set()

    def doubt(self, reason: str) -> None:
        """The kernel may differ from what we believe: compare with it before anything else."""
        self._doubt = reason
        self._wake.set()

    async def run(self) -> None:
        """Serve for ever; cancelling is clean at every point, for a commit is atomic in the kernel."""
        while True:
            await self._due()
            self._wake.clear()
            try:
                await self._round()
            except DataplaneError as error:
                await self._failed(error)

    async def _due(self) -> None:
        """Wait until woken, or until the comparison or the garbage is due: a stream of changes delays neither."""
        due = min(self._compare_at, self._garbage_at)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, due - time.monotonic())):
                await self._wake.wait()
        if time.monotonic() >= self._compare_at:
            self._doubt = self._doubt or "periodic comparison"

    async def _round(self) -> None:
        if not self._enforceable():
            self._put_off_deadlines()
            return
        reason, self._doubt = self._doubt, None
        if reason is not None:
            await self._compare()
        operations = await self._commit(self._tracker.replace() if self._alien else self._tracker.pending())
        self._alien = ()
        if reason is not None or time.monotonic() >= self._garbage_at:
            operations += await self._collect_garbage()
        if reason is not None and operations and self._started:
            self._repaired(reason, operations)
        self._started = True
        self._facts.kernel_error = None
        self._facts.programmed = not self._wake.is_set()

    def _put_off_deadlines(self) -> None:
        self._compare_at = time.monotonic() + self._compare_interval
        self._garbage_at = math.inf

    async def _compare(self) -> None:
        dump = await self._dataplane.dump()
        self._alien = dump.alien if dump else ()
        self._tracker.adopt(dump.ruleset if dump else None)
        self._compare_at = time.monotonic() + self._compare_interval

    async def _commit(self, transaction: Transaction) -> int:
        """Commit what there is to commit; the number of operations."""
        if not transaction:
            return 0
        started = time.perf_counter()
        try:
            await self._dataplane.commit(transaction)
        except ValueError as error:
            # What nft could not print and read back must not end the agent: the rest goes on being enforced.
            raise CommitError(f"not committed: {error}") from error
        self._tracker.committed(transaction)
        self._backoff.reset()
        self._facts.commits += 1
        self._facts.last_commit_at = self._clock()
        self._facts.last_commit_seconds = time.perf_counter() - started
        log.debug("committed", operations=len(transaction.operations), seconds=self._facts.last_commit_seconds)
        self._garbage_at = min(self._garbage_at, time.monotonic() + GARBAGE_DELAY)
        return len(transaction.operations)

    async def _collect_garbage(self) -> int:
        """Remove what nothing refers to any more, stage by stage; the number of operations."""
        operations = 0
        while garbage := self._tracker.garbage():
            operations += await self._commit(garbage)
        self._garbage_at = math.inf
        return operations

    def _repaired(self, reason: str, operations: int) -> None:
        self._facts.repairs += 1
        self._facts.last_repair = reason
        log.warning("ruleset repaired", cause=reason, operations=operations)

    async def _failed(self, error: DataplaneError) -> None:
        self._facts.failed_commits += 1
        self._facts.programmed = False
        if self._facts.kernel_error != str(error):
            log.error("kernel refused", error=str(error), errno=error.errno)
        self._facts.kernel_error = str(error)
        self.doubt(f"after: {error}")
        await asyncio.sleep(self._backoff.next_delay())
