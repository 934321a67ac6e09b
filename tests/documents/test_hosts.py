"""The shape of the map of hosts; what it holds is tested in `daemon/test_hosts`."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from corral.documents.hosts import Hosts

from ..daemon.running import running_agent, until
from .checking import check


async def test_the_answer_has_the_documented_shape_before_and_after_the_first_snapshot() -> None:
    async with running_agent() as running:
        check(Hosts, json.loads((await running.get("/v1/hosts"))[1]))
        await until(lambda: running.agent.facts.inventory_loaded)
        answer = json.loads((await running.get("/v1/hosts"))[1])
        check(Hosts, answer)
        assert [host["agent"] for host in answer["hosts"]] == ["this"]
        with pytest.raises(ValidationError):
            check(Hosts, {**answer, "hosts": [{**answer["hosts"][0], "agent": "well"}]})
