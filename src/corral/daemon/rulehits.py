"""What each rule decided, and when last: the kernel's counters, read now and then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from corral.daemon.answers.matrix import MatrixReport
from corral.daemon.desk import Desk
from corral.daemon.times import rfc3339
from corral.dataplane.base import Dataplane
from corral.documents.matrix import PolicyWarning
from corral.documents.rules import Hits, RuleHits, Rules
from corral.errors import DataplaneError, UnreachableError
from corral.policy.digest import policy_digest
from corral.policy.render import INVALID_DROP, IPV6_DROP, default_counter, rule_counter
from corral.policy.rules import Policy
from corral.types import Action

log = structlog.get_logger()

INTERVAL = 10.0
# A large commit holds up whoever asks the kernel: the counters can wait.
BUSY_INTERVAL = 1.0
# Of rules that are in no policy any more.
MOST_REMEMBERED = 4096

_OTHERS = {
    INVALID_DROP: "packets that belong to no flow",
    IPV6_DROP: "IPv6 between containers of the managed bridge",
}

Counts = Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Tally:
    """One counter: `packets` and `octets` in all, what the kernel said last, and when (epoch seconds) it last grew."""

    packets: int = 0
    octets: int = 0
    told: tuple[int, int] = (0, 0)
    last_hit: float | None = None


NONE = Tally()


class Tallies:
    """Follows counters that may start again from zero, with another table, and go on from where they were before us.

    What the first reading says was counted at an unknown time; what a later one says of a counter that was not there
    before was counted since.
    """

    def __init__(self) -> None:
        self._known: dict[str, Tally] = {}
        self._read = False

    def take(self, counts: Counts, now: float) -> None:
        """A reading of all counters that there are; `now` is in seconds since the epoch."""
        for name, told in counts.items():
            before = self._known.pop(name, None)
            self._known[name] = self._next(before, told, now)
        self._read = True
        for name in list(self._known)[: max(0, len(self._known) - len(counts) - MOST_REMEMBERED)]:
            del self._known[name]

    def _next(self, before: Tally | None, told: tuple[int, int], now: float) -> Tally:
        if before is None:
            return Tally(*told, told, now if self._read and told[0] else None)
        if told[0] < before.told[0]:
            before = replace(before, told=(0, 0))
        packets, octets = told[0] - before.told[0], told[1] - before.told[1]
        last_hit = now if packets else before.last_hit
        return Tally(before.packets + packets, before.octets + octets, told, last_hit)

    def gone(self) -> None:
        """There is no table: its counters start from zero when it is there."""
        self._read = True
        self._known = {name: replace(tally, told=(0, 0)) for name, tally in self._known.items()}

    def of(self, name: str) -> Tally:
        """What is known of a counter; zeros of one that was never there."""
        return self._known.get(name, NONE)


class RuleHitsReport:
    """Implements `corral.web.rules.RulesView`; `run` keeps the times of last hits within INTERVAL seconds."""

    def __init__(
        self,
        desk: Desk,
        dataplane: Dataplane,
        mode: str,
        matrix: MatrixReport,
        *,
        interval: float = INTERVAL,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._desk = desk
        self._dataplane = dataplane
        self._mode = mode
        self._matrix = matrix
        self._interval = interval
        self._clock = clock
        self._since = clock()
        self._sampled: float | None = None
        self._tallies = Tallies()

    async def run(self) -> None:
        """For ever."""
        while True:
            busy = self._desk.facts.committing
            if not busy:
                try:
                    await self.sample()
                except DataplaneError as error:
                    log.debug("the counters could not be read", error=str(error))
            await asyncio.sleep(BUSY_INTERVAL if busy else self._interval)

    async def sample(self) -> None:
        """Read the counters. Raises DataplaneError."""
        counts = await self._dataplane.counters()
        self._sampled = self._clock()
        if counts:
            self._tallies.take(counts, self._sampled)
        else:
            self._tallies.gone()

    async def rules(self) -> Rules:
        """What each rule decided, as of now if the kernel can be asked. Raises UnreachableError."""
        scene = self._desk.scene()
        if scene is None:
            raise UnreachableError("nothing is known yet: no picture of the environment, or no good policy")
        if not self._desk.facts.committing and self._mode != "off":
            try:
                await self.sample()
            except DataplaneError as error:
                log.debug("the counters could not be read", error=str(error))
        policy, linted = scene.policy, await self._matrix.warnings()
        digest = policy_digest(policy)
        warnings = linted["warnings"] if linted["policy"] == digest else []  # else there is a newer policy already
        return {
            "policy": digest,
            "mode": self._mode,
            "since": rfc3339(self._since),
            "sampled": None if self._sampled is None else rfc3339(self._sampled),
            "rules": [self._rule(policy, index, warnings) for index in range(len(policy.rules))],
            "default": self._hits("what no rule matches", policy.default, default_counter(policy.default)),
            "others": [self._hits(text, Action.DENY, name) for name, text in _OTHERS.items()],
            "warnings": [_sentence(warning) for warning in warnings if warning["rule"] is None],
        }

    def _rule(self, policy: Policy, index: int, warnings: Sequence[PolicyWarning]) -> RuleHits:
        rule = policy.rules[index]
        hits = self._hits(str(rule), rule.action, rule_counter(rule))
        told = [_sentence(warning) for warning in warnings if warning["rule"] == index]
        return {"index": index, **hits, "warnings": told}

    def _hits(self, text: str, action: Action, counter: str) -> Hits:
        tally = self._tallies.of(counter)
        return {
            "text": text,
            "action": action.value,
            "counter": counter,
            "packets": tally.packets,
            "bytes": tally.octets,
            "last_hit": None if tally.last_hit is None else rfc3339(tally.last_hit),
        }


def _sentence(warning: PolicyWarning) -> str:
    return f"{warning['sentence']}; {warning['remedy']}"
