"""Desired ruleset -> kernel: the one writer, one transaction for each batch of changes.

While a transaction is being committed, further changes collect into the next one; where they come densely, for a
moment longer (see `pacing`). Whatever is in doubt
(start, refusal, no answer, a foreign change) has one way out: dump, compare, commit the difference. Where that fails
again and again, because the kernel goes on refusing or the table can not be read, the whole table is replaced.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import structlog

from corral.daemon.facts import Facts
from corral.daemon.pacing import Pacing
from corral.dataplane.base import Dataplane
from corral.errors import CommitError, DataplaneError
from corral.nft.tracker import Tracker
from corral.nft.transaction import DeleteTable, Transaction
from corral.sources.backoff import Backoff

log = structlog.get_logger()

# Removals wait for RCU in the kernel and nobody waits for them: they come after a quiet moment.
GARBAGE_DELAY = 1.0
COMPARE_INTERVAL = 60.0

# Each so-manieth failure in a row is answered by replacing the whole table, which needs no dump.
FAILURES_BEFORE_REPLACEMENT = 3
# A bug of our own that goes on for longer than that may sit in our memory: end, and let a new process start afresh.
FAILURES_BEFORE_THE_END = 5

# Against somebody who writes in a loop we rest so many times as long as the comparison took, at most so long.
REST = 3.0
LONGEST_REST = 0.5
# So many repairs within so many seconds are a fight, in which nobody can say what is in force.
FIGHT_REPAIRS = 5
FIGHT_WINDOW = 10.0


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
        self._pacing = Pacing()
        self._doubt: str | None = "start"
        self._started = False
        self._failures = 0  # in a row
        self._backoff = Backoff(first=0.05, limit=2.0)
        self._rested_at = 0.0
        self._repairs: deque[float] = deque(maxlen=FIGHT_REPAIRS)
        self._calm_at = math.inf
        self._compare_at = time.monotonic() + compare_interval
        self._compare_interval = compare_interval
        self._garbage_at = math.inf

    def wake(self) -> None:
        """Something may be pending; until it is committed the kernel does not hold what is desired."""
        self._facts.programmed = False
        self._facts.programming.woken(time.monotonic())
        self._wake.set()

    def doubt(self, reason: str) -> None:
        """The kernel may differ from what we believe: compare with it before anything else."""
        self._doubt = reason
        self._wake.set()

    def tampered(self, reason: str) -> None:
        """Somebody else has changed the table: a doubt, and nothing to rely on until the comparison."""
        self._facts.programmed = False
        self._facts.programming.broken()
        self.doubt(reason)

    async def run(self) -> None:
        """Serve for ever; cancelling is clean at every point, for a commit is atomic in the kernel."""
        while True:
            await self._due()
            self._wake.clear()
            try:
                await self._round()
            except DataplaneError as error:
                await self._failed(error)
            except Exception as error:
                if self._failures >= FAILURES_BEFORE_THE_END:
                    raise
                log.exception("unexpected error while committing")
                await self._failed(DataplaneError(f"unexpected error: {error!r}"))

    async def _due(self) -> None:
        """Wait until woken, or until something is due by time: a stream of changes delays neither."""
        due = min(self._compare_at, self._garbage_at, self._calm_at)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, due - time.monotonic())):
                await self._wake.wait()
        if time.monotonic() >= self._compare_at:
            self._doubt = self._doubt or "periodic comparison"
        if time.monotonic() >= self._calm_at:
            self._facts.contested, self._calm_at = None, math.inf
        if self._doubt is not None:
            await asyncio.sleep(max(0.0, self._rested_at - time.monotonic()))
        elif delay := self._pacing.delay(time.monotonic()):
            await asyncio.sleep(delay)

    async def _round(self) -> None:
        if not self._enforceable():
            self._put_off_deadlines()
            return
        reason, self._doubt = self._doubt, None
        wanted, amiss = (self._tracker.pending(), False) if reason is None else await self._remedy()
        if not self._enforceable():  # any more: while the table was read, what is desired has been lost
            self._doubt = reason
            return
        operations = await self._commit_changes(wanted)
        if reason is not None and not operations:  # the table that was read holds all that is desired
            self._facts.programming.read_back(self._clock())
        if reason is not None or time.monotonic() >= self._garbage_at:
            operations += await self._collect_garbage()
        if reason is not None and amiss and operations and self._started:
            self._repaired(reason, operations)
        self._started = True
        self._failures = 0
        self._backoff.reset()
        self._facts.kernel_error = None
        self._facts.programmed = not self._wake.is_set()
        if self._doubt is None:
            self._facts.programming.settled(self._clock())
        self._facts.changes.settled()

    def _put_off_deadlines(self) -> None:
        self._compare_at = time.monotonic() + self._compare_interval
        self._garbage_at = math.inf

    async def _remedy(self) -> tuple[Transaction, bool]:
        """What turns the table, whatever it holds, into the desired one; in one transaction, where kernels allow it.

        And whether something was amiss, so that this is more than what has come to be desired since.
        """
        if self._failures and self._failures % FAILURES_BEFORE_REPLACEMENT == 0:
            # Else a comparison that is due and never succeeds would have the table replaced over and over.
            self._compare_at = time.monotonic() + self._compare_interval
            self._facts.programming.broken()
            return self._tracker.replace(), True
        started = time.monotonic()
        dump = await self._dataplane.dump()
        as_committed = self._tracker.adopt(dump.ruleset if dump else None) and not (dump and dump.alien)
        self._facts.programmed = self._facts.programmed and as_committed
        self._facts.timing.verified(time.monotonic(), as_committed=as_committed)
        if as_committed:
            self._facts.programming.read_back(self._clock())
        elif self._started:
            self._facts.programming.broken()
        ended = time.monotonic()
        self._compare_at = ended + self._compare_interval
        self._rested_at = ended + min(REST * (ended - started), LONGEST_REST)
        amiss = not as_committed or self._failures > 0
        return (self._tracker.replace() if dump and dump.alien else self._with_garbage(self._tracker.pending())), amiss

    def _with_garbage(self, pending: Transaction) -> Transaction:
        """What nothing referred to can go along; not once the kernel has refused something: that may be the reason."""
        along = self._tracker.garbage() if not self._failures and _keeps_table(pending) else Transaction()
        return Transaction(pending.operations + along.operations)

    async def _commit_changes(self, transaction: Transaction) -> int:
        timing, programming, changes = self._facts.timing, self._facts.programming, self._facts.changes
        timing.begin()
        programming.begin()
        changes.begin()
        operations = await self._commit(transaction)
        if operations:
            changes.committed(timing.committed(time.monotonic()))
            programming.committed(self._clock())
        else:
            timing.needless()
            programming.needless(self._clock())
        return operations

    async def _commit(self, transaction: Transaction) -> int:
        """Commit what there is to commit; the number of operations."""
        if not transaction:
            return 0
        started = time.perf_counter()
        self._facts.committing = True
        try:
            await self._dataplane.commit(transaction)
        except ValueError as error:
            # What nft could not print and read back must not end the agent: the rest goes on being enforced.
            raise CommitError(f"not committed: {error}") from error
        finally:
            self._facts.committing = False
        self._pacing.committed(time.monotonic())
        self._tracker.committed(transaction)
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
        self._facts.changes.repaired(reason)
        now = time.monotonic()
        self._repairs.append(now)
        if len(self._repairs) == FIGHT_REPAIRS and now - self._repairs[0] <= FIGHT_WINDOW:
            self._facts.contested = f"repaired again and again, not in force in between; the last time: {reason}"
            self._calm_at = now + FIGHT_WINDOW
        log.warning("ruleset repaired", cause=reason, operations=operations)

    async def _failed(self, error: DataplaneError) -> None:
        self._failures += 1
        self._facts.failed_commits += 1
        self._facts.programmed = False
        self._facts.programming.failed()
        if self._facts.kernel_error != str(error):
            log.error("kernel refused", error=str(error), errno=error.errno)
        self._facts.kernel_error = str(error)
        self.doubt(f"after: {error}")
        await asyncio.sleep(self._backoff.next_delay())


def _keeps_table(transaction: Transaction) -> bool:
    return not any(isinstance(operation, DeleteTable) for operation in transaction.operations)
