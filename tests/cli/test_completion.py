"""What the shell completes, in a real bash, with an agent, without one, and with one that does not answer."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from aiohttp import web

from ..daemon.running import running_agent, until
from ..sources.servers import http_server
from .managed import FOREIGN

# As bash does it: the words so far, which of them the cursor is in, and the function that was registered.
ASK = """
eval "$(_CORRAL_COMPLETE=source_bash corral)"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
function=$(complete -p corral) function=${function##*-F } function=${function%% *}
"$function" corral "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """The variables of a shell that finds the command."""
    program = tmp_path / "corral"
    program.write_text(f"#!{sys.executable}\nfrom corral.cli import main\nmain()\n")
    program.chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return {**inherited, "PATH": f"{tmp_path}:{os.environ['PATH']}"}


async def run(*command: str, variables: dict[str, str]) -> tuple[str, str]:
    process = await asyncio.create_subprocess_exec(
        *command, env=variables, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    return output.decode(), errors.decode()


async def completed(typed: str, shell: dict[str, str], agent: str) -> list[str]:
    """What bash offers for the last word; it must not be disturbed."""
    words = typed.split(" ")
    output, errors = await run("bash", "-c", ASK, "bash", *words, variables={**shell, "CORRAL_LISTEN": agent})
    assert errors == ""
    return output.split()


async def test_commands_options_and_names(shell: dict[str, str]) -> None:
    async with running_agent() as running:
        await until(lambda: running.agent.facts.programmed)
        agent = running.url.removeprefix("http://")
        asked = {
            "corral exp": ["explain"],
            "corral policy va": ["validate"],
            "corral status --js": ["--json"],
            "corral explain front/": ["front/db", "front/web"],
            "corral explain front/web back-": ["back-job-1"],
            "corral wait front-w": ["front-web-1"],
            "corral denied --client back/": ["back/job"],
            "corral schema policy-t": ["policy-test"],
        }
        found = await asyncio.gather(*(completed(typed, shell, agent) for typed in asked))
    assert dict(zip(asked, found, strict=True)) == asked


async def test_without_an_agent_only_names_are_missing(shell: dict[str, str]) -> None:
    assert await completed("corral explain front/", shell, "127.0.0.1:1") == []
    assert await completed("corral explain --top", shell, "127.0.0.1:1") == ["--topology"]
    assert await completed("corral explain front/", shell, "nowhere") == []


async def test_nobody_waits_for_an_agent_that_does_not_answer(shell: dict[str, str]) -> None:
    asked = asyncio.Event()

    async def silent(_: web.BaseRequest) -> web.Response:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with http_server(silent) as url, asyncio.timeout(8):
        assert await completed("corral explain front/", shell, url.removeprefix("http://")) == []
    assert asked.is_set()


@pytest.mark.parametrize(
    ("kind", "registers"), [("bash", "complete -o default"), ("zsh", "compdef "), ("fish", "complete --command corral")]
)
async def test_a_script_for_each_shell(kind: str, registers: str, shell: dict[str, str]) -> None:
    output, errors = await run("corral", variables={**shell, "_CORRAL_COMPLETE": f"source_{kind}"})
    assert (registers in output, errors) == (True, "")


async def test_a_script_for_this_shell(shell: dict[str, str]) -> None:
    output, errors = await run("bash", "-c", "corral --show-completion; :", variables=shell)
    assert ("complete -o default -F _corral_completion corral" in output, errors) == (True, "")
