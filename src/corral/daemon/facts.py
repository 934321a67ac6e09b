"""What the agent knows about itself: facts that its parts note down, and what they mean for readiness.

Only values and rules here; the parts bring the times.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from corral.daemon.changes import Changes
from corral.daemon.programming import Programming
from corral.daemon.timing import Timing
from corral.types import Problem

# Of a document that is wrong everywhere nobody reads every fault.
PROBLEMS_TOLD = 20


class Status(StrEnum):
    """`degraded` is also said of an agent that enforces (ready) but lacks something, such as the event stream."""

    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a source, and since when, in seconds since the epoch."""

    text: str
    since: float


@dataclass(frozen=True, slots=True)
class Reason:
    """Something that is not in order. `cause` stays the same while the words change; several may have one cause.

    `remedy` says what to do, and `help` is the heading of `docs/troubleshooting.md` that says more, as in its address.
    `logged`: its own part of the agent writes a line about it, or it is gone in a moment and needs none.
    """

    text: str
    cause: str
    since: float | None = None
    remedy: str = ""
    logged: bool = False
    help: str = ""

    def sentence(self, now: float | None = None) -> str:
        """With the remedy and since when it is so; with `now`, for how long, too."""
        sentence = self.text
        if self.since is not None:
            sentence += f", since {_utc(self.since)}"
            sentence += f" ({lasting(now - self.since)})" if now is not None else ""
        return f"{sentence}; {self.remedy}" if self.remedy else sentence


def bridge_reason(text: str, remedy: str) -> Reason:
    """What keeps bridged packets from being judged; each text is a cause by itself."""
    return Reason(text, text, remedy=remedy, help="bridge-filtering")


MODE_OFF = Reason(
    "mode is off: nothing is enforced",
    "mode",
    remedy="restart the agent with CORRAL_MODE=enforce, or audit",
    help="mode-off",
)
NOTHING_LOADED = Reason(
    "waiting for the first answer of the metadata service",
    "nothing loaded",
    remedy="if this lasts, see that it answers on this host at CORRAL_METADATA_URL",
    help="no-answer-yet",
)
OPENED = Reason(
    "open: the policy is suspended until the metadata service is back (CORRAL_ON_STALE=open)",
    "opened",
    remedy="look after the metadata service of this host",
    help="policy-suspended",
)
BRIDGE_NOT_CHECKED = bridge_reason(
    "bridge filtering: not checked yet", "this comes as soon as the managed network is known"
)


@dataclass(slots=True)
class SelfChecks:
    """What comparing with the from-scratch result has shown: `last` counts differences, `last_at` is monotonic."""

    runs: int = 0
    differences: int = 0
    last_at: float | None = None
    last_seconds: float | None = None
    last: int = 0
    error: str | None = None


@dataclass(slots=True)
class DeniedCounts:
    """The kernel's reports of denied packets: flows known now, reports by verdict, and those that came too fast."""

    listening: bool = False
    flows: int = 0
    reports: dict[str, int] = field(default_factory=lambda: {"deny": 0, "audit": 0})
    lost: int = 0


