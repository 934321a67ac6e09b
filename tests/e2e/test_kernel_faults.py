"""What others do to the kernel's state, and what the kernel does not take: a real agent, real packets.

Other writers of the table are `nft`, as an operator has it, and a dataplane in this process.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from corral.dataplane.base import Dump
from corral.dataplane.kernel import KernelDataplane
from corral.errors import DataplaneError, UnreachableError
from corral.nft.transaction import FlushChain, Transaction
from corral.nft.values import Ruleset
from corral.sandbox.agents import LISTEN
from corral.sandbox.exchange import request
from corral.sandbox.topology import BRIDGE
from corral.sandbox.world import Sandbox
from corral.types import Protocol

from .places import (
    ENFORCED,
    FOREIGN_TABLES,
    WITHIN_STACK,
    corral,
    cpu_seconds,
    foreign_tables,
    log_lines,
    nft,
    one_host,
    reasons,
    run_on_host,
    verdicts,
)

REPAIRED_WITHIN = 0.1  # seconds
NOTICED_WITHIN = 10.0
ATTEMPTS = 3  # at a bound in time, for the machine has other things to do, too
RATE = 1000.0  # packets a second
FIGHT = 3.0

FULL_SET = "{ type ipv4_addr; size 1; elements = { 192.0.2.1 }; }"
VANDALISM = {
    "ruleset flushed": "flush ruleset",
    "table deleted": "delete table inet corral",
    "table planted": (
        "delete table inet corral; add table inet corral; "
        "add chain inet corral forward { type filter hook forward priority 0; policy accept; }"
    ),
    "table planted whose sets are full": (
        f"delete table inet corral; add table inet corral; add set inet corral subnets {FULL_SET}; "
        f"add set inet corral local {FULL_SET}"
    ),
    "chain flushed": "flush chain inet corral forward",
    "what is denied let through": "flush chain inet corral denied/default-deny",
    "hook planted": "add chain inet corral mine { type filter hook forward priority -300; policy drop; }",
    "rule added": "insert rule inet corral forward accept",
    "element removed": "delete element inet corral dispatch { 10.42.1.2 }",
    "element added": "add element inet corral subnets { 10.43.0.0/16 }",
    "set added": "add set inet corral mine { type inet_service; }",
    "chain, rule and element at once": (
        "add chain inet corral mine; add rule inet corral mine accept; flush chain inet corral forward; "
        "delete element inet corral dispatch { 10.42.1.2 }"
    ),
}


class Witness:
    """Looks at the table from outside, and knows what it should be."""

    def __init__(self, kernel: KernelDataplane, wanted: Ruleset) -> None:
        self.kernel = kernel
        self.wanted = wanted

    async def whole(self, patience: float = 10.0) -> Dump:
        """Wait until the table is as wanted."""
        async with asyncio.timeout(patience):
            while True:
                dump = await self._look()
                if dump is not None and dump.ruleset == self.wanted and not dump.alien:
                    return dump
                await asyncio.sleep(0)

    async def _look(self) -> Dump | None:
        try:
            return await self.kernel.dump()
        except DataplaneError:  # it does not stand still
            return None


@asynccontextmanager
async def witnessed(sandbox: Sandbox) -> AsyncIterator[Witness]:
    """With the table as it is once nothing is left to be done."""
    await sandbox.enforced()
    await sandbox._until(lambda state: not state["kernel"]["garbage"], 10.0)
    kernel = KernelDataplane()
    with sandbox.topology.hosts[0].namespace:
        await kernel.__aenter__()  # opens its sockets and does not wait for anything
    try:
        dump = await kernel.dump()
        assert dump is not None
        yield Witness(kernel, dump.ruleset)
    finally:
        await kernel.__aexit__(None, None, None)


async def repair_time(sandbox: Sandbox, witness: Witness, vandalism: str) -> float:
    """From the end of the other's command; the repair is one transaction."""
    before = await witness.whole()
    await nft(sandbox, vandalism)
    ended = time.monotonic()
    after = await witness.whole()
    assert after.generation == before.generation + 2
    return time.monotonic() - ended


