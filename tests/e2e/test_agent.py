"""Real agents, a real Rancher as far as they can tell, real packets."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from corral.daemon.facts import MODE_OFF
from corral.sandbox.probes import Outcome
from corral.sandbox.world import Sandbox
from corral.types import Protocol

from ..daemon.running import until
from .places import (
    ENFORCED,
    WITHIN_STACK,
    allowed,
    corral,
    forbidden,
    log_lines,
    nft,
    one_host,
    reasons,
    verdicts,
    without_counts,
)

NO_KEYS = {"CATTLE_URL": ""}


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_one_capability_is_enough_on_either_loop(loop: str) -> None:
    async with Sandbox(one_host(), settings={"CORRAL_LOOP": loop}, least_privilege=True) as sandbox:
        await sandbox.enforced()
        assert await verdicts(sandbox) == ENFORCED


async def test_without_credentials_the_metadata_suffices() -> None:
    async with Sandbox(one_host(), settings=NO_KEYS, lag=0.05) as sandbox:
        await sandbox.enforced()
        sandbox.environment.set_policy([], "allow")
        await sandbox.enforced()
        assert await verdicts(sandbox) == (True, True)


async def test_events_alone_bring_a_change_before_the_metadata_does() -> None:
    async with Sandbox(one_host(), lag=0.05) as sandbox:
        await sandbox.enforced()
        sandbox.metadata[0].hold()
        sandbox.environment.set_policy([], "allow")
        await sandbox.enforced()
        newcomer = await sandbox.start_container("front/web", host=0)
        await sandbox.put_policy(WITHIN_STACK, "deny")
        await sandbox.enforced()
        to_db = sandbox.flow(newcomer.name, "front-db-1", Protocol.UDP, 53)
        assert await sandbox.probe(to_db) is Outcome.ANSWERED
        assert await verdicts(sandbox) == ENFORCED


async def test_a_wrong_policy_leaves_the_last_good_one_in_force_and_says_what_is_wrong() -> None:
    async with Sandbox(one_host(), lag=0.05) as sandbox:
        await sandbox.enforced()
        agent = sandbox.agents[0]
        sandbox.environment.set_policy([*WITHIN_STACK, {"within": "stack", "action": "permit"}], "deny")
        await sandbox._until(lambda state: bool(state["policy"]["problems"]), 10.0)
        status, said = await reasons(agent)
        assert status == 503
        assert any("policy[1].action" in reason and "permit" in reason and "deny" in reason for reason in said)
        assert await verdicts(sandbox) == ENFORCED
        newcomer = await sandbox.start_container("back/job", host=0)
        await sandbox._until(lambda state: state["inventory"]["local_endpoints"] == 5, 10.0)
        sandbox_flow = sandbox.flow(newcomer.name, "front-db-1", Protocol.TCP, 80)
        assert await sandbox.probe(sandbox_flow) is Outcome.SILENT
        sandbox.environment.set_policy([], "allow")
        await sandbox.enforced()
        assert await reasons(agent) == (200, [])


async def test_a_restart_with_nothing_changed_writes_nothing() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        agent = sandbox.agents[0]
        async with sandbox.stream(allowed(sandbox)) as stream:
            before = await nft(sandbox, "-a", "list", "table", "inet", "corral")
            await agent.kill()
            await stream.delivery()
            assert await verdicts(sandbox) == ENFORCED
            agent.start()
            await sandbox.enforced()
            await stream.delivery()
        after = await nft(sandbox, "-a", "list", "table", "inet", "corral")
        assert without_counts(after) == without_counts(before)
        assert (await agent.state())["kernel"]["commits"] == 0


async def test_a_restart_with_another_policy_commits_the_difference_only() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        agent = sandbox.agents[0]
        assert await agent.stop() == 0
        sandbox.environment.set_policy([], "allow")
        sandbox.metadata[0].publish()
        agent.start()
        await sandbox.enforced()
        assert await verdicts(sandbox) == (True, True)


async def test_metadata_that_says_the_same_again_writes_nothing() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        commits = await _commits(sandbox)
        version = sandbox.metadata[0].version
        sandbox.metadata[0].publish()
        assert sandbox.metadata[0].version != version
        # The next change comes after it, and is the only one that commits.
        await sandbox.start_container("front/web", host=0)
        await sandbox.enforced()
        sandbox.agents[0].signal(signal.SIGHUP)
        sandbox.metadata[0].publish()
        assert await _commits(sandbox) <= commits + 3


async def _commits(sandbox: Sandbox) -> int:
    kernel: dict[str, Any] = (await sandbox.agents[0].state())["kernel"]
    return int(kernel["commits"])


@pytest.mark.parametrize(
    "vandalism",
    [
        ("flush", "ruleset"),
        ("delete", "table", "inet", "corral"),
        ("flush", "chain", "inet", "corral", "default-action"),
        ("delete", "element", "inet", "corral", "dispatch", "{ 10.42.1.2 }"),
        ("add", "element", "inet", "corral", "system", "{ 10.42.1.4 }"),
        ("insert", "rule", "inet", "corral", "default-action", "accept"),
        ("add", "chain", "inet", "corral", "mine"),
        ("add", "set", "inet", "corral", "mine", "{ type inet_service; }"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
async def test_foreign_changes_are_repaired(vandalism: tuple[str, ...]) -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        before = without_counts(await nft(sandbox, "list", "table", "inet", "corral"))
        await nft(sandbox, *vandalism)
        await sandbox._until(lambda state: state["kernel"]["repairs"] == 1 and not state["kernel"]["garbage"], 10.0)
        state = await sandbox.agents[0].state()
        assert "nft" in state["kernel"]["last_repair"]
        assert without_counts(await nft(sandbox, "list", "table", "inet", "corral")) == before
        assert await verdicts(sandbox) == ENFORCED


async def test_on_exit_remove_takes_the_table_away() -> None:
    async with Sandbox(one_host(), settings={"CORRAL_ON_EXIT": "remove"}) as sandbox:
        await sandbox.enforced()
        assert await sandbox.agents[0].stop() == 0
        assert "corral" not in await nft(sandbox, "list", "tables")


async def test_on_exit_keep_leaves_the_policy_in_force() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        assert await sandbox.agents[0].stop() == 0
        assert await verdicts(sandbox) == ENFORCED


async def test_mode_off_enforces_nothing_and_removes_what_an_earlier_run_left() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        agent = sandbox.agents[0]
        await agent.stop()
        agent.settings["CORRAL_MODE"] = "off"
        agent.start()
        await sandbox._until(lambda state: state["inventory"]["local_endpoints"] == 4, 10.0)
        status, said = await reasons(agent)
        assert (status, said) == (503, [MODE_OFF.sentence()])
        assert await verdicts(sandbox) == (True, True)
        assert "corral" not in await nft(sandbox, "list", "tables")


async def test_from_audit_to_enforce_and_back_is_one_commit_over_the_table_that_is_there() -> None:
    async with Sandbox(one_host(), settings={"CORRAL_MODE": "audit"}) as sandbox:
        agent = sandbox.agents[0]
        await sandbox.enforced()
        assert await verdicts(sandbox) == (True, True)
        for mode, expected in (("enforce", ENFORCED), ("audit", (True, True))):
            before = without_counts(await nft(sandbox, "list", "table", "inet", "corral"))
            await agent.stop()
            agent.settings["CORRAL_MODE"] = mode
            agent.start()
            await sandbox.enforced()
            assert await verdicts(sandbox) == expected
            state = await agent.state()
            assert (state["mode"], state["status"], state["kernel"]["commits"]) == (mode, "ready", 1)
            answer = await agent.get("/readyz")
            assert (answer.status, answer.json()["mode"]) == (200, mode)
            after = without_counts(await nft(sandbox, "list", "table", "inet", "corral"))
            assert len(before) == len(after)
            changed = {one.split()[0] for one, other in zip(before, after, strict=True) if one != other}
            assert changed == {"update", "limit", "drop" if mode == "audit" else "accept"}
        shown = await corral(sandbox, "status")
        assert (shown.status, shown.output.splitlines()[0]) == (0, "ready  (AUDIT: nothing is dropped)")


async def test_unknown_addresses_are_closed_and_opened_only_by_the_setting() -> None:
    for setting, passes in (("default", False), ("allow", True)):
        async with Sandbox(one_host(), settings={"CORRAL_UNKNOWN_ENDPOINTS": setting}) as sandbox:
            await sandbox.enforced()
            sandbox.metadata[0].hold()
            sandbox.rancher.deliver = lambda _: ()
            stranger = await sandbox.start_container("front/web", host=0)
            flow = sandbox.flow(stranger.name, "front-db-1", Protocol.TCP, 80)
            assert (await sandbox.probe(flow)).passed is passes
            assert await sandbox.probe(forbidden(sandbox)) is Outcome.SILENT


async def test_a_dead_metadata_service_is_told_and_the_last_state_kept() -> None:
    async with Sandbox(one_host(), lag=0.05) as sandbox:
        await sandbox.enforced()
        await sandbox.metadata[0].stop()
        await sandbox._until(lambda state: state["status"] == "degraded", 10.0)
        status, said = await reasons(sandbox.agents[0])
        assert status == 503
        assert any(reason.startswith("metadata service: ") for reason in said)
        assert await verdicts(sandbox) == ENFORCED
        await sandbox.metadata[0].start()
        await sandbox.enforced()


async def test_a_signal_switches_to_debug_and_back() -> None:
    async with Sandbox(one_host(), settings={"CORRAL_LOG_LEVEL": "warning"}) as sandbox:
        await sandbox.enforced()
        (agent,) = sandbox.agents
        for switched in (["debug"], ["debug", "warning"]):
            agent.signal(signal.SIGUSR1)

            def seen(expected: list[str] = switched) -> bool:
                return [line["to"] for line in log_lines(agent, "log level switched")] == expected

            await until(seen)
        assert await verdicts(sandbox) == ENFORCED


async def test_what_the_rules_did_to_real_packets() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        before = json.loads((await corral(sandbox, "rules", "--json")).output)
        assert await verdicts(sandbox) == ENFORCED
        after = json.loads((await corral(sandbox, "rules", "--json")).output)
        assert after["rules"][0]["packets"] > before["rules"][0]["packets"]
        assert after["default"]["packets"] > before["default"]["packets"]
        assert after["rules"][0]["last_hit"] >= after["since"]
        # Another agent takes the counters over, and knows of no time before its own.
        (agent,) = sandbox.agents
        await agent.stop()
        agent.start()
        await sandbox.enforced()
        taken_over = json.loads((await corral(sandbox, "rules", "--json")).output)
        assert taken_over["rules"][0]["packets"] >= after["rules"][0]["packets"]
        assert taken_over["rules"][0]["last_hit"] is None
