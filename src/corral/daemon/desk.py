"""From inputs to the desired ruleset: inventory, policy and compiler, kept in step. No I/O, no clock.

A policy that can not be accepted leaves the last good one in force; an inventory that has lost its managed
network leaves the last good picture in force. Both are noted as facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from corral.daemon.facts import Facts
from corral.errors import PolicyError
from corral.model.change import Change, ManagedNetwork
from corral.model.endpoint import Endpoint
from corral.model.entities import Snapshot
from corral.model.inventory import Inventory
from corral.model.updates import Update
from corral.nft.tracker import Tracker
from corral.policy.compiler import Compiler
from corral.policy.enforcement import ENFORCE, Enforcement
from corral.policy.rules import OPEN, Policy
from corral.policy.validate import parse_policy
from corral.policy.verdict import Scene
from corral.types import Address


class Desk:
    """Feeds the inventory and passes exactly what changed to the compiler."""

    def __init__(
        self,
        tracker: Tracker,
        facts: Facts,
        *,
        unknown_allowed: bool,
        enforcement: Enforcement = ENFORCE,
        network_changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.inventory = Inventory()
        self.policy: Policy | None = None
        self.network: ManagedNetwork | None = None
        # The policy in force as Rancher gave it: the rules and the default action.
        self.raw_policy: tuple[object, object] = (None, None)
        self.tracker = tracker
        self.enforcement = enforcement
        self._unknown_allowed = unknown_allowed
        self._compiler = self._new_compiler()
        self.facts = facts
        self.network_changed = network_changed
        self._waiting: dict[Address, Endpoint | None] = {}
        # Grows with every change of what `scene` answers.
        self.version = 0

    def load(self, snapshot: Snapshot, now: float) -> bool:
        """Take a snapshot in; True when the desired ruleset may differ. `now` is monotonic seconds."""
        change = self.inventory.load(snapshot, now)
        first = not self.facts.inventory_loaded
        self.facts.inventory_loaded = True
        return self._take(change, network=change.network or first)

    def apply(self, update: Update, now: float) -> bool:
        """Take an event's update in."""
        change = self.inventory.apply(update, now)
        return self._take(change, network=change.network)

    def expire(self, now: float) -> bool:
        """Forget what events said and no snapshot confirmed in time."""
        change = self.inventory.expire(now)
        return self._take(change, network=change.network)

    def forget_idle(self, now: float) -> None:
        """While nothing expires: forget at least what changes nothing."""
        self.inventory.forget_idle(now)

    def start_over(self, snapshot: Snapshot, now: float) -> None:
        """Forget whatever earlier inputs have left behind, and take this snapshot in.

        Policy and boundary stay for the case that the snapshot brings no good ones.
        """
        self.version += 1
        self.tracker.clear()
        self.inventory = Inventory()
        self._waiting.clear()
        self.facts.inventory_problems = ()
        self.facts.programming.start_over()
        self._compiler = self._new_compiler()
        if self.network is not None:
            self._compiler.set_boundary(self.network.subnets, self.network.bridge)
        if self.policy is not None:
            self._enforce(OPEN if self.facts.opened else self.policy)
        Desk.load(self, snapshot, now)
        self.facts.changes.start_over()

    def renew(self, now: float) -> bool:
        """Make everything anew from what the sources told: whatever a bug has left behind is gone."""
        overlays = self.inventory.overlays()
        self.start_over(self.inventory.snapshot, now)
        change = self.inventory.recall(overlays)
        self._take(change, network=change.network)
        return True

    def set_logging(self, possible: bool) -> bool:
        """Say whether the kernel can log; True when the desired ruleset may differ."""
        before, self.enforcement = self.enforcement, replace(self.enforcement, log=possible)
        self._compiler.set_enforcement(self.enforcement)
        return self.enforcement != before

    def suspend(self) -> None:
        """Judge nothing until `resume`: the policy is taken for a plain allow; a table left by an earlier run goes."""
        self.version += 1
        self.facts.opened = True
        if self.enforceable:
            self._enforce(OPEN)
        else:
            self._compiler.clear()

    def resume(self) -> None:
        """Put the last good policy back in force."""
        self.version += 1
        self.facts.opened = False
        if self.policy is not None:
            self._enforce(self.policy)

    @property
    def enforceable(self) -> bool:
        """Whether there is anything to put into the kernel: a picture and, once, a good policy."""
        return self.network is not None and self.policy is not None

    @property
    def endpoints(self) -> Mapping[Address, Endpoint]:
        """Those that are compiled: without a managed network, the last ones."""
        return self._compiler.endpoints

    @property
    def system_endpoints(self) -> int:
        """How many of them are not judged."""
        return self._compiler.system_endpoints

    def scene(self) -> Scene | None:
        """What the reference verdict judges by: the very policy, subnets and endpoints that are compiled."""
        if self.network is None or self.policy is None:
            return None
        return Scene(
            policy=OPEN if self.facts.opened else self.policy,
            subnets=self.network.subnets,
            endpoints=self._compiler.endpoints,
            unknown_allowed=self._unknown_allowed,
        )

    def _new_compiler(self) -> Compiler:
        return Compiler(self.tracker, unknown_allowed=self._unknown_allowed, enforcement=self.enforcement)

    def _take(self, change: Change, *, network: bool) -> bool:
        if change.problems:
            self.facts.inventory_problems = self.inventory.problems
        if network:
            self._take_network(self.inventory.network)
        endpoints = change.endpoints
        if self.inventory.network is None or self._waiting:
            self._waiting.update(endpoints)
            if self.inventory.network is None:
                return False
            endpoints, self._waiting = self._waiting, {}
        self.facts.programming.endpoints_changed(endpoints)
        self.facts.changes.endpoints_change(endpoints, self._compiler.endpoints)
        self._compiler.update(endpoints)
        changed = network or bool(endpoints)
        self.version += changed
        return changed

    def _take_network(self, network: ManagedNetwork | None) -> None:
        if network is None:
            self.facts.network_error = "no managed network found; the last picture stays in force"
            return
        self.facts.network_error = None
        before, self.network = self.network, network
        self._compiler.set_boundary(network.subnets, network.bridge)
        if before and (before.subnets, before.bridge) != (network.subnets, network.bridge) and self.policy:
            self._enforce(OPEN if self.facts.opened else self.policy)
        self._take_policy(network)
        self.network_changed()

    def _take_policy(self, network: ManagedNetwork) -> None:
        try:
            policy = parse_policy(network.policy, network.default_policy_action)
        except PolicyError as error:
            self.facts.policy_problems = error.problems
            return
        self.facts.policy_problems = ()
        self.facts.policy_known = True
        self.raw_policy = network.policy, network.default_policy_action
        if policy != self.policy:
            self.policy = policy
            if not self.facts.opened:
                self._enforce(policy)

    def _enforce(self, policy: Policy) -> None:
        self._compiler.set_policy(policy)
        self.facts.programming.policy_changed(policy)
        self.facts.changes.policy_changes(policy)
