"""What agents are asked for a plan, and what becomes of those that can not tell."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from corral.cli.policy.evidence import ask_for_topology, ask_for_traffic
from corral.errors import UnreachableError

from ...sources.servers import http_server
from ..managed import managed

NOBODY = "127.0.0.1:1"


async def test_an_agent_tells_of_its_environment_and_its_traffic(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        topology = await ask_for_topology(place.address)
        assert topology.network.default_policy_action == place.held["defaultPolicyAction"]
        assert len(topology.endpoints) == 4
        found, nobody = await ask_for_traffic([place.address, NOBODY])
        assert (found.agent, found.host, found.troubles) == (place.address, "host1", ())
        assert found.rules is not None
        assert [rule["text"] for rule in found.rules["rules"]] == ["within stack: allow"]
        assert (nobody.agent, nobody.connections, nobody.rules) == (NOBODY, None, None)
        assert [trouble.partition(": ")[0] for trouble in nobody.troubles] == [
            f"connections of {NOBODY}",
            f"rules of {NOBODY}",
        ]


@pytest.mark.parametrize("body", ["<html>", "[]", '{"connections": 7'])
async def test_a_stranger_is_no_agent(body: str) -> None:
    async def handle(_: web.BaseRequest) -> web.Response:
        return web.Response(text=body)

    async with http_server(handle) as url:
        address = url.removeprefix("http://")
        with pytest.raises(UnreachableError, match="something else listens there"):
            await ask_for_topology(address)
        (found,) = await ask_for_traffic([address])
        assert all("something else listens there" in trouble for trouble in found.troubles)
        assert len(found.troubles) == 2


async def test_an_agent_that_knows_nothing_yet_says_so() -> None:
    async def handle(_: web.BaseRequest) -> web.Response:
        return web.json_response({"error": "nothing is known yet"}, status=503)

    async with http_server(handle) as url:
        with pytest.raises(UnreachableError, match=r"^nothing is known yet$"):
            await ask_for_topology(url.removeprefix("http://"))
