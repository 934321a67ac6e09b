"""The parts put together: start, follow, stop."""

from __future__ import annotations

import json
import signal
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from corral.daemon.facts import Trouble
from corral.dataplane.fake import FakeDataplane
from corral.nft.transaction import AddRule, FlushChain
from corral.nft.values import Ruleset

from .running import Running, running_agent, until


async def until_table(running: Running, local: int) -> Ruleset:
    """Wait until the table has so many local application endpoints."""

    async def holds() -> bool:
        dump = await running.dataplane.dump()
        return dump is not None and len(dump.ruleset.elements["local"]) == local

    await until(holds)
    dump = await running.dataplane.dump()
    assert dump is not None
    return dump.ruleset


async def test_it_follows_the_metadata_and_stops_cleanly() -> None:
    async with running_agent() as running:
        await until_table(running, 3)
        running.environment.remove_container("back-job-1")
        running.publish()
        await until_table(running, 2)
        running.agent.stop()
        await running.done
    dump = await running.dataplane.dump()
    assert dump is not None


async def test_a_signal_stops_it() -> None:
    async with running_agent(CORRAL_ON_EXIT="remove") as running:
        await until_table(running, 3)
        signal.raise_signal(signal.SIGTERM)
        await running.done
    assert await running.dataplane.dump() is None


async def test_a_foreign_change_is_repaired_from_its_notification() -> None:
    async with running_agent() as running:
        before = await until_table(running, 3)
        await running.dataplane.delete_table()
        running.dataplane.lose_notifications()
        await until(lambda: running.agent.facts.repairs > 0)
        assert await until_table(running, 3) == before
        assert "lost" in str(running.agent.facts.last_repair)


async def test_a_quiet_metadata_service_is_not_stale() -> None:
    async with running_agent(CORRAL_ON_STALE="open", CORRAL_STALE_AFTER="10ms") as running:
        await until_table(running, 3)
        facts = running.agent.facts
        facts.stale = Trouble("until the clock looks again", 0.0)
        await until(lambda: facts.stale is None)
        assert not facts.opened


async def test_stale_metadata_opens_when_asked_to_until_it_is_back() -> None:
    async def broken(_: web.BaseRequest) -> web.Response:
        return web.Response(status=500)

    async with running_agent(CORRAL_ON_STALE="open", CORRAL_STALE_AFTER="500ms") as running:
        closed = await until_table(running, 3)
        running.metadata.faults += [broken] * 1000
        running.publish()
        await until(lambda: running.agent.facts.opened)
        status, body = await running.get("/readyz")
        assert status == 503
        assert any("CORRAL_ON_STALE=open" in reason for reason in json.loads(body)["reasons"])

        async def open_now() -> bool:
            dump = await running.dataplane.dump()
            return dump is not None and "goto denied/default-deny" not in {
                str(rule.expressions[-1]) for rule in dump.ruleset.chains["default-action"].rules
            }

        await until(open_now)
        assert json.loads((await running.get("/v1/explain?client=back/job&server=front/db"))[1])["verdict"] == "allow"
        running.metadata.faults.clear()
        await until(lambda: not running.agent.facts.opened)

        async def closed_again() -> bool:
            dump = await running.dataplane.dump()
            return dump is not None and dump.ruleset == closed

        await until(closed_again)


async def fates(running: Running) -> set[str]:
    """How the chains for what is denied end."""
    dump = await running.dataplane.dump()
    chains = dump.ruleset.chains.items() if dump else ()
    return {str(chain.rules[-1].expressions[-1]) for name, chain in chains if name.startswith("denied/")}


async def test_from_enforce_to_audit_and_back_is_one_transaction_that_rewrites_what_becomes_of_denied_packets() -> None:
    dataplane = FakeDataplane()
    for mode, fate in (("enforce", "drop"), ("audit", "accept"), ("enforce", "drop")):
        before = len(dataplane.committed)
        async with running_agent(dataplane, CORRAL_MODE=mode) as running:
            assert json.loads((await running.get("/readyz"))[1])["mode"] == mode

            async def holds(expected: str = fate) -> bool:
                return await fates(running) == {expected}

            await until(holds)
        if before:
            (switch,) = dataplane.committed[before:]
            assert {type(operation) for operation in switch.operations} == {FlushChain, AddRule}
            changed = {one.name if isinstance(one, FlushChain) else getattr(one, "chain") for one in switch.operations}  # noqa: B009
            assert changed == {"denied/default-deny", "denied/invalid-drop", "denied/ipv6-drop"}


async def test_what_only_tells_of_things_does_not_end_what_enforces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corral.daemon.agent.PAUSE_AFTER_ERROR", 0.001)
    failures: set[str] = set()

    def failing(duty: str) -> Callable[[object], Awaitable[None]]:
        async def run(_: object) -> None:
            failures.add(duty)
            raise ValueError("a bug")

        return run

    duties = ("announcer.Announcer", "denialwatch.DenialWatch", "rulehits.RuleHitsReport")
    for duty in duties:
        monkeypatch.setattr(f"corral.daemon.{duty}.run", failing(duty))
    async with running_agent() as running:
        await until(lambda: failures == set(duties))
        running.environment.remove_container("back-job-1")
        running.publish()
        await until_table(running, 2)
