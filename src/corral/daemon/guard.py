"""The desk, and what becomes of an input that it can not take in because of a bug.

An exception may leave inventory and compiler half changed. So both are thrown away and made anew from the last good
snapshot; the agent is not ready, and leaves the events aside, until the metadata service tells something new. That is
one more compilation for each snapshot, at most. When even the last good snapshot fails, nothing is committed meanwhile:
the table stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog

from corral.daemon.desk import Desk
from corral.model.entities import Snapshot
from corral.model.updates import ServiceUpdate, StackUpdate, Update

log = structlog.get_logger()

SNAPSHOT, AGE, SUSPENSION = "a picture of the metadata service", "the age of events", "the suspension of the policy"
LOGGING = "whether the kernel can log"
RENEWAL = "what the sources told, all over again"


class GuardedDesk(Desk):
    """A desk whose inputs never raise."""

    _good: Snapshot | None = None
    _now = 0.0
    _deaf = False  # events are left aside until the next snapshot

    def load(self, snapshot: Snapshot, now: float) -> bool:
        """See `Desk`."""
        self._now = now
        return self._guarded(SNAPSHOT, lambda: self._load(snapshot))

    def apply(self, update: Update, now: float) -> bool:
        """See `Desk`. After a failure the next snapshot comes first."""
        self._now = now
        work = partial(super().apply, update, now)
        return not self._deaf and self._guarded(f"an event about {_name(update)}", work)

    def expire(self, now: float) -> bool:
        """See `Desk`."""
        self._now = now
        return not self.facts.held and self._guarded(AGE, partial(super().expire, now))

    def renew(self, now: float) -> bool:
        """See `Desk`. What is held is renewed by the next snapshot."""
        self._now = now
        return not self.facts.held and self._guarded(RENEWAL, partial(super().renew, now))

    def set_logging(self, possible: bool) -> bool:
        """See `Desk`."""
        return self._guarded(LOGGING, partial(super().set_logging, possible))

    def suspend(self) -> None:
        """See `Desk`. While held there is no policy to suspend."""
        if not self.facts.held:
            self._guarded(SUSPENSION, super().suspend)

    def resume(self) -> None:
        """See `Desk`."""
        if not self.facts.held:
            self._guarded(SUSPENSION, super().resume)

    def _load(self, snapshot: Snapshot) -> bool:
        if self.facts.held:
            self._restore(snapshot)
            changed = not self.facts.held
        else:
            changed = super().load(snapshot, self._now)
        self._good = snapshot
        self._deaf, self.facts.unexpected_error = False, None
        return changed

    def _restore(self, snapshot: Snapshot) -> None:
        self.facts.held = True
        self.start_over(snapshot, self._now)
        # Without a managed network the last picture would have to stay in force, and that is gone.
        self.facts.held = self.inventory.network is None

    def _guarded(self, what: str, work: Callable[[], bool | None]) -> bool:
        """What the work returns; after a failure, whether there is something to commit."""
        try:
            return bool(work())
        except Exception as error:
            log.exception("unexpected error", input=what)
            self._recover(f"{what} could not be taken in ({type(error).__name__}, see the log)")
            return not self.facts.held

    def _recover(self, trouble: str) -> None:
        self._deaf = True
        try:
            self._restore(self._good or Snapshot())
        except Exception:
            log.exception("unexpected error", input="the last good picture of the metadata service")
        kept = "the table stays as it is" if self.facts.held else "the last good picture is in force, without events"
        self.facts.unexpected_error = f"{trouble}: {kept}, until the metadata service tells something new"


def _name(update: Update) -> str:
    """What an event was about, without its content: that may be what can not be handled."""
    if isinstance(update, ServiceUpdate | StackUpdate):
        return f"{type(update).__name__} {update.key}"
    return f"{type(update).__name__} {update.uuid}"
