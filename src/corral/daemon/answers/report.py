"""The agent as its health endpoint shows it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import corral
from corral.config import Settings
from corral.daemon.answers.hosts import HostReport
from corral.daemon.answers.matrix import MatrixReport
from corral.daemon.desk import Desk
from corral.daemon.facts import Facts
from corral.dataplane.base import Dataplane
from corral.errors import DataplaneError, UnreachableError
from corral.nft.text import render, render_transaction
from corral.nft.tracker import Tracker, difference
from corral.policy.digest import policy_digest
from corral.policy.render import default_counter, rule_counter
from corral.policy.rules import Policy
from corral.sources.status import SourceStatus
from corral.web.metrics import RuleInfo, render_metrics
from corral.web.views import Json, Which

# The page of the documentation that goes through the reasons.
HELP = "troubleshooting"


class Report:
    """Implements `corral.web.views.AgentView`."""

    def __init__(
        self,
        settings: Settings,
        facts: Facts,
        desk: Desk,
        tracker: Tracker,
        dataplane: Dataplane | None,
        sources: dict[str, SourceStatus],
        hosts: HostReport | None = None,
        matrix: MatrixReport | None = None,
    ) -> None:
        self._settings = settings
        self._facts = facts
        self._desk = desk
        self._tracker = tracker
        self._dataplane = dataplane
        self._sources = sources
        self._hosts = hosts or HostReport(desk)
        self._matrix = matrix or MatrixReport(desk)

    def health(self) -> tuple[bool, Json]:
        """Readiness, and `status` with `mode` and `reasons`."""
        return self._facts.ready, {
            "status": self._facts.status,
            "mode": self._settings.mode,
            "reasons": self._facts.reasons(time.time()),
        }

    def state(self) -> Json:
        """What the agent knows, enforces and waits for."""
        _, health = self.health()
        return {
            "version": corral.__version__,
            **health,
            "help": [f"{HELP}#{reason.help}" for reason in self._facts.not_in_order()],
            "host": self._host(),
            "network": self._network(),
            "policy": self.policy(),
            "inventory": self._inventory(),
            "hosts": self._hosts.counts(),
            "sources": {name: status.describe() for name, status in self._sources.items()},
            "kernel": self._kernel(),
            "self_check": self._self_check(),
        }

    def policy(self) -> Json:
        """The policy in force, and why a newer one is not."""
        policy = self._desk.policy
        problems = [{"where": problem.where, "message": problem.message} for problem in self._facts.policy_problems]
        if policy is None:
            return {"in_force": False, "digest": None, "default": None, "rules": [], "problems": problems}
        return {
            "in_force": self._facts.programming.policy is not None and not self._facts.opened,
            "digest": policy_digest(policy),
            "default": policy.default_in_words,
            "rules": [str(rule) for rule in policy.rules],
            "problems": problems,
        }

    async def ruleset(self, which: Which) -> str:
        """As nft text; the difference as the commands that would close it."""
        if which is Which.DESIRED:
            return render(self._tracker.desired_ruleset())
        dump = await self._dataplane.dump() if self._dataplane else None
        if which is Which.INSTALLED:
            return render(dump.ruleset) if dump else ""
        if not self._desk.enforceable:
            raise UnreachableError("nothing to compare with yet: no picture of the environment, or no good policy")
        alien = "".join(f"# alien: {sentence}\n" for sentence in dump.alien) if dump else ""
        return alien + render_transaction(difference(self._tracker.desired_ruleset(), dump.ruleset if dump else None))

    async def metrics(self) -> bytes:
        """Prometheus text."""
        counters = await self._counters()
        ages = {name: status.age() for name, status in self._sources.items()}
        hosts, policy = self._hosts.counts(), self._desk.policy
        rules = _rule_infos(policy) if policy else ()
        warnings, now = await self._matrix.warning_counts(), time.monotonic()
        return render_metrics(
            self._facts, self._inventory(), counters, ages, now, hosts=hosts, rules=rules, warnings=warnings
        )

    async def _counters(self) -> Mapping[str, tuple[int, int]]:
        """None while they can not be read: the rest of the metrics tells why."""
        try:
            return await self._dataplane.counters() if self._dataplane else {}
        except DataplaneError:
            return {}

    def _host(self) -> Json:
        inventory = self._desk.inventory
        host = inventory.hosts.get(inventory.self_host)
        return {"uuid": inventory.self_host, "name": host.name if host else None}

    def _network(self) -> Json | None:
        network = self._desk.network
        if network is None:
            return None
        return {
            "name": network.name,
            "uuid": network.uuid,
            "bridge": network.bridge,
            "subnets": [str(subnet) for subnet in network.subnets],
            "others": list(network.others),
        }

    def _inventory(self) -> dict[str, int]:
        inventory = self._desk.inventory
        return {
            "hosts": len(inventory.hosts),
            "stacks": len(inventory.stacks),
            "services": len(inventory.services),
            "containers": len(inventory.containers),
            "endpoints": len(inventory.endpoints),
            "local_endpoints": len(self._facts.programming.local),
            "system_endpoints": self._desk.system_endpoints,
        }

    def _self_check(self) -> Json:
        checks = self._facts.self_checks
        return {
            "runs": checks.runs,
            "age_seconds": None if checks.last_at is None else time.monotonic() - checks.last_at,
            "seconds": checks.last_seconds,
            "differences": checks.last,
            "differences_ever": checks.differences,
        }

    def _kernel(self) -> dict[str, Any]:
        facts = self._facts
        age = None if facts.last_commit_at is None else time.time() - facts.last_commit_at
        verified = facts.timing.last_verified
        return {
            "programmed": facts.programmed,
            # What is pending during a large commit would take long to work out.
            "pending": facts.committing or bool(self._tracker.pending()),
            "garbage": bool(self._tracker.garbage()),
            "commits": facts.commits,
            "failed_commits": facts.failed_commits,
            "repairs": facts.repairs,
            "last_repair": facts.last_repair,
            "verified_age_seconds": None if verified is None else time.monotonic() - verified,
            "last_commit_age_seconds": age,
            "last_commit_seconds": facts.last_commit_seconds,
        }


def _rule_infos(policy: Policy) -> list[RuleInfo]:
    rules = enumerate(policy.rules)
    infos = [RuleInfo(rule_counter(rule), str(index), rule.action, str(rule)) for index, rule in rules]
    return [*infos, RuleInfo(default_counter(policy.default), "default", policy.default, policy.default_in_words)]
