"""Where agents run, asked over real HTTP."""

from __future__ import annotations

import json

from corral.model.entities import AGENT_LABEL

from ..daemon.running import running_agent, until


async def test_hosts_are_told_with_the_endpoints_that_they_have() -> None:
    async with running_agent() as running:
        environment = running.environment
        environment.add_host()
        environment.set_container_labels("front-db-1", {AGENT_LABEL: "true"})
        environment.create_container("back/job", host=1)
        environment.set_running("back-job-2", environment.allocate_address(1))
        running.publish()
        await until(lambda: len(running.agent.desk.inventory.hosts) == 2)
        answer = json.loads((await running.get("/v1/hosts"))[1])
        told = [(host["name"], host["agent"], host["endpoints"]) for host in answer["hosts"]]
        assert told == [("host1", "this", 3), ("host2", "missing", 1)]
        metrics = (await running.get("/metrics"))[1]
        assert 'corral_hosts{agent="missing"} 1.0' in metrics
        assert 'corral_hosts{agent="running"} 1.0' in metrics
