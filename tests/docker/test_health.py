"""Rancher's health check, Docker's, and who else may ask the agent."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest
import yaml

from corral.sandbox.agents import LISTEN
from corral.sandbox.namespace import Namespace
from corral.sandbox.topology import host_address

from .agent import SERVICE, STACK_FILE, Agent
from .place import Place
from .seed import describe
from .waiting import until

RANCHER_FILE = STACK_FILE.with_name("rancher-compose.yml")
CHECKERS = "healthcheck/healthcheck"


async def test_what_containers_may_ask_the_agent(place: Place, agent: Agent) -> None:
    describe(place.environment)
    place.environment.add_stack("healthcheck", system=True)
    place.environment.add_service(CHECKERS, system=True)
    checker = await place.space((await place.start(CHECKERS)).name)
    application = await place.space((await place.start("stack_one/service_one")).name)
    await agent.up()
    await agent.enforced()

    check = health_check()
    for space in (checker, application):
        answer = await asked(space, check["port"], check["request_line"])
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.0 200 OK\r\n")
        assert json.loads(body) == {"status": "ready"}
        for path in ("/", "/metrics", "/v1/state", "/v1/policy", "/v1/events"):
            assert (await asked(space, check["port"], f"GET {path} HTTP/1.0")).startswith(b"HTTP/1.0 404 ")
        assert (await asked(space, check["port"], "POST /healthz HTTP/1.0")).startswith(b"HTTP/1.0 405 ")
        with pytest.raises(ConnectionRefusedError):
            await asked(space, int(LISTEN.rpartition(":")[2]), "GET /healthz HTTP/1.0")

    container = await agent.container()

    async def healthy() -> bool:
        status: str = (await place.engine.inspect(container))["State"]["Health"]["Status"]
        return status == "healthy"

    await until(healthy, 60.0)


def health_check() -> dict[str, Any]:
    """What Rancher is told to ask."""
    service: dict[str, Any] = yaml.safe_load(RANCHER_FILE.read_text())["services"][SERVICE]
    return dict(service["health_check"])


async def asked(space: Namespace, port: int, request_line: str) -> bytes:
    """The answer to a request line without any header, as HAProxy sends it, from a container to its host."""
    loop = asyncio.get_running_loop()
    answer = b""
    with space.socket(socket.AF_INET, socket.SOCK_STREAM) as opened:
        async with asyncio.timeout(5):
            await loop.sock_connect(opened, (host_address(0), port))
            await loop.sock_sendall(opened, f"{request_line}\r\n\r\n".encode())
            while chunk := await loop.sock_recv(opened, 1 << 16):
                answer += chunk
    return answer