async def test_whatever_others_do_is_repaired_in_time_in_one_transaction_and_told_once() -> None:
    async with Sandbox(one_host()) as sandbox, witnessed(sandbox) as witness:
        agent = sandbox.agents[0]
        before = (await agent.state())["kernel"]["commits"]
        times: dict[str, list[float]] = {name: [] for name in VANDALISM}
        for name, vandalism in VANDALISM.items():
            while len(times[name]) < ATTEMPTS and min(times[name], default=1.0) > REPAIRED_WITHIN:
                times[name].append(await repair_time(sandbox, witness, vandalism))
        print("MEASURED", {name: [round(each * 1000) for each in taken] for name, taken in times.items()})  # noqa: T201 - shown when the test fails
        assert {name for name, taken in times.items() if min(taken) > REPAIRED_WITHIN} == set()
        await sandbox._until(lambda state: not state["kernel"]["garbage"], 10.0)
        state = await agent.state()
        assert state["kernel"]["repairs"] == sum(map(len, times.values()))
        assert state["kernel"]["commits"] == before + state["kernel"]["repairs"]
        assert "nft (pid " in state["kernel"]["last_repair"]
        told = log_lines(agent, "ruleset repaired")
        assert len(told) == 1
        assert "nft (pid " in told[0]["cause"]
        assert await verdicts(sandbox) == ENFORCED


async def test_hardly_a_packet_passes_wrongly_when_the_ruleset_is_flushed() -> None:
    async with Sandbox(one_host()) as sandbox, witnessed(sandbox) as witness:
        allowed = sandbox.prober(sandbox.flow("front-web-1", "front-db-1", Protocol.UDP, 53), rate=RATE)
        forbidden = sandbox.prober(sandbox.flow("back-job-1", "front-db-1", Protocol.UDP, 53), rate=RATE)
        passed: list[int] = []
        async with allowed, forbidden:
            await allowed.answer()
            while len(passed) < ATTEMPTS and min(passed, default=RATE) > RATE * REPAIRED_WITHIN:
                before = forbidden.arrived
                await repair_time(sandbox, witness, "flush ruleset")
                await allowed.answer()
                passed.append(forbidden.arrived - before)
            await allowed.settle()
        print("MEASURED wrong packets", passed)  # noqa: T201 - shown when the test fails
        assert min(passed) <= RATE * REPAIRED_WITHIN
        assert allowed.lost == 0


async def test_only_our_own_table_is_ever_written() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        agent = sandbox.agents[0]
        await agent.stop()
        assert (await corral(sandbox, "cleanup")).status == 0
        await nft(sandbox, FOREIGN_TABLES)
        before = await foreign_tables(sandbox)
        assert len(before) == 4
        agent.start()
        await sandbox.enforced()
        assert await foreign_tables(sandbox) == before
        sandbox.environment.set_policy([*WITHIN_STACK, {"within": "service", "action": "allow"}], "deny")
        await sandbox.enforced()
        assert await foreign_tables(sandbox) == before
        await nft(sandbox, VANDALISM["table planted"])
        await sandbox._until(lambda state: state["kernel"]["repairs"] == 1 and not state["kernel"]["garbage"], 10.0)
        assert await foreign_tables(sandbox) == before
        agent.signal(signal.SIGHUP)
        await agent.stop()
        assert await foreign_tables(sandbox) == before
        assert (await corral(sandbox, "cleanup")).status == 0
        assert await foreign_tables(sandbox) == before
        assert '"corral"' not in await nft(sandbox, "-j", "list", "tables", "inet")


