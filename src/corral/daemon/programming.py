"""What of the desired ruleset the kernel holds, for each endpoint of this host. Pure: callers bring the clock.

The desk tells what changed, the engine when a transaction is made and what became of it. A change that concerns all
endpoints (the policy, the boundary of the managed network) is noted once for all of them, so that what is told costs
by the local endpoints that changed.
"""

from __future__ import annotations

from collections.abc import Callable, KeysView, Mapping
from typing import NamedTuple

from corral.model.endpoint import Endpoint
from corral.policy.rules import Policy
from corral.types import Address

# Readiness does not flap with each container that comes: a change gets so many seconds to reach the kernel.
GRACE = 1.0


class Stamp(NamedTuple):
    """A moment: how many transactions the kernel had taken by then, and the time in seconds since the epoch."""

    number: int
    at: float


class Held(NamedTuple):
    """Since when the kernel holds what an endpoint needs, when that was last read back, and the policy it is of.

    Times are in seconds since the epoch.
    """

    since: float
    verified: float | None
    policy: Policy


class Programming:
    """Follows changes into the kernel.

    What was told is *changed* until a transaction is made (`begin`), then *committing* until the kernel has taken one
    that holds it. Nothing is held while the table is in doubt: before the first comparison, after a failure, and while
    somebody else may have changed it.
    """

    def __init__(self) -> None:
        self.listeners: set[Callable[[], None]] = set()  # called when a round has ended well
        self._stamps: dict[Address, Stamp | None] = {}  # all endpoints of this host; None: never in the kernel yet
        self._changed: set[Address] = set()
        self._committing: set[Address] = set()
        self._policy_changed: Policy | None = None
        self._policy_committing: Policy | None = None
        self._policy: Policy | None = None
        self._policy_stamp = Stamp(0, 0.0)
        self._commits = 0
        self._unsure = True
        self._broken = False
        self._restored = Stamp(0, 0.0)
        self._verified: Stamp | None = None
        self._waiting_since: float | None = None
        self._committing_since: float | None = None

    # Told by the desk

    def endpoints_changed(self, endpoints: Mapping[Address, Endpoint | None]) -> None:
        """Endpoints came, changed or (None) went, on whatever host."""
        stamps = self._stamps
        for address, after in endpoints.items():
            if after is not None and after.local:
                stamps.setdefault(address)
                self._changed.add(address)
            elif address in stamps:
                del stamps[address]
                self._changed.discard(address)
                self._committing.discard(address)

    def policy_changed(self, policy: Policy) -> None:
        """All endpoints are to be judged by it, or the managed network's boundary differs."""
        self._policy_changed = policy

    def start_over(self) -> None:
        """Everything is made anew: what was told before counts no more."""
        self._stamps.clear()
        self._changed.clear()
        self._committing.clear()

    # Told by the engine

    def woken(self, now: float) -> None:
        """Something was told; `now` is monotonic."""
        if self._waiting_since is None:
            self._waiting_since = now

    def begin(self) -> None:
        """A transaction is made of all that was told so far, and of what an earlier one could not bring in."""
        if self._committing:
            self._committing |= self._changed
            self._changed.clear()
        else:
            self._committing, self._changed = self._changed, self._committing
        self._policy_committing = self._policy_changed or self._policy_committing
        self._policy_changed = None
        if self._committing_since is None:
            self._committing_since = self._waiting_since
        self._waiting_since = None

    def committed(self, now: float) -> None:
        """The kernel took it; `now` here and below is in seconds since the epoch."""
        self._commits += 1
        stamp = Stamp(self._commits, now)
        self._stamps.update(dict.fromkeys(self._committing, stamp))
        self._committing.clear()
        if self._policy_committing is not None:
            self._policy, self._policy_committing = self._policy_committing, None
            self._policy_stamp = stamp

    def needless(self, now: float) -> None:
        """There was nothing to commit: the kernel holds what was told. Where that was in doubt, this was found."""
        stamps, stamp, found = self._stamps, Stamp(self._commits, now), self._unsure
        for address in self._committing:
            if found or stamps[address] is None:
                stamps[address] = stamp
        self._committing.clear()
        if self._policy_committing is not None:
            if found or self._policy is None:
                self._policy_stamp = stamp
            self._policy, self._policy_committing = self._policy_committing, None

    def read_back(self, now: float) -> None:
        """The table was read, and held what was committed; or what is desired, and then nothing was pending."""
        self._verified = Stamp(self._commits, now)

    def failed(self) -> None:
        """Until a round ends well nobody knows what the kernel holds."""
        self._unsure = True

    def broken(self) -> None:
        """The table was not, or may not be, what was committed: what is held is held from the next good round on."""
        self._unsure = self._broken = True

    def settled(self, now: float) -> None:
        """A round has ended well, and the table is not in doubt."""
        self._committing_since = None
        if self._unsure:
            self._unsure = False
            if self._broken:
                self._broken, self._restored = False, Stamp(self._commits, now)
        for listener in tuple(self.listeners):
            listener()

    # What follows

    @property
    def local(self) -> KeysView[Address]:
        """The endpoints of this host, system ones included."""
        return self._stamps.keys()

    @property
    def policy(self) -> Policy | None:
        """The policy that the kernel holds: None in doubt, or while another one is on its way."""
        pending = self._policy_changed is not None or self._policy_committing is not None
        return None if self._unsure or pending else self._policy

    def held(self, address: Address) -> Held | None:
        """What is known of a local endpoint; None while anything that concerns it is pending or in doubt."""
        stamp, policy = self._stamps.get(address), self.policy
        if stamp is None or policy is None or address in self._changed or address in self._committing:
            return None
        last = max(stamp, self._policy_stamp, self._restored)
        verified = self._verified
        read = verified is not None and last.number <= verified.number and last.at <= verified.at
        return Held(last.at, verified.at if verified and read else None, policy)

    def why_not(self, address: Address) -> str:
        """Why an endpoint is not held, in words."""
        if self._broken:
            return "the table is, or may be, not what was committed: it is compared and repaired"
        if self._unsure:
            return "the table is not compared with the kernel's yet"
        if self.policy is None:
            return "a change of the policy is on its way into the kernel"
        if address not in self._stamps:
            return f"{address} is no endpoint of this host"
        return "its last change is on its way into the kernel"

    def brief(self, now: float) -> bool:
        """Whether nothing is missing but changes of single endpoints, all told less than GRACE seconds ago.

        `now` is on the clock of `woken`.
        """
        oldest = self._waiting_since if self._committing_since is None else self._committing_since
        return self.policy is not None and oldest is not None and now - oldest < GRACE
