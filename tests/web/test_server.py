"""The health endpoint over real HTTP."""

from __future__ import annotations

import json

import pytest
from aiohttp import web

from corral.errors import UsageError
from corral.web.server import serve

from ..daemon.running import Running, running_agent
from ..daemon.test_agent import until_table


async def ready(running: Running) -> None:
    await until_table(running, 3)


async def test_state_policy_and_health() -> None:
    async with running_agent() as running:
        await ready(running)
        state = json.loads((await running.get("/v1/state"))[1])
        assert state["network"]["subnets"] == ["10.42.0.0/16"]
        assert state["inventory"]["local_endpoints"] == 4
        assert state["policy"] == json.loads((await running.get("/v1/policy"))[1])
        assert state["policy"]["rules"] == ["within stack: allow"]
        assert (await running.get("/healthz"))[0] == 200
        # There is no bridge docker0 here, and the agent says so rather than claim to enforce.
        status, body = await running.get("/readyz")
        assert status == 503
        assert json.loads(body)["status"] == "degraded"


async def test_rulesets() -> None:
    async with running_agent() as running:
        await ready(running)
        desired = (await running.get("/v1/ruleset"))[1]
        assert desired.startswith("table inet corral {")
        assert (await running.get("/v1/ruleset?which=installed"))[1] == desired
        assert (await running.get("/v1/ruleset?which=difference"))[1] == ""
        status, body = await running.get("/v1/ruleset?which=other")
        assert status == 400
        assert "desired, installed, difference" in json.loads(body)["error"]


async def test_explain() -> None:
    async with running_agent() as running:
        await ready(running)
        status, body = await running.get("/v1/explain?client=front/web&server=front/db&port=80/tcp")
        assert (status, json.loads(body)["verdict"]) == (200, "allow")
        status, body = await running.get("/v1/explain?client=front/web")
        assert status == 400
        assert "server missing" in json.loads(body)["error"]


async def test_metrics_are_prometheus_text() -> None:
    async with running_agent() as running:
        await ready(running)
        running.dataplane.count("default-deny", 7, 420)
        status, body = await running.get("/metrics")
        assert status == 200
        assert 'corral_rule_packets_total{counter="default-deny"} 7.0' in body
        assert 'corral_inventory_objects{kind="local_endpoints"} 4.0' in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_it_is_read_only(method: str) -> None:
    async with running_agent() as running:
        for path in ("/v1/state", "/nowhere"):
            assert (await running.get(path, method=method))[0] == 405


@pytest.mark.parametrize(
    ("path", "method", "host", "status", "said"),
    [
        ("/v1/state", "POST", "localhost", 405, "Method Not Allowed"),
        ("/v1/state", "GET", "evil.example", 403, "'evil.example' is neither loopback nor the listen address"),
        ("/nowhere", "GET", "localhost", 404, "Not Found"),
        ("/v1/ruleset?which=all", "GET", "localhost", 400, "which: 'all' given"),
    ],
)
async def test_errors_are_json(path: str, method: str, host: str, status: int, said: str) -> None:
    async with running_agent() as running:
        answered, body = await running.get(path, method=method, host=host)
        assert answered == status
        assert said in json.loads(body)["error"]


async def test_head_is_allowed() -> None:
    async with running_agent() as running:
        assert (await running.get("/healthz", method="HEAD"))[0] == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8799", 200),
        ("127.0.0.1", 200),
        ("127.9.9.9:1", 200),
        ("[::1]:8799", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("[", 403),
    ],
)
async def test_a_rebound_name_is_refused(host: str, status: int) -> None:
    async with running_agent() as running:
        assert (await running.get("/healthz", host=host))[0] == status


async def test_an_address_that_is_taken_is_an_error_that_names_the_setting() -> None:
    async with running_agent() as running:
        taken = int(running.url.rpartition(":")[2])
        with pytest.raises(UsageError, match="CORRAL_LISTEN"):
            async with running_agent(CORRAL_LISTEN=f"127.0.0.1:{taken}"):
                raise AssertionError("it listens")


@pytest.mark.parametrize("listen", ["a..b:8799", f"{'a' * 70}:8799"])
async def test_a_host_that_is_no_name_is_an_error_that_names_the_setting(listen: str) -> None:
    with pytest.raises(UsageError, match=f"CORRAL_LISTEN: can not listen on {listen}"):
        async with running_agent(CORRAL_LISTEN=listen):
            raise AssertionError("it listens")


async def test_a_port_that_is_no_port_is_an_error_that_names_the_setting() -> None:
    with pytest.raises(UsageError, match=r"can not listen on 127\.0\.0\.1:99999"):
        async with serve(web.Application(), "127.0.0.1", 99999):
            raise AssertionError("it listens")
