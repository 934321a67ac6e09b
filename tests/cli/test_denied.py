"""`corral denied`: on a terminal, in a pipe, and followed."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import Any

import pytest
from aiohttp import web
from rich.console import Console

from corral.cli import denied as command
from corral.cli.denied import denied
from corral.errors import UnreachableError
from corral.sandbox.world import Sandbox
from corral.types import Protocol

from ..documents.test_denied import END, FLOW
from ..e2e.places import corral, corral_started, one_host
from ..sources.servers import Handler, http_server

JOB = {"name": "back/job/back-job-1", "address": "10.42.1.4", "party": "back/job"}
LISTED = {
    **FLOW,
    "client": JOB,
    "verdict": "deny",
    "sentence": "denied by the default action: no rule matches",
    "count": 3,
    "suggestion": "link back/job to front/db",
}
ANSWER = {"mode": "enforce", "listening": True, "since": "2026-11-23T00:00:00.000Z", "lost": 0, "forgotten": 0}
STREAM = {"Content-Type": "text/event-stream"}


async def asked(handler: Handler, **options: Any) -> None:
    async with http_server(handler) as url:
        await asyncio.to_thread(denied, agent=url.removeprefix("http://"), **options)


def answering(**more: Any) -> Handler:
    async def handle(request: web.BaseRequest) -> web.Response:
        assert request.query["suggest"] == "true"
        return web.json_response({**ANSWER, "flows": [], **more})

    return handle


def streaming(*events: tuple[str, object]) -> Handler:
    """A stream of these events; other questions are answered with one flow."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/v1/denied":
            return web.json_response({**ANSWER, "flows": [LISTED]})
        assert request.query["kinds"] == "denied"
        response = web.StreamResponse(headers=STREAM)
        await response.prepare(request)
        for kind, data in events:
            await response.write(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode())
        return response

    return handle


async def test_a_line_for_each_flow_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    await asked(answering(flows=[LISTED, {**LISTED, "answered": True, "port": None, "protocol": "icmp"}]))
    first, second = capsys.readouterr().out.splitlines()
    assert first == (
        "2026-11-23T02:35:15.123Z  DENY  back/job/back-job-1 (10.42.1.4) -> 10.42.0.3  80/tcp  3 reported; "
        "denied by the default action: no rule matches; to allow it: link back/job to front/db"
    )
    assert "  icmp  3 reported; " in second
    assert "it was open: the server had answered" in second


async def test_a_table_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(force_terminal=True, width=200, height=50, record=True, color_system=None)
    monkeypatch.setattr(command, "console", lambda: console)
    monkeypatch.setattr(command, "on_terminal", lambda: True)
    hostile = {**JOB, "name": "back/job/\x1b[31mred"}
    await asked(answering(flows=[LISTED, {**LISTED, "client": hostile, "verdict": "audit"}], forgotten=4))
    shown = console.export_text()
    assert "2026-11-23 02:35:15" in shown
    assert "back/job/back-job-1" in shown
    assert "AUDIT" in shown
    assert "to allow it: link back/job to front/db" in shown
    assert "\\x1b[31mred" in shown


async def test_json_is_the_agents_document(capsys: pytest.CaptureFixture[str]) -> None:
    await asked(answering(flows=[LISTED]), as_json=True)
    assert json.loads(capsys.readouterr().out) == {**ANSWER, "flows": [LISTED]}


async def test_an_agent_that_gets_no_reports_is_pointed_out(capsys: pytest.CaptureFixture[str]) -> None:
    await asked(answering(listening=False))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "do not reach the agent: corral status says why" in captured.err


async def test_following_prints_flows_as_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnreachableError, match="the agent has ended the stream"):
        await asked(streaming(("denied", FLOW), ("lost", {"events": 7})), follow=True)
    captured = capsys.readouterr()
    assert [line.split()[1] for line in captured.out.splitlines()] == ["AUDIT"]
    assert "7 events were lost" in captured.err


async def test_following_since_a_moment_begins_with_what_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnreachableError):
        await asked(streaming(("denied", FLOW)), follow=True, since="10m", as_json=True)
    known, come = map(json.loads, capsys.readouterr().out.splitlines())
    assert (known, come) == (LISTED, FLOW)


@pytest.mark.parametrize("data", ["no flow", {}, {"client": END}])
async def test_somebody_elses_events_are_no_answer(data: object) -> None:
    with pytest.raises(UnreachableError, match="something else listens there"):
        await asked(streaming(("denied", data)), follow=True)


async def test_against_a_running_agent() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        denied_flow = sandbox.flow("back-job-1", "front-db-1", Protocol.UDP, 53)
        arguments = ("denied", "--follow", "--json", "--server", "front/db")
        with corral_started(sandbox, *arguments) as following:
            assert following.stdout is not None
            async with sandbox.prober(denied_flow):
                told = json.loads(await asyncio.to_thread(following.stdout.readline))
            assert (told["client"]["name"], told["verdict"]) == ("back/job/back-job-1", "deny")
            following.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(following.wait, 10) == 0
            assert following.stderr is not None
            assert following.stderr.read() == ""

        listed = await corral(sandbox, "denied", "--client", "back/job", "--since", "5m")
        assert listed.status == 0, listed.errors
        (line,) = listed.output.splitlines()
        assert "DENY  back/job/back-job-1" in line
        assert "to allow it: " in line
        assert (await corral(sandbox, "denied", "--client", "front/web")).output == ""

        typo = await corral(sandbox, "denied", "--client", "back/jop")
        assert (typo.status, "did you mean back/job" in typo.errors) == (2, True)
        assert (await corral(sandbox, "denied", "--since", "soon")).status == 2
        assert (await corral(sandbox, "denied", "--follow", "--agent", "127.0.0.1:1")).status == 3
