"""`corral rules` and `corral topology`."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from corral.cli.rules import rules, topology
from corral.daemon.answers.topology import understood
from corral.errors import UnreachableError

from ..daemon.running import running_agent, until
from ..sources.servers import http_server


async def test_what_the_rules_did(capsys: pytest.CaptureFixture[str]) -> None:
    async with running_agent(CORRAL_MODE="audit") as running:
        await until(lambda: running.agent.facts.programmed)
        running.dataplane.count("default-deny", 7, 420)
        agent = running.url.removeprefix("http://")
        await asyncio.to_thread(rules, agent=agent)
        lines = capsys.readouterr().out.splitlines()
        lines = lines[next(number for number, line in enumerate(lines) if line.startswith("policy ")) :]
        assert lines[0].endswith("AUDIT: nothing is dropped")
        assert lines[1].split() == ["RULE", "ACTION", "PACKETS", "BYTES", "LAST", "HIT", "TEXT"]
        assert lines[2].split()[:5] == ["policy[0]", "allow", "0", "0", "-"]
        assert lines[2].endswith("  within stack: allow")
        (default,) = (line.split() for line in lines if line.startswith("default"))
        assert default[1:4] == ["deny", "7", "420"]
        await asyncio.to_thread(rules, agent=agent, as_json=True)
        assert json.loads("{" + capsys.readouterr().out.partition("{")[2])["default"]["packets"] == 7


def rule(**fields: object) -> dict[str, object]:
    return {
        "index": 0,
        "text": "within stack: allow",
        "action": "allow",
        "counter": "c",
        "packets": 3,
        "bytes": 90,
        "last_hit": None,
        "warnings": [],
    } | fields


async def test_warnings_stand_below_their_rule_and_text_from_outside_is_harmless(
    capsys: pytest.CaptureFixture[str],
) -> None:
    document = {
        "policy": "abc",
        "mode": "enforce",
        "since": "2026-11-23T02:35:15.123Z",
        "rules": [rule(warnings=["matches nothing"], text="from evil\x1b[2J [red]")],
        "default": rule(packets=0),
        "others": [],
        "warnings": ["the default action is not set"],
    }

    async def handle(_: web.BaseRequest) -> web.Response:
        return web.json_response(document)

    async with http_server(handle) as url:
        await asyncio.to_thread(rules, agent=url.removeprefix("http://"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[:5] == ["policy[0]", "allow", "3", "90", "before"]
    assert lines[2].endswith("from evil\\x1b[2J [red]")
    assert lines[3] == "  warning: matches nothing"
    assert lines[-1] == "warning: the default action is not set"


async def test_a_topology_can_be_saved(capsys: pytest.CaptureFixture[str]) -> None:
    async with running_agent() as running:
        await until(lambda: running.agent.facts.programmed)
        await asyncio.to_thread(topology, agent=running.url.removeprefix("http://"))
        (printed,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("{"))
        assert understood(printed.encode(), "the command").scene == running.agent.desk.scene()


async def test_what_is_no_topology_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    async def handle(_: web.BaseRequest) -> web.Response:
        return web.json_response({})

    async with http_server(handle) as url:
        with pytest.raises(UnreachableError, match="something else listens there"):
            await asyncio.to_thread(topology, agent=url.removeprefix("http://"))
    assert capsys.readouterr().out == ""
