"""`/v1/explain`, `/v1/names` and `/v1/topology` over real HTTP."""

from __future__ import annotations

import inspect
import json

from corral.daemon.answers.questions import Questions
from corral.web.questions import QuestionsView

from ..daemon.running import running_agent, until


def test_the_daemon_implements_the_view() -> None:
    for name, asked in inspect.getmembers(QuestionsView, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(getattr(Questions, name)) == inspect.signature(asked)


async def test_questions_and_what_is_wrong_with_some() -> None:
    async with running_agent() as running:
        await until(lambda: running.agent.facts.programmed)
        status, body = await running.get("/v1/explain?client=front/web&server=front/db&port=80/tcp")
        assert (status, json.loads(body)["verdict"]) == (200, "allow")
        status, body = await running.get("/v1/explain?client=front/web")
        assert (status, json.loads(body)["error"].split(";")[0]) == (400, "server missing")
        assert (await running.get("/v1/explain?client=front/web&server=front/db&port=x"))[0] == 400
        assert json.loads((await running.get("/v1/names?begin=back"))[1]) == {"names": ["back-job-1", "back/job"]}
        assert json.loads((await running.get("/v1/topology"))[1])["format"] == "corral-topology/1"
