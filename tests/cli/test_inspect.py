"""`status` and `ruleset` against an agent at work, as somebody on its host runs them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial

import pytest
import typer
from aiohttp import web

from corral.cli.explain import explain
from corral.cli.inspect import ruleset, status
from corral.errors import UnreachableError
from corral.sandbox.world import Sandbox
from corral.types import Problem

from ..daemon.running import running_agent, until
from ..e2e.places import corral, nft, one_host, without_counts
from ..sources.servers import http_server


async def test_commands_against_a_running_agent() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()

        status = await corral(sandbox, "status")
        assert status.status == 0
        assert "ready" in status.output
        assert "within stack: allow" in status.output
        assert json.loads((await corral(sandbox, "status", "--json")).output)["status"] == "ready"

        installed = await corral(sandbox, "ruleset")
        listed = await nft(sandbox, "list", "table", "inet", "corral")
        assert sorted(without_counts(installed.output)) == sorted(without_counts(listed))
        difference = await corral(sandbox, "ruleset", "difference")
        assert (difference.status, difference.output) == (0, "")


async def test_bad_input_is_named() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        assert (await corral(sandbox, "ruleset", "whatever")).status == 2


async def asked(command: Callable[..., None], answer: Callable[[], web.Response]) -> None:
    """Run a command against a server that always answers the same."""

    async def handle(_: web.BaseRequest) -> web.Response:
        return answer()

    async with http_server(handle) as url:
        await asyncio.to_thread(command, agent=url.removeprefix("http://"))


EVERY = [status, partial(explain, "a", "b"), partial(explain, "a", "b", as_json=True), ruleset]


@pytest.mark.parametrize("command", EVERY[1:])
async def test_what_can_not_be_answered_yet_is_an_error(
    command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UnreachableError, match=r"^nothing is known yet$"):
        await asked(command, lambda: web.json_response({"error": "nothing is known yet"}, status=503))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("command", EVERY)
@pytest.mark.parametrize("http_status", [200, 503])
async def test_somebody_elses_page_is_no_answer(
    command: Callable[..., None], http_status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UnreachableError):
        await asked(command, lambda: web.Response(text="<html>", content_type="text/html", status=http_status))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("command", EVERY)
@pytest.mark.parametrize("document", [{}, [], None])
async def test_somebody_elses_json_is_no_answer(command: Callable[..., None], document: object) -> None:
    with pytest.raises(UnreachableError, match="something else listens there"):
        await asked(command, lambda: web.json_response(document))


async def test_a_ruleset_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left:
        await asked(ruleset, lambda: web.Response(text="table inet corral {\n}\n"))
    assert (left.value.exit_code, capsys.readouterr().out) == (0, "table inet corral {\n}\n")


async def test_several_reasons_of_one_kind_are_explained_once(capsys: pytest.CaptureFixture[str]) -> None:
    async with running_agent() as running:
        await until(lambda: running.agent.facts.inventory_loaded)
        facts = running.agent.facts
        facts.inventory_problems = (Problem("container a", "wrong"), Problem("container b", "wrong"))
        facts.policy_problems = (Problem("policy[0].action", "'permit' given"),)
        with pytest.raises(typer.Exit):
            await asyncio.to_thread(status, agent=running.url.removeprefix("http://"))
    lines = capsys.readouterr().out.splitlines()
    explained = [line for line in lines if "more in the documentation" in line]
    assert explained[0] == "    (more in the documentation: troubleshooting#policy-rejected)"
    assert explained[-1] == "    (more in the documentation: troubleshooting#problems-of-the-inventory)"
    last = lines.index(explained[-1])
    assert lines[last - 2].startswith("  - container a: wrong; ")
    assert lines[last - 1].startswith("  - container b: wrong; ")