@dataclass(slots=True)
class Facts:
    """The state of each part, as sentences for an operator; None where nothing is wrong.

    `blocking` facts mean that the kernel may not enforce the current policy for a current inventory. While `held`,
    what is desired is not known and nothing is committed. `clock` tells monotonic seconds.
    """

    inventory_loaded: bool = False
    programmed: bool = False
    committing: bool = False
    metadata_error: Trouble | None = None
    stale: Trouble | None = None
    frozen: Trouble | None = None
    unshown_since: float | None = None  # monotonic: an event changed something, and no version has come since
    network_error: str | None = None
    policy_known: bool = False
    policy_problems: tuple[Problem, ...] = ()
    kernel_error: str | None = None
    contested: str | None = None
    bridge_error: Reason | None = None
    unexpected_error: str | None = None
    held: bool = False
    events_error: Trouble | None = None
    api_error: Trouble | None = None
    denied_error: Trouble | None = None
    mode_off: bool = False
    opened: bool = False
    commits: int = 0
    failed_commits: int = 0
    repairs: int = 0
    last_repair: str | None = None
    last_commit_at: float | None = None
    last_commit_seconds: float | None = None
    inventory_problems: tuple[Problem, ...] = field(default=())
    timing: Timing = field(default_factory=Timing)
    programming: Programming = field(default_factory=Programming)
    changes: Changes = field(default_factory=Changes)
    denied: DeniedCounts = field(default_factory=DeniedCounts)
    self_checks: SelfChecks = field(default_factory=SelfChecks)
    clock: Callable[[], float] = time.monotonic

    def blocking(self) -> Iterator[Reason]:
        """Why the agent is not ready."""
        if self.mode_off:
            yield MODE_OFF
        if not self.inventory_loaded:
            yield NOTHING_LOADED
        yield from self._missing_metadata()
        if self.network_error:
            yield _no_network(self.network_error)
        if self.opened:
            yield OPENED
        kept = (
            "the last good one stays in force" if self.policy_known else "and no good one is known: nothing is changed"
        )
        for problem in self.policy_problems:
            text = f"policy rejected, {kept}: {problem}"
            yield Reason(text, "policy", remedy="correct it in Rancher", help="policy-rejected")
        yield from self._unsure_kernel()
        if self.inventory_loaded and not self._up_to_date and not (self.mode_off or self.kernel_error):
            yield Reason(
                "the kernel does not hold the current ruleset yet",
                "not programmed",
                remedy="wait a moment; if this lasts, see the agent's log",
                logged=True,
                help="not-in-the-kernel-yet",
            )

    def unenforced(self) -> Iterator[Reason]:
        """Why nothing of what was committed can be relied on, whatever the sources know."""
        if self.mode_off:
            yield MODE_OFF
        if not self.inventory_loaded:
            yield NOTHING_LOADED
        if self.network_error:
            yield _no_network(self.network_error)
        if self.opened:
            yield OPENED
        yield from self._unsure_kernel()

    @property
    def _up_to_date(self) -> bool:
        """A change of single endpoints that has only just come does not count: there is always one on a busy host."""
        return self.programmed or self.programming.brief(self.clock())

    def _missing_metadata(self) -> Iterator[Reason]:
        remedy = "look after the metadata service of this host"
        if self.metadata_error:
            kept = "the last good picture stays in force; " if self.inventory_loaded else ""
            text, since = f"metadata service: {self.metadata_error.text}", self.metadata_error.since
            yield Reason(text, "metadata service", since, kept + remedy, help="metadata-service")
        if self.stale:
            yield Reason(self.stale.text, "stale", self.stale.since, remedy, help="metadata-service")
        # While events come they keep the picture current, and this only hinders.
        if self.frozen and self.events_error:
            yield self._frozen(self.frozen)

    def _unsure_kernel(self) -> Iterator[Reason]:
        if self.kernel_error:
            remedy = "the agent tries again; `corral doctor` looks for what is missing"
            yield Reason(
                f"kernel: {self.kernel_error}", "kernel", remedy=remedy, logged=True, help="the-kernel-refuses"
            )
        if self.unexpected_error:
            remedy = "this is a bug: please report it, with what `corral bundle` makes"
            yield Reason(self.unexpected_error, "unexpected error", remedy=remedy, logged=True, help="a-bug-of-corral")
        if self.self_checks.error:
            remedy = "this is a bug: please report it, with what `corral bundle` makes, and restart the agent"
            yield Reason(self.self_checks.error, "self-check", remedy=remedy, logged=True, help="a-bug-of-corral")
        if self.contested:
            remedy = "stop whatever else changes the table inet corral"
            yield Reason(f"kernel: {self.contested}", "contested", remedy=remedy, help="repaired-again-and-again")
        if self.bridge_error:
            yield self.bridge_error

    def hindering(self) -> Iterator[Reason]:
        """What is wrong without touching enforcement."""
        if self.frozen and not self.events_error:
            yield self._frozen(self.frozen)
        if self.events_error:
            yield Reason(
                f"event stream: {self.events_error.text}",
                "event stream",
                self.events_error.since,
                "changes arrive by the metadata service only, seconds later; look after Rancher's address and keys",
                help="event-stream",
            )
        if self.api_error:
            yield Reason(
                f"Rancher API: {self.api_error.text}",
                "Rancher API",
                self.api_error.since,
                "events that refer to something new are left to the metadata service; look after the Rancher server",
                help="rancher-api",
            )
        if self.denied_error:
            yield Reason(
                f"denied flows: {self.denied_error.text}",
                "denied flows",
                self.denied_error.since,
                "meanwhile they are counted, but not told one by one",
                help="denied-flows-not-reported",
            )
        yield from map(_of_inventory, self.inventory_problems[:PROBLEMS_TOLD])
        if (more := len(self.inventory_problems) - PROBLEMS_TOLD) > 0:
            yield _of_inventory(f"{more} more problems of the inventory")

    def _frozen(self, frozen: Trouble) -> Reason:
        held = "nothing tells of changes" if self.events_error else "events keep the picture current meanwhile"
        remedy = f"{held}; restart the metadata service of this host"
        return Reason(frozen.text, "frozen", frozen.since, remedy, help="frozen-metadata")

    @property
    def ready(self) -> bool:
        return next(self.blocking(), None) is None

    @property
    def status(self) -> Status:
        if self.ready:
            return Status.DEGRADED if next(self.hindering(), None) else Status.READY
        return Status.DEGRADED if self.inventory_loaded or self.metadata_error else Status.STARTING

    def not_in_order(self) -> list[Reason]:
        """All reasons, those that block first."""
        return [*self.blocking(), *self.hindering()]

    def reasons(self, now: float | None = None) -> list[str]:
        """The same as sentences; `now` is in seconds since the epoch."""
        return [reason.sentence(now) for reason in self.not_in_order()]


def lasting(seconds: float) -> str:
    """A duration for people: at least two of the unit that is shown."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _no_network(text: str) -> Reason:
    remedy = "see that the environment's network service is up"
    return Reason(text, "network", remedy=remedy, help="no-managed-network")


def _of_inventory(problem: Problem | str) -> Reason:
    return Reason(str(problem), "inventory", remedy="correct it in Rancher", help="problems-of-the-inventory")


def _utc(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
