"""The matrix over real HTTP."""

from __future__ import annotations

import json

from corral.documents.matrix import MatrixDocument, WarningsDocument

from ..daemon.running import running_agent
from ..daemon.test_agent import until_table
from ..documents.checking import check


async def test_matrix_and_warnings() -> None:
    async with running_agent() as running:
        await until_table(running, 3)
        status, body = await running.get("/v1/matrix?stack=front&stack=back")
        document = json.loads(body)
        check(MatrixDocument, document)
        assert (status, [party["name"] for party in document["parties"]]) == (
            200,
            ["back/job", "front/db", "front/web"],
        )
        status, body = await running.get("/v1/warnings")
        assert (status, json.loads(body)["warnings"]) == (200, [])
        check(WarningsDocument, json.loads(body))


async def test_an_unknown_stack_is_the_askers_fault() -> None:
    async with running_agent() as running:
        await until_table(running, 3)
        status, body = await running.get("/v1/matrix?stack=nowhere")
        assert status == 400
        assert "nowhere" in json.loads(body)["error"]


async def test_warnings_are_counted_in_the_metrics() -> None:
    async with running_agent() as running:
        await until_table(running, 3)
        body = (await running.get("/metrics"))[1]
        assert 'corral_policy_warnings{kind="shadowed"} 0.0' in body
