"""One agent in this process, between a Rancher that never rests and a kernel that does not always do as it is told."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvloop

from corral.config import load_settings
from corral.daemon.agent import Agent
from corral.daemon.facts import Facts
from corral.dataplane.flows.flowlog import FlowLog
from corral.dataplane.kernel import KernelDataplane
from corral.nft.tracker import difference
from corral.nft.values import Ruleset
from corral.policy.scratch import compile_ruleset
from corral.sandbox.links import Links
from corral.sandbox.metadata_server import MetadataServer
from corral.sandbox.namespace import Namespace
from corral.sandbox.rancher_server import RancherServer
from corral.sandbox.topology import BRIDGE

from ..daemon.running import desk_of, until
from .churn import Churn
from .faults import Faults, FaultyDataplane
from .gauges import Gauges

LOOPBACK, METADATA_PORT, RANCHER_PORT = "127.0.0.1", 8081, 8080
CHANGES_A_FAULT = 500
PATIENCE = 60.0
QUEUE, DEAF = 20, 300
IN_FORCE = 0.2
GROWTH_LIMIT = 1.05
# Longer than the inventory waits for a snapshot to confirm what an event said.
LONG = 3600.0


class ViolationError(Exception):
    """A promise is broken."""


@dataclass(frozen=True)
class Options:
    changes: int
    checkpoint: int
    seed: int
    warm_up: int


@dataclass
class Summary:
    """What the run has shown."""

    options: Options
    seconds: float = 0.0
    changes: int = 0
    gauges: list[tuple[int, Gauges]] = field(default_factory=list)
    struck: dict[str, int] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)

    def growth(self) -> float:
        """Memory at the end over memory after the warm-up."""
        warm = next(gauges for changes, gauges in self.gauges if changes >= self.options.warm_up)
        return self.gauges[-1][1].memory / warm.memory


class Soak:
    """Everything that takes part."""

    def __init__(self, options: Options, namespace: Namespace, tell: Callable[[str], None]) -> None:
        self.summary = Summary(options)
        self._options = options
        self._tell = tell
        self._calm, self._deaf = True, 0
        rng = random.Random(options.seed)  # noqa: S311
        self._churn = Churn(rng)
        self._kernel = FaultyDataplane(rng)
        self._stranger = KernelDataplane()
        environment = self._churn.environment
        self._rancher = RancherServer(environment, namespace, address=LOOPBACK, port=RANCHER_PORT)
        self._metadata = MetadataServer(environment, 0, namespace, address=LOOPBACK, port=METADATA_PORT, lag=0.1)
        self._faults = Faults(rng, self._kernel, self._stranger, self._rancher, self._metadata)
        self._agent = Agent(
            load_settings(
                {
                    "CORRAL_METADATA_URL": f"http://{LOOPBACK}:{METADATA_PORT}/2016-07-29",
                    "CORRAL_LISTEN": f"{LOOPBACK}:0",
                    "CATTLE_URL": self._rancher.url,
                    "CATTLE_ACCESS_KEY": self._rancher.access_key,
                    "CATTLE_SECRET_KEY": self._rancher.secret_key,
                }
            ),
            self._kernel,
            FlowLog(),
        )

    async def run(self) -> Summary:
        """Change and check until enough has changed. Raises ViolationError."""
        started = time.monotonic()
        async with self._running():
            await self._check()
            first = self._churn.changes
            due, strike = self._options.checkpoint, CHANGES_A_FAULT
            while (changes := self._churn.changes - first) < self._options.changes:
                self._churn.step()
                await self._keep_pace()
                if changes >= strike:
                    strike += CHANGES_A_FAULT
                    self._calm = not self._calm
                    await self._faults.strike()
                if changes >= due:
                    due += self._options.checkpoint
                    await self._checkpoint(changes, started)
            await self._checkpoint(changes, started)
            self.summary.changes = changes
        self._check_left_overs()
        self.summary.seconds = time.monotonic() - started
        self.summary.struck = dict(self._faults.struck)
        self.summary.facts = self._agent.facts
        return self.summary

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        await self._metadata.start()
        await self._rancher.start()
        try:
            async with self._kernel, self._stranger:
                done = asyncio.create_task(self._agent.run(), name="agent")
                try:
                    yield
                finally:
                    self._agent.stop()
                    await done
        finally:
            await self._rancher.stop()
            await self._metadata.close()

    async def _keep_pace(self) -> None:
        """In bursts a change need only be under way before the next one comes; else some are in force before that.

        The server cuts off whoever lags by 100 messages, and what happens meanwhile is for the metadata to tell. That
        must not become the rule.
        """
        await asyncio.sleep(0)
        subscribers = self._rancher.subscribers
        await until(lambda: all(subscriber._queue.qsize() < QUEUE for subscriber in subscribers))
        self._deaf = 0 if subscribers else self._deaf + 1
        if self._deaf > DEAF and self._rancher.running:
            await until(lambda: bool(subscribers), patience=PATIENCE)
        if self._calm and self._churn.rng.random() < IN_FORCE:
            await until(lambda: self._agent.facts.programmed, patience=PATIENCE)

    async def _checkpoint(self, changes: int, started: float) -> None:
        await self._faults.heal()
        self._churn.ensure_good_policy()
        await self._check()
        gauges = Gauges.read()
        self.summary.gauges.append((changes, gauges))
        facts, seconds = self._agent.facts, time.monotonic() - started
        self._tell(
            f"{changes:>9,} changes, {changes / seconds:,.0f} a second: no drift; {gauges}; "
            f"{facts.commits:,} commits, {facts.failed_commits:,} failed, {facts.repairs:,} repairs"
        )

    async def _check(self) -> None:
        """Once everything has been told: agent, scratch, a brand-new agent and the kernel hold the same."""
        self._metadata.publish()
        truth = self._truth()
        tracker, facts = self._agent.tracker, self._agent.facts

        def arrived() -> bool:
            if self._agent.desk.expire(time.monotonic() + LONG):
                self._agent.engine.wake()
            return facts.programmed and not tracker.garbage() and tracker.desired_ruleset() == truth

        try:
            await until(arrived, patience=PATIENCE)
        except TimeoutError:
            raise ViolationError(f"drift from a brand-new agent: {self._differences(truth)}") from None
        if (scratch := self._scratch()) != truth:
            raise ViolationError(f"drift from the from-scratch result: {self._differences(scratch)}")
        dump = await self._stranger.dump()
        if dump is None or dump.alien or (operations := difference(truth, dump.ruleset).operations):
            raise ViolationError(f"drift of the kernel: {operations[:5] if dump else 'no table'}")

    def _differences(self, expected: Ruleset) -> str:
        found = difference(expected, self._agent.tracker.desired_ruleset()).operations
        return f"{len(found)} operations such as {found[:5]}; {self._agent.facts.reasons()}"

    def _truth(self) -> Ruleset:
        """What an agent wants that starts now and reads the metadata once."""
        return desk_of(self._churn.environment).tracker.desired_ruleset()

    def _scratch(self) -> Ruleset:
        scene, network = self._agent.desk.scene(), self._agent.desk.network
        if scene is None or network is None:
            raise ViolationError("the agent knows nothing")
        return compile_ruleset(
            scene.policy, network.subnets, network.bridge, scene.endpoints, unknown_allowed=scene.unknown_allowed
        )

    def _check_left_overs(self) -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            raise ViolationError(f"{len(left)} tasks are left: {left}")


def soak(options: Options, tell: Callable[[str], None]) -> Summary:
    """Run in a namespace and a loop of its own, and see that nothing is left of either. Raises ViolationError."""
    # libuv makes a pipe for signals once a process, and keeps it.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.sleep(0))
    before = Gauges.read()
    namespace = Namespace.create()
    try:
        links = Links(namespace)
        links.up("lo")
        links.add_bridge(BRIDGE)
        links.close()
        with namespace, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            summary = runner.run(_run(options, namespace, tell))
    finally:
        namespace.close()
    after = Gauges.read()
    if (after.descriptors, after.threads) != (before.descriptors, before.threads):
        raise ViolationError(f"left behind: {after}; before: {before}")
    if (growth := summary.growth()) > GROWTH_LIMIT:
        raise ViolationError(f"memory grew by {growth - 1:.1%} after the warm-up")
    return summary


async def _run(options: Options, namespace: Namespace, tell: Callable[[str], None]) -> Summary:
    return await Soak(options, namespace, tell).run()
