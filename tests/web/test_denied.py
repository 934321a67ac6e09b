"""`/v1/denied` over real HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from corral.documents.denied import Denied, DeniedSuggestions

from ..daemon.running import Running, running_agent, until
from ..daemon.test_agent import until_table
from ..daemon.test_denials import address, logged
from ..documents.checking import check


async def reported(running: Running) -> None:
    await until_table(running, 3)
    desk = running.agent.desk
    running.packet_log.report(logged(address(desk, "back-job-1"), address(desk, "front-db-1")))
    await until(lambda: running.agent.facts.denied.flows == 1)


async def asked(running: Running, path: str) -> tuple[int, dict[str, Any]]:
    status, body = await running.get(path)
    return status, json.loads(body)


async def test_flows_and_what_would_allow_them() -> None:
    async with running_agent() as running:
        await reported(running)
        status, answer = await asked(running, "/v1/denied?since=10m&client=back/job&server=front&limit=5&suggest=true")
        assert status == 200
        check(Denied, answer)
        (flow,) = answer["flows"]
        assert (flow["count"], bool(flow["suggestion"])) == (1, True)
        status, answer = await asked(running, "/v1/denied/suggestions?client=back/job&server=front/db&port=80/tcp")
        assert status == 200
        check(DeniedSuggestions, answer)
        assert answer["suggestions"][0]["sentence"] == flow["suggestion"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("since=soon", "since: 'soon' given; a number with a unit is allowed"),
        ("limit=0", "limit: '0' given; 1-1000 is allowed"),
        ("limit=1001", "1-1000 is allowed"),
        ("limit=%C2%B2", "1-1000 is allowed"),
        ("limit=99999999999999999999", "1-1000 is allowed"),
        ("suggest=maybe", "suggest: 'maybe' given; true or false is allowed"),
        ("client=front/wev", "did you mean front/web"),
    ],
)
async def test_a_bad_question_says_what_is_allowed(query: str, said: str) -> None:
    async with running_agent() as running:
        await until_table(running, 3)
        status, answer = await asked(running, f"/v1/denied?{query}")
        assert status == 400
        assert said in answer["error"]


async def test_a_question_without_its_ends_is_refused() -> None:
    async with running_agent() as running:
        status, answer = await asked(running, "/v1/denied/suggestions?client=front/web")
        assert status == 400
        assert "server missing" in answer["error"]


async def test_without_anything_to_enforce_nothing_is_denied() -> None:
    async with running_agent(CORRAL_MODE="off") as running:
        status, answer = await asked(running, "/v1/denied")
        assert (status, answer["mode"], answer["listening"], answer["flows"]) == (200, "off", False, [])
