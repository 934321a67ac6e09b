"""What the agent says of itself."""

from __future__ import annotations

import json

import pytest

from corral.config import load_settings
from corral.daemon.answers.report import Report
from corral.dataplane.fake import FakeDataplane
from corral.nft.transaction import AddChain, Transaction
from corral.nft.values import Chain
from corral.web.views import Which

from ..running import desk_of, running_agent, small_environment, until


@pytest.mark.parametrize(("default", "shown"), [("deny", "deny"), (None, "not set (allow)"), ("allow", "allow")])
async def test_a_missing_default_is_said(default: str | None, shown: str) -> None:
    environment = small_environment()
    environment.set_policy([], default)
    desk = desk_of(environment)
    report = Report(load_settings({}), desk.facts, desk, desk.tracker, FakeDataplane(), {})
    assert report.policy()["default"] == shown


async def test_the_difference_shows_what_is_missing_and_what_is_too_much() -> None:
    desk, dataplane = desk_of(small_environment()), FakeDataplane()
    report = Report(load_settings({}), desk.facts, desk, desk.tracker, dataplane, {})
    assert "add table inet corral" in await report.ruleset(Which.DIFFERENCE)
    await dataplane.commit(desk.tracker.pending())
    assert await report.ruleset(Which.DIFFERENCE) == ""
    dataplane.interfere(Transaction((AddChain(Chain("foreign", ())),)))
    assert "delete chain inet corral foreign" in await report.ruleset(Which.DIFFERENCE)


async def test_an_ordinary_change_on_its_way_hides_neither_the_counters_nor_the_policy() -> None:
    async with running_agent() as running:
        await until(lambda: running.agent.facts.programmed)
        running.dataplane.count("default-deny", 7, 420)
        running.dataplane.hold()
        running.environment.create_container("front/web", name="more")
        running.environment.set_running("more", running.environment.allocate_address(0))
        running.publish()
        await until(lambda: running.agent.facts.committing)
        metrics = (await running.get("/metrics"))[1]
        assert 'corral_rule_packets_total{counter="default-deny"' in metrics
        state = json.loads((await running.get("/v1/state"))[1])
        assert (state["kernel"]["programmed"], state["kernel"]["pending"], state["policy"]["in_force"]) == (
            False,
            True,
            True,
        )
        assert state["inventory"]["local_endpoints"] == 5
        assert state["inventory"]["system_endpoints"] == 1
        running.environment.set_policy([], "deny")
        running.publish()
        await until(lambda: running.agent.desk.policy is not None and not running.agent.desk.policy.rules)
        assert not json.loads((await running.get("/v1/policy"))[1])["in_force"]
        running.dataplane.release()
