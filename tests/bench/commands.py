"""The commands as processes, end to end, and what the agent takes of it: of an agent with a large environment."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from corral.errors import CorralError
from corral.sandbox.namespace import Namespace
from corral.sources.agent import AgentClient

from .floor import in_namespace
from .questions import rules
from .report import Row, micro, percentile
from .start import serving
from .world import World, size_of, world_of

_CONTAINERS = 5000
_ANSWER, _PLAN = 0.2, 2.0  # seconds
_HOST, _PORT = "127.0.0.1", 8799
_FLOW = "stack0/web stack1/db --port 5432/tcp"
# The bare start of a process with the libraries that every command has: what no command can be faster than.
_FLOOR = """
import typer, rich.console
def command(option: str | None = typer.Option(None), flag: bool = False): rich.console.Console().print("")
typer.run(command)
"""
COMMANDS = (
    "status",
    f"explain {_FLOW}",
    "rules",
    "containers",
    "hosts",
    "connections",
    "denied",
    "wait stack0-web-0 --timeout 1ms",
    "ruleset desired",
    "topology",
    f"explain {_FLOW} --policy POLICY",
    "policy validate POLICY",
    "policy plan POLICY",
)
ANSWERS = (
    "/v1/state",
    "/v1/explain?client=stack0/web&server=stack1/db&port=5432/tcp",
    "/v1/names?begin=stack1",
    "/v1/rules",
    "/v1/warnings",
    "/v1/matrix",
    "/v1/containers",
    "/v1/hosts",
    "/v1/connections",
    "/v1/denied?suggest=true",
    "/v1/ruleset?which=desired",
    "/v1/topology",
)


def measure_commands(*, quick: bool) -> list[Row]:
    """Each command as a user types it, each answer alone, and the bare start of a process."""
    world = world_of(size_of(200 if quick else _CONTAINERS))
    count = 1 if quick else 15

    async def main(_: Namespace) -> list[Row]:
        with TemporaryDirectory() as folder:
            policy = Path(folder, "policy.json")
            policy.write_text(json.dumps({"defaultPolicyAction": "deny", "policy": rules()}))  # noqa: ASYNC240
            async with _agent(world) as client:
                answers = [await _answer(client, path, count) for path in ANSWERS]
                commands = [await _command(words, str(policy), count) for words in COMMANDS]
            floor = await _process("no command: typer and rich alone", ("-c", _FLOOR), count)
        return [floor, *commands, *answers]

    return in_namespace(main)


@asynccontextmanager
async def _agent(world: World) -> AsyncIterator[AgentClient]:
    """An agent in a process of its own, whose table is in the kernel."""
    async with serving(world.document()) as url:
        variables = {**os.environ, "CORRAL_METADATA_URL": url, "CORRAL_LOG_LEVEL": "error"}
        agent = await asyncio.create_subprocess_exec(sys.executable, "-m", "corral", "agent", env=variables)
        ended = asyncio.create_task(agent.wait())
        try:
            client = AgentClient(_HOST, _PORT)
            while not await asyncio.to_thread(_holds_all, client):
                await asyncio.wait((ended,), timeout=0.05)
                if ended.done():
                    raise RuntimeError("the agent has ended")
            yield client
        finally:
            if not ended.done():
                agent.terminate()
            await ended


def _holds_all(client: AgentClient) -> bool:
    try:
        return bool(json.loads(client.get("/v1/state").body)["kernel"]["programmed"])
    except CorralError:
        return False


async def _answer(client: AgentClient, path: str, count: int) -> Row:
    seconds, size = [], 0
    for _ in range(count):
        started = perf_counter()
        answer = await asyncio.to_thread(client.get, path)
        seconds.append(perf_counter() - started)
        size = len(answer.body)
    return _row(f"answer {path.partition('?')[0]}", f"the answer {path}", seconds, note=f"{size:,} bytes")


async def _command(words: str, policy: str, count: int) -> Row:
    arguments = [policy if word == "POLICY" else word for word in words.split()]
    return await _process(f"corral {words}", ("-m", "corral", *arguments), count)


async def _process(what: str, arguments: tuple[str, ...], count: int) -> Row:
    """Wall time; the note has the best of the process's own processor time, which a busy machine disturbs less."""
    seconds, processor = [], []
    for _ in range(count):
        before, started = _children(), perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        if await process.wait() not in {0, 1}:
            raise RuntimeError(f"{what} ended with status {process.returncode}")
        seconds.append(perf_counter() - started)
        processor.append(_children() - before)
    target = _PLAN if "plan" in what else _ANSWER
    return _row(what, what, seconds, target, f"processor time of the process {min(processor) * 1000:.0f} ms")


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _row(name: str, what: str, seconds: list[float], target: float = _ANSWER, note: str = "") -> Row:
    p50 = percentile(seconds, 50)
    return Row(
        name,
        what,
        micro(p50),
        micro(percentile(seconds, 99)),
        target=f"≤ {target} s",
        met=p50 <= target,
        note=note,
    )