async def test_who_writes_in_a_loop_is_answered_told_and_starves_nothing() -> None:
    async with Sandbox(one_host(), lag=0.05) as sandbox, witnessed(sandbox) as witness:
        agent = sandbox.agents[0]
        commits = 0

        async def fight() -> None:
            nonlocal commits
            while True:
                await witness.kernel.commit(Transaction((FlushChain("forward"),)))
                commits += 1
                await asyncio.sleep(0)

        used, began = cpu_seconds(agent), time.monotonic()
        fighting = asyncio.create_task(fight())
        async with asyncio.timeout(FIGHT + 10):
            answers = 0
            while time.monotonic() - began < FIGHT:
                assert (await agent.get("/healthz")).status == 200
                answers += 1
            newcomer = await sandbox.start_container("front/web")
            await sandbox._until(lambda state: state["inventory"]["local_endpoints"] == 5, 5.0)
        status, said = await reasons(agent)
        load = (cpu_seconds(agent) - used) / (time.monotonic() - began)
        fighting.cancel()
        print("MEASURED fight", commits, answers, round(load, 2), (await agent.state())["kernel"], said)  # noqa: T201 - shown when the test fails
        assert status == 503
        assert any(reason.startswith("kernel: ") for reason in said)
        assert load < 0.9
        assert commits > 100
        await sandbox._until(lambda state: state["kernel"]["programmed"] and not state["kernel"]["pending"], 5.0)
        assert await verdicts(sandbox) == ENFORCED
        assert (await sandbox.probe(sandbox.flow(newcomer.name, "front-db-1", Protocol.UDP, 53))).passed
        for event in ("ruleset repaired", "kernel refused"):
            causes = [line.get("cause", line.get("error")) for line in log_lines(agent, event)]
            assert len(causes) == len({re.sub(r"\d+", "", str(cause)) for cause in causes})


async def test_lost_notifications_are_noticed_and_the_table_is_compared_at_once() -> None:
    addresses = ", ".join(f"10.{high}.{middle}.{low}" for high in (1, 2) for middle in range(256) for low in range(256))
    flood = f"add set ip flood many {{ type ipv4_addr; }}; add element ip flood many {{ {addresses} }}"
    async with Sandbox(one_host()) as sandbox, witnessed(sandbox) as witness:
        agent = sandbox.agents[0]
        await nft(sandbox, "add table ip flood")
        agent.signal(signal.SIGSTOP)
        await nft(sandbox, "-f", "-", text=flood)
        await nft(sandbox, VANDALISM["chain flushed"])
        began = time.monotonic()
        agent.signal(signal.SIGCONT)
        await witness.whole()
        taken = time.monotonic() - began
        state = await agent.state()
        print("MEASURED lost", taken, state["kernel"]["last_repair"])  # noqa: T201 - shown when the test fails
        assert "lost" in state["kernel"]["last_repair"]
        assert taken < 1.0
        await nft(sandbox, "delete table ip flood")


async def told(sandbox: Sandbox, words: str) -> int:
    """Wait until an agent on the first host gives a reason with these words; the status of its answer."""
    async with asyncio.timeout(NOTICED_WITHIN):
        while True:
            with suppress(UnreachableError):
                answer = await request(sandbox.topology.hosts[0].namespace, f"http://{LISTEN}/readyz")
                if any(words in reason for reason in answer.json()["reasons"]):
                    return answer.status
            await asyncio.sleep(0)


async def test_filtering_that_somebody_switches_off_is_on_again_soon_and_told() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        switch = ("ip", "link", "set", BRIDGE, "type", "bridge")
        assert (await run_on_host(sandbox, *switch, "nf_call_iptables", "0")).status == 0
        began = time.monotonic()
        assert await told(sandbox, "somebody switched filtering off") == 503
        print("MEASURED bridge", time.monotonic() - began)  # noqa: T201 - shown when the test fails
        shown = await run_on_host(sandbox, "ip", "-details", "link", "show", BRIDGE)
        assert "nf_call_iptables 1" in shown.output
        await sandbox.ready()
        assert await verdicts(sandbox) == ENFORCED
        assert (
            len(log_lines(sandbox.agents[0], "bridge filtering was switched off by somebody, switched on again")) == 1
        )


@contextmanager
def agent_without_br_netfilter(sandbox: Sandbox) -> Iterator[None]:
    """Where the kernel has it built in it can not go; but all that tells of it can be covered up for one process."""
    covered = 'mount -t tmpfs none /proc/sys/net && exec "$0" -m corral agent'
    with sandbox.topology.hosts[0].namespace:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            ["/usr/bin/env", "unshare", "--mount", "--propagation", "private", "sh", "-c", covered, sys.executable],
            env={**os.environ, "CORRAL_LISTEN": LISTEN, **sandbox.agents[0].settings},
            stderr=subprocess.DEVNULL,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


async def test_without_br_netfilter_the_agent_is_not_ready_and_says_what_to_do() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        await sandbox.agents[0].stop()
        with agent_without_br_netfilter(sandbox):
            assert await told(sandbox, "modprobe br_netfilter") == 503
