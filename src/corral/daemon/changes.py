"""What a commit changed, in words, for those who follow the events. Nothing is noted while nobody does. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from corral.daemon.naming import flow_end
from corral.daemon.times import rfc3339
from corral.documents.events import ChangeEvent, ContainerChanges
from corral.model.endpoint import Endpoint
from corral.model.entities import Container
from corral.policy.digest import policy_digest
from corral.policy.rules import Policy
from corral.types import Address

NAMED = 20

Differences = dict[Address, tuple[Endpoint | None, Endpoint | None]]  # before and after


@dataclass(slots=True)
class Change:
    """What one or several commits brought into the kernel. `latency` is in seconds, from the first event."""

    endpoints: Differences = field(default_factory=dict)
    policy: Policy | None = None
    repair: str | None = None
    latency: float | None = None

    def __bool__(self) -> bool:
        return bool(self.endpoints or self.policy or self.repair)

    def add(self, later: Change) -> None:
        """What was desired after this."""
        for address, (before, after) in later.endpoints.items():
            self.endpoints[address] = self.endpoints.get(address, (before, after))[0], after
        self.policy = later.policy or self.policy


@dataclass(slots=True)
class Changes:
    """Collects what has come to be desired, and tells of it when the kernel holds it. `told` is None for nobody."""

    told: Callable[[Change], None] | None = None
    _next: Change = field(default_factory=Change)
    _committing: Change = field(default_factory=Change)

    def follow(self, told: Callable[[Change], None] | None) -> None:
        """Tell somebody of the changes from now on, or nobody."""
        self.told = told
        self._next, self._committing = Change(), Change()

    def endpoints_change(self, changes: Mapping[Address, Endpoint | None], present: Mapping[Address, Endpoint]) -> None:
        """Endpoints are about to be other than at present."""
        if self.told is not None:
            self._next.add(Change({address: (present.get(address), after) for address, after in changes.items()}))

    def policy_changes(self, policy: Policy) -> None:
        """Another policy is about to be in force."""
        if self.told is not None:
            self._next.policy = policy

    def start_over(self) -> None:
        """Everything was made anew: that is no change of the environment."""
        self._next = Change()

    def begin(self) -> None:
        """A transaction is made of all so far, and of what an earlier one could not bring in."""
        if self._next:
            self._committing.add(self._next)
            self._next = Change()

    def committed(self, latency: float | None) -> None:
        """The kernel took it."""
        self._committing.latency = latency

    def repaired(self, reason: str) -> None:
        """It was the answer to a difference that somebody else had made."""
        self._committing.repair = reason

    def settled(self) -> None:
        """The kernel holds all that was begun."""
        if self._committing:
            change, self._committing = self._committing, Change()
            if self.told is not None:
                self.told(change)


def change_event(change: Change, containers: Mapping[str, Container], at: float) -> ChangeEvent:
    """As JSON; `at` is seconds since the epoch."""

    def named(chosen: Iterable[tuple[Address, Endpoint | None]]) -> ContainerChanges:
        """By the name that each has, or had."""
        found = list(chosen)
        known = {address: endpoint for address, endpoint in found[:NAMED] if endpoint is not None}
        ends = [flow_end(address, known, containers) for address in known]
        return {
            "count": len(found),
            "names": [end["party"] if end["name"] in (None, end["address"]) else end["name"] for end in ends],
        }

    differing = [(address, before, after) for address, (before, after) in change.endpoints.items() if before != after]
    return {
        "at": rfc3339(at),
        "came": named((address, after) for address, before, after in differing if before is None),
        "went": named((address, before) for address, before, after in differing if after is None),
        "changed": named((address, after) for address, before, after in differing if before and after),
        "policy": policy_digest(change.policy) if change.policy else None,
        "repair": change.repair,
        "latency_seconds": change.latency,
    }
