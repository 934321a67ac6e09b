"""`corral connections`, on a sandbox's host and against an agent's answers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import typer
from aiohttp import web

from corral.cli.connections import connections
from corral.errors import UnreachableError
from corral.sandbox.world import Sandbox

from ..e2e.places import WITHIN_STACK, allowed, corral, forbidden, one_host
from ..sources.servers import http_server

END = {"name": None, "address": "10.42.0.9", "party": "10.42.0.9"}
ENTRY: dict[str, Any] = {
    "client": {"name": "front/web/front-web-1", "address": "10.42.0.2", "party": "front/web"},
    "server": END,
    "protocol": "udp",
    "port": 53,
    "state": "unanswered",
    "answered": False,
    "open": False,
    "count": 3,
    "client_ports": [1, 2, 3],
    "verdict": "allow",
    "decided_by": "rule",
    "rule": 0,
    "sentence": "allowed by policy[0]",
    "differs": "allowed, no answer",
}
ANSWER: dict[str, Any] = {
    "host": "host1",
    "mode": "audit",
    "policy": "fd4436eb6d81",
    "entries": 7,
    "truncated": False,
    "connections": [ENTRY],
}


async def test_what_is_open_and_what_a_change_would_cut() -> None:
    async with Sandbox(one_host([], "allow")) as sandbox:
        await sandbox.enforced()
        async with sandbox.stream(allowed(sandbox)), sandbox.stream(forbidden(sandbox)):
            listed = await corral(sandbox, "connections")
            assert listed.status == 0, listed.errors
            assert "front/web/front-web-1 -> front/db/front-db-1  80/tcp  established      1" in listed.output
            assert " flows tracked on host1 in all" in listed.output
            none = await corral(sandbox, "connections", "--differ")
            assert (none.status, "0 work and would be denied" in none.output) == (0, True)
            await sandbox.put_policy(WITHIN_STACK, "deny")
            await sandbox.enforced()
            differing = await corral(sandbox, "connections", "--differ")
        assert differing.status == 1
        assert "1 work and would be denied" in differing.output
        assert "back/job/back-job-1 -> front/db/front-db-1  80/tcp" in differing.output
        assert "front/web/front-web-1 ->" not in differing.output
        assert "this host enforces, so these are cut" in differing.output


async def answered(answer: object, *, status: int = 200, **options: Any) -> tuple[int, Callable[[], Any]]:
    """The exit status against a server that always answers so, and what was asked."""
    asked: list[str] = []

    async def handle(request: web.BaseRequest) -> web.Response:
        asked.append(request.path_qs)
        return web.json_response(answer, status=status)

    async with http_server(handle) as url:
        try:
            await asyncio.to_thread(connections, agent=url.removeprefix("http://"), **options)
        except typer.Exit as left:
            return left.exit_code, asked.pop
    raise AssertionError("a command ends with its exit status")


async def test_what_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    status, asked = await answered(ANSWER | {"truncated": True}, differ=True)
    assert (status, asked()) == (1, "/v1/connections?differ=true")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["0 work and would be denied", "1 are allowed and nobody answers"]
    assert re.split(" {2,}", lines[2])[1:] == ["FLOW", "PORT", "STATE", "COUNT", "VERDICT"]
    told = ["front/web/front-web-1 -> 10.42.0.9", "53/udp", "unanswered", "3", "allowed by policy[0]"]
    assert re.split(" {2,}", lines[3])[1:] == told
    assert lines[-1] == "there are more than are shown here"
    assert not any("this host enforces" in line for line in lines)


async def test_json_is_what_the_agent_answers(capsys: pytest.CaptureFixture[str]) -> None:
    status, asked = await answered(ANSWER, as_json=True)
    assert (status, asked()) == (0, "/v1/connections")
    assert json.loads(capsys.readouterr().out) == ANSWER


async def test_names_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    await answered(ANSWER | {"connections": [ENTRY | {"server": END | {"name": "a\x1b[31m\nb"}}]})
    assert "-> a\\x1b[31m\\nb  53/udp" in capsys.readouterr().out


async def test_an_agent_that_can_not_tell_is_an_error() -> None:
    with pytest.raises(UnreachableError, match="modprobe"):
        await answered({"error": "load it with modprobe"}, status=503)
    with pytest.raises(UnreachableError, match="something else listens there"):
        await answered([])
