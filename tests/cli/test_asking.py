"""Questions to the local agent: who is asked, and whose answers count."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from corral.cli.asking import _listening, answered, ask, complete_name, document
from corral.config import load_settings
from corral.errors import UnreachableError, UsageError

from ..daemon.running import running_agent, until
from ..sources.servers import http_server
from .managed import corral


async def asked(function: Any, response: web.Response, *arguments: Any, **options: Any) -> Any:
    async def handle(_: web.BaseRequest) -> web.Response:
        return response

    async with http_server(handle) as url:
        return await asyncio.to_thread(function, url.removeprefix("http://"), *arguments, **options)


async def test_an_answer_is_passed_on_with_its_status() -> None:
    answer = await asked(ask, web.json_response({"status": "starting"}, status=503), "/readyz")
    assert (answer.status, json.loads(answer.body)) == (503, {"status": "starting"})


async def test_what_is_not_known_yet_is_said_in_the_agents_words() -> None:
    with pytest.raises(UnreachableError, match=r"^nothing is known yet$"):
        await asked(answered, web.json_response({"error": "nothing is known yet"}, status=503), "/v1/state")
    with pytest.raises(UnreachableError, match=r"^/v1/state: the answer has status 503$"):
        await asked(answered, web.Response(status=503), "/v1/state")


async def test_a_document_has_what_tells_an_agent() -> None:
    assert await asked(document, web.json_response({"flows": []}), "/v1/explain", has="flows") == {"flows": []}


@pytest.mark.parametrize("body", ["<html>", "[]", "null", '{"other": 1}', ""])
async def test_whatever_else_listens_is_no_agent(body: str) -> None:
    with pytest.raises(UnreachableError, match="something else listens there"):
        await asked(document, web.Response(text=body), "/v1/explain", has="flows")


def test_nobody_listens() -> None:
    with pytest.raises(UnreachableError, match="no agent answers at"):
        ask("127.0.0.1:1", "/v1/state")


def test_the_agent_is_the_one_of_the_flag_else_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_LISTEN", "0.0.0.0:1")
    with pytest.raises(UnreachableError, match=r"http://127\.0\.0\.1:1"):
        ask(None, "/v1/state")
    with pytest.raises(UnreachableError, match=r"http://127\.0\.0\.1:2"):
        ask("127.0.0.1:2", "/v1/state")
    with pytest.raises(UsageError, match="--agent: 'nowhere' given"):
        ask("nowhere", "/v1/state")


@pytest.mark.parametrize("listen", [None, "", "10.0.0.1:5", "[::1]:6", "nowhere", "a:99999"])
@pytest.mark.parametrize("agent", [None, "", "10.0.0.2:7", "nowhere"])
@pytest.mark.parametrize("other", [{}, {"CORRAL_MODE": "audit"}, {"CORRAL_MODE": "odd"}, {"CORRAL_LISTN": "x"}])
def test_where_the_agent_listens_is_what_the_settings_say(
    listen: str | None, agent: str | None, other: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the short way, where there is nothing else to be read, and by the long one."""

    def found(ask: Callable[[], str]) -> str:
        try:
            return ask()
        except UsageError as error:
            return f"wrong: {error}"

    environment = {**other, **({} if listen is None else {"CORRAL_LISTEN": listen})}
    monkeypatch.setattr("os.environ", environment)
    told = found(lambda: load_settings(environment, {"listen": agent}, flag_names={"listen": "--agent"}).listen)
    assert found(lambda: _listening(agent)) == told


def completed(agent: str, begin: str) -> list[str]:
    return complete_name(SimpleNamespace(params={"agent": agent}), begin)  # type: ignore[arg-type]


async def test_names_are_completed_by_the_agent() -> None:
    async with running_agent() as running:
        await until(lambda: running.agent.facts.programmed)
        agent = running.url.removeprefix("http://")
        assert await asyncio.to_thread(completed, agent, "front/") == ["front/db", "front/web"]
        assert await asyncio.to_thread(completed, agent, "front-web") == ["front-web-1"]
        assert await asyncio.to_thread(completed, agent, "&x=") == []


@pytest.mark.parametrize("body", ["<html>", "[]", "null", '{"names": 3}', '{"names": [1]}'])
async def test_whatever_else_listens_completes_nothing(body: str) -> None:
    async def handle(_: web.BaseRequest) -> web.Response:
        return web.Response(text=body)

    async with http_server(handle) as url:
        assert await asyncio.to_thread(completed, url.removeprefix("http://"), "a") == []


async def test_what_a_terminal_would_obey_is_not_completed() -> None:
    async def handle(_: web.BaseRequest) -> web.Response:
        evil = [
            "evil\x1b[2J",
            "two\nlines",
            "$(reboot)",
            "`reboot`",
            "a;reboot",
            "a b",
            "--agent=x",
            "~root",
            "a|b",
            "*",
        ]
        return web.json_response({"names": ["good", *evil]})

    async with http_server(handle) as url:
        assert await asyncio.to_thread(completed, url.removeprefix("http://"), "") == ["good"]


@pytest.mark.parametrize("agent", ["127.0.0.1:1", "nowhere", "a..b:80"])
def test_without_an_agent_nothing_is_completed_and_nothing_said(agent: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert completed(agent, "") == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("body", ['{"hosts": [{"name": "a"}]}', '{"hosts": []}'])
async def test_an_agent_of_another_version_is_told_from_a_no(body: str) -> None:
    async def handle(_: web.BaseRequest) -> web.Response:
        return web.Response(text=body)

    async with http_server(handle) as url:
        ran = await corral("hosts", "--agent", url.removeprefix("http://"))
    assert ran.status == 3
    assert "the agent's answer has no '" in ran.errors
    assert "another version" in ran.errors
