"""`/v1/log` against what an agent really answers."""

from __future__ import annotations

import json

from corral.documents.log import Log

from ..daemon.running import running_agent
from .checking import check


async def test_the_log_of_an_agent() -> None:
    async with running_agent() as running:
        check(Log, json.loads((await running.get("/v1/log"))[1]))
