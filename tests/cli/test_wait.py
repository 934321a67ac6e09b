"""`corral wait`, as a script uses it right after it has started a container."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

import pytest
import typer
from aiohttp import web

from corral.cli.wait import QUESTION, asked_until, wait
from corral.documents.containers import Programmed
from corral.errors import UnreachableError, UsageError
from corral.sandbox.world import Sandbox

from ..e2e.places import corral, one_host
from ..sources.servers import http_server

WAITING = {
    "container": "web",
    "address": None,
    "programmed": False,
    "final": False,
    "since": None,
    "policy": None,
    "verified": None,
    "waited_seconds": 0.0,
    "sentence": "web is not programmed: no container of this host is called so",
}
DONE = {**WAITING, "programmed": True, "final": True, "sentence": "web (10.42.1.2) is programmed since then"}
NEVER = {**WAITING, "final": True, "sentence": "web is not programmed: it is on the network host"}


async def test_a_container_that_has_just_been_created_is_waited_for() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        asked = asyncio.create_task(corral(sandbox, "wait", "front-web-2", "--timeout", "20s"))
        container = await sandbox.start_container("front/web", host=0)
        assert container.name == "front-web-2"
        ran = await asked
        assert (ran.status, ran.errors) == (0, "")
        policy = (await sandbox.agents[0].state())["policy"]["digest"]
        assert f"front-web-2 ({container.address}) is programmed since 20" in ran.output
        assert f"under policy {policy}" in ran.output
        assert "waited " in ran.output
        answer = json.loads((await corral(sandbox, "wait", container.uuid, "--json")).output)
        assert (answer["programmed"], answer["address"]) == (True, container.address)
        listed = await corral(sandbox, "containers")
        assert (listed.status, "front-web-2" in listed.output) == (0, True)
        in_vain = await corral(sandbox, "wait", "nobody", "--timeout", "100ms")
        assert in_vain.status == 1
        assert "no container of this host is called so" in in_vain.output
        wrong = await corral(sandbox, "wait", "nobody", "--timeout", "soon")
        assert wrong.status == 2
        assert "--timeout: 'soon' given" in wrong.errors
        await sandbox.agents[0].stop()
        assert (await corral(sandbox, "wait", "front-web-2")).status == 3


async def answered(*answers: dict[str, Any], **options: Any) -> tuple[int, list[str]]:
    """Run it against a server that gives these answers; the exit status, and what was asked."""
    given, asked = iter(answers), list[str]()

    async def handle(request: web.BaseRequest) -> web.Response:
        asked.append(request.path_qs)
        return web.json_response(next(given))

    async with http_server(handle) as url:
        with pytest.raises(typer.Exit) as left:
            await asyncio.to_thread(wait, "web", agent=url.removeprefix("http://"), **options)
    return left.value.exit_code, asked


@pytest.mark.parametrize(("answer", "status"), [(DONE, 0), (NEVER, 1)])
async def test_a_final_answer_ends_the_wait(
    answer: dict[str, Any], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await answered(answer, timeout="1h") == (
        status,
        [f"/v1/containers/web/programmed?wait={QUESTION * 1000:.0f}ms"],
    )
    assert answer["sentence"] in capsys.readouterr().out


async def test_who_gives_up_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert await answered(WAITING, timeout="2s") == (1, ["/v1/containers/web/programmed?wait=2000ms"])
    assert "gave up after 0." in capsys.readouterr().out


def test_longer_waits_are_several_questions() -> None:
    now, asked = 0.0, list[float]()

    def ask(wait: float) -> Programmed:
        nonlocal now
        now += wait
        asked.append(wait)
        return cast("Programmed", {**WAITING, "waited_seconds": wait})

    answer = asked_until(ask, 12.0, lambda: now)
    assert (answer["waited_seconds"], asked) == (12.0, [5.0, 5.0, 2.0])
    answers = iter([WAITING, DONE])
    assert asked_until(lambda _: cast("Programmed", next(answers)), 12.0)["programmed"]


async def test_json_is_the_agents_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert (await answered(DONE, as_json=True))[0] == 0
    printed = json.loads(capsys.readouterr().out)
    assert {**printed, "waited_seconds": 0.0} == DONE


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_wrong_usage(name: str) -> None:
    with pytest.raises(UsageError, match="CONTAINER"):
        wait(name)


async def asked_of(command: Callable[[], None]) -> None:
    await asyncio.to_thread(command)


async def test_no_agent_is_an_error_of_its_own() -> None:
    with pytest.raises(UnreachableError, match="no agent answers"):
        await asked_of(lambda: wait("web", agent="127.0.0.1:1"))


async def test_what_an_agent_says_can_do_nothing_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    await answered({**NEVER, "sentence": "evil \x1b]0;title\x07 [red]name[/red]"})
    out = capsys.readouterr().out
    assert "\x1b]" not in out
    assert "[red]name[/red]" in out
