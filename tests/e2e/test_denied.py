"""Denied flows of real packets: real agents, real tables, real floods."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

from corral.dataplane.flows.flowlog import FlowLog
from corral.documents.denied import Denied
from corral.sandbox.agents import Agent
from corral.sandbox.probes import Outcome
from corral.sandbox.world import Sandbox
from corral.types import Protocol

from ..daemon.running import until
from ..documents.checking import check
from .flooding import flooding
from .places import ENFORCED, WITHIN_STACK, corral_started, forbidden, log_lines, one_host, reasons, verdicts


async def denied(agent: Agent, query: str = "") -> list[dict[str, Any]]:
    answer = (await agent.get(f"/v1/denied?{query}")).json()
    check(Denied, answer)
    flows: list[dict[str, Any]] = answer["flows"]
    return flows


async def until_denied(agent: Agent, query: str) -> dict[str, Any]:
    """The latest denied flow that matches."""
    found: list[dict[str, Any]] = []

    async def known() -> bool:
        found[:] = await denied(agent, query)
        return bool(found)

    await until(known)
    return found[0]


async def metric(agent: Agent, name: str) -> float:
    match = re.search(rf"^{re.escape(name)} (\S+)$", (await agent.get("/metrics")).body.decode(), re.MULTILINE)
    assert match is not None, name
    return float(match[1])


async def test_what_is_dropped_is_told_and_nothing_else() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        agent = sandbox.agents[0]
        assert await verdicts(sandbox) == ENFORCED
        flow = await until_denied(agent, "server=front/db")
        assert (flow["client"]["name"], flow["client"]["party"]) == ("back/job/back-job-1", "back/job")
        assert (flow["protocol"], flow["port"], flow["verdict"]) == ("tcp", 80, "deny")
        assert (flow["decided_by"], flow["sentence"]) == ("default", "denied by the default action: no rule matches")
        assert not flow["answered"]
        assert await denied(agent, "client=front/web") == []
        (line,) = [line for line in log_lines(agent, "denied") if line["client"] == "back/job/back-job-1"]
        assert (line["server"], line["port"], line["rule"]) == ("front/db/front-db-1", 80, flow["sentence"])
        assert await metric(agent, 'corral_denied_reports_total{verdict="deny"}') >= 1
        assert await metric(agent, "corral_denied_listening") == 1


async def test_in_audit_everything_passes_and_is_told_as_audit() -> None:
    async with Sandbox(one_host(), settings={"CORRAL_MODE": "audit"}) as sandbox:
        await sandbox.enforced()
        agent = sandbox.agents[0]
        assert await verdicts(sandbox) == (True, True)
        flow = await until_denied(agent, "client=back/job&server=front/db")
        assert flow["verdict"] == "audit"
        assert flow["sentence"].startswith("let through by audit mode, else denied by the default action")

        async def answered() -> bool:
            assert await sandbox.probe(forbidden(sandbox)) is not Outcome.SILENT
            return any(flow["answered"] for flow in await denied(agent, "client=back/job"))

        await until(answered)
        assert {line["verdict"] for line in log_lines(agent, "denied")} == {"AUDIT"}
        assert await metric(agent, 'corral_denied_reports_total{verdict="deny"}') == 0


async def test_an_open_connection_that_a_change_cut_is_told_as_answered() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.put_policy([], "allow")
        await sandbox.enforced()
        async with sandbox.stream(forbidden(sandbox)) as stream:
            await stream.delivery()
            await sandbox.put_policy(WITHIN_STACK, "deny")
            await sandbox.enforced()
            flow = await until_denied(sandbox.agents[0], "server=front/db")
            assert (flow["client"]["party"], flow["port"], flow["answered"]) == ("back/job", 80, True)
        assert await denied(sandbox.agents[0], "client=front/db") == []


async def test_another_program_that_has_the_log_group_is_told_until_it_lets_go() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        agent = sandbox.agents[0]
        await agent.stop()
        with sandbox.topology.hosts[0].namespace:
            other = FlowLog()
            await other.open()
        agent.start()

        async def nothing_else() -> bool:
            status, said = await reasons(agent)
            return status == 200 and len(said) == 1 and "netfilter's log group 8799: end it" in said[0]

        await sandbox._until(lambda state: state["kernel"]["programmed"], 10.0)
        await until(nothing_else)
        assert await verdicts(sandbox) == ENFORCED
        other.close()

        async def recovered() -> bool:
            return not (await reasons(agent))[1]

        await until(recovered)
        await sandbox.probe(forbidden(sandbox))
        await until_denied(agent, "client=back/job")


async def test_a_flood_hides_nobody_and_leaves_the_agent_its_time() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        agent = sandbox.agents[0]
        flooder = await sandbox.start_container("back/job", host=0)
        await sandbox.enforced()
        db, source = str(sandbox.address("front-db-1")), str(sandbox.address(flooder.name))
        space = sandbox.namespace(flooder.name)
        packets = 'corral_rule_packets_total{counter="default-deny"}'
        before, started = await metric(agent, packets), time.monotonic()
        async with flooding(space, db, 9999, rate=10_000, first=source):
            await until_denied(agent, f"client={flooder.name}")
            outcome = await sandbox.probe(sandbox.flow("back-job-1", "front-db-1", Protocol.UDP, 53))
            assert outcome is Outcome.SILENT
            other = await until_denied(agent, "client=back-job-1")
            assert (other["protocol"], other["port"]) == ("udp", 53)
            waits = []
            for _ in range(20):
                asked = time.monotonic()
                assert (await agent.get("/healthz")).status == 200
                waits.append(time.monotonic() - asked)
            newcomer = await sandbox.start_container("front/web", host=0)
            await sandbox.enforced()
            answered = await sandbox.probe(sandbox.flow(newcomer.name, "front-db-1", Protocol.TCP, 80))
            assert answered.passed
            count, seconds = await metric(agent, packets) - before, time.monotonic() - started
        assert max(waits) < 2
        assert count / seconds > 3000  # of the 10,000 that a quiet machine sends
        commits = await metric(agent, "corral_event_commit_seconds_count")
        assert await metric(agent, "corral_event_commit_seconds_sum") / commits < 0.5
        (flow,) = await denied(agent, f"client={flooder.name}")
        assert flow["count"] < 5 * seconds + 20  # the kernel tells of five a second
        assert await metric(agent, "corral_denied_lost_total") == 0
        assert len(log_lines(agent, "denied")) <= 4


async def test_it_stops_in_time_while_somebody_follows() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        with corral_started(sandbox, "denied", "--follow") as following:
            assert following.stdout is not None
            assert following.stderr is not None
            async with sandbox.prober(sandbox.flow("back-job-1", "front-db-1", Protocol.UDP, 53)):
                assert "DENY  back/job/back-job-1" in await asyncio.to_thread(following.stdout.readline)
            async with asyncio.timeout(5):
                assert await sandbox.agents[0].stop() == 0
                assert await asyncio.to_thread(following.wait) == 3
            assert "the agent has ended the stream of events" in following.stderr.read()
