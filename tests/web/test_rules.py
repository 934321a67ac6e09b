"""`/v1/rules` over real HTTP."""

from __future__ import annotations

import json

from corral.documents.rules import Rules

from ..daemon.running import running_agent, until
from ..documents.checking import check


async def test_what_the_rules_did() -> None:
    async with running_agent() as running:
        await until(lambda: running.agent.facts.programmed)
        running.dataplane.count("default-deny", 7, 420)
        status, body = await running.get("/v1/rules")
        answer = json.loads(body)
        check(Rules, answer)
        assert (status, answer["default"]["packets"], answer["default"]["bytes"]) == (200, 7, 420)
        assert [rule["text"] for rule in answer["rules"]] == ["within stack: allow"]
