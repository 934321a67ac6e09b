"""What the agent knows about itself: facts that its parts note down, and what they mean for readiness.

Only values and rules here; the parts bring the clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from corral.types import Problem


class Status(StrEnum):
    """`degraded` is also said of an agent that enforces (ready) but lacks something, such as the event stream."""

    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"


@dataclass(slots=True)
class Facts:
    """The state of each part, as sentences for an operator; None where nothing is wrong.

    `blocking` facts mean that the kernel may not enforce the current policy for a current inventory.
    """

    inventory_loaded: bool = False
    programmed: bool = False
    metadata_error: str | None = None
    stale: str | None = None
    network_error: str | None = None
    policy_known: bool = False
    policy_problems: tuple[Problem, ...] = ()
    kernel_error: str | None = None
    bridge_error: str | None = None
    events_error: str | None = None
    mode_off: bool = False
    opened: bool = False
    commits: int = 0
    failed_commits: int = 0
    repairs: int = 0
    last_repair: str | None = None
    last_commit_at: float | None = None
    last_commit_seconds: float | None = None
    inventory_problems: tuple[Problem, ...] = field(default=())

    def blocking(self) -> Iterator[str]:
        """Why the agent is not ready."""
        if self.mode_off:
            yield "mode is off: nothing is enforced"
        if not self.inventory_loaded:
            yield "waiting for the first answer of the metadata service"
        if self.metadata_error:
            yield f"metadata service: {self.metadata_error}"
        yield from filter(None, (self.stale, self.network_error))
        if self.opened:
            yield "open: the policy is suspended until the metadata service is back (CORRAL_ON_STALE=open)"
        kept = (
            "the last good one stays in force" if self.policy_known else "and no good one is known: nothing is changed"
        )
        yield from (f"policy rejected, {kept}: {problem}" for problem in self.policy_problems)
        if self.kernel_error:
            yield f"kernel: {self.kernel_error}"
        if self.bridge_error:
            yield self.bridge_error
        if self.inventory_loaded and not self.programmed and not (self.mode_off or self.kernel_error):
            yield "the kernel does not hold the current ruleset yet"

    def hindering(self) -> Iterator[str]:
        """What is wrong without touching enforcement."""
        if self.events_error:
            yield f"event stream: {self.events_error}; changes arrive by the metadata service only, seconds later"
        yield from map(str, self.inventory_problems)

    @property
    def ready(self) -> bool:
        return next(self.blocking(), None) is None

    @property
    def status(self) -> Status:
        if self.ready:
            return Status.DEGRADED if next(self.hindering(), None) else Status.READY
        return Status.DEGRADED if self.inventory_loaded or self.metadata_error else Status.STARTING

    def reasons(self) -> list[str]:
        return [*self.blocking(), *self.hindering()]
