"""`corral demo`: real agents on namespaced hosts, policies set through Rancher's API, and what packets say about it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import uvloop
from rich.console import Console
from rich.text import Text

from corral.sandbox.live import LIVE
from corral.sandbox.matrix import Measurement, measure, render
from corral.sandbox.scenarios import SCENARIOS, Scenario, demo_blueprint
from corral.sandbox.topology import require_bridge_netfilter
from corral.sandbox.world import Sandbox

INTERRUPTED = 130


def run_demo(*, hosts: int, keep: bool, console: Console, own_users: bool = False) -> int:
    """Run the demo; 0 when every probe agrees with the policy, else 1, with every disagreement named.

    Call `enter_sandbox` before; `own_users` is its answer. Raises UnsupportedError and UnreachableError; everything is
    removed in any case.
    """
    require_bridge_netfilter()
    demo = Demo(console, own_users=own_users)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(demo.run(hosts, keep=keep))
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("interrupted; everything is removed")
        return demo.status if demo.finished else INTERRUPTED
    return demo.status


class Demo:
    """One run, and what it has found so far."""

    def __init__(self, console: Console, *, own_users: bool = False) -> None:
        self.finished = False
        self._console = console
        self._own_users = own_users
        self._probes = 0
        self._disagreements: list[str] = []

    @property
    def status(self) -> int:
        """The exit status that follows from what was found."""
        return 1 if self._disagreements or not self.finished else 0

    async def run(self, hosts: int, *, keep: bool) -> None:
        """Build, show, and take apart again."""
        _stop_on_terminate()
        begin = time.monotonic()
        with self._working(f"building {hosts} hosts and starting their agents"):
            sandbox = Sandbox(demo_blueprint(hosts))
            await sandbox.__aenter__()
        try:
            with self._working("waiting for the agents"):
                await sandbox.ready()
            containers = len(sandbox.containers())
            self._say(f"{hosts} hosts, {containers} containers, {hosts} agents: ready after {_since(begin)}")
            await self._show(sandbox)
            self._conclude(hosts, begin)
            if keep:
                await self._stay(sandbox)
        finally:
            with self._working("removing everything"):
                await sandbox.__aexit__(None, None, None)

    async def _show(self, sandbox: Sandbox) -> None:
        for number, scenario in enumerate(SCENARIOS, 1):
            self._title(f"{number}/{len(SCENARIOS)}  {scenario.title}")
            await self._show_scenario(sandbox, scenario)
        self._title("Live")
        for observe in LIVE:
            with self._working(observe.__name__.replace("_", " ")):
                observation = await observe(sandbox)
            for fact in observation.facts:
                self._say(f"  {fact}")
            self._blame(observation.disagreements)
        with self._working("probing every pair of containers once more"):
            measurement = await measure(sandbox)
        self._report("after all this", measurement)

    async def _show_scenario(self, sandbox: Sandbox, scenario: Scenario) -> None:
        with self._working("setting the policy and waiting for every host to enforce it"):
            begin = time.monotonic()
            await sandbox.put_policy(list(scenario.rules), scenario.default)
            await sandbox.enforced()
            enforced = _since(begin)
        for rule in sandbox.scene().policy.rules:
            self._say(f"  {rule}")
        self._say(f"  default: {scenario.default}")
        with self._working("probing every pair of containers"):
            measurement = await measure(sandbox)
        self._console.print(render(_paths(sandbox, scenario), measurement), soft_wrap=True)
        self._report(f"enforced on every host {enforced} after the request", measurement)

    def _report(self, when: str, measurement: Measurement) -> None:
        count, wrong = len(measurement.findings), measurement.disagreements
        self._probes += count
        self._say(f"  {when}; {count - len(wrong)} of {count} probes agree ({measurement.seconds:.1f} s)")
        self._blame([str(finding) for finding in wrong])

    def _conclude(self, hosts: int, begin: float) -> None:
        self.finished = True
        self._console.print()
        if self._disagreements:
            self._console.print(f"{len(self._disagreements)} disagreements with the policy:", style="bold red")
            for disagreement in self._disagreements:
                self._say(f"  {disagreement}", style="red")
            return
        verdict = f"Every packet agrees with the policy: {self._probes} probes on {hosts} hosts, {_since(begin)}."
        self._console.print(verdict, style="bold green", highlight=False)

    async def _stay(self, sandbox: Sandbox) -> None:
        self._title("Staying up until interrupted (Ctrl-C)")
        for agent in sandbox.agents:
            self._say(f"  {agent.name}:  {_way_into(agent.pid, own_users=self._own_users)} COMMAND")
        self._say("  with COMMAND such as `corral status`, `nft list table inet corral` or")
        url = f"{sandbox.rancher.url.removesuffix('/v1')}/v2-beta/networks/{sandbox.environment.network.id}"
        self._say(f"  `curl -u {sandbox.rancher.access_key}:{sandbox.rancher.secret_key} {url}`")
        await asyncio.get_running_loop().create_future()

    def _blame(self, disagreements: tuple[str, ...] | list[str]) -> None:
        self._disagreements += disagreements
        for disagreement in disagreements:
            self._say(f"  DISAGREES: {disagreement}", style="bold red")

    def _title(self, text: str) -> None:
        self._console.print()
        self._console.print(text, style="bold", highlight=False, soft_wrap=True)

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style), soft_wrap=True)

    @contextmanager
    def _working(self, what: str) -> Iterator[None]:
        """Progress, where somebody watches."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status(what):
            yield


def _paths(sandbox: Sandbox, scenario: Scenario) -> Mapping[str, str]:
    records = sandbox.environment.records
    return {
        service.id: records.path(service)
        for service in records.services.values()
        if records.stacks[service.stack].name in scenario.stacks
    }


def _way_into(pid: int, *, own_users: bool) -> str:
    """The command that enters a process's network; nsenter refuses a user namespace that it is in already."""
    return f"nsenter --target {pid} {'--user --net --preserve-credentials' if own_users else '--net'}"


def _since(begin: float) -> str:
    seconds = time.monotonic() - begin
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _stop_on_terminate() -> None:
    """SIGTERM ends the demo as Ctrl-C does."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
