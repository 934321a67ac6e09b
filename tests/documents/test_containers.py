"""Shapes of the answers about containers; what they hold is tested in `daemon/test_containers`."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from corral.documents.containers import Containers, Programmed

from ..daemon.running import Running, running_agent, until
from .checking import check


async def shapes(running: Running) -> dict[str, object]:
    check(Containers, json.loads((await running.get("/v1/containers"))[1]))
    answer: dict[str, object] = json.loads((await running.get("/v1/containers/front-web-1/programmed"))[1])
    check(Programmed, answer)
    return answer


async def test_answers_have_the_documented_shape_before_and_after_the_first_snapshot() -> None:
    async with running_agent() as running:
        await shapes(running)
        await until(lambda: running.agent.facts.programmed)
        answer = await shapes(running)
        with pytest.raises(ValidationError):
            check(Programmed, {**answer, "waited_seconds": "long"})
