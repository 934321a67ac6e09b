"""`corral containers` and `corral hosts`: every row in full, whatever the width, and nothing from outside as it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from corral.cli.listing import containers, hosts
from corral.errors import UnreachableError

from ..sources.servers import http_server

SINCE, LONG = "2026-11-23T02:35:15.123Z", "n" * 150
CONTAINER = {
    "name": "front-web-1",
    "uuid": "u1",
    "address": "10.42.1.2",
    "party": "front/web",
    "judged": True,
    "programmed": True,
    "since": SINCE,
    "policy": "abc",
    "verified": SINCE,
}
PENDING = {**CONTAINER, "name": LONG, "programmed": False, "since": None, "policy": None, "verified": None}
SYSTEM = {**CONTAINER, "name": "", "judged": False, "party": "evil\x1b[2J[red]"}
HOST = {
    "name": "host1",
    "uuid": "h1",
    "address": "192.0.2.1",
    "state": "active",
    "this": True,
    "agent": "this",
    "endpoints": 3,
}
LOST = {**HOST, "name": "host2", "this": False, "agent": "missing", "endpoints": 2}


async def printed(command: Callable[..., None], answer: object, **options: bool) -> None:
    async def handle(_: web.BaseRequest) -> web.Response:
        return web.json_response(answer)

    async with http_server(handle) as url:
        await asyncio.to_thread(command, agent=url.removeprefix("http://"), **options)


async def test_containers_are_shown_with_what_the_kernel_holds(capsys: pytest.CaptureFixture[str]) -> None:
    await printed(containers, {"policy": "abc", "reason": None, "containers": [CONTAINER, PENDING, SYSTEM]})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "policy abc"
    assert lines[1].split() == ["PARTY", "CONTAINER", "ADDRESS", "PROGRAMMED", "VERIFIED"]
    assert lines[2].split() == ["front/web", "front-web-1", "10.42.1.2", "since", SINCE, SINCE]
    assert LONG in lines[3]
    assert lines[3].split()[-3:] == ["no", "not", "yet"]
    assert "not judged (system)" in lines[4]
    assert "evil\\x1b[2J[red]" in lines[4]
    assert len(lines) == 5


async def test_what_hinders_everything_is_said_first(capsys: pytest.CaptureFixture[str]) -> None:
    await printed(containers, {"policy": None, "reason": "mode is off", "containers": []})
    assert capsys.readouterr().out.splitlines()[:2] == ["policy unknown", "nothing is programmed: mode is off"]


async def test_hosts_are_shown_and_those_without_an_agent_once_more(capsys: pytest.CaptureFixture[str]) -> None:
    await printed(hosts, {"how": "From the metadata.", "hosts": [HOST, LOST]})
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["host1", "192.0.2.1", "active", "this", "3"]
    assert lines[2].split() == ["host2", "192.0.2.1", "active", "missing", "2"]
    assert lines[3:] == [
        "host2: no agent, so nothing judges flows to its 2 application endpoints",
        "From the metadata.",
    ]


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (containers, {"policy": "abc", "reason": None, "containers": [CONTAINER]}),
        (hosts, {"how": "so", "hosts": [HOST]}),
    ],
)
async def test_json_is_the_agents_document(
    command: Callable[..., None], answer: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    await printed(command, answer, as_json=True)
    assert json.loads(capsys.readouterr().out) == answer


@pytest.mark.parametrize("command", [containers, hosts])
@pytest.mark.parametrize("answer", [{}, [], None])
async def test_somebody_elses_json_is_no_answer(command: Callable[..., None], answer: object) -> None:
    with pytest.raises(UnreachableError, match="something else listens there"):
        await printed(command, answer)
