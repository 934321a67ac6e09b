"""Is it programmed? Asked over real HTTP."""

from __future__ import annotations

import json

import pytest

from ..daemon.running import running_agent, until


async def test_what_hinders_is_said_of_each_container() -> None:
    async with running_agent() as running:
        await until(lambda: bool(running.agent.facts.bridge_error) and running.agent.facts.programmed)
        listed = json.loads((await running.get("/v1/containers"))[1])
        assert len(listed["containers"]) == 4
        # There is no bridge docker0 here: what is committed enforces nothing.
        assert "bridge" in listed["reason"]
        status, body = await running.get("/v1/containers/front-web-1/programmed?wait=10ms")
        answer = json.loads(body)
        assert (status, answer["programmed"]) == (200, False)
        assert "bridge" in answer["sentence"]


@pytest.mark.parametrize(
    ("wait", "said"), [("61s", "at most 60 s"), ("30", "500ms, 30s, 10m"), ("-1s", "500ms"), ("", "500ms")]
)
async def test_a_wait_that_is_no_duration_or_too_long_is_an_error(wait: str, said: str) -> None:
    async with running_agent() as running:
        status, body = await running.get(f"/v1/containers/front-web-1/programmed?wait={wait}")
        assert status == 400
        assert json.loads(body)["error"].startswith("wait: ")
        assert said in json.loads(body)["error"]


async def test_a_name_with_any_characters_can_be_asked_for() -> None:
    async with running_agent() as running:
        answer = json.loads((await running.get("/v1/containers/a%2Fb%20%C3%BC/programmed"))[1])
        assert answer["container"] == "a/b ü"
